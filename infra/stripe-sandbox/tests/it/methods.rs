//! The cards and bank accounts that a shop keeps for its customers.

use serde_json::{Value, json};

use crate::stand::{DAY_MS, HOUR_MS, Stand, id, types};

async fn customer(stand: &Stand) -> String {
    id(&stand.post("/v1/customers", "").await).to_owned()
}

async fn attached(stand: &Stand, card: &str, customer: &str) -> Value {
    stand.post(&format!("/v1/payment_methods/{card}/attach"), &format!("customer={customer}")).await
}

#[tokio::test]
async fn a_method_is_made_attached_changed_and_detached() {
    let stand = Stand::start().await;
    let owner = customer(&stand).await;
    let form = "type=card&card[number]=5555555555554444&card[exp_month]=4&card[exp_year]=31&card[cvc]=123\
                &billing_details[email]=a@b.test&billing_details[address][country]=FR&metadata[a]=1";
    let made = stand.post("/v1/payment_methods", form).await;
    let card = &made["card"];
    assert_eq!(
        (&card["brand"], &card["exp_year"], &card["last4"]),
        (&json!("mastercard"), &json!(2031), &json!("4444"))
    );
    assert_eq!(made["billing_details"]["address"]["country"], "FR");
    let path = format!("/v1/payment_methods/{}", id(&made));
    let unsaved = stand.try_post(&path, "metadata[b]=2", &[]).await;
    assert!(unsaved.error()["message"].as_str().unwrap().starts_with("You must save this PaymentMethod"));

    attached(&stand, id(&made), &owner).await;
    let changed = stand.post(&path, "card[exp_month]=5&billing_details[name]=Ada&metadata[b]=2").await;
    assert_eq!(
        (&changed["card"]["exp_month"], &changed["metadata"]),
        (&json!(5), &json!({"a": "1", "b": "2"}))
    );
    assert_eq!(changed["billing_details"]["address"]["country"], "FR", "what is not named stays");
    let seen = stand.event_types().await.len();
    let detached = stand.post(&format!("{path}/detach"), "").await;
    assert_eq!(detached["customer"], json!(null));
    let told = stand.events_after(seen).await;
    assert_eq!(types(&told), ["payment_method.detached"]);
    assert_eq!(told[0]["data"]["previous_attributes"], json!({"customer": owner}));
    assert_eq!(stand.try_post(&format!("{path}/detach"), "", &[]).await.status, 400);
    assert!(stand.event_types().await.contains(&"payment_method.updated".into()));
}

#[tokio::test]
async fn what_was_detached_is_of_no_use_any_more() {
    let stand = Stand::start().await;
    let owner = customer(&stand).await;
    let method = attached(&stand, "pm_card_visa", &owner).await;
    stand.post(&format!("/v1/payment_methods/{}/detach", id(&method)), "").await;
    let price = stand.plan("Weekly", 299, "week").await;
    for (path, form) in [
        (format!("/v1/payment_methods/{}/attach", id(&method)), format!("customer={owner}")),
        (
            "/v1/payment_intents".to_owned(),
            format!("amount=999&currency=eur&customer={owner}&payment_method={}", id(&method)),
        ),
        (
            "/v1/subscriptions".to_owned(),
            format!("customer={owner}&items[0][price]={price}&default_payment_method={}", id(&method)),
        ),
    ] {
        assert_eq!(stand.try_post(&path, &form, &[]).await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn a_default_that_is_detached_is_a_default_no_more() {
    let stand = Stand::start().await;
    let owner = customer(&stand).await;
    let old = attached(&stand, "pm_card_visa", &owner).await;
    let path = format!("/v1/customers/{owner}");
    stand.post(&path, &format!("invoice_settings[default_payment_method]={}", id(&old))).await;
    let price = stand.plan("Weekly", 299, "week").await;
    let form = format!("customer={owner}&items[0][price]={price}&default_payment_method={}", id(&old));
    let subscription = stand.post("/v1/subscriptions", &form).await;
    let seen = stand.event_types().await.len();
    stand.post(&format!("/v1/payment_methods/{}/detach", id(&old)), "").await;
    assert_eq!(
        types(&stand.events_after(seen).await),
        ["payment_method.detached", "customer.updated", "customer.subscription.updated"]
    );
    assert_eq!(stand.get(&path).await["invoice_settings"]["default_payment_method"], json!(null));
    assert_eq!(stand.subscription(id(&subscription)).await["default_payment_method"], json!(null));
    stand.live(7 * DAY_MS + HOUR_MS).await;
    assert_eq!(
        stand.subscription(id(&subscription)).await["status"],
        "past_due",
        "nothing is there to charge"
    );
}

#[tokio::test]
async fn methods_are_listed_by_customer_and_type() {
    let stand = Stand::start().await;
    let (ada, bob) = (customer(&stand).await, customer(&stand).await);
    let visa = attached(&stand, "pm_card_visa", &ada).await;
    let account = attached(&stand, "pm_usBankAccount_success", &ada).await;
    attached(&stand, "pm_card_visa", &bob).await;
    let ids = async |path: String| -> Vec<String> {
        stand.get(&path).await["data"].as_array().unwrap().iter().map(|it| id(it).to_owned()).collect()
    };
    assert_eq!(ids(format!("/v1/payment_methods?customer={ada}")).await, [id(&account), id(&visa)]);
    assert_eq!(ids(format!("/v1/payment_methods?customer={ada}&type=card")).await, [id(&visa)]);
    let path = format!("/v1/customers/{ada}/payment_methods");
    assert_eq!(ids(format!("{path}?type=us_bank_account")).await, [id(&account)]);
    assert_eq!(ids(format!("{path}?limit=1&starting_after={}", id(&account))).await, [id(&visa)]);
    assert_eq!(stand.get(&format!("{path}/{}", id(&visa))).await["id"], visa["id"]);
    let others = format!("/v1/customers/{bob}/payment_methods/{}", id(&visa));
    assert_eq!(stand.try_get(&others).await.status, 404);
    assert_eq!(stand.try_get("/v1/payment_methods").await.error()["param"], "customer");
}

#[tokio::test]
async fn a_fingerprint_tells_a_card_again_whoever_has_it() {
    let stand = Stand::start().await;
    let (ada, bob) = (customer(&stand).await, customer(&stand).await);
    let fingerprint = |method: &Value| method["card"]["fingerprint"].as_str().unwrap().to_owned();
    let hers = fingerprint(&attached(&stand, "pm_card_visa", &ada).await);
    assert_eq!(hers, fingerprint(&attached(&stand, "pm_card_visa", &bob).await));
    let typed = "type=card&card[number]=4242424242424242&card[exp_month]=1&card[exp_year]=2035";
    assert_eq!(hers, fingerprint(&stand.post("/v1/payment_methods", typed).await));
    for other in ["pm_card_mastercard", "pm_card_amex", "pm_card_visa_debit"] {
        assert_ne!(hers, fingerprint(&attached(&stand, other, &ada).await));
    }
}

#[tokio::test]
async fn a_bank_account_names_its_holder() {
    let stand = Stand::start().await;
    let iban = "type=sepa_debit&sepa_debit[iban]=FR1420041010050500013M02606";
    let ach = "type=us_bank_account&us_bank_account[account_number]=000123456789\
               &us_bank_account[routing_number]=110000000";
    for (form, param) in [
        (iban.to_owned(), "billing_details[email]"),
        (format!("{iban}&billing_details[email]=a@b.test"), "billing_details[name]"),
        (ach.to_owned(), "billing_details[name]"),
        (ach.replace("110000000", "110000001"), "us_bank_account[routing_number]"),
        (ach.replace("000123456789", "000123456780"), "us_bank_account[account_number]"),
        (iban.replace("FR14", "FR15"), "sepa_debit[iban]"),
        ("type=klarna".to_owned(), "type"),
        ("type=card".to_owned(), "card"),
        ("type=card&card[token]=tok_none".to_owned(), "card[token]"),
        ("type=card&card[number]=4242424242424242&card[exp_year]=2035".to_owned(), "card[exp_month]"),
    ] {
        let refused = stand.try_post("/v1/payment_methods", &form, &[]).await;
        assert_eq!((refused.status, &refused.error()["param"]), (400, &json!(param)), "{form}");
    }
    let form = format!("{iban}&billing_details[email]=a@b.test&billing_details[name]=Ada");
    let made = stand.post("/v1/payment_methods", &form).await;
    let account = &made["sepa_debit"];
    assert_eq!((&account["country"], &account["last4"]), (&json!("FR"), &json!("2606")));
}

#[tokio::test]
async fn what_nobody_has_saved_pays_once() {
    let stand = Stand::start().await;
    let method = stand.post("/v1/payment_methods", "type=card&card[token]=tok_visa").await;
    let form = format!(
        "amount=999&currency=eur&payment_method={}&confirm=true&payment_method_types[]=card",
        id(&method)
    );
    assert_eq!(stand.post("/v1/payment_intents", &form).await["status"], "succeeded");
    let again = stand.try_post("/v1/payment_intents", &form, &[]).await;
    assert_eq!(again.status, 400);
    assert!(again.error()["message"].as_str().unwrap().contains("It may not be used again"));
}
