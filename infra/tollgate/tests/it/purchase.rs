//! Buying tokens: Stripe calls back, the account is credited once.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::account::Account;
use domain::catalog::{Catalog, Published, Shelf};
use domain::cause::Cause;
use domain::decide::{Act, Command, decide};
use domain::ids::UserId;
use hyper::StatusCode;
use serde_json::json;
use stripe_event::Fact;
use tokio::task::JoinSet;

use crate::harness::{ASKS_FOR_3DS, COMPANION, DECLINED, PAID, World, eventually};

#[tokio::test]
async fn a_bought_pack_is_credited_by_the_webhook_and_can_be_spent() {
    let world = World::new().await;
    let ada = world.user("ada");
    assert_eq!(ada.available().await, 0);
    let session = ada.opens("medium").await;
    assert_eq!(world.pay(&session, PAID).await.status, StatusCode::OK);
    ada.until_available(275).await;
    let spent = ada.post_once("/v1/me/consume", "photo-1", json!({ "action": "photo" })).await;
    assert_eq!(
        (spent.status, &spent.json["wallet"]["available"]),
        (StatusCode::OK, &json!(270)),
        "{}",
        spent.text
    );
}

#[tokio::test]
async fn the_success_page_never_waits_for_the_webhook() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let session = ada.opens("medium").await;
    let shown = ada.get(&format!("/v1/me/checkout/{session}")).await;
    assert_eq!(shown.json["status"], "open");
    assert!(
        shown.json["url"].as_str().is_some_and(|url| url.starts_with("http"))
            && shown.json["wallet"].is_null()
    );
    world.pay(&session, PAID).await;
    for _ in 0..2 {
        let shown = ada.get(&format!("/v1/me/checkout/{session}")).await;
        assert_eq!(shown.json["status"], "complete", "{}", shown.text);
        assert_eq!((&shown.json["tokens"], &shown.json["wallet"]["available"]), (&json!(275), &json!(275)));
    }
    // The late webhook finds it done.
    for kind in ["checkout.session.completed", "payment_intent.succeeded"] {
        assert_eq!(world.deliver(&world.event(kind).await).await.status, StatusCode::OK);
    }
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    assert_eq!(ada.available().await, 275);
}

#[tokio::test]
async fn an_event_delivered_a_hundred_times_at_once_credits_once() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    world.pay(&ada.opens("medium").await, PAID).await;
    let event = world.event("checkout.session.completed").await;
    let body = event.to_string();
    let signature = world.sign(&body).await;
    let mut deliveries = JoinSet::new();
    for _ in 0..100 {
        let (http, url) = (world.http.clone(), format!("{}/lambda-url/webhook", world.local().api));
        let (signature, body) = (signature.clone(), body.clone());
        deliveries.spawn(async move {
            http.send(hyper::Method::POST, &url, &[("stripe-signature", &signature)], body).await.status
        });
    }
    assert!(deliveries.join_all().await.into_iter().all(|status| status == StatusCode::OK));
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    assert_eq!(ada.available().await, 275);
    let entries = ada.get("/v1/me/wallet/entries").await.json;
    let purchases = entries["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "purchase");
    assert_eq!(purchases.count(), 1);
    assert_eq!(world.waiting("WebhookDeadLetters").await, 0);
}

#[tokio::test]
async fn the_two_events_of_one_payment_credit_once_in_either_order() {
    for order in [
        ["checkout.session.completed", "payment_intent.succeeded"],
        ["payment_intent.succeeded", "checkout.session.completed"],
    ] {
        let world = World::without_webhooks().await;
        let ada = world.user("ada");
        world.pay(&ada.opens("medium").await, PAID).await;
        for kind in order {
            assert_eq!(world.deliver(&world.event(kind).await).await.status, StatusCode::OK);
            eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
            assert_eq!(ada.available().await, 275, "after {kind}");
        }
    }
}

#[tokio::test]
async fn whichever_event_arrives_first_writes_the_identical_entry() {
    let world = World::without_webhooks().await;
    world.pay(&world.user("ada").opens("medium").await, PAID).await;
    let catalog = Catalog::parse(COMPANION).unwrap();
    let published = Published { version: 1, catalog, prices: BTreeMap::new(), portal: None };
    let (shelf, now) = (Shelf::new(Arc::new(published), Vec::new()), world.now().await);
    let mut bodies = Vec::new();
    for kind in ["checkout.session.completed", "payment_intent.succeeded"] {
        let event = stripe_event::decode(&world.event(kind).await.to_string()).unwrap();
        let Fact::Paid(sighting) = event.fact else { panic!("{kind} is no payment") };
        let payment = sighting.payment;
        let item = payment.envelope.item.clone().unwrap();
        let act =
            Act::Purchase { payment: payment.clone(), item, catalog: payment.envelope.catalog.unwrap() };
        let command = Command { cause: Cause::Payment(payment.id), request: None, act };
        let account = Account::new(UserId::parse("ada").unwrap());
        bodies.push(decide(&account, &command, &shelf, now).unwrap().entry.body);
    }
    assert_eq!(bodies[0].as_bytes(), bodies[1].as_bytes());
}

#[tokio::test]
async fn a_declined_card_credits_nothing_and_the_checkout_can_be_paid_after_all() {
    let world = World::new().await;
    let ada = world.user("ada");
    let session = ada.opens("small").await;
    let declined = world.pay(&session, DECLINED).await;
    assert_eq!((declined.status.as_u16(), &declined.json["error"]["code"]), (402, &json!("card_declined")));
    assert_eq!(ada.get(&format!("/v1/me/checkout/{session}")).await.json["status"], "open");
    assert_eq!(ada.available().await, 0);
    world.pay(&session, PAID).await;
    ada.until_available(100).await;
}

#[tokio::test]
async fn a_card_that_asks_for_3ds_pays_once_the_step_is_taken() {
    let world = World::new().await;
    let ada = world.user("ada");
    let session = ada.opens("small").await;
    let asked = world.pay(&session, ASKS_FOR_3DS).await;
    assert_eq!(asked.json["status"], "requires_action", "{}", asked.text);
    assert_eq!(ada.available().await, 0);
    let next = asked.json["next"].as_str().unwrap();
    world.http.send(hyper::Method::POST, next, &[], json!({ "outcome": "success" }).to_string()).await;
    ada.until_available(100).await;
}

#[tokio::test]
async fn three_of_a_pack_cost_and_credit_three_times_as_much() {
    let world = World::new().await;
    let ada = world.user("ada");
    let opened = ada.post("/v1/me/checkout", json!({ "package": "medium", "quantity": 3 })).await;
    let session = opened.json["id"].as_str().unwrap();
    assert_eq!(world.stripe(&format!("/v1/checkout/sessions/{session}")).await["amount_total"], 2997);
    world.pay(session, PAID).await;
    ada.until_available(825).await;
}

#[tokio::test]
async fn a_payment_that_names_nobody_is_kept_as_unclaimed_and_acknowledged() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    world.pay(&ada.opens("medium").await, PAID).await;
    let mut event = world.event("checkout.session.completed").await;
    let object = &mut event["data"]["object"];
    object["metadata"] = json!({});
    object["customer"] = json!("cus_nobody");
    let payment = object["payment_intent"].as_str().unwrap().to_owned();
    assert_eq!(world.deliver(&event).await.status, StatusCode::OK);
    eventually("an unclaimed record", async || world.item("Z#", &payment).await.is_some()).await;
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    assert_eq!((ada.available().await, world.waiting("WebhookDeadLetters").await), (0, 0));
}

#[tokio::test]
async fn a_payment_whose_metadata_lost_its_user_is_credited_through_its_customer() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    world.pay(&ada.opens("medium").await, PAID).await;
    let mut event = world.event("checkout.session.completed").await;
    event["data"]["object"]["metadata"]["tollgate_user"].take();
    assert_eq!(world.deliver(&event).await.status, StatusCode::OK);
    ada.until_available(275).await;
}

#[tokio::test]
async fn another_stacks_payment_is_acknowledged_and_left_alone() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    world.pay(&ada.opens("medium").await, PAID).await;
    let mut event = world.event("checkout.session.completed").await;
    event["data"]["object"]["metadata"]["tollgate_stack"] = json!("staging");
    let id = event["id"].as_str().unwrap().to_owned();
    assert_eq!(world.deliver(&event).await.status, StatusCode::OK);
    eventually("an audit record", async || world.item("W#", &id).await.is_some()).await;
    let audit = world.item("W#", &id).await.unwrap();
    assert_eq!(audit["outcome"].as_s().unwrap(), "another stack's");
    assert_eq!(ada.available().await, 0);
}

#[tokio::test]
async fn an_unknown_event_type_is_acknowledged_and_audited() {
    let world = World::new().await;
    let event = json!({
        "id": "evt_unknown1", "object": "event", "type": "quantum.entangled", "livemode": false, "created": 1_790_000_000,
        "data": { "object": { "id": "q_1" } }, "something_new": [1, 2, 3],
    });
    assert_eq!(world.deliver(&event).await.status, StatusCode::OK);
    eventually("an audit record", async || world.item("W#", "evt_unknown1").await.is_some()).await;
    assert_eq!(world.item("W#", "evt_unknown1").await.unwrap()["outcome"].as_s().unwrap(), "unhandled type");
    assert_eq!(world.waiting("WebhookDeadLetters").await, 0);
}

#[tokio::test]
async fn poison_ends_with_the_dead_letters_alone() {
    let world = World::new().await;
    let ada = world.user("ada");
    let queue = world.queue().await;
    for _ in 0..3 {
        queue
            .send_message()
            .queue_url(world.queue_url("WebhookQueue"))
            .message_body("poison")
            .send()
            .await
            .unwrap();
    }
    world.pay(&ada.opens("small").await, PAID).await;
    ada.until_available(100).await;
    eventually("three dead letters", async || world.waiting("WebhookDeadLetters").await == 3).await;
    assert_eq!(world.waiting("WebhookQueue").await, 0);
}
