//! What people do where Tollgate does not see it: they pay on Stripe's pages, complain to their banks, and operators work
//! in Stripe's dashboard.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::clients::Sale;
use crate::mail::{Letter, Mail, batch};
use crate::selling::any_method;
use crate::world::World;

const CARDS: [&str; 11] = [
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
    ASKS,
];
/// Asks for authentication.
const ASKS: &str = "4000002500003155";
/// Can be saved, and is declined when charged.
const DECLINES_LATER: &str = "4000000000000341";

/// What happened while functions were running.
pub struct Meanwhile {
    pub deeds: Vec<&'static str>,
    /// What Stripe told of it, where that was handled at once, and how.
    pub handled: Option<(Vec<Letter>, SqsBatchResponse)>,
}

/// Whoever runs may have asked Stripe before this or after it, and may write after those who heard of it later.
pub async fn meanwhile(
    world: &World,
    rng: &mut Rng,
    mail: &mut Mail,
    baskets: &mut Vec<Sale>,
    wavering: Option<&str>,
) -> Meanwhile {
    pause(rng).await;
    let mut deeds = Vec::new();
    if rng.bool() {
        deeds.extend(pay(world, rng, baskets).await);
    }
    if rng.u8(0..4) == 0 {
        deeds.push(act(world, rng).await);
    }
    if let Some(subscription) = wavering {
        deeds.push(waver(world, rng, subscription).await);
    }
    let heard = mail.collect(world, rng).await;
    if heard == 0 || (wavering.is_none() && rng.bool()) {
        return Meanwhile { deeds, handled: None };
    }
    let letters = mail.receive_latest(heard);
    let answer = world.credit().handle(batch(&letters), world.clock.now()).await;
    Meanwhile { deeds, handled: Some((letters, answer)) }
}

/// As long as a few calls take.
async fn pause(rng: &mut Rng) {
    tokio::time::sleep(Duration::from_millis(rng.u64(0..120))).await;
}

/// Cancels a subscription, and takes that back.
async fn waver(world: &World, rng: &mut Rng, subscription: &str) -> &'static str {
    let path = format!("/_sandbox/subscriptions/{subscription}/cancel");
    if world.stripe("POST", &path, json!({ "at_period_end": true })).await.is_err() {
        return "could not change a subscription";
    }
    pause(rng).await;
    let (path, form) = (format!("/v1/subscriptions/{subscription}"), "cancel_at_period_end=false");
    match world.stripe("POST", &path, Value::String(form.to_owned())).await {
        Ok(_) => "canceled, and taken back",
        Err(_) => "could not change a subscription",
    }
}

pub async fn any_subscription(world: &World, rng: &mut Rng) -> Option<String> {
    let subscription = any(world, rng, "/v1/subscriptions?limit=30").await?;
    subscription["id"].as_str().map(str::to_owned)
}

/// One of the buyers who are on Stripe's page, or on the app's own, pays, or tries to.
pub async fn pay(world: &World, rng: &mut Rng, baskets: &mut Vec<Sale>) -> Option<&'static str> {
    // Mostly one who has just come.
    let index = baskets.len().checked_sub(1)?.saturating_sub(rng.usize(0..3));
    let id = baskets[index].id.clone();
    let paid = match id.split('_').next() {
        Some("sub") => pay_first_invoice(world, rng, &id).await,
        Some("pi") => confirm(world, rng, &id).await,
        _ => pay_on_page(world, rng, &id).await,
    };
    let deed = match paid {
        Ok(deed) => deed,
        Err(error) if error["error"]["type"] == "card_error" => return Some("card declined"),
        Err(_) => "came too late to pay",
    };
    // Some come back, and are told that it is paid already.
    if !deed.starts_with("paid") || rng.u8(0..8) > 0 {
        baskets.remove(index);
    }
    Some(deed)
}

async fn pay_on_page(world: &World, rng: &mut Rng, session: &str) -> Result<&'static str, Value> {
    let path = format!("/_sandbox/checkout/{session}");
    let paid = world.stripe("POST", &format!("{path}/pay"), json!({ "card": any_card(rng) })).await?;
    if paid["status"] == "requires_action" {
        world.stripe("POST", &format!("{path}/authenticate"), passes(rng)).await?;
    }
    Ok("paid")
}

async fn pay_first_invoice(world: &World, rng: &mut Rng, subscription: &str) -> Result<&'static str, Value> {
    let path = format!("/v1/subscriptions/{subscription}");
    let found = world.stripe("GET", &path, Value::Null).await?;
    let invoice = found["latest_invoice"].as_str().unwrap_or_default();
    let (path, card) = (format!("/_sandbox/invoices/{invoice}/pay"), json!({ "card": any_card(rng) }));
    let paid = world.stripe("POST", &path, card).await?;
    authenticated(world, rng, &paid).await?;
    Ok("paid a first invoice")
}

async fn confirm(world: &World, rng: &mut Rng, payment: &str) -> Result<&'static str, Value> {
    let path = format!("/v1/payment_intents/{payment}/confirm");
    let form = Value::String(format!("payment_method={}", any_method(rng)));
    let paid = world.stripe("POST", &path, form).await?;
    authenticated(world, rng, &paid).await?;
    Ok("paid in the app")
}

async fn authenticated(world: &World, rng: &mut Rng, intent: &Value) -> Result<(), Value> {
    if intent["status"] == "requires_action" {
        let path =
            format!("/_sandbox/payment_intents/{}/authenticate", intent["id"].as_str().unwrap_or_default());
        world.stripe("POST", &path, passes(rng)).await?;
    }
    Ok(())
}

fn any_card(rng: &mut Rng) -> &'static str {
    CARDS[rng.usize(0..CARDS.len())]
}

fn passes(rng: &mut Rng) -> Value {
    json!({ "outcome": if rng.u8(0..4) > 0 { "pass" } else { "fail" } })
}

/// Somebody does something. What Stripe refuses has no effect.
async fn act(world: &World, rng: &mut Rng) -> &'static str {
    match rng.u8(0..7) {
        0..2 => refund(world, rng).await,
        2 => dispute(world, rng).await,
        3 => decide(world, rng).await,
        _ => change_subscription(world, rng).await,
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
    let Some(subscription) = any_subscription(world, rng).await else {
        return "no subscription to change";
    };
    let path = format!("/_sandbox/subscriptions/{subscription}");
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
