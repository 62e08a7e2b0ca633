//! Thin events alone: each names an object, and what that leads to is fetched.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::harness::{PAID, World, eventually};
use crate::subscribe::{plan, subscribe};

/// An event as Stripe sends it to whoever asked for thin ones.
fn thin(event: &Value) -> Value {
    let object = &event["data"]["object"];
    json!({
        "id": format!("{}thin", event["id"].as_str().unwrap()), "object": "v2.core.event", "context": null,
        "created": "2026-11-02T06:13:22.481Z", "livemode": false, "reason": null,
        "related_object": { "id": object["id"], "type": object["object"], "url": "/v1" },
        "type": format!("v1.{}", event["type"].as_str().unwrap()),
    })
}

/// Delivers the latest event of a type in its thin form, and says what became of it.
async fn told(world: &World, kind: &str) -> String {
    let event = thin(&world.event(kind).await);
    assert_eq!(world.deliver(&event).await.status, StatusCode::OK);
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    assert_eq!(world.waiting("WebhookDeadLetters").await, 0);
    let audit = world.item("W#", event["id"].as_str().unwrap()).await.expect("an audit record");
    audit["outcome"].as_s().unwrap().clone()
}

/// Ada has bought a pack, and nobody has heard of it yet.
async fn bought(world: &World) -> String {
    let session = world.user("ada").opens("medium").await;
    assert_eq!(world.pay(&session, PAID).await.status, StatusCode::OK);
    let paid = world.stripe(&format!("/v1/checkout/sessions/{session}")).await;
    paid["payment_intent"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_sale_is_credited_by_its_session_or_its_intent_whichever_is_heard_of() {
    for kind in ["checkout.session.completed", "payment_intent.succeeded"] {
        let world = World::without_webhooks().await;
        let ada = world.user("ada");
        bought(&world).await;
        assert_eq!(told(&world, kind).await, "credited");
        assert_eq!(ada.available().await, 275, "{kind}");
        let checkout = &ada.get("/v1/me/payments").await.json["payments"][0]["checkout"];
        assert_eq!(checkout.is_string(), kind == "checkout.session.completed", "{checkout}");
    }
}

#[tokio::test]
async fn a_plan_begins_by_any_event_of_it() {
    for (kind, outcome) in [
        ("checkout.session.completed", "synced"),
        ("customer.subscription.created", "synced"),
        ("invoice.paid", "synced"),
        ("invoice.finalized", "unhandled type"),
        ("invoice_payment.paid", "unhandled type"),
    ] {
        let world = World::without_webhooks().await;
        let ada = world.user("ada");
        subscribe(&world, &ada, "premium").await;
        assert_eq!(told(&world, kind).await, outcome, "{kind}");
        let expected = if outcome == "synced" { ("premium", 500) } else { ("free", 0) };
        assert_eq!((plan(&ada).await.0.as_str(), ada.available().await), expected, "{kind}");
    }
}

#[tokio::test]
async fn a_refund_is_taken_back_and_one_that_fails_given_back() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world).await;
    world.stripe_update("/v1/refunds", &format!("payment_intent={intent}&amount=333")).await;
    assert_eq!(told(&world, "charge.refunded").await, "unhandled type", "its refund tells");
    assert_eq!(told(&world, "refund.created").await, "taken back");
    assert_eq!(ada.available().await, 275 - 275 * 333 / 999);
    let refunds = world.stripe(&format!("/v1/refunds?payment_intent={intent}")).await;
    let refund = refunds["data"][0]["id"].as_str().unwrap();
    world.sandbox(&format!("refunds/{refund}/fail"), json!({})).await;
    assert_eq!(told(&world, "refund.failed").await, "given back");
    assert_eq!(ada.available().await, 275);
}

#[tokio::test]
async fn a_dispute_is_taken_back_and_one_that_is_won_given_back() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world).await;
    assert_eq!(told(&world, "payment_intent.succeeded").await, "credited");
    let begun = world.sandbox(&format!("payments/{intent}/dispute"), json!({})).await;
    assert_eq!(told(&world, "charge.dispute.created").await, "taken back");
    assert_eq!(ada.available().await, 0);
    let dispute = begun.json["id"].as_str().unwrap();
    world.sandbox(&format!("disputes/{dispute}/resolve"), json!({ "outcome": "won" })).await;
    assert_eq!(told(&world, "charge.dispute.closed").await, "given back");
    assert_eq!(ada.available().await, 275);
}

#[tokio::test]
async fn a_schedule_leads_to_its_subscription_whatever_becomes_of_it() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    subscribe(&world, &ada, "premium").await;
    let created = world.event("customer.subscription.created").await;
    let id = created["data"]["object"]["id"].as_str().unwrap();
    world.stripe_update("/v1/subscription_schedules", &format!("from_subscription={id}")).await;
    assert_eq!(told(&world, "subscription_schedule.created").await, "synced");
    assert_eq!(plan(&ada).await.0, "premium");
    let schedules = world.stripe("/v1/subscription_schedules").await;
    let schedule = schedules["data"][0]["id"].as_str().unwrap();
    world.stripe_update(&format!("/v1/subscription_schedules/{schedule}/release"), "").await;
    assert_eq!(told(&world, "subscription_schedule.released").await, "known before");
}

#[tokio::test]
async fn what_stripe_does_not_have_or_what_leads_nowhere_yet_is_acknowledged() {
    let world = World::without_webhooks().await;
    bought(&world).await;
    let mut events = Vec::new();
    for (object, id, kind) in [
        ("refund", "re_gone", "refund.created"),
        ("dispute", "du_gone", "charge.dispute.created"),
        ("checkout.session", "cs_gone", "checkout.session.completed"),
        ("subscription_schedule", "sub_sched_gone", "subscription_schedule.updated"),
    ] {
        let object = json!({ "id": id, "object": object });
        let event = json!({ "id": format!("evt_{id}"), "type": kind, "data": { "object": object } });
        events.push(thin(&event));
    }
    for event in &events {
        assert_eq!(world.deliver(event).await.status, StatusCode::OK);
    }
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    assert_eq!(world.waiting("WebhookDeadLetters").await, 0);
    for event in &events {
        let audit = world.item("W#", event["id"].as_str().unwrap()).await.expect("an audit record");
        assert_eq!(audit["outcome"].as_s().unwrap(), "leads nowhere", "{event}");
    }
}
