//! The phases of a schedule: what a shop writes into them, made whole.

use serde_json::{Value, json};

use crate::cart;
use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::periods::next_end;
use crate::subscriptions::period_of;
use crate::tx::Tx;

const UNSUPPORTED: [&str; 11] = [
    "add_invoice_items",
    "application_fee_percent",
    "billing_thresholds",
    "default_payment_method",
    "default_tax_rates",
    "discounts",
    "invoice_settings",
    "iterations",
    "on_behalf_of",
    "plans",
    "transfer_data",
];
const INTERVALS: [&str; 4] = ["day", "week", "month", "year"];

/// What a subscription is now, until its period ends, or it does.
pub fn of_subscription(subscription: &Value) -> Value {
    let (start, period_end) = period_of(subscription);
    let trialing = subscription["status"] == json!("trialing");
    let items = subscription["items"]["data"].as_array().into_iter().flatten();
    json!({
        "add_invoice_items": [],
        "application_fee_percent": null,
        "automatic_tax": subscription["automatic_tax"],
        "billing_cycle_anchor": null,
        "billing_thresholds": null,
        "collection_method": "charge_automatically",
        "currency": subscription["currency"],
        "default_payment_method": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "end_date": subscription["cancel_at"].as_i64().unwrap_or(period_end),
        "invoice_settings": null,
        "items": items.map(of_item).collect::<Vec<_>>(),
        "metadata": {},
        "on_behalf_of": null,
        "proration_behavior": "create_prorations",
        "start_date": start,
        "transfer_data": null,
        "trial_end": if trialing { subscription["trial_end"].clone() } else { Value::Null },
    })
}

/// What a subscription's item is in a phase.
pub fn of_item(item: &Value) -> Value {
    json!({
        "billing_thresholds": null,
        "discounts": [],
        "metadata": item["metadata"],
        "plan": item["price"]["id"],
        "price": item["price"]["id"],
        "quantity": item["quantity"],
        "tax_rates": [],
    })
}

/// The phases of a schedule after a change: those that are over, which may be left out, and those given.
pub fn read(tx: &Tx, schedule: &Value, sections: Vec<Params>) -> Answer<Value> {
    let current_start = schedule["current_phase"]["start_date"].as_i64().unwrap_or(0);
    let known = schedule["phases"].as_array().map(Vec::as_slice).unwrap_or_default();
    let starts_at = |phase: &Value| phase["start_date"].as_i64().unwrap_or(0);
    let mut phases: Vec<Value> =
        known.iter().filter(|phase| starts_at(phase) < current_start).cloned().collect();
    let past = phases.len();
    let last = sections.len().saturating_sub(1);
    let mut start = None;
    for (index, section) in sections.into_iter().enumerate() {
        let name = section.full_name("start_date");
        let phase = one(tx, schedule, section, start, index == last)?;
        start = phase["end_date"].as_i64();
        if starts_at(&phase) < current_start {
            if !known.iter().any(|known| known["start_date"] == phase["start_date"]) {
                return Err(Failure::invalid("A phase that is over cannot be added.").param(name));
            }
            continue;
        }
        if phases.len() == past && starts_at(&phase) != current_start {
            let message = "You can not modify the start date of the current phase, nor leave it out.";
            return Err(Failure::invalid(message).param(name));
        }
        phases.push(phase);
    }
    if phases.len() == past {
        let message = "You must provide at least one phase: the one that runs.";
        return Err(Failure::invalid(message).param("phases"));
    }
    Ok(json!(phases))
}

/// One phase, which starts where the one before it ends.
fn one(tx: &Tx, schedule: &Value, mut section: Params, follows: Option<i64>, is_last: bool) -> Answer<Value> {
    refuse(&section)?;
    section.one_of("collection_method", &["charge_automatically"])?;
    section.one_of("billing_cycle_anchor", &["automatic"])?;
    section.accept(&["automatic_tax"]);
    let start = start(&mut section, follows)?;
    let items = items(tx, schedule, &mut section)?;
    let end = end(tx, &mut section, start, items.first(), is_last)?;
    let trial_name = section.full_name("trial_end");
    let whole_trial = section.boolean("trial")? == Some(true);
    let trial_end = section.integer("trial_end")?.or(whole_trial.then_some(end));
    if trial_end.is_some_and(|at| at <= start || at > end) {
        return Err(Failure::invalid("The trial must end within the phase.").param(trial_name));
    }
    let behaviors = ["always_invoice", "create_prorations", "none"];
    let proration = section.one_of("proration_behavior", &behaviors)?;
    let phase = json!({
        "add_invoice_items": [],
        "application_fee_percent": null,
        "automatic_tax": schedule["default_settings"]["automatic_tax"],
        "billing_cycle_anchor": null,
        "billing_thresholds": null,
        "collection_method": null,
        "currency": schedule["phases"][0]["currency"],
        "default_payment_method": null,
        "default_tax_rates": [],
        "description": section.text("description")?,
        "discounts": [],
        "end_date": end,
        "invoice_settings": null,
        "items": items.iter().map(of_item).collect::<Vec<_>>(),
        "metadata": section.metadata(Value::Null)?,
        "on_behalf_of": null,
        "proration_behavior": proration.as_deref().unwrap_or("create_prorations"),
        "start_date": start,
        "transfer_data": null,
        "trial_end": trial_end,
    });
    section.finish()?;
    Ok(phase)
}

fn refuse(section: &Params) -> Answer<()> {
    if section.has("iterations") {
        let message = "`iterations` is gone since the API version 2025-09-30.clover: pass `duration`.";
        let failure = Failure::invalid(message).code("parameter_unknown");
        return Err(failure.param(section.full_name("iterations")));
    }
    section.refuse(&UNSUPPORTED)
}

fn start(section: &mut Params, follows: Option<i64>) -> Answer<i64> {
    let name = section.full_name("start_date");
    match (section.integer("start_date")?, follows) {
        (None, Some(end)) => Ok(end),
        (None, None) => Err(Failure::missing_param(&name)),
        (Some(start), Some(end)) if start != end => {
            let message = "A phase must start when the one before it ends.";
            Err(Failure::invalid(message).param(name))
        }
        (Some(start), _) => Ok(start),
    }
}

/// `end_date` or `duration`; the last phase lasts for one billing period if it does not say.
fn end(tx: &Tx, section: &mut Params, start: i64, item: Option<&Value>, is_last: bool) -> Answer<i64> {
    let name = section.full_name("end_date");
    if section.has("end_date") && section.has("duration") {
        return Err(Failure::invalid("Pass only one of end_date and duration.").param(name));
    }
    if section.is("end_date", "now") {
        section.accept(&["end_date"]);
        return Ok(tx.now());
    }
    if let Some(end) = section.integer("end_date")? {
        if end > start {
            return Ok(end);
        }
        return Err(Failure::invalid("A phase must end after it starts.").param(name));
    }
    if let Some(mut duration) = section.section("duration")? {
        let interval_name = duration.full_name("interval");
        let interval = duration.one_of("interval", &INTERVALS)?;
        let interval = interval.ok_or_else(|| Failure::missing_param(&interval_name))?;
        let count = duration.integer_from("interval_count", 1)?.unwrap_or(1);
        duration.finish()?;
        return next_end(start, &json!({"interval": interval, "interval_count": count}), start);
    }
    match item {
        Some(item) if is_last => next_end(start, &item["price"]["recurring"], start),
        _ => Err(Failure::missing_param(&name)),
    }
}

/// The items of a phase, each with its whole price.
fn items(tx: &Tx, schedule: &Value, section: &mut Params) -> Answer<Vec<Value>> {
    let name = section.full_name("items");
    let mut items = Vec::new();
    for mut item in section.sections("items")?.unwrap_or_default() {
        item.refuse(&["billing_thresholds", "discounts", "plan", "tax_rates"])?;
        let price_name = item.full_name("price");
        let price = price(tx, schedule, &mut item)?;
        if price["recurring"].is_null() || price["currency"] != schedule["phases"][0]["currency"] {
            let message = "The price must be recurring, and in the subscription's currency.";
            return Err(Failure::invalid(message).param(price_name));
        }
        let quantity = item.integer_from("quantity", 1)?.unwrap_or(1);
        let metadata = item.metadata(Value::Null)?;
        item.finish()?;
        items.push(json!({"price": price, "quantity": quantity, "metadata": metadata}));
    }
    if items.is_empty() {
        return Err(Failure::missing_param(&name));
    }
    if !cart::renew_together(items.iter().map(|item| &item["price"]["recurring"])) {
        let message = "The Stripe sandbox wants all items to have the same interval.";
        return Err(Failure::invalid(message).param(name));
    }
    Ok(items)
}

/// A price that the schedule has already may have been archived since.
fn price(tx: &Tx, schedule: &Value, item: &mut Params) -> Answer<Value> {
    let name = item.full_name("price");
    if let Some(id) = item.text("price")? {
        let phases = schedule["phases"].as_array().into_iter().flatten();
        let mut known = phases.flat_map(|phase| phase["items"].as_array().into_iter().flatten());
        if known.any(|known| known["price"] == json!(id)) {
            return tx.reference("price", &id, &name);
        }
        item.put("price", &id);
    }
    cart::price_of(tx, item)
}
