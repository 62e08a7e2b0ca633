//! Money that takes days: a bank is asked for it, and answers later.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{account, dashboard, held, stage, subscribes, until};
use crate::catalog::selling;
use crate::harness::{COMPANION, Caller, World};

/// Accounts of Stripe's test mode.
const PAYS: &str = "DE89370400440532013000";
const FAILS: &str = "DE62370400440532013001";

/// Companion, which takes bank debits too.
async fn taking_debits() -> World {
    let methods = "[checkout]\npayment_methods = [\"card\", \"sepa_debit\"]";
    selling(&COMPANION.replacen("[checkout]", methods, 1)).await
}

async fn checkout(user: &Caller<'_>, session: &str) -> Value {
    let shown = user.get(&format!("/v1/me/checkout/{session}")).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    shown.json
}

#[tokio::test]
async fn a_pack_paid_by_debit_is_processing_until_the_money_arrives() {
    let world = taking_debits().await;
    let ada = world.user("ada");
    let session = ada.opens("medium").await;
    dashboard(&world, &format!("checkout/{session}/pay"), json!({ "iban": PAYS })).await;
    for day in 0..3 {
        let shown = checkout(&ada, &session).await;
        assert_eq!(
            (&shown["status"], &shown["wallet"]),
            (&json!("processing"), &Value::Null),
            "day {day}: {shown}"
        );
        assert_eq!(ada.available().await, 0);
        let pending = ada.get("/v1/me/payments?status=pending").await.json;
        assert_eq!(pending["payments"][0]["item"], "package:medium", "{pending}");
        world.advance(if day < 2 { "1d" } else { "25h" }).await;
    }
    ada.until_available(275).await;
    let shown = checkout(&ada, &session).await;
    assert_eq!((&shown["status"], &shown["tokens"]), (&json!("complete"), &json!(275)));
    let paid = ada.get("/v1/me/payments").await.json["payments"].clone();
    assert_eq!((paid.as_array().unwrap().len(), &paid[0]["status"]), (1, &json!("completed")), "{paid}");
}

#[tokio::test]
async fn a_debit_that_fails_gives_nothing_and_says_why() {
    let world = taking_debits().await;
    let ada = world.user("ada");
    let session = ada.opens("medium").await;
    dashboard(&world, &format!("checkout/{session}/pay"), json!({ "iban": FAILS })).await;
    assert_eq!(checkout(&ada, &session).await["status"], "processing");
    world.advance("4d").await;
    let shown = checkout(&ada, &session).await;
    assert_eq!((&shown["status"], &shown["entry"]), (&json!("failed"), &Value::Null), "{shown}");
    assert!(shown["failure"].is_string(), "{shown}");
    until(&ada, stage, json!(["free", "none", false, 0])).await;
    let failed = ada.get("/v1/me/payments?status=failed").await.json["payments"][0].clone();
    assert_eq!(failed["item"], "package:medium", "{failed}");
}

#[tokio::test]
async fn a_plan_paid_by_debit_is_had_at_once_and_its_tokens_with_the_money() {
    let world = taking_debits().await;
    let ada = world.user("ada");
    let session = ada.opens_plan("premium").await;
    dashboard(&world, &format!("checkout/{session}/pay"), json!({ "iban": PAYS })).await;
    until(&ada, stage, json!(["premium", "active", true, 0])).await;
    assert_eq!(checkout(&ada, &session).await["status"], "processing");
    let twice = ada.post("/v1/me/checkout", json!({ "plan": "premium" })).await;
    twice.expect_problem(409, "already_subscribed");
    world.advance("4d").await;
    until(&ada, stage, json!(["premium", "active", true, 500])).await;
    let shown = checkout(&ada, &session).await;
    assert_eq!((&shown["status"], &shown["tokens"]), (&json!("complete"), &json!(500)), "{shown}");
}

#[tokio::test]
async fn a_plan_whose_first_debit_fails_falls_behind_without_any_tokens() {
    let world = taking_debits().await;
    let ada = world.user("ada");
    let method = account(&world, FAILS).await;
    let made = subscribes(&ada, json!({ "plan": "premium", "payment_method": method })).await;
    assert_eq!((&made["status"], &made["wallet"]["available"]), (&json!("active"), &json!(0)), "{made}");
    world.advance("4d").await;
    until(&ada, held, json!(["past_due", true])).await;
    assert_eq!(ada.available().await, 0);
    world.advance("60d").await;
    until(&ada, stage, json!(["free", "none", false, 0])).await;
    let failed = ada.get("/v1/me/payments?status=failed").await.json["payments"][0].clone();
    assert_eq!(failed["item"], "plan:premium:month", "{failed}");
}
