//! The fields of Stripe's objects, in every form that Stripe writes them.

use domain::ids::{CheckoutId, CustomerId, InvoiceId, PaymentId, SubscriptionId, UserId};
use domain::money::{Currency, Money};
use domain::payment::Envelope;
use domain::time::Time;
use serde_json::Value;

/// Whose an object may be, as far as the event says. It was true when the event was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hint {
    pub stack: Option<String>,
    pub user: Option<UserId>,
    pub customer: Option<CustomerId>,
}

/// An event that should be understood but is not. Names the field, never its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is missing or not {expected}")]
pub struct Malformed {
    pub field: &'static str,
    pub expected: &'static str,
}

pub fn string<'a>(object: &'a Value, field: &'static str) -> Result<&'a str, Malformed> {
    object[field].as_str().ok_or(wrong(field, "a string"))
}

/// The id of another object, which may be expanded, deleted or absent.
pub fn reference<'a>(object: &'a Value, field: &'static str) -> Result<Option<&'a str>, Malformed> {
    match &object[field] {
        Value::Null => Ok(None),
        named => id_of(named).map(Some).ok_or(wrong(field, "an id or an object with one")),
    }
}

pub fn metadata(object: &Value) -> Result<&Value, Malformed> {
    let metadata = &object["metadata"];
    let fits = metadata.is_object() || metadata.is_null();
    if fits { Ok(metadata) } else { Err(wrong("metadata", "an object")) }
}

pub fn envelope(metadata: &Value) -> Envelope {
    Envelope::read(|name| metadata.get(name).and_then(Value::as_str))
}

/// A hint decides nothing, so whatever of it cannot be read is left out.
pub fn hint(metadata: &Value, customer: &Value) -> Hint {
    let Envelope { stack, user, .. } = envelope(metadata);
    let customer = id_of(customer).and_then(|id| CustomerId::parse(id).ok());
    Hint { stack, user, customer }
}

pub fn money(object: &Value, field: &'static str) -> Result<Money, Malformed> {
    let amount_minor = object[field].as_i64().filter(|amount| *amount >= 0);
    let currency = Currency::parse(string(object, "currency")?);
    Ok(Money {
        amount_minor: amount_minor.ok_or(wrong(field, "an amount in minor units"))?,
        currency: currency.map_err(|_| wrong("currency", "a currency"))?,
    })
}

/// A session's id is a payment id too, so an intent's has to be told from it.
pub fn intent_id(text: &str, field: &'static str) -> Result<PaymentId, Malformed> {
    let intent = PaymentId::parse(text).ok().filter(|_| text.starts_with("pi_"));
    intent.ok_or(wrong(field, "an intent id"))
}

pub fn subscription_id(text: &str, field: &'static str) -> Result<SubscriptionId, Malformed> {
    SubscriptionId::parse(text).map_err(|_| wrong(field, "a subscription id"))
}

pub fn checkout_id(text: &str, field: &'static str) -> Result<CheckoutId, Malformed> {
    CheckoutId::parse(text).map_err(|_| wrong(field, "a checkout id"))
}

pub fn invoice_id(text: &str, field: &'static str) -> Result<InvoiceId, Malformed> {
    InvoiceId::parse(text).map_err(|_| wrong(field, "an invoice id"))
}

/// An id of what the books have no name for. It becomes a part of an address.
pub fn prefixed(prefixes: &[&str], text: &str, field: &'static str) -> Result<String, Malformed> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_one = prefixes.iter().any(|prefix| text.len() > prefix.len() && text.starts_with(prefix));
    if is_plain && is_one { Ok(text.to_owned()) } else { Err(wrong(field, "an id of its object")) }
}

/// Seconds in a snapshot event, RFC 3339 in a thin one.
pub fn created(created: &Value) -> Result<Time, Malformed> {
    let seconds = created.as_i64().map(Time::from_seconds);
    let time = seconds.or_else(|| Time::parse_rfc3339(created.as_str()?));
    time.ok_or(wrong("created", "a time"))
}

pub const fn wrong(field: &'static str, expected: &'static str) -> Malformed {
    Malformed { field, expected }
}

fn id_of(named: &Value) -> Option<&str> {
    match named {
        Value::Object(expanded) => expanded.get("id").and_then(Value::as_str),
        plain => plain.as_str(),
    }
}
