//! Cards: left by a setup, chosen, and taken away; but never from under what is paid with them.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::expect;
use crate::harness::{ASKS_FOR_3DS, Answer, Caller, DECLINED, PAID, World};
use crate::subscribe::{subscribed_to, until_plan};

const OTHER: &str = "5555 5555 5555 4444";

async fn methods(user: &Caller<'_>) -> Vec<Value> {
    let answer = user.get("/v1/me/payment-methods").await;
    expect(&answer, StatusCode::OK)["payment_methods"].as_array().unwrap().clone()
}

async fn remove(user: &Caller<'_>, id: &str) -> Answer {
    user.send(Method::DELETE, &format!("/v1/me/payment-methods/{id}"), None, String::new()).await
}

async fn choose(user: &Caller<'_>, id: &str) -> Answer {
    user.post(&format!("/v1/me/payment-methods/{id}/default"), json!({})).await
}

async fn opens_setup(user: &Caller<'_>) -> Value {
    let opened = user.post("/v1/me/setups", json!({})).await;
    expect(&opened, StatusCode::CREATED).clone()
}

/// What the app's page does with the secret that it was handed, and with a card.
async fn types_in(world: &World, setup: &Value, card: &str) -> Answer {
    let (id, secret) = (setup["id"].as_str().unwrap(), setup["client_secret"].as_str().unwrap());
    let form = format!(
        "key=pk_test_page&client_secret={secret}&payment_method_data[type]=card\
         &payment_method_data[card][number]={}&payment_method_data[card][exp_month]=12\
         &payment_method_data[card][exp_year]=2034&payment_method_data[card][cvc]=123",
        card.replace(' ', "")
    );
    let url = format!("{}/v1/setup_intents/{id}/confirm", world.local().stripe);
    let headers =
        [("authorization", "Bearer pk_test_page"), ("content-type", "application/x-www-form-urlencoded")];
    world.http.send(Method::POST, &url, &headers, form).await
}

/// Leaves a card, and answers what it is called.
async fn adds(world: &World, user: &Caller<'_>, card: &str) -> String {
    let setup = opens_setup(user).await;
    expect(&types_in(world, &setup, card).await, StatusCode::OK);
    let shown = user.get(&format!("/v1/me/setups/{}", setup["id"].as_str().unwrap())).await;
    assert_eq!(shown.json["status"], "succeeded", "{}", shown.text);
    shown.json["payment_method"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_card_is_left_by_a_setup_chosen_and_taken_away() {
    let world = World::new().await;
    let ada = world.user("ada");
    let setup = opens_setup(&ada).await;
    assert_eq!(setup["status"], "requires_payment_method");
    assert_eq!(methods(&ada).await, [] as [Value; 0]);
    expect(&types_in(&world, &setup, PAID).await, StatusCode::OK);
    let shown = ada.get(&format!("/v1/me/setups/{}", setup["id"].as_str().unwrap())).await;
    assert_eq!(shown.json["status"], "succeeded", "{}", shown.text);
    let id = shown.json["payment_method"].as_str().unwrap();

    let mut card = json!({
        "id": id,
        "type": "card",
        "brand": "visa",
        "last4": "4242",
        "expires": { "month": 12, "year": 2034 },
        "bank": null,
        "default": false,
        "subscriptions": [],
    });
    assert_eq!(methods(&ada).await, [card.clone()]);
    card["default"] = json!(true);
    assert_eq!(expect(&choose(&ada, id).await, StatusCode::OK), &card);
    assert_eq!(methods(&ada).await, [card]);

    let removed = remove(&ada, id).await;
    assert_eq!((removed.status, removed.text.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_eq!(methods(&ada).await, [] as [Value; 0]);
    remove(&ada, id).await.expect_problem(404, "not_found");
    choose(&ada, id).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn the_same_key_is_the_same_setup_and_another_users_key_is_another() {
    let world = World::new().await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let first = ada.post_once("/v1/me/setups", "k", json!({})).await;
    let again = ada.post_once("/v1/me/setups", "k", json!({})).await;
    assert_eq!((again.status, &again.text), (StatusCode::CREATED, &first.text));
    let of_bob = bob.post_once("/v1/me/setups", "k", json!({})).await;
    assert_ne!(expect(&of_bob, StatusCode::CREATED)["id"], first.json["id"]);
    let named = ada.post("/v1/me/setups", json!({})).await;
    let again =
        ada.post_once("/v1/me/setups", named.headers["idempotency-key"].to_str().unwrap(), json!({})).await;
    assert_eq!(again.json["id"], named.json["id"]);
    let customers = world.stripe("/v1/customers").await;
    assert_eq!(customers["data"].as_array().unwrap().len(), 2, "one each");
}

#[tokio::test]
async fn a_card_that_is_declined_is_not_left_and_the_setup_says_why() {
    let world = World::new().await;
    let ada = world.user("ada");
    let setup = opens_setup(&ada).await;
    expect(&types_in(&world, &setup, DECLINED).await, StatusCode::PAYMENT_REQUIRED);
    let path = format!("/v1/me/setups/{}", setup["id"].as_str().unwrap());
    let shown = ada.get(&path).await;
    assert_eq!(
        (&shown.json["status"], &shown.json["failure"]),
        (&json!("requires_payment_method"), &json!("generic_decline")),
        "{}",
        shown.text
    );
    assert_eq!(methods(&ada).await, [] as [Value; 0]);

    expect(&types_in(&world, &setup, ASKS_FOR_3DS).await, StatusCode::OK);
    assert_eq!(ada.get(&path).await.json["status"], "requires_action");
    let bank = format!("setup_intents/{}/authenticate", setup["id"].as_str().unwrap());
    expect(&world.sandbox(&bank, json!({ "outcome": "success" })).await, StatusCode::OK);
    assert_eq!(ada.get(&path).await.json["status"], "succeeded");
    assert_eq!(methods(&ada).await[0]["last4"], "3155");
}

#[tokio::test]
async fn the_card_that_a_subscription_is_paid_with_stays_until_another_pays_for_it() {
    let world = World::new().await;
    let ada = world.user("ada");
    let held = subscribed_to(&world, &ada, "premium").await;
    let first = methods(&ada).await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(methods(&ada).await[0]["subscriptions"], json!([held]));
    let refused = remove(&ada, &first).await;
    refused.expect_problem(409, "payment_method_in_use");
    assert_eq!(refused.json["subscription"], json!(held));

    let second = adds(&world, &ada, OTHER).await;
    remove(&ada, &first).await.expect_problem(409, "payment_method_in_use");
    let chosen = choose(&ada, &second).await;
    assert_eq!(expect(&chosen, StatusCode::OK)["subscriptions"], json!([held]), "{}", chosen.text);
    let found = world.stripe(&format!("/v1/subscriptions/{held}")).await;
    assert_eq!(found["default_payment_method"], json!(second));
    assert_eq!(remove(&ada, &first).await.status, StatusCode::NO_CONTENT);
    world.advance("32d").await;
    until_plan(&ada, "premium", "active").await;
    let charges = world.stripe("/v1/charges?limit=1").await;
    assert_eq!(charges["data"][0]["payment_method"], json!(second), "the renewal was paid with it");
}

#[tokio::test]
async fn the_card_of_what_is_going_to_end_may_go() {
    let world = World::new().await;
    let ada = world.user("ada");
    let held = subscribed_to(&world, &ada, "premium").await;
    let card = methods(&ada).await[0]["id"].as_str().unwrap().to_owned();
    world.stripe_update(&format!("/v1/subscriptions/{held}"), "cancel_at_period_end=true").await;
    assert_eq!(methods(&ada).await[0]["subscriptions"], json!([]));
    assert_eq!(remove(&ada, &card).await.status, StatusCode::NO_CONTENT);
}

/// Chosen in the portal, the default may be another than what a subscription was made with.
#[tokio::test]
async fn a_subscription_goes_over_to_the_default_before_its_own_card_goes() {
    let world = World::new().await;
    let ada = world.user("ada");
    let held = subscribed_to(&world, &ada, "premium").await;
    let first = methods(&ada).await[0]["id"].as_str().unwrap().to_owned();
    let second = adds(&world, &ada, OTHER).await;
    let customer = crate::subscribe::customer(&world, "ada").await;
    let default = format!("invoice_settings[default_payment_method]={second}");
    world.stripe_update(&format!("/v1/customers/{customer}"), &default).await;
    assert_eq!(remove(&ada, &first).await.status, StatusCode::NO_CONTENT);
    assert_eq!(methods(&ada).await[0]["subscriptions"], json!([held]));
    let found = world.stripe(&format!("/v1/subscriptions/{held}")).await;
    assert_eq!(found["default_payment_method"], json!(second));
}

#[tokio::test]
async fn cards_and_setups_of_somebody_else_are_not_found() {
    let world = World::new().await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let (of_ada, of_bob) = (adds(&world, &ada, PAID).await, adds(&world, &bob, OTHER).await);
    let setup = opens_setup(&ada).await;
    bob.get(&format!("/v1/me/setups/{}", setup["id"].as_str().unwrap()))
        .await
        .expect_problem(404, "not_found");
    choose(&bob, &of_ada).await.expect_problem(404, "not_found");
    remove(&bob, &of_ada).await.expect_problem(404, "not_found");
    assert_eq!((methods(&ada).await.len(), methods(&bob).await[0]["id"].clone()), (1, json!(of_bob)));

    let service = world.service();
    let path = format!("/v1/users/ada/payment-methods/{of_ada}");
    expect(&service.post(&format!("{path}/default"), json!({})).await, StatusCode::OK);
    assert_eq!(methods(&ada).await[0]["default"], true);
    let removed = service.send(Method::DELETE, &path, None, String::new()).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.text);
    bob.get("/v1/users/ada/payment-methods").await.expect_problem(403, "forbidden");
}
