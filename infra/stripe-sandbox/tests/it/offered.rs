//! What may be paid with: the list of before 2026-09-30, and the filter since.

use serde_json::{Value, json};

use crate::stand::{Stand, id};

const ALL: &str = "allowed_payment_method_types[]=card&allowed_payment_method_types[]=us_bank_account\
                   &allowed_payment_method_types[]=sepa_debit";
const ENDIVE: [(&str, &str); 1] = [("stripe-version", "2026-09-30.endive")];

async fn session_in(stand: &Stand, currency: &str, more: &str) -> crate::stand::Answer {
    let form = format!("currency={currency}&unit_amount=999&product_data[name]=Medium");
    let price = stand.post("/v1/prices", &form).await;
    let form = format!(
        "mode=payment&line_items[0][price]={}&line_items[0][quantity]=1&success_url=https://a.test{more}",
        id(&price)
    );
    stand.try_post("/v1/checkout/sessions", &form, &ENDIVE).await
}

#[tokio::test]
async fn of_what_is_allowed_only_what_fits_is_offered() {
    let stand = Stand::start().await;
    for (currency, offered) in [
        ("usd", json!(["card", "us_bank_account"])),
        ("eur", json!(["card", "sepa_debit"])),
        ("gbp", json!(["card"])),
    ] {
        let session = session_in(&stand, currency, &format!("&{ALL}")).await.json();
        assert_eq!(session["payment_method_types"], offered, "{session}");
        let form = format!("amount=999&currency={currency}&{ALL}");
        let intent = stand.try_post("/v1/payment_intents", &form, &ENDIVE).await.json();
        assert_eq!(intent["payment_method_types"], offered, "{intent}");
        assert_eq!(intent["automatic_payment_methods"], json!(null));
        let options: Vec<&Value> = intent["payment_method_options"].as_object().unwrap().values().collect();
        assert_eq!(options.len(), offered.as_array().unwrap().len());
    }
    let saved = stand.try_post("/v1/setup_intents", ALL, &ENDIVE).await.json();
    let anything = json!(["card", "us_bank_account", "sepa_debit"]);
    assert_eq!(saved["payment_method_types"], anything, "it is in no currency");
}

#[tokio::test]
async fn what_is_allowed_can_be_said_anew_until_it_is_paid() {
    let stand = Stand::start().await;
    let intent = stand.post("/v1/payment_intents", &format!("amount=999&currency=eur&{ALL}")).await;
    let path = format!("/v1/payment_intents/{}", id(&intent));
    let card = "allowed_payment_method_types[]=card";
    assert_eq!(stand.post(&path, card).await["payment_method_types"], json!(["card"]));
    let sepa = "allowed_payment_method_types[]=sepa_debit&payment_method=pm_card_visa";
    let refused = stand.try_post(&format!("{path}/confirm"), sepa, &[]).await;
    assert_eq!(refused.error()["param"], "payment_method");

    let intent = stand.post("/v1/setup_intents", ALL).await;
    let path = format!("/v1/setup_intents/{}", id(&intent));
    let narrowed = stand.post(&path, card).await;
    assert_eq!(narrowed["payment_method_types"], json!(["card"]));
    assert_eq!(narrowed["payment_method_options"].as_object().unwrap().len(), 1);
    let confirmed =
        stand.post(&format!("{path}/confirm"), &format!("{card}&payment_method=pm_card_visa")).await;
    assert_eq!(confirmed["status"], "succeeded");
}

#[tokio::test]
async fn nothing_that_fits_is_refused_and_so_is_what_stripe_has_and_the_sandbox_has_not() {
    let stand = Stand::start().await;
    let param = "allowed_payment_method_types";
    for form in [
        "currency=eur&allowed_payment_method_types[]=us_bank_account",
        "currency=eur&allowed_payment_method_types[]=klarna",
    ] {
        let refused = stand.try_post("/v1/payment_intents", &format!("amount=999&{form}"), &[]).await;
        assert_eq!((refused.status, &refused.error()["param"]), (400, &json!(param)), "{form}");
    }
    let refused = session_in(&stand, "usd", "&allowed_payment_method_types[]=sepa_debit").await;
    assert_eq!((refused.status, &refused.error()["param"]), (400, &json!(param)));
    let excluded = session_in(&stand, "usd", "&excluded_payment_method_types[]=link").await;
    assert_eq!(excluded.error()["param"], "excluded_payment_method_types");
}

#[tokio::test]
async fn a_request_says_it_in_one_way_only() {
    let stand = Stand::start().await;
    for more in ["payment_method_types[]=card", "automatic_payment_methods[enabled]=true"] {
        for (path, form) in [("/v1/payment_intents", "amount=999&currency=eur&"), ("/v1/setup_intents", "")] {
            let both = format!("{form}allowed_payment_method_types[]=card&{more}");
            let refused = stand.try_post(path, &both, &[]).await;
            assert_eq!(refused.status, 400, "{both}");
            let message = refused.error()["message"].as_str().unwrap().to_owned();
            assert!(message.contains("allowed_payment_method_types"), "{message}");
        }
    }
}

#[tokio::test]
async fn the_list_is_for_those_who_ask_for_no_version_that_has_lost_it() {
    let stand = Stand::start().await;
    let listed = "payment_method_types[]=card";
    let intent = format!("amount=999&currency=eur&{listed}");
    let dahlia = [("stripe-version", "2026-08-26.dahlia")];
    for headers in [&[][..], &dahlia] {
        assert_eq!(stand.try_post("/v1/payment_intents", &intent, headers).await.status, 200);
        assert_eq!(stand.try_post("/v1/setup_intents", listed, headers).await.status, 200);
    }
    for (path, form) in [("/v1/payment_intents", intent.as_str()), ("/v1/setup_intents", listed)] {
        let refused = stand.try_post(path, form, &ENDIVE).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.error()["code"], "payment_method_types_no_longer_supported");
        assert_eq!(refused.error()["param"], "payment_method_types");
    }
    let refused = session_in(&stand, "eur", &format!("&{listed}")).await;
    assert_eq!(refused.error()["code"], "parameter_unknown");
    let elsewhere = [("stripe-version", "2027-01-01.next")];
    let customer = stand.post("/v1/customers", "").await;
    let price = stand.plan("Premium", 999, "month").await;
    let form = format!(
        "customer={}&items[0][price]={price}&payment_behavior=default_incomplete\
         &payment_settings[payment_method_types][]=card",
        id(&customer)
    );
    assert_eq!(stand.try_post("/v1/subscriptions", &form, &elsewhere).await.status, 200, "its own it keeps");
}

#[tokio::test]
async fn a_subscription_names_only_what_its_currency_takes() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let customer = stand.post("/v1/customers", "").await;
    let name = "payment_settings[payment_method_types]";
    let form = format!(
        "customer={}&items[0][price]={price}&payment_behavior=default_incomplete&{name}[]",
        id(&customer)
    );
    let refused = stand.try_post("/v1/subscriptions", &format!("{form}=us_bank_account"), &[]).await;
    assert_eq!((refused.status, &refused.error()["param"]), (400, &json!(name)));
    let made = stand.post("/v1/subscriptions", &format!("{form}=sepa_debit&trial_period_days=7")).await;
    let refused = stand
        .try_post(&format!("/v1/subscriptions/{}", id(&made)), &format!("{name}[]=us_bank_account"), &[])
        .await;
    assert_eq!(refused.error()["param"], name);
}

#[tokio::test]
async fn a_subscription_whose_first_invoice_is_not_paid_takes_metadata_alone() {
    let stand = Stand::start().await;
    let (price, other) =
        (stand.plan("Basic", 999, "month").await, stand.plan("Premium", 1999, "month").await);
    let customer = stand.post("/v1/customers", "").await;
    let form =
        format!("customer={}&items[0][price]={price}&payment_behavior=default_incomplete", id(&customer));
    let made = stand.post("/v1/subscriptions", &form).await;
    let path = format!("/v1/subscriptions/{}", id(&made));
    let item = id(&made["items"]["data"][0]);
    for form in
        [format!("items[0][id]={item}&items[0][price]={other}"), "cancel_at_period_end=true".to_owned()]
    {
        let refused = stand.try_post(&path, &form, &[]).await;
        assert_eq!(refused.status, 400, "{form}");
    }
    assert_eq!(stand.post(&path, "metadata[seat]=7").await["metadata"]["seat"], "7");
}
