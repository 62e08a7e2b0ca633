//! The plans that are sold, by the catalog's numbers, and Stripe's objects read by them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::World;

/// A plan as it is sold. Each has a price of its own, by which Stripe's objects tell it.
pub struct Plan {
    pub name: &'static str,
    pub group: &'static str,
    price_minor: i64,
    /// With each week, or else with each invoice.
    pub is_weekly: bool,
    pub tokens: u64,
    /// Instead, while it is tried.
    pub tried: u64,
}

const PLANS: [Plan; 4] = [
    Plan { name: "weekly", group: "default", price_minor: 999, is_weekly: true, tokens: 70, tried: 0 },
    Plan { name: "tried", group: "default", price_minor: 799, is_weekly: true, tokens: 90, tried: 10 },
    Plan { name: "invoiced", group: "extra", price_minor: 1999, is_weekly: false, tokens: 300, tried: 0 },
    Plan { name: "larger", group: "extra", price_minor: 3999, is_weekly: false, tokens: 800, tried: 0 },
];

pub fn plan_of(subscription: &Value) -> Option<&'static Plan> {
    sold_for(subscription["items"]["data"][0]["price"]["unit_amount"].as_i64())
}

pub fn quantity_of(subscription: &Value) -> u64 {
    subscription["items"]["data"][0]["quantity"].as_u64().unwrap_or_default()
}

fn sold_for(price_minor: Option<i64>) -> Option<&'static Plan> {
    PLANS.iter().find(|plan| Some(plan.price_minor) == price_minor)
}

/// The plans, by the ids of their prices.
pub async fn prices(world: &World) -> BTreeMap<String, &'static Plan> {
    let prices = world.all("/v1/prices").await;
    let plan = |price: &Value| sold_for(price["unit_amount"].as_i64()).map(|plan| (named(price, "id"), plan));
    prices.iter().filter(|price| !price["recurring"].is_null()).filter_map(plan).collect()
}

pub fn named(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}
