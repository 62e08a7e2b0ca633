//! Changing what something else is planned for: an end, or another change.

use serde_json::{Value, json};

use super::{TEAM, billed, having, keeps_its_word, preview, time};
use crate::catalog::selling;
use crate::harness::{Caller, World};
use crate::states::{ask, until};

/// A subscriber of ten days, who asked for this then.
async fn planning(world: &World, user: &Caller<'_>, plan: &str, deed: &str, body: Value) -> String {
    let id = having(world, user, json!({ "plan": plan })).await;
    world.advance("10d").await;
    ask(user, &id, deed, body).await;
    id
}

#[tokio::test]
async fn whoever_leaves_can_have_more_until_then_and_pays_for_nothing_after() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = planning(&world, &ada, "basic", "cancel", json!({})).await;
    let said = preview(&ada, &id, json!({ "plan": "pro" })).await;
    let due = |name: &str| said["money"][name]["amount_minor"].as_i64().unwrap();
    assert!(due("due_now") > 0 && due("due_next") == 0, "{said:#}");
    assert_eq!((&said["tokens"]["now"], &said["tokens"]["then"]["count"]), (&json!(300), &json!(400)));
    let changed = ask(&ada, &id, "change", json!({ "plan": "pro" })).await;
    assert_eq!(changed["subscription"]["plan"], "pro");
    assert!(changed["subscription"]["cancel_at"].is_string(), "the end stays planned: {changed}");
    assert_eq!(ada.available().await, 400);
    world.advance("22d").await;
    until(&ada, |me| json!([me["plan"]["id"], me["wallet"]["available"]]), json!(["free", 0])).await;
    assert_eq!(billed(&world, &id).await.len(), 2);
}

#[tokio::test]
async fn tokens_that_would_come_after_the_end_are_not_promised() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = planning(&world, &ada, "basic", "cancel", json!({})).await;
    // The last week begins on day 28, and nothing comes after it.
    world.advance("19d").await;
    let said = preview(&ada, &id, json!({ "plan": "pro" })).await;
    assert_eq!((&said["tokens"]["now"], &said["tokens"]["then"]), (&json!(300), &Value::Null), "{said:#}");
    let monthly = preview(&ada, &id, json!({ "plan": "prepaid" })).await;
    assert_eq!(monthly["tokens"]["then"], Value::Null, "{monthly:#}");
}

#[tokio::test]
async fn a_lesser_plan_from_the_next_period_on_takes_an_end_back() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = planning(&world, &ada, "pro", "cancel", json!({})).await;
    let said = keeps_its_word(&world, &ada, &id, json!({ "plan": "basic" })).await;
    assert_eq!(
        (&said["when"], &said["money"]["due_next"]["amount_minor"]),
        (&json!("period_end"), &json!(1000))
    );
    until(&ada, |me| json!([me["plan"]["id"], me["plan"]["cancel_at"]]), json!(["basic", null])).await;
}

#[tokio::test]
async fn a_better_plan_now_gives_up_the_lesser_one_that_was_planned() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = planning(&world, &ada, "pro", "change", json!({ "plan": "basic" })).await;
    let said = keeps_its_word(&world, &ada, &id, json!({ "plan": "prepaid" })).await;
    assert_eq!((&said["when"], &said["money"]["due_next"]["amount_minor"]), (&json!("now"), &json!(4000)));
    until(&ada, |me| me["plan"]["id"].clone(), json!("prepaid")).await;
}

#[tokio::test]
async fn another_lesser_plan_takes_the_place_of_the_one_that_was_planned() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = planning(&world, &ada, "prepaid", "change", json!({ "plan": "basic" })).await;
    let said = keeps_its_word(&world, &ada, &id, json!({ "plan": "pro" })).await;
    assert_eq!(
        (&said["when"], &said["money"]["due_next"]["amount_minor"]),
        (&json!("period_end"), &json!(3000))
    );
    until(&ada, |me| me["plan"]["id"].clone(), json!("pro")).await;
}

#[tokio::test]
async fn to_stay_after_all_is_a_change_that_costs_and_brings_nothing() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = planning(&world, &ada, "pro", "change", json!({ "plan": "basic" })).await;
    let said = keeps_its_word(&world, &ada, &id, json!({ "plan": "pro" })).await;
    assert_eq!((&said["when"], &said["tokens"]["now"]), (&json!("now"), &json!(0)));
    assert_eq!(said["money"]["due_next"]["amount_minor"], 3000);
    until(&ada, |me| me["plan"]["id"].clone(), json!("pro")).await;
    assert_eq!(billed(&world, &id).await.len(), 2, "the two months, and nothing in between");
}

#[tokio::test]
async fn an_end_gives_up_the_change_that_was_planned() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = planning(&world, &ada, "pro", "change", json!({ "plan": "basic" })).await;
    let left = ask(&ada, &id, "cancel", json!({})).await;
    assert_eq!(left["subscription"]["next"], Value::Null, "{left}");
    let ends = time(&left["subscription"]["cancel_at"]);
    super::go_on_to(&world, ends.plus_ms(4_200_000)).await;
    until(&ada, |me| me["plan"]["id"].clone(), json!("free")).await;
    assert_eq!(billed(&world, &id).await.len(), 1);
}
