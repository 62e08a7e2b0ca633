//! Spending: exactly once, whatever is lost or raced.

use hyper::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{PAID, World};

pub async fn rich(world: &World, user: &str, package: &str, tokens: u64) {
    let caller = world.user(user);
    world.pay(&caller.opens(package).await, PAID).await;
    caller.until_available(tokens).await;
}

#[tokio::test]
async fn sixty_four_spenders_of_five_share_a_hundred_tokens_exactly() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let mut spenders = JoinSet::new();
    let token = world.user("ada").token;
    for number in 0..64 {
        let (http, url) = (world.http.clone(), format!("{}/v1/me/consume", world.local().api));
        let (bearer, key) = (format!("Bearer {token}"), format!("spender-{number}"));
        spenders.spawn(async move {
            loop {
                let headers = [("authorization", bearer.as_str()), ("idempotency-key", key.as_str())];
                let answer =
                    http.send(hyper::Method::POST, &url, &headers, r#"{"tokens":5}"#.to_owned()).await;
                if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                    return answer.status.as_u16();
                }
                assert!(answer.headers.contains_key("retry-after"), "{}", answer.text);
            }
        });
    }
    let statuses = spenders.join_all().await;
    let with = |status| statuses.iter().filter(|seen| **seen == status).count();
    assert_eq!((with(200), with(402)), (20, 44), "{statuses:?}");
    assert_eq!(world.user("ada").available().await, 0);
}

#[tokio::test]
async fn a_consume_that_emptied_the_wallet_and_lost_its_reply_gets_that_reply_on_retry() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    let first = ada.post_once("/v1/me/consume", "all", json!({ "tokens": 100 })).await;
    assert_eq!((first.status, &first.json["wallet"]["available"]), (StatusCode::OK, &json!(0)));
    for _ in 0..3 {
        let again = ada.post_once("/v1/me/consume", "all", json!({ "tokens": 100 })).await;
        assert_eq!((again.status, &again.text), (StatusCode::OK, &first.text));
    }
    ada.post_once("/v1/me/consume", "more", json!({ "tokens": 1 }))
        .await
        .expect_problem(402, "insufficient_tokens");
}

#[tokio::test]
async fn too_few_tokens_answer_with_the_shortfall_and_the_packages_that_cover_it() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let refused = world.user("ada").post_once("/v1/me/consume", "k", json!({ "tokens": 300 })).await;
    refused.expect_problem(402, "insufficient_tokens");
    assert_eq!((&refused.json["shortfall"], &refused.json["available"]), (&json!(200), &json!(100)));
    let packages: Vec<_> =
        refused.json["packages"].as_array().unwrap().iter().map(|p| p["id"].clone()).collect();
    assert_eq!(packages, ["medium", "large", "mega"]);
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let world = World::new().await;
    let ada = world.user("ada");
    ada.post_once("/v1/me/consume", "k", json!({ "action": "photo" }))
        .await
        .expect_problem(402, "insufficient_tokens");
    rich(&world, "ada", "small", 100).await;
    let spent = ada.post_once("/v1/me/consume", "k", json!({ "action": "photo" })).await;
    assert_eq!(spent.status, StatusCode::OK, "{}", spent.text);
}

#[tokio::test]
async fn what_a_consume_took_is_named_lot_by_lot() {
    let world = World::new().await;
    rich(&world, "ada", "medium", 275).await;
    let spent =
        world.user("ada").post_once("/v1/me/consume", "k", json!({ "action": "photo", "amount": 6 })).await;
    assert_eq!(spent.json["entry"], "req:ada:consume:k");
    let taken: Vec<_> =
        spent.json["lots"].as_array().unwrap().iter().map(|lot| lot["taken"].as_u64().unwrap()).collect();
    assert_eq!(taken, [25, 5], "the bonus burns first: {}", spent.text);
}

#[tokio::test]
async fn a_mutation_needs_a_key_and_a_key_means_one_request() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    let consume = "/v1/me/consume";
    ada.post(consume, json!({ "action": "photo" })).await.expect_problem(400, "missing_idempotency_key");
    ada.post_once(consume, "has space", json!({ "action": "photo" }))
        .await
        .expect_problem(400, "invalid_request");
    ada.post_once(consume, &"k".repeat(129), json!({ "action": "photo" }))
        .await
        .expect_problem(400, "invalid_request");
    assert_eq!(ada.post_once(consume, "k", json!({ "action": "photo" })).await.status, StatusCode::OK);
    ada.post_once(consume, "k", json!({ "action": "photo", "amount": 2 }))
        .await
        .expect_problem(422, "idempotency_key_reused");
    // Another user's same key is another key.
    rich(&world, "bob", "small", 100).await;
    let bobs = world.user("bob").post_once(consume, "k", json!({ "action": "photo", "amount": 2 })).await;
    assert_eq!(bobs.json["wallet"]["available"], 90, "{}", bobs.text);
}

#[tokio::test]
async fn bad_bodies_are_told_what_is_wrong() {
    let world = World::new().await;
    let ada = world.user("ada");
    let wrong = [
        (json!({}), "invalid_request"),
        (json!({ "tokens": 0 }), "invalid_request"),
        (json!({ "tokens": -5 }), "invalid_request"),
        (json!({ "tokens": 1.5 }), "invalid_request"),
        (json!({ "tokens": 9_007_199_254_740_992_u64 }), "invalid_request"),
        (json!({ "action": "photo", "amount": 0 }), "invalid_request"),
        (json!({ "action": "photo", "user": "bob" }), "invalid_request"),
        (json!([1]), "invalid_request"),
    ];
    for (body, code) in wrong {
        ada.post_once("/v1/me/consume", "k", body).await.expect_problem(400, code);
    }
    let not_json = ada.send(hyper::Method::POST, "/v1/me/consume", Some("k"), "{".to_owned()).await;
    not_json.expect_problem(400, "invalid_request");
    ada.post_once("/v1/me/consume", "k", json!({ "action": "dance" }))
        .await
        .expect_problem(422, "unknown_action");
    let level = ada.post_once("/v1/me/consume", "k", json!({ "action": "skip_level" })).await;
    level.expect_problem(422, "tokens_out_of_range");
    assert_eq!((&level.json["min"], &level.json["max"]), (&json!(10), &json!(50)));
    let video = ada.post_once("/v1/me/consume", "k", json!({ "action": "video" })).await;
    video.expect_problem(403, "feature_not_included");
}

#[tokio::test]
async fn a_service_spends_for_a_user_and_a_user_spends_for_nobody_else() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let spent = world.service().post_once("/v1/users/ada/consume", "k", json!({ "action": "photo" })).await;
    assert_eq!(spent.json["wallet"]["available"], 95, "{}", spent.text);
    // The same user and key by the other road is the same request.
    let again = world.user("ada").post_once("/v1/me/consume", "k", json!({ "action": "photo" })).await;
    assert_eq!(again.text, spent.text);
    for path in ["/v1/users/ada/consume", "/v1/users/bob/consume"] {
        world
            .user("bob")
            .post_once(path, "k", json!({ "action": "photo" }))
            .await
            .expect_problem(403, "forbidden");
    }
}
