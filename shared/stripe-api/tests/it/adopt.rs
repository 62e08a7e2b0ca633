//! Our envelope in what was made without us.

use domain::ids::SubscriptionId;
use domain::payment::Envelope;
use serde_json::{Value, json};

use crate::Stripe;
use crate::against_sandbox::ada;
use crate::intents::{id, intent};
use crate::wire::{Step, Wire};

const SUBSCRIPTION: &str =
    include_str!("../../../../events/stripe/customer.subscription.updated.2026-09-30.json");

fn envelope() -> Envelope {
    let (user, item) = (Some(ada()), "package:medium".parse().ok());
    // Another connection's stack is never written.
    Envelope { stack: Some("theirs".to_owned()), user, catalog: Some(3), item, trial: None }
}

#[tokio::test]
async fn a_payment_is_told_whose_it_is_what_for_and_by_which_deployment() {
    let wire = Wire::play([Step::ok(intent(json!({})))]);
    let stripe = Stripe::new(wire.settings()).unwrap();
    stripe.adopt_payment(&id(), &envelope(), "once").await.unwrap();
    let seen = &wire.seen()[0];
    assert_eq!(seen.call(), "POST /v1/payment_intents/pi_3Tm7c52eZvKYlo2C3uK");
    let fields = seen.fields();
    let expected = [
        ("metadata[tollgate_catalog]", "3"),
        ("metadata[tollgate_item]", "package:medium"),
        ("metadata[tollgate_stack]", "main"),
        ("metadata[tollgate_user]", "auth0|ada"),
    ];
    assert_eq!(fields.len(), expected.len(), "{fields:?}");
    for (name, value) in expected {
        assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_subscription_is_told_only_whose_it_is() {
    let found = serde_json::from_str::<Value>(SUBSCRIPTION).unwrap()["data"]["object"].take();
    let wire = Wire::play([Step::ok(found.to_string())]);
    let stripe = Stripe::new(wire.settings()).unwrap();
    let id = SubscriptionId::parse("sub_1TmAk42eZvKYlo2C8oX").unwrap();
    let envelope = Envelope { user: Some(ada()), ..Envelope::default() };
    stripe.adopt_subscription(&id, &envelope, "once").await.unwrap();
    let seen = &wire.seen()[0];
    assert_eq!(seen.call(), "POST /v1/subscriptions/sub_1TmAk42eZvKYlo2C8oX");
    let names: Vec<String> = seen.fields().into_keys().collect();
    assert_eq!(names, ["metadata[tollgate_stack]", "metadata[tollgate_user]"]);
}

#[tokio::test]
async fn the_same_is_sent_under_the_same_key_so_that_a_lost_answer_can_be_asked_for_again() {
    let answers = [Step::Hangup, Step::ok(intent(json!({}))), Step::ok(intent(json!({})))];
    let wire = Wire::play(answers);
    let stripe = Stripe::new(wire.settings()).unwrap();
    stripe.adopt_payment(&id(), &envelope(), "once").await.unwrap();
    stripe.adopt_payment(&id(), &envelope(), "again").await.unwrap();
    let seen = wire.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].key(), seen[1].key());
    assert_ne!(seen[1].key(), seen[2].key());
    assert!(seen[0].key().unwrap().starts_with("tollgate-adopt-"));
}
