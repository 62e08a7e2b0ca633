//! What a subscription is charged to later, where nothing is due when it begins.

use serde_json::{Value, json};

use crate::stand::{Answer, DAY_MS, HOUR_MS, PAYS, Stand, id, types};

const KEPT: &str = "&payment_settings[save_default_payment_method]=on_subscription";
const TRIED: &str = "&trial_period_days=7&trial_settings[end_behavior][missing_payment_method]=pause";

async fn customer(stand: &Stand) -> String {
    id(&stand.post("/v1/customers", "email=a@b.test&name=Ada").await).to_owned()
}

/// A subscription of a customer without a card.
async fn begun(stand: &Stand, more: &str) -> Value {
    let (price, customer) = (stand.plan("Premium", 999, "month").await, customer(stand).await);
    stand.post("/v1/subscriptions", &format!("customer={customer}&items[0][price]={price}{more}")).await
}

async fn pending(stand: &Stand, subscription: &Value) -> Value {
    let path = format!("/v1/subscriptions/{}?expand[]=pending_setup_intent", id(subscription));
    stand.get(&path).await["pending_setup_intent"].take()
}

/// What a page does, which has no more than the secret.
async fn confirm(stand: &Stand, intent: &Value, method: &str) -> Answer {
    let secret = intent["client_secret"].as_str().unwrap();
    let form = format!("key=pk_test_shop&client_secret={secret}&payment_method={method}&use_stripe_sdk=true");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    stand.send("POST", &format!("/v1/setup_intents/{}/confirm", id(intent)), &headers, &form).await
}

async fn attached(stand: &Stand, customer: &str, name: &str) -> String {
    let path = format!("/v1/payment_methods/{name}/attach");
    id(&stand.post(&path, &format!("customer={customer}")).await).to_owned()
}

#[tokio::test]
async fn a_trial_without_a_card_asks_for_one_and_keeps_it() {
    let stand = Stand::start().await;
    let trial = begun(&stand, &format!("{TRIED}{KEPT}&payment_behavior=default_incomplete")).await;
    assert_eq!(trial["status"], "trialing");
    let intent = pending(&stand, &trial).await;
    assert_eq!((&intent["id"], &intent["customer"]), (&trial["pending_setup_intent"], &trial["customer"]));
    assert_eq!(
        (&intent["status"], &intent["usage"]),
        (&json!("requires_payment_method"), &json!("off_session"))
    );
    assert_eq!(intent["payment_method_types"], json!(["card", "link", "sepa_debit"]));
    let told = stand.events_after(0).await;
    let created = told.iter().position(|event| event["type"] == "customer.subscription.created").unwrap();
    assert_eq!(types(&told)[created - 1], "setup_intent.created");
    assert_eq!(told[created]["data"]["object"]["pending_setup_intent"], intent["id"]);

    let seen = told.len();
    assert_eq!(confirm(&stand, &intent, "pm_card_visa").await.json()["status"], "succeeded");
    let told = stand.events_after(seen).await;
    assert_eq!(
        types(&told),
        ["payment_method.attached", "setup_intent.succeeded", "customer.subscription.updated"]
    );
    let method = &told[0]["data"]["object"]["id"];
    let before = json!({"default_payment_method": null, "pending_setup_intent": intent["id"]});
    assert_eq!(told[2]["data"]["previous_attributes"], before);
    let ready = stand.subscription(id(&trial)).await;
    assert_eq!((&ready["pending_setup_intent"], &ready["default_payment_method"]), (&json!(null), method));
    stand.live(7 * DAY_MS + HOUR_MS).await;
    assert_eq!(stand.subscription(id(&trial)).await["status"], "active");
    assert_eq!(stand.invoices(id(&trial)).await[0]["amount_paid"], 999);
}

#[tokio::test]
async fn what_is_not_to_be_kept_is_the_customers_and_no_default() {
    let stand = Stand::start().await;
    let trial = begun(&stand, TRIED).await;
    let intent = pending(&stand, &trial).await;
    let saved = confirm(&stand, &intent, "pm_card_visa").await.json();
    let ready = stand.subscription(id(&trial)).await;
    assert_eq!(
        (&ready["pending_setup_intent"], &ready["default_payment_method"]),
        (&json!(null), &json!(null))
    );
    let method = saved["payment_method"].as_str().unwrap();
    let method = stand.get(&format!("/v1/payment_methods/{method}")).await;
    assert_eq!(method["customer"], trial["customer"]);
}

#[tokio::test]
async fn a_card_that_is_refused_leaves_it_waiting_for_another() {
    let stand = Stand::start().await;
    let trial = begun(&stand, &format!("{TRIED}{KEPT}")).await;
    let intent = pending(&stand, &trial).await;
    let declined = confirm(&stand, &intent, "pm_card_visa_chargeDeclined").await;
    assert_eq!((declined.status, &declined.error()["code"]), (402, &json!("card_declined")));
    assert_eq!(pending(&stand, &trial).await["status"], "requires_payment_method");
    assert_eq!(
        confirm(&stand, &intent, "pm_card_authenticationRequiredOnSetup").await.json()["status"],
        "requires_action"
    );
    assert_eq!(pending(&stand, &trial).await["status"], "requires_action");
    let path = format!("/_sandbox/setup_intents/{}/authenticate", id(&intent));
    stand.shopper(&path, r#"{"outcome":"success"}"#).await;
    assert_eq!(pending(&stand, &trial).await, json!(null));
    stand.live(7 * DAY_MS + HOUR_MS).await;
    assert_eq!(stand.subscription(id(&trial)).await["status"], "active", "it was set up to be charged");
}

#[tokio::test]
async fn a_first_invoice_of_nothing_asks_for_a_card_and_one_of_something_for_a_payment() {
    let stand = Stand::start().await;
    let coupon = stand.post("/v1/coupons", "percent_off=100&duration=once").await;
    let free = begun(&stand, &format!("&discounts[0][coupon]={}{KEPT}", id(&coupon))).await;
    assert_eq!(free["status"], "active");
    confirm(&stand, &pending(&stand, &free).await, "pm_card_visa").await;
    stand.live(32 * DAY_MS).await;
    assert_eq!(stand.invoices(id(&free)).await[0]["amount_paid"], 999);

    let due = begun(&stand, "&payment_behavior=default_incomplete").await;
    assert_eq!((&due["status"], &due["pending_setup_intent"]), (&json!("incomplete"), &json!(null)));
}

#[tokio::test]
async fn a_card_that_is_there_is_tried_out_at_once() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    for (name, status) in
        [("pm_card_visa", None), ("pm_card_authenticationRequiredOnSetup", Some("requires_action"))]
    {
        let customer = customer(&stand).await;
        let method = attached(&stand, &customer, name).await;
        let seen = stand.event_types().await.len();
        let form =
            format!("customer={customer}&items[0][price]={price}&default_payment_method={method}{TRIED}");
        let trial = stand.post("/v1/subscriptions", &form).await;
        let told = stand.events_after(seen).await;
        let after = if status.is_some() { "setup_intent.requires_action" } else { "setup_intent.succeeded" };
        assert_eq!(types(&told)[..2], ["setup_intent.created", after]);
        assert_eq!(trial["default_payment_method"], json!(method));
        assert_eq!(pending(&stand, &trial).await["status"].as_str(), status);
    }
}

#[tokio::test]
async fn a_card_that_comes_another_way_is_tried_out_instead() {
    let stand = Stand::start().await;
    let trial = begun(&stand, TRIED).await;
    let intent = pending(&stand, &trial).await;
    let path = format!("/v1/subscriptions/{}", id(&trial));
    let customer = trial["customer"].as_str().unwrap();
    let asking = attached(&stand, customer, "pm_card_authenticationRequiredOnSetup").await;
    let given = stand.post(&path, &format!("default_payment_method={asking}")).await;
    assert_eq!(given["pending_setup_intent"], intent["id"]);
    assert_eq!(pending(&stand, &trial).await["status"], "requires_action");
    let method = attached(&stand, customer, "pm_card_visa").await;
    let given = stand.post(&path, &format!("default_payment_method={method}")).await;
    assert_eq!(given["default_payment_method"], json!(method));
    assert_eq!(given["pending_setup_intent"], json!(null));

    let by_hand = begun(&stand, TRIED).await;
    assert_eq!(stand.swap_card(id(&by_hand), PAYS).await["pending_setup_intent"], json!(null));
}

#[tokio::test]
async fn the_end_of_a_subscription_leaves_its_intent_to_be_canceled() {
    let stand = Stand::start().await;
    let trial = begun(&stand, &format!("{TRIED}{KEPT}")).await;
    let intent = pending(&stand, &trial).await;
    let ended = stand.delete(&format!("/v1/subscriptions/{}", id(&trial))).await.json();
    assert_eq!(ended["pending_setup_intent"], intent["id"]);
    assert_eq!(pending(&stand, &trial).await["status"], "requires_payment_method");
    stand.post(&format!("/v1/setup_intents/{}/cancel", id(&intent)), "").await;
    assert_eq!(pending(&stand, &trial).await["status"], "canceled");
}

#[tokio::test]
async fn a_preview_leaves_no_intent_behind() {
    let stand = Stand::start().await;
    let (price, customer) = (stand.plan("Premium", 999, "month").await, customer(&stand).await);
    let form = format!(
        "customer={customer}&subscription_details[items][0][price]={price}&subscription_details[trial_end]={}",
        stand.now() + 86_400
    );
    assert_eq!(stand.post("/v1/invoices/create_preview", &form).await["amount_due"], 0);
    assert_eq!(stand.get("/v1/setup_intents").await["data"], json!([]));
}
