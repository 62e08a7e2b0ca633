//! `/v1/subscriptions`. How one is made is in `create`, what a shop changes in `change`, what payments make
//! of it in `standing`; what time makes of it is in `renewals`.

pub mod change;
pub mod create;
pub mod standing;

use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::invoices;
use crate::list::Query;
use crate::params::Params;
use crate::renewals;
use crate::tx::{Tx, id_of};

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

pub fn cancel(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let mut subscription = get_alive(tx, call.id)?;
    let invoice_now = params.boolean("invoice_now")? == Some(true);
    if invoice_now && !pending_lines(tx, &subscription)?.is_empty() {
        return Err(Failure::unsupported_param("invoice_now"));
    }
    if params.boolean("prorate")? == Some(true) {
        return Err(Failure::unsupported_param("prorate"));
    }
    take_cancellation_details(&mut subscription, &mut params)?;
    params.finish()?;
    cancel_now(tx, subscription)
}

/// Somebody ends it.
pub fn cancel_now(tx: &Tx, mut subscription: Value) -> Answer<Value> {
    subscription["canceled_at"] = json!(tx.now());
    subscription["cancellation_details"]["reason"] = json!("cancellation_requested");
    end(tx, subscription)
}

/// It ends, for whatever reason.
pub fn end(tx: &Tx, mut subscription: Value) -> Answer<Value> {
    if subscription["canceled_at"].is_null() {
        subscription["canceled_at"] = json!(tx.now());
    }
    subscription["ended_at"] = json!(tx.now());
    subscription["status"] = json!("canceled");
    tx.save(&subscription)?;
    tx.clear_alarm(&subscription)?;
    tx.emit("customer.subscription.deleted", &subscription)?;
    invoices::stop_collecting(tx, id_of(&subscription))?;
    Ok(subscription)
}

/// A customer who is deleted has none any more.
pub fn end_all_of(tx: &Tx, customer: &str) -> Answer<()> {
    let mut query = Query::of(KIND);
    query.equal("customer", Some(customer.to_owned()));
    let alive = query.all(tx)?.into_iter().filter(|subscription| !has_ended(subscription));
    alive.into_iter().try_for_each(|subscription| cancel_now(tx, subscription).map(drop))
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
    tx.save_hidden(subscription, &json!({"pending_lines": lines}))
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
