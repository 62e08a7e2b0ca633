//! Sending a change again: one key is one change, whatever was lost in between.

use domain::cause::Operation;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{TEAM, billed, having};
use crate::catalog::selling;
use crate::harness::{Answer, Caller};
use crate::states::{ask, card, until};

async fn once(user: &Caller<'_>, id: &str, deed: &str, key: &str, body: Value) -> Answer {
    user.post_once(&format!("/v1/me/subscriptions/{id}/{deed}"), key, body).await
}

fn to(plan: &str) -> Value {
    json!({ "plan": plan })
}

#[tokio::test]
async fn the_same_key_is_the_same_change_and_for_another_it_is_refused() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, to("basic")).await;
    let beside = having(&world, &ada, to("backup")).await;
    let first = once(&ada, &id, "change", "k", to("pro")).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert_eq!(first.headers["idempotency-key"], "k");
    let again = once(&ada, &id, "change", "k", to("pro")).await;
    assert_eq!((again.status, &again.text), (StatusCode::OK, &first.text));
    once(&ada, &id, "change", "k", to("prepaid")).await.expect_problem(422, "idempotency_key_reused");
    once(&ada, &beside, "change", "k", to("pro")).await.expect_problem(422, "idempotency_key_reused");
    assert_eq!(
        billed(&world, &id).await.len(),
        2,
        "the first month, and the rest of it at the better plan's"
    );
    // Another deed has keys of its own.
    assert_eq!(once(&ada, &id, "cancel", "k", json!({})).await.status, StatusCode::OK);
    assert_eq!(once(&ada, &id, "resume", "k", json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_change_without_a_key_names_the_key_that_was_used() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, to("basic")).await;
    let first = ada.post(&format!("/v1/me/subscriptions/{id}/change"), to("pro")).await;
    let key = first.headers["idempotency-key"].to_str().unwrap();
    let again = once(&ada, &id, "change", key, to("pro")).await;
    assert_eq!((again.status, &again.text), (StatusCode::OK, &first.text));
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_made_once_soon_and_a_day_later() {
    for pause in ["1m", "25h"] {
        let world = selling(TEAM).await;
        let ada = world.user("ada");
        let id = having(&world, &ada, to("basic")).await;
        let first = once(&ada, &id, "change", "k", to("pro")).await;
        assert_eq!(first.status, StatusCode::OK, "{}", first.text);
        world.advance(pause).await;
        world.forget_answer("ada", Operation::Change, "k").await;
        let again = once(&ada, &id, "change", "k", to("pro")).await;
        assert_eq!((again.status, &again.text), (StatusCode::OK, &first.text), "after {pause}");
        assert_eq!((billed(&world, &id).await.len(), ada.available().await), (2, 400), "after {pause}");
    }
}

#[tokio::test]
async fn a_planned_change_whose_answer_was_lost_is_planned_once() {
    for pause in ["1m", "25h"] {
        let world = selling(TEAM).await;
        let ada = world.user("ada");
        let id = having(&world, &ada, to("pro")).await;
        let first = once(&ada, &id, "change", "k", to("basic")).await;
        assert_eq!(first.json["subscription"]["next"]["plan"], "basic", "{}", first.text);
        world.advance(pause).await;
        world.forget_answer("ada", Operation::Change, "k").await;
        let again = once(&ada, &id, "change", "k", to("basic")).await;
        assert_eq!((again.status, &again.text), (StatusCode::OK, &first.text), "after {pause}");
        let schedules = world.stripe("/v1/subscription_schedules").await;
        assert_eq!(schedules["data"].as_array().unwrap().len(), 1, "{schedules}");
    }
}

#[tokio::test]
async fn an_end_whose_answer_was_lost_stays_the_same_end() {
    for (body, status) in [(json!({}), "active"), (json!({ "when": "now" }), "canceled")] {
        let world = selling(TEAM).await;
        let ada = world.user("ada");
        let id = having(&world, &ada, to("basic")).await;
        let first = once(&ada, &id, "cancel", "k", body.clone()).await;
        assert_eq!(first.json["status"], status, "{}", first.text);
        world.forget_answer("ada", Operation::Cancel, "k").await;
        let again = once(&ada, &id, "cancel", "k", body).await;
        assert_eq!((again.status, &again.text), (StatusCode::OK, &first.text));
    }
}

/// What was changed since stays changed: a retry answers how things stand, and repeats nothing.
#[tokio::test]
async fn a_late_retry_of_an_answered_change_undoes_nothing_that_came_after_it() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, to("basic")).await;
    once(&ada, &id, "change", "first", to("pro")).await;
    ask(&ada, &id, "change", to("prepaid")).await;
    let again = once(&ada, &id, "change", "first", to("pro")).await;
    assert_eq!((again.status, &again.json["subscription"]["plan"]), (StatusCode::OK, &json!("prepaid")));
    assert_eq!(billed(&world, &id).await.len(), 3);
}

#[tokio::test]
async fn two_changes_at_once_leave_one_plan_that_books_and_stripe_agree_on() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, to("basic")).await;
    let (pro, prepaid) = tokio::join!(
        once(&ada, &id, "change", "one", to("pro")),
        once(&ada, &id, "change", "two", to("prepaid"))
    );
    for answer in [&pro, &prepaid] {
        let status = answer.status.as_u16();
        assert!(matches!(status, 200 | 409 | 503), "{}", answer.text);
    }
    let found = world.stripe(&format!("/v1/subscriptions/{id}")).await;
    let item = found["metadata"]["tollgate_item"].as_str().unwrap();
    let plan = item.split(':').nth(1).unwrap();
    until(&ada, |me| me["plan"]["id"].clone(), json!(plan)).await;
    let proved = billed(&world, &id).await.iter().all(|invoice| invoice["status"] == "paid");
    assert!(proved, "nothing is left to be paid");
}

#[tokio::test]
async fn a_subscription_whose_answer_was_lost_is_made_once() {
    for pause in ["1m", "65m"] {
        let world = selling(TEAM).await;
        let ada = world.user("ada");
        let body = json!({
            "plan": "basic", "interval": "month", "quantity": 2,
            "payment_method": card(&world, crate::harness::PAID).await,
        });
        let first = ada.post_once("/v1/me/subscriptions", "k", body.clone()).await;
        assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
        world.advance(pause).await;
        world.forget_answer("ada", Operation::Subscribe, "k").await;
        let again = ada.post_once("/v1/me/subscriptions", "k", body.clone()).await;
        assert_eq!(
            (again.status, &again.json["id"]),
            (StatusCode::CREATED, &first.json["id"]),
            "after {pause}"
        );
        let made = world.stripe("/v1/subscriptions?status=all").await;
        assert_eq!(made["data"].as_array().unwrap().len(), 1, "{made}");
        let other = json!({ "plan": "pro" });
        let reused = ada.post_once("/v1/me/subscriptions", "k", other).await;
        reused.expect_problem(422, "idempotency_key_reused");
    }
}
