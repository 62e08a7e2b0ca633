//! No refill by flipping plans: however often somebody changes, time is granted for once.

use serde_json::json;

use super::{having, team_with};
use crate::catalog::selling;
use crate::harness::{Caller, World};
use crate::states::ask;

/// Where every change is at once, flipping is as easy as it can be.
async fn flippant() -> World {
    selling(&team_with("downgrade = \"now\"")).await
}

/// Everything that came in so far.
async fn came(user: &Caller<'_>) -> i64 {
    let entries = user.get("/v1/me/wallet/entries?limit=100").await.json;
    assert_eq!(entries["next"], json!(null), "all of them are on one page");
    let postings = entries["entries"].as_array().unwrap().iter();
    let postings = postings.flat_map(|entry| entry["postings"].as_array().unwrap());
    let credits = postings.filter(|posting| posting["from"] == "world");
    credits.map(|posting| posting["amount"].as_i64().unwrap()).sum()
}

#[tokio::test]
async fn flipping_plans_ten_times_brings_the_best_plans_week_once() {
    let world = flippant().await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "basic" })).await;
    let spent = ada.post_once("/v1/me/consume", "all", json!({ "tokens": 100 })).await;
    assert!(spent.status.is_success(), "{}", spent.text);
    for plan in
        ["pro", "basic", "boundless", "basic", "pro", "boundless", "pro", "basic", "boundless", "basic"]
    {
        world.advance("1h").await;
        ask(&ada, &id, "change", json!({ "plan": plan })).await;
        assert!(ada.available().await <= 300, "{plan}");
    }
    assert_eq!((ada.available().await, came(&ada).await), (300, 400));
    world.advance("7d").await;
    assert_eq!(ada.available().await, 100, "the next week is basic's again");
}

#[tokio::test]
async fn flipping_plans_paid_by_invoices_brings_the_best_plans_month_once() {
    let world = flippant().await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "prepaid" })).await;
    let spent = ada.post_once("/v1/me/consume", "all", json!({ "tokens": 2000 })).await;
    assert!(spent.status.is_success(), "{}", spent.text);
    for plan in ["boundless", "prepaid"].repeat(5) {
        world.advance("1h").await;
        ask(&ada, &id, "change", json!({ "plan": plan })).await;
        assert_eq!(ada.available().await, 0, "{plan}");
    }
    assert_eq!(came(&ada).await, 2000);
    world.advance("32d").await;
    assert_eq!(ada.available().await, 2000);
}

#[tokio::test]
async fn flipping_between_months_and_years_brings_no_time_twice() {
    let world = flippant().await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let prepaid = having(&world, &ada, json!({ "plan": "prepaid" })).await;
    let weekly = having(&world, &bob, json!({ "plan": "basic" })).await;
    for (interval, plan) in [("year", "prepaid_year"), ("month", "prepaid")].repeat(5) {
        world.advance("1h").await;
        ask(&ada, &prepaid, "change", json!({ "plan": plan, "interval": interval })).await;
        ask(&bob, &weekly, "change", json!({ "interval": interval })).await;
    }
    assert_eq!((ada.available().await, came(&ada).await), (24_000, 24_000));
    assert_eq!((bob.available().await, came(&bob).await), (100, 100));
}

#[tokio::test]
async fn flipping_seats_brings_the_most_that_were_had_once() {
    let world = flippant().await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "basic" })).await;
    for quantity in [5, 1, 3, 8, 2, 8, 1, 8, 4, 1] {
        ask(&ada, &id, "change", json!({ "quantity": quantity })).await;
    }
    assert_eq!((ada.available().await, came(&ada).await), (800, 800));
    world.advance("7d").await;
    assert_eq!(ada.available().await, 100);
}

#[tokio::test]
async fn leaving_and_coming_back_brings_a_new_week_only_for_new_money() {
    let world = flippant().await;
    let ada = world.user("ada");
    for round in 1..=3 {
        let id = having(&world, &ada, json!({ "plan": "basic" })).await;
        assert_eq!((ada.available().await, came(&ada).await), (100, 100 * round));
        ask(&ada, &id, "cancel", json!({ "when": "now" })).await;
        assert_eq!(ada.available().await, 0, "what it gave ends with it");
    }
    assert_eq!(world.charges().await, 3);
}
