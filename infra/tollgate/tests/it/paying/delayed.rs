//! Bank debits: asked for now, answered in days, and credited only when the money is there.

use serde_json::{Value, json};

use super::{handled, id, pays, purchases, recorded, secret, shown};
use crate::catalog::selling;
use crate::harness::{COMPANION, PAID, World};
use crate::states::{account, card, confirms_debit};

const PAYS: &str = "DE89370400440532013000";
const FAILS: &str = "DE65370400440002222227";

async fn taking_debits() -> World {
    let methods = "[checkout]\npayment_methods = [\"card\", \"sepa_debit\"]";
    selling(&COMPANION.replacen("[checkout]", methods, 1)).await
}

#[tokio::test]
async fn a_debit_is_credited_when_the_money_arrives_and_not_before() {
    let world = taking_debits().await;
    let ada = world.user("ada");
    let made = pays(&ada, json!({ "package": "medium" })).await;
    assert_eq!(confirms_debit(&world, secret(&made), PAYS).await.json["status"], "processing");
    for _ in 0..3 {
        let waiting = shown(&ada, id(&made)).await;
        assert_eq!(
            (&waiting["status"], &waiting["entry"]),
            (&json!("processing"), &Value::Null),
            "{waiting}"
        );
        assert_eq!((&recorded(&ada).await["status"], ada.available().await), (&json!("pending"), 0));
        world.advance("20h").await;
    }
    // What a bank is at cannot be stopped.
    let kept = ada.post(&format!("/v1/me/payments/{}/cancel", id(&made)), json!({})).await;
    assert_eq!(kept.json["status"], "processing", "{}", kept.text);
    world.advance("13h").await;
    ada.until_available(275).await;
    handled(&world).await;
    assert_eq!(shown(&ada, id(&made)).await["tokens"], 275);
    assert_eq!((purchases(&ada).await, &recorded(&ada).await["status"]), (1, &json!("completed")));
}

#[tokio::test]
async fn a_debit_that_fails_is_a_failed_payment_and_another_way_completes_it() {
    let world = taking_debits().await;
    let ada = world.user("ada");
    let made = pays(&ada, json!({ "package": "medium" })).await;
    assert_eq!(confirms_debit(&world, secret(&made), FAILS).await.json["status"], "processing");
    world.advance("4d").await;
    handled(&world).await;
    let failed = recorded(&ada).await;
    assert_eq!(
        (&failed["status"], &failed["failure"]),
        (&json!("failed"), &json!("insufficient_funds")),
        "{failed}"
    );
    assert_eq!(
        (&shown(&ada, id(&made)).await["status"], ada.available().await),
        (&json!("requires_payment_method"), 0)
    );
    assert_eq!(confirms_debit(&world, secret(&made), PAYS).await.json["status"], "processing");
    assert_eq!(shown(&ada, id(&made)).await["status"], "processing");
    assert_eq!(recorded(&ada).await["status"], "pending");
    world.advance("4d").await;
    ada.until_available(275).await;
    assert_eq!(purchases(&ada).await, 1);
}

#[tokio::test]
async fn an_account_without_its_holders_mandate_and_a_card_of_somebody_elses_are_not_charged() {
    let world = taking_debits().await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let wanted = |method: &str| json!({ "package": "medium", "payment_method": method });
    let unagreed = account(&world, PAYS).await;
    ada.post("/v1/me/payments", wanted(&unagreed)).await.expect_problem(422, "mandate_needed");

    let bobs = card(&world, PAID).await;
    let subscribed =
        bob.post("/v1/me/subscriptions", json!({ "plan": "premium", "payment_method": bobs })).await;
    assert_eq!(subscribed.json["status"], "active", "{}", subscribed.text);
    ada.post("/v1/me/payments", wanted(&bobs)).await.expect_problem(400, "invalid_request");
    assert_eq!(ada.available().await, 0);
}
