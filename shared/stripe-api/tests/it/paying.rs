//! Payments that the app itself collects.

use domain::ids::{CustomerId, PaymentId, PaymentMethodId};
use domain::money::{Currency, Money};
use domain::payment::AttemptOutcome::Failed;
use domain::payment::Envelope;
use domain::time::Time;
use serde_json::{Value, json};
use stripe_api::{IntentState, IntentStatus, PaymentOrder};

use crate::StripeError;
use crate::changes::{REFUSED, stripe};
use crate::intents::{id, intent};
use crate::subscriptions::MISSING;
use crate::wire::{Step, Wire};

fn order() -> PaymentOrder {
    PaymentOrder {
        customer: CustomerId::parse("cus_1").unwrap(),
        amount: Money { amount_minor: 1998, currency: Currency::parse("eur").unwrap() },
        method: None,
        payment_methods: Vec::new(),
        envelope: Envelope { item: "package:medium:2".parse().ok(), ..Envelope::default() },
        request: "req:ada:pay:1".to_owned(),
    }
}

fn method() -> PaymentMethodId {
    PaymentMethodId::parse("pm_1").unwrap()
}

fn found(changes: Value) -> Step {
    Step::ok(intent(changes))
}

/// What a bank's refusal looks like: it names the intent, which is there all the same.
fn declined() -> Step {
    let intent: Value = serde_json::from_str(&intent(json!({}))).unwrap();
    let error = json!({"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "payment_intent": intent});
    Step::status(402).body(json!({ "error": error }).to_string())
}

const UNEXPECTED: &str =
    r#"{"error":{"type":"invalid_request_error","code":"payment_intent_unexpected_state"}}"#;
const CREATE: &str = "POST /v1/payment_intents";
const GET: &str = "GET /v1/payment_intents/pi_3Tm7c52eZvKYlo2C3uK";
const CONFIRM: &str = "POST /v1/payment_intents/pi_3Tm7c52eZvKYlo2C3uK/confirm";
const CANCEL: &str = "POST /v1/payment_intents/pi_3Tm7c52eZvKYlo2C3uK/cancel";

async fn sent(order: &PaymentOrder) -> Vec<String> {
    let wire = Wire::play([found(json!({}))]);
    stripe(&wire).open_payment(order, "key").await.unwrap();
    assert_eq!(wire.calls(), [CREATE]);
    wire.seen()[0].fields().iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[tokio::test]
async fn a_payment_is_opened_for_the_app_to_confirm() {
    let expected = [
        "amount=1998",
        "automatic_payment_methods[allow_redirects]=never",
        "automatic_payment_methods[enabled]=true",
        "currency=eur",
        "customer=cus_1",
        "metadata[tollgate_item]=package:medium:2",
        "metadata[tollgate_request]=req:ada:pay:1",
        "metadata[tollgate_stack]=main",
    ];
    assert_eq!(sent(&order()).await, expected);
}

#[tokio::test]
async fn with_a_method_it_is_charged_at_once_and_kinds_of_methods_stand_in_for_whatever_is_offered() {
    let wished = PaymentOrder {
        method: Some(method()),
        payment_methods: ["card", "sepa_debit"].map(str::to_owned).to_vec(),
        ..order()
    };
    let sent = sent(&wished).await;
    for pair in [
        "allowed_payment_method_types[0]=card",
        "allowed_payment_method_types[1]=sepa_debit",
        "confirm=true",
        "payment_method=pm_1",
    ] {
        assert!(sent.iter().any(|sent| sent == pair), "{pair} of {sent:?}");
    }
    assert!(!sent.iter().any(|pair| pair.starts_with("automatic_payment_methods")), "{sent:?}");
}

#[tokio::test]
async fn a_decline_is_told_as_the_intent_that_failed() {
    let order = PaymentOrder { method: Some(method()), ..order() };
    let wire = Wire::play([declined(), found(json!({}))]);
    let intent = stripe(&wire).open_payment(&order, "key").await.unwrap();
    assert_eq!(intent.id, id());
    assert_eq!(intent.status, IntentStatus::RequiresMethod);
    assert_eq!(intent.state, IntentState::Unpaid(Failed("insufficient_funds".to_owned())));
    assert_eq!(wire.calls(), [CREATE, GET]);
}

#[tokio::test]
async fn a_refusal_that_names_no_intent_stays_a_refusal() {
    for step in [Step::status(402).body(REFUSED), Step::status(400).body(REFUSED), Step::status(402)] {
        let outcome = stripe(&Wire::play([step])).open_payment(&order(), "key").await;
        assert!(matches!(outcome, Err(StripeError::Refused(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn an_intent_is_confirmed_and_a_decline_is_no_error() {
    let paid = json!({"status": "succeeded", "amount_received": 999, "last_payment_error": null});
    let wire = Wire::play([found(paid)]);
    let confirmed = stripe(&wire).confirm_payment(&id(), Some(&method()), "key").await.unwrap().unwrap();
    assert_eq!(confirmed.status, IntentStatus::Succeeded);
    assert_eq!(wire.calls(), [CONFIRM]);
    assert_eq!(wire.seen()[0].fields(), [("payment_method".to_owned(), "pm_1".to_owned())].into());

    let wire = Wire::play([declined(), found(json!({}))]);
    let failed = stripe(&wire).confirm_payment(&id(), None, "key").await.unwrap().unwrap();
    assert_eq!(failed.status, IntentStatus::RequiresMethod);
    assert_eq!(wire.calls(), [CONFIRM, GET]);
}

#[tokio::test]
async fn what_is_past_being_asked_for_answers_as_it_is() {
    let paid = || found(json!({"status": "succeeded", "amount_received": 999, "last_payment_error": null}));
    let wire =
        Wire::play([Step::status(400).body(UNEXPECTED), paid(), Step::status(400).body(UNEXPECTED), paid()]);
    let stripe = stripe(&wire);
    for outcome in
        [stripe.confirm_payment(&id(), None, "key").await, stripe.cancel_payment(&id(), "key").await]
    {
        assert_eq!(outcome.unwrap().unwrap().status, IntentStatus::Succeeded);
    }
    assert_eq!(wire.calls(), [CONFIRM, GET, CANCEL, GET]);
}

#[tokio::test]
async fn an_intent_is_given_up() {
    let wire = Wire::play([found(json!({"status": "canceled"}))]);
    let canceled = stripe(&wire).cancel_payment(&id(), "key").await.unwrap().unwrap();
    assert_eq!(canceled.status, IntentStatus::Canceled);
    assert_eq!(wire.calls(), [CANCEL]);
}

#[tokio::test]
async fn an_intent_that_is_not_there_is_none_and_any_other_refusal_an_error() {
    let missing = || Step::status(404).body(MISSING);
    let wire = Wire::play([missing(), missing()]);
    let stripe_ = stripe(&wire);
    assert_eq!(stripe_.confirm_payment(&id(), None, "key").await.unwrap(), None);
    assert_eq!(stripe_.cancel_payment(&id(), "key").await.unwrap(), None);
    let wire = Wire::play([Step::status(400).body(REFUSED)]);
    assert!(stripe(&wire).confirm_payment(&id(), None, "key").await.is_err());
}

#[tokio::test]
async fn every_status_is_read_and_a_new_one_is_unknown_rather_than_an_error() {
    for status in [
        "requires_payment_method",
        "requires_confirmation",
        "requires_action",
        "requires_capture",
        "processing",
        "canceled",
        "unknown",
    ] {
        let wire = Wire::play([found(json!({ "status": status }))]);
        assert_eq!(stripe(&wire).intent(&id()).await.unwrap().unwrap().status.name(), status);
    }
    let wire = Wire::play([found(json!({"status": "musing"}))]);
    assert_eq!(stripe(&wire).intent(&id()).await.unwrap().unwrap().status, IntentStatus::Unknown);
}

#[tokio::test]
async fn an_intents_secret_is_there_and_is_never_printed() {
    let wire = Wire::play([found(json!({"client_secret": "pi_1_secret_2"}))]);
    let intent = stripe(&wire).intent(&id()).await.unwrap().unwrap();
    let secret = intent.client_secret.as_ref().unwrap();
    assert_eq!((secret.as_str(), secret.is_of_setup()), ("pi_1_secret_2", false));
    assert!(!format!("{intent:?}").contains("_secret_"), "{intent:?}");
}

#[tokio::test]
async fn a_customers_payments_are_found_by_their_request() {
    let page = |more: bool, id: &str, request: &str| {
        let changes = json!({"id": id, "metadata": {"tollgate_request": request}});
        let found: Value = serde_json::from_str(&intent(changes)).unwrap();
        let list = json!({"object": "list", "url": "/v1/payment_intents", "has_more": more, "data": [found]});
        Step::ok(list.to_string())
    };
    let wire = Wire::play([page(true, "pi_2", "two"), page(false, "pi_1", "one")]);
    let customer = CustomerId::parse("cus_1").unwrap();
    let payments = stripe(&wire).customer_payments(&customer, Time::from_seconds(5)).await.unwrap();
    let payments: Vec<_> = payments.into_iter().map(|found| (found.id, found.request.unwrap())).collect();
    let expected = [("pi_2", "two"), ("pi_1", "one")];
    assert_eq!(payments, expected.map(|(id, request)| (PaymentId::parse(id).unwrap(), request.to_owned())));
    let first = &wire.calls()[0];
    assert!(first.contains("customer=cus_1") && first.contains("created[gte]=5"), "{first}");
}
