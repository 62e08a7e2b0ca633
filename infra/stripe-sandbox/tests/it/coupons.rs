//! Coupons: what they take off, off what, and for how long.

use serde_json::{Value, json};

use crate::stand::{DAY_MS, HOUR_MS, PAYS, Stand, id, types};

pub async fn coupon(stand: &Stand, form: &str) -> String {
    id(&stand.post("/v1/coupons", form).await).to_owned()
}

pub async fn promotion(stand: &Stand, coupon: &str, form: &str) -> Value {
    let form = format!("promotion[type]=coupon&promotion[coupon]={coupon}&{form}");
    stand.post("/v1/promotion_codes", &form).await
}

/// A customer with a card that pays.
pub async fn customer(stand: &Stand) -> String {
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let method = stand.post("/v1/payment_methods/pm_card_visa/attach", &format!("customer={customer}")).await;
    let default = format!("invoice_settings[default_payment_method]={}", id(&method));
    stand.post(&format!("/v1/customers/{customer}"), &default).await;
    customer
}

async fn subscribe(stand: &Stand, price: &str, more: &str) -> Value {
    let customer = customer(stand).await;
    stand.post("/v1/subscriptions", &format!("customer={customer}&items[0][price]={price}{more}")).await
}

async fn paid(stand: &Stand, subscription: &Value) -> Vec<i64> {
    let invoices = stand.invoices(id(subscription)).await;
    invoices.iter().rev().map(|invoice| invoice["amount_paid"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn coupons_are_made_read_renamed_listed_and_deleted() {
    let stand = Stand::start().await;
    let product = id(&stand.post("/v1/products", "name=Premium").await).to_owned();
    let form = format!(
        "id=SUMMER&percent_off=12.5&duration=repeating&duration_in_months=3&max_redemptions=2&name=Summer\
         &metadata[a]=b&applies_to[products][0]={product}"
    );
    let made = stand.post("/v1/coupons", &form).await;
    assert_eq!((id(&made), &made["percent_off"]), ("SUMMER", &json!(12.5)));
    assert_eq!((&made["amount_off"], &made["valid"]), (&json!(null), &json!(true)));
    assert!(made.get("applies_to").is_none(), "only when asked for");
    let whole = stand.get("/v1/coupons/SUMMER?expand[]=applies_to").await;
    assert_eq!(whole["applies_to"]["products"], json!([product]));
    assert_eq!(stand.try_post("/v1/coupons", &form, &[]).await.error()["code"], "resource_already_exists");
    let renamed = stand.post("/v1/coupons/SUMMER", "name=Autumn&metadata[a]=").await;
    assert_eq!((&renamed["name"], &renamed["metadata"]), (&json!("Autumn"), &json!({})));
    let fixed = stand.post("/v1/coupons", "amount_off=500&currency=EUR").await;
    assert_eq!((&fixed["amount_off"], &fixed["duration"]), (&json!(500), &json!("once")));
    assert_eq!(stand.get("/v1/coupons").await["data"].as_array().unwrap().len(), 2);
    assert_eq!(stand.delete("/v1/coupons/SUMMER").await.json()["deleted"], true);
    assert_eq!(stand.try_get("/v1/coupons/SUMMER").await.status, 404);
    assert_eq!(stand.get("/v1/coupons").await["data"].as_array().unwrap().len(), 1);
    stand.post("/v1/coupons", &form).await;
    let told: Vec<String> = stand.event_types().await;
    for kind in ["coupon.created", "coupon.updated", "coupon.deleted"] {
        assert!(told.iter().any(|told| told == kind), "{kind}");
    }
}

#[tokio::test]
async fn a_coupon_that_makes_no_sense_is_refused() {
    let stand = Stand::start().await;
    for (form, param) in [
        ("", "percent_off"),
        ("percent_off=0", "percent_off"),
        ("percent_off=101", "percent_off"),
        ("percent_off=1.234", "percent_off"),
        ("percent_off=10&amount_off=5&currency=eur", "percent_off"),
        ("amount_off=5", "currency"),
        ("percent_off=10&duration=repeating", "duration_in_months"),
        ("percent_off=10&duration_in_months=3", "duration_in_months"),
        ("percent_off=10&redeem_by=1", "redeem_by"),
        ("percent_off=10&applies_to[products][0]=prod_none", "applies_to[products][0]"),
        ("percent_off=10&colour=red", "colour"),
    ] {
        let refused = stand.try_post("/v1/coupons", form, &[]).await;
        assert_eq!((refused.status, &refused.error()["param"]), (400, &json!(param)), "{form}");
    }
}

#[tokio::test]
async fn a_coupon_lasts_for_one_invoice_for_some_months_or_for_ever() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 1000, "month").await;
    for (form, expected) in [
        ("percent_off=50&duration=once", [500, 1000, 1000, 1000]),
        ("percent_off=25&duration=repeating&duration_in_months=2", [750, 750, 1000, 1000]),
        ("amount_off=300&currency=eur&duration=forever", [700, 700, 700, 700]),
    ] {
        let coupon = coupon(&stand, form).await;
        let bought = subscribe(&stand, &price, &format!("&discounts[0][coupon]={coupon}")).await;
        stand.live(35 * DAY_MS).await;
        let preview = format!("subscription={}", id(&bought));
        let upcoming = stand.post("/v1/invoices/create_preview", &preview).await;
        assert_eq!(upcoming["amount_due"], expected[2], "{form}");
        stand.live(60 * DAY_MS).await;
        assert_eq!(paid(&stand, &bought).await, expected, "{form}");
        let left = stand.subscription(id(&bought)).await["discounts"].as_array().unwrap().len();
        assert_eq!(left, usize::from(form.contains("forever")), "{form}");
    }
    assert_eq!(stand.hook.received_of("customer.discount.created").len(), 3);
    assert_eq!(stand.hook.received_of("customer.discount.deleted").len(), 2);
}

#[tokio::test]
async fn an_invoice_tells_what_was_taken_off_and_why() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 1000, "month").await;
    let coupon = coupon(&stand, "percent_off=20&duration=forever").await;
    let code = promotion(&stand, &coupon, "code=WELCOME").await;
    let bought = subscribe(&stand, &price, &format!("&discounts[0][promotion_code]={}", id(&code))).await;
    let path = format!("/v1/subscriptions/{}?expand[]=discounts.source.coupon", id(&bought));
    let discount = stand.get(&path).await["discounts"][0].clone();
    assert_eq!((&discount["object"], &discount["subscription"]), (&json!("discount"), &bought["id"]));
    assert_eq!((&discount["promotion_code"], &discount["end"]), (&code["id"], &json!(null)));
    assert_eq!(discount["source"]["type"], "coupon");
    assert_eq!(discount["source"]["coupon"]["percent_off"], 20);
    let invoice = &stand.invoices(id(&bought)).await[0];
    assert_eq!((&invoice["subtotal"], &invoice["total"]), (&json!(1000), &json!(800)));
    let taken = json!([{"amount": 200, "discount": discount["id"]}]);
    assert_eq!(
        (&invoice["total_discount_amounts"], &invoice["discounts"]),
        (&taken, &json!([discount["id"]]))
    );
    assert_eq!(invoice["lines"]["data"][0]["discount_amounts"], taken);
    assert_eq!(stand.get(&format!("/v1/coupons/{coupon}")).await["times_redeemed"], 1);
    let code = stand.get(&format!("/v1/promotion_codes/{}?expand[]=promotion.coupon", id(&code))).await;
    assert_eq!((&code["times_redeemed"], &code["promotion"]["coupon"]["id"]), (&json!(1), &json!(coupon)));

    let removed = stand.delete(&format!("/v1/subscriptions/{}/discount", id(&bought))).await.json();
    assert_eq!((&removed["id"], &removed["deleted"]), (&discount["id"], &json!(true)));
    assert_eq!(stand.subscription(id(&bought)).await["discounts"], json!([]));
}

#[tokio::test]
async fn discounts_of_a_running_subscription_can_be_replaced_kept_and_taken_away() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 1000, "week").await;
    let (half, tenth) = (
        coupon(&stand, "percent_off=50&duration=forever").await,
        coupon(&stand, "percent_off=10&duration=forever").await,
    );
    let bought = subscribe(&stand, &price, "").await;
    let path = format!("/v1/subscriptions/{}", id(&bought));
    let one = stand.post(&path, &format!("discounts[0][coupon]={half}")).await;
    let kept = one["discounts"][0].as_str().unwrap();
    let two = stand.post(&path, &format!("discounts[0][discount]={kept}&discounts[1][coupon]={tenth}")).await;
    assert_eq!((two["discounts"].as_array().unwrap().len(), &two["discounts"][0]), (2, &json!(kept)));
    let upcoming = stand.post("/v1/invoices/create_preview", &format!("subscription={}", id(&bought))).await;
    assert_eq!(upcoming["total"], 450, "one after the other");
    stand.live(7 * DAY_MS + HOUR_MS).await;
    assert_eq!(paid(&stand, &bought).await, [1000, 450]);
    let none = stand.post(&path, "discounts=").await;
    assert_eq!(none["discounts"], json!([]));
    stand.sandbox.run_due().await;
    assert_eq!(stand.hook.received_of("customer.discount.deleted").len(), 2);
}

#[tokio::test]
async fn what_was_paid_with_a_discount_is_given_back_with_it() {
    let stand = Stand::start().await;
    let (small, large) = (stand.plan("Small", 700, "week").await, stand.plan("Large", 1400, "week").await);
    for (form, expected) in [
        ("percent_off=50&duration=forever", [-250, 500]),
        ("percent_off=50&duration=once", [-250, 1000]),
        ("amount_off=350&currency=eur&duration=forever", [-250, 750]),
    ] {
        let coupon = coupon(&stand, form).await;
        let bought = subscribe(&stand, &small, &format!("&discounts[0][coupon]={coupon}")).await;
        stand.live(2 * DAY_MS).await;
        let item = id(&bought["items"]["data"][0]);
        let change = format!("items[0][id]={item}&items[0][price]={large}&proration_behavior=always_invoice");
        stand.post(&format!("/v1/subscriptions/{}", id(&bought)), &change).await;
        let invoice = &stand.invoices(id(&bought)).await[0];
        let lines = invoice["lines"]["data"].as_array().unwrap().iter();
        let amounts: Vec<i64> = lines.map(|line| line["amount"].as_i64().unwrap()).collect();
        assert_eq!(amounts, expected, "{form}");
        assert_eq!(invoice["total"], expected[0] + expected[1], "and not twice");
    }
}

#[tokio::test]
async fn a_discounted_checkout_costs_less_and_its_subscription_goes_on_so() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 1000, "month").await;
    let coupon = coupon(&stand, "percent_off=30&duration=repeating&duration_in_months=2").await;
    let session = stand.subscription_session(&price, &format!("&discounts[0][coupon]={coupon}")).await;
    assert_eq!((&session["amount_subtotal"], &session["amount_total"]), (&json!(1000), &json!(700)));
    assert_eq!(session["total_details"]["amount_discount"], 300);
    assert_eq!(session["discounts"], json!([{"coupon": coupon, "promotion_code": null}]));
    let lines = stand.get(&format!("/v1/checkout/sessions/{}/line_items", id(&session))).await;
    assert_eq!(lines["data"][0]["amount_discount"], 300);
    let done = stand.pay(id(&session), PAYS).await.json();
    let bought = stand.subscription(done["subscription"].as_str().unwrap()).await;
    let intent =
        stand.get(&format!("/v1/payment_intents/{}", done["payment_intent"].as_str().unwrap())).await;
    assert_eq!(intent["amount_received"], 700);
    stand.live(65 * DAY_MS).await;
    assert_eq!(paid(&stand, &bought).await, [700, 700, 1000]);
    assert_eq!(stand.get(&format!("/v1/coupons/{coupon}")).await["times_redeemed"], 1);
}

#[tokio::test]
async fn a_coupon_is_for_some_products_in_its_currency_and_until_its_day() {
    let stand = Stand::start().await;
    let premium = stand.price("Premium", 1000).await;
    let extra = stand.price("Extra", 1000).await;
    let product = stand.get(&format!("/v1/prices/{extra}")).await["product"].as_str().unwrap().to_owned();
    let off = coupon(&stand, &format!("percent_off=50&applies_to[products][0]={product}")).await;
    let more = format!("&line_items[1][price]={extra}&line_items[1][quantity]=1&discounts[0][coupon]={off}");
    let session = stand.session(&premium, &more).await;
    assert_eq!(session["total_details"]["amount_discount"], 500);

    let dollars = coupon(&stand, "amount_off=100&currency=usd").await;
    let late = coupon(&stand, &format!("percent_off=10&redeem_by={}", stand.now() + 60)).await;
    let tiny = coupon(&stand, "amount_off=970&currency=eur").await;
    stand.live(60_000).await;
    let form = |discount: &str| {
        format!(
            "mode=payment&success_url=https://a.test&line_items[0][price]={premium}&line_items[0][quantity]=1\
             &discounts[0][coupon]={discount}"
        )
    };
    for (discount, code) in [(&dollars, ""), (&late, "coupon_expired"), (&tiny, "amount_too_small")] {
        let refused = stand.try_post("/v1/checkout/sessions", &form(discount), &[]).await;
        assert_eq!((refused.status, refused.error()["code"].as_str().unwrap_or_default()), (400, code));
    }
    let both = format!("{}&allow_promotion_codes=true", form(&off));
    assert_eq!(stand.try_post("/v1/checkout/sessions", &both, &[]).await.error()["param"], "discounts");
    let two = format!("{}&discounts[1][coupon]={off}", form(&off));
    assert_eq!(stand.try_post("/v1/checkout/sessions", &two, &[]).await.error()["param"], "discounts");
}

#[tokio::test]
async fn whoever_has_a_deleted_coupon_keeps_it() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 1000, "week").await;
    let off = coupon(&stand, "percent_off=40&duration=forever").await;
    let bought = subscribe(&stand, &price, &format!("&discounts[0][coupon]={off}")).await;
    stand.delete(&format!("/v1/coupons/{off}")).await;
    stand.live(7 * DAY_MS + HOUR_MS).await;
    assert_eq!(paid(&stand, &bought).await, [600, 600]);
    let form = format!(
        "customer={}&items[0][price]={price}&discounts[0][coupon]={off}",
        bought["customer"].as_str().unwrap()
    );
    let refused = stand.try_post("/v1/subscriptions", &form, &[]).await;
    assert_eq!(refused.error()["code"], "resource_missing");
}

#[tokio::test]
async fn a_first_invoice_that_a_coupon_pays_needs_no_card() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 1000, "week").await;
    let off = coupon(&stand, "percent_off=100&duration=once").await;
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let form = format!("customer={customer}&items[0][price]={price}&discounts[0][coupon]={off}");
    let preview = format!(
        "customer={customer}&subscription_details[items][0][price]={price}&discounts[0][coupon]={off}"
    );
    assert_eq!(stand.post("/v1/invoices/create_preview", &preview).await["amount_due"], 0);
    let free = stand.post("/v1/subscriptions", &form).await;
    assert_eq!(free["status"], "active");
    let told =
        stand.get("/v1/events?types[]=customer.discount.deleted&types[]=customer.discount.created").await;
    assert_eq!(
        types(told["data"].as_array().unwrap()),
        ["customer.discount.deleted", "customer.discount.created"]
    );
}
