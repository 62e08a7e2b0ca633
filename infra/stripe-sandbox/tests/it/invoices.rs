//! Invoices as a shop reads, pays and voids them.

use serde_json::{Value, json};

use crate::stand::{DAY_MS, FAILS_LATER, HOUR_MS, Stand, id, types};

#[tokio::test]
async fn invoices_are_listed_by_subscription_customer_and_status() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let first = stand.subscribe(&price, "").await;
    let second = stand.subscribe(&price, "").await;
    stand.live(7 * DAY_MS).await;
    let count = async |query: String| {
        stand.get(&format!("/v1/invoices?{query}")).await["data"].as_array().unwrap().len()
    };
    assert_eq!(count(format!("subscription={}", id(&first))).await, 2);
    assert_eq!(count(format!("customer={}", second["customer"].as_str().unwrap())).await, 2);
    assert_eq!(count("status=draft".into()).await, 2);
    assert_eq!(count(format!("status=paid&subscription={}", id(&first))).await, 1);
    assert_eq!(count(format!("created[gte]={}", stand.now())).await, 2);
    assert_eq!(count("limit=3".into()).await, 3);
    assert_eq!(stand.try_get("/v1/invoices?subscription=sub_none").await.status, 400);
}

#[tokio::test]
async fn payments_are_shown_only_when_asked_for() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    let plain = &stand.invoices(id(&bought)).await[0];
    assert!(plain.get("payments").is_none());
    let listed = stand.get("/v1/invoices?expand[]=data.payments").await["data"][0].clone();
    let payment = &listed["payments"]["data"][0];
    assert_eq!((&payment["amount_paid"], &payment["is_default"]), (&json!(299), &json!(true)));
    let intent = payment["payment"]["payment_intent"].as_str().unwrap();
    for query in [
        format!("invoice={}", id(plain)),
        format!("payment[type]=payment_intent&payment[payment_intent]={intent}"),
    ] {
        let found = stand.get(&format!("/v1/invoice_payments?{query}")).await;
        assert_eq!(found["data"], json!([payment]), "{query}");
    }
    let untyped = stand.try_get(&format!("/v1/invoice_payments?payment[payment_intent]={intent}")).await;
    assert_eq!(untyped.error()["param"], "payment[type]");
}

#[tokio::test]
async fn the_lines_of_an_invoice_can_be_walked() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let extra = stand.price("Welcome", 500).await;
    let more = format!("&line_items[1][price]={extra}&line_items[1][quantity]=1");
    let bought = stand.subscribe(&price, &more).await;
    let path = format!("/v1/invoices/{}/lines", bought["latest_invoice"].as_str().unwrap());
    let first = stand.get(&format!("{path}?limit=1")).await;
    assert_eq!((&first["has_more"], &first["data"][0]["amount"]), (&json!(true), &json!(299)));
    let rest = stand.get(&format!("{path}?starting_after={}", id(&first["data"][0]))).await;
    assert_eq!((&rest["has_more"], &rest["data"][0]["amount"]), (&json!(false), &json!(500)));
}

#[tokio::test]
async fn a_draft_can_be_paid_before_its_hour_is_over() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    stand.live(7 * DAY_MS).await;
    let draft = &stand.invoices(id(&bought)).await[0];
    let paid = stand.post(&format!("/v1/invoices/{}/pay", id(draft)), "").await;
    assert_eq!((&paid["status"], &paid["attempt_count"]), (&json!("paid"), &json!(1)));
    stand.live(2 * HOUR_MS).await;
    assert_eq!(stand.get("/v1/charges").await["data"].as_array().unwrap().len(), 2, "it is charged once");
}

#[tokio::test]
async fn a_voided_invoice_is_owed_by_nobody() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    let paid = bought["latest_invoice"].as_str().unwrap();
    assert_eq!(stand.try_post(&format!("/v1/invoices/{paid}/void"), "", &[]).await.status, 400);
    stand.swap_card(id(&bought), FAILS_LATER).await;
    stand.live(7 * DAY_MS + HOUR_MS).await;
    let owed = &stand.invoices(id(&bought)).await[0];
    let void = stand.post(&format!("/v1/invoices/{}/void?expand[]=payments", id(owed)), "").await;
    assert_eq!((&void["status"], &void["next_payment_attempt"]), (&json!("void"), &json!(null)));
    let payment = &void["payments"]["data"][0];
    assert_eq!(payment["status"], "canceled");
    let intent = payment["payment"]["payment_intent"].as_str().unwrap();
    assert_eq!(stand.get(&format!("/v1/payment_intents/{intent}")).await["status"], "canceled");
    assert_eq!(stand.subscription(id(&bought)).await["status"], "active");
    assert_eq!(stand.try_post(&format!("/v1/invoices/{}/pay", id(owed)), "", &[]).await.status, 400);
    stand.live(3 * DAY_MS).await;
    assert_eq!(stand.get("/v1/charges").await["data"].as_array().unwrap().len(), 2, "nothing is retried");
}

#[tokio::test]
async fn invoices_are_numbered_per_customer_and_have_a_page() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium%20%3Cplan%3E", 999, "week").await;
    let bought = stand.subscribe(&price, "&customer_email=a@b.test").await;
    stand.live(7 * DAY_MS).await;
    let draft = &stand.invoices(id(&bought)).await[0];
    assert_eq!((&draft["number"], &draft["hosted_invoice_url"]), (&json!(null), &json!(null)));
    stand.live(HOUR_MS).await;
    let invoices = stand.invoices(id(&bought)).await;
    let number = |at: usize| invoices[at]["number"].as_str().unwrap().rsplit_once('-').unwrap().1.to_owned();
    assert_eq!((number(1), number(0)), ("0001".to_owned(), "0002".to_owned()));
    let number = invoices[0]["number"].as_str().unwrap();
    let page = stand.send("GET", invoices[0]["hosted_invoice_url"].as_str().unwrap(), &[], "").await;
    assert_eq!(page.status, 200);
    for text in ["Premium &lt;plan&gt;", "9.99 EUR", "a@b.test", number] {
        assert!(page.text.contains(text), "{text} is missing from {}", page.text);
    }
    assert!(!page.text.contains("Pay 9.99 EUR"), "it is paid");
    let pdf = stand.send("GET", invoices[0]["invoice_pdf"].as_str().unwrap(), &[], "").await;
    assert_eq!((pdf.status, pdf.header("content-type")), (200, "application/pdf"));
    assert!(pdf.text.starts_with("%PDF-"));
    for text in ["Premium <plan>", "9.99 EUR", "a@b.test", number] {
        assert!(pdf.text.contains(text), "{text} is missing from {}", pdf.text);
    }
    assert_eq!(stand.send("GET", "/i/in_none", &[], "").await.status, 404);
}

#[tokio::test]
async fn a_default_of_the_customer_is_charged_where_the_subscription_has_none() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let form = format!("customer={customer}&items[0][price]={price}");
    assert_eq!(
        stand.try_post("/v1/subscriptions", &form, &[]).await.status,
        400,
        "there is nothing to charge"
    );
    let method = stand.post("/v1/payment_methods/pm_card_visa/attach", &format!("customer={customer}")).await;
    let default = format!("invoice_settings[default_payment_method]={}", id(&method));
    stand.post(&format!("/v1/customers/{customer}"), &default).await;
    let subscription = stand.post("/v1/subscriptions", &form).await;
    assert_eq!(
        (&subscription["status"], &subscription["default_payment_method"]),
        (&json!("active"), &json!(null))
    );
    stand.live(7 * DAY_MS + HOUR_MS).await;
    assert_eq!(stand.invoices(id(&subscription)).await[0]["status"], "paid");
}

/// An invoice that is owed since its renewal was declined, and its subscription.
async fn owed(stand: &Stand) -> (Value, String) {
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "&customer_email=a@b.test").await;
    stand.swap_card(id(&bought), FAILS_LATER).await;
    stand.live(7 * DAY_MS + HOUR_MS).await;
    (stand.invoices(id(&bought)).await.remove(0), id(&bought).to_owned())
}

#[tokio::test]
async fn an_open_invoice_is_paid_on_its_page() {
    let stand = Stand::start().await;
    let (invoice, subscription) = owed(&stand).await;
    let url = invoice["hosted_invoice_url"].as_str().unwrap();
    let page = stand.send("GET", url, &[], "").await.text;
    assert!(page.contains("Pay 2.99 EUR") && page.contains("Pay by SEPA Direct Debit"), "{page}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(stand.send("POST", url, &headers, "card=1234").await.status, 402);
    stand.send("POST", url, &headers, "card=4000000000000002").await;
    assert!(stand.send("GET", url, &[], "").await.text.contains("Your card was declined."));

    let asked = stand.send("POST", url, &headers, "card=4000002760003184").await;
    let bank = asked.header("location").to_owned();
    assert!(stand.send("GET", url, &[], "").await.text.contains("Your bank asks for you"));
    let back = stand.send("POST", &bank, &headers, "outcome=success").await;
    assert!(back.header("location").starts_with(url), "{}", back.header("location"));
    assert!(!stand.send("GET", url, &[], "").await.text.contains("Pay 2.99 EUR"));
    assert_eq!(stand.subscription(&subscription).await["status"], "active");
    let again = stand.send("POST", url, &headers, "card=4242424242424242").await;
    assert!(again.text.contains("already paid"), "{}", again.text);
}

#[tokio::test]
async fn an_open_invoice_is_paid_by_debit_when_the_bank_has_answered() {
    let stand = Stand::start().await;
    let (invoice, subscription) = owed(&stand).await;
    let path = format!("/_sandbox/invoices/{}/pay", id(&invoice));
    let asked = stand.shopper(&path, r#"{"iban":"DE89370400440532013000"}"#).await.json();
    assert_eq!(asked["status"], "processing");
    let url = invoice["hosted_invoice_url"].as_str().unwrap();
    assert!(stand.send("GET", url, &[], "").await.text.contains("answers in some days"));
    assert_eq!(stand.shopper(&path, "").await.status, 400, "it is asked for once");
    assert_eq!(stand.subscription(&subscription).await["status"], "past_due", "nothing is there yet");
    stand.live(2 * DAY_MS).await;
    assert_eq!(stand.get("/v1/charges").await["data"].as_array().unwrap().len(), 3, "nor is it retried");
    stand.live(DAY_MS).await;
    assert_eq!(stand.subscription(&subscription).await["status"], "active");
}

#[tokio::test]
async fn an_invoice_can_be_paid_without_stripe() {
    let stand = Stand::start().await;
    let (invoice, subscription) = owed(&stand).await;
    let seen = stand.event_types().await.len();
    let path = format!("/v1/invoices/{}/pay", id(&invoice));
    let paid = stand.post(&path, "paid_out_of_band=true&expand[]=payments").await;
    assert_eq!((&paid["status"], &paid["amount_remaining"]), (&json!("paid"), &json!(0)));
    assert_eq!(paid["payments"]["data"][0]["status"], "canceled", "no payment of Stripe's paid it");
    assert_eq!(
        types(&stand.events_after(seen).await),
        ["payment_intent.canceled", "invoice.paid", "customer.subscription.updated"]
    );
    assert_eq!(stand.subscription(&subscription).await["status"], "active");
    stand.live(3 * DAY_MS).await;
    assert_eq!(stand.get("/v1/charges").await["data"].as_array().unwrap().len(), 2, "nothing is retried");
}

#[tokio::test]
async fn invoices_are_walked_in_both_directions() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    stand.live(15 * DAY_MS).await;
    let all = stand.invoices(id(&bought)).await;
    let ids = async |query: String| -> Vec<String> {
        let page = stand.get(&format!("/v1/invoices?subscription={}&{query}", id(&bought))).await;
        page["data"].as_array().unwrap().iter().map(|it| id(it).to_owned()).collect()
    };
    assert_eq!(ids(format!("limit=1&starting_after={}", id(&all[0]))).await, [id(&all[1])]);
    assert_eq!(ids(format!("limit=1&ending_before={}", id(&all[2]))).await, [id(&all[1])]);
    let made = all[1]["created"].as_i64().unwrap();
    assert_eq!(ids(format!("created[lt]={made}")).await, [id(&all[2])]);
}
