//! Pauses: of a subscription whose trial ended without a way to pay, and of the collection of invoices.

use serde_json::{Value, json};

use super::cycle::{self, Billed, Proration, bill};
use super::{KIND, Payment, get_alive, method_of, recurring, set_hidden, set_period, update};
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::invoices::issue::{self, Draft};
use crate::invoices::{self, lines};
use crate::params::Params;
use crate::periods::{self, HOUR};
use crate::renewals;
use crate::tx::{Tx, id_of};

/// How long the invoice of a resumption waits to be paid.
const RESUMPTION_WAITS: i64 = 23 * HOUR;
const BEHAVIORS: [&str; 3] = ["keep_as_draft", "mark_uncollectible", "void"];

/// The trial is over, and there is nothing to charge.
pub fn pause(tx: &Tx, before: &Value) -> Answer<()> {
    let mut after = before.clone();
    after["status"] = json!("paused");
    after["status_details"] = json!({"paused": {
        "subscription": {"type": "trial_end_without_payment_method"},
        "transitioned_at": tx.now(),
        "type": "subscription",
    }});
    update(tx, before, &after)?;
    tx.emit("customer.subscription.paused", &after)
}

/// Whether only a payment ends the pause, and not an attempt already: hidden, beside what is shown.
const ENDS_PAID: &str = "resumes_on_payment_success";

/// `POST /v1/subscriptions/{id}/resume`. What is due for that is invoiced, and decides.
pub fn resume(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let before = get_alive(tx, call.id)?;
    if before["status"] != json!("paused") {
        let message = "This subscription cannot be resumed, because its status is not `paused`.";
        return Err(Failure::conflict(message));
    }
    let behaviors = ["resume_on_payment_attempt", "resume_on_payment_success"];
    let ends_paid = params.one_of("payment_behavior", &behaviors)?.as_deref() == Some(behaviors[1]);
    params.refuse(&["proration_date"])?;
    let anchor = anchor(&mut params)?;
    let proration = cycle::proration(&mut params)?.unwrap_or(Proration::NextInvoice);
    params.finish()?;
    // The invoice of an earlier try is not paid any more.
    abandon_resumption(tx, &before)?;
    set_hidden(tx, &before, ENDS_PAID, &json!(ends_paid))?;
    let mut after = before.clone();
    let billed = match anchor.as_deref() {
        Some("unchanged") => rejoin(tx, &mut after, proration)?,
        _ => {
            cycle::restart(tx, &mut after)?;
            Billed { lines: lines::regular(tx, &after, "")?, at_once: true }
        }
    };
    let waits = billed.at_once && !billed.lines.is_empty();
    let payment = if method_of(tx, &before)?.is_some() { Payment::Attempted } else { Payment::Awaited };
    let resuming = bill(tx, &before, after, billed, payment)?;
    if !waits {
        go_on(tx, &resuming, "active")?;
    }
    let resumed = tx.get(KIND, call.id)?;
    renewals::set_alarm(tx, &resumed)?;
    Ok(resumed)
}

/// `now` or `unchanged`, by itself or as a `type`.
pub fn anchor(params: &mut Params) -> Answer<Option<String>> {
    let words = ["now", "unchanged"];
    if !params.is_section("billing_cycle_anchor") {
        return params.one_of("billing_cycle_anchor", &words);
    }
    let Some(mut section) = params.section("billing_cycle_anchor")? else { return Ok(None) };
    let word = section.one_of("type", &words)?;
    section.finish()?;
    Ok(word)
}

/// The period that the subscription would be in had it never been paused, the rest of which is paid for.
fn rejoin(tx: &Tx, after: &mut Value, proration: Proration) -> Answer<Billed> {
    let anchor = after["billing_cycle_anchor"].as_i64().unwrap_or(0);
    let (start, end) = periods::around(anchor, recurring(after), tx.now())?;
    set_period(after, start, end);
    let mut billed = Vec::new();
    let costs = cycle::costs_now(tx, after)?;
    for item in cycle::items_of(after).iter().filter(|_| proration != Proration::None) {
        billed.extend(lines::proration(tx, after, None, Some(cycle::cost(&costs, item)), tx.now())?);
    }
    set_hidden(tx, after, "billed", &costs)?;
    Ok(Billed { lines: billed, at_once: proration == Proration::AtOnce })
}

/// It is paused no longer.
pub fn go_on(tx: &Tx, before: &Value, status: &str) -> Answer<()> {
    let mut after = before.clone();
    after["status"] = json!(status);
    after["status_details"] = Value::Null;
    update(tx, before, &after)?;
    tx.emit("customer.subscription.resumed", &after)
}

/// An attempt to pay for the resumption has failed.
pub fn payment_failed(tx: &Tx, before: &Value, exhausted: bool) -> Answer<()> {
    match (stays_until_paid(tx, before)?, exhausted) {
        (false, _) => go_on(tx, before, "past_due"),
        (true, true) => abandon_resumption(tx, before),
        (true, false) => Ok(()),
    }
}

/// A bank has been asked to pay for it.
pub fn payment_processing(tx: &Tx, before: &Value) -> Answer<()> {
    if stays_until_paid(tx, before)? { Ok(()) } else { go_on(tx, before, "active") }
}

fn stays_until_paid(tx: &Tx, subscription: &Value) -> Answer<bool> {
    Ok(tx.hidden(KIND, id_of(subscription))?[ENDS_PAID] == json!(true))
}

/// When a paused subscription ceases to wait for the invoice of its resumption; `None` while that is still to be
/// charged again, or a bank is at it.
pub fn resumption_until(tx: &Tx, subscription: &Value) -> Answer<Option<i64>> {
    let Some(invoice) = open_resumption(tx, subscription)? else { return Ok(None) };
    if invoice["next_payment_attempt"].is_i64() || invoices::is_processing(tx, &invoice)? {
        return Ok(None);
    }
    Ok(invoice["created"].as_i64().map(|created| created + RESUMPTION_WAITS))
}

/// That moment has come.
pub fn end_wait(tx: &Tx, subscription: &Value) -> Answer<()> {
    match resumption_until(tx, subscription)? {
        Some(until) if until <= tx.now() => abandon_resumption(tx, subscription),
        _ => Ok(()),
    }
}

fn abandon_resumption(tx: &Tx, subscription: &Value) -> Answer<()> {
    let Some(invoice) = open_resumption(tx, subscription)? else { return Ok(()) };
    invoices::check_not_processing(tx, &invoice)?;
    invoices::annul(tx, invoice).map(drop)
}

fn open_resumption(tx: &Tx, subscription: &Value) -> Answer<Option<Value>> {
    let latest = subscription["latest_invoice"].as_str().unwrap_or_default();
    Ok(tx.find(invoices::KIND, latest)?.filter(|invoice| invoice["status"] == json!("open")))
}

/// `pause_collection`: invoices go on to be made, and are not collected.
pub fn take_collection(tx: &Tx, subscription: &mut Value, params: &mut Params) -> Answer<()> {
    if params.is_cleared("pause_collection") {
        params.accept(&["pause_collection"]);
        subscription["pause_collection"] = Value::Null;
    }
    let Some(mut section) = params.section("pause_collection")? else { return Ok(()) };
    let name = section.full_name("behavior");
    let behavior = section.one_of("behavior", &BEHAVIORS)?.ok_or_else(|| Failure::missing_param(&name))?;
    let name = section.full_name("resumes_at");
    let resumes_at = section.integer("resumes_at")?;
    if resumes_at.is_some_and(|at| at <= tx.now()) {
        let message = "The `resumes_at` timestamp must be in the future.";
        return Err(Failure::invalid(message).param(name));
    }
    section.finish()?;
    subscription["pause_collection"] = json!({"behavior": behavior, "resumes_at": resumes_at});
    Ok(())
}

/// The time has come to collect again.
pub fn resume_collection(tx: &Tx, before: &Value) -> Answer<()> {
    let mut after = before.clone();
    after["pause_collection"] = Value::Null;
    update(tx, before, &after)
}

/// Whether a subscription's invoices are collected by nobody.
pub fn holds_back(subscription: &Value) -> bool {
    !subscription["pause_collection"].is_null() || subscription["status"] == json!("unpaid")
}

/// An invoice that is not collected: what it becomes instead.
pub fn issue_held_back(tx: &Tx, subscription: &Value, draft: Draft) -> Answer<Value> {
    let behavior = match subscription["pause_collection"]["behavior"].as_str() {
        Some(behavior) if subscription["status"] != json!("unpaid") => behavior,
        _ => "keep_as_draft",
    };
    if behavior == "keep_as_draft" {
        return issue::draft_to_stay(tx, subscription, draft);
    }
    let invoice = issue::issue(tx, subscription, draft, None)?;
    match behavior {
        _ if invoice["status"] != json!("open") => Ok(invoice),
        "void" => invoices::annul(tx, invoice),
        _ => mark_uncollectible(tx, invoice),
    }
}

fn mark_uncollectible(tx: &Tx, mut invoice: Value) -> Answer<Value> {
    invoice["auto_advance"] = json!(false);
    invoice["status"] = json!("uncollectible");
    invoice["status_transitions"]["marked_uncollectible_at"] = json!(tx.now());
    tx.save(&invoice)?;
    tx.clear_alarm(&invoice)?;
    tx.emit("invoice.marked_uncollectible", &invoice)?;
    Ok(invoice)
}
