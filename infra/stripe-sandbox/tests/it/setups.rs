//! Saving a way to pay, to be charged later.

use serde_json::{Value, json};

use crate::stand::{Answer, PAYS, Stand, id, types};

const CARD: &str = "payment_method_types[]=card";
const IBAN: &str = "type=sepa_debit&sepa_debit[iban]=DE89370400440532013000&billing_details[name]=Ada\
                    &billing_details[email]=ada@example.com";

async fn confirm(stand: &Stand, intent: &Value, form: &str) -> Answer {
    stand.try_post(&format!("/v1/setup_intents/{}/confirm", id(intent)), form, &[]).await
}

async fn authenticate(stand: &Stand, intent: &Value, outcome: &str) -> Answer {
    let path = format!("/_sandbox/setup_intents/{}/authenticate", id(intent));
    stand.shopper(&path, &format!(r#"{{"outcome":"{outcome}"}}"#)).await
}

async fn customer(stand: &Stand) -> String {
    id(&stand.post("/v1/customers", "").await).to_owned()
}

#[tokio::test]
async fn a_page_saves_a_card_for_a_customer() {
    let stand = Stand::start().await;
    let customer = customer(&stand).await;
    let form = format!("customer={customer}&metadata[user]=u-1&automatic_payment_methods[enabled]=true");
    let made = stand.post("/v1/setup_intents", &form).await;
    assert_eq!((&made["status"], &made["usage"]), (&json!("requires_payment_method"), &json!("off_session")));
    let secret = made["client_secret"].as_str().unwrap();
    let path = format!("/v1/setup_intents/{}/confirm", id(&made));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let form = format!("key=pk_test_shop&client_secret={secret}&payment_method=pm_card_visa");
    let page = stand.send("POST", &path, &headers, &form).await.json();
    assert_eq!(page["status"], "succeeded");
    assert!(page.get("customer").is_none(), "nothing for a page");
    let method =
        stand.get(&format!("/v1/payment_methods/{}", page["payment_method"].as_str().unwrap())).await;
    assert_eq!(method["customer"], json!(customer));
    assert_eq!(
        stand.event_types().await[1..],
        ["setup_intent.created", "payment_method.attached", "setup_intent.succeeded"]
    );
    let saved = stand.get(&format!("/v1/setup_intents?customer={customer}")).await;
    assert_eq!(saved["data"][0]["metadata"], json!({"user": "u-1"}));
    assert_eq!(confirm(&stand, &made, "").await.error()["code"], "setup_intent_unexpected_state");
}

#[tokio::test]
async fn a_card_that_asks_is_set_up_once_its_holder_has_answered() {
    let stand = Stand::start().await;
    let customer = customer(&stand).await;
    let form = format!(
        "customer={customer}&{CARD}&payment_method=pm_card_authenticationRequiredOnSetup&confirm=true\
         &return_url=https://shop.test/back"
    );
    let made = stand.post("/v1/setup_intents", &form).await;
    assert_eq!(made["status"], "requires_action");
    let url = made["next_action"]["redirect_to_url"]["url"].as_str().unwrap();
    assert!(stand.send("GET", url, &[], "").await.text.contains("that your card is saved"));
    let failed = authenticate(&stand, &made, "fail").await;
    assert_eq!(
        (failed.status, &failed.error()["code"]),
        (402, &json!("setup_intent_authentication_failure"))
    );
    let failed = &failed.error()["setup_intent"];
    assert_eq!(failed["last_setup_error"]["code"], "setup_intent_authentication_failure");

    let asking = confirm(&stand, &made, "payment_method=pm_card_authenticationRequiredOnSetup").await.json();
    assert_eq!(asking["next_action"]["type"], "use_stripe_sdk");
    let done = authenticate(&stand, &made, "success").await.json();
    let method = done["payment_method"].as_str().unwrap();
    let form = format!(
        "amount=999&currency=eur&customer={customer}&payment_method={method}&off_session=true&confirm=true&{CARD}"
    );
    assert_eq!(stand.post("/v1/payment_intents", &form).await["status"], "succeeded");
    let events = stand.event_types().await;
    for told in ["setup_intent.requires_action", "setup_intent.setup_failed", "setup_intent.succeeded"] {
        assert!(events.contains(&told.to_owned()), "{told} is missing from {events:?}");
    }
}

#[tokio::test]
async fn a_card_that_is_declined_is_not_saved() {
    let stand = Stand::start().await;
    let customer = customer(&stand).await;
    let form = format!("customer={customer}&{CARD}&payment_method=pm_card_visa_chargeDeclined&confirm=true");
    let declined = stand.try_post("/v1/setup_intents", &form, &[]).await;
    assert_eq!((declined.status, &declined.error()["code"]), (402, &json!("card_declined")));
    let left = &declined.error()["setup_intent"];
    assert_eq!((&left["status"], &left["payment_method"]), (&json!("requires_payment_method"), &json!(null)));
    let methods = stand.get(&format!("/v1/customers/{customer}/payment_methods")).await;
    assert_eq!(methods["data"], json!([]));
}

#[tokio::test]
async fn a_bank_account_is_saved_with_its_mandate() {
    let stand = Stand::start().await;
    let customer = customer(&stand).await;
    let method = stand.post("/v1/payment_methods", IBAN).await;
    let form =
        format!("customer={customer}&payment_method_types[]=sepa_debit&payment_method={}", id(&method));
    let made = stand.post("/v1/setup_intents", &form).await;
    assert_eq!(made["status"], "requires_confirmation");
    assert_eq!(confirm(&stand, &made, "").await.error()["param"], "mandate_data");
    let agreed = "mandate_data[customer_acceptance][type]=online\
                  &mandate_data[customer_acceptance][online][ip_address]=127.0.0.1\
                  &mandate_data[customer_acceptance][online][user_agent]=test";
    let done = confirm(&stand, &made, agreed).await.json();
    let mandate = stand.get(&format!("/v1/mandates/{}", done["mandate"].as_str().unwrap())).await;
    assert_eq!(mandate["customer_acceptance"]["online"]["user_agent"], "test");
    let form = format!(
        "amount=999&currency=eur&customer={customer}&payment_method={}&off_session=true&confirm=true\
         &payment_method_types[]=sepa_debit",
        id(&method)
    );
    assert_eq!(stand.post("/v1/payment_intents", &form).await["status"], "processing");
}

#[tokio::test]
async fn what_nobody_needs_any_more_is_canceled() {
    let stand = Stand::start().await;
    let made = stand.post("/v1/setup_intents", CARD).await;
    let path = format!("/v1/setup_intents/{}", id(&made));
    assert_eq!(stand.post(&path, "description=x").await["description"], "x");
    let canceled = stand.post(&format!("{path}/cancel"), "cancellation_reason=abandoned").await;
    assert_eq!(
        (&canceled["status"], &canceled["cancellation_reason"]),
        (&json!("canceled"), &json!("abandoned"))
    );
    assert_eq!(stand.event_types().await, ["setup_intent.created", "setup_intent.canceled"]);
    assert_eq!(stand.try_post(&format!("{path}/cancel"), "", &[]).await.status, 400);
    for (form, param) in [
        ("payment_method_types[]=klarna", "payment_method_types"),
        ("flow_directions[]=inbound", "flow_directions"),
        ("return_url=https://a.test", "return_url"),
        ("colour=red", "colour"),
    ] {
        assert_eq!(stand.try_post("/v1/setup_intents", form, &[]).await.error()["param"], param);
    }
}

#[tokio::test]
async fn a_session_of_setup_mode_saves_and_sells_nothing() {
    let stand = Stand::start().await;
    let customer = customer(&stand).await;
    let form = format!(
        "mode=setup&currency=eur&customer={customer}&success_url=https://shop.test/done\
         &setup_intent_data[metadata][user]=u-1"
    );
    let session = stand.post("/v1/checkout/sessions", &form).await;
    assert_eq!(
        (&session["amount_total"], &session["payment_status"]),
        (&json!(null), &json!("no_payment_required"))
    );
    let intent = stand.get(&format!("/v1/setup_intents/{}", session["setup_intent"].as_str().unwrap())).await;
    assert_eq!(intent["metadata"], json!({"user": "u-1"}));
    let page = stand.send("GET", session["url"].as_str().unwrap(), &[], "").await.text;
    assert!(page.contains("Save a way to pay"), "{page}");
    assert_eq!(stand.pay(id(&session), "4000000000000002").await.status, 402);
    assert_eq!(
        confirm(&stand, &intent, "payment_method=pm_card_visa").await.status,
        400,
        "Checkout does that"
    );

    let asked = stand.pay(id(&session), "4000002500003155").await.json();
    assert_eq!(asked["status"], "requires_action");
    let page = stand.send("GET", session["url"].as_str().unwrap(), &[], "").await.text;
    assert!(page.contains("that your card is saved"), "{page}");
    let seen = stand.event_types().await.len();
    let done = authenticate(&stand, &intent, "success").await.json();
    assert_eq!((&done["status"], &done["redirect"]), (&json!("complete"), &json!("https://shop.test/done")));
    assert_eq!(
        types(&stand.events_after(seen).await),
        ["payment_method.attached", "setup_intent.succeeded", "checkout.session.completed"]
    );
    let saved = stand.get(&format!("/v1/customers/{customer}/payment_methods")).await;
    assert_eq!(saved["data"][0]["card"]["last4"], "3155");
    assert_eq!(stand.get("/v1/payment_intents").await["data"], json!([]));
    assert_eq!(stand.pay(id(&session), PAYS).await.status, 400, "once");
}

#[tokio::test]
async fn a_session_of_setup_mode_that_ends_gives_its_intent_up() {
    let stand = Stand::start().await;
    let form = "mode=setup&payment_method_types[]=card&success_url=https://shop.test/done";
    let session = stand.post("/v1/checkout/sessions", form).await;
    assert_eq!(session["currency"], json!(null));
    stand.post(&format!("/v1/checkout/sessions/{}/expire", id(&session)), "").await;
    let intent = stand.get(&format!("/v1/setup_intents/{}", session["setup_intent"].as_str().unwrap())).await;
    assert_eq!(intent["status"], "canceled");
    for (more, param) in [
        ("&line_items[0][quantity]=1", "line_items"),
        ("&payment_intent_data[description]=x", "payment_intent_data"),
        ("&subscription_data[description]=x", "subscription_data"),
    ] {
        let refused = stand.try_post("/v1/checkout/sessions", &format!("{form}{more}"), &[]).await;
        assert_eq!((refused.status, &refused.error()["param"]), (400, &json!(param)));
    }
}
