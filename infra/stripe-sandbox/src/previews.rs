//! `POST /v1/invoices/create_preview`: what would be billed. It is done, looked at, and undone, so that nothing
//! is previewed that would not come to pass.

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::invoices::{self, issue};
use crate::params::Params;
use crate::renewals;
use crate::schedules;
use crate::subscriptions::{self, Payment, Rest, change, create, cycle};
use crate::tx::{Tx, id_of};

const UNSUPPORTED: [&str; 8] = [
    "customer_account",
    "customer_details",
    "invoice_items",
    "issuer",
    "on_behalf_of",
    "preview_mode",
    "schedule",
    "schedule_details",
];
const UNSUPPORTED_DETAILS: [&str; 7] = [
    "billing_schedules",
    "default_tax_rates",
    "metadata",
    "pause",
    "resume_at",
    "start_date",
    "billing_mode",
];

pub fn create(call: Call) -> Answer<Value> {
    call.tx.undone(|tx| preview(tx, call.params))
}

fn preview(tx: &Tx, mut params: Params) -> Answer<Value> {
    if params.is("preview_mode", "next") {
        params.accept(&["preview_mode"]);
    }
    params.refuse(&UNSUPPORTED)?;
    let customer = params.text("customer")?;
    if let Some(customer) = &customer {
        tx.reference("customer", customer, "customer")?;
    }
    let details = params.section("subscription_details")?.unwrap_or_default();
    details.refuse(&UNSUPPORTED_DETAILS)?;
    let invoice = match (params.text("subscription")?, customer) {
        (Some(id), customer) => {
            let subscription = tx.reference(subscriptions::KIND, &id, "subscription")?;
            if customer.is_some_and(|customer| subscription["customer"] != json!(customer)) {
                let message = "The subscription is another customer's.";
                return Err(Failure::invalid(message).param("customer"));
            }
            params.refuse(&["automatic_tax"])?;
            params.currency("currency")?;
            let mut discounted = subscription.clone();
            change::take_discounts(tx, &mut discounted, &mut params)?;
            tx.save(&discounted)?;
            params.finish()?;
            of_existing(tx, &discounted, details)?
        }
        (None, Some(customer)) if details.has("items") => {
            let mut details = details;
            for name in ["automatic_tax", "discounts"] {
                details.adopt(&mut params, name);
            }
            params.currency("currency")?;
            params.finish()?;
            of_new(tx, &json!(customer), details)?
        }
        (None, _) if details.has("items") => return Err(Failure::missing_param("customer")),
        _ => return Err(too_little()),
    };
    shown(tx, invoice)
}

/// The first invoice of a subscription that is not there yet.
fn of_new(tx: &Tx, customer: &Value, mut details: Params) -> Answer<Value> {
    let order = create::order(tx, customer, &mut details)?;
    details.accept(&["proration_behavior"]);
    details.finish()?;
    let subscription = create::start(tx, customer, &order, None, Payment::Awaited)?;
    latest_invoice(tx, &subscription)
}

/// What a change costs at once, or else the next invoice as it would be after the change.
fn of_existing(tx: &Tx, before: &Value, mut details: Params) -> Answer<Value> {
    if subscriptions::has_ended(before) {
        return Err(none_upcoming(before));
    }
    let proration_date = details.has("proration_date");
    if proration_date && details.is("proration_behavior", "none") {
        let message = "You cannot set `proration_date` when `proration_behavior` is `none`.";
        let name = details.full_name("proration_date");
        return Err(Failure::invalid(message).param(name));
    }
    let after = match details.boolean("cancel_now")? == Some(true) {
        true => canceled(tx, before, details)?,
        false => changed(tx, before, details)?,
    };
    if after["latest_invoice"] != before["latest_invoice"] {
        return latest_invoice(tx, &after);
    }
    upcoming(tx, &after)
}

fn changed(tx: &Tx, before: &Value, mut details: Params) -> Answer<Value> {
    let mut after = before.clone();
    let billed = change::rework(tx, before, &mut after, &mut details)?;
    details.finish()?;
    let after = cycle::bill(tx, before, after, billed, Payment::Awaited)?;
    schedules::course::follow(tx, before, &after)?;
    Ok(after)
}

fn canceled(tx: &Tx, before: &Value, mut details: Params) -> Answer<Value> {
    let terms = cycle::Terms::read(tx, before, &mut details)?;
    details.finish()?;
    let rest =
        Rest { prorate: terms.proration != cycle::Proration::None, invoice_now: true, from: terms.from };
    let after = subscriptions::settle_rest(tx, before, before.clone(), rest, Payment::Awaited)?;
    subscriptions::cancel_now(tx, after)
}

/// The invoice that time brings about.
fn upcoming(tx: &Tx, subscription: &Value) -> Answer<Value> {
    let id = id_of(subscription);
    let mut now = subscription.clone();
    while !subscriptions::has_ended(&now) && now["status"] != json!("paused") {
        let Some(next) = next_moment(tx, &now)? else { break };
        let then = tx.at(next);
        let phase_ends = schedules::course::current_end(tx, &now)? == Some(next);
        if subscriptions::period_of(&now).1 <= next || now["cancel_at"].as_i64().is_some_and(|at| at <= next)
        {
            renewals::go_on_with_subscription(&then, id)?;
        } else if phase_ends {
            schedules::course::go_on(&then, now["schedule"].as_str().unwrap_or_default())?;
        }
        now = tx.get(subscriptions::KIND, id)?;
        if now["latest_invoice"] != subscription["latest_invoice"] {
            return latest_invoice(tx, &now);
        }
    }
    Err(none_upcoming(subscription))
}

/// When a period, a phase or the subscription itself ends next.
fn next_moment(tx: &Tx, subscription: &Value) -> Answer<Option<i64>> {
    if subscription["status"] == json!("incomplete") {
        return Ok(None);
    }
    let period_end = Some(subscriptions::period_of(subscription).1);
    let phase_end = schedules::course::current_end(tx, subscription)?;
    Ok([period_end, phase_end, subscription["cancel_at"].as_i64()].into_iter().flatten().min())
}

fn latest_invoice(tx: &Tx, subscription: &Value) -> Answer<Value> {
    tx.get(invoices::KIND, subscription["latest_invoice"].as_str().unwrap_or_default())
}

/// A draft that nobody has numbered, charged or given a page.
fn shown(tx: &Tx, mut invoice: Value) -> Answer<Value> {
    if invoice["status"] == json!("draft") {
        issue::set_against_balance(tx, &mut invoice)?;
    }
    if let Some(line) = last_proration(&invoice) {
        let from = line["period"]["start"].clone();
        invoice["parent"]["subscription_details"]["subscription_proration_date"] = from;
    }
    let id = json!(format!("upcoming_{}", id_of(&invoice)));
    invoice["lines"]["url"] = json!(format!("/v1/invoices/upcoming_{}/lines", id_of(&invoice)));
    for line in invoice["lines"]["data"].as_array_mut().into_iter().flatten() {
        line["id"] = json!(id_of(line).replacen("il_", "il_tmp_", 1));
        line["invoice"] = id.clone();
    }
    invoice["id"] = id;
    invoice["amount_paid"] = json!(0);
    invoice["amount_remaining"] = invoice["amount_due"].clone();
    invoice["attempt_count"] = json!(0);
    invoice["attempted"] = json!(false);
    invoice["auto_advance"] = json!(true);
    invoice["status"] = json!("draft");
    for name in [
        "automatically_finalizes_at",
        "effective_at",
        "hosted_invoice_url",
        "invoice_pdf",
        "number",
        "webhooks_delivered_at",
    ] {
        invoice[name] = Value::Null;
    }
    for name in ["finalized_at", "marked_uncollectible_at", "paid_at", "voided_at"] {
        invoice["status_transitions"][name] = Value::Null;
    }
    Ok(invoice)
}

fn last_proration(invoice: &Value) -> Option<&Value> {
    let is_proration =
        |line: &&Value| line["parent"]["subscription_item_details"]["proration"] == json!(true);
    invoice["lines"]["data"].as_array()?.iter().rfind(is_proration)
}

fn none_upcoming(subscription: &Value) -> Failure {
    let customer = subscription["customer"].as_str().unwrap_or_default();
    let failure = Failure::invalid(format!("No upcoming invoices for customer: {customer}"));
    let mut failure = failure.code("invoice_upcoming_none");
    failure.status = 404;
    failure
}

fn too_little() -> Failure {
    Failure::invalid(
        "You must provide at least one of: `subscription`, `schedule`, `subscription_details.items`, \
         `schedule_details.phases`, `invoice_items`.",
    )
}
