//! What a customer can change a subscription to, and when that happens.

use serde_json::{Value, json};

use super::configurations;
use crate::failure::{Answer, Failure};
use crate::invoices::lines::amount_of;
use crate::tx::{Tx, id_of};

/// A price that the portal offers, with the quantities that can be had of it.
pub struct Offer {
    pub price: Value,
    pub product: Value,
    pub quantity: Value,
}

/// What a customer has chosen.
pub struct Choice {
    pub price: Value,
    pub quantity: i64,
    /// Now, or when the period ends.
    pub at_period_end: bool,
    /// What it is cheaper by, where the customer has a code.
    pub promotion: Option<Value>,
}

/// Only what has one item can be changed in the portal.
pub fn only_item(subscription: &Value) -> Answer<&Value> {
    match subscription["items"]["data"].as_array().map(Vec::as_slice) {
        Some([only]) => Ok(only),
        _ => Err(Failure::conflict("A subscription with several items cannot be changed in the portal.")),
    }
}

/// The prices of the configuration that can still be bought in the subscription's currency.
pub fn of(tx: &Tx, configuration: &Value, subscription: &Value) -> Answer<Vec<Offer>> {
    let mut offers = Vec::new();
    for listed in configurations::products(tx, id_of(configuration))?.as_array().into_iter().flatten() {
        let product = tx.find("product", listed["product"].as_str().unwrap_or_default())?;
        let Some(product) = product.filter(|product| product["active"] == json!(true)) else { continue };
        for id in listed["prices"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let Some(price) = tx.find("price", id)? else { continue };
            if price["active"] == json!(true) && price["currency"] == subscription["currency"] {
                let quantity = listed["adjustable_quantity"].clone();
                offers.push(Offer { price, product: product.clone(), quantity });
            }
        }
    }
    Ok(offers)
}

/// Checks a change of price, of quantity, or of both against what the configuration allows.
pub fn choose(
    tx: &Tx,
    configuration: &Value,
    subscription: &Value,
    price: Option<&str>,
    quantity: Option<i64>,
) -> Answer<Choice> {
    check_changeable(subscription)?;
    let feature = &configuration["features"]["subscription_update"];
    let item = only_item(subscription)?;
    let current = id_of(&item["price"]);
    let offers = of(tx, configuration, subscription)?;
    let wanted = price.unwrap_or(current);
    let offer = offers.into_iter().find(|offer| id_of(&offer.price) == wanted).ok_or_else(|| {
        let message =
            format!("The price {wanted} is not among those that the portal's configuration offers.");
        Failure::invalid(message).param("price")
    })?;
    let had = item["quantity"].as_i64().unwrap_or(1);
    let quantity = quantity.unwrap_or(had);
    if wanted == current && quantity == had {
        return Err(Failure::invalid("The subscription is as it would be after this change.").param("price"));
    }
    if wanted != current && !allows(feature, "price") {
        return Err(Failure::invalid("The portal's configuration lets no price be changed.").param("price"));
    }
    if quantity != had {
        check_quantity(&offer.quantity, quantity)?;
    }
    let at_period_end = waits(feature, item, &offer.price, quantity);
    Ok(Choice { price: offer.price, quantity, at_period_end, promotion: None })
}

pub fn allows(feature: &Value, update: &str) -> bool {
    feature["default_allowed_updates"].as_array().is_some_and(|allowed| allowed.contains(&json!(update)))
}

fn check_changeable(subscription: &Value) -> Answer<()> {
    let status = subscription["status"].as_str().unwrap_or_default();
    if !matches!(status, "active" | "past_due" | "trialing") {
        return Err(Failure::conflict(format!("A subscription that is {status} cannot be changed.")));
    }
    if !subscription["cancel_at"].is_null() {
        let message = "A subscription that is going to be canceled has to be renewed before it is changed.";
        return Err(Failure::conflict(message));
    }
    if !subscription["pause_collection"].is_null() {
        return Err(Failure::conflict("A subscription whose collection is paused cannot be changed."));
    }
    Ok(())
}

fn check_quantity(adjustable: &Value, quantity: i64) -> Answer<()> {
    if adjustable["enabled"] != json!(true) {
        return Err(Failure::invalid("The quantity of this product cannot be changed.").param("quantity"));
    }
    let least = adjustable["minimum"].as_i64().unwrap_or(1);
    let most = adjustable["maximum"].as_i64().unwrap_or(i64::MAX);
    if (least..=most).contains(&quantity) {
        return Ok(());
    }
    Err(Failure::invalid(format!("The quantity is at least {least} and at most {most}.")).param("quantity"))
}

/// Whether any condition holds under which the change has to wait for the period's end.
fn waits(feature: &Value, item: &Value, price: &Value, quantity: i64) -> bool {
    let conditions = feature["schedule_at_period_end"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| match condition["type"].as_str() {
        Some("decreasing_item_amount") => {
            amount_of(price, quantity) < amount_of(&item["price"], item["quantity"].as_i64().unwrap_or(1))
        }
        Some("shortening_interval") => days_of(price) < days_of(&item["price"]),
        _ => false,
    })
}

/// Enough to tell the longer of two intervals.
fn days_of(price: &Value) -> i64 {
    let count = price["recurring"]["interval_count"].as_i64().unwrap_or(1);
    count
        * match price["recurring"]["interval"].as_str() {
            Some("day") => 1,
            Some("week") => 7,
            Some("month") => 30,
            _ => 365,
        }
}
