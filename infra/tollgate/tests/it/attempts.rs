//! The record of a payment: begun, failed, paid after all, and what belongs to it in Stripe.

mod invoices;
mod orders;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::{PaymentId, UserId};
use domain::payment::{PaymentRecord, PaymentStatus, References};
use hyper::StatusCode;
use serde_json::{Value, json};
use store::items::Item;

use crate::harness::{ASKS_FOR_3DS, Caller, DECLINED, PAID, World, eventually};

const NO_FUNDS: &str = "4000 0000 0000 9995";

async fn item(world: &World, user: &str, intent: &str) -> Option<Item> {
    let get = world.table().await.get_item().table_name(tollgate::stack::TABLE).consistent_read(true);
    let get = get.key("PK", AttributeValue::S(format!("U#{user}")));
    get.key("SK", AttributeValue::S(format!("P#{intent}"))).send().await.unwrap().item
}

async fn record(world: &World, user: &str, intent: &str) -> Option<PaymentRecord> {
    let item = item(world, user, intent).await?;
    let (user, intent) = (UserId::parse(user).unwrap(), PaymentId::parse(intent).unwrap());
    store::items::to_record(user, intent, item).unwrap()
}

async fn status(world: &World, user: &str, intent: &str) -> Option<PaymentStatus> {
    record(world, user, intent).await.map(|record| record.status)
}

/// Every payment of anybody's.
async fn payments(world: &World) -> Vec<HashMap<String, AttributeValue>> {
    let scan = world.table().await.scan().table_name(tollgate::stack::TABLE).send().await.unwrap();
    let is_payment = |item: &HashMap<String, AttributeValue>| {
        item["PK"].as_s().unwrap().starts_with("U#") && item["SK"].as_s().unwrap().starts_with("P#")
    };
    scan.items.unwrap().into_iter().filter(is_payment).collect()
}

/// The intent of a session at whose till somebody has been.
async fn intent_of(world: &World, session: &str) -> String {
    let session = world.stripe(&format!("/v1/checkout/sessions/{session}")).await;
    session["payment_intent"].as_str().unwrap().to_owned()
}

async fn decline(world: &World, session: &str, card: &str) -> String {
    assert_eq!(world.pay(session, card).await.status, StatusCode::PAYMENT_REQUIRED);
    intent_of(world, session).await
}

async fn pay(world: &World, session: &str) -> String {
    assert_eq!(world.pay(session, PAID).await.status, StatusCode::OK);
    intent_of(world, session).await
}

/// A bought pack of which nobody has heard yet: its session and intent.
async fn bought(world: &World, user: &Caller<'_>) -> (String, String) {
    let session = user.opens("medium").await;
    let intent = pay(world, &session).await;
    (session, intent)
}

async fn handled(world: &World) {
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    assert_eq!(world.waiting("WebhookDeadLetters").await, 0);
}

async fn deliver(world: &World, event: &Value) {
    assert_eq!(world.deliver(event).await.status, StatusCode::OK);
    handled(world).await;
}

/// Delivers an event and says what became of it.
async fn told(world: &World, event: &Value) -> String {
    deliver(world, event).await;
    let audit = world.item("W#", event["id"].as_str().unwrap()).await.expect("an audit record");
    audit["outcome"].as_s().unwrap().clone()
}

#[tokio::test]
async fn a_declined_card_leaves_a_failed_payment_that_another_card_completes() {
    let world = World::new().await;
    let ada = world.user("ada");
    let session = ada.opens("medium").await;
    let intent = decline(&world, &session, NO_FUNDS).await;
    eventually("a failed payment", async || {
        status(&world, "ada", &intent).await == Some(PaymentStatus::Failed)
    })
    .await;
    let failed = record(&world, "ada", &intent).await.unwrap();
    assert_eq!(failed.failure.as_deref(), Some("insufficient_funds"));
    assert_eq!((failed.item.to_string().as_str(), failed.amount.amount_minor), ("package:medium", 999));
    assert_eq!((failed.granted.get(), failed.references), (0, References::default()));
    assert_eq!(ada.available().await, 0);

    pay(&world, &session).await;
    ada.until_available(275).await;
    handled(&world).await;
    let charge = world.stripe(&format!("/v1/payment_intents/{intent}")).await["latest_charge"].clone();
    let charge = world.stripe(&format!("/v1/charges/{}", charge.as_str().unwrap())).await;
    let paid = record(&world, "ada", &intent).await.unwrap();
    assert_eq!((paid.status, paid.failure, paid.granted.get()), (PaymentStatus::Completed, None, 275));
    let References { checkout, charge: charged, receipt_url } = paid.references;
    assert_eq!(checkout.unwrap().as_str(), session);
    assert_eq!(json!(charged.unwrap().as_str()), charge["id"]);
    assert_eq!(json!(receipt_url.unwrap()), charge["receipt_url"]);
    assert_eq!(payments(&world).await.len(), 1);
}

#[tokio::test]
async fn a_payment_is_pending_until_its_buyer_fails_or_goes_away() {
    let world = World::without_webhooks().await;
    let session = world.user("ada").opens("small").await;
    let asked = world.pay(&session, ASKS_FOR_3DS).await;
    assert_eq!(asked.json["status"], "requires_action");
    let intent = intent_of(&world, &session).await;
    for kind in ["payment_intent.requires_action", "payment_intent.created"] {
        assert_eq!(told(&world, &world.event(kind).await).await, "payment pending");
        assert_eq!(status(&world, "ada", &intent).await, Some(PaymentStatus::Pending), "{kind}");
    }
    decline(&world, &session, DECLINED).await;
    assert_eq!(told(&world, &world.event("payment_intent.payment_failed").await).await, "payment failed");
    let reason = async || record(&world, "ada", &intent).await.unwrap().failure;
    assert_eq!(reason().await.as_deref(), Some("generic_decline"));
    world.stripe_update(&format!("/v1/checkout/sessions/{session}/expire"), "").await;
    assert_eq!(told(&world, &world.event("payment_intent.canceled").await).await, "payment failed");
    assert_eq!(reason().await.as_deref(), Some("canceled"));
}

#[tokio::test]
async fn an_event_of_an_attempt_that_is_paid_by_now_credits_it() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let (_, intent) = bought(&world, &ada).await;
    assert_eq!(told(&world, &world.event("payment_intent.created").await).await, "credited");
    assert_eq!(ada.available().await, 275);
    assert_eq!(status(&world, "ada", &intent).await, Some(PaymentStatus::Completed));
    assert_eq!(told(&world, &world.event("payment_intent.created").await).await, "known before");
    assert_eq!(told(&world, &world.event("payment_intent.succeeded").await).await, "credited before");
}

#[tokio::test]
async fn a_thin_event_of_an_intent_is_as_good_as_its_snapshot() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let session = ada.opens("medium").await;
    let intent = decline(&world, &session, NO_FUNDS).await;
    let thin = |id: &str, kind: &str| {
        json!({
            "id": id, "object": "v2.core.event", "created": "2026-11-02T06:13:22.481Z", "livemode": false,
            "related_object": {"id": intent, "type": "payment_intent"}, "type": format!("v1.{kind}"),
        })
    };
    assert_eq!(told(&world, &thin("evt_1", "payment_intent.payment_failed")).await, "payment failed");
    assert_eq!(status(&world, "ada", &intent).await, Some(PaymentStatus::Failed));
    pay(&world, &session).await;
    assert_eq!(told(&world, &thin("evt_2", "payment_intent.succeeded")).await, "credited");
    assert_eq!(ada.available().await, 275);
}

#[tokio::test]
async fn a_charge_that_is_heard_of_before_its_payment_waits_for_it() {
    let world = World::without_webhooks().await;
    let (session, intent) = bought(&world, &world.user("ada")).await;
    assert_eq!(told(&world, &world.event("charge.succeeded").await).await, "referred");
    assert_eq!(record(&world, "ada", &intent).await, None, "a reference alone is no payment");
    let waiting = item(&world, "ada", &intent).await.unwrap();
    assert!(!waiting.contains_key("GSI2PK") && waiting.contains_key("charge"), "{waiting:?}");
    deliver(&world, &world.event("checkout.session.completed").await).await;
    let record = record(&world, "ada", &intent).await.unwrap();
    assert_eq!(record.status, PaymentStatus::Completed);
    assert_eq!(record.references.checkout.unwrap().as_str(), session);
    assert!(record.references.charge.is_some() && record.references.receipt_url.is_some());
}

#[tokio::test]
async fn the_success_page_that_credits_a_payment_refers_it_to_its_checkout() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let (session, intent) = bought(&world, &ada).await;
    assert_eq!(ada.get(&format!("/v1/me/checkout/{session}")).await.json["status"], "complete");
    let record = record(&world, "ada", &intent).await.unwrap();
    assert_eq!(record.references.checkout.unwrap().as_str(), session);
}

#[tokio::test]
async fn an_invoices_charge_is_found_by_its_customer_and_its_attempts_are_its_subscriptions() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let session = ada.opens_plan("premium").await;
    assert_eq!(world.pay(&session, DECLINED).await.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(told(&world, &world.event("payment_intent.payment_failed").await).await, "not ours");
    assert_eq!(payments(&world).await, []);
    assert_eq!(world.pay(&session, PAID).await.status, StatusCode::OK);
    let charge = world.event("charge.succeeded").await;
    assert_eq!(told(&world, &charge).await, "referred");
    deliver(&world, &world.event("invoice.paid").await).await;
    let object = &charge["data"]["object"];
    let record = record(&world, "ada", object["payment_intent"].as_str().unwrap()).await.unwrap();
    assert_eq!((record.status, record.invoice.is_some()), (PaymentStatus::Completed, true));
    assert_eq!(json!(record.references.charge), object["id"]);
    assert_eq!(json!(record.references.receipt_url), object["receipt_url"]);
}

/// The same event under another id, its object changed.
fn altered(event: &Value, id: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut event = event.clone();
    event["id"] = json!(id);
    change(&mut event["data"]["object"]);
    event
}

#[tokio::test]
async fn a_strangers_intent_leaves_nothing() {
    let world = World::without_webhooks().await;
    let session = world.user("ada").opens("medium").await;
    decline(&world, &session, NO_FUNDS).await;
    let failed = world.event("payment_intent.payment_failed").await;
    let without = altered(&failed, "evt_without", |intent| {
        intent["metadata"] = json!({});
        intent["customer"] = json!("cus_nobody");
    });
    assert_eq!(told(&world, &without).await, "not ours");
    let theirs =
        altered(&failed, "evt_theirs", |intent| intent["metadata"]["tollgate_stack"] = json!("theirs"));
    assert_eq!(told(&world, &theirs).await, "another stack's");
    let unknown = altered(&failed, "evt_unknown", |intent| intent["id"] = json!("pi_nowhere"));
    assert_eq!(told(&world, &unknown).await, "not in Stripe");
    pay(&world, &session).await;
    let charge = world.event("charge.succeeded").await;
    let nobodys = altered(&charge, "evt_nobodys", |charge| {
        charge["metadata"] = json!({});
        charge["customer"] = json!("cus_nobody");
    });
    assert_eq!(told(&world, &nobodys).await, "not ours");
    let theirs =
        altered(&charge, "evt_charge", |charge| charge["metadata"]["tollgate_stack"] = json!("theirs"));
    assert_eq!(told(&world, &theirs).await, "another stack's");
    assert_eq!(payments(&world).await, []);
}

#[tokio::test]
async fn whose_an_attempt_is_is_what_stripe_says_and_not_what_an_event_said() {
    let world = World::without_webhooks().await;
    let session = world.user("ada").opens("medium").await;
    let intent = decline(&world, &session, NO_FUNDS).await;
    let failed = world.event("payment_intent.payment_failed").await;
    let lie = altered(&failed, "evt_lie", |intent| intent["metadata"]["tollgate_user"] = json!("eve"));
    assert_eq!(told(&world, &lie).await, "payment failed");
    assert_eq!(status(&world, "ada", &intent).await, Some(PaymentStatus::Failed));
    assert_eq!(item(&world, "eve", &intent).await, None);
}

#[tokio::test]
async fn nothing_is_written_of_a_payment_of_an_erased_user() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let session = ada.opens("medium").await;
    let intent = decline(&world, &session, NO_FUNDS).await;
    let key = |name: &str| AttributeValue::S(name.to_owned());
    let close = world.table().await.update_item().table_name(tollgate::stack::TABLE);
    let close = close.key("PK", key("U#ada")).key("SK", key("A")).update_expression("SET closed = :at");
    let at = AttributeValue::N(world.now().await.millis().to_string());
    close.expression_attribute_values(":at", at).send().await.unwrap();
    assert_eq!(told(&world, &world.event("payment_intent.payment_failed").await).await, "erased");
    let charged = |charge: &mut Value| charge["status"] = json!("succeeded");
    let mut charge = altered(&world.event("charge.failed").await, "evt_charge", charged);
    charge["type"] = json!("charge.updated");
    assert_eq!(told(&world, &charge).await, "erased");
    assert_eq!(item(&world, "ada", &intent).await, None);
}
