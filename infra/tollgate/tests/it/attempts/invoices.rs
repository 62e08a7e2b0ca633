//! Attempts to pay an invoice: a renewal that is declined, waits, or is given up is a payment of its subscriber.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{altered, deliver, payments, record, told};
use crate::harness::{Caller, DECLINES_LATER, PAID, World, eventually};
use crate::subscribe::{subscribe, subscription, until_plan};

const FAILED: [&str; 2] = ["payment_intent.payment_failed", "invoice.payment_failed"];

async fn card(world: &World, subscription: &str, card: &str) {
    let path = format!("subscriptions/{subscription}/card");
    assert_eq!(world.sandbox(&path, json!({ "card": card })).await.status, StatusCode::OK);
}

/// Ada's renewal, declined; of what began nobody but her success page has heard, and of the renewal nobody.
async fn declined_renewal(world: &World, user: &Caller<'_>) -> String {
    let session = subscribe(world, user, "premium").await;
    user.get(&format!("/v1/me/checkout/{session}")).await;
    let id = subscription(user).await;
    card(world, &id, DECLINES_LATER).await;
    world.advance("32d").await;
    id
}

fn thin(event: &Value, id: &str) -> Value {
    let object = &event["data"]["object"];
    json!({
        "id": id, "object": "v2.core.event", "created": "2026-11-02T06:13:22.481Z", "livemode": false,
        "related_object": { "id": object["id"], "type": object["object"] },
        "type": format!("v1.{}", event["type"].as_str().unwrap()),
    })
}

/// The user's latest payment, as they see it.
async fn latest(user: &Caller<'_>) -> Value {
    user.get("/v1/me/payments").await.json["payments"][0].clone()
}

#[tokio::test]
async fn a_declined_renewal_is_a_failed_payment_of_its_invoice_that_a_better_card_completes() {
    let world = World::new().await;
    let ada = world.user("ada");
    subscribe(&world, &ada, "premium").await;
    ada.until_available(500).await;
    let id = subscription(&ada).await;
    card(&world, &id, DECLINES_LATER).await;
    world.advance("32d").await;
    until_plan(&ada, "premium", "past_due").await;
    let open = world.stripe(&format!("/v1/invoices?subscription={id}&status=open")).await;
    let invoice = &open["data"][0]["id"];
    eventually("a failed payment", async || latest(&ada).await["status"] == "failed").await;
    let failed = latest(&ada).await;
    assert_eq!(
        (&failed["invoice"], &failed["item"], &failed["amount"]["amount_minor"]),
        (invoice, &json!("plan:premium:month"), &json!(999)),
        "{failed}"
    );
    assert_eq!((&failed["failure"], &failed["tokens"]), (&json!("generic_decline"), &json!(0)));

    card(&world, &id, PAID).await;
    world.advance("7d").await;
    until_plan(&ada, "premium", "active").await;
    let paid = latest(&ada).await;
    assert_eq!((&paid["id"], &paid["status"]), (&failed["id"], &json!("completed")), "{paid}");
    assert_eq!((&paid["invoice"], &paid["failure"]), (invoice, &Value::Null));
    assert_eq!(payments(&world).await.len(), 2, "the first month and its renewal");
}

#[tokio::test]
async fn any_one_event_of_a_declined_renewal_is_enough_whole_or_thin() {
    for kind in FAILED {
        for is_thin in [false, true] {
            let world = World::without_webhooks().await;
            let ada = world.user("ada");
            declined_renewal(&world, &ada).await;
            let event = world.event(kind).await;
            let event = if is_thin { thin(&event, "evt_thin") } else { event };
            assert_eq!(told(&world, &event).await, "payment failed", "{kind}, thin: {is_thin}");
            let failed = latest(&ada).await;
            assert_eq!(failed["status"], "failed", "{kind}, thin: {is_thin}");
            assert!(failed["invoice"].as_str().unwrap().starts_with("in_"), "{failed}");
            assert_eq!(failed["item"], "plan:premium:month");
        }
    }
}

/// Every order of three.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

#[tokio::test]
async fn in_whatever_order_a_declined_renewal_and_its_payment_are_told_it_ends_paid() {
    for order in ORDERS {
        let world = World::without_webhooks().await;
        let ada = world.user("ada");
        let id = declined_renewal(&world, &ada).await;
        let mut events = vec![world.event(FAILED[0]).await, world.event(FAILED[1]).await];
        card(&world, &id, PAID).await;
        world.advance("7d").await;
        events.push(world.event("invoice.paid").await);
        for (at, which) in order.into_iter().enumerate() {
            deliver(&world, &events[which]).await;
            let paid = latest(&ada).await;
            // An intent that is paid by now is told by its invoice alone, and so never a failure any more.
            let heard = order[..=at].iter().any(|which| *which > 0);
            let expected = if heard { 2 } else { 1 };
            assert_eq!(paid["status"], "completed", "{order:?}");
            assert_eq!(payments(&world).await.len(), expected, "{order:?}");
        }
        for event in &events {
            deliver(&world, event).await;
        }
        assert_eq!((payments(&world).await.len(), ada.available().await), (2, 500), "{order:?}");
    }
}

#[tokio::test]
async fn an_invoice_that_is_given_up_leaves_a_failed_payment() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let id = declined_renewal(&world, &ada).await;
    let open = world.stripe(&format!("/v1/invoices?subscription={id}&status=open")).await;
    let invoice = open["data"][0]["id"].as_str().unwrap();
    world.stripe_update(&format!("/v1/invoices/{invoice}/void"), "").await;
    let canceled = world.event("payment_intent.canceled").await;
    assert_eq!(told(&world, &canceled).await, "payment failed");
    let failed = latest(&ada).await;
    assert_eq!((&failed["status"], &failed["invoice"]), (&json!("failed"), &json!(invoice)));
}

#[tokio::test]
async fn what_a_strangers_customer_fails_to_pay_is_not_looked_at() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    declined_renewal(&world, &ada).await;
    let failed = world.event(FAILED[0]).await;
    let strangers = altered(&failed, "evt_stranger", |intent| intent["customer"] = json!("cus_stranger"));
    assert_eq!(told(&world, &strangers).await, "not ours");
    let nobodys = altered(&failed, "evt_nobody", |intent| intent["customer"] = Value::Null);
    assert_eq!(told(&world, &nobodys).await, "not ours");
    assert_eq!(latest(&ada).await["status"], "completed", "the first month is all that is known");
}

#[tokio::test]
async fn whose_a_declined_renewal_is_its_subscription_says() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let id = declined_renewal(&world, &ada).await;
    // As an operator might correct it; its customer stays ada's.
    world.stripe_update(&format!("/v1/subscriptions/{id}"), "metadata[tollgate_user]=bob").await;
    let failed = world.event(FAILED[0]).await;
    assert_eq!(told(&world, &failed).await, "payment failed");
    let intent = failed["data"]["object"]["id"].as_str().unwrap();
    assert!(record(&world, "bob", intent).await.is_some());
    assert_eq!(record(&world, "ada", intent).await, None);
    assert_eq!(latest(&world.user("bob")).await["status"], "failed");
}
