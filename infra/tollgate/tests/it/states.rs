//! Every state of a subscription, reached by moving the clock, and what it gives access to.

mod delayed;
mod first;
mod tried;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::catalog::selling;
use crate::harness::{Answer, Caller, DECLINES_LATER, PAID, World, eventually};

pub const RETAINER: &str = include_str!("../../../catalogs/retainer.toml");
pub const VANTAGE: &str = include_str!("../../../catalogs/vantage.toml");

/// A form sent to Stripe's API, and what it answers.
pub async fn stripe_form(world: &World, path: &str, form: &str) -> Answer {
    let bearer = format!("Bearer {}", world.local().stripe_secret_key);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    world.http.send(Method::POST, &format!("{}{path}", world.local().stripe), &headers, form.to_owned()).await
}

/// A card as the app's page hands it over, before it is anybody's.
pub async fn card(world: &World, number: &str) -> String {
    let form = format!(
        "type=card&card[number]={}&card[exp_month]=12&card[exp_year]=2034&card[cvc]=123",
        number.replace(' ', "")
    );
    let made = stripe_form(world, "/v1/payment_methods", &form).await;
    made.json["id"].as_str().unwrap_or_else(|| panic!("{}", made.text)).to_owned()
}

/// A bank account of somebody in the euro area.
pub async fn account(world: &World, iban: &str) -> String {
    let holder = "billing_details[name]=Ada&billing_details[email]=ada@app.example";
    let form = format!("type=sepa_debit&sepa_debit[iban]={iban}&{holder}");
    let made = stripe_form(world, "/v1/payment_methods", &form).await;
    made.json["id"].as_str().unwrap_or_else(|| panic!("{}", made.text)).to_owned()
}

/// What the app's page does with a client secret and the card that its user types in.
pub async fn confirms(world: &World, secret: &str, number: &str) -> Answer {
    let card = format!(
        "payment_method_data[type]=card&payment_method_data[card][number]={}\
         &payment_method_data[card][exp_month]=12&payment_method_data[card][exp_year]=2034\
         &payment_method_data[card][cvc]=123",
        number.replace(' ', "")
    );
    confirms_by(world, secret, &card).await
}

/// The same with a bank account, and its holder's mandate.
pub async fn confirms_debit(world: &World, secret: &str, iban: &str) -> Answer {
    let debit = format!(
        "payment_method_data[type]=sepa_debit&payment_method_data[sepa_debit][iban]={iban}\
         &payment_method_data[billing_details][name]=Ada\
         &payment_method_data[billing_details][email]=ada@app.example"
    );
    confirms_by(world, secret, &debit).await
}

async fn confirms_by(world: &World, secret: &str, method: &str) -> Answer {
    let intent = secret.split("_secret_").next().unwrap();
    let kind = if intent.starts_with("seti_") { "setup_intents" } else { "payment_intents" };
    let headers =
        [("authorization", "Bearer pk_test_page"), ("content-type", "application/x-www-form-urlencoded")];
    let url = format!("{}/v1/{kind}/{intent}/confirm", world.local().stripe);
    let form = format!("key=pk_test_page&client_secret={secret}&{method}");
    world.http.send(Method::POST, &url, &headers, form).await
}

/// What a person answers the bank.
pub async fn authenticates(world: &World, secret: &str) {
    let intent = secret.split("_secret_").next().unwrap();
    let path = format!("payment_intents/{intent}/authenticate");
    let answered = world.sandbox(&path, json!({ "outcome": "success" })).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
}

/// Subscribes without a page of Stripe's.
pub async fn subscribes(user: &Caller<'_>, wanted: Value) -> Value {
    let made = user.post("/v1/me/subscriptions", wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    made.json
}

pub async fn ask(user: &Caller<'_>, id: &str, deed: &str, body: Value) -> Value {
    let done = user.post(&format!("/v1/me/subscriptions/{id}/{deed}"), body).await;
    assert_eq!(done.status, StatusCode::OK, "{deed}: {}", done.text);
    done.json
}

/// Asks `GET /v1/me` until it shows this.
pub async fn until(user: &Caller<'_>, shown: impl Fn(&Value) -> Value, expected: Value) {
    let me = tokio::sync::Mutex::new(Value::Null);
    let is_so = async || {
        let mut me = me.lock().await;
        *me = user.get("/v1/me").await.json;
        shown(&me) == expected
    };
    let started = std::time::Instant::now();
    while !is_so().await {
        let me = me.lock().await;
        let in_time = started.elapsed() < std::time::Duration::from_secs(20);
        assert!(in_time, "never {expected}, but {} of {me:#}", shown(&me));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Of companion: plan and status, whether that gives photos in high definition, and tokens.
fn stage(me: &Value) -> Value {
    let photos = &me["features"]["hd_photos"]["allowed"];
    json!([me["plan"]["id"], me["plan"]["status"], photos, me["wallet"]["available"]])
}

/// The one subscription's own state, and whether it gives access.
fn held(me: &Value) -> Value {
    json!([me["subscriptions"][0]["status"], me["subscriptions"][0]["access"]])
}

async fn dashboard(world: &World, path: &str, body: Value) {
    let answer = world.sandbox(path, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn from_an_unfinished_subscription_to_its_last_day() {
    let world = World::new().await;
    let ada = world.user("ada");
    dashboard(&world, "settings", json!({ "after_retries": "unpaid" })).await;

    let made = subscribes(&ada, json!({ "plan": "premium" })).await;
    let (id, secret) = (made["id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    assert_eq!((&made["status"], &made["subscription"]["access"]), (&json!("incomplete"), &json!(false)));
    until(&ada, stage, json!(["free", "none", false, 0])).await;
    until(&ada, held, json!(["incomplete", false])).await;

    confirms(&world, secret, PAID).await;
    until(&ada, stage, json!(["premium", "active", true, 500])).await;
    let shown = ada.get(&format!("/v1/me/subscriptions/{id}")).await.json;
    assert_eq!((&shown["status"], &shown["wallet"]["available"]), (&json!("active"), &json!(500)));
    assert!(shown["subscription"]["renews_at"].is_string(), "{shown}");

    // A renewal is declined: who is late is not gone, but has no tokens of what is not paid.
    dashboard(&world, &format!("subscriptions/{id}/card"), json!({ "card": DECLINES_LATER })).await;
    world.advance("36d").await;
    until(&ada, stage, json!(["premium", "past_due", true, 0])).await;
    dashboard(&world, &format!("subscriptions/{id}/card"), json!({ "card": PAID })).await;
    world.advance("7d").await;
    until(&ada, stage, json!(["premium", "active", true, 500])).await;

    // The next one is declined for good.
    dashboard(&world, &format!("subscriptions/{id}/card"), json!({ "card": DECLINES_LATER })).await;
    world.advance("28d").await;
    until(&ada, stage, json!(["premium", "past_due", true, 0])).await;
    world.advance("16d").await;
    until(&ada, stage, json!(["free", "none", false, 0])).await;
    until(&ada, held, json!(["unpaid", false])).await;
    let invoice = world.stripe(&format!("/v1/subscriptions/{id}")).await["latest_invoice"].clone();
    dashboard(&world, &format!("invoices/{}/pay", invoice.as_str().unwrap()), json!({ "card": PAID })).await;
    until(&ada, stage, json!(["premium", "active", true, 500])).await;

    let leaving = ask(&ada, id, "cancel", json!({})).await;
    assert_eq!(leaving["subscription"]["renews_at"], Value::Null);
    assert!(leaving["subscription"]["cancel_at"].is_string(), "{leaving}");
    until(&ada, stage, json!(["premium", "active", true, 500])).await;
    let stays = ask(&ada, id, "resume", json!({})).await;
    assert_eq!((&stays["subscription"]["cancel_at"], &stays["status"]), (&Value::Null, &json!("active")));

    let left = ask(&ada, id, "cancel", json!({ "when": "now" })).await;
    assert_eq!((&left["status"], &left["wallet"]["available"]), (&json!("canceled"), &json!(0)), "{left}");
    until(&ada, stage, json!(["free", "none", false, 0])).await;
    assert_eq!(ada.get("/v1/me").await.json["subscriptions"], json!([]));
    for deed in ["cancel", "resume", "change"] {
        let gone = ada.post(&format!("/v1/me/subscriptions/{id}/{deed}"), json!({})).await;
        assert!(matches!(gone.status.as_u16(), 400 | 404), "{deed}: {}", gone.text);
    }
}

/// Premium's states are worth something else here than by default.
const STRICT: &str = "[subscriptions.access]\npast_due = false\nunpaid = true\n";

#[tokio::test]
async fn what_the_states_are_worth_in_which_nothing_is_paid_the_catalog_says() {
    let world = selling(&format!("{}\n{STRICT}", crate::harness::COMPANION)).await;
    let ada = world.user("ada");
    dashboard(&world, "settings", json!({ "after_retries": "unpaid" })).await;
    let method = card(&world, PAID).await;
    let made = subscribes(&ada, json!({ "plan": "premium", "payment_method": method })).await;
    let id = made["id"].as_str().unwrap();
    dashboard(&world, &format!("subscriptions/{id}/card"), json!({ "card": DECLINES_LATER })).await;
    world.advance("36d").await;
    until(&ada, held, json!(["past_due", false])).await;
    until(&ada, stage, json!(["free", "none", false, 0])).await;
    world.advance("16d").await;
    until(&ada, held, json!(["unpaid", true])).await;
    until(&ada, stage, json!(["premium", "unpaid", true, 0])).await;
}

#[tokio::test]
async fn a_canceled_subscription_lasts_to_its_periods_end_and_then_another_can_begin() {
    let world = World::new().await;
    let ada = world.user("ada");
    let method = card(&world, PAID).await;
    let made = subscribes(&ada, json!({ "plan": "premium", "payment_method": method })).await;
    let id = made["id"].as_str().unwrap();
    let renews_at = made["subscription"]["renews_at"].clone();
    let left = ask(&ada, id, "cancel", json!({ "when": "period_end" })).await;
    assert_eq!(left["subscription"]["cancel_at"], renews_at);
    let again = ada.post(&format!("/v1/me/subscriptions/{id}/cancel"), json!({})).await;
    again.expect_problem(409, "nothing_to_change");
    let refused = ada.post("/v1/me/subscriptions", json!({ "plan": "elite" })).await;
    refused.expect_problem(409, "already_subscribed");
    world.advance("32d").await;
    until(&ada, stage, json!(["free", "none", false, 0])).await;
    let ended = ada.get(&format!("/v1/me/subscriptions/{id}")).await;
    assert_eq!(ended.json["status"], "canceled", "{}", ended.text);
    let method = card(&world, PAID).await;
    subscribes(&ada, json!({ "plan": "premium", "payment_method": method })).await;
    until(&ada, stage, json!(["premium", "active", true, 500])).await;
}

#[tokio::test]
async fn a_lesser_plan_is_shown_as_next_and_begins_with_the_next_period() {
    let world = World::new().await;
    let ada = world.user("ada");
    let method = card(&world, PAID).await;
    let made = subscribes(&ada, json!({ "plan": "elite", "payment_method": method })).await;
    let id = made["id"].as_str().unwrap();
    let ends = made["subscription"]["renews_at"].clone();
    let planned = ask(&ada, id, "change", json!({ "plan": "premium" })).await;
    let next = json!({ "plan": "premium", "interval": "month", "quantity": 1, "at": ends });
    assert_eq!(
        (&planned["subscription"]["plan"], &planned["subscription"]["next"]),
        (&json!("elite"), &next)
    );
    until(&ada, |me| me["subscriptions"][0]["next"].clone(), next.clone()).await;
    until(&ada, |me| me["wallet"]["unlimited"].clone(), json!(true)).await;

    let stays = ask(&ada, id, "resume", json!({})).await;
    assert_eq!(stays["subscription"]["next"], Value::Null);
    ask(&ada, id, "change", json!({ "plan": "premium" })).await;
    world.advance("32d").await;
    until(&ada, stage, json!(["premium", "active", true, 500])).await;
    until(
        &ada,
        |me| json!([me["subscriptions"][0]["next"], me["wallet"]["unlimited"]]),
        json!([null, false]),
    )
    .await;
    let charges = world.stripe("/v1/charges?limit=1").await;
    assert_eq!(charges["data"][0]["amount"], 999, "the renewal is the lesser plan's");
}

/// Storage is had beside the main plan, and some of it with or without one.
const BESIDE: &str = r#"
[plans.storage]
name = "Storage"
group = "storage"
level = 1
prices = [{ interval = "month", price = "3.00" }]
tokens = { count = 30, every = "week" }

[plans.archive]
name = "Archive"
group = "storage"
level = 2
prices = [{ interval = "month", price = "6.00" }]
"#;

#[tokio::test]
async fn plans_of_other_groups_are_had_beside_the_main_one_and_end_alone() {
    let world = selling(&format!("{}\n{BESIDE}", crate::harness::COMPANION)).await;
    let ada = world.user("ada");
    let with_card = async |plan: &str| json!({ "plan": plan, "payment_method": card(&world, PAID).await });
    let main = subscribes(&ada, with_card("premium").await).await;
    let beside = subscribes(&ada, with_card("storage").await).await;
    until(&ada, stage, json!(["premium", "active", true, 530])).await;
    until(&ada, |me| json!(me["subscriptions"].as_array().unwrap().len()), json!(2)).await;
    let second = ada.post("/v1/me/subscriptions", with_card("archive").await).await;
    second.expect_problem(409, "already_subscribed");

    let id = beside["id"].as_str().unwrap();
    let astray = ada.post(&format!("/v1/me/subscriptions/{id}/change"), json!({ "plan": "elite" })).await;
    astray.expect_problem(400, "invalid_request");
    ask(&ada, id, "cancel", json!({ "when": "now" })).await;
    until(&ada, stage, json!(["premium", "active", true, 500])).await;
    let storage = subscribes(&ada, with_card("archive").await).await;
    ask(&ada, main["id"].as_str().unwrap(), "cancel", json!({ "when": "now" })).await;
    until(&ada, |me| me["subscriptions"][0]["id"].clone(), storage["id"].clone()).await;
    until(&ada, |me| me["wallet"]["available"].clone(), json!(0)).await;
    eventually("one is left in Stripe", async || {
        let live = world.stripe("/v1/subscriptions").await;
        live["data"].as_array().unwrap().len() == 1
    })
    .await;
}
