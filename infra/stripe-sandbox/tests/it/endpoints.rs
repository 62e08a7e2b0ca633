//! Webhook endpoints made by request, thin events, and the sandbox's settings.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::stand::{HOUR_MS, Hook, Received, SECRET, START_MS, Stand, id};

fn assert_signed(received: &Received, secret: &str, seconds: i64) {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{seconds}.{}", received.body).as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(received.signature, format!("t={seconds},v1={hex}"));
}

async fn endpoint(stand: &Stand, hook: &Hook, events: &str) -> Value {
    stand.post("/v1/webhook_endpoints", &format!("url={}&enabled_events[]={events}", hook.url)).await
}

#[tokio::test]
async fn an_endpoint_gets_what_it_asked_for_signed_with_its_own_secret() {
    let stand = Stand::start().await;
    let (some, all) = (Hook::start().await, Hook::start().await);
    let made = endpoint(&stand, &some, "price.created").await;
    endpoint(&stand, &all, "*").await;
    stand.price("Small", 499).await;
    let event = stand.get("/v1/events?type=price.created").await["data"][0].clone();
    assert_eq!(event["pending_webhooks"], 3);
    stand.sandbox.run_due().await;

    assert_eq!((stand.hook.received().len(), all.received().len()), (2, 2));
    let received = some.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].event()["id"], event["id"]);
    assert_signed(&received[0], made["secret"].as_str().unwrap(), START_MS / 1000);
    assert_signed(&stand.hook.received()[0], SECRET, START_MS / 1000);
}

#[tokio::test]
async fn endpoints_fail_and_are_retried_each_by_itself() {
    let stand = Stand::start().await;
    let other = Hook::start().await;
    let made = endpoint(&stand, &other, "*").await;
    other.answer_with(500);
    stand.post("/v1/customers", "").await;
    stand.live(HOUR_MS).await;
    assert_eq!(stand.hook.received().len(), 1);
    assert!(other.received().len() > 3);
    let undelivered = stand.get("/v1/events?delivery_success=false").await;
    assert_eq!(undelivered["data"][0]["pending_webhooks"], 1);
    let front = stand.send("GET", "/", &[], "").await.text;
    assert!(front.contains(&format!("{}, pending, ", id(&made))));

    let path = format!("/v1/webhook_endpoints/{}", id(&made));
    stand.delete(&path).await;
    assert_eq!(stand.sandbox.next_due(), None, "nobody waits for it any more");
    assert_eq!(stand.try_get(&path).await.status, 404);
    assert_eq!(stand.get("/v1/webhook_endpoints").await["data"], json!([]));
}

#[tokio::test]
async fn an_endpoint_that_is_disabled_gets_nothing() {
    let stand = Stand::start().await;
    let other = Hook::start().await;
    let made = endpoint(&stand, &other, "*").await;
    let path = format!("/v1/webhook_endpoints/{}", id(&made));
    assert_eq!(stand.post(&path, "disabled=true").await["status"], "disabled");
    stand.post("/v1/customers", "").await;
    stand.post(&path, "disabled=false").await;
    stand.price("Small", 499).await;
    stand.sandbox.run_due().await;
    assert!(other.received_of("customer.created").is_empty());
    assert_eq!(other.received_of("price.created").len(), 1);
}

#[tokio::test]
async fn an_endpoint_shows_its_secret_once_and_can_be_changed() {
    let stand = Stand::start().await;
    let form = "url=https://shop.test/hook&enabled_events[]=invoice.paid&description=Live\
                &api_version=2026-09-30.endive&metadata[a]=b";
    let made = stand.post("/v1/webhook_endpoints", form).await;
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let path = format!("/v1/webhook_endpoints/{}", id(&made));
    let mut shown = stand.get(&path).await;
    assert_eq!(shown.get("secret"), None);
    assert_eq!((&shown["status"], &shown["api_version"]), (&json!("enabled"), &made["api_version"]));
    stand.price("Small", 499).await;
    stand.sandbox.run_due().await;
    assert_eq!(stand.sandbox.next_due(), None, "nothing leaves this machine");

    let changed = stand.post(&path, "enabled_events[]=*&description=&metadata[a]=").await;
    shown["enabled_events"] = json!(["*"]);
    shown["description"] = Value::Null;
    shown["metadata"] = json!({});
    assert_eq!(changed, shown);
    assert_eq!(stand.get("/v1/webhook_endpoints").await["data"], json!([shown]));
}

#[tokio::test]
async fn an_endpoint_at_the_configured_address_is_the_configured_one() {
    let stand = Stand::start().await;
    let made = endpoint(&stand, &stand.hook, "*").await;
    assert_eq!(made["secret"], SECRET);
    stand.post("/v1/customers", "").await;
    stand.sandbox.run_due().await;
    assert_eq!(stand.hook.received().len(), 1);
}

#[tokio::test]
async fn endpoints_that_could_not_work_are_refused() {
    let stand = Stand::start().await;
    for (form, param) in [
        ("url=https://shop.test/", "enabled_events"),
        ("enabled_events[]=*", "url"),
        ("url=shop.test&enabled_events[]=*", "url"),
        ("url=https://shop.test/&enabled_events[]=price.*", "enabled_events[0]"),
        ("url=https://shop.test/&enabled_events[]=*&api_version=2024-06-20", "api_version"),
        ("url=https://shop.test/&enabled_events[]=*&connect=true", "connect"),
    ] {
        let refused = stand.try_post("/v1/webhook_endpoints", form, &[]).await;
        assert_eq!((refused.status, &refused.error()["param"]), (400, &json!(param)), "{form}");
    }
    for _ in 0..16 {
        stand.post("/v1/webhook_endpoints", "url=https://shop.test/&enabled_events[]=*").await;
    }
    let form = "url=https://shop.test/&enabled_events[]=*";
    assert_eq!(stand.try_post("/v1/webhook_endpoints", form, &[]).await.status, 400);
}

#[tokio::test]
async fn thin_events_name_what_changed_and_are_as_stable_as_snapshots() {
    let stand = Stand::start().await;
    let other = Hook::start().await;
    endpoint(&stand, &other, "*").await;
    stand.shopper("/_sandbox/settings", r#"{"thin":true}"#).await;
    stand.hook.answer_with(500);
    let made = stand.try_post("/v1/customers", "", &[("idempotency-key", "k-1")]).await;
    stand.live(HOUR_MS).await;

    let received = stand.hook.received();
    assert!(received.len() > 3 && received.iter().all(|again| again.body == received[0].body));
    assert_signed(&received[0], SECRET, START_MS / 1000);
    let thin = received[0].event();
    let snapshot = other.received()[0].event();
    let customer = made.json();
    let expected = json!({
        "id": format!("evt_test_{}", id(&snapshot).trim_start_matches("evt_")),
        "object": "v2.core.event",
        "context": null,
        "created": "2026-09-21T14:13:20.000Z",
        "livemode": false,
        "reason": {
            "type": "request",
            "request": {"id": made.header("request-id"), "idempotency_key": "k-1"},
        },
        "related_object": {
            "id": customer["id"], "type": "customer", "url": format!("/v1/customers/{}", id(&customer)),
        },
        "type": "v1.customer.created",
    });
    assert_eq!(thin, expected);
    assert_eq!(snapshot["type"], "customer.created", "endpoints made by request get snapshots");
}

#[tokio::test]
async fn whatever_a_thin_event_names_is_at_its_address() {
    let stand = Stand::start().await;
    stand.shopper("/_sandbox/settings", r#"{"thin":true}"#).await;
    let price = stand.plan("Small", 700, "week").await;
    let subscription = stand.subscribe(&price, "").await;
    stand.shopper("/_sandbox/portal/default", "").await;
    stand.live(8 * 24 * HOUR_MS).await;
    let mut kinds = Vec::new();
    for received in stand.hook.received() {
        let related = received.event()["related_object"].clone();
        let found = stand.get(related["url"].as_str().unwrap()).await;
        assert_eq!((&found["object"], &found["id"]), (&related["type"], &related["id"]));
        kinds.push(related["type"].as_str().unwrap().to_owned());
    }
    for kind in ["billing_portal.configuration", "checkout.session", "invoice_payment", "charge"] {
        assert!(kinds.iter().any(|seen| seen == kind), "{kind} is missing from {kinds:?}");
    }
    assert_eq!(stand.subscription(id(&subscription)).await["status"], "active");
}

#[tokio::test]
async fn settings_are_shown_chosen_and_refused_by_name() {
    let stand = Stand::start().await;
    let show = async || stand.send("GET", "/_sandbox/settings", &[], "").await.json();
    let usual = json!({"after_retries": "cancel", "portal_cancels_with": "cancel_at", "thin": false});
    assert_eq!(show().await, usual);
    let chosen =
        stand.shopper("/_sandbox/settings", r#"{"after_retries":"unpaid","thin":true}"#).await.json();
    assert_eq!(chosen, json!({"after_retries": "unpaid", "portal_cancels_with": "cancel_at", "thin": true}));
    for wrong in
        [r#"{"thick":true}"#, r#"{"thin":"yes"}"#, r#"{"thin":false,"after_retries":"forget"}"#, "[]"]
    {
        assert_eq!(stand.shopper("/_sandbox/settings", wrong).await.status, 400, "{wrong}");
    }
    assert_eq!(show().await, chosen, "a refusal changes nothing");
}
