//! Trials: what they give, and what becomes of them when they end.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{RETAINER, ask, card, confirms, dashboard, held, stage, subscribes, until};
use crate::catalog::{LINGUA, selling};
use crate::harness::{ASKS_FOR_3DS, Caller, DECLINES_LATER, PAID};

/// Two plans that are tried, one of them without leaving a way to pay.
const TRIED: &str = r#"
[product]
id = "tried"
name = "Tried"
currency = "eur"

[checkout]
return_origins = ["https://tried.example"]
success_url = "https://tried.example/thanks?session_id={CHECKOUT_SESSION_ID}"
cancel_url = "https://tried.example/plans"

[features.hd_photos]
name = "HD photos"
kind = "flag"

[plans.free]
name = "Free"
level = 0
default = true

[plans.premium]
name = "Premium"
level = 1
prices = [{ interval = "month", price = "9.99" }]
tokens = { count = 500, every = "week" }
trial = { days = 10, most_days = 14, tokens = 50, needs_payment_method = false }
features = { hd_photos = true }

[plans.monthly]
name = "Monthly"
level = 2
prices = [{ interval = "month", price = "29.99" }]
tokens = { count = 300, every = "billing" }
trial = { days = 7, tokens = 20 }
features = { hd_photos = true }
"#;

async fn spend(user: &Caller<'_>, tokens: u64) {
    let spent = user.post_once("/v1/me/consume", "spend", json!({ "tokens": tokens })).await;
    assert_eq!(spent.status, StatusCode::OK, "{}", spent.text);
}

#[tokio::test]
async fn a_trial_brings_its_own_tokens_and_the_plans_when_it_is_paid_for() {
    let world = selling(TRIED).await;
    let ada = world.user("ada");
    let method = card(&world, PAID).await;
    let made = subscribes(&ada, json!({ "plan": "premium", "payment_method": method })).await;
    assert_eq!((&made["status"], &made["trial_days"]), (&json!("trialing"), &json!(10)), "{made}");
    until(&ada, stage, json!(["premium", "trialing", true, 50])).await;
    let me = ada.get("/v1/me").await.json;
    assert_eq!(me["plan"]["trial_ends_at"], me["plan"]["renews_at"]);
    world.advance("7d").await;
    spend(&ada, 20).await;
    until(&ada, stage, json!(["premium", "trialing", true, 30])).await;
    world.advance("75h").await;
    until(&ada, stage, json!(["premium", "active", true, 480])).await;
    assert_eq!(ada.get("/v1/me").await.json["plan"]["trial_ends_at"], Value::Null);
    world.advance("4d").await;
    until(&ada, stage, json!(["premium", "active", true, 500])).await;
    let charged = world.stripe("/v1/charges").await;
    assert_eq!(charged["data"].as_array().unwrap().len(), 1, "nothing while it was tried: {charged}");
}

#[tokio::test]
async fn a_plan_granted_by_invoices_brings_its_trials_tokens_once_and_then_the_months() {
    let world = selling(TRIED).await;
    let ada = world.user("ada");
    let method = card(&world, PAID).await;
    subscribes(&ada, json!({ "plan": "monthly", "trial_days": 5, "payment_method": method })).await;
    until(&ada, stage, json!(["monthly", "trialing", true, 20])).await;
    world.advance("122h").await;
    until(&ada, stage, json!(["monthly", "active", true, 300])).await;
}

#[tokio::test]
async fn a_trial_without_a_way_to_pay_pauses_and_goes_on_when_there_is_one() {
    let world = selling(TRIED).await;
    let ada = world.user("ada");
    let made = subscribes(&ada, json!({ "plan": "premium" })).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["status"], "trialing", "{made}");
    assert!(made["client_secret"].as_str().unwrap().starts_with("seti_"), "{made}");
    until(&ada, stage, json!(["premium", "trialing", true, 50])).await;
    world.advance("242h").await;
    // What was brought lasts as long as its week does, whatever the plan's own access.
    until(&ada, stage, json!(["free", "none", false, 50])).await;
    until(&ada, held, json!(["paused", false])).await;
    let other = ada.post("/v1/me/subscriptions", json!({ "plan": "monthly" })).await;
    other.expect_problem(409, "already_subscribed");

    // Nothing to charge: it stays as it is.
    let waiting = ask(&ada, id, "resume", json!({})).await;
    assert_eq!(waiting["status"], "paused", "{waiting}");
    let setup = ada.post("/v1/me/setups", json!({})).await.json;
    confirms(&world, setup["client_secret"].as_str().unwrap(), PAID).await;
    let method = ada.get("/v1/me/payment-methods").await.json["payment_methods"][0]["id"].clone();
    let default = format!("/v1/me/payment-methods/{}/default", method.as_str().unwrap());
    assert_eq!(ada.post(&default, json!({})).await.status, StatusCode::OK);
    let resumed = ask(&ada, id, "resume", json!({})).await;
    assert_eq!(resumed["status"], "active", "{resumed}");
    until(&ada, stage, json!(["premium", "active", true, 500])).await;
    world.advance("32d").await;
    until(&ada, stage, json!(["premium", "active", true, 500])).await;
}

#[tokio::test]
async fn a_card_left_during_a_trial_pays_for_what_follows_it() {
    let world = selling(TRIED).await;
    for (name, number) in [("ada", PAID), ("bob", ASKS_FOR_3DS)] {
        let user = world.user(name);
        let made = subscribes(&user, json!({ "plan": "premium" })).await;
        let secret = made["client_secret"].as_str().unwrap();
        confirms(&world, secret, number).await;
        if number == ASKS_FOR_3DS {
            let intent = secret.split("_secret_").next().unwrap();
            dashboard(&world, &format!("setup_intents/{intent}/authenticate"), json!({})).await;
        }
    }
    world.advance("242h").await;
    for name in ["ada", "bob"] {
        until(&world.user(name), stage, json!(["premium", "active", true, 500])).await;
    }
}

#[tokio::test]
async fn a_trial_that_is_given_up_ends_with_it_and_costs_nothing() {
    let world = selling(TRIED).await;
    let ada = world.user("ada");
    let method = card(&world, PAID).await;
    let made = subscribes(&ada, json!({ "plan": "premium", "payment_method": method })).await;
    let id = made["id"].as_str().unwrap();
    let left = ask(&ada, id, "cancel", json!({})).await;
    assert_eq!(left["subscription"]["cancel_at"], made["subscription"]["trial_ends_at"]);
    until(&ada, stage, json!(["premium", "trialing", true, 50])).await;
    world.advance("241h").await;
    until(&ada, stage, json!(["free", "none", false, 0])).await;
    assert_eq!(world.charges().await, 0);
    // It was had: the next one is paid for.
    let method = card(&world, "5555 5555 5555 4444").await;
    let again = subscribes(&ada, json!({ "plan": "premium", "payment_method": method })).await;
    assert_eq!((&again["status"], &again["trial_days"]), (&json!("active"), &json!(0)), "{again}");
}

/// Of lingua: plan and status, and whether the AI has no limit.
fn speaking(me: &Value) -> Value {
    let minutes = &me["features"]["ai_minutes"];
    json!([me["plan"]["id"], me["plan"]["status"], minutes["unlimited"], minutes["limit"]])
}

#[tokio::test]
async fn a_trial_on_stripes_page_lifts_the_limits_until_the_card_is_declined() {
    let world = selling(LINGUA).await;
    let ada = world.user("ada");
    until(&ada, speaking, json!(["free", "none", false, 30])).await;
    let opened = ada.post("/v1/me/checkout", json!({ "plan": "premium", "trial_days": 90 })).await;
    assert_eq!((opened.status, &opened.json["trial_days"]), (StatusCode::CREATED, &json!(14)));
    let paid = world.pay(opened.json["id"].as_str().unwrap(), DECLINES_LATER).await;
    assert_eq!(paid.status, StatusCode::OK, "{}", paid.text);
    until(&ada, speaking, json!(["premium", "trialing", true, null])).await;
    world.advance("338h").await;
    until(&ada, speaking, json!(["premium", "past_due", true, null])).await;
    // The account gives up after the last try.
    world.advance("17d").await;
    until(&ada, speaking, json!(["free", "none", false, 30])).await;
}

#[tokio::test]
async fn a_weekly_plan_is_tried_taxed_and_renewed() {
    let world = selling(RETAINER).await;
    let ada = world.user("ada");
    let home = json!({ "name": "Ada", "address": { "line1": "1 Rue de la Paix", "country": "FR" } });
    let told = ada.send(Method::PUT, "/v1/me/billing", None, home.to_string()).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let method = card(&world, PAID).await;
    let made = subscribes(&ada, json!({ "plan": "basic", "payment_method": method })).await;
    assert_eq!((&made["status"], &made["trial_days"]), (&json!("trialing"), &json!(7)), "{made}");
    let requests = |me: &Value| json!([me["plan"]["status"], me["features"]["requests"]["limit"]]);
    until(&ada, requests, json!(["trialing", 25])).await;
    for _ in 0..3 {
        world.advance("170h").await;
        until(&ada, requests, json!(["active", 25])).await;
    }
    let invoices = ada.get("/v1/me/invoices").await.json["invoices"].clone();
    let invoices = invoices.as_array().unwrap();
    assert_eq!(invoices.len(), 4, "the trial's and three weeks'");
    for invoice in &invoices[..3] {
        assert_eq!((&invoice["total"], &invoice["tax"]), (&json!(18_000), &json!(3_000)), "{invoice}");
    }
    assert_eq!(invoices[3]["total"], 0);
}
