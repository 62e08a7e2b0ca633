//! What people do where Tollgate does not see it: they pay on Stripe's pages, complain to their banks, and operators work
//! in Stripe's dashboard.

use fastrand::Rng;
use serde_json::{Value, json};

use crate::clients::Sale;
use crate::world::World;

const CARDS: [&str; 10] = [
    "4242424242424242",
    "4242424242424242",
    "4242424242424242",
    "4242424242424242",
    "4000000000000002",
    "4000000000009995",
    "4000000000005126",
    "4000000000007726",
    "4000000000000259",
    "4000000000001976",
];
/// Can be saved, and is declined when charged.
const DECLINES_LATER: &str = "4000000000000341";

/// Somebody does something. What Stripe refuses has no effect.
pub async fn act(world: &World, rng: &mut Rng, sales: &[Sale]) -> &'static str {
    match rng.u8(0..12) {
        0..7 => pay(world, rng, sales).await,
        7..9 => refund(world, rng).await,
        9 => dispute(world, rng).await,
        10 => decide(world, rng).await,
        _ => change_subscription(world, rng).await,
    }
}

async fn pay(world: &World, rng: &mut Rng, sales: &[Sale]) -> &'static str {
    // Mostly one of the latest.
    let Some(from) = sales.len().checked_sub(1) else { return "nothing to pay" };
    let index = from - rng.usize(0..sales.len().min(6));
    let card = CARDS[rng.usize(0..CARDS.len())];
    let path = format!("/_sandbox/checkout/{}/pay", sales[index].session);
    match world.stripe("POST", &path, json!({ "card": card })).await {
        Ok(_) => "paid",
        Err(_) => "could not pay",
    }
}

async fn refund(world: &World, rng: &mut Rng) -> &'static str {
    let Some(charge) = any(world, rng, "/v1/charges?limit=30").await else { return "nothing to refund" };
    let intent = charge["payment_intent"].as_str().unwrap_or_default();
    let amount = charge["amount"].as_i64().unwrap_or_default().max(1);
    let part = match rng.bool() {
        true => format!("&amount={}", rng.i64(1..=amount)),
        false => String::new(),
    };
    let form = Value::String(format!("payment_intent={intent}{part}"));
    match world.stripe("POST", "/v1/refunds", form).await {
        Ok(refund) if rng.u8(0..4) == 0 => {
            let path = format!("/_sandbox/refunds/{}/fail", refund["id"].as_str().unwrap_or_default());
            drop(world.stripe("POST", &path, Value::Null).await);
            "refunded, and that failed"
        }
        Ok(_) => "refunded in the dashboard",
        Err(_) => "could not refund",
    }
}

async fn dispute(world: &World, rng: &mut Rng) -> &'static str {
    let Some(charge) = any(world, rng, "/v1/charges?limit=30").await else { return "nothing to dispute" };
    let intent = charge["payment_intent"].as_str().unwrap_or_default();
    match world.stripe("POST", &format!("/_sandbox/payments/{intent}/dispute"), json!({})).await {
        Ok(_) => "disputed",
        Err(_) => "could not dispute",
    }
}

async fn decide(world: &World, rng: &mut Rng) -> &'static str {
    let Some(dispute) = any(world, rng, "/v1/disputes?limit=30").await else { return "nothing to decide" };
    let path = format!("/_sandbox/disputes/{}/resolve", dispute["id"].as_str().unwrap_or_default());
    let outcome = if rng.bool() { "won" } else { "lost" };
    match world.stripe("POST", &path, json!({ "outcome": outcome })).await {
        Ok(_) => "dispute decided",
        Err(_) => "dispute was decided before",
    }
}

async fn change_subscription(world: &World, rng: &mut Rng) -> &'static str {
    let Some(subscription) = any(world, rng, "/v1/subscriptions?limit=30").await else {
        return "no subscription to change";
    };
    let path = format!("/_sandbox/subscriptions/{}", subscription["id"].as_str().unwrap_or_default());
    let (deed, path, body) = match rng.u8(0..4) {
        0 => ("canceled", format!("{path}/cancel"), json!({})),
        1 => ("canceled at the period's end", format!("{path}/cancel"), json!({ "at_period_end": true })),
        2 => ("took a card that declines", format!("{path}/card"), json!({ "card": DECLINES_LATER })),
        _ => ("took a card that pays", format!("{path}/card"), json!({ "card": CARDS[0] })),
    };
    match world.stripe("POST", &path, body).await {
        Ok(_) => deed,
        Err(_) => "could not change a subscription",
    }
}

async fn any(world: &World, rng: &mut Rng, path: &str) -> Option<Value> {
    let page = world.stripe("GET", path, Value::Null).await.ok()?;
    let objects = page["data"].as_array()?;
    objects.get(rng.usize(0..objects.len().max(1))).cloned()
}
