//! Subscriptions that the app itself collects for.

use domain::ids::{CustomerId, PaymentMethodId, PriceId};
use domain::payment::Envelope;
use serde_json::{Value, json};
use stripe_api::SubscriptionOrder;

use crate::changes::{now, stripe};
use crate::subscriptions::{MISSING, id, invoice, subscription};
use crate::wire::{Step, Wire};

fn order() -> SubscriptionOrder {
    SubscriptionOrder {
        customer: CustomerId::parse("cus_1").unwrap(),
        price: PriceId::parse("price_1").unwrap(),
        quantity: 2,
        trial_days: 0,
        method: None,
        payment_methods: Vec::new(),
        automatic_tax: false,
        envelope: Envelope { user: "ada".parse().ok(), ..Envelope::default() },
        request: "req:ada:subscribe:1".to_owned(),
    }
}

async fn sent(order: &SubscriptionOrder) -> Vec<String> {
    let wire = Wire::play([now(json!({}))]);
    stripe(&wire).open_subscription(order, "key").await.unwrap();
    assert_eq!(wire.calls(), ["POST /v1/subscriptions"]);
    wire.seen()[0].fields().iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[tokio::test]
async fn an_order_without_a_method_waits_for_the_app_and_remembers_what_it_is_paid_with() {
    let expected = [
        "customer=cus_1",
        "expand[0]=latest_invoice.confirmation_secret",
        "expand[1]=pending_setup_intent",
        "expand[2]=schedule",
        "items[0][price]=price_1",
        "items[0][quantity]=2",
        "metadata[tollgate_request]=req:ada:subscribe:1",
        "metadata[tollgate_stack]=main",
        "metadata[tollgate_user]=ada",
        "payment_behavior=default_incomplete",
        "payment_settings[save_default_payment_method]=on_subscription",
    ];
    assert_eq!(sent(&order()).await, expected);
}

#[tokio::test]
async fn every_wish_is_sent() {
    let wished = SubscriptionOrder {
        trial_days: 7,
        method: Some(PaymentMethodId::parse("pm_1").unwrap()),
        payment_methods: vec!["sepa_debit".to_owned()],
        automatic_tax: true,
        ..order()
    };
    let plain = sent(&order()).await;
    let more: Vec<String> = sent(&wished).await.into_iter().filter(|pair| !plain.contains(pair)).collect();
    let expected = [
        "automatic_tax[enabled]=true",
        "default_payment_method=pm_1",
        "payment_behavior=allow_incomplete",
        "payment_settings[payment_method_types][0]=sepa_debit",
        "trial_period_days=7",
        "trial_settings[end_behavior][missing_payment_method]=pause",
    ];
    assert_eq!(more, expected);
}

fn due(status: &str, secret: Value) -> Value {
    let mut invoice = invoice("in_1", json!([]), json!([]));
    invoice["status"] = json!(status);
    invoice["confirmation_secret"] = secret;
    invoice
}

fn setup() -> Value {
    json!({
        "id": "seti_1", "object": "setup_intent", "client_secret": "seti_1_secret_2", "created": 1,
        "livemode": false, "payment_method_types": ["card"], "status": "requires_payment_method",
        "usage": "off_session",
    })
}

async fn secret(changes: Value) -> Option<String> {
    let wire = Wire::play([now(changes.clone()), now(changes)]);
    let stripe = stripe(&wire);
    let opened = stripe.open_subscription(&order(), "key").await.unwrap();
    let again = stripe.client_secret(&id()).await.unwrap();
    assert_eq!(opened.client_secret, again, "it can be had again");
    again.map(|secret| secret.as_str().to_owned())
}

#[tokio::test]
async fn what_is_due_is_confirmed_before_what_is_left_for_later() {
    let payment = || json!({"client_secret": "pi_1_secret_2", "type": "payment_intent"});
    let due_now = json!({"latest_invoice": due("open", payment()), "pending_setup_intent": setup()});
    assert_eq!(secret(due_now).await.as_deref(), Some("pi_1_secret_2"));
    let tried = json!({"latest_invoice": due("paid", Value::Null), "pending_setup_intent": setup()});
    assert_eq!(secret(tried).await.as_deref(), Some("seti_1_secret_2"));
    assert_eq!(secret(json!({"latest_invoice": due("paid", payment())})).await, None, "it is paid");
    assert_eq!(secret(json!({"latest_invoice": "in_1", "pending_setup_intent": null})).await, None);
}

#[tokio::test]
async fn a_secret_says_what_it_is_of_and_is_never_printed() {
    let setup = json!({"latest_invoice": due("paid", Value::Null), "pending_setup_intent": setup()});
    let wire = Wire::play([now(setup)]);
    let opened = stripe(&wire).open_subscription(&order(), "key").await.unwrap();
    let secret = opened.client_secret.as_ref().unwrap();
    assert!(secret.is_of_setup());
    assert!(!format!("{opened:?}").contains("_secret_"), "{opened:?}");
    assert_eq!(serde_json::to_value(secret).unwrap(), "seti_1_secret_2");
}

#[tokio::test]
async fn the_same_order_has_the_same_key_and_another_key_is_another_subscription() {
    let key = async |key: &str| {
        let wire = Wire::play([now(json!({}))]);
        stripe(&wire).open_subscription(&order(), key).await.unwrap();
        wire.seen()[0].key().unwrap().to_owned()
    };
    assert_eq!(key("a").await, key("a").await);
    assert_ne!(key("a").await, key("b").await);
}

fn card(id: &str) -> Value {
    json!({
        "id": id, "object": "payment_method", "billing_details": {}, "created": 1, "customer": "cus_1",
        "livemode": false, "type": "card",
        "card": {"brand": "visa", "exp_month": 4, "exp_year": 2030, "fingerprint": format!("print_{id}"),
            "funding": "credit", "last4": "4242"},
    })
}

#[tokio::test]
async fn a_subscription_is_charged_to_its_own_method_else_to_its_customers() {
    let customer = json!({"id": "cus_1", "object": "customer", "created": 1, "livemode": false,
        "invoice_settings": {"default_payment_method": card("pm_default")}});
    let nobodys = json!({"id": "cus_1", "object": "customer", "created": 1, "livemode": false,
        "invoice_settings": {"default_payment_method": null}});
    let cases = [
        (json!({"customer": customer, "default_payment_method": card("pm_own")}), Some(("pm_own", false))),
        (json!({"customer": customer, "default_payment_method": null}), Some(("pm_default", true))),
        (json!({"customer": nobodys, "default_payment_method": null}), None),
    ];
    for (found, expected) in cases {
        let wire = Wire::play([now(found)]);
        let method = stripe(&wire).subscription_method(&id()).await.unwrap();
        let seen = method.as_ref().map(|method| (method.id.as_str(), method.is_default));
        assert_eq!(seen, expected);
        let print = method.and_then(|method| method.fingerprint);
        assert_eq!(print, expected.map(|(id, _)| format!("print_{id}")));
        assert_eq!(wire.seen().len(), 1, "one request tells all");
    }
    let wire = Wire::play([Step::status(404).body(MISSING)]);
    assert_eq!(stripe(&wire).subscription_method(&id()).await.unwrap(), None);
}

#[tokio::test]
async fn a_subscription_can_be_charged_to_another_method() {
    let wire = Wire::play([Step::ok(subscription(json!({"default_payment_method": "pm_2"})))]);
    let method = PaymentMethodId::parse("pm_2").unwrap();
    stripe(&wire).charge_to(&id(), &method).await.unwrap();
    assert_eq!(wire.seen()[0].call(), format!("POST /v1/subscriptions/{}", id()));
    assert_eq!(wire.seen()[0].fields()["default_payment_method"], "pm_2");
}
