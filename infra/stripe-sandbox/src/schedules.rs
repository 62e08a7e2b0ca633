//! `/v1/subscription_schedules`: what a subscription will be, phase by phase. What a shop writes into phases is
//! read in `phases`; how a subscription follows them is in `course`.

pub mod course;
pub mod phases;

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
use crate::subscriptions::cycle::{self, Proration};
use crate::subscriptions::{self, Payment, Rest};
use crate::tx::{Tx, id_of};

pub const KIND: &str = "subscription_schedule";
const UPDATED: &str = "subscription_schedule.updated";
const URL: &str = "/v1/subscription_schedules";
const END_BEHAVIORS: [&str; 2] = ["cancel", "release"];

/// Only of a subscription that there is already.
pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let Some(id) = params.text("from_subscription")? else {
        let message = "The Stripe sandbox makes a schedule of an existing subscription only: pass \
                       `from_subscription`.";
        return Err(Failure::invalid(message).code("parameter_missing").param("from_subscription"));
    };
    if let Err(mut other) = params.only(&[]) {
        let message = "You cannot set any other parameter with `from_subscription`: make the schedule first, \
                       then update it.";
        other.message = message.to_owned();
        return Err(other);
    }
    let before = tx.reference(subscriptions::KIND, &id, "from_subscription")?;
    check_free(&before)?;
    let schedule = of_subscription(tx, &before);
    tx.insert(&schedule, &Value::Null)?;
    tx.emit("subscription_schedule.created", &schedule)?;
    let mut after = before.clone();
    after["schedule"] = schedule["id"].clone();
    subscriptions::update(tx, &before, &after)?;
    course::set_alarm(tx, &schedule)?;
    Ok(schedule)
}

fn check_free(subscription: &Value) -> Answer<()> {
    let message = if let Some(schedule) = subscription["schedule"].as_str() {
        format!(
            "You cannot migrate a subscription that is already attached to a schedule: `{}` is managed by \
             `{schedule}`.",
            id_of(subscription)
        )
    } else if !matches!(subscription["status"].as_str(), Some("active" | "past_due" | "trialing")) {
        format!(
            "You cannot make a schedule of a subscription that is {}.",
            subscription["status"].as_str().unwrap_or_default()
        )
    } else {
        return Ok(());
    };
    Err(Failure::conflict(message).param("from_subscription"))
}

fn of_subscription(tx: &Tx, subscription: &Value) -> Value {
    let phase = phases::of_subscription(subscription);
    let leaves = !subscription["cancel_at"].is_null();
    json!({
        "id": ids::fresh("sub_sched"),
        "object": KIND,
        "application": null,
        "billing_mode": subscription["billing_mode"],
        "canceled_at": null,
        "completed_at": null,
        "created": tx.now(),
        "current_phase": {"end_date": phase["end_date"], "start_date": phase["start_date"]},
        "customer": subscription["customer"],
        "customer_account": null,
        "default_settings": {
            "application_fee_percent": null,
            "automatic_tax": subscription["automatic_tax"],
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": null,
            "collection_method": "charge_automatically",
            "default_payment_method": subscription["default_payment_method"],
            "default_source": null,
            "description": subscription["description"],
            "invoice_settings": {
                "account_tax_ids": null, "custom_fields": null, "days_until_due": null, "description": null,
                "footer": null, "issuer": {"type": "self"},
            },
            "on_behalf_of": null,
            "transfer_data": null,
        },
        "end_behavior": if leaves { "cancel" } else { "release" },
        "livemode": false,
        "metadata": {},
        "phases": [phase],
        "released_at": null,
        "released_subscription": null,
        "renewal_interval": null,
        "status": "active",
        "subscription": id_of(subscription),
        "test_clock": null,
    })
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    params.refuse(&["canceled_at", "completed_at", "released_at"])?;
    let mut query = Query::of(KIND);
    query.customer(call.tx, &mut params)?;
    if params.boolean("scheduled")? == Some(true) {
        query.equal("status", Some("not_started".to_owned()));
    }
    query.created(&mut params)?;
    query.page(call.tx, params, URL)
}

/// The phase that runs stays and may be changed; those after it are what is given.
pub fn update(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let before = get_active(tx, call.id, "updated")?;
    params.refuse(&["default_settings", "pause_schedules"])?;
    let mut after = before.clone();
    after["metadata"] = params.metadata(after["metadata"].take())?;
    if let Some(behavior) = params.one_of("end_behavior", &END_BEHAVIORS)? {
        after["end_behavior"] = json!(behavior);
    }
    let proration = cycle::proration(&mut params)?.unwrap_or(Proration::NextInvoice);
    let given = params.sections("phases")?;
    params.finish()?;
    if let Some(sections) = given {
        after["phases"] = phases::read(tx, &before, sections)?;
    }
    course::replan(tx, &before, after, proration)?;
    tx.get(KIND, call.id)
}

/// The subscription goes on by itself, as it is.
pub fn release(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let stays_canceled = params.boolean("preserve_cancel_date")? == Some(true);
    params.finish()?;
    let schedule = get_active(tx, call.id, "released")?;
    course::release(tx, &schedule, stays_canceled)
}

/// The subscription ends with it, now.
pub fn cancel(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let invoice_now = params.boolean("invoice_now")?.unwrap_or(true);
    let prorate = params.boolean("prorate")?.unwrap_or(true);
    params.finish()?;
    let schedule = get_active(tx, call.id, "canceled")?;
    let subscription = subscriptions::get_alive(tx, schedule["subscription"].as_str().unwrap_or_default())?;
    let rest = Rest { prorate, invoice_now, from: tx.now() };
    let settled =
        subscriptions::settle_rest(tx, &subscription, subscription.clone(), rest, Payment::Attempted)?;
    subscriptions::cancel_now(tx, settled)?;
    tx.get(KIND, call.id)
}

fn get_active(tx: &Tx, id: &str, what: &str) -> Answer<Value> {
    let schedule = tx.get(KIND, id)?;
    match schedule["status"].as_str() {
        Some("active") => Ok(schedule),
        status => Err(Failure::conflict(format!(
            "You cannot have a subscription schedule {what} that is currently in the `{}` status; it must be \
             `active`.",
            status.unwrap_or_default()
        ))),
    }
}
