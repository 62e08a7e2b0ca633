//! Payments of invoices and sessions, carried out by a page with a client secret or by nobody at all.

use serde_json::{Value, json};

use crate::intents::{authenticate, by_page, confirm};
use crate::stand::{DAY_MS, FAILS_LATER, HOUR_MS, Stand, id, types};

/// A subscription that waits for a page to pay it, and the intent that does.
async fn waiting(stand: &Stand, more: &str) -> (Value, Value) {
    let price = stand.plan("Premium", 999, "month").await;
    let customer = stand.post("/v1/customers", "").await;
    let form = format!(
        "customer={}&items[0][price]={price}&payment_behavior=default_incomplete\
         &expand[]=latest_invoice.confirmation_secret{more}",
        id(&customer)
    );
    let subscription = stand.post("/v1/subscriptions", &form).await;
    let secret = &subscription["latest_invoice"]["confirmation_secret"];
    assert_eq!(secret["type"], "payment_intent");
    let secret = secret["client_secret"].as_str().unwrap();
    let intent = stand.get(&format!("/v1/payment_intents/{}", secret.split_once("_secret").unwrap().0)).await;
    assert_eq!(intent["client_secret"], secret);
    (subscription, intent)
}

#[tokio::test]
async fn confirming_the_intent_of_an_invoice_pays_it_and_begins_the_subscription() {
    let stand = Stand::start().await;
    let save = "&payment_settings[save_default_payment_method]=on_subscription";
    let (subscription, intent) = waiting(&stand, save).await;
    assert_eq!(
        (&subscription["status"], &intent["setup_future_usage"]),
        (&json!("incomplete"), &json!("off_session"))
    );
    assert_eq!(by_page(&stand, &intent, "&payment_method=pm_card_visa_chargeDeclined").await.status, 402);
    assert_eq!(stand.subscription(id(&subscription)).await["status"], "incomplete");

    let asking =
        by_page(&stand, &intent, "&payment_method=pm_card_authenticationRequiredOnSetup").await.json();
    assert_eq!(asking["status"], "requires_action");
    let asked = stand.get("/v1/events?type=invoice.payment_action_required").await;
    assert_eq!(asked["data"][0]["data"]["object"]["id"], subscription["latest_invoice"]["id"]);
    let seen = stand.event_types().await.len();
    assert_eq!(authenticate(&stand, &intent, "success").await.json()["status"], "succeeded");
    assert_eq!(
        types(&stand.events_after(seen).await),
        [
            "payment_method.attached",
            "customer.subscription.updated",
            "payment_intent.succeeded",
            "charge.succeeded",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
            "customer.subscription.updated",
        ]
    );
    let active = stand.subscription(id(&subscription)).await;
    assert_eq!(active["status"], "active");
    assert_eq!(active["default_payment_method"], asking["payment_method"]);
    stand.live(32 * DAY_MS).await;
    assert_eq!(stand.invoices(id(&subscription)).await[0]["status"], "paid", "it renews by itself");
}

#[tokio::test]
async fn confirming_the_intent_of_a_declined_renewal_recovers_the_subscription() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    stand.swap_card(id(&bought), FAILS_LATER).await;
    stand.live(7 * DAY_MS + HOUR_MS).await;
    assert_eq!(stand.subscription(id(&bought)).await["status"], "past_due");
    let invoice = &stand.invoices(id(&bought)).await[0];
    let path = format!("/v1/invoices/{}?expand[]=confirmation_secret", id(invoice));
    let secret = stand.get(&path).await["confirmation_secret"]["client_secret"].clone();
    let intent =
        json!({"id": secret.as_str().unwrap().split_once("_secret").unwrap().0, "client_secret": secret});
    assert_eq!(by_page(&stand, &intent, "&payment_method=pm_card_visa").await.json()["status"], "succeeded");
    assert_eq!(stand.subscription(id(&bought)).await["status"], "active");
    assert_eq!(stand.get(&path).await["confirmation_secret"], json!(null), "nothing is left to pay");
}

#[tokio::test]
async fn a_renewal_whose_card_asks_tells_the_shop_to_bring_its_holder() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let session = stand.subscription_session(&price, "").await;
    stand.pay(id(&session), "4000002760003184").await;
    let path = format!("/_sandbox/checkout/{}/authenticate", id(&session));
    let begun = stand.shopper(&path, "").await.json();
    let subscription = begun["subscription"].as_str().unwrap();
    stand.live(7 * DAY_MS).await;
    let seen = stand.event_types().await.len();
    stand.live(HOUR_MS).await;
    assert_eq!(
        types(&stand.events_after(seen).await),
        [
            "invoice.finalized",
            "payment_intent.created",
            "payment_intent.requires_action",
            "invoice.payment_action_required",
            "invoice.payment_failed",
            "customer.subscription.updated",
        ]
    );
    assert_eq!(stand.subscription(subscription).await["status"], "past_due");
    let invoice = stand.invoices(subscription).await.remove(0);
    let refused = stand.try_post(&format!("/v1/invoices/{}/pay", id(&invoice)), "", &[]).await;
    assert_eq!(
        (refused.status, &refused.error()["code"]),
        (402, &json!("invoice_payment_intent_requires_action"))
    );
    let asking = stand.get("/v1/payment_intents").await["data"][0].clone();
    assert_eq!(asking["status"], "requires_action");
    assert_eq!(authenticate(&stand, &asking, "success").await.json()["status"], "succeeded");
    assert_eq!(stand.subscription(subscription).await["status"], "active");
}

#[tokio::test]
async fn what_checkout_made_only_checkout_confirms() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    stand.pay(id(&session), "4000000000000002").await;
    let intent = stand.get("/v1/payment_intents").await["data"][0].clone();
    for refused in [
        confirm(&stand, &intent, "payment_method=pm_card_visa").await,
        stand.try_post(&format!("/v1/payment_intents/{}", id(&intent)), "amount=1", &[]).await,
        stand.try_post(&format!("/v1/payment_intents/{}/cancel", id(&intent)), "", &[]).await,
    ] {
        assert_eq!(refused.status, 400, "{}", refused.text);
    }
    stand.pay(id(&session), "4000002500003155").await;
    let done = authenticate(&stand, &intent, "success").await.json();
    assert_eq!(done["status"], "complete", "who answers the bank completes the session");
}
