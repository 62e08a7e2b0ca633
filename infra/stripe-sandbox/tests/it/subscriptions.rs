//! How a subscription begins: at the till, or made by the shop.

use serde_json::json;

use crate::stand::{FAILS_LATER, HOUR_MS, PAYS, Stand, id, period, types};

const DECLINED: &str = "4000 0000 0000 0002";
const ASKS: &str = "4000 0025 0000 3155";
const DAY: i64 = 86_400;

#[tokio::test]
async fn a_paid_session_begins_a_subscription_and_tells_of_it_in_order() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let customer = stand.post("/v1/customers", "email=ada@example.com").await;
    let more = format!(
        "&customer={}&client_reference_id=u-1&metadata[user]=u-1&subscription_data[metadata][plan]=premium\
         &subscription_data[description]=For+you",
        id(&customer)
    );
    let session = stand.subscription_session(&price, &more).await;
    assert_eq!((&session["subscription"], &session["payment_status"]), (&json!(null), &json!("unpaid")));
    assert_eq!(
        stand.get("/v1/subscriptions?status=all").await["data"],
        json!([]),
        "nothing before it is paid"
    );
    let seen = stand.event_types().await.len();

    assert_eq!(stand.pay(id(&session), PAYS).await.json()["status"], "complete");
    assert_eq!(
        types(&stand.events_after(seen).await),
        [
            "payment_intent.created",
            "customer.subscription.created",
            "payment_intent.succeeded",
            "charge.succeeded",
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
            "checkout.session.completed",
        ]
    );
}

#[tokio::test]
async fn session_subscription_invoice_and_payment_lead_to_each_other() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let customer = stand.post("/v1/customers", "").await;
    let more = format!(
        "&customer={}&subscription_data[metadata][plan]=premium&subscription_data[description]=For+you",
        id(&customer)
    );
    let session = stand.subscription_session(&price, &more).await;
    let paid = stand.pay(id(&session), PAYS).await.json();
    let session = stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await;
    assert_eq!((&session["status"], &session["payment_status"]), (&json!("complete"), &json!("paid")));
    assert_eq!(session["subscription"], paid["subscription"]);
    assert_eq!(session["invoice"], paid["invoice"]);
    assert_eq!(session["payment_intent"], json!(null), "the intent pays the invoice, not the session");

    let whole =
        "?expand[]=latest_invoice.payments&expand[]=default_payment_method&expand[]=items.data.price.product";
    let path = format!("/v1/subscriptions/{}{whole}", paid["subscription"].as_str().unwrap());
    let subscription = stand.get(&path).await;
    assert_eq!(subscription["status"], "active");
    assert_eq!(subscription["metadata"], json!({"plan": "premium"}));
    assert_eq!(subscription["description"], "For you");
    assert_eq!(subscription["customer"], customer["id"]);
    assert_eq!(subscription["default_payment_method"]["customer"], customer["id"]);
    assert_eq!(subscription["items"]["data"][0]["price"]["product"]["name"], "Premium");
    assert_eq!(period(&subscription).0, stand.now());
    assert!(subscription.get("current_period_end").is_none(), "periods are on the items");

    let invoice = &subscription["latest_invoice"];
    assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&json!("paid"), &json!(999)));
    assert_eq!(invoice["billing_reason"], "subscription_create");
    assert_eq!(invoice["parent"]["subscription_details"]["subscription"], subscription["id"]);
    assert_eq!(invoice["parent"]["subscription_details"]["metadata"], json!({"plan": "premium"}));
    for moved in ["paid", "payment_intent", "charge", "subscription"] {
        assert!(invoice.get(moved).is_none(), "{moved} is not on an invoice any more");
    }
    let line = &invoice["lines"]["data"][0];
    assert_eq!((line["period"]["start"].as_i64(), line["period"]["end"].as_i64()), {
        let (start, end) = period(&subscription);
        (Some(start), Some(end))
    });
    assert_eq!(line["pricing"]["price_details"]["price"], json!(price));
    assert_eq!(line["parent"]["subscription_item_details"]["proration"], false);
    let payment = &invoice["payments"]["data"][0];
    assert_eq!(
        (&payment["status"], &payment["payment"]["payment_intent"]),
        (&json!("paid"), &paid["payment_intent"])
    );

    let intent =
        stand.get(&format!("/v1/payment_intents/{}", paid["payment_intent"].as_str().unwrap())).await;
    assert_eq!((&intent["metadata"], &intent["status"]), (&json!({}), &json!("succeeded")));
    assert_eq!(intent["setup_future_usage"], "off_session");
    let customer = stand.get(&format!("/v1/customers/{}", id(&customer))).await;
    assert_eq!(customer["invoice_settings"]["default_payment_method"], json!(null));
}

#[tokio::test]
async fn a_subscription_belongs_to_a_customer_even_if_the_session_named_none() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let session = stand.subscription_session(&price, "&customer_email=a@b.test").await;
    assert_eq!(session["customer"], json!(null));
    stand.pay(id(&session), PAYS).await;
    let session = stand.get(&format!("/v1/checkout/sessions/{}?expand[]=customer", id(&session))).await;
    assert_eq!(session["customer"]["email"], "a@b.test");
    let mine = stand.get(&format!("/v1/subscriptions?customer={}", id(&session["customer"]))).await;
    assert_eq!(mine["data"][0]["id"], session["subscription"]);
}

#[tokio::test]
async fn a_trial_starts_without_a_payment_but_with_an_invoice() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let session = stand.subscription_session(&price, "&subscription_data[trial_period_days]=7").await;
    assert_eq!(
        (&session["amount_total"], &session["payment_status"]),
        (&json!(0), &json!("no_payment_required"))
    );
    let page = stand.send("GET", session["url"].as_str().unwrap(), &[], "").await.text;
    assert!(
        page.contains("7 days free, then 9.99 EUR every month") && page.contains("Start trial"),
        "{page}"
    );
    assert_eq!(stand.pay(id(&session), DECLINED).await.error()["code"], "card_declined");

    let paid = stand.pay(id(&session), FAILS_LATER).await.json();
    assert_eq!((&paid["status"], &paid["payment_intent"]), (&json!("complete"), &json!(null)));
    let subscription = stand.subscription(paid["subscription"].as_str().unwrap()).await;
    assert_eq!(subscription["status"], "trialing");
    let end = stand.now() + 7 * DAY;
    assert_eq!(
        (&subscription["trial_end"], &subscription["billing_cycle_anchor"]),
        (&json!(end), &json!(end))
    );
    assert_eq!(period(&subscription), (stand.now(), end));
    let invoice = &stand.invoices(id(&subscription)).await[0];
    assert_eq!((&invoice["status"], &invoice["total"]), (&json!("paid"), &json!(0)));
    assert_eq!(invoice["lines"]["data"][0]["description"], "Trial period for Premium");
    assert_eq!(stand.get("/v1/payment_intents").await["data"], json!([]));
    let types = stand.event_types().await;
    assert!(types.contains(&"invoice.paid".into()) && !types.contains(&"invoice_payment.paid".into()));
    let session = stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await;
    assert_eq!(
        (&session["status"], &session["payment_status"]),
        (&json!("complete"), &json!("no_payment_required"))
    );
}

#[tokio::test]
async fn a_declined_card_begins_nothing_and_leaves_the_session_open() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let session = stand.subscription_session(&price, "").await;
    for card in [DECLINED, FAILS_LATER] {
        let declined = stand.pay(id(&session), card).await;
        assert_eq!((declined.status, &declined.error()["code"]), (402, &json!("card_declined")));
    }
    let open = stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await;
    assert_eq!((&open["status"], &open["subscription"]), (&json!("open"), &json!(null)));
    for empty in ["subscriptions?status=all", "invoices"] {
        assert_eq!(stand.get(&format!("/v1/{empty}")).await["data"], json!([]));
    }
    assert_eq!(stand.pay(id(&session), PAYS).await.json()["status"], "complete");
    assert_eq!(
        stand.get("/v1/payment_intents").await["data"].as_array().unwrap().len(),
        1,
        "one intent, tried again"
    );
}

#[tokio::test]
async fn a_card_that_asks_begins_it_only_once_authenticated() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    for trial in ["", "&subscription_data[trial_period_days]=7"] {
        let session = stand.subscription_session(&price, trial).await;
        let asked = stand.pay(id(&session), ASKS).await.json();
        assert_eq!(asked["status"], "requires_action");
        let page = stand.send("GET", session["url"].as_str().unwrap(), &[], "").await.text;
        assert!(page.contains("Complete authentication"), "{page}");
        let next = asked["next"].as_str().unwrap();
        assert_eq!(stand.shopper(next, r#"{"outcome":"fail"}"#).await.status, 402);
        assert_eq!(stand.shopper(next, "").await.status, 400, "nothing is left to authenticate");
        assert_eq!(stand.get("/v1/subscriptions").await["data"], json!([]));
        stand.pay(id(&session), ASKS).await;
        let done = stand.shopper(next, "").await.json();
        assert_eq!(done["status"], "complete");
        stand.delete(&format!("/v1/subscriptions/{}", done["subscription"].as_str().unwrap())).await;
    }
}

#[tokio::test]
async fn an_expired_session_lets_go_of_its_intent() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let session = stand.subscription_session(&price, "").await;
    stand.pay(id(&session), DECLINED).await;
    stand.advance(24 * HOUR_MS);
    let intents = stand.get("/v1/payment_intents").await;
    assert_eq!(intents["data"][0]["status"], "canceled");
}

#[tokio::test]
async fn what_belongs_to_the_other_mode_is_refused() {
    let stand = Stand::start().await;
    let monthly = stand.plan("Premium", 999, "month").await;
    let yearly = stand.plan("Premium", 9990, "year").await;
    let once = stand.price("Small", 499).await;
    let form = |mode: &str, price: &str, more: &str| {
        format!(
            "mode={mode}&success_url=https://a.test&line_items[0][price]={price}&line_items[0][quantity]=1{more}"
        )
    };
    let second = format!("&line_items[1][price]={yearly}&line_items[1][quantity]=1");
    let cases = [
        (form("subscription", &monthly, "&payment_intent_data[description]=x"), "payment_intent_data"),
        (form("payment", &once, "&subscription_data[description]=x"), "subscription_data"),
        (form("subscription", &monthly, "&customer_creation=always"), "customer_creation"),
        (form("subscription", &once, ""), "line_items"),
        (form("subscription", &monthly, &second), "line_items"),
        (
            form("subscription", &monthly, "&subscription_data[trial_period_days]=731"),
            "subscription_data[trial_period_days]",
        ),
        (
            form("subscription", &monthly, "&subscription_data[trial_period_days]=0"),
            "subscription_data[trial_period_days]",
        ),
        (form("subscription", &monthly, "&subscription_data[trial_end]=1"), "subscription_data[trial_end]"),
    ];
    for (form, param) in cases {
        let answer = stand.try_post("/v1/checkout/sessions", &form, &[]).await;
        assert_eq!((answer.status, &answer.error()["param"]), (400, &json!(param)), "{form}");
    }
}

#[tokio::test]
async fn what_is_paid_once_stands_on_the_first_invoice_only() {
    let stand = Stand::start().await;
    let monthly = stand.plan("Premium", 999, "month").await;
    let once = stand.price("Welcome", 500).await;
    let more = format!("&line_items[1][price]={once}&line_items[1][quantity]=1");
    let subscription = stand.subscribe(&monthly, &more).await;
    assert_eq!(subscription["items"]["data"].as_array().unwrap().len(), 1);
    let invoice = &stand.invoices(id(&subscription)).await[0];
    assert_eq!(invoice["amount_paid"], 1499);
    assert_eq!(invoice["lines"]["data"][1]["parent"]["type"], "invoice_item_details");
}

async fn customer_with_card(stand: &Stand, card: &str) -> (String, String) {
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let method =
        stand.post(&format!("/v1/payment_methods/{card}/attach"), &format!("customer={customer}")).await;
    (customer, id(&method).to_owned())
}

#[tokio::test]
async fn a_shop_can_make_one_without_a_session() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let (customer, method) = customer_with_card(&stand, "pm_card_visa").await;
    let form = format!(
        "customer={customer}&items[0][price]={price}&items[0][quantity]=2&default_payment_method={method}\
         &metadata[user]=u-1&expand[]=latest_invoice"
    );
    let subscription = stand.post("/v1/subscriptions", &form).await;
    assert_eq!(
        (&subscription["status"], &subscription["metadata"]["user"]),
        (&json!("active"), &json!("u-1"))
    );
    assert_eq!(subscription["latest_invoice"]["amount_paid"], 1998);
    let mine = stand.get(&format!("/v1/customers/{customer}/payment_methods?type=card")).await;
    assert_eq!(mine["data"][0]["id"], json!(method));

    let (stranger, _) = customer_with_card(&stand, "pm_card_visa").await;
    let form = format!("customer={stranger}&items[0][price]={price}&default_payment_method={method}");
    let refused = stand.try_post("/v1/subscriptions", &form, &[]).await;
    assert_eq!((refused.status, &refused.error()["param"]), (400, &json!("default_payment_method")));
}

#[tokio::test]
async fn a_first_payment_that_fails_leaves_it_incomplete_for_23_hours() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let (customer, method) = customer_with_card(&stand, "pm_card_chargeCustomerFail").await;
    let form = format!("customer={customer}&items[0][price]={price}&default_payment_method={method}");
    let strict = format!("{form}&payment_behavior=error_if_incomplete");
    assert_eq!(stand.try_post("/v1/subscriptions", &strict, &[]).await.status, 402);
    assert_eq!(stand.get("/v1/subscriptions").await["data"], json!([]));

    let lost = stand.post("/v1/subscriptions", &form).await;
    let saved = stand.post("/v1/subscriptions", &form).await;
    let waiting =
        stand.post("/v1/subscriptions", &format!("{form}&payment_behavior=default_incomplete")).await;
    for subscription in [&lost, &saved, &waiting] {
        assert_eq!(subscription["status"], "incomplete");
    }
    let attempts = async |subscription| stand.invoices(id(subscription)).await[0]["attempt_count"].clone();
    assert_eq!((attempts(&lost).await, attempts(&waiting).await), (json!(1), json!(0)));

    stand.swap_card(id(&saved), PAYS).await;
    stand.post(&format!("/v1/invoices/{}/pay", saved["latest_invoice"].as_str().unwrap()), "").await;
    assert_eq!(stand.subscription(id(&saved)).await["status"], "active");

    stand.live(23 * HOUR_MS).await;
    assert_eq!(stand.subscription(id(&lost)).await["status"], "incomplete_expired");
    assert_eq!(stand.subscription(id(&saved)).await["status"], "active");
    assert_eq!(stand.invoices(id(&lost)).await[0]["status"], "void");
}

#[tokio::test]
async fn a_card_that_is_declined_cannot_be_attached() {
    let stand = Stand::start().await;
    let customer = stand.post("/v1/customers", "").await;
    let path = "/v1/payment_methods/pm_card_visa_chargeDeclined/attach";
    let refused = stand.try_post(path, &format!("customer={}", id(&customer)), &[]).await;
    assert_eq!((refused.status, &refused.error()["decline_code"]), (402, &json!("generic_decline")));
}

#[tokio::test]
async fn subscriptions_are_listed_by_status_and_price() {
    let stand = Stand::start().await;
    let monthly = stand.plan("Premium", 999, "month").await;
    let weekly = stand.plan("Weekly", 299, "week").await;
    let kept = stand.subscribe(&monthly, "").await;
    let gone = stand.subscribe(&weekly, "").await;
    stand.delete(&format!("/v1/subscriptions/{}", id(&gone))).await;
    let ids = async |query: &str| -> Vec<String> {
        let page = stand.get(&format!("/v1/subscriptions?{query}")).await;
        page["data"].as_array().unwrap().iter().map(|it| id(it).to_owned()).collect()
    };
    assert_eq!(ids("").await, [id(&kept)]);
    assert_eq!(ids("status=all").await, [id(&gone), id(&kept)]);
    assert_eq!(ids("status=ended").await, [id(&gone)]);
    assert_eq!(ids(&format!("status=all&price={weekly}")).await, [id(&gone)]);
    assert_eq!(ids(&format!("status=all&limit=1&starting_after={}", id(&gone))).await, [id(&kept)]);
    assert!(ids("status=trialing").await.is_empty());
    assert_eq!(stand.try_get("/v1/subscriptions?price=price_none").await.status, 400);
}
