//! Opening a checkout: one customer, catalog prices, allowed pages, and retries that repeat nothing.

use domain::cause::{Cause, Operation};
use domain::ids::{RequestKey, UserId};
use hyper::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{PAID, World};

#[tokio::test]
async fn ten_checkouts_at_once_make_one_customer() {
    let world = World::new().await;
    let token = world.user("ada").token;
    let mut opening = JoinSet::new();
    for number in 0..10 {
        let (http, url) = (world.http.clone(), format!("{}/v1/me/checkout", world.local().api));
        let (bearer, key) = (format!("Bearer {token}"), format!("buyer-{number}"));
        opening.spawn(async move {
            loop {
                let headers = [("authorization", bearer.as_str()), ("idempotency-key", key.as_str())];
                let body = r#"{"package":"small"}"#.to_owned();
                let answer = http.send(hyper::Method::POST, &url, &headers, body).await;
                if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                    return answer;
                }
            }
        });
    }
    let opened = opening.join_all().await;
    let mut sessions: Vec<_> = opened.iter().map(|opened| opened.json["id"].as_str().unwrap()).collect();
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!(sessions.len(), 10, "each request is a checkout of its own");
    let customers = world.stripe("/v1/customers?limit=100").await;
    let customers = customers["data"].as_array().unwrap();
    assert_eq!(customers.len(), 1, "{customers:?}");
    assert_eq!(customers[0]["metadata"]["tollgate_user"], "ada");
}

#[tokio::test]
async fn the_same_key_is_the_same_session_and_another_body_is_refused() {
    let world = World::new().await;
    let ada = world.user("ada");
    let first = ada.post_once("/v1/me/checkout", "k", json!({ "package": "small" })).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let again = ada.post_once("/v1/me/checkout", "k", json!({ "package": "small" })).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    let other = ada.post_once("/v1/me/checkout", "k", json!({ "package": "large" })).await;
    other.expect_problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_checkout_without_a_key_names_the_key_that_was_used() {
    let world = World::new().await;
    let ada = world.user("ada");
    let first = ada.post("/v1/me/checkout", json!({ "package": "small" })).await;
    let key = first.headers["idempotency-key"].to_str().unwrap();
    let again = ada.post_once("/v1/me/checkout", key, json!({ "package": "small" })).await;
    assert_eq!(again.json["id"], first.json["id"]);
}

#[tokio::test]
async fn a_session_whose_id_was_lost_is_found_again_early_and_late() {
    let world = World::new().await;
    let ada = world.user("ada");
    let first = ada.post_once("/v1/me/checkout", "k", json!({ "package": "small" })).await;
    // Early, the frozen request is sent again with its key; late, the customer's sessions are searched.
    for pause in ["1m", "65m"] {
        world.advance(pause).await;
        world.forget_answer("ada", Operation::Checkout, "k").await;
        let again = ada.post_once("/v1/me/checkout", "k", json!({ "package": "small" })).await;
        assert_eq!(again.json["id"], first.json["id"], "after {pause}: {}", again.text);
    }
    let sessions = world.stripe("/v1/checkout/sessions?limit=100").await;
    assert_eq!(sessions["data"].as_array().unwrap().len(), 1);
}

/// The cause of ada's checkout under this key.
fn asked(key: &str) -> Cause {
    let (user, key) = (UserId::parse("ada").unwrap(), RequestKey::parse(key).unwrap());
    Cause::Request { user, operation: Operation::Checkout, key }
}

#[tokio::test]
async fn a_request_that_never_reached_stripe_and_is_too_old_now_answers_that_it_expired() {
    let world = World::new().await;
    let ada = world.user("ada");
    let body = json!({ "package": "small" });
    ada.post_once("/v1/me/checkout", "k", body.clone()).await;
    // As if Stripe had never heard of it: its sessions belong to somebody else now.
    world.forget_answer("ada", Operation::Checkout, "k").await;
    let database = world.stripe("/v1/checkout/sessions?limit=1").await;
    let session = database["data"][0]["id"].as_str().unwrap();
    world
        .stripe_update(&format!("/v1/checkout/sessions/{session}"), "metadata[tollgate_request]=another")
        .await;
    world.advance("65m").await;
    ada.post_once("/v1/me/checkout", "k", body).await.expect_problem(409, "checkout_expired");
}

#[tokio::test]
async fn what_is_paid_is_the_catalogs_price_whatever_the_client_says() {
    let world = World::new().await;
    let ada = world.user("ada");
    let session = ada.opens("mega").await;
    let session = world.stripe(&format!("/v1/checkout/sessions/{session}")).await;
    assert_eq!((&session["amount_total"], &session["currency"]), (&json!(3999), &json!("eur")));
    for more in ["price", "amount", "user_id", "currency"] {
        let wish = ada.post("/v1/me/checkout", json!({ "package": "mega", more: "1" })).await;
        wish.expect_problem(400, "invalid_request");
        assert!(wish.json["detail"].as_str().unwrap().contains(more), "{}", wish.text);
    }
}

#[tokio::test]
async fn a_buyer_returns_only_to_allowed_origins() {
    let world = World::new().await;
    let ada = world.user("ada");
    let with = |url: &str| json!({ "package": "small", "success_url": url });
    let own = format!("{}/?checkout={{CHECKOUT_SESSION_ID}}", world.local().api);
    for allowed in ["https://app.dreamaigirl.com/thanks", "http://localhost:3000/x", own.as_str()] {
        let opened = ada.post("/v1/me/checkout", with(allowed)).await;
        assert_eq!(opened.status, StatusCode::CREATED, "{allowed}: {}", opened.text);
    }
    let latest = world.stripe("/v1/checkout/sessions?limit=1").await;
    assert_eq!(latest["data"][0]["success_url"], own, "it is where Stripe sends them");
    for stranger in [
        "https://evil.example",
        "https://app.dreamaigirl.com.evil.example/",
        "javascript:alert(1)",
        "/x",
        "https://app.dreamaigirl.com@evil.example/",
        "http://app.dreamaigirl.com/",
    ] {
        ada.post("/v1/me/checkout", with(stranger)).await.expect_problem(400, "invalid_request");
    }
}

const THANKS: &str = "https://app.dreamaigirl.com/thanks?friend=ada";

fn returning() -> serde_json::Value {
    json!({ "package": "small", "success_url": THANKS, "cancel_url": "https://app.dreamaigirl.com/shop" })
}

#[tokio::test]
async fn where_a_buyer_returns_to_stands_beside_the_journal_and_not_in_it() {
    let world = World::new().await;
    let ada = world.user("ada");
    let first = ada.post_once("/v1/me/checkout", "k", returning()).await;
    // Sent again, it is the same request to Stripe: another one under its key would be refused.
    world.forget_answer("ada", Operation::Checkout, "k").await;
    let again = ada.post_once("/v1/me/checkout", "k", returning()).await;
    assert_eq!((again.status, &again.json["id"]), (StatusCode::CREATED, &first.json["id"]), "{}", again.text);
    let session =
        world.stripe(&format!("/v1/checkout/sessions/{}", first.json["id"].as_str().unwrap())).await;
    assert_eq!(session["success_url"], THANKS);
    assert_eq!(session["cancel_url"], "https://app.dreamaigirl.com/shop");
    let items =
        world.table().await.scan().table_name(tollgate::stack::TABLE).send().await.unwrap().items.unwrap();
    let naming = items.iter().filter(|item| format!("{item:?}").contains("friend=ada"));
    let keys: Vec<_> = naming.map(|item| item["SK"].as_s().unwrap().as_str()).collect();
    assert!(matches!(keys.as_slice(), [note] if note.starts_with("N#")), "{keys:?}");
    let other = json!({ "package": "small", "success_url": "https://app.dreamaigirl.com/" });
    ada.post_once("/v1/me/checkout", "k", other).await.expect_problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_checkout_whose_addresses_were_erased_is_never_sent_as_another_one() {
    let world = World::new().await;
    let ada = world.user("ada");
    let opened = ada.post_once("/v1/me/checkout", "k", returning()).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text);
    world.forget_answer("ada", Operation::Checkout, "k").await;
    world.forget("U#", "ada", &store::schema::note(&UserId::parse("ada").unwrap(), &asked("k")).sk).await;
    ada.post_once("/v1/me/checkout", "k", returning()).await.expect_problem(409, "checkout_expired");
    let sessions = world.stripe("/v1/checkout/sessions?limit=100").await;
    assert_eq!(sessions["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn unknown_packages_and_odd_quantities_are_refused() {
    let world = World::new().await;
    let ada = world.user("ada");
    let unknown = ada.post("/v1/me/checkout", json!({ "package": "huge" })).await;
    unknown.expect_problem(422, "unknown_package");
    assert!(unknown.json["detail"].as_str().unwrap().contains("medium"), "{}", unknown.text);
    for quantity in [0, 101] {
        let odd = ada.post("/v1/me/checkout", json!({ "package": "small", "quantity": quantity })).await;
        odd.expect_problem(400, "invalid_request");
    }
    assert_eq!(world.stripe("/v1/customers").await["data"], json!([]), "nothing was made in Stripe");
}

#[tokio::test]
async fn somebody_elses_checkout_is_not_found() {
    let world = World::new().await;
    let session = world.user("ada").opens("small").await;
    world.pay(&session, PAID).await;
    let path = format!("/v1/me/checkout/{session}");
    world.user("bob").get(&path).await.expect_problem(404, "not_found");
    world.user("ada").get("/v1/me/checkout/cs_test_nothing").await.expect_problem(404, "not_found");
    world.user("ada").get("/v1/me/checkout/pi_1").await.expect_problem(404, "not_found");
    assert_eq!(
        world.service().get(&format!("/v1/users/ada/checkout/{session}")).await.json["status"],
        "complete"
    );
}

#[tokio::test]
async fn a_checkout_that_nobody_paid_expires_with_the_clock() {
    let world = World::new().await;
    let ada = world.user("ada");
    let session = ada.opens("small").await;
    world.advance("2h").await;
    assert_eq!(ada.get(&format!("/v1/me/checkout/{session}")).await.json["status"], "expired");
}

#[tokio::test]
async fn what_stripe_refuses_is_told_as_refused_and_not_as_our_fault() {
    let world = World::new().await;
    let ada = world.user("ada");
    ada.opens("small").await;
    let customer = world.stripe("/v1/customers").await["data"][0]["id"].as_str().unwrap().to_owned();
    world.stripe_delete(&format!("/v1/customers/{customer}")).await;
    let refused = ada.post("/v1/me/checkout", json!({ "package": "small" })).await;
    refused.expect_problem(502, "stripe_refused");
    assert!(!refused.text.contains(&customer), "{}", refused.text);
}
