//! Renewals that are declined.

use serde_json::{Value, json};

use crate::stand::{DAY_MS, FAILS_LATER, HOUR_MS, PAYS, Stand, id, types};

const DAY: i64 = 86_400;

/// A monthly subscription whose first renewal has just been declined, and how many events there were before.
async fn declined(stand: &Stand) -> (String, usize) {
    let price = stand.plan("Premium", 999, "month").await;
    let bought = stand.subscribe(&price, "").await;
    stand.swap_card(id(&bought), FAILS_LATER).await;
    let end = crate::stand::period(&bought).1;
    stand.live((end - stand.now()) * 1000).await;
    let seen = stand.event_types().await.len();
    stand.live(HOUR_MS).await;
    (id(&bought).to_owned(), seen)
}

async fn latest(stand: &Stand, subscription: &str) -> Value {
    stand.invoices(subscription).await.remove(0)
}

#[tokio::test]
async fn a_declined_renewal_stays_open_and_makes_the_subscription_past_due() {
    let stand = Stand::start().await;
    let (subscription, seen) = declined(&stand).await;
    let events = stand.events_after(seen).await;
    assert_eq!(
        types(&events),
        [
            "invoice.finalized",
            "payment_intent.created",
            "charge.failed",
            "payment_intent.payment_failed",
            "invoice.payment_failed",
            "customer.subscription.updated",
        ]
    );
    assert_eq!(events[5]["data"]["previous_attributes"], json!({"status": "active"}));
    assert_eq!(stand.subscription(&subscription).await["status"], "past_due");
    let invoice = latest(&stand, &subscription).await;
    assert_eq!((&invoice["status"], &invoice["amount_remaining"]), (&json!("open"), &json!(999)));
    assert_eq!((&invoice["attempt_count"], &invoice["attempted"]), (&json!(1), &json!(true)));
    assert_eq!(invoice["next_payment_attempt"], stand.now() + DAY);
}

#[tokio::test]
async fn it_is_retried_after_1_3_5_and_7_days_and_then_the_subscription_ends() {
    let stand = Stand::start().await;
    let (subscription, _) = declined(&stand).await;
    for (attempt, days) in [(2, 1), (3, 3), (4, 5), (5, 7)] {
        let invoice = latest(&stand, &subscription).await;
        assert_eq!(invoice["next_payment_attempt"], stand.now() + days * DAY);
        assert_eq!(stand.subscription(&subscription).await["status"], "past_due");
        stand.live(days * DAY_MS).await;
        assert_eq!(latest(&stand, &subscription).await["attempt_count"], attempt);
    }
    let ended = stand.subscription(&subscription).await;
    assert_eq!((&ended["status"], &ended["ended_at"]), (&json!("canceled"), &json!(stand.now())));
    assert_eq!(ended["cancellation_details"]["reason"], "payment_failed");
    let invoice = latest(&stand, &subscription).await;
    assert_eq!((&invoice["status"], &invoice["next_payment_attempt"]), (&json!("open"), &json!(null)));
    assert_eq!(invoice["auto_advance"], false);
    let failed = stand.get("/v1/charges").await["data"].as_array().unwrap().len();
    assert_eq!(failed, 6, "one paid, five declined");
    assert_eq!(
        stand.get("/v1/payment_intents").await["data"].as_array().unwrap().len(),
        2,
        "one intent per invoice"
    );
    assert_eq!(stand.sandbox.next_due(), None, "nothing goes on by itself");
}

#[tokio::test]
async fn the_same_happens_in_one_jump() {
    let stand = Stand::start().await;
    let (subscription, _) = declined(&stand).await;
    let first = stand.now();
    stand.advance(60 * DAY_MS);
    let ended = stand.subscription(&subscription).await;
    assert_eq!((&ended["status"], &ended["ended_at"]), (&json!("canceled"), &json!(first + 16 * DAY)));
    assert_eq!(stand.invoices(&subscription).await.len(), 2);
}

#[tokio::test]
async fn a_retry_with_a_new_card_makes_it_active_again() {
    let stand = Stand::start().await;
    let (subscription, _) = declined(&stand).await;
    stand.swap_card(&subscription, PAYS).await;
    assert_eq!(stand.subscription(&subscription).await["status"], "past_due", "a card alone pays nothing");
    stand.live(DAY_MS).await;
    assert_eq!(stand.subscription(&subscription).await["status"], "active");
    let invoice = latest(&stand, &subscription).await;
    assert_eq!((&invoice["status"], &invoice["attempt_count"]), (&json!("paid"), &json!(2)));
}

#[tokio::test]
async fn paying_the_open_invoice_by_request_makes_it_active_again() {
    let stand = Stand::start().await;
    let (subscription, _) = declined(&stand).await;
    let invoice = latest(&stand, &subscription).await;
    let path = format!("/v1/invoices/{}/pay", id(&invoice));
    let declined = stand.try_post(&path, "", &[]).await;
    assert_eq!((declined.status, &declined.error()["code"]), (402, &json!("card_declined")));
    let after = latest(&stand, &subscription).await;
    assert_eq!(after["attempt_count"], 1, "only the schedule counts on");
    assert_eq!(after["next_payment_attempt"], invoice["next_payment_attempt"]);

    let customer = invoice["customer"].as_str().unwrap();
    let method = stand.post("/v1/payment_methods/pm_card_visa/attach", &format!("customer={customer}")).await;
    let paid = stand.post(&path, &format!("payment_method={}", id(&method))).await;
    assert_eq!(paid["status"], "paid");
    assert_eq!(stand.subscription(&subscription).await["status"], "active");
    assert_eq!(stand.try_post(&path, "", &[]).await.status, 400, "it is paid once");
}

#[tokio::test]
async fn a_trial_on_a_card_that_fails_becomes_past_due() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let session = stand.subscription_session(&price, "&subscription_data[trial_period_days]=7").await;
    let begun = stand.pay(id(&session), FAILS_LATER).await.json();
    stand.live(7 * DAY_MS + HOUR_MS).await;
    assert_eq!(stand.subscription(begun["subscription"].as_str().unwrap()).await["status"], "past_due");
}

#[tokio::test]
async fn a_shorter_period_goes_on_while_an_invoice_is_owed() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    stand.swap_card(id(&bought), FAILS_LATER).await;
    stand.live(14 * DAY_MS + 2 * HOUR_MS).await;
    let invoices = stand.invoices(id(&bought)).await;
    assert_eq!((invoices.len(), &invoices[0]["status"]), (3, &json!("open")));

    stand.swap_card(id(&bought), PAYS).await;
    stand.post(&format!("/v1/invoices/{}/pay", id(&invoices[1])), "").await;
    assert_eq!(stand.subscription(id(&bought)).await["status"], "past_due", "the latest is still owed");
    stand.post(&format!("/v1/invoices/{}/pay", id(&invoices[0])), "").await;
    assert_eq!(stand.subscription(id(&bought)).await["status"], "active");
}

#[tokio::test]
async fn an_older_invoice_that_fails_again_does_not_undo_a_later_one_that_is_paid() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    stand.swap_card(id(&bought), FAILS_LATER).await;
    stand.live(14 * DAY_MS).await;
    stand.swap_card(id(&bought), PAYS).await;
    stand.live(2 * HOUR_MS).await;
    assert_eq!(stand.subscription(id(&bought)).await["status"], "active");
    stand.swap_card(id(&bought), FAILS_LATER).await;
    stand.live(6 * DAY_MS).await;
    let older = &stand.invoices(id(&bought)).await[1];
    assert_eq!((&older["status"], &older["attempt_count"]), (&json!("open"), &json!(4)));
    assert_eq!(stand.subscription(id(&bought)).await["status"], "active");
}

/// A subscription whose last retry has been declined.
async fn exhausted(stand: &Stand, after_retries: &str) -> String {
    let chosen =
        stand.shopper("/_sandbox/settings", &format!(r#"{{"after_retries":"{after_retries}"}}"#)).await;
    assert_eq!(chosen.status, 200, "{}", chosen.text);
    let (subscription, _) = declined(stand).await;
    stand.live(16 * DAY_MS).await;
    subscription
}

#[tokio::test]
async fn an_unpaid_subscription_goes_on_in_drafts_until_its_latest_invoice_is_paid() {
    let stand = Stand::start().await;
    let subscription = exhausted(&stand, "unpaid").await;
    assert_eq!(stand.subscription(&subscription).await["status"], "unpaid");
    let owed = latest(&stand, &subscription).await;
    assert_eq!((&owed["status"], &owed["auto_advance"]), (&json!("open"), &json!(false)));
    stand.live(45 * DAY_MS).await;
    let invoices = stand.invoices(&subscription).await;
    assert_eq!(
        (invoices.len(), &invoices[0]["status"], &invoices[1]["status"]),
        (4, &json!("draft"), &json!("draft"))
    );
    assert_eq!(invoices[0]["auto_advance"], false);
    assert_eq!(stand.subscription(&subscription).await["status"], "unpaid");

    stand.swap_card(&subscription, PAYS).await;
    stand.post(&format!("/v1/invoices/{}/pay", id(&owed)), "").await;
    assert_eq!(stand.subscription(&subscription).await["status"], "unpaid", "that was not the latest");
    stand.post(&format!("/v1/invoices/{}/pay", id(&invoices[0])), "").await;
    assert_eq!(stand.subscription(&subscription).await["status"], "active");
    stand.live(31 * DAY_MS).await;
    assert_eq!(latest(&stand, &subscription).await["status"], "paid", "and it renews by itself again");
}

#[tokio::test]
async fn after_its_retries_a_subscription_may_stay_past_due() {
    let stand = Stand::start().await;
    let subscription = exhausted(&stand, "past_due").await;
    assert_eq!(stand.subscription(&subscription).await["status"], "past_due");
    let owed = latest(&stand, &subscription).await;
    assert_eq!((&owed["status"], &owed["next_payment_attempt"]), (&json!("open"), &json!(null)));
    stand.swap_card(&subscription, PAYS).await;
    stand.post(&format!("/v1/invoices/{}/pay", id(&owed)), "").await;
    assert_eq!(stand.subscription(&subscription).await["status"], "active");
}
