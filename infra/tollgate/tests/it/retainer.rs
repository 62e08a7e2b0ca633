//! A service by the week in dollars: paid by bank debit as well as by card, and taxed where its buyer lives.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::catalog::selling;
use crate::harness::{Caller, PAID, World};
use crate::states::{RETAINER, card, stripe_form, subscribes, until};

/// Accounts of Stripe's test mode.
const PAYS: &str = "000123456789";
const CLOSED: &str = "000111111113";
const BASIC: &str = "basic";

fn untried() -> Value {
    json!({ "plan": BASIC, "trial_days": 0 })
}

async fn opens(user: &Caller<'_>) -> String {
    let opened = user.post("/v1/me/checkout", untried()).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text);
    opened.json["id"].as_str().unwrap().to_owned()
}

async fn checkout(user: &Caller<'_>, session: &str) -> Value {
    let shown = user.get(&format!("/v1/me/checkout/{session}")).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    shown.json
}

async fn person(world: &World, path: &str, body: Value) -> Value {
    let done = world.sandbox(path, body).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    done.json
}

/// Plan, status, and how many requests a week it allows.
fn tier(me: &Value) -> Value {
    json!([me["plan"]["id"], me["plan"]["status"], me["features"]["requests"]["limit"]])
}

async fn lives_in(user: &Caller<'_>, country: &str) {
    let home = json!({ "name": "Ada", "address": { "line1": "1 Main Street", "country": country } });
    let told = user.send(Method::PUT, "/v1/me/billing", None, home.to_string()).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
}

/// What each invoice came to, and how much of that is tax, newest first.
async fn invoiced(user: &Caller<'_>) -> Vec<(i64, i64)> {
    let invoices = user.get("/v1/me/invoices").await.json["invoices"].take();
    let of = |invoice: &Value, field: &str| invoice[field].as_i64().unwrap();
    invoices.as_array().unwrap().iter().map(|it| (of(it, "total"), of(it, "tax"))).collect()
}

#[tokio::test]
async fn a_checkout_paid_by_bank_debit_is_processing_until_the_money_arrived() {
    let world = selling(RETAINER).await;
    let ada = world.user("ada");
    let session = opens(&ada).await;
    let offered = world.stripe(&format!("/v1/checkout/sessions/{session}")).await;
    assert_eq!(offered["payment_method_types"], json!(["card", "us_bank_account"]), "no euros, no SEPA");
    person(&world, &format!("checkout/{session}/pay"), json!({ "account": PAYS })).await;
    for _ in 0..4 {
        let shown = checkout(&ada, &session).await;
        assert_eq!((&shown["status"], &shown["entry"]), (&json!("processing"), &Value::Null), "{shown}");
        world.advance("23h").await;
    }
    world.advance("5h").await;
    let shown = checkout(&ada, &session).await;
    assert_eq!(
        (&shown["status"], &shown["item"]),
        (&json!("complete"), &json!("plan:basic:week")),
        "{shown}"
    );
    assert!(shown["entry"].is_string(), "{shown}");
    until(&ada, tier, json!([BASIC, "active", 25])).await;
    let paid = ada.get("/v1/me/payments").await.json["payments"].clone();
    assert_eq!((paid.as_array().unwrap().len(), &paid[0]["status"]), (1, &json!("completed")), "{paid}");
}

#[tokio::test]
async fn a_bank_debit_that_is_returned_fails_its_checkout_until_a_card_pays_instead() {
    let world = selling(RETAINER).await;
    let ada = world.user("ada");
    let session = opens(&ada).await;
    let paid = person(&world, &format!("checkout/{session}/pay"), json!({ "account": CLOSED })).await;
    assert_eq!(checkout(&ada, &session).await["status"], "processing");
    world.advance("97h").await;
    let shown = checkout(&ada, &session).await;
    assert_eq!(
        (&shown["status"], &shown["failure"], &shown["entry"]),
        (&json!("failed"), &json!("account_closed"), &Value::Null),
        "{shown}"
    );
    until(&ada, tier, json!([BASIC, "past_due", 25])).await;

    let invoice = paid["invoice"].as_str().unwrap();
    person(&world, &format!("invoices/{invoice}/pay"), json!({ "card": PAID })).await;
    until(&ada, tier, json!([BASIC, "active", 25])).await;
    let shown = checkout(&ada, &session).await;
    assert_eq!((&shown["status"], &shown["failure"]), (&json!("complete"), &Value::Null), "{shown}");
}

#[tokio::test]
async fn an_app_takes_a_bank_debit_for_a_tier_without_a_page_of_stripes() {
    let world = selling(RETAINER).await;
    let ada = world.user("ada");
    lives_in(&ada, "US").await;
    let made = subscribes(&ada, untried()).await;
    assert_eq!(made["status"], "incomplete", "{made}");
    let intent = made["client_secret"].as_str().unwrap().split("_secret_").next().unwrap();
    let form = format!(
        "payment_method_data[type]=us_bank_account&payment_method_data[us_bank_account][account_number]={PAYS}\
         &payment_method_data[us_bank_account][routing_number]=110000000\
         &payment_method_data[billing_details][name]=Ada\
         &mandate_data[customer_acceptance][type]=offline"
    );
    let confirmed = stripe_form(&world, &format!("/v1/payment_intents/{intent}/confirm"), &form).await;
    assert_eq!(confirmed.json["status"], "processing", "{}", confirmed.text);
    world.advance("97h").await;
    until(&ada, tier, json!([BASIC, "active", 25])).await;
    assert_eq!(invoiced(&ada).await, [(15_000, 0)]);
    world.advance("11d").await;
    until(&ada, tier, json!([BASIC, "active", 25])).await;
    let paid = ada.get("/v1/me/invoices").await.json["invoices"].clone();
    assert_eq!(paid[1]["status"], "paid", "the account is debited week after week: {paid}");
}

#[tokio::test]
async fn who_is_taxed_and_has_no_address_is_told_where_to_say_it_and_goes_on_with_another_key() {
    let world = selling(RETAINER).await;
    let ada = world.user("ada");
    let wanted = json!({ "plan": BASIC, "trial_days": 0, "payment_method": card(&world, PAID).await });
    for key in ["first", "first", "second"] {
        let refused = ada.post_once("/v1/me/subscriptions", key, wanted.clone()).await;
        refused.expect_problem(422, "billing_address_needed");
        assert!(refused.text.contains("PUT /v1/me/billing"), "{}", refused.text);
    }
    lives_in(&ada, "FR").await;
    let made = ada.post_once("/v1/me/subscriptions", "third", wanted).await;
    assert_eq!((made.status, &made.json["status"]), (StatusCode::CREATED, &json!("active")), "{}", made.text);
    assert_eq!(invoiced(&ada).await, [(18_000, 3_000)], "once");
}

#[tokio::test]
async fn tax_is_added_where_the_buyer_says_they_live_and_stays_with_them() {
    let world = selling(RETAINER).await;
    for (name, country, tax) in [("ada", "FR", 3_000), ("bob", "DE", 2_850), ("eve", "US", 0)] {
        let user = world.user(name);
        let session = opens(&user).await;
        let priced =
            person(&world, &format!("checkout/{session}/address"), json!({ "country": country })).await;
        assert_eq!(
            (&priced["amount_subtotal"], &priced["amount_total"]),
            (&json!(15_000), &json!(15_000 + tax))
        );
        person(&world, &format!("checkout/{session}/pay"), json!({ "card": PAID })).await;
        until(&user, tier, json!([BASIC, "active", 25])).await;
        assert_eq!(invoiced(&user).await, [(15_000 + tax, tax)], "{country}");
        let billing = user.get("/v1/me/billing").await.json;
        assert_eq!(billing["address"]["country"], country, "{billing}");
    }
    world.advance("170h").await;
    let ada = world.user("ada");
    until(&ada, tier, json!([BASIC, "active", 25])).await;
    assert_eq!(invoiced(&ada).await, [(18_000, 3_000), (18_000, 3_000)], "the next week too");

    let zoe = world.user("zoe");
    lives_in(&zoe, "DE").await;
    let method = card(&world, PAID).await;
    let wanted = json!({ "plan": BASIC, "trial_days": 0, "payment_method": method });
    assert_eq!(subscribes(&zoe, wanted).await["status"], "active");
    assert_eq!(invoiced(&zoe).await, [(17_850, 2_850)], "an address that was known before counts as well");
}
