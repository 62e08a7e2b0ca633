//! Refund histories whose events arrive in any order, and histories nobody thought of.

use std::collections::BTreeMap;

use fastrand::Rng;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
    balance, bought, deliver, dispute, events_of, fail, handled, journal, refund, resolve, spend, try_refund,
};
use crate::harness::{Caller, World};

const PAID_MINOR: i64 = 999;
const GRANTED: i64 = 275;

/// Shuffled, with some of them twice.
fn disordered(mut events: Vec<Value>, rng: &mut Rng) -> Vec<Value> {
    for again in 0..rng.usize(..=events.len()) {
        events.push(events[again].clone());
    }
    rng.shuffle(&mut events);
    events
}

/// The account as far as events decide it.
async fn meaning(user: &Caller<'_>) -> Value {
    let wallet = user.get("/v1/me/wallet").await.json;
    let lots: Vec<_> = wallet["lots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lot| json!([lot["source"], lot["remaining"]]))
        .collect();
    let mut totals = BTreeMap::<String, i64>::new();
    let entries = user.get("/v1/me/wallet/entries?limit=100").await.json;
    for entry in entries["entries"].as_array().unwrap() {
        for posting in entry["postings"].as_array().unwrap() {
            let amount = posting["amount"].as_i64().unwrap();
            *totals.entry(posting["from"].as_str().unwrap().to_owned()).or_default() -= amount;
            *totals.entry(posting["to"].as_str().unwrap().to_owned()).or_default() += amount;
        }
    }
    json!([wallet["available"], wallet["debt"], lots, totals])
}

#[tokio::test]
async fn every_order_of_a_refund_historys_events_ends_in_the_same_account() {
    let world = World::without_webhooks().await;
    let mut meanings = Vec::new();
    for round in 0..20 {
        let user = world.user(&format!("user-{round}"));
        let intent = bought(&world, &user, "medium").await;
        let first = refund(&world, &intent, Some(300)).await;
        fail(&world, &first).await;
        refund(&world, &intent, Some(200)).await;
        let won = dispute(&world, &intent, json!({})).await;
        resolve(&world, &won, "won").await;
        refund(&world, &intent, Some(133)).await;
        let events = events_of(&world, &intent).await;
        assert!(events.len() >= 15, "{}", events.len());
        deliver(&world, &disordered(events, &mut Rng::with_seed(round))).await;
        assert_eq!(journal(&user).await, ["checkout", "purchase", "reversal"]);
        meanings.push(meaning(&user).await);
    }
    assert_eq!(meanings[0][2], json!([["bonus", 25], ["purchase", 159]]));
    for meaning in &meanings {
        assert_eq!(meaning, &meanings[0]);
    }
}

/// One thing that may happen, to the payment or to its buyer. Gives what was bought and spent beside.
async fn happen(world: &World, user: &Caller<'_>, intent: &str, rng: &mut Rng) -> i64 {
    match rng.u8(..10) {
        0..=2 => drop(try_refund(world, intent, Some(rng.i64(1..500))).await),
        3 => {
            let refunds = world.stripe(&format!("/v1/refunds?payment_intent={intent}")).await;
            if let Some(made) = rng.choice(refunds["data"].as_array().unwrap()) {
                // One that has failed already stays so.
                world.sandbox(&format!("refunds/{}/fail", made["id"].as_str().unwrap()), json!({})).await;
            }
        }
        4 => {
            let inquiry = rng.u8(..4) == 0;
            let claim = json!({ "amount": rng.i64(1..=PAID_MINOR), "inquiry": inquiry });
            world.sandbox(&format!("payments/{intent}/dispute"), claim).await;
        }
        5 => {
            let disputes = world.stripe(&format!("/v1/disputes?payment_intent={intent}")).await;
            if let Some(open) = disputes["data"].as_array().unwrap().first() {
                let outcome = ["won", "lost", "prevented", "warning_closed", "escalated"][rng.usize(..5)];
                let path = format!("disputes/{}/resolve", open["id"].as_str().unwrap());
                world.sandbox(&path, json!({ "outcome": outcome })).await;
            }
        }
        6 | 7 => {
            let tokens = rng.i64(1..200);
            let key = format!("spent-{}", rng.u64(..));
            if spend(user, tokens.unsigned_abs(), &key).await == StatusCode::OK {
                return -tokens;
            }
        }
        8 => {
            let other = bought(world, user, "small").await;
            deliver(world, &events_of(world, &other).await).await;
            return 100;
        }
        _ => {
            let events = disordered(events_of(world, intent).await, rng);
            for event in events.iter().take(4) {
                assert_eq!(world.deliver(event).await.status, StatusCode::OK);
            }
            // At times what happens next is under way at the same moment.
            if rng.bool() {
                handled(world).await;
            }
        }
    }
    0
}

/// What should have been taken back, by what Stripe lists and nothing of ours.
async fn owed(world: &World, intent: &str) -> i64 {
    let list = async |kind: &str| {
        let listed = world.stripe(&format!("/v1/{kind}?payment_intent={intent}&limit=100")).await;
        listed["data"].as_array().unwrap().clone()
    };
    let sum = |objects: Vec<Value>, counts: &[&str]| -> i64 {
        let counting = objects.iter().filter(|object| counts.contains(&object["status"].as_str().unwrap()));
        counting.map(|object| object["amount"].as_i64().unwrap()).sum()
    };
    let refunded = sum(list("refunds").await, &["succeeded", "pending"]);
    let disputed = sum(list("disputes").await, &["needs_response", "under_review", "lost"]);
    GRANTED * PAID_MINOR.min(refunded + disputed) / PAID_MINOR
}

#[tokio::test]
async fn whatever_happens_to_a_payment_the_account_ends_where_an_independent_computation_does() {
    let world = World::without_webhooks().await;
    let (mut reversed, mut in_debt) = (0, 0);
    for seed in 0..30 {
        let rng = &mut Rng::with_seed(seed);
        let user = world.user(&format!("user-{seed}"));
        let intent = bought(&world, &user, "medium").await;
        let mut net = GRANTED;
        for _ in 0..rng.u8(4..14) {
            net += happen(&world, &user, &intent, rng).await;
        }
        let events = events_of(&world, &intent).await;
        deliver(&world, &disordered(events, rng)).await;
        let owed = owed(&world, &intent).await;
        net -= owed;
        let expected = (u64::try_from(net.max(0)).unwrap(), u64::try_from((-net).max(0)).unwrap());
        assert_eq!(balance(&user).await, expected, "history {seed}");
        reversed += u32::from(owed > 0);
        in_debt += u32::from(net < 0);
    }
    assert!(reversed > 15 && in_debt > 0, "the histories became tame: {reversed}, {in_debt}");
}
