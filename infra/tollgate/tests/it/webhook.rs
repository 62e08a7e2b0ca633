//! What is not from Stripe never reaches the queue.

use serde_json::json;

use crate::harness::{PAID, World, signed};

#[tokio::test]
async fn a_webhook_that_does_not_verify_gets_400_and_credits_nothing() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    world.pay(&ada.opens("medium").await, PAID).await;
    let body = world.event("checkout.session.completed").await.to_string();
    let (secret, now) = (&world.local().webhook_secret, world.now().await);
    let good = signed(secret, &body, now);
    let signed_at = |ms| signed(secret, &body, now.plus_ms(ms));
    let forged = format!("t={},v1={}", now.seconds(), "0".repeat(64));
    let wrong = [
        ("unsigned", None),
        ("empty", Some(String::new())),
        ("forged", Some(forged)),
        ("truncated", Some(good[..good.len() - 2].to_owned())),
        ("stale", Some(signed_at(-301_000))),
        ("future", Some(signed_at(302_000))),
        ("another secret", Some(signed("whsec_other", &body, now))),
        ("another body", Some(signed(secret, "{}", now))),
    ];
    for (what, signature) in wrong {
        let answer = world.webhook(signature.as_deref(), body.clone()).await;
        assert_eq!(answer.status.as_u16(), 400, "{what}: {}", answer.text);
        assert!(!answer.text.contains("medium"), "the body is not echoed");
        assert_eq!(world.waiting("WebhookQueue").await, 0, "{what}");
    }
    assert_eq!(ada.available().await, 0);
    assert_eq!(world.webhook(Some(&good), body).await.status.as_u16(), 200);
    ada.until_available(275).await;
}

#[tokio::test]
async fn a_live_event_is_refused_in_test_mode() {
    let world = World::new().await;
    let event =
        json!({ "id": "evt_1", "type": "x", "livemode": true, "created": 1, "data": { "object": {} } });
    world.deliver(&event).await.expect_problem(400, "wrong_mode");
}
