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
    Hint, Malformed, created, envelope, hint, intent_id, invoice_id, metadata, money, reference, string,
    subscription_id, wrong,
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
    /// A payment may have been begun, failed or given up; what is true of it now has to be fetched.
    Attempt { payment: PaymentId, hint: Hint },
    /// What charged the money of a payment, ours or an invoice's: nothing to the books, but to its buyer.
    Charge { payment: PaymentId, charge: ChargeId, receipt_url: Option<String>, hint: Hint },
    /// Something about a subscription may have changed; what it is now has to be fetched.
    Subscription { id: SubscriptionId, hint: Hint },
    /// The same, of an invoice whose subscription the event does not say.
    Invoice(InvoiceId),
    /// More or less of a payment may be refunded or disputed than before; how much has to be fetched.
    Reversal { payment: PaymentId },
    /// A thin event about anything else: it names what changed, and what it is now has to be fetched.
    Pointer { object: String, id: String },
    /// Nothing that the books need.
    Other,
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
const DECISIVE: [&str; 6] = [
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.voided",
    "invoice.marked_uncollectible",
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
        kind if kind.starts_with("payment_intent.") => attempt(snapshot(event)?),
        kind if kind.starts_with("customer.subscription.") => subscription(snapshot(event)?),
        kind if DECISIVE.contains(&kind) => invoice(snapshot(event)?),
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
    let id = string(session, "id")?;
    let id = CheckoutId::parse(id).map_err(|_| wrong("id", "a checkout id"))?;
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

/// Whatever else becomes of an intent is a reason to look.
fn attempt(intent: &Value) -> Result<Fact, Malformed> {
    let hint = hint(&intent["metadata"], &intent["customer"]);
    if hint.stack.is_none() {
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
    let is_decisive = kind.strip_prefix("v1.").is_some_and(|kind| DECISIVE.contains(&kind));
    match object {
        "subscription" => {
            let id = subscription_id(id, "related_object.id")?;
            Ok(Fact::Subscription { id, hint: Hint::default() })
        }
        "payment_intent" => {
            let payment = intent_id(id, "related_object.id")?;
            Ok(Fact::Attempt { payment, hint: Hint::default() })
        }
        "invoice" if is_decisive => invoice_id(id, "related_object.id").map(Fact::Invoice),
        _ => Ok(Fact::Pointer { object: object.to_owned(), id: id.to_owned() }),
    }
}
