//! How a payment intent is read: what it is to pay, and what became of that.

use domain::ids::{CustomerId, PaymentId, UserId};
use domain::money::{Currency, Money};
use domain::payment::AttemptOutcome::{self, Failed, Pending};
use domain::time::Time;
use serde_json::{Value, json};
use stripe_api::{Intent, IntentState};

use crate::against_sandbox::{ada, order, published, sandbox, stripe};
use crate::proxy;
use crate::wire::{Step, Wire};
use crate::{Stripe, StripeError};

const FAILED: &str =
    include_str!("../../../../events/stripe/payment_intent.payment_failed.ours.2026-09-30.json");

/// A declined intent as an event shows it, changed.
pub fn intent(changes: Value) -> String {
    let mut event: Value = serde_json::from_str(FAILED).unwrap();
    let mut intent = event["data"]["object"].take();
    for (name, value) in changes.as_object().unwrap() {
        intent[name] = value.clone();
    }
    intent.to_string()
}

pub fn id() -> PaymentId {
    PaymentId::parse("pi_3Tm7c52eZvKYlo2C3uK").unwrap()
}

fn asking(step: Step) -> Stripe {
    Stripe::new(Wire::play([step]).settings()).unwrap()
}

async fn read(changes: Value) -> Intent {
    asking(Step::ok(intent(changes))).intent(&id()).await.unwrap().unwrap()
}

async fn outcome(changes: Value) -> AttemptOutcome {
    match read(changes).await.state {
        IntentState::Unpaid(outcome) => outcome,
        IntentState::Succeeded(payment) => panic!("paid: {payment:?}"),
    }
}

fn failed(reason: &str) -> AttemptOutcome {
    Failed(reason.to_owned())
}

#[tokio::test]
async fn a_declined_intent_says_whose_it_is_what_it_was_for_and_why_it_failed() {
    let found = read(json!({})).await;
    assert_eq!(found.id, id());
    assert_eq!(found.state, IntentState::Unpaid(failed("insufficient_funds")));
    assert_eq!(found.amount, Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() });
    assert_eq!(found.created, Time::from_seconds(1_793_599_999));
    assert_eq!(found.customer, Some(CustomerId::parse("cus_QTm7c52eZvKYlo2C3uK").unwrap()));
    assert_eq!(found.envelope.stack.as_deref(), Some("tollgate-prod"));
    assert_eq!(found.envelope.user, Some(UserId::parse("user_2aB9xQ").unwrap()));
    assert_eq!(found.envelope.item, "package:medium".parse().ok());
}

#[tokio::test]
async fn the_banks_word_for_a_failure_comes_before_stripes() {
    let error = |more: Value| {
        let mut error = json!({"type": "card_error", "message": "Sorry."});
        error.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "last_payment_error": error })
    };
    let cases = [
        (json!({"code": "card_declined", "decline_code": "stolen_card"}), "stolen_card"),
        (json!({"code": "expired_card"}), "expired_card"),
        (json!({"code": "a_code_of_next_year"}), "a_code_of_next_year"),
        (json!({}), "card_error"),
    ];
    for (more, reason) in cases {
        assert_eq!(outcome(error(more)).await, failed(reason));
    }
}

#[tokio::test]
async fn an_intent_that_waits_for_somebody_is_pending() {
    let untried = json!({"status": "requires_payment_method", "last_payment_error": null});
    assert_eq!(outcome(untried).await, Pending);
    let waiting = ["requires_confirmation", "requires_action", "processing", "requires_capture", "musing"];
    for status in waiting {
        // The error is that of an earlier try.
        assert_eq!(outcome(json!({ "status": status })).await, Pending, "{status}");
    }
}

#[tokio::test]
async fn a_canceled_intent_failed_for_the_reason_it_was_canceled_for() {
    let canceled = |reason: Value| json!({"status": "canceled", "cancellation_reason": reason});
    assert_eq!(outcome(canceled(json!("abandoned"))).await, failed("abandoned"));
    assert_eq!(outcome(canceled(json!("bored"))).await, failed("bored"));
    assert_eq!(outcome(canceled(json!(null))).await, failed("canceled"));
}

#[tokio::test]
async fn an_intent_that_succeeded_is_the_payment_of_what_was_received() {
    let paid = json!({"status": "succeeded", "amount_received": 998, "last_payment_error": null});
    let found = read(paid.clone()).await;
    let IntentState::Succeeded(payment) = found.state else { panic!("{found:?}") };
    assert_eq!((payment.paid.amount_minor, found.amount.amount_minor), (998, 999));
    assert_eq!((&payment.envelope, &payment.customer), (&found.envelope, &found.customer));
    assert_eq!(asking(Step::ok(intent(paid))).payment(&id()).await.unwrap(), Some(payment));
}

#[tokio::test]
async fn only_what_succeeded_under_an_envelope_is_a_payment() {
    for changes in
        [json!({}), json!({"status": "processing"}), json!({"status": "succeeded", "metadata": {}})]
    {
        let found = asking(Step::ok(intent(changes.clone()))).payment(&id()).await.unwrap();
        assert_eq!(found, None, "{changes}");
    }
}

#[tokio::test]
async fn an_intent_that_cannot_be_read_names_its_object() {
    for body in ["{}", "not json", r#"{"id": 7}"#] {
        match asking(Step::ok(body)).intent(&id()).await {
            Err(StripeError::Malformed { object, .. }) => assert_eq!(object, "payment_intent"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_intent_of_a_checkout_fails_with_its_card_and_succeeds_with_another() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    assert_eq!(stripe.intent(&id()).await.unwrap(), None);
    let customer = stripe.create_customer(&ada()).await.unwrap();
    let order = order(customer, published(&stripe).await);
    let session = stripe.open_checkout(&order, "key").await.unwrap();
    proxy::is_declined(&url, session.id.as_str(), "4000000000009995");
    let shown = proxy::get(&url, &format!("/v1/checkout/sessions/{}", session.id));
    let id = PaymentId::parse(shown["payment_intent"].as_str().unwrap()).unwrap();
    let declined = stripe.intent(&id).await.unwrap().unwrap();
    assert_eq!(declined.state, IntentState::Unpaid(failed("insufficient_funds")));
    assert_eq!((declined.amount.amount_minor, declined.customer.as_ref()), (1998, Some(&order.customer)));
    assert_eq!((declined.envelope.user, declined.envelope.item), (Some(ada()), order.envelope.item));
    proxy::pay(&url, session.id.as_str());
    let payment = stripe.payment(&id).await.unwrap().unwrap();
    let paid = stripe.intent(&id).await.unwrap().unwrap();
    assert_eq!(paid.state, IntentState::Succeeded(payment));
    assert_eq!(paid.created, declined.created);
}
