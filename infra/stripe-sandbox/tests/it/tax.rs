//! Automatic tax, at the sandbox's made-up rates.

use serde_json::{Value, json};

use crate::stand::{Answer, DAY_MS, HOUR_MS, PAYS, Stand, id};

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

const TAXED: &str = "&automatic_tax[enabled]=true&customer_update[address]=auto";

async fn customer(stand: &Stand) -> String {
    id(&stand.post("/v1/customers", "name=Ada").await).to_owned()
}

async fn says(stand: &Stand, session: &Value, country: &str) -> Answer {
    let path = format!("/_sandbox/checkout/{}/address", id(session));
    stand.shopper(&path, &format!(r#"{{"country":"{country}"}}"#)).await
}

#[tokio::test]
async fn a_shopper_says_where_they_live_and_the_customer_keeps_it() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 1000, "week").await;
    let customer = customer(&stand).await;
    let session = stand.subscription_session(&price, &format!("&customer={customer}{TAXED}")).await;
    assert_eq!(
        (&session["amount_total"], &session["automatic_tax"]["status"]),
        (&json!(1000), &json!("requires_location_inputs"))
    );
    let told = says(&stand, &session, "fr").await.json();
    assert_eq!((&told["amount_total"], &told["total_details"]["amount_tax"]), (&json!(1200), &json!(200)));
    assert_eq!(told["automatic_tax"]["status"], "complete");
    assert_eq!(told["customer_details"]["address"]["country"], "FR");
    let at_home = stand.get(&format!("/v1/customers/{customer}")).await;
    assert_eq!(at_home["address"], json!(null), "not before it is paid");
    assert_eq!(says(&stand, &session, "DE").await.json()["amount_total"], 1190, "another thought");

    let done = stand.pay(id(&session), PAYS).await.json();
    let kept = stand.get(&format!("/v1/customers/{customer}")).await;
    assert_eq!((&kept["address"]["country"], &kept["name"]), (&json!("DE"), &json!("Ada")));
    let subscription = done["subscription"].as_str().unwrap();
    stand.live(7 * DAY_MS + HOUR_MS).await;
    for invoice in stand.invoices(subscription).await {
        assert_eq!(invoice["amount_paid"], 1190);
    }
    assert_eq!(says(&stand, &session, "FR").await.status, 400, "it is paid");
}

#[tokio::test]
async fn who_pays_says_it_with_that_or_lives_where_there_is_no_tax() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 1000).await;
    for (said, country, total) in [(r#","country":"FR""#, "FR", 1200), ("", "US", 1000)] {
        let customer = customer(&stand).await;
        let session = stand.session(&price, &format!("&customer={customer}{TAXED}")).await;
        let path = format!("/_sandbox/checkout/{}/pay", id(&session));
        let paid = stand.shopper(&path, &format!(r#"{{"card":"{PAYS}"{said}}}"#)).await.json();
        let intent =
            stand.get(&format!("/v1/payment_intents/{}", paid["payment_intent"].as_str().unwrap())).await;
        assert_eq!(intent["amount_received"], total);
        let session = stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await;
        assert_eq!(session["automatic_tax"]["status"], "complete");
        let kept = stand.get(&format!("/v1/customers/{customer}")).await;
        assert_eq!(kept["address"]["country"], country);
    }
}

#[tokio::test]
async fn an_address_is_kept_where_the_shop_wants_that_or_the_customer_is_new() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 1000).await;
    let asked = "&billing_address_collection=required";
    for (more, country) in [("", json!(null)), ("&customer_update[address]=auto", json!("FR"))] {
        let customer = customer(&stand).await;
        let session = stand.session(&price, &format!("&customer={customer}{asked}{more}")).await;
        says(&stand, &session, "FR").await;
        stand.pay(id(&session), PAYS).await;
        let kept = stand.get(&format!("/v1/customers/{customer}")).await;
        assert_eq!(kept["address"]["country"], country);
        let session = stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await;
        assert_eq!(session["customer_details"]["address"]["country"], "FR");
    }
    let session = stand.session(&price, &format!("&customer_creation=always{asked}")).await;
    says(&stand, &session, "FR").await;
    stand.shopper(&format!("/_sandbox/checkout/{}/pay", id(&session)), r#"{"email":"a@b.test"}"#).await;
    let made = stand.get("/v1/customers?email=a@b.test").await["data"][0].clone();
    assert_eq!(made["address"]["country"], "FR", "{made}");
}

#[tokio::test]
async fn an_address_that_nobody_asks_for_or_keeps_is_refused() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 1000).await;
    let customer = customer(&stand).await;
    let form = |more: &str| {
        format!(
            "mode=payment&line_items[0][price]={price}&line_items[0][quantity]=1&success_url=https://a.test{more}"
        )
    };
    let taxed = form(&format!("&customer={customer}&automatic_tax[enabled]=true"));
    let refused = stand.try_post("/v1/checkout/sessions", &taxed, &[]).await;
    assert_eq!((refused.status, &refused.error()["code"]), (400, &json!("customer_tax_location_invalid")));
    for more in
        ["&customer_update[address]=auto", &format!("&customer={customer}&customer_update[colour]=auto")]
    {
        assert_eq!(stand.try_post("/v1/checkout/sessions", &form(more), &[]).await.status, 400, "{more}");
    }
    let session = stand.session(&price, "").await;
    assert_eq!(says(&stand, &session, "FR").await.status, 400);
    let session = stand.session(&price, "&billing_address_collection=required").await;
    assert_eq!(says(&stand, &session, "France").await.error()["param"], "country");
}

#[tokio::test]
async fn the_page_asks_for_the_country_and_shows_discount_and_tax() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 1000).await;
    let coupon = stand.post("/v1/coupons", "percent_off=50").await;
    let code = format!("promotion[type]=coupon&promotion[coupon]={}&code=HALF", id(&coupon));
    stand.post("/v1/promotion_codes", &code).await;
    let more = format!("&customer={}{TAXED}&allow_promotion_codes=true", customer(&stand).await);
    let session = stand.session(&price, &more).await;
    let page = format!("/c/pay/{}", id(&session));
    let shown = stand.send("GET", &page, &[], "").await.text;
    assert!(shown.contains("Billing country") && shown.contains("Promotion code"));
    assert!(!shown.contains(">Tax<") && !shown.contains(">Discount<"));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    for (step, form) in [("address", "country=FR"), ("promotion", "code=half")] {
        let entered = stand.send("POST", &format!("{page}/{step}"), &headers, form).await;
        assert_eq!((entered.status, entered.header("location")), (303, page.as_str()));
    }
    let shown = stand.send("GET", &page, &[], "").await.text;
    for text in ["value=\"FR\" selected", ">Tax<", "1.00 EUR", ">Discount<", "-5.00 EUR", "Pay 6.00 EUR"] {
        assert!(shown.contains(text), "{text} is missing from {shown}");
    }
    assert!(shown.contains("<code>HALF</code> is applied"), "{shown}");
    let removed = stand.send("POST", &format!("{page}/promotion"), &headers, "code=").await;
    assert_eq!(removed.status, 303);
    assert!(stand.send("GET", &page, &[], "").await.text.contains("Pay 12.00 EUR"));
    let plain = stand.session(&price, "").await;
    assert!(!stand.send("GET", &format!("/c/pay/{}", id(&plain)), &[], "").await.text.contains("country"));
}
