//! What an event means for the books, whichever API version wrote it.
//!
//! Only the fields that decide are read, so a new field or value never keeps a payment from being credited;
//! but where one of those is missing from a sale or a subscription, that is said, never guessed.

use domain::ids::{ChargeId, CheckoutId, CustomerId, EventId, InvoiceId, PaymentId, SubscriptionId};
use domain::money::Money;
use domain::payment::{Envelope, NoIntent, Payment};
use domain::time::Time;
use serde_json::Value;

use crate::fields::{
    Hint, Malformed, checkout_id, created, envelope, hint, intent_id, invoice_id, metadata, money, prefixed,
    reference, string, subscription_id, wrong,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    pub livemode: bool,
    pub created: Time,
    /// Stripe's `type`, for logs and counters.
    pub kind: String,
    pub fact: Fact,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Money arrived.
    Paid(Sighting),
    /// The customer is done, but the bank is not: another event tells how it ends.
    Processing { session: CheckoutId },
    /// A payment made without us: an invoice's, or another application's.
    Stranger,
    /// A payment may have been begun, failed or given up; what is true of it now has to be fetched. Without a stack
    /// in the hint it may be an invoice's.
    Attempt { payment: PaymentId, hint: Hint },
    /// What charged the money of a payment, ours or an invoice's: nothing to the books, but to its buyer.
    Charge { payment: PaymentId, charge: ChargeId, receipt_url: Option<String>, hint: Hint },
    /// Something about a subscription may have changed; what it is now has to be fetched.
    Subscription { id: SubscriptionId, hint: Hint },
    /// The same, of an invoice whose subscription the event does not say.
    Invoice(InvoiceId),
    /// The same, and what was to pay this invoice did not, or waits for the buyer: that is an attempt to be noted.
    Declined { invoice: InvoiceId, subscription: Option<SubscriptionId>, hint: Hint },
    /// More or less of a payment may be refunded or disputed than before; how much has to be fetched.
    Reversal { payment: PaymentId },
    /// A thin event about what leads to one of these; to which has to be fetched.
    Lead(Lead),
    /// Nothing that the books need.
    Other,
}

/// What names a payment or a subscription, where the event itself does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lead {
    Session(CheckoutId),
    /// Stripe's `re_…`, or `pyr_…` where no card was charged.
    Refund(String),
    /// Stripe's `du_…`, or `dp_…` in earlier years.
    Dispute(String),
    /// Stripe's `sub_sched_…`.
    Schedule(String),
}

/// A payment, and where it was seen. The payment is the same wherever that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    pub payment: Payment,
    pub session: Option<CheckoutId>,
}

/// What an invoice goes through that can change what its subscription gives: it is paid, a payment fails or
/// waits for the buyer, or it is given up. An invoice that is drafted, finalized or sent gives and takes nothing
/// yet (one of nothing to pay is paid in the same moment), and an end that follows is the subscription's own event.
const DECISIVE: [&str; 4] =
    ["invoice.paid", "invoice.payment_succeeded", "invoice.voided", "invoice.marked_uncollectible"];
const DECLINED: [&str; 2] = ["invoice.payment_failed", "invoice.payment_action_required"];

/// What becomes of a session that matters. One that expires gives and takes nothing: a checkout that holds the lock
/// of a plan's group loses it when the next one asks Stripe, which is right also where no event ever comes.
const CONCLUSIVE: [&str; 3] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
];

/// What becomes of an invoice's intent that its buyer would want to see. That it was made or paid its invoice tells.
const TRIED: [&str; 4] = [
    "payment_intent.payment_failed",
    "payment_intent.requires_action",
    "payment_intent.processing",
    "payment_intent.canceled",
];

pub fn decode(body: &str) -> Result<Event, Malformed> {
    let event: Value = serde_json::from_str(body).map_err(|_| wrong("event", "JSON"))?;
    let kind = string(&event, "type")?;
    Ok(Event {
        id: EventId::parse(string(&event, "id")?).map_err(|_| wrong("id", "an event id"))?,
        livemode: event["livemode"].as_bool().ok_or(wrong("livemode", "a boolean"))?,
        created: created(&event["created"])?,
        kind: kind.to_owned(),
        fact: fact(kind, &event)?,
    })
}

fn fact(kind: &str, event: &Value) -> Result<Fact, Malformed> {
    match kind {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
            session(snapshot(event)?)
        }
        "checkout.session.async_payment_failed" => failed_session(snapshot(event)?),
        "payment_intent.succeeded" => intent(snapshot(event)?),
        "charge.succeeded" | "charge.updated" => charge(snapshot(event)?),
        "invoice_payment.paid" => invoice_payment(snapshot(event)?),
        kind if kind.starts_with("payment_intent.") => attempt(kind, snapshot(event)?),
        kind if kind.starts_with("customer.subscription.") => subscription(snapshot(event)?),
        kind if kind.starts_with("subscription_schedule.") => schedule(snapshot(event)?),
        kind if DECISIVE.contains(&kind) => invoice(snapshot(event)?),
        kind if DECLINED.contains(&kind) => declined(snapshot(event)?),
        kind if is_about_a_reversal(kind) => reversal(snapshot(event)?),
        kind => thin(kind, &event["related_object"]),
    }
}

fn snapshot(event: &Value) -> Result<&Value, Malformed> {
    let object = &event["data"]["object"];
    if object.is_object() { Ok(object) } else { Err(wrong("data.object", "an object")) }
}

fn session(session: &Value) -> Result<Fact, Malformed> {
    match string(session, "mode")? {
        "payment" => one_off_sale(session),
        "subscription" => sold_plan(session),
        _ => Ok(Fact::Other),
    }
}

/// A one-off sale that failed was never in the books, but a plan may have begun before its money.
fn failed_session(session: &Value) -> Result<Fact, Malformed> {
    match string(session, "mode")? {
        "subscription" => sold_plan(session),
        _ => Ok(Fact::Other),
    }
}

fn one_off_sale(session: &Value) -> Result<Fact, Malformed> {
    let id = checkout_id(string(session, "id")?, "id")?;
    match string(session, "payment_status")? {
        "paid" | "no_payment_required" => sale(session, id).map(Fact::Paid),
        "unpaid" => Ok(Fact::Processing { session: id }),
        // Should Stripe invent another, then the intent still tells when the money is there.
        _ => Ok(Fact::Other),
    }
}

fn sale(session: &Value, id: CheckoutId) -> Result<Sighting, Malformed> {
    let paid = money(session, "amount_total")?;
    let intent = reference(session, "payment_intent")?;
    let intent = intent.map(|intent| intent_id(intent, "payment_intent")).transpose()?;
    let payment_id = PaymentId::of_sale(&id, intent, paid)
        .map_err(|NoIntent| wrong("payment_intent", "an intent, though there was something to pay"))?;
    Ok(Sighting { payment: payment(session, payment_id, paid)?, session: Some(id) })
}

/// The session itself credits nothing: what it sold is told by the subscription and its invoices.
fn sold_plan(session: &Value) -> Result<Fact, Malformed> {
    pointer(session, &session["metadata"], reference(session, "subscription")?)
}

fn intent(intent: &Value) -> Result<Fact, Malformed> {
    if !is_ours(intent)? {
        return Ok(Fact::Stranger);
    }
    let id = intent_id(string(intent, "id")?, "id")?;
    let paid = money(intent, "amount_received")?;
    Ok(Fact::Paid(Sighting { payment: payment(intent, id, paid)?, session: None }))
}

/// Whatever else becomes of an intent is a reason to look. An invoice's carries no envelope, but its customer may be
/// one of ours.
fn attempt(kind: &str, intent: &Value) -> Result<Fact, Malformed> {
    let hint = hint(&intent["metadata"], &intent["customer"]);
    let may_be_an_invoices = hint.customer.is_some() && TRIED.contains(&kind);
    if hint.stack.is_none() && !may_be_an_invoices {
        return Ok(Fact::Stranger);
    }
    Ok(Fact::Attempt { payment: intent_id(string(intent, "id")?, "id")?, hint })
}

/// One that is updated may be one that failed, and the payment made by another.
fn charge(charge: &Value) -> Result<Fact, Malformed> {
    let intent = reference(charge, "payment_intent")?;
    let (Some(intent), Some("succeeded")) = (intent, charge["status"].as_str()) else {
        return Ok(Fact::Other);
    };
    Ok(Fact::Charge {
        payment: intent_id(intent, "payment_intent")?,
        charge: ChargeId::parse(string(charge, "id")?).map_err(|_| wrong("id", "a charge id"))?,
        receipt_url: charge["receipt_url"].as_str().map(str::to_owned),
        hint: hint(&charge["metadata"], &charge["customer"]),
    })
}

fn payment(object: &Value, id: PaymentId, paid: Money) -> Result<Payment, Malformed> {
    // An id from before `cus_…` finds no owner, but must not keep a payment from the user it names.
    let customer = reference(object, "customer")?.and_then(|id| CustomerId::parse(id).ok());
    Ok(Payment { id, customer, paid, envelope: envelope(metadata(object)?) })
}

fn is_ours(object: &Value) -> Result<bool, Malformed> {
    Ok(metadata(object)?[Envelope::STACK].is_string())
}

fn subscription(subscription: &Value) -> Result<Fact, Malformed> {
    let id = subscription_id(string(subscription, "id")?, "id")?;
    let hint = hint(&subscription["metadata"], &subscription["customer"]);
    Ok(Fact::Subscription { id, hint })
}

/// Since 2025-03-31 an invoice has a parent, which knows the subscription and its metadata;
/// before, the invoice did so itself.
fn invoice(invoice: &Value) -> Result<Fact, Malformed> {
    let parent = &invoice["parent"];
    if !parent.is_object() && !parent.is_null() {
        return Err(wrong("parent", "an object"));
    }
    let details = &parent["subscription_details"];
    if details.is_null() && parent["type"] != "subscription_details" {
        let metadata = &invoice["subscription_details"]["metadata"];
        return pointer(invoice, metadata, reference(invoice, "subscription")?);
    }
    let named = reference(details, "subscription")?;
    let named = named.ok_or(wrong("subscription", "an id or an object with one"))?;
    pointer(invoice, &details["metadata"], Some(named))
}

fn declined(declined: &Value) -> Result<Fact, Malformed> {
    Ok(match invoice(declined)? {
        Fact::Subscription { id, hint } => {
            let invoice = invoice_id(string(declined, "id")?, "id")?;
            Fact::Declined { invoice, subscription: Some(id), hint }
        }
        no_subscriptions => no_subscriptions,
    })
}

/// What it does to its subscription happens later, or now; one that has let go of it still says which it was.
fn schedule(schedule: &Value) -> Result<Fact, Malformed> {
    let held = reference(schedule, "subscription")?;
    let named = match held {
        None => reference(schedule, "released_subscription")?,
        held => held,
    };
    pointer(schedule, &schedule["metadata"], named)
}

/// To the subscription that an object names, with the owner that the object tells of.
fn pointer(object: &Value, metadata: &Value, named: Option<&str>) -> Result<Fact, Malformed> {
    let Some(named) = named else { return Ok(Fact::Other) };
    let id = subscription_id(named, "subscription")?;
    Ok(Fact::Subscription { id, hint: hint(metadata, &object["customer"]) })
}

fn invoice_payment(payment: &Value) -> Result<Fact, Malformed> {
    let invoice = reference(payment, "invoice")?.ok_or(wrong("invoice", "an id or an object with one"))?;
    invoice_id(invoice, "invoice").map(Fact::Invoice)
}

/// About a charge, a refund or a dispute: each is a reason to look, whatever exactly became of it.
fn is_about_a_reversal(kind: &str) -> bool {
    kind == "charge.refunded"
        || ["refund.", "charge.refund.", "charge.dispute."].iter().any(|about| kind.starts_with(about))
}

/// All three name their intent, except where money was charged without one: by other applications, or long ago.
fn reversal(object: &Value) -> Result<Fact, Malformed> {
    let Some(intent) = reference(object, "payment_intent")? else { return Ok(Fact::Other) };
    Ok(Fact::Reversal { payment: intent_id(intent, "payment_intent")? })
}

/// Only thin events have a related object, and their types (`v1.…`, `v2.…`) are never those of snapshots.
fn thin(kind: &str, related: &Value) -> Result<Fact, Malformed> {
    let (Some(object), Some(id)) = (related["type"].as_str(), related["id"].as_str()) else {
        return Ok(Fact::Other);
    };
    let at = "related_object.id";
    let is_one_of = |kinds: &[&str]| kind.strip_prefix("v1.").is_some_and(|kind| kinds.contains(&kind));
    let (nobody, subscription) = (Hint::default(), None);
    Ok(match object {
        "subscription" => Fact::Subscription { id: subscription_id(id, at)?, hint: nobody },
        "payment_intent" => Fact::Attempt { payment: intent_id(id, at)?, hint: nobody },
        "invoice" if is_one_of(&DECISIVE) => Fact::Invoice(invoice_id(id, at)?),
        "invoice" if is_one_of(&DECLINED) => {
            Fact::Declined { invoice: invoice_id(id, at)?, subscription, hint: nobody }
        }
        "checkout.session" if is_one_of(&CONCLUSIVE) => Fact::Lead(Lead::Session(checkout_id(id, at)?)),
        // A charge that is refunded or disputed has a refund or a dispute, with events of their own.
        "refund" => Fact::Lead(Lead::Refund(prefixed(&["re_", "pyr_"], id, at)?)),
        "dispute" => Fact::Lead(Lead::Dispute(prefixed(&["du_", "dp_"], id, at)?)),
        "subscription_schedule" => Fact::Lead(Lead::Schedule(prefixed(&["sub_sched_"], id, at)?)),
        _ => Fact::Other,
    })
}
