//! Packs without a page of Stripe's: a payment is made, confirmed by the app or its page, and credited once.

mod delayed;
mod retried;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::catalog::selling;
use crate::harness::{ASKS_FOR_3DS, Answer, Caller, DECLINED, PAID, World, eventually};
use crate::states::{VANTAGE, authenticates, card, confirms};

pub const NO_FUNDS: &str = "4000 0000 0000 9995";

/// Something to be paid, as the app is answered.
pub async fn pays(user: &Caller<'_>, wanted: Value) -> Value {
    let made = user.post("/v1/me/payments", wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    made.json
}

pub fn id(payment: &Value) -> &str {
    payment["id"].as_str().unwrap_or_else(|| panic!("no payment: {payment}"))
}

pub fn secret(payment: &Value) -> &str {
    payment["client_secret"].as_str().unwrap_or_else(|| panic!("no secret: {payment}"))
}

pub async fn shown(user: &Caller<'_>, id: &str) -> Value {
    let shown = user.get(&format!("/v1/me/payments/{id}")).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    shown.json
}

/// The record of the one payment that there is.
pub async fn recorded(user: &Caller<'_>) -> Value {
    let listed = user.get("/v1/me/payments").await.json["payments"].clone();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    listed[0].clone()
}

async fn confirm(user: &Caller<'_>, id: &str, body: Value) -> Answer {
    user.post(&format!("/v1/me/payments/{id}/confirm"), body).await
}

/// How often tokens were bought.
pub async fn purchases(user: &Caller<'_>) -> usize {
    let entries = user.get("/v1/me/wallet/entries?limit=100").await.json;
    entries["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "purchase").count()
}

/// Until everything that Stripe told of has been handled.
pub async fn handled(world: &World) {
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    assert_eq!(world.waiting("WebhookDeadLetters").await, 0);
}

#[tokio::test]
async fn a_payment_is_pending_until_it_is_confirmed_and_credited_once() {
    let world = selling(VANTAGE).await;
    let ada = world.user("ada");
    let made = pays(&ada, json!({ "package": "professional" })).await;
    assert_eq!(
        (&made["status"], &made["item"], &made["amount"]),
        (
            &json!("requires_payment_method"),
            &json!("package:professional"),
            &json!({ "amount_minor": 3999, "currency": "usd" })
        )
    );
    assert_eq!(
        (&made["entry"], &made["tokens"], &made["wallet"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let pending = recorded(&ada).await;
    assert_eq!(
        (&pending["id"], &pending["status"], &pending["tokens"]),
        (&made["id"], &json!("pending"), &json!(0))
    );
    assert_eq!(ada.available().await, 0);

    assert_eq!(confirms(&world, secret(&made), PAID).await.json["status"], "succeeded");
    ada.until_available(50).await;
    handled(&world).await;
    for _ in 0..2 {
        let paid = shown(&ada, id(&made)).await;
        assert_eq!((&paid["status"], &paid["tokens"]), (&json!("succeeded"), &json!(50)), "{paid}");
        assert_eq!(paid["entry"], json!(format!("pay:{}", id(&made))));
        let again = confirm(&ada, id(&made), json!({})).await;
        assert_eq!((again.status, &again.json), (StatusCode::OK, &paid));
    }
    let record = recorded(&ada).await;
    assert_eq!((&record["status"], &record["price_per_token"]), (&json!("completed"), &json!("0.799")));
    assert!(record["charge"].is_string() && record["receipt_url"].is_string(), "{record}");
    assert_eq!((purchases(&ada).await, ada.available().await), (1, 50));
}

#[tokio::test]
async fn without_a_single_event_asking_is_enough_and_late_events_add_nothing() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let made = pays(&ada, json!({ "package": "medium" })).await;
    confirms(&world, secret(&made), PAID).await;
    assert_eq!(ada.available().await, 0, "nobody has asked yet");
    let paid = shown(&ada, id(&made)).await;
    assert_eq!((&paid["tokens"], &paid["wallet"]["available"]), (&json!(275), &json!(275)), "{paid}");
    for kind in
        ["payment_intent.created", "payment_intent.succeeded", "charge.succeeded", "payment_intent.succeeded"]
    {
        assert_eq!(world.deliver(&world.event(kind).await).await.status, StatusCode::OK);
    }
    handled(&world).await;
    assert_eq!((purchases(&ada).await, ada.available().await), (1, 275));
}

#[tokio::test]
async fn a_card_that_is_handed_over_pays_at_once() {
    let world = World::new().await;
    let ada = world.user("ada");
    let method = card(&world, PAID).await;
    let paid = pays(&ada, json!({ "package": "small", "quantity": 3, "payment_method": method })).await;
    assert_eq!(
        (&paid["status"], &paid["amount"]["amount_minor"]),
        (&json!("succeeded"), &json!(1497)),
        "{paid}"
    );
    assert_eq!((&paid["tokens"], &paid["wallet"]["available"]), (&json!(300), &json!(300)));
    handled(&world).await;
    assert_eq!((purchases(&ada).await, ada.available().await), (1, 300));
}

#[tokio::test]
async fn a_declined_card_leaves_a_failed_payment_that_another_card_completes() {
    let world = World::new().await;
    for (name, number, reason) in
        [("ada", DECLINED, "generic_decline"), ("bob", NO_FUNDS, "insufficient_funds")]
    {
        let user = world.user(name);
        let made = pays(&user, json!({ "package": "medium" })).await;
        // Handed over to us, or typed in on the app's page.
        let declined =
            confirm(&user, id(&made), json!({ "payment_method": card(&world, number).await })).await;
        assert_eq!(
            (declined.status, &declined.json["status"]),
            (StatusCode::OK, &json!("requires_payment_method")),
            "{}",
            declined.text
        );
        assert_eq!(confirms(&world, secret(&made), number).await.status, StatusCode::PAYMENT_REQUIRED);
        handled(&world).await;
        let failed = recorded(&user).await;
        assert_eq!((&failed["status"], &failed["failure"]), (&json!("failed"), &json!(reason)), "{failed}");
        assert_eq!(user.available().await, 0);

        let paid = confirm(&user, id(&made), json!({ "payment_method": card(&world, PAID).await })).await;
        assert_eq!(
            (&paid.json["status"], &paid.json["tokens"]),
            (&json!("succeeded"), &json!(275)),
            "{}",
            paid.text
        );
        handled(&world).await;
        let record = recorded(&user).await;
        assert_eq!((&record["status"], &record["failure"]), (&json!("completed"), &Value::Null), "{record}");
        assert_eq!((purchases(&user).await, user.available().await), (1, 275));
    }
}

#[tokio::test]
async fn a_card_that_is_declined_with_the_request_is_no_error_and_can_be_replaced() {
    let world = World::new().await;
    let ada = world.user("ada");
    let method = card(&world, NO_FUNDS).await;
    let made = pays(&ada, json!({ "package": "small", "payment_method": method })).await;
    assert_eq!(made["status"], "requires_payment_method", "{made}");
    let failed = recorded(&ada).await;
    assert_eq!((&failed["status"], &failed["failure"]), (&json!("failed"), &json!("insufficient_funds")));
    confirms(&world, secret(&made), PAID).await;
    ada.until_available(100).await;
}

#[tokio::test]
async fn a_payment_that_has_to_be_authenticated_waits_for_that() {
    let world = World::new().await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let made = pays(&ada, json!({ "package": "medium" })).await;
    assert_eq!(confirms(&world, secret(&made), ASKS_FOR_3DS).await.json["status"], "requires_action");
    let method = card(&world, ASKS_FOR_3DS).await;
    let of_bob = pays(&bob, json!({ "package": "medium", "payment_method": method })).await;
    for (user, made) in [(&ada, &made), (&bob, &of_bob)] {
        let waiting = shown(user, id(made)).await;
        assert_eq!(
            (&waiting["status"], &waiting["tokens"]),
            (&json!("requires_action"), &Value::Null),
            "{waiting}"
        );
        assert_eq!(recorded(user).await["status"], "pending");
        authenticates(&world, secret(made)).await;
        user.until_available(275).await;
        assert_eq!(shown(user, id(made)).await["status"], "succeeded");
    }
}

#[tokio::test]
async fn an_authentication_that_fails_is_a_failed_payment() {
    let world = World::new().await;
    let ada = world.user("ada");
    let made = pays(&ada, json!({ "package": "medium" })).await;
    confirms(&world, secret(&made), ASKS_FOR_3DS).await;
    let path = format!("payment_intents/{}/authenticate", id(&made));
    world.sandbox(&path, json!({ "outcome": "fail" })).await;
    handled(&world).await;
    assert_eq!(shown(&ada, id(&made)).await["status"], "requires_payment_method");
    assert_eq!(recorded(&ada).await["status"], "failed");
    assert_eq!(ada.available().await, 0);
}

#[tokio::test]
async fn what_is_given_up_is_paid_by_nobody_and_what_is_paid_is_not_given_up() {
    let world = World::new().await;
    let ada = world.user("ada");
    let cancel = async |id: &str| ada.post(&format!("/v1/me/payments/{id}/cancel"), json!({})).await;
    let made = pays(&ada, json!({ "package": "medium" })).await;
    for _ in 0..2 {
        let canceled = cancel(id(&made)).await;
        assert_eq!(
            (canceled.status, &canceled.json["status"]),
            (StatusCode::OK, &json!("canceled")),
            "{}",
            canceled.text
        );
    }
    let record = recorded(&ada).await;
    assert_eq!((&record["status"], &record["failure"]), (&json!("failed"), &json!("canceled")), "{record}");
    assert_ne!(confirms(&world, secret(&made), PAID).await.status, StatusCode::OK);
    let late = confirm(&ada, id(&made), json!({ "payment_method": card(&world, PAID).await })).await;
    assert_eq!((late.status, &late.json["status"]), (StatusCode::OK, &json!("canceled")), "{}", late.text);
    assert_eq!(ada.available().await, 0);

    let method = card(&world, PAID).await;
    let paid = pays(&ada, json!({ "package": "small", "payment_method": method })).await;
    let kept = cancel(id(&paid)).await;
    assert_eq!(
        (&kept.json["status"], &kept.json["tokens"]),
        (&json!("succeeded"), &json!(100)),
        "{}",
        kept.text
    );
    assert_eq!(ada.available().await, 100);
}

#[tokio::test]
async fn what_cannot_be_paid_is_said_and_nothing_is_made() {
    let world = World::new().await;
    let ada = world.user("ada");
    for (wanted, status, code, says) in [
        (json!({}), 400, "invalid_request", "one `package` or one `plan`"),
        (json!({ "plan": "premium" }), 400, "invalid_request", "POST …/subscriptions"),
        (json!({ "package": "huge" }), 422, "unknown_package", "medium"),
        (json!({ "package": "small", "quantity": 0 }), 400, "invalid_request", "from 1 to 100"),
        (json!({ "package": "small", "interval": "month" }), 400, "invalid_request", "belong to a `plan`"),
        (
            json!({ "package": "small", "success_url": "http://localhost:3000/" }),
            400,
            "invalid_request",
            "nobody is sent",
        ),
        (json!({ "package": "small", "amount": 1 }), 400, "invalid_request", "amount"),
    ] {
        let refused = ada.post("/v1/me/payments", wanted.clone()).await;
        refused.expect_problem(status, code);
        assert!(refused.json["detail"].as_str().unwrap().contains(says), "{wanted}: {}", refused.text);
    }
    assert_eq!(world.stripe("/v1/customers").await["data"], json!([]), "nothing was made in Stripe");
    let unknown =
        ada.post("/v1/me/payments", json!({ "package": "small", "payment_method": "pm_nobodys" })).await;
    unknown.expect_problem(400, "invalid_request");
    assert_eq!(ada.available().await, 0);
}

#[tokio::test]
async fn somebody_elses_payment_is_not_there() {
    let world = World::new().await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let made = pays(&ada, json!({ "package": "small" })).await;
    let subscribed = ada.opens_plan("premium").await;
    world.pay(&subscribed, PAID).await;
    ada.until_available(500).await;
    let of_invoice = ada.get("/v1/me/payments?status=completed").await.json["payments"][0]["id"].clone();
    for (user, intent) in [
        (&bob, id(&made)),
        // An invoice's is shown with the others, and is nobody's to confirm.
        (&ada, of_invoice.as_str().unwrap()),
        (&ada, "pi_nowhere"),
        (&ada, "cus_1"),
    ] {
        user.get(&format!("/v1/me/payments/{intent}")).await.expect_problem(404, "not_found");
        for deed in ["confirm", "cancel"] {
            let path = format!("/v1/me/payments/{intent}/{deed}");
            user.post(&path, json!({})).await.expect_problem(404, "not_found");
        }
    }
    confirms(&world, secret(&made), PAID).await;
    ada.until_available(600).await;
    let service = world.service().get(&format!("/v1/users/ada/payments/{}", id(&made))).await;
    assert_eq!(service.json["status"], "succeeded", "{}", service.text);
    assert_eq!(bob.available().await, 0);
}
