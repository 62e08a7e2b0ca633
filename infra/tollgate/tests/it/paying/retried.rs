//! Sending a payment again: one key is one intent, and a buyer pays once.

use domain::cause::Operation;
use hyper::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use super::{confirms, handled, id, pays, purchases, secret};
use crate::harness::{PAID, World};
use crate::states::card;

#[tokio::test]
async fn the_same_key_is_the_same_payment_and_another_body_is_refused() {
    let world = World::new().await;
    let ada = world.user("ada");
    let first = ada.post_once("/v1/me/payments", "k", json!({ "package": "small" })).await;
    assert_eq!(
        (first.status, &first.headers["idempotency-key"]),
        (StatusCode::CREATED, &"k".parse().unwrap())
    );
    let again = ada.post_once("/v1/me/payments", "k", json!({ "package": "small" })).await;
    assert_eq!((again.status, &again.text), (StatusCode::CREATED, &first.text));
    let other = ada.post_once("/v1/me/payments", "k", json!({ "package": "large" })).await;
    other.expect_problem(422, "idempotency_key_reused");
    // A checkout's key is another one.
    let checkout = ada.post_once("/v1/me/checkout", "k", json!({ "package": "large" })).await;
    assert_eq!(checkout.status, StatusCode::CREATED, "{}", checkout.text);

    confirms(&world, secret(&first.json), PAID).await;
    ada.until_available(100).await;
    let paid = ada.post_once("/v1/me/payments", "k", json!({ "package": "small" })).await;
    assert_eq!(
        (&paid.json["id"], &paid.json["status"]),
        (&first.json["id"], &json!("succeeded")),
        "{}",
        paid.text
    );
    assert_eq!(ada.available().await, 100);
    let named = ada.post("/v1/me/payments", json!({ "package": "small" })).await;
    let key = named.headers["idempotency-key"].to_str().unwrap();
    let again = ada.post_once("/v1/me/payments", key, json!({ "package": "small" })).await;
    assert_eq!(again.json["id"], named.json["id"]);
}

#[tokio::test]
async fn a_payment_whose_answer_was_lost_is_made_and_charged_once_soon_and_late() {
    for pause in ["1m", "65m", "25h"] {
        let world = World::new().await;
        let ada = world.user("ada");
        let body = json!({ "package": "medium", "payment_method": card(&world, PAID).await });
        let first = ada.post_once("/v1/me/payments", "k", body.clone()).await;
        assert_eq!(first.json["status"], "succeeded", "{}", first.text);
        world.advance(pause).await;
        world.forget_answer("ada", Operation::Pay, "k").await;
        let again = ada.post_once("/v1/me/payments", "k", body).await;
        assert_eq!((again.status, &again.json), (StatusCode::CREATED, &first.json), "after {pause}");
        handled(&world).await;
        assert_eq!(world.charges().await, 1, "after {pause}");
        assert_eq!((purchases(&ada).await, ada.available().await), (1, 275), "after {pause}");
    }
}

#[tokio::test]
async fn ten_tries_at_once_with_one_key_are_one_charge() {
    let world = World::new().await;
    let ada = world.user("ada");
    let body = json!({ "package": "medium", "payment_method": card(&world, PAID).await }).to_string();
    let mut trying = JoinSet::new();
    for _ in 0..10 {
        let (http, url, body) =
            (world.http.clone(), format!("{}/v1/me/payments", world.local().api), body.clone());
        let bearer = format!("Bearer {}", ada.token);
        trying.spawn(async move {
            loop {
                let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
                let answer = http.send(hyper::Method::POST, &url, &headers, body.clone()).await;
                if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                    return answer;
                }
            }
        });
    }
    let answers = trying.join_all().await;
    for answer in &answers {
        assert_eq!(
            (answer.status, &answer.json["id"]),
            (StatusCode::CREATED, &answers[0].json["id"]),
            "{}",
            answer.text
        );
    }
    handled(&world).await;
    assert_eq!(world.charges().await, 1);
    assert_eq!((purchases(&ada).await, ada.available().await), (1, 275));
}

#[tokio::test]
async fn a_confirmation_that_is_sent_twice_charges_once() {
    let world = World::new().await;
    let ada = world.user("ada");
    let made = pays(&ada, json!({ "package": "medium" })).await;
    let path = format!("/v1/me/payments/{}/confirm", id(&made));
    let body = json!({ "payment_method": card(&world, PAID).await });
    let (one, two) =
        tokio::join!(ada.post_once(&path, "k", body.clone()), ada.post_once(&path, "k", body.clone()));
    for answer in [&one, &two, &ada.post_once(&path, "k", body).await] {
        let paid = answer.status == StatusCode::OK && answer.json["status"] == "succeeded";
        assert!(paid || answer.status == StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    }
    handled(&world).await;
    assert_eq!((purchases(&ada).await, ada.available().await), (1, 275));
    assert_eq!(world.charges().await, 1);
}
