//! The pages a person sees.

use crate::stand::{Answer, HOUR_MS, Stand, id};

async fn submit(stand: &Stand, session: &str, step: &str, form: &str) -> Answer {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    stand.send("POST", &format!("/c/pay/{session}{step}"), &headers, form).await
}

async fn show(stand: &Stand, session: &str) -> Answer {
    stand.send("GET", &format!("/c/pay/{session}"), &[], "").await
}

#[tokio::test]
async fn the_page_of_a_session_shows_what_is_bought_and_pays_it() {
    let stand = Stand::start().await;
    let price = stand.price("Medium%20%3Cpack%3E", 999).await;
    let session = stand.session(&price, "").await;
    let shown = stand.send("GET", session["url"].as_str().unwrap(), &[], "").await;
    assert_eq!(shown.status, 200);
    for text in
        ["Medium &lt;pack&gt;", "9.99 EUR", "sandbox", "4000 0025 0000 3155", "https://shop.test/cart"]
    {
        assert!(shown.text.contains(text), "{text} is missing");
    }
    let paid = submit(&stand, id(&session), "", "card=4242+4242+4242+4242&email=a%40b.test").await;
    assert_eq!(paid.status, 303);
    assert_eq!(paid.header("location"), format!("https://shop.test/done?s={}", id(&session)));
    let session = stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await;
    assert_eq!(session["customer_details"]["email"], "a@b.test");
    assert!(show(&stand, id(&session)).await.text.contains("Back to the shop"));
    let again = submit(&stand, id(&session), "", "card=4242424242424242").await;
    assert!(again.text.contains("This checkout is complete"), "a second press pays nothing");
}

#[tokio::test]
async fn the_page_tells_of_a_decline_and_lets_the_shopper_try_again() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    let declined = submit(&stand, id(&session), "", "card=4000+0000+0000+0002").await;
    assert_eq!(declined.header("location"), format!("/c/pay/{}", id(&session)));
    assert!(show(&stand, id(&session)).await.text.contains("Your card was declined."));
    let unknown = submit(&stand, id(&session), "", "card=1234").await;
    assert_eq!(unknown.status, 402);
    assert!(unknown.text.contains("The sandbox knows these cards only"));
    assert_eq!(submit(&stand, id(&session), "", "card=4242424242424242").await.status, 303);
}

#[tokio::test]
async fn the_page_asks_for_authentication() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    submit(&stand, id(&session), "", "card=4000002500003155").await;
    assert!(show(&stand, id(&session)).await.text.contains("Fail authentication"));
    submit(&stand, id(&session), "/authenticate", "outcome=fail").await;
    assert!(show(&stand, id(&session)).await.text.contains("authentication of this payment method failed"));
    submit(&stand, id(&session), "", "card=4000002500003155").await;
    let done = submit(&stand, id(&session), "/authenticate", "outcome=success").await;
    assert!(done.header("location").starts_with("https://shop.test/done"));
}

#[tokio::test]
async fn pages_of_ended_or_unknown_sessions_say_so() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    stand.advance(24 * HOUR_MS);
    let late = show(&stand, id(&session)).await;
    assert_eq!(late.status, 410);
    assert!(late.text.contains("has expired"));
    assert_eq!(show(&stand, "cs_test_none").await.status, 404);
}

#[tokio::test]
async fn the_front_page_lists_events_deliveries_and_what_can_be_done_by_hand() {
    let stand = Stand::start().await;
    stand.hook.answer_with(500);
    stand.post("/v1/customers", "").await;
    stand.sandbox.run_due().await;
    let front = stand.send("GET", "/", &[], "").await.text;
    assert!(front.contains("customer.created"));
    assert!(front.contains("pending, 1 attempt, HTTP 500"));
    for told in
        ["/_sandbox/disputes/{dispute}/resolve", "4000 0000 0000 5126", "pm_card_createDisputeInquiry"]
    {
        assert!(front.contains(told), "{told} is not told of");
    }
}

#[tokio::test]
async fn the_page_of_a_subscription_says_what_is_paid_and_how_often() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let session = stand.subscription_session(&price, "").await;
    let shown = show(&stand, id(&session)).await.text;
    for text in ["9.99 EUR every month, until canceled", "Subscribe and pay 9.99 EUR"] {
        assert!(shown.contains(text), "{text} is missing from {shown}");
    }
    let paid = submit(&stand, id(&session), "", "card=4242424242424242").await;
    assert_eq!(paid.header("location"), "https://shop.test/done");
    let subscription = stand.get("/v1/subscriptions").await["data"][0].clone();
    let front = stand.send("GET", "/", &[], "").await.text;
    assert!(front.contains(id(&subscription)) && front.contains("POST /_sandbox/subscriptions/"));
}

#[tokio::test]
async fn what_was_paid_has_a_receipt_and_what_was_declined_has_none() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 999).await;
    let session = stand.session(&price, "").await;
    stand.pay(id(&session), "4000000000000002").await;
    let paid = stand.pay(id(&session), "4242424242424242").await.json();
    let intent = paid["payment_intent"].as_str().unwrap();
    let charges = stand.get(&format!("/v1/charges?payment_intent={intent}")).await;
    let [paid, declined] = charges["data"].as_array().unwrap().as_slice() else { panic!("{charges}") };
    let url = paid["receipt_url"].as_str().unwrap();
    let receipt = stand.send("GET", url, &[], "").await;
    assert_eq!(receipt.status, 200);
    assert!(receipt.text.contains("9.99 EUR paid on") && receipt.text.contains("4242"), "{}", receipt.text);
    assert!(!receipt.text.contains("given back"));
    stand.post("/v1/refunds", &format!("payment_intent={intent}&amount=500")).await;
    let receipt = stand.send("GET", url, &[], "").await;
    assert!(receipt.text.contains("5.00 EUR given back"), "{}", receipt.text);
    let none = stand.send("GET", &format!("/r/{}", id(declined)), &[], "").await;
    assert_eq!((none.status, declined["receipt_url"].is_null()), (404, true));
}
