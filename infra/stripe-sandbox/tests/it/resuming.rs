//! Resumptions that only a payment completes.

use serde_json::{Value, json};

use crate::stand::{DAY_MS, FAILS_LATER, HOUR_MS, PAYS, Stand, id, period, types};

/// A subscription at 9.99 a month whose trial ended without a card.
async fn paused(stand: &Stand) -> Value {
    let price = stand.plan("Premium", 999, "month").await;
    let customer = stand.post("/v1/customers", "email=a@b.test&name=Ada").await;
    let form = format!(
        "customer={}&items[0][price]={price}&trial_period_days=7\
         &trial_settings[end_behavior][missing_payment_method]=pause",
        id(&customer)
    );
    let trial = stand.post("/v1/subscriptions", &form).await;
    stand.live(7 * DAY_MS).await;
    let paused = stand.subscription(id(&trial)).await;
    assert_eq!(paused["status"], "paused");
    paused
}

async fn resume(stand: &Stand, subscription: &Value) -> Value {
    let path = format!("/v1/subscriptions/{}/resume", id(subscription));
    stand.post(&path, "payment_behavior=resume_on_payment_success").await
}

async fn status(stand: &Stand, subscription: &Value) -> Value {
    stand.subscription(id(subscription)).await["status"].take()
}

async fn newest_invoice(stand: &Stand, subscription: &Value) -> Value {
    stand.invoices(id(subscription)).await.remove(0)
}

#[tokio::test]
async fn what_is_paid_at_once_is_resumed_at_once() {
    let stand = Stand::start().await;
    let subscription = paused(&stand).await;
    stand.swap_card(id(&subscription), PAYS).await;
    let resumed = resume(&stand, &subscription).await;
    assert_eq!((&resumed["status"], &resumed["status_details"]), (&json!("active"), &json!(null)));
    assert_eq!(period(&resumed).0, stand.now());
    assert_eq!(newest_invoice(&stand, &subscription).await["amount_paid"], 999);
}

#[tokio::test]
async fn a_decline_leaves_it_paused_with_the_open_invoice_until_that_is_paid() {
    let stand = Stand::start().await;
    let subscription = paused(&stand).await;
    stand.swap_card(id(&subscription), FAILS_LATER).await;
    let seen = stand.event_types().await.len();
    let declined = resume(&stand, &subscription).await;
    assert_eq!(declined["status"], "paused");
    assert!(declined["status_details"]["paused"].is_object());
    let told = stand.events_after(seen).await;
    assert!(types(&told).contains(&"invoice.payment_failed"));
    assert!(!types(&told).contains(&"customer.subscription.resumed"));
    let invoice = newest_invoice(&stand, &subscription).await;
    assert_eq!((&invoice["id"], &invoice["status"]), (&declined["latest_invoice"], &json!("open")));
    assert!(invoice["next_payment_attempt"].is_i64(), "it is charged again");

    stand.swap_card(id(&subscription), PAYS).await;
    assert_eq!(status(&stand, &subscription).await, "paused", "a card alone pays nothing");
    let seen = stand.event_types().await.len();
    stand.post(&format!("/v1/invoices/{}/pay", id(&invoice)), "").await;
    assert_eq!(status(&stand, &subscription).await, "active");
    let told = stand.events_after(seen).await;
    let (last, updated) = (told.last().unwrap(), &told[told.len() - 2]);
    assert_eq!(last["type"], "customer.subscription.resumed");
    assert_eq!(updated["data"]["previous_attributes"]["status"], "paused");
}

#[tokio::test]
async fn it_is_charged_again_by_the_usual_schedule_and_given_up_after_it() {
    let stand = Stand::start().await;
    let lucky = paused(&stand).await;
    stand.swap_card(id(&lucky), FAILS_LATER).await;
    resume(&stand, &lucky).await;
    stand.swap_card(id(&lucky), PAYS).await;
    stand.live(DAY_MS).await;
    assert_eq!(status(&stand, &lucky).await, "active", "the first retry, past the 23 hours of others");

    let unlucky = paused(&stand).await;
    stand.swap_card(id(&unlucky), FAILS_LATER).await;
    let invoice = resume(&stand, &unlucky).await["latest_invoice"].take();
    stand.live(15 * DAY_MS).await;
    let path = format!("/v1/invoices/{}", invoice.as_str().unwrap());
    assert_eq!(stand.get(&path).await["status"], "open");
    stand.live(2 * DAY_MS).await;
    assert_eq!(stand.get(&path).await["status"], "void");
    assert_eq!(status(&stand, &unlucky).await, "paused");
}

#[tokio::test]
async fn without_anything_to_charge_it_waits_for_23_hours() {
    let stand = Stand::start().await;
    let subscription = paused(&stand).await;
    let waiting = resume(&stand, &subscription).await;
    assert_eq!(waiting["status"], "paused");
    let path = format!("/v1/invoices/{}", waiting["latest_invoice"].as_str().unwrap());
    assert_eq!(stand.get(&path).await["status"], "open");
    stand.live(23 * HOUR_MS).await;
    assert_eq!(stand.get(&path).await["status"], "void");
    assert_eq!(status(&stand, &subscription).await, "paused");
}

#[tokio::test]
async fn another_resumption_takes_the_place_of_one_that_was_not_paid() {
    let stand = Stand::start().await;
    let subscription = paused(&stand).await;
    stand.swap_card(id(&subscription), FAILS_LATER).await;
    let first = resume(&stand, &subscription).await["latest_invoice"].take();
    stand.swap_card(id(&subscription), PAYS).await;
    assert_eq!(resume(&stand, &subscription).await["status"], "active");
    let invoices = stand.invoices(id(&subscription)).await;
    assert_eq!((&invoices[0]["status"], &invoices[1]["status"]), (&json!("paid"), &json!("void")));
    assert_eq!(invoices[1]["id"], first);

    let other = paused(&stand).await;
    stand.swap_card(id(&other), FAILS_LATER).await;
    let path = format!("/v1/subscriptions/{}/resume", id(&other));
    resume(&stand, &other).await;
    let refused = stand.try_post(&path, "payment_behavior=default_incomplete", &[]).await;
    assert_eq!(refused.error()["param"], "payment_behavior");
    let attempted = stand.post(&path, "payment_behavior=resume_on_payment_attempt").await;
    assert_eq!(attempted["status"], "past_due", "the last request says what an attempt does");
}

#[tokio::test]
async fn a_bank_debit_resumes_it_when_the_money_arrives() {
    let stand = Stand::start().await;
    for (iban, invoice_becomes) in [("DE89370400440532013000", "paid"), ("DE62370400440532013001", "open")] {
        let subscription = paused(&stand).await;
        let waiting = resume(&stand, &subscription).await;
        let invoice = waiting["latest_invoice"].as_str().unwrap();
        let body = format!(r#"{{"iban":"{iban}"}}"#);
        let paid = stand.shopper(&format!("/_sandbox/invoices/{invoice}/pay"), &body).await;
        assert_eq!(paid.json()["status"], "processing", "{}", paid.text);
        stand.live(2 * DAY_MS).await;
        assert_eq!(status(&stand, &subscription).await, "paused", "the bank is at it");
        let again = format!("/v1/subscriptions/{}/resume", id(&subscription));
        assert_eq!(stand.try_post(&again, "", &[]).await.status, 400, "what is being paid is not given up");
        stand.live(DAY_MS).await;
        let invoice = stand.get(&format!("/v1/invoices/{invoice}")).await;
        assert_eq!(invoice["status"], invoice_becomes);
        let becomes = if invoice_becomes == "paid" { "active" } else { "paused" };
        assert_eq!(status(&stand, &subscription).await, becomes);
    }
}
