//! The first payment: made, declined, authenticated, given up, or never made.

use hyper::StatusCode;
use serde_json::json;

use super::{authenticates, card, confirms, stage, subscribes, until};
use crate::harness::{ASKS_FOR_3DS, DECLINED, DECLINES_LATER, PAID, World};

#[tokio::test]
async fn a_first_payment_that_has_to_be_authenticated_waits_for_that() {
    let world = World::new().await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    // Typed in on the app's page, or handed over with the request.
    let made = subscribes(&ada, json!({ "plan": "premium" })).await;
    let secret = made["client_secret"].as_str().unwrap();
    assert_eq!(confirms(&world, secret, ASKS_FOR_3DS).await.json["status"], "requires_action");
    let method = card(&world, ASKS_FOR_3DS).await;
    let of_bob = subscribes(&bob, json!({ "plan": "premium", "payment_method": method })).await;
    assert_eq!(of_bob["status"], "incomplete", "{of_bob}");
    for (user, secret) in [(&ada, secret), (&bob, of_bob["client_secret"].as_str().unwrap())] {
        until(user, stage, json!(["free", "none", false, 0])).await;
        authenticates(&world, secret).await;
        until(user, stage, json!(["premium", "active", true, 500])).await;
    }
    // Renewals ask nobody any more.
    world.advance("32d").await;
    for user in [&ada, &bob] {
        until(user, stage, json!(["premium", "active", true, 500])).await;
    }
}

#[tokio::test]
async fn a_first_payment_that_is_declined_can_be_made_with_another_card_or_expires() {
    let world = World::new().await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    for (user, pays) in [(&ada, true), (&bob, false)] {
        let method = card(&world, DECLINES_LATER).await;
        let made = subscribes(user, json!({ "plan": "premium", "payment_method": method })).await;
        assert_eq!(made["status"], "incomplete", "{made}");
        until(user, stage, json!(["free", "none", false, 0])).await;
        if pays {
            confirms(&world, made["client_secret"].as_str().unwrap(), PAID).await;
            until(user, stage, json!(["premium", "active", true, 500])).await;
        }
    }
    let unpaid = bob.get("/v1/me").await.json["subscriptions"][0]["id"].clone();
    world.advance("24h").await;
    until(&ada, stage, json!(["premium", "active", true, 500])).await;
    until(&bob, |me| me["subscriptions"].clone(), json!([])).await;
    let expired = bob.get(&format!("/v1/me/subscriptions/{}", unpaid.as_str().unwrap())).await;
    assert_eq!((expired.status, &expired.json["status"]), (StatusCode::OK, &json!("incomplete_expired")));
    let again = card(&world, PAID).await;
    let made = subscribes(&bob, json!({ "plan": "elite", "payment_method": again })).await;
    assert_eq!((&made["status"], &made["wallet"]["available"]), (&json!("active"), &json!(0)), "{made}");
}

#[tokio::test]
async fn a_card_that_cannot_even_be_kept_bars_no_other_one() {
    let world = World::new().await;
    let ada = world.user("ada");
    let declined = json!({ "plan": "premium", "payment_method": card(&world, DECLINED).await });
    let refused = ada.post_once("/v1/me/subscriptions", "first", declined.clone()).await;
    refused.expect_problem(402, "payment_declined");
    assert_eq!(refused.json["reason"], "generic_decline");
    ada.post_once("/v1/me/subscriptions", "first", declined).await.expect_problem(402, "payment_declined");
    let good = json!({ "plan": "premium", "payment_method": card(&world, PAID).await });
    let made = ada.post_once("/v1/me/subscriptions", "second", good).await;
    assert_eq!((made.status, &made.json["status"]), (StatusCode::CREATED, &json!("active")), "{}", made.text);
    until(&ada, stage, json!(["premium", "active", true, 500])).await;
}

#[tokio::test]
async fn going_on_with_an_unfinished_subscription_is_the_same_one_and_wanting_another_replaces_it() {
    let world = World::new().await;
    let ada = world.user("ada");
    let first = subscribes(&ada, json!({ "plan": "premium" })).await;
    let same = subscribes(&ada, json!({ "plan": "premium" })).await;
    assert_eq!((&same["id"], &same["client_secret"]), (&first["id"], &first["client_secret"]));
    // What its first payment is for stays what it was asked for.
    let begun = format!("/v1/me/subscriptions/{}", first["id"].as_str().unwrap());
    for (verb, wanted) in [
        ("change", json!({ "plan": "elite" })),
        ("preview", json!({ "plan": "elite" })),
        ("cancel", json!({})),
    ] {
        ada.post(&format!("{begun}/{verb}"), wanted).await.expect_problem(409, "payment_due");
    }
    let other = subscribes(&ada, json!({ "plan": "elite" })).await;
    assert_ne!(other["id"], first["id"]);
    let replaced = world.stripe(&format!("/v1/subscriptions/{}", first["id"].as_str().unwrap())).await;
    assert!(matches!(replaced["status"].as_str(), Some("canceled" | "incomplete_expired")), "{replaced}");
    confirms(&world, other["client_secret"].as_str().unwrap(), PAID).await;
    until(&ada, stage, json!(["elite", "active", true, 0])).await;
    let refused = ada.post("/v1/me/subscriptions", json!({ "plan": "premium" })).await;
    refused.expect_problem(409, "already_subscribed");
}

#[tokio::test]
async fn each_test_card_makes_of_a_subscription_what_its_bank_does() {
    let world = World::new().await;
    for (number, status, word) in [
        ("4000 0566 5566 5556", 201, "active"),
        ("5555 5555 5555 4444", 201, "active"),
        // Asks when its holder is there, and is set up for renewals already.
        ("4000 0038 0000 0446", 201, "active"),
        ("4000 0027 6000 3184", 201, "incomplete"),
        ("4000 0082 6000 3178", 201, "incomplete"),
        ("4000 0000 0000 9995", 402, "insufficient_funds"),
        ("4000 0000 0000 9987", 402, "lost_card"),
        ("4000 0000 0000 9979", 402, "stolen_card"),
        ("4000 0000 0000 0069", 402, "expired_card"),
        ("4000 0000 0000 0127", 402, "incorrect_cvc"),
        ("4000 0000 0000 0119", 402, "processing_error"),
    ] {
        let user = world.user(&number.replace(' ', ""));
        let method = card(&world, number).await;
        let made =
            user.post("/v1/me/subscriptions", json!({ "plan": "premium", "payment_method": method })).await;
        let told = if status == 201 { &made.json["status"] } else { &made.json["reason"] };
        assert_eq!((made.status.as_u16(), told), (status, &json!(word)), "{number}: {}", made.text);
        let tokens = if word == "active" { 500 } else { 0 };
        assert_eq!(user.available().await, tokens, "{number}");
    }
}
