//! Automatic tax, at the sandbox's made-up rates.

use serde_json::json;

use crate::stand::{DAY_MS, HOUR_MS, PAYS, Stand, id};

async fn customer_in(stand: &Stand, country: &str) -> String {
    let customer = stand.post("/v1/customers", &format!("address[country]={country}")).await;
    let attach = format!("customer={}", id(&customer));
    let method = stand.post("/v1/payment_methods/pm_card_visa/attach", &attach).await;
    let default = format!("invoice_settings[default_payment_method]={}", id(&method));
    stand.post(&format!("/v1/customers/{}", id(&customer)), &default).await;
    id(&customer).to_owned()
}

#[tokio::test]
async fn a_subscription_is_taxed_where_its_customer_lives() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 1000, "week").await;
    for (country, tax) in [("FR", 200), ("DE", 190), ("US", 0)] {
        let customer = customer_in(&stand, country).await;
        let form = format!("customer={customer}&items[0][price]={price}&automatic_tax[enabled]=true");
        let bought = stand.post("/v1/subscriptions", &form).await;
        assert_eq!(bought["automatic_tax"]["enabled"], true);
        stand.live(7 * DAY_MS + HOUR_MS).await;
        for invoice in stand.invoices(id(&bought)).await {
            assert_eq!(invoice["amount_paid"], 1000 + tax, "{country}");
            assert_eq!((&invoice["total_excluding_tax"], &invoice["subtotal"]), (&json!(1000), &json!(1000)));
            assert_eq!(invoice["automatic_tax"]["status"], "complete");
            let taxed = invoice["total_taxes"][0]["amount"].as_i64().unwrap_or(0);
            assert_eq!(taxed, tax);
            if tax > 0 {
                assert_eq!(invoice["total_taxes"][0]["taxable_amount"], 1000);
                assert_eq!(invoice["lines"]["data"][0]["taxes"][0]["amount"], tax);
            }
        }
    }
}

#[tokio::test]
async fn tax_needs_to_know_where_the_customer_is() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 1000, "week").await;
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let form = format!("customer={customer}&items[0][price]={price}&automatic_tax[enabled]=true");
    let refused = stand.try_post("/v1/subscriptions", &form, &[]).await;
    assert_eq!((refused.status, &refused.error()["code"]), (400, &json!("customer_tax_location_invalid")));
    let bought = stand.subscribe(&price, "").await;
    let path = format!("/v1/subscriptions/{}", id(&bought));
    let refused = stand.try_post(&path, "automatic_tax[enabled]=true", &[]).await;
    assert_eq!(refused.error()["code"], "customer_tax_location_invalid");
    let home = format!("/v1/customers/{}", bought["customer"].as_str().unwrap());
    stand.post(&home, "address[country]=DE").await;
    stand.post(&path, "automatic_tax[enabled]=true").await;
    stand.live(7 * DAY_MS + HOUR_MS).await;
    assert_eq!(stand.invoices(id(&bought)).await[0]["amount_paid"], 1190);

    let inclusive =
        "currency=eur&unit_amount=500&product_data[name]=I&recurring[interval]=week&tax_behavior=inclusive";
    let inclusive = id(&stand.post("/v1/prices", inclusive).await).to_owned();
    let customer = customer_in(&stand, "FR").await;
    let form = format!("customer={customer}&items[0][price]={inclusive}&automatic_tax[enabled]=true");
    assert_eq!(stand.try_post("/v1/subscriptions", &form, &[]).await.error()["param"], "items");
}

#[tokio::test]
async fn a_checkout_adds_the_tax_after_the_discount() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 1000, "week").await;
    let coupon = stand.post("/v1/coupons", "percent_off=50").await;
    let customer = customer_in(&stand, "FR").await;
    let more =
        format!("&customer={customer}&automatic_tax[enabled]=true&discounts[0][coupon]={}", id(&coupon));
    let session = stand.subscription_session(&price, &more).await;
    assert_eq!((&session["amount_subtotal"], &session["amount_total"]), (&json!(1000), &json!(600)));
    assert_eq!(session["total_details"]["amount_tax"], 100);
    assert_eq!(session["automatic_tax"]["status"], "complete");
    let done = stand.pay(id(&session), PAYS).await.json();
    let invoice = stand.get(&format!("/v1/invoices/{}", done["invoice"].as_str().unwrap())).await;
    assert_eq!((&invoice["total"], &invoice["total_excluding_tax"]), (&json!(600), &json!(500)));
    stand.live(7 * DAY_MS + HOUR_MS).await;
    let bought = done["subscription"].as_str().unwrap();
    assert_eq!(stand.invoices(bought).await[0]["amount_paid"], 1200, "the coupon was for once");

    let unknown = stand.subscription_session(&price, "&automatic_tax[enabled]=true").await;
    assert_eq!(unknown["automatic_tax"]["status"], "requires_location_inputs");
    assert_eq!(unknown["amount_total"], 1000);
}

#[tokio::test]
async fn tax_is_given_back_with_what_it_was_on() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 700, "week").await;
    let customer = customer_in(&stand, "FR").await;
    let form = format!("customer={customer}&items[0][price]={price}&automatic_tax[enabled]=true");
    let bought = stand.post("/v1/subscriptions", &form).await;
    stand.live(2 * DAY_MS).await;
    stand.delete(&format!("/v1/subscriptions/{}?prorate=true&invoice_now=true", id(&bought))).await;
    let last = &stand.invoices(id(&bought)).await[0];
    assert_eq!((&last["subtotal"], &last["total"]), (&json!(-500), &json!(-600)));
}
