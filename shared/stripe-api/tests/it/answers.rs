//! How Stripe's answers are read, and what is written into a checkout.

use domain::ids::{CheckoutId, CustomerId, PriceId, UserId};
use domain::money::{Currency, Money};
use domain::payment::Envelope;
use domain::time::Time;
use serde_json::{Value, json};

use crate::wire::{Step, Wire};
use crate::{CheckoutOrder, Session, SessionStatus, Stripe, StripeError};

fn session(changes: Value) -> String {
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

fn order() -> CheckoutOrder {
    CheckoutOrder {
        customer: CustomerId::parse("cus_1").unwrap(),
        price: PriceId::parse("price_1").unwrap(),
        quantity: 2,
        expires_at: Time::from_seconds(1_790_005_400),
        success_url: "https://app.example/ok?id={CHECKOUT_SESSION_ID}".to_owned(),
        cancel_url: "https://app.example/".to_owned(),
        envelope: Envelope {
            stack: None,
            user: Some(UserId::parse("ada").unwrap()),
            catalog: Some(3),
            item: Some("package:medium:2".parse().unwrap()),
        },
        request: "req:ada:checkout:1".to_owned(),
    }
}

#[tokio::test]
async fn session_and_intent_carry_the_same_envelope() {
    let wire = Wire::play([Step::ok(session(json!({})))]);
    Stripe::new(wire.settings()).unwrap().open_checkout(&order(), "key").await.unwrap();
    let body = wire.seen().remove(0).body.replace("%5B", "[").replace("%5D", "]").replace("%3A", ":");
    let mut pairs: Vec<&str> = body.split('&').collect();
    pairs.sort_unstable();
    let metadata = |prefix: &str| -> Vec<String> {
        pairs.iter().filter_map(|pair| pair.strip_prefix(prefix)).map(str::to_owned).collect()
    };
    let expected = [
        "[tollgate_catalog]=3",
        "[tollgate_item]=package:medium:2",
        "[tollgate_request]=req:ada:checkout:1",
        "[tollgate_stack]=main",
        "[tollgate_user]=ada",
    ];
    assert_eq!(metadata("metadata"), expected);
    assert_eq!(metadata("payment_intent_data[metadata]"), expected);
    for pair in
        ["mode=payment", "line_items[0][price]=price_1", "line_items[0][quantity]=2", "expires_at=1790005400"]
    {
        assert!(pairs.contains(&pair), "{pair} is not in {body}");
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
