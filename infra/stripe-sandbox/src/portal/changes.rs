//! Changes of plan: proposed, made at once or when the period ends, and taken back while they wait.

use serde_json::{Value, json};

use super::deeds::{get, own_subscription, post};
use super::offers::{self, Choice};
use super::sessions::Visit;
use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::subscriptions::period_of;
use crate::tx::{Tx, id_of};

/// A change before it is made.
pub struct Proposal {
    pub subscription: Value,
    pub choice: Choice,
    /// What is billed for it first; nothing is known of that where the change waits.
    pub bill: Option<Value>,
}

pub fn propose(tx: &Tx, visit: &Visit, mut fields: Params) -> Answer<Proposal> {
    let (subscription, choice) = wanted(tx, visit, &mut fields)?;
    fields.finish()?;
    if choice.at_period_end {
        return Ok(Proposal { subscription, choice, bill: None });
    }
    let mut details = terms(visit, &subscription, &choice)?;
    let discounts = details.as_object_mut().and_then(|details| details.remove("discounts"));
    let mut call = json!({"subscription": subscription["id"], "subscription_details": details});
    if let Some(discounts) = discounts {
        call["discounts"] = discounts;
    }
    let bill = post(tx, "invoices/create_preview", call)?;
    Ok(Proposal { subscription, choice, bill: Some(bill) })
}

/// Another price, another quantity, or both.
pub fn make(tx: &Tx, visit: &Visit, fields: &mut Params) -> Answer<()> {
    let (subscription, choice) = wanted(tx, visit, fields)?;
    release(tx, &subscription)?;
    if choice.at_period_end {
        return schedule(tx, &subscription, &choice);
    }
    // What cannot be paid is not changed.
    let mut call = terms(visit, &subscription, &choice)?;
    call["payment_behavior"] = json!("error_if_incomplete");
    post(tx, &format!("subscriptions/{}", id_of(&subscription)), call).map(drop)
}

fn wanted(tx: &Tx, visit: &Visit, fields: &mut Params) -> Answer<(Value, Choice)> {
    visit.demand("subscription_update")?;
    let subscription = own_subscription(tx, visit, fields)?;
    let price = fields.clearable("price")?.flatten();
    if fields.is_cleared("quantity") {
        fields.accept(&["quantity"]);
    }
    let quantity = fields.integer_from("quantity", 1)?;
    let mut choice = offers::choose(tx, &visit.configuration, &subscription, price.as_deref(), quantity)?;
    if let Some(code) = fields.clearable("promotion_code")?.flatten() {
        choice.promotion = Some(promotion(tx, visit, &code)?);
    }
    Ok((subscription, choice))
}

/// The promotion that a customer has a code of.
fn promotion(tx: &Tx, visit: &Visit, code: &str) -> Answer<Value> {
    if !offers::allows(visit.feature("subscription_update"), "promotion_code") {
        let message = "This portal's configuration takes no promotion codes.";
        return Err(Failure::invalid(message).param("promotion_code"));
    }
    let found = get(tx, "promotion_codes", json!({"active": "true", "code": code}))?;
    let promotion = found["data"].as_array().and_then(|found| found.first()).cloned();
    promotion.ok_or_else(|| Failure::invalid("This code is invalid.").param("promotion_code"))
}

fn terms(visit: &Visit, subscription: &Value, choice: &Choice) -> Answer<Value> {
    let feature = visit.feature("subscription_update");
    let item = offers::only_item(subscription)?;
    let mut terms = json!({
        "items": [{"id": item["id"], "price": choice.price["id"], "quantity": choice.quantity.to_string()}],
        "proration_behavior": feature["proration_behavior"],
    });
    if let Some(promotion) = &choice.promotion {
        terms["discounts"] = json!([{"promotion_code": promotion["id"]}]);
    }
    let ends_trial = feature["trial_update_behavior"] == json!("end_trial");
    if subscription["status"] == json!("trialing") && ends_trial {
        terms["trial_end"] = json!("now");
    }
    Ok(terms)
}

/// What is there until the period ends, and one period of what was chosen; then the schedule lets go.
fn schedule(tx: &Tx, subscription: &Value, choice: &Choice) -> Answer<()> {
    let schedule = post(tx, "subscription_schedules", json!({"from_subscription": id_of(subscription)}))?;
    let (start, end) = period_of(subscription);
    let start = schedule["phases"][0]["start_date"].as_i64().unwrap_or(start);
    let item = offers::only_item(subscription)?;
    let had = item["quantity"].as_i64().unwrap_or(1);
    let recurring = &choice.price["recurring"];
    let mut call = json!({
        "end_behavior": "release",
        "phases": [
            {
                "items": [{"price": item["price"]["id"], "quantity": had.to_string()}],
                "start_date": start.to_string(),
                "end_date": end.to_string(),
            },
            {
                "items": [{"price": choice.price["id"], "quantity": choice.quantity.to_string()}],
                "duration": {
                    "interval": recurring["interval"],
                    "interval_count": recurring["interval_count"].to_string(),
                },
                "proration_behavior": "none",
            },
        ],
    });
    if let Some(promotion) = &choice.promotion {
        call["phases"][1]["discounts"] = json!([{"promotion_code": promotion["id"]}]);
    }
    post(tx, &format!("subscription_schedules/{}", id_of(&schedule)), call).map(drop)
}

/// A change that waits for the period's end does not happen after all.
pub fn take_back(tx: &Tx, visit: &Visit, fields: &mut Params) -> Answer<()> {
    visit.demand("subscription_update")?;
    let subscription = own_subscription(tx, visit, fields)?;
    if subscription["schedule"].is_null() {
        return Err(Failure::conflict("No change of this subscription is waiting."));
    }
    release(tx, &subscription)
}

pub fn release(tx: &Tx, subscription: &Value) -> Answer<()> {
    match subscription["schedule"].as_str() {
        Some(schedule) => {
            post(tx, &format!("subscription_schedules/{schedule}/release"), json!({})).map(drop)
        }
        None => Ok(()),
    }
}
