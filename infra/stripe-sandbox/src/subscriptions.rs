//! `/v1/subscriptions`. How one is made is in `create`, what a shop changes in `change`, how one is paused in
//! `pausing`, what payments make of it in `standing`; what time makes of it is in `renewals`.

pub mod change;
pub mod create;
pub mod cycle;
pub mod ending;
pub mod pausing;
pub mod paying;
pub mod saving;
pub mod shape;
pub mod standing;
pub mod trials;

use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::invoices::collect;
use crate::list::Query;
use crate::methods;
use crate::params::Params;
use crate::renewals;
use crate::tx::{Tx, id_of};

pub use self::ending::{Rest, cancel, cancel_now, end, end_all_of, settle_rest};

pub const KIND: &str = "subscription";
pub const UPDATED: &str = "customer.subscription.updated";
const URL: &str = "/v1/subscriptions";
const STATUSES: [&str; 10] = [
    "active",
    "all",
    "canceled",
    "ended",
    "incomplete",
    "incomplete_expired",
    "past_due",
    "paused",
    "trialing",
    "unpaid",
];

/// What is done about an invoice that a request brings about.
#[derive(Clone, Copy, PartialEq)]
pub enum Payment {
    /// It is charged; if that fails, the subscription shows it.
    Attempted,
    /// It stays open until somebody pays it.
    Awaited,
    /// It is charged; if that fails, nothing of the request has happened.
    Required,
}

pub fn payment_behavior(params: &mut Params) -> Answer<Payment> {
    let behaviors =
        ["allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"];
    match params.one_of("payment_behavior", &behaviors)?.as_deref() {
        Some("pending_if_incomplete") => {
            let message = "The Stripe sandbox does not support payment_behavior=pending_if_incomplete: it \
                           has no pending updates.";
            Err(Failure::invalid(message).param("payment_behavior"))
        }
        Some("default_incomplete") => Ok(Payment::Awaited),
        Some("error_if_incomplete") => Ok(Payment::Required),
        _ => Ok(Payment::Attempted),
    }
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

/// Without a status, those that are not canceled.
pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of(KIND);
    query.customer(call.tx, &mut params)?;
    match params.one_of("status", &STATUSES)?.as_deref() {
        None => query.condition("json_extract(shown, '$.status') <> 'canceled'".into(), []),
        Some("all") => {}
        Some("ended") => query.any_of("status", Some(vec!["canceled".into(), "incomplete_expired".into()])),
        status => query.equal("status", status.map(str::to_owned)),
    }
    if let Some(price) = params.text("price")? {
        call.tx.reference("price", &price, "price")?;
        let has_item = "EXISTS (SELECT 1 FROM json_each(shown, '$.items.data') AS item
             WHERE json_extract(item.value, '$.price.id') = ?)";
        query.condition(has_item.into(), [Sql::Text(price)]);
    }
    let collections = ["charge_automatically", "send_invoice"];
    query.equal("collection_method", params.one_of("collection_method", &collections)?);
    query.created(&mut params)?;
    query.page(call.tx, params, URL)
}

/// Saves, tells of it if anything changed, and sets the alarm anew.
pub fn update(tx: &Tx, before: &Value, after: &Value) -> Answer<()> {
    tx.update(before, after, UPDATED)?;
    renewals::set_alarm(tx, after)
}

/// The subscription a path names, to be changed; one that has ended is gone.
pub fn get_alive(tx: &Tx, id: &str) -> Answer<Value> {
    Some(tx.get(KIND, id)?).filter(|it| !has_ended(it)).ok_or_else(|| Failure::no_such(KIND, id))
}

pub fn has_ended(subscription: &Value) -> bool {
    matches!(subscription["status"].as_str(), Some("canceled" | "incomplete_expired"))
}

/// Whether its periods are paid for: a trial costs nothing at any price, and what was never paid is owed by
/// nobody.
pub fn is_billed(subscription: &Value) -> bool {
    matches!(subscription["status"].as_str(), Some("active" | "past_due"))
}

/// What its invoices are charged to.
pub fn method_of(tx: &Tx, subscription: &Value) -> Answer<Option<Value>> {
    match subscription["default_payment_method"].as_str() {
        Some(id) => tx.find(methods::KIND, id),
        None => collect::default_of_customer(tx, &subscription["customer"]),
    }
}

/// Start and end of the period all items are in.
pub fn period_of(subscription: &Value) -> (i64, i64) {
    let item = &subscription["items"]["data"][0];
    let at = |name: &str| item[name].as_i64().unwrap_or(0);
    (at("current_period_start"), at("current_period_end"))
}

pub fn set_period(subscription: &mut Value, start: i64, end: i64) {
    for item in subscription["items"]["data"].as_array_mut().into_iter().flatten() {
        item["current_period_start"] = json!(start);
        item["current_period_end"] = json!(end);
    }
}

/// What every item has in common.
pub fn recurring(subscription: &Value) -> &Value {
    &subscription["items"]["data"][0]["price"]["recurring"]
}

/// Lines that wait for the next invoice.
pub fn pending_lines(tx: &Tx, subscription: &Value) -> Answer<Vec<Value>> {
    match tx.hidden(KIND, id_of(subscription))?["pending_lines"].take() {
        Value::Array(lines) => Ok(lines),
        _ => Ok(Vec::new()),
    }
}

pub fn set_pending_lines(tx: &Tx, subscription: &Value, lines: &[Value]) -> Answer<()> {
    set_hidden(tx, subscription, "pending_lines", &json!(lines))
}

/// By item, what it has been billed for the period that it is in.
pub fn billed(tx: &Tx, subscription: &Value) -> Answer<Value> {
    let billed = tx.hidden(KIND, id_of(subscription))?["billed"].take();
    Ok(if billed.is_object() { billed } else { json!({}) })
}

/// What Stripe knows of it and does not show.
pub fn set_hidden(tx: &Tx, subscription: &Value, name: &str, value: &Value) -> Answer<()> {
    let mut hidden = tx.hidden(KIND, id_of(subscription))?;
    hidden[name] = value.clone();
    tx.save_hidden(subscription, &hidden)
}

fn take_cancellation_details(subscription: &mut Value, params: &mut Params) -> Answer<()> {
    let Some(mut details) = params.section("cancellation_details")? else { return Ok(()) };
    for name in ["comment", "feedback"] {
        if let Some(text) = details.clearable(name)? {
            subscription["cancellation_details"][name] = json!(text);
        }
    }
    details.finish()
}
