//! How Stripe's answers are read, and what is written into a checkout.

use domain::ids::{CheckoutId, CustomerId, PriceId, UserId};
use domain::money::{Currency, Money};
use domain::payment::Envelope;
use domain::time::Time;
use serde_json::{Value, json};

use crate::intents::intent;
use crate::wire::{Step, Wire};
use crate::{CheckoutOrder, Session, SessionStatus, Stripe, StripeError};

pub fn session(changes: Value) -> String {
    let mut session = json!({
        "id": "cs_test_1", "object": "checkout.session", "automatic_tax": {"enabled": false, "status": null},
        "created": 1_790_000_000, "expires_at": 1_790_005_400, "custom_fields": [], "custom_text": {},
        "livemode": false, "mode": "payment", "payment_method_types": ["card"], "shipping_options": [],
        "status": "complete", "payment_status": "paid", "payment_intent": "pi_1", "customer": "cus_1",
        "amount_total": 999, "currency": "eur", "url": null,
        "metadata": {"tollgate_stack": "main", "tollgate_user": "ada", "tollgate_catalog": "3",
            "tollgate_item": "package:medium", "tollgate_request": "req:ada:checkout:1"},
    });
    for (name, value) in changes.as_object().unwrap() {
        session[name] = value.clone();
    }
    session.to_string()
}

fn id() -> CheckoutId {
    CheckoutId::parse("cs_test_1").unwrap()
}

async fn ask(step: Step) -> Result<Option<Session>, StripeError> {
    Stripe::new(Wire::play([step]).settings()).unwrap().session(&id()).await
}

async fn read(changes: Value) -> Session {
    ask(Step::ok(session(changes))).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_paid_session_is_a_payment_named_after_its_intent() {
    let session = read(json!({})).await;
    let eur = Currency::parse("eur").unwrap();
    let payment = session.payment.unwrap();
    assert_eq!(payment.id.as_str(), "pi_1");
    assert_eq!(payment.paid, Money { amount_minor: 999, currency: eur });
    assert_eq!(payment.customer, Some(CustomerId::parse("cus_1").unwrap()));
    assert_eq!(payment.envelope, session.envelope);
    assert_eq!(payment.envelope.user, Some(UserId::parse("ada").unwrap()));
    assert_eq!(payment.envelope.catalog, Some(3));
    assert_eq!(session.request.as_deref(), Some("req:ada:checkout:1"));
    assert_eq!(session.expires_at, Time::from_seconds(1_790_005_400));
}

#[tokio::test]
async fn an_expanded_object_reads_as_its_id() {
    let customer = json!({"id": "cus_2", "object": "customer", "created": 1, "livemode": false});
    let session = read(json!({ "customer": customer })).await;
    assert_eq!(session.customer.unwrap().as_str(), "cus_2");
}

#[tokio::test]
async fn a_payment_without_an_intent_is_named_after_its_session() {
    for paid in ["paid", "no_payment_required"] {
        let session = read(json!({"payment_status": paid, "payment_intent": null, "amount_total": 0})).await;
        assert_eq!(session.payment.unwrap().id.as_str(), "cs_test_1", "{paid}");
    }
}

#[tokio::test]
async fn a_session_is_paid_only_when_complete() {
    use SessionStatus::{Complete, Expired, Open, Processing};
    let cases = [
        ("open", "unpaid", Open, false),
        ("open", "no_payment_required", Open, false),
        ("expired", "unpaid", Expired, false),
        ("complete", "unpaid", Processing, false),
        ("complete", "no_payment_required", Complete, true),
        ("complete", "paid", Complete, true),
    ];
    for (status, payment_status, expected, paid) in cases {
        let session = read(json!({"status": status, "payment_status": payment_status})).await;
        assert_eq!(
            (session.status, session.payment.is_some()),
            (expected, paid),
            "{status} {payment_status}"
        );
    }
}

#[tokio::test]
async fn only_a_one_off_sale_pays_by_its_session() {
    for mode in ["subscription", "setup", "something_new"] {
        assert_eq!(read(json!({ "mode": mode })).await.payment, None, "{mode}");
    }
}

/// A session for a plan, in these states.
fn plan(status: &str, paid: &str, made: Value) -> Value {
    let invoice = made.is_string().then_some("in_1");
    json!({"mode": "subscription", "payment_intent": null, "status": status, "payment_status": paid,
        "subscription": made, "invoice": invoice})
}

#[tokio::test]
async fn a_finished_session_for_a_plan_names_its_subscription_and_no_payment() {
    use SessionStatus::{Complete, Open};
    let cases = [
        (plan("open", "unpaid", json!(null)), Open, None),
        (plan("open", "no_payment_required", json!(null)), Open, None),
        (plan("complete", "paid", json!("sub_1")), Complete, Some("sub_1")),
        (plan("complete", "no_payment_required", json!("sub_1")), Complete, Some("sub_1")),
    ];
    for (changes, status, subscription) in cases {
        let session = read(changes.clone()).await;
        assert_eq!(session.status, status, "{changes}");
        assert_eq!(session.subscription.as_ref().map(|id| id.as_str()), subscription, "{changes}");
        assert_eq!(session.invoice.map(String::from), subscription.map(|_| "in_1".to_owned()), "{changes}");
        assert_eq!(session.payment, None, "{changes}");
    }
}

#[tokio::test]
async fn of_a_plan_whose_money_is_under_way_the_intent_of_its_invoice_tells_more() {
    use SessionStatus::{Complete, Processing};
    let cases = [
        (json!([]), Processing, None),
        (json!([{"status": "processing", "last_payment_error": null}]), Processing, None),
        (json!([{}]), Processing, Some("insufficient_funds")),
        (json!([{"status": "succeeded"}]), Complete, None),
    ];
    for (intents, status, failure) in cases {
        let payments = intents.as_array().unwrap().iter().map(|changes| {
            let intent: Value = serde_json::from_str(&intent(changes.clone())).unwrap();
            json!({
                "id": "inpay_1", "object": "invoice_payment", "amount_paid": null, "amount_requested": 999,
                "created": 1_790_000_000, "currency": "eur", "invoice": "in_1", "is_default": true,
                "livemode": false, "payment": {"type": "payment_intent", "payment_intent": intent},
                "status": "open", "status_transitions": {"canceled_at": null, "paid_at": null},
            })
        });
        let list = json!({"object": "list", "data": payments.collect::<Vec<_>>(), "has_more": false,
            "url": "/v1/invoice_payments"});
        let unpaid = session(plan("complete", "unpaid", json!("sub_1")));
        let wire = Wire::play([Step::ok(unpaid), Step::ok(list.to_string())]);
        let told = Stripe::new(wire.settings()).unwrap().session(&id()).await.unwrap().unwrap();
        assert_eq!((told.status, told.failure.as_deref()), (status, failure), "{intents}");
        assert!(
            wire.seen()[1].call().starts_with("GET /v1/invoice_payments?"),
            "{:?}",
            wire.seen()[1].call()
        );
    }
}

#[tokio::test]
async fn a_status_unknown_to_us_is_an_error_rather_than_a_guess() {
    for changes in [json!({"status": "paused"}), json!({"payment_status": "half"}), json!({"status": null})] {
        match ask(Step::ok(session(changes))).await {
            Err(StripeError::Malformed { object, problem }) => {
                assert_eq!(object, "checkout.session");
                assert!(problem.contains("status"), "{problem}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_names_its_object() {
    for body in ["{}", "not json", r#"{"id": 7}"#] {
        match ask(Step::ok(body)).await {
            Err(StripeError::Malformed { object, .. }) => assert_eq!(object, "checkout.session"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let error = ask(Step::ok(" ".repeat(5 << 20))).await.unwrap_err();
    assert!(matches!(&error, StripeError::Malformed { .. }), "{error:?}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn only_a_missing_object_reads_as_none() {
    let missing = r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#;
    assert_eq!(ask(Step::status(404).body(missing)).await.unwrap(), None);
    let wrong_address = r#"{"error":{"type":"invalid_request_error","message":"Unrecognized request URL"}}"#;
    assert!(matches!(ask(Step::status(404).body(wrong_address)).await, Err(StripeError::Refused(_))));
}

#[tokio::test]
async fn a_deleted_customer_has_no_owner() {
    let wire = Wire::play([Step::ok(r#"{"id":"cus_1","object":"customer","deleted":true}"#)]);
    let owner =
        Stripe::new(wire.settings()).unwrap().customer_owner(&CustomerId::parse("cus_1").unwrap()).await;
    assert_eq!(owner.unwrap(), None);
}

pub fn order() -> CheckoutOrder {
    CheckoutOrder {
        customer: CustomerId::parse("cus_1").unwrap(),
        price: PriceId::parse("price_1").unwrap(),
        quantity: 2,
        seats: 1,
        trial_days: 0,
        trial_needs_method: true,
        payment_methods: Vec::new(),
        automatic_tax: false,
        collect_address: false,
        promotion_codes: false,
        expires_at: Time::from_seconds(1_790_005_400),
        success_url: "https://app.example/ok?id={CHECKOUT_SESSION_ID}".to_owned(),
        cancel_url: "https://app.example/".to_owned(),
        envelope: Envelope {
            stack: None,
            user: Some(UserId::parse("ada").unwrap()),
            catalog: Some(3),
            item: Some("package:medium:2".parse().unwrap()),
            trial: None,
        },
        request: "req:ada:checkout:1".to_owned(),
    }
}

/// What is sent for an order, pair by pair in order of their names.
pub async fn sent(order: &CheckoutOrder) -> Vec<String> {
    let wire = Wire::play([Step::ok(session(json!({})))]);
    Stripe::new(wire.settings()).unwrap().open_checkout(order, "key").await.unwrap();
    let body = wire.seen().remove(0).body.replace("%5B", "[").replace("%5D", "]").replace("%3A", ":");
    let mut pairs: Vec<String> = body.split('&').map(str::to_owned).collect();
    pairs.sort_unstable();
    pairs
}

/// Everything that an order sends: the envelope both with the session and with what the session makes.
fn expected(item: &str, quantity: u32, mode: &str, made: &str) -> Vec<String> {
    let envelope = |prefix: &str| {
        let pairs = [
            ("catalog", "3"),
            ("item", item),
            ("request", "req:ada:checkout:1"),
            ("stack", "main"),
            ("user", "ada"),
        ];
        pairs.map(|(name, value)| format!("{prefix}[tollgate_{name}]={value}"))
    };
    let mut pairs = vec![
        "cancel_url=https://app.example/".to_owned(),
        "customer=cus_1".to_owned(),
        "expires_at=1790005400".to_owned(),
        "line_items[0][price]=price_1".to_owned(),
        format!("line_items[0][quantity]={quantity}"),
        format!("mode={mode}"),
        "success_url=https://app.example/ok?id%3D{CHECKOUT_SESSION_ID}".to_owned(),
    ];
    pairs.extend(envelope("metadata"));
    pairs.extend(envelope(&format!("{made}[metadata]")));
    pairs.sort_unstable();
    pairs
}

#[tokio::test]
async fn session_and_intent_carry_the_same_envelope() {
    let expected = expected("package:medium:2", 2, "payment", "payment_intent_data");
    assert_eq!(sent(&order()).await, expected);
}

#[tokio::test]
async fn session_and_subscription_carry_the_same_envelope_and_only_seats_multiply_a_plan() {
    let mut order = order();
    order.envelope.item = Some("plan:premium:month".parse().unwrap());
    let expected = expected("plan:premium:month", 1, "subscription", "subscription_data");
    assert_eq!(sent(&order).await, expected);
}

const NOT_OPEN: &str = r#"{"error":{"type":"invalid_request_error","message":"It cannot be expired."}}"#;

async fn expire(steps: impl IntoIterator<Item = Step>) -> Result<Session, StripeError> {
    Stripe::new(Wire::play(steps).settings()).unwrap().expire_checkout(&id()).await
}

#[tokio::test]
async fn a_call_to_expire_repeats_its_key_and_the_next_call_has_another() {
    let expired = || Step::ok(session(json!({"status": "expired", "payment_status": "unpaid"})));
    let wire = Wire::play([Step::Hangup, expired(), expired()]);
    let stripe = Stripe::new(wire.settings()).unwrap();
    for _ in 0..2 {
        assert_eq!(stripe.expire_checkout(&id()).await.unwrap().status, SessionStatus::Expired);
    }
    let seen = wire.seen();
    assert!(seen[0].head.starts_with("POST /v1/checkout/sessions/cs_test_1/expire "), "{}", seen[0].head);
    let key = |at: usize| &seen[at].headers["idempotency-key"];
    assert_eq!(key(0), key(1));
    assert_ne!(key(1), key(2));
}

#[tokio::test]
async fn a_session_that_cannot_be_expired_any_more_is_told_as_it_is() {
    for (status, payment_status, told) in [
        ("complete", "paid", SessionStatus::Complete),
        ("complete", "unpaid", SessionStatus::Processing),
        ("expired", "unpaid", SessionStatus::Expired),
    ] {
        let now = session(json!({"status": status, "payment_status": payment_status}));
        let outcome = expire([Step::status(400).body(NOT_OPEN), Step::ok(now)]).await;
        assert_eq!(outcome.unwrap().status, told);
    }
}

#[tokio::test]
async fn a_refusal_to_expire_what_is_open_or_gone_stays_a_refusal() {
    let open = session(json!({"status": "open", "payment_status": "unpaid"}));
    let missing =
        || Step::status(404).body(r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#);
    for steps in [[Step::status(400).body(NOT_OPEN), Step::ok(open)], [missing(), missing()]] {
        let outcome = expire(steps).await;
        assert!(matches!(outcome, Err(StripeError::Refused(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn all_pages_of_a_customers_sessions_are_read() {
    let page = |id: &str, more: bool| {
        let data: Value = serde_json::from_str(&session(json!({ "id": id }))).unwrap();
        Step::ok(json!({"object": "list", "url": "/list", "has_more": more, "data": [data]}).to_string())
    };
    let wire = Wire::play([page("cs_test_2", true), page("cs_test_1", false)]);
    let stripe = Stripe::new(wire.settings()).unwrap();
    let since = Time::from_seconds(1_789_000_000);
    let sessions = stripe.customer_sessions(&CustomerId::parse("cus_1").unwrap(), since).await.unwrap();
    assert_eq!(
        sessions.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(),
        ["cs_test_2", "cs_test_1"]
    );
    assert!(wire.seen()[1].head.contains("starting_after=cs_test_2"), "{}", wire.seen()[1].head);
}
