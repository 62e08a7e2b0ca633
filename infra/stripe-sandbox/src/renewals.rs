//! What time makes of subscriptions and invoices: periods move on, trials end, renewals are charged, and
//! charged again.

use serde_json::{Value, json};

use crate::failure::Answer;
use crate::ids;
use crate::invoices::{self, collect, issue, lines};
use crate::periods::{DAY, HOUR, next_end};
use crate::schedules;
use crate::subscriptions::{self, pausing, standing, trials};
use crate::tx::Tx;

/// How long a first invoice may stay unpaid.
const INCOMPLETE_FOR: i64 = 23 * HOUR;
const TRIAL_NOTICE: i64 = 3 * DAY;
const TRIAL_WILL_END: &str = "customer.subscription.trial_will_end";

/// Sets the alarm to what happens to a subscription next.
pub fn set_alarm(tx: &Tx, subscription: &Value) -> Answer<()> {
    if subscriptions::has_ended(subscription) {
        return tx.clear_alarm(subscription);
    }
    let at = |name: &str| subscription[name].as_i64();
    let moments = match subscription["status"].as_str() {
        Some("incomplete") => vec![at("created").map(|created| created + INCOMPLETE_FOR)],
        Some("paused") => vec![at("cancel_at"), pausing::resumption_until(tx, subscription)?],
        _ => vec![
            notice_at(subscription).filter(|notice| *notice > tx.now()),
            Some(subscriptions::period_of(subscription).1),
            at("cancel_at"),
            subscription["pause_collection"]["resumes_at"].as_i64(),
        ],
    };
    match moments.into_iter().flatten().min() {
        Some(next) => tx.set_alarm(subscription, next * 1000),
        None => tx.clear_alarm(subscription),
    }
}

fn notice_at(subscription: &Value) -> Option<i64> {
    let trialing = subscription["status"] == json!("trialing");
    subscription["trial_end"].as_i64().filter(|_| trialing).map(|end| end - TRIAL_NOTICE)
}

/// A trial shorter than the notice is told of when it starts.
pub fn tell_of_short_trial(tx: &Tx, subscription: &Value) -> Answer<()> {
    match notice_at(subscription) {
        Some(notice) if notice <= tx.now() => tx.emit(TRIAL_WILL_END, subscription),
        _ => Ok(()),
    }
}

/// A trial that a change ends, or moves to within the notice, is told of then.
pub fn tell_of_moved_trial(tx: &Tx, before: &Value, after: &Value) -> Answer<()> {
    let in_trial = |subscription: &Value| subscription["status"] == json!("trialing");
    match (in_trial(before), in_trial(after)) {
        (true, false) => tx.emit(TRIAL_WILL_END, after),
        (_, true) if before["trial_end"] != after["trial_end"] => tell_of_short_trial(tx, after),
        _ => Ok(()),
    }
}

/// A subscription's alarm has rung.
pub fn go_on_with_subscription(tx: &Tx, id: &str) -> Answer<()> {
    let subscription = tx.get(subscriptions::KIND, id)?;
    if subscriptions::has_ended(&subscription) {
        return Ok(());
    }
    if subscription["status"] == json!("incomplete") {
        return standing::expire_incomplete(tx, &subscription);
    }
    let is_due = |at: &Value| at.as_i64().is_some_and(|at| at <= tx.now());
    if is_due(&subscription["cancel_at"]) {
        return subscriptions::end(tx, subscription).map(drop);
    }
    if subscription["status"] == json!("paused") {
        pausing::end_wait(tx, &subscription)?;
        return set_alarm(tx, &subscription);
    }
    if is_due(&subscription["pause_collection"]["resumes_at"]) {
        return pausing::resume_collection(tx, &subscription);
    }
    if is_due(&json!(subscriptions::period_of(&subscription).1)) {
        return go_on(tx, &subscription);
    }
    tx.emit(TRIAL_WILL_END, &subscription)?;
    set_alarm(tx, &subscription)
}

/// The period is over. A trial without a way to pay is not always followed by another one.
fn go_on(tx: &Tx, before: &Value) -> Answer<()> {
    let was_trial = before["status"] == json!("trialing");
    if was_trial && subscriptions::method_of(tx, before)?.is_none() {
        match trials::missing_method(before) {
            "cancel" => return subscriptions::end(tx, before.clone()).map(drop),
            "pause" => return pausing::pause(tx, before),
            _ => {}
        }
    }
    renew(tx, before)
}

/// The next period begins, the first that is paid for if a trial is over, and another phase with it if one is
/// due; its invoice waits for an hour.
fn renew(tx: &Tx, before: &Value) -> Answer<()> {
    let (start, end) = subscriptions::period_of(before);
    let mut after = before.clone();
    if before["status"] == json!("trialing") {
        after["status"] = json!("active");
    }
    let entered = schedules::course::enter_with_period(tx, &mut after)?;
    if after["status"] != json!("trialing") {
        let anchor = after["billing_cycle_anchor"].as_i64().unwrap_or(end);
        let next = next_end(anchor, subscriptions::recurring(&after), end)?;
        subscriptions::set_period(&mut after, end, next);
    }
    let invoice = ids::fresh("in");
    after["latest_invoice"] = json!(invoice);
    subscriptions::update(tx, before, &after)?;
    if let Some(entered) = entered {
        schedules::course::entered(tx, &entered)?;
    }
    let mut billed = lines::put_onto(subscriptions::pending_lines(tx, &after)?, &invoice);
    subscriptions::set_pending_lines(tx, &after, &[])?;
    billed.extend(lines::regular(tx, &after, &invoice)?);
    let draft =
        issue::Draft { id: &invoice, reason: "subscription_cycle", lines: billed, period: (start, end) };
    match pausing::holds_back(&after) {
        true => pausing::issue_held_back(tx, &after, draft).map(drop),
        false => issue::draft_for_an_hour(tx, &after, draft),
    }
}

/// An invoice's alarm has rung: a draft is finalised, and what is open is charged.
pub fn go_on_with_invoice(tx: &Tx, id: &str) -> Answer<()> {
    let mut invoice = tx.get(invoices::KIND, id)?;
    if invoice["auto_advance"] != json!(true) {
        return Ok(());
    }
    if invoice["status"] == json!("draft") {
        invoice = issue::finalize(tx, invoice, None)?;
    }
    if invoice["status"] != json!("open") {
        return Ok(());
    }
    let method = collect::method_for(tx, &invoice)?;
    let failed = collect::charge(tx, invoice, method, collect::Asked::OnSchedule)?;
    if let Some(error) = failed {
        tracing::info!(invoice = id, code = error["decline_code"].as_str(), "a renewal was declined");
    }
    Ok(())
}
