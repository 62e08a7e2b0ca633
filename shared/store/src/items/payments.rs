//! One payment: what the books know of it, what was tried before, and what belongs to it in Stripe. These are written
//! by different hands at different times, so each write sets its own attributes and leaves the others alone.

use domain::ids::{ChargeId, CheckoutId, CustomerId, InvoiceId, PaymentId, UserId};
use domain::item::Item as Sold;
use domain::lot::{LotId, Source};
use domain::money::{Currency, Money, Tokens};
use domain::payment::{
    Attempt, AttemptOutcome, Funded, PaymentRecord, PaymentRow, PaymentStatus, References,
};
use domain::time::Time;
use serde::{Deserialize, Serialize};

use super::{BadItem, Item, indexed, keyed, read};
use crate::schema;

/// What the books know. Written with an entry.
#[derive(Serialize, Deserialize)]
struct BookedItem {
    item: Sold,
    paid: i64,
    currency: Currency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invoice: Option<InvoiceId>,
    granted: Tokens,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    funded: Vec<(LotId, Source, Tokens, Option<Time>)>,
    reversed: i64,
    taken: Tokens,
    #[serde(default)]
    reversals: u32,
    status: String,
    at: Time,
}

/// What was tried before any money arrived.
#[derive(Serialize, Deserialize)]
struct AttemptItem {
    item: Sold,
    amount: i64,
    currency: Currency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invoice: Option<InvoiceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    status: String,
    at: Time,
}

/// What belongs to it in Stripe. All that an item has until the books, or an attempt, tell what it is.
#[derive(Serialize, Deserialize)]
struct ReferencesItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkout: Option<CheckoutId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    charge: Option<ChargeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt_url: Option<String>,
}

pub fn from_payment(user: &UserId, row: &PaymentRow) -> Item {
    let funded = |lot: &Funded| (lot.lot.clone(), lot.source, lot.tokens, lot.expires_at);
    let item = BookedItem {
        item: row.item.clone(),
        paid: row.paid.amount_minor,
        currency: row.paid.currency,
        customer: row.customer.clone(),
        invoice: row.invoice.clone(),
        granted: row.granted,
        funded: row.funded.iter().map(funded).collect(),
        reversed: row.reversed_minor,
        taken: row.taken,
        reversals: row.reversals,
        status: row.status.name().to_owned(),
        at: row.at,
    };
    searchable(user, &row.payment, row.status, row.at, &item)
}

pub fn from_attempt(user: &UserId, attempt: &Attempt) -> Item {
    let status = attempt.outcome.status();
    let item = AttemptItem {
        item: attempt.item.clone(),
        amount: attempt.amount.amount_minor,
        currency: attempt.amount.currency,
        customer: attempt.customer.clone(),
        invoice: attempt.invoice.clone(),
        failure: match &attempt.outcome {
            AttemptOutcome::Pending => None,
            AttemptOutcome::Failed(why) => Some(why.clone()),
        },
        status: status.name().to_owned(),
        at: attempt.at,
    };
    searchable(user, &attempt.payment, status, attempt.at, &item)
}

pub fn from_references(user: &UserId, payment: &PaymentId, references: &References) -> Item {
    let References { checkout, charge, receipt_url } = references.clone();
    keyed(schema::payment(user, payment), &ReferencesItem { checkout, charge, receipt_url })
}

/// What belongs to a payment in Stripe, whatever else is known of it.
pub fn to_references(item: Item) -> Result<References, BadItem> {
    let ReferencesItem { checkout, charge, receipt_url } = read("payment's references", item)?;
    Ok(References { checkout, charge, receipt_url })
}

fn searchable(
    user: &UserId,
    payment: &PaymentId,
    status: PaymentStatus,
    at: Time,
    item: &impl Serialize,
) -> Item {
    let index = schema::payment_search(status, payment, at);
    indexed(keyed(schema::payment(user, payment), item), (schema::GSI2_PK, schema::GSI2_SK), index)
}

/// What the books know of a payment; `None` where they know nothing of it yet.
pub fn to_payment(payment: PaymentId, item: Item) -> Result<Option<PaymentRow>, BadItem> {
    if !item.contains_key("paid") {
        return Ok(None);
    }
    let stored: BookedItem = read("payment", item)?;
    let funded = stored.funded.into_iter().map(|(lot, source, tokens, expires_at)| Funded {
        lot,
        source,
        tokens,
        expires_at,
    });
    Ok(Some(PaymentRow {
        status: status(&payment, &stored.status)?,
        payment,
        item: stored.item,
        paid: Money { amount_minor: stored.paid, currency: stored.currency },
        customer: stored.customer,
        invoice: stored.invoice,
        granted: stored.granted,
        funded: funded.collect(),
        reversed_minor: stored.reversed,
        taken: stored.taken,
        reversals: stored.reversals,
        at: stored.at,
    }))
}

/// A payment for people to look at; `None` where only its references are known so far.
pub fn to_record(user: UserId, payment: PaymentId, item: Item) -> Result<Option<PaymentRecord>, BadItem> {
    let references = to_references(item.clone())?;
    if let Some(row) = to_payment(payment.clone(), item.clone())? {
        return Ok(Some(PaymentRecord {
            user,
            payment,
            status: row.status,
            item: row.item,
            amount: row.paid,
            customer: row.customer,
            invoice: row.invoice,
            granted: row.granted,
            reversed_minor: row.reversed_minor,
            taken: row.taken,
            failure: None,
            at: row.at,
            references,
        }));
    }
    if !item.contains_key("amount") {
        return Ok(None);
    }
    let stored: AttemptItem = read("payment's attempt", item)?;
    Ok(Some(PaymentRecord {
        user,
        status: status(&payment, &stored.status)?,
        payment,
        item: stored.item,
        amount: Money { amount_minor: stored.amount, currency: stored.currency },
        customer: stored.customer,
        invoice: stored.invoice,
        granted: Tokens::ZERO,
        reversed_minor: 0,
        taken: Tokens::ZERO,
        failure: stored.failure,
        at: stored.at,
        references,
    }))
}

fn status(payment: &PaymentId, name: &str) -> Result<PaymentStatus, BadItem> {
    let unknown = || BadItem(format!("{payment} has the unknown status {name}"));
    PaymentStatus::parse(name).ok_or_else(unknown)
}
