//! Webhooks: signed, repeated until taken, kept over a restart.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::stand::{HOUR_MS, Hook, Received, SECRET, START_MS, Stand, id};

fn assert_signed_at(received: &Received, seconds: i64) {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{seconds}.{}", received.body).as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(received.signature, format!("t={seconds},v1={hex}"));
}

#[tokio::test]
async fn an_event_is_delivered_signed_by_the_sandbox_clock() {
    let stand = Stand::start().await;
    let created = stand.try_post("/v1/customers", "email=a@b.test", &[("idempotency-key", "k-1")]).await;
    stand.sandbox.run_due().await;

    let received = stand.hook.received();
    assert_eq!(received.len(), 1);
    assert_signed_at(&received[0], START_MS / 1000);
    let event = received[0].event();
    assert_eq!(event["type"], "customer.created");
    assert_eq!(event["api_version"], "2026-09-30.endive");
    assert_eq!(event["data"]["object"]["id"], created.json()["id"]);
    assert_eq!(event["request"]["id"], created.header("request-id"));
    assert_eq!(event["request"]["idempotency_key"], "k-1");
    assert_eq!(event["pending_webhooks"], 1);
    let event = stand.get(&format!("/v1/events/{}", id(&event))).await;
    assert_eq!(event["pending_webhooks"], 0);
}

#[tokio::test]
async fn an_event_is_delivered_without_anybody_asking() {
    let stand = Stand::start().await;
    stand.post("/v1/customers", "").await;
    for _ in 0..500 {
        if !stand.hook.received().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nothing was delivered in 5 s");
}

#[tokio::test]
async fn a_delivery_that_fails_is_retried_until_it_succeeds_with_a_fresh_signature() {
    let stand = Stand::start().await;
    stand.hook.answer_with(500);
    stand.post("/v1/customers", "").await;
    stand.sandbox.run_due().await;
    assert_eq!(stand.get("/v1/events?delivery_success=false").await["data"].as_array().unwrap().len(), 1);

    for (attempt, gap_s) in [2, 10, 60].into_iter().enumerate() {
        let due = stand.sandbox.next_due().unwrap();
        assert_eq!(due / 1000 - stand.now(), gap_s);
        stand.advance(gap_s * 1000 - 1);
        stand.sandbox.run_due().await;
        assert_eq!(stand.hook.received().len(), attempt + 1, "not before it is due");
        if gap_s == 60 {
            stand.hook.answer_with(204);
        }
        stand.advance(1);
        stand.sandbox.run_due().await;
        assert_eq!(stand.hook.received().len(), attempt + 2);
    }

    assert_eq!(stand.sandbox.next_due(), None);
    let received = stand.hook.received();
    assert!(received.iter().all(|again| again.body == received[0].body), "the same event");
    assert_signed_at(&received[0], START_MS / 1000);
    assert_signed_at(&received[3], START_MS / 1000 + 72);
    assert_eq!(stand.get("/v1/events?delivery_success=true").await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_delivery_is_given_up_after_three_days() {
    let stand = Stand::start().await;
    stand.hook.answer_with(500);
    stand.post("/v1/customers", "").await;
    stand.sandbox.run_due().await;
    while let Some(due) = stand.sandbox.next_due() {
        assert!(due <= START_MS + 72 * HOUR_MS);
        stand.advance(due - stand.now() * 1000);
        stand.sandbox.run_due().await;
    }
    assert!(stand.now() >= START_MS / 1000 + 48 * 3600, "it was tried for days");
    assert!(stand.hook.received().len() > 8);
    assert_eq!(stand.get("/v1/events?delivery_success=false").await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_gets_its_event_once_it_is() {
    let mut hook = Hook::start().await;
    let reachable = hook.url.clone();
    hook.url = "http://127.0.0.1:1/webhook".into();
    let folder = tempfile::tempdir().unwrap();
    let file = Some(folder.path().join("stripe.sqlite"));
    let clock = Arc::new(AtomicI64::new(START_MS));
    let stand = Stand::start_with(file.clone(), hook.clone(), clock.clone()).await;
    stand.post("/v1/customers", "").await;
    stand.sandbox.run_due().await;
    stand.stop().await;

    hook.url = reachable;
    let stand = Stand::start_with(file, hook, clock).await;
    stand.advance(2000);
    stand.sandbox.run_due().await;
    assert_eq!(stand.hook.received_of("customer.created").len(), 1);
}

#[tokio::test]
async fn state_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = Some(folder.path().join("stripe.sqlite"));
    let clock = Arc::new(AtomicI64::new(START_MS));
    let hook = Hook::start().await;
    hook.answer_with(503);
    let stand = Stand::start_with(file.clone(), hook.clone(), clock.clone()).await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    let first = stand.try_post("/v1/customers", "name=Ada", &[("idempotency-key", "k")]).await;
    stand.pay(id(&session), "4242424242424242").await;
    stand.sandbox.run_due().await;
    let undelivered = stand.event_types().await;
    let seen_before = hook.received().len();
    stand.stop().await;

    hook.answer_with(200);
    let stand = Stand::start_with(file, hook, clock).await;
    assert_eq!(stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await["payment_status"], "paid");
    let again = stand.try_post("/v1/customers", "name=Ada", &[("idempotency-key", "k")]).await;
    assert_eq!(again.text, first.text);
    stand.advance(2000);
    stand.sandbox.run_due().await;
    let mut delivered: Vec<String> = stand.hook.received()[seen_before..]
        .iter()
        .map(|received| received.event()["type"].as_str().unwrap().to_owned())
        .collect();
    let mut expected = undelivered;
    delivered.sort();
    expected.sort();
    assert_eq!(delivered, expected, "each event is delivered after all, once");
}

#[tokio::test]
async fn events_can_be_asked_for_by_type_and_time() {
    let stand = Stand::start().await;
    stand.price("Small", 499).await;
    stand.advance(5000);
    stand.post("/v1/customers", "").await;
    let count = async |query: String| {
        stand.get(&format!("/v1/events?{query}")).await["data"].as_array().unwrap().len()
    };
    assert_eq!(count("type=price.created".into()).await, 1);
    assert_eq!(count("type=product.*".into()).await, 1);
    assert_eq!(count("types[]=price.created&types[]=customer.created".into()).await, 2);
    assert_eq!(count(format!("created[gte]={}", stand.now())).await, 1);
    assert_eq!(count(format!("created[lt]={}", stand.now())).await, 2);
}
