//! Trials: how long they are, and what a subscription becomes that enters or leaves one.

use serde_json::{Value, json};

use super::set_period;
use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::periods::DAY;
use crate::tx::Tx;

const LONGEST_DAYS: i64 = 730;
const WITHOUT_METHOD: [&str; 3] = ["cancel", "create_invoice", "pause"];

/// Where a request wants the trial to end.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    Now,
    At(i64),
}

/// `trial_period_days`, `trial_end` and `trial_settings` of a subscription to be made, kept until it is made.
/// The end is so many seconds ahead at least.
pub fn wanted(tx: &Tx, params: &mut Params, ahead: i64) -> Answer<Value> {
    if params.has("trial_end") && params.has("trial_period_days") {
        let message = "You may only specify one of these parameters: trial_end, trial_period_days.";
        return Err(Failure::invalid(message).param(params.full_name("trial_end")));
    }
    let name = params.full_name("trial_period_days");
    let days = params.integer_from("trial_period_days", 1)?;
    if days.is_some_and(|days| days > LONGEST_DAYS) {
        let message = format!("A trial can be {LONGEST_DAYS} days long at most.");
        return Err(Failure::invalid(message).code("parameter_invalid_integer").param(name));
    }
    let end = match end(tx, params, ahead)? {
        Some(End::At(end)) => Some(end),
        Some(End::Now) | None => None,
    };
    Ok(json!({"days": days, "end": end, "settings": settings(params)?}))
}

/// `trial_end`: a timestamp, or `now`.
pub fn end(tx: &Tx, params: &mut Params, ahead: i64) -> Answer<Option<End>> {
    let name = params.full_name("trial_end");
    if params.is("trial_end", "now") {
        params.accept(&["trial_end"]);
        return Ok(Some(End::Now));
    }
    let Some(end) = params.integer("trial_end")? else { return Ok(None) };
    let message = match end - tx.now() {
        ..=0 => "Invalid timestamp: must be an integer Unix timestamp in the future.".to_owned(),
        left if left < ahead => {
            format!("The `trial_end` date has to be at least {} days in the future.", ahead / DAY)
        }
        left if left > LONGEST_DAYS * DAY => {
            format!("Invalid trial_end: a trial can be {LONGEST_DAYS} days long at most.")
        }
        _ => return Ok(Some(End::At(end))),
    };
    Err(Failure::invalid(message).param(name))
}

/// `trial_settings`; null if there are none.
pub fn settings(params: &mut Params) -> Answer<Value> {
    let Some(mut settings) = params.section("trial_settings")? else { return Ok(Value::Null) };
    let name = settings.full_name("end_behavior");
    let mut behavior = settings.section("end_behavior")?.ok_or_else(|| Failure::missing_param(&name))?;
    behavior.refuse(&["billing_cycle_anchor"])?;
    let choice = behavior.one_of("missing_payment_method", &WITHOUT_METHOD)?;
    let choice = choice.unwrap_or_else(|| "create_invoice".into());
    behavior.finish()?;
    settings.finish()?;
    Ok(json!({"end_behavior": {"missing_payment_method": choice}}))
}

/// When a trial ends that would begin now; `None` if what was wanted is none.
pub fn end_from_now(tx: &Tx, wanted: &Value) -> Option<i64> {
    let counted = wanted["days"].as_i64().map(|days| tx.now() + days * DAY);
    counted.or(wanted["end"].as_i64()).filter(|end| *end > tx.now())
}

/// How many days a trial would last that began now, the last one not always whole.
pub fn days_from_now(tx: &Tx, wanted: &Value) -> Option<i64> {
    let seconds = end_from_now(tx, wanted)? - tx.now();
    Some((seconds + DAY - 1) / DAY)
}

/// From now on it is a trial. What is paid for is counted from when it is paid for.
pub fn begin(tx: &Tx, subscription: &mut Value, end: i64) {
    subscription["status"] = json!("trialing");
    subscription["trial_start"] = json!(tx.now());
    move_end(subscription, tx.now(), end);
}

/// The trial it is in ends at another moment.
pub fn move_end(subscription: &mut Value, start: i64, end: i64) {
    subscription["trial_end"] = json!(end);
    subscription["billing_cycle_anchor"] = json!(end);
    set_period(subscription, start, end);
}

pub fn missing_method(subscription: &Value) -> &str {
    let behavior = &subscription["trial_settings"]["end_behavior"];
    behavior["missing_payment_method"].as_str().unwrap_or("create_invoice")
}
