//! Payments that a shop asks for without Checkout.

use serde_json::{Value, json};

use crate::stand::{Answer, Stand, id};

const CARD: &str = "&payment_method_types[]=card";

async fn intent(stand: &Stand, more: &str) -> Value {
    stand.post("/v1/payment_intents", &format!("amount=999&currency=eur{more}")).await
}

pub async fn confirm(stand: &Stand, intent: &Value, form: &str) -> Answer {
    stand.try_post(&format!("/v1/payment_intents/{}/confirm", id(intent)), form, &[]).await
}

pub async fn authenticate(stand: &Stand, intent: &Value, outcome: &str) -> Answer {
    let path = format!("/_sandbox/payment_intents/{}/authenticate", id(intent));
    stand.shopper(&path, &format!(r#"{{"outcome":"{outcome}"}}"#)).await
}

async fn customer_with(stand: &Stand, card: &str) -> (String, String) {
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let path = format!("/v1/payment_methods/{card}/attach");
    let method = stand.post(&path, &format!("customer={customer}")).await;
    (customer, id(&method).to_owned())
}

/// A page with a publishable key and the client secret of an intent.
pub async fn by_page(stand: &Stand, intent: &Value, form: &str) -> Answer {
    let path = format!("/v1/payment_intents/{}/confirm", id(intent));
    let secret = intent["client_secret"].as_str().unwrap();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    stand.send("POST", &path, &headers, &format!("key=pk_test_shop&client_secret={secret}{form}")).await
}

#[tokio::test]
async fn an_intent_goes_from_no_method_to_paid() {
    let stand = Stand::start().await;
    let made = intent(
        &stand,
        "&metadata[user]=u-1&description=Tokens&receipt_email=a@b.test&automatic_payment_methods[enabled]=true",
    )
    .await;
    assert_eq!((&made["status"], &made["payment_method"]), (&json!("requires_payment_method"), &json!(null)));
    assert_eq!(made["payment_method_types"], json!(["card", "link"]));
    assert_eq!(made["automatic_payment_methods"], json!({"allow_redirects": "always", "enabled": true}));

    let missing = confirm(&stand, &made, "return_url=https://shop.test/back").await;
    assert_eq!((missing.status, &missing.error()["code"]), (400, &json!("payment_intent_unexpected_state")));
    assert_eq!(missing.error()["payment_intent"]["id"], made["id"]);
    let path = format!("/v1/payment_intents/{}", id(&made));
    let ready = stand.post(&path, "payment_method=pm_card_visa").await;
    assert_eq!(ready["status"], "requires_confirmation");

    let paid = confirm(&stand, &made, "return_url=https://shop.test/back").await.json();
    assert_eq!((&paid["status"], &paid["amount_received"]), (&json!("succeeded"), &json!(999)));
    let charge = stand.get(&format!("/v1/charges/{}", paid["latest_charge"].as_str().unwrap())).await;
    assert_eq!(
        (&charge["metadata"], &charge["receipt_email"]),
        (&json!({"user": "u-1"}), &json!("a@b.test"))
    );
    assert_eq!(
        stand.event_types().await,
        ["payment_intent.created", "payment_intent.succeeded", "charge.succeeded"]
    );
    let again = confirm(&stand, &made, "").await;
    assert!(again.error()["message"].as_str().unwrap().contains("already succeeded"));
}

#[tokio::test]
async fn a_shop_that_leaves_the_choice_to_stripe_has_to_say_where_customers_come_back_to() {
    let stand = Stand::start().await;
    let form = "amount=999&currency=eur&payment_method=pm_card_visa&confirm=true";
    let refused = stand.try_post("/v1/payment_intents", form, &[]).await;
    assert_eq!(refused.status, 400);
    assert!(refused.error()["message"].as_str().unwrap().contains("you must provide a `return_url`"));
    assert_eq!(stand.get("/v1/payment_intents").await["data"], json!([]), "nothing was made");
    for more in [
        "&return_url=https://shop.test/back",
        "&automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never",
        CARD,
    ] {
        let paid = stand.post("/v1/payment_intents", &format!("{form}{more}")).await;
        assert_eq!(paid["status"], "succeeded", "{more}");
    }
}

#[tokio::test]
async fn a_decline_answers_402_with_the_intent_and_lets_another_card_try() {
    let stand = Stand::start().await;
    let form =
        format!("amount=999&currency=eur&payment_method=pm_card_visa_chargeDeclined&confirm=true{CARD}");
    let declined = stand.try_post("/v1/payment_intents", &form, &[]).await;
    assert_eq!(declined.status, 402);
    let error = declined.error();
    assert_eq!((&error["type"], &error["code"]), (&json!("card_error"), &json!("card_declined")));
    let intent = error["payment_intent"].clone();
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["last_payment_error"]["decline_code"], "generic_decline");
    let paid = confirm(&stand, &intent, "payment_method=pm_card_mastercard").await.json();
    assert_eq!((&paid["status"], &paid["last_payment_error"]), (&json!("succeeded"), &json!(null)));
}

#[tokio::test]
async fn every_declining_card_has_its_own_code() {
    let stand = Stand::start().await;
    for (card, code, decline_code) in [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ] {
        let form = format!("amount=999&currency=eur&payment_method={card}&confirm=true{CARD}");
        let declined = stand.try_post("/v1/payment_intents", &form, &[]).await;
        assert_eq!(declined.status, 402, "{card}");
        let error = declined.error();
        assert_eq!((&error["code"], &error["decline_code"]), (&json!(code), &json!(decline_code)));
        let charge = error["charge"].as_str().unwrap();
        assert_eq!(stand.get(&format!("/v1/charges/{charge}")).await["failure_code"], code);
    }
}

#[tokio::test]
async fn a_page_with_the_client_secret_confirms_and_sees_only_what_it_needs() {
    let stand = Stand::start().await;
    let (customer, method) = customer_with(&stand, "pm_card_visa").await;
    let made = intent(&stand, &format!("&customer={customer}&metadata[user]=u-1")).await;
    let paid = by_page(&stand, &made, &format!("&payment_method={method}")).await;
    assert_eq!(paid.header("access-control-allow-origin"), "*");
    let paid = paid.json();
    assert_eq!(paid["status"], "succeeded");
    for hidden in ["customer", "metadata", "latest_charge"] {
        assert!(paid.get(hidden).is_none(), "{hidden} is nothing for a page");
    }
    let again = by_page(&stand, &made, "").await;
    assert_eq!(again.error()["payment_intent"]["status"], "succeeded");
    assert!(again.error()["payment_intent"].get("customer").is_none(), "not even when refused");
    let asked = stand.send("OPTIONS", "/v1/payment_intents/pi_x/confirm", &[], "").await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (200, "*"));
    let secret = made["client_secret"].as_str().unwrap();
    let path = format!("/v1/payment_intents/{}?client_secret={secret}", id(&made));
    let headers = [("authorization", "Bearer pk_test_shop")];
    assert_eq!(stand.send("GET", &path, &headers, "").await.json()["status"], "succeeded");
}

#[tokio::test]
async fn a_publishable_key_opens_nothing_else() {
    let stand = Stand::start().await;
    let made = intent(&stand, "").await;
    let headers =
        [("authorization", "Bearer pk_test_shop"), ("content-type", "application/x-www-form-urlencoded")];
    for (method, path) in [
        ("GET", "/v1/customers".to_owned()),
        ("POST", "/v1/payment_intents".to_owned()),
        ("POST", format!("/v1/payment_intents/{}", id(&made))),
        ("POST", format!("/v1/payment_intents/{}/cancel", id(&made))),
        ("POST", "/v1/refunds".to_owned()),
    ] {
        let refused = stand.send(method, &path, &headers, "").await;
        assert_eq!(
            (refused.status, &refused.error()["code"]),
            (403, &json!("secret_key_required")),
            "{path}"
        );
    }
    let path = format!("/v1/payment_intents/{}/confirm", id(&made));
    let guessed = "client_secret=pi_x_secret_y&payment_method=pm_card_visa";
    assert_eq!(stand.send("POST", &path, &headers, guessed).await.error()["param"], "client_secret");
    assert_eq!(stand.send("POST", &path, &headers, "").await.error()["param"], "client_secret");
    let live = [("authorization", "Bearer pk_live_shop")];
    assert_eq!(stand.send("GET", &path, &live, "").await.status, 401);
}

#[tokio::test]
async fn a_card_typed_into_a_page_pays() {
    let stand = Stand::start().await;
    let made = intent(&stand, "").await;
    let typed = |number: &str, year: &str| {
        format!(
            "&payment_method_data[type]=card&payment_method_data[card][number]={number}\
             &payment_method_data[card][exp_month]=12&payment_method_data[card][exp_year]={year}\
             &payment_method_data[card][cvc]=123&payment_method_data[billing_details][name]=Ada"
        )
    };
    let past = by_page(&stand, &made, &typed("4242424242424242", "2020")).await;
    assert_eq!((past.status, &past.error()["code"]), (402, &json!("invalid_expiry_year")));
    let wrong = by_page(&stand, &made, &typed("4242424242424241", "2030")).await;
    assert_eq!((wrong.status, &wrong.error()["code"]), (402, &json!("incorrect_number")));
    let declined = by_page(&stand, &made, &typed("4000000000000002", "2030")).await;
    assert_eq!((declined.status, &declined.error()["code"]), (402, &json!("card_declined")));
    assert!(declined.error()["payment_intent"].get("metadata").is_none());
    let paid = by_page(&stand, &made, &typed("4242424242424242", "2030")).await.json();
    let method =
        stand.get(&format!("/v1/payment_methods/{}", paid["payment_method"].as_str().unwrap())).await;
    assert_eq!(
        (&method["card"]["exp_year"], &method["billing_details"]["name"]),
        (&json!(2030), &json!("Ada"))
    );
}

#[tokio::test]
async fn a_card_that_asks_waits_for_its_holder() {
    let stand = Stand::start().await;
    let made = intent(&stand, "&payment_method=pm_card_authenticationRequired").await;
    let asking = by_page(&stand, &made, "&return_url=https://shop.test/back").await.json();
    assert_eq!(asking["status"], "requires_action");
    let action = &asking["next_action"];
    assert_eq!(
        (&action["type"], &action["redirect_to_url"]["return_url"]),
        (&json!("redirect_to_url"), &json!("https://shop.test/back"))
    );
    let page = stand.send("GET", action["redirect_to_url"]["url"].as_str().unwrap(), &[], "").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("9.99 EUR") && page.text.contains("Complete authentication"), "{}", page.text);

    let failed = authenticate(&stand, &made, "fail").await;
    assert_eq!(
        (failed.status, &failed.error()["code"]),
        (402, &json!("payment_intent_authentication_failure"))
    );
    assert_eq!(authenticate(&stand, &made, "success").await.status, 400, "nothing is asked");
    let asking =
        confirm(&stand, &made, "payment_method=pm_card_authenticationRequired&use_stripe_sdk=true").await;
    assert_eq!(asking.json()["next_action"]["type"], "use_stripe_sdk");
    let paid = authenticate(&stand, &made, "success").await.json();
    assert_eq!((&paid["status"], &paid["next_action"]), (&json!("succeeded"), &json!(null)));
    let events = stand.event_types().await;
    assert_eq!(events.iter().filter(|it| *it == "payment_intent.requires_action").count(), 2);
}

#[tokio::test]
async fn the_page_of_a_bank_leads_back_to_the_shop_with_what_came_of_it() {
    let stand = Stand::start().await;
    let made = intent(&stand, "").await;
    let form = "&payment_method=pm_card_authenticationRequired&return_url=https://shop.test/back?cart=7";
    for (outcome, status) in [("fail", "failed"), ("success", "succeeded")] {
        let asking = by_page(&stand, &made, form).await.json();
        let url = asking["next_action"]["redirect_to_url"]["url"].as_str().unwrap().to_owned();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answered = stand.send("POST", &url, &headers, &format!("outcome={outcome}")).await;
        let secret = made["client_secret"].as_str().unwrap();
        let back = format!(
            "https://shop.test/back?cart=7&payment_intent={}&payment_intent_client_secret={secret}\
             &redirect_status={status}",
            id(&made)
        );
        assert_eq!((answered.status, answered.header("location")), (303, back.as_str()));
    }
}

#[tokio::test]
async fn an_absent_cardholder_is_not_asked() {
    let stand = Stand::start().await;
    let (customer, method) = customer_with(&stand, "pm_card_authenticationRequired").await;
    let form = format!(
        "amount=999&currency=eur&customer={customer}&payment_method={method}&confirm=true&off_session=true{CARD}"
    );
    let declined = stand.try_post("/v1/payment_intents", &form, &[]).await;
    assert_eq!(declined.status, 402);
    let error = declined.error();
    assert_eq!(
        (&error["type"], &error["code"], &error["decline_code"]),
        (&json!("card_error"), &json!("authentication_required"), &json!("authentication_required"))
    );
    let left = &error["payment_intent"];
    assert_eq!(left["status"], "requires_payment_method");
    assert_eq!(left["last_payment_error"]["payment_method"]["id"], json!(method), "to ask with, later");
    let events = stand.event_types().await;
    assert!(
        events.ends_with(&["charge.failed".into(), "payment_intent.payment_failed".into()]),
        "{events:?}"
    );

    let asking = by_page(&stand, left, &format!("&payment_method={method}")).await.json();
    assert_eq!(asking["status"], "requires_action");
    assert_eq!(authenticate(&stand, left, "success").await.json()["status"], "succeeded");
}

#[tokio::test]
async fn a_card_that_was_set_up_by_its_first_payment_pays_in_absence() {
    let stand = Stand::start().await;
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let first = intent(&stand, &format!("&customer={customer}&setup_future_usage=off_session{CARD}")).await;
    let asking = confirm(&stand, &first, "payment_method=pm_card_authenticationRequiredOnSetup").await.json();
    let method = asking["payment_method"].as_str().unwrap();
    authenticate(&stand, &first, "success").await;
    let saved = stand.get(&format!("/v1/payment_methods/{method}")).await;
    assert_eq!(saved["customer"], json!(customer));
    assert!(stand.event_types().await.contains(&"payment_method.attached".into()));

    let later = format!("&customer={customer}&payment_method={method}&confirm=true{CARD}");
    assert_eq!(intent(&stand, &format!("{later}&off_session=true")).await["status"], "succeeded");
    assert_eq!(intent(&stand, &later).await["status"], "requires_action", "who is there is asked");

    let (other, never) = customer_with(&stand, "pm_card_authenticationRequiredOnSetup").await;
    let form = format!(
        "amount=999&currency=eur&customer={other}&payment_method={never}&confirm=true&off_session=true{CARD}"
    );
    let declined = stand.try_post("/v1/payment_intents", &form, &[]).await;
    assert_eq!(declined.error()["code"], "authentication_required", "it was only attached");
}

#[tokio::test]
async fn anothers_card_pays_nothing() {
    let stand = Stand::start().await;
    let (_, method) = customer_with(&stand, "pm_card_visa").await;
    let (other, _) = customer_with(&stand, "pm_card_visa").await;
    for (more, words) in [
        (format!("&customer={other}"), "does not have a payment method with the ID"),
        (String::new(), "you must provide the customer in the request"),
    ] {
        let form = format!("amount=999&currency=eur&payment_method={method}{more}");
        let refused = stand.try_post("/v1/payment_intents", &form, &[]).await;
        assert_eq!((refused.status, &refused.error()["param"]), (400, &json!("payment_method")));
        assert!(refused.error()["message"].as_str().unwrap().contains(words), "{}", refused.text);
    }
}

#[tokio::test]
async fn an_intent_can_be_changed_until_it_is_paid_and_annotated_after() {
    let stand = Stand::start().await;
    let made = intent(&stand, CARD).await;
    let path = format!("/v1/payment_intents/{}", id(&made));
    let changed = stand.post(&path, "amount=1200&metadata[a]=1&description=More").await;
    assert_eq!((&changed["amount"], &changed["description"]), (&json!(1200), &json!("More")));
    confirm(&stand, &made, "payment_method=pm_card_visa").await;
    let late = stand.try_post(&path, "amount=1", &[]).await;
    assert_eq!((late.status, &late.error()["code"]), (400, &json!("payment_intent_unexpected_state")));
    assert!(late.error()["message"].as_str().unwrap().contains("amount could not be updated"));
    assert_eq!(stand.post(&path, "metadata[b]=2").await["metadata"], json!({"a": "1", "b": "2"}));
}

#[tokio::test]
async fn an_intent_that_is_given_up_is_canceled_once() {
    let stand = Stand::start().await;
    let made = intent(&stand, CARD).await;
    let path = format!("/v1/payment_intents/{}/cancel", id(&made));
    let canceled = stand.post(&path, "cancellation_reason=abandoned").await;
    assert_eq!(
        (&canceled["status"], &canceled["cancellation_reason"]),
        (&json!("canceled"), &json!("abandoned"))
    );
    assert_eq!(stand.event_types().await, ["payment_intent.created", "payment_intent.canceled"]);
    assert_eq!(stand.try_post(&path, "", &[]).await.error()["code"], "payment_intent_unexpected_state");
    let dead = confirm(&stand, &made, "payment_method=pm_card_visa").await;
    assert!(dead.error()["message"].as_str().unwrap().contains("has a status of canceled"));
}

#[tokio::test]
async fn what_cannot_be_paid_is_refused_by_name() {
    let stand = Stand::start().await;
    for (form, code, param) in [
        ("currency=eur", "parameter_missing", "amount"),
        ("amount=999", "parameter_missing", "currency"),
        ("amount=10&currency=eur", "amount_too_small", "amount"),
        ("amount=999&currency=eur&customer=cus_none", "resource_missing", "customer"),
        ("amount=999&currency=eur&payment_method=pm_none", "resource_missing", "payment_method"),
        (
            "amount=999&currency=eur&payment_method_types[]=sepa_debit&payment_method=pm_card_visa",
            "",
            "payment_method",
        ),
        ("amount=999&currency=usd&payment_method_types[]=sepa_debit", "", "payment_method_types"),
        ("amount=999&currency=eur&payment_method_types[]=klarna", "", "payment_method_types"),
        ("amount=999&currency=eur&off_session=true", "", "off_session"),
        ("amount=999&currency=eur&capture_method=manual", "", "capture_method"),
        ("amount=999&currency=eur&transfer_group=x", "", "transfer_group"),
        ("amount=999&currency=eur&colour=red", "parameter_unknown", "colour"),
    ] {
        let refused = stand.try_post("/v1/payment_intents", form, &[]).await;
        assert_eq!(refused.status, 400, "{form}: {}", refused.text);
        let error = refused.error();
        assert_eq!(error["code"].as_str().unwrap_or_default(), code, "{form}");
        assert_eq!(error["param"].as_str().unwrap_or_default(), param, "{form}");
    }
}

#[tokio::test]
async fn a_request_that_is_repeated_with_its_key_pays_once() {
    let stand = Stand::start().await;
    let key = [("idempotency-key", "pay-1")];
    let form = format!("amount=999&currency=eur&payment_method=pm_card_visa&confirm=true{CARD}");
    let first = stand.try_post("/v1/payment_intents", &form, &key).await;
    let second = stand.try_post("/v1/payment_intents", &form, &key).await;
    assert_eq!((first.text, second.header("idempotent-replayed")), (second.text.clone(), "true"));
    assert_eq!(stand.get("/v1/charges").await["data"].as_array().unwrap().len(), 1);
}
