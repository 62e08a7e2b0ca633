//! How a subscription ends: by request, by a person, by time, or unpaid.

use serde_json::{Value, json};

use super::cycle::{self, Billed, bill};
use super::{KIND, Payment, get_alive, has_ended, is_billed, pending_lines, period_of, set_pending_lines};
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::invoices::{self, lines};
use crate::list::Query;
use crate::params::Params;
use crate::schedules;
use crate::tx::{Tx, id_of};

/// `DELETE /v1/subscriptions/{id}`
pub fn cancel(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let before = get_alive(tx, call.id)?;
    let invoice_now = params.boolean("invoice_now")? == Some(true);
    let prorate = params.boolean("prorate")? == Some(true);
    let mut after = before.clone();
    super::take_cancellation_details(&mut after, &mut params)?;
    params.finish()?;
    if prorate || invoice_now {
        let rest = Rest { prorate, invoice_now, from: tx.now() };
        after = settle_rest(tx, &before, after, rest, Payment::Attempted)?;
    }
    cancel_now(tx, after)
}

/// What becomes of the rest of a period that was paid for.
pub struct Rest {
    pub prorate: bool,
    pub invoice_now: bool,
    pub from: i64,
}

/// Gives back the rest of the period, and invoices what still waits, as far as that is wished.
pub fn settle_rest(tx: &Tx, before: &Value, after: Value, rest: Rest, payment: Payment) -> Answer<Value> {
    let mut billed = Vec::new();
    let items = before["items"]["data"].as_array().into_iter().flatten();
    let had = super::billed(tx, before)?;
    for item in items.filter(|_| rest.prorate && is_billed(before)) {
        let cost = cycle::cost(&had, item);
        billed.extend(lines::proration(tx, before, Some(cost), None, rest.from)?);
    }
    if rest.invoice_now {
        billed.splice(0..0, pending_lines(tx, before)?);
        set_pending_lines(tx, before, &[])?;
    }
    bill(tx, before, after, Billed { lines: billed, at_once: rest.invoice_now }, payment)
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
    schedules::course::subscription_ended(tx, &subscription)?;
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

pub fn take_end(tx: &Tx, before: &Value, subscription: &mut Value, params: &mut Params) -> Answer<()> {
    if ["cancel_at", "cancel_at_period_end"].iter().any(|name| params.has(name)) {
        refuse_if_managed(before)?;
    }
    let at_period_end = params.boolean("cancel_at_period_end")?;
    if at_period_end == Some(true) && params.has("cancel_at") {
        let message = "You cannot set `cancel_at` and `cancel_at_period_end` at the same time.";
        return Err(Failure::invalid(message).param("cancel_at"));
    }
    if let Some(wanted) = at_period_end {
        cancel_at_period_end(tx, subscription, wanted);
    }
    if params.is_cleared("cancel_at") {
        params.accept(&["cancel_at"]);
        stay(subscription);
    }
    // All items have one period here, so that the first to end is the last.
    if params.is("cancel_at", "min_period_end") || params.is("cancel_at", "max_period_end") {
        params.accept(&["cancel_at"]);
        leave(tx, subscription, period_of(subscription).1);
        subscription["cancel_at_period_end"] = json!(false);
    }
    let Some(at) = params.integer("cancel_at")? else { return Ok(()) };
    if at <= tx.now() {
        let message = "The `cancel_at` timestamp must be in the future.";
        return Err(Failure::invalid(message).param("cancel_at"));
    }
    leave(tx, subscription, at);
    subscription["cancel_at_period_end"] = json!(false);
    Ok(())
}

pub fn cancel_at_period_end(tx: &Tx, subscription: &mut Value, wanted: bool) {
    let already = subscription["cancel_at_period_end"] == json!(true);
    match wanted {
        true if already => {}
        true => {
            leave(tx, subscription, period_of(subscription).1);
            subscription["cancel_at_period_end"] = json!(true);
        }
        // It takes back a cancellation at the period's end, and no other.
        false if already => stay(subscription),
        false => {}
    }
}

pub fn leave(tx: &Tx, subscription: &mut Value, at: i64) {
    subscription["cancel_at"] = json!(at);
    subscription["canceled_at"] = json!(tx.now());
    subscription["cancellation_details"]["reason"] = json!("cancellation_requested");
}

pub fn stay(subscription: &mut Value) {
    subscription["cancel_at"] = Value::Null;
    subscription["cancel_at_period_end"] = json!(false);
    subscription["canceled_at"] = Value::Null;
    subscription["cancellation_details"] = json!({"comment": null, "feedback": null, "reason": null});
}

/// When a subscription ends that has a schedule, the schedule decides.
pub fn refuse_if_managed(subscription: &Value) -> Answer<()> {
    let Some(schedule) = subscription["schedule"].as_str() else { return Ok(()) };
    Err(Failure::conflict(format!(
        "The subscription is managed by the subscription schedule `{schedule}`, and updating any cancelation \
         behavior directly is not allowed. Please update the schedule instead."
    )))
}
