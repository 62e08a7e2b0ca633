//! What an event means for the books, whichever API version wrote it.
//!
//! Only the fields that decide are read, so a new field or value never keeps a payment from being credited;
//! but where one of those is missing from a sale, that is said, never guessed.

use domain::ids::{CheckoutId, CustomerId, EventId, PaymentId};
use domain::money::{Currency, Money};
use domain::payment::{Envelope, NoIntent, Payment};
use domain::time::Time;
use serde_json::Value;

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
    /// A thin event: it names what changed, and what it is now has to be fetched.
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

/// An event that should be understood but is not. Names the field, never its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is missing or not {expected}")]
pub struct Malformed {
    pub field: &'static str,
    pub expected: &'static str,
}

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
        "payment_intent.succeeded" => intent(snapshot(event)?),
        _ => Ok(pointer(&event["related_object"])),
    }
}

fn snapshot(event: &Value) -> Result<&Value, Malformed> {
    let object = &event["data"]["object"];
    if object.is_object() { Ok(object) } else { Err(wrong("data.object", "an object")) }
}

fn session(session: &Value) -> Result<Fact, Malformed> {
    if string(session, "mode")? != "payment" {
        return Ok(Fact::Other);
    }
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

fn intent(intent: &Value) -> Result<Fact, Malformed> {
    if !is_ours(intent)? {
        return Ok(Fact::Stranger);
    }
    let id = intent_id(string(intent, "id")?, "id")?;
    let paid = money(intent, "amount_received")?;
    Ok(Fact::Paid(Sighting { payment: payment(intent, id, paid)?, session: None }))
}

fn payment(object: &Value, id: PaymentId, paid: Money) -> Result<Payment, Malformed> {
    // An id from before `cus_…` finds no owner, but must not keep a payment from the user it names.
    let customer = reference(object, "customer")?.and_then(|id| CustomerId::parse(id).ok());
    let metadata = metadata(object)?;
    let envelope = Envelope::read(|name| metadata.get(name).and_then(Value::as_str));
    Ok(Payment { id, customer, paid, envelope })
}

fn is_ours(object: &Value) -> Result<bool, Malformed> {
    Ok(metadata(object)?[Envelope::STACK].is_string())
}

fn metadata(object: &Value) -> Result<&Value, Malformed> {
    let metadata = &object["metadata"];
    let fits = metadata.is_object() || metadata.is_null();
    if fits { Ok(metadata) } else { Err(wrong("metadata", "an object")) }
}

fn money(object: &Value, field: &'static str) -> Result<Money, Malformed> {
    let amount_minor = object[field].as_i64().filter(|amount| *amount >= 0);
    let currency = Currency::parse(string(object, "currency")?);
    Ok(Money {
        amount_minor: amount_minor.ok_or(wrong(field, "an amount in minor units"))?,
        currency: currency.map_err(|_| wrong("currency", "a currency"))?,
    })
}

/// A session's id is a payment id too, so an intent's has to be told from it.
fn intent_id(text: &str, field: &'static str) -> Result<PaymentId, Malformed> {
    if text.starts_with("pi_") { payment_id(text, field) } else { Err(wrong(field, "an intent id")) }
}

fn payment_id(text: &str, field: &'static str) -> Result<PaymentId, Malformed> {
    PaymentId::parse(text).map_err(|_| wrong(field, "a payment id"))
}

/// The id of another object, which may be expanded, deleted or absent.
fn reference<'a>(object: &'a Value, field: &'static str) -> Result<Option<&'a str>, Malformed> {
    let id = match &object[field] {
        Value::Null => return Ok(None),
        Value::Object(expanded) => expanded.get("id").and_then(Value::as_str),
        plain => plain.as_str(),
    };
    id.map(Some).ok_or(wrong(field, "an id or an object with one"))
}

/// Only thin events have a related object, and their types (`v1.…`, `v2.…`) are never those of snapshots.
fn pointer(related: &Value) -> Fact {
    match (related["type"].as_str(), related["id"].as_str()) {
        (Some(object), Some(id)) => Fact::Pointer { object: object.to_owned(), id: id.to_owned() },
        _ => Fact::Other,
    }
}

/// Seconds in a snapshot event, RFC 3339 in a thin one.
fn created(created: &Value) -> Result<Time, Malformed> {
    let seconds = created.as_i64().map(Time::from_seconds);
    let time = seconds.or_else(|| Time::parse_rfc3339(created.as_str()?));
    time.ok_or(wrong("created", "a time"))
}

fn string<'a>(object: &'a Value, field: &'static str) -> Result<&'a str, Malformed> {
    object[field].as_str().ok_or(wrong(field, "a string"))
}

const fn wrong(field: &'static str, expected: &'static str) -> Malformed {
    Malformed { field, expected }
}
