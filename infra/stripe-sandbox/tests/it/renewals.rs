//! What time makes of a subscription.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use serde_json::{Value, json};

use crate::stand::{DAY_MS, HOUR_MS, Hook, MINUTE_MS, PAYS, Stand, id, period, seconds, types};

async fn stand_at(date: &str) -> Stand {
    Stand::start_with(None, Hook::start().await, Arc::new(AtomicI64::new(seconds(date) * 1000))).await
}

#[tokio::test]
async fn a_renewal_is_drafted_when_the_period_ends_and_charged_an_hour_later() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "&subscription_data[metadata][user]=u-1").await;
    let (start, end) = period(&bought);
    stand.live(7 * DAY_MS - 1).await;
    let seen = stand.event_types().await.len();
    assert_eq!(stand.sandbox.next_due(), Some(end * 1000));

    stand.live(1).await;
    let events = stand.events_after(seen).await;
    assert_eq!(types(&events), ["customer.subscription.updated", "invoice.created"]);
    let previous = &events[0]["data"]["previous_attributes"];
    assert_eq!(previous["items"]["data"][0]["current_period_end"], end);
    assert_eq!(previous["latest_invoice"], bought["latest_invoice"]);
    let renewed = stand.subscription(id(&bought)).await;
    assert_eq!(period(&renewed), (end, end + 7 * 86_400));
    let draft = &stand.invoices(id(&bought)).await[0];
    assert_eq!((&draft["status"], &draft["auto_advance"]), (&json!("draft"), &json!(true)));
    assert_eq!(draft["billing_reason"], "subscription_cycle");
    assert_eq!((draft["period_start"].as_i64(), draft["period_end"].as_i64()), (Some(start), Some(end)));
    assert_eq!(draft["lines"]["data"][0]["period"]["start"], json!(end), "lines look forward");
    assert_eq!(draft["parent"]["subscription_details"]["metadata"], json!({"user": "u-1"}));

    stand.live(HOUR_MS).await;
    assert_eq!(
        types(&stand.events_after(seen + 2).await),
        [
            "invoice.finalized",
            "payment_intent.created",
            "payment_intent.succeeded",
            "charge.succeeded",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
        ]
    );
    let paid = &stand.invoices(id(&bought)).await[0];
    assert_eq!((&paid["status"], &paid["amount_paid"]), (&json!("paid"), &json!(299)));
    assert_eq!((&paid["attempt_count"], &paid["auto_advance"]), (&json!(1), &json!(false)));
    assert_eq!(stand.subscription(id(&bought)).await["status"], "active");
}

#[tokio::test]
async fn months_are_clamped_and_never_drift() {
    let stand = stand_at("2027-01-31T10:00:00Z").await;
    let price = stand.plan("Premium", 999, "month").await;
    let bought = stand.subscribe(&price, "").await;
    let mut ends = vec![period(&bought).1];
    for _ in 0..3 {
        let next = ends[ends.len() - 1] * 1000 - stand.now() * 1000;
        stand.live(next).await;
        ends.push(period(&stand.subscription(id(&bought)).await).1);
    }
    let expected = ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"];
    assert_eq!(ends, expected.map(|day| seconds(&format!("{day}T10:00:00Z"))));
}

#[tokio::test]
async fn periods_that_pass_in_one_jump_happen_in_order_and_at_their_own_times() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    let start = stand.now();
    let seen = stand.event_types().await.len();
    stand.advance(4 * 7 * DAY_MS + 2 * HOUR_MS);
    stand.sandbox.run_due().await;

    let invoices = stand.invoices(id(&bought)).await;
    let week = 7 * 86_400;
    let created: Vec<i64> = invoices.iter().map(|invoice| invoice["created"].as_i64().unwrap()).collect();
    assert_eq!(created, [4, 3, 2, 1, 0].map(|weeks| start + weeks * week));
    for invoice in &invoices[..4] {
        let created = invoice["created"].as_i64().unwrap();
        assert_eq!(invoice["status"], "paid");
        assert_eq!(invoice["status_transitions"]["paid_at"], created + 3600);
        assert_eq!(invoice["lines"]["data"][0]["period"]["start"], created);
        assert_eq!(invoice["lines"]["data"][0]["period"]["end"], created + week);
    }
    let dates: Vec<i64> =
        stand.events_after(seen).await.iter().map(|event| event["created"].as_i64().unwrap()).collect();
    assert!(dates.is_sorted(), "{dates:?}");
    assert_eq!((dates[0], dates[dates.len() - 1]), (start + week, start + 4 * week + 3600));
    let charges = stand.get("/v1/charges").await;
    assert_eq!(charges["data"][0]["created"], start + 4 * week + 3600);
    assert_eq!(charges["data"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_trial_is_announced_three_days_before_its_end_and_then_charged() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let trial = stand.subscribe(&price, "&subscription_data[trial_period_days]=10").await;
    let end = trial["trial_end"].as_i64().unwrap();
    stand.live(7 * DAY_MS - 1).await;
    assert!(stand.hook.received_of("customer.subscription.trial_will_end").is_empty());
    stand.live(1).await;
    assert_eq!(stand.hook.received_of("customer.subscription.trial_will_end").len(), 1);
    stand.live(3 * DAY_MS).await;
    let begun = stand.subscription(id(&trial)).await;
    assert_eq!(begun["status"], "active");
    assert_eq!(period(&begun).0, end);
    stand.live(HOUR_MS).await;
    let first = &stand.invoices(id(&trial)).await[0];
    assert_eq!((&first["status"], &first["amount_paid"]), (&json!("paid"), &json!(999)));
    assert_eq!(first["billing_reason"], "subscription_cycle");
    assert_eq!(stand.hook.received_of("customer.subscription.trial_will_end").len(), 1, "announced once");
}

#[tokio::test]
async fn a_trial_shorter_than_the_notice_is_announced_at_once() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    stand.subscribe(&price, "&subscription_data[trial_period_days]=2").await;
    stand.live(3 * DAY_MS).await;
    assert_eq!(stand.hook.received_of("customer.subscription.trial_will_end").len(), 1);
}

#[tokio::test]
async fn what_is_canceled_at_the_period_end_ends_then_without_another_invoice() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    let path = format!("/v1/subscriptions/{}", id(&bought));
    stand.live(HOUR_MS).await;
    let leaving = stand.post(&path, "cancel_at_period_end=true").await;
    let end = period(&bought).1;
    assert_eq!((&leaving["status"], &leaving["cancel_at"]), (&json!("active"), &json!(end)));
    assert_eq!(leaving["canceled_at"], stand.now());
    assert_eq!(leaving["cancellation_details"]["reason"], "cancellation_requested");
    let told = stand.get("/v1/events?type=customer.subscription.updated").await["data"][0].clone();
    assert_eq!(told["data"]["previous_attributes"]["cancel_at_period_end"], false);
    assert_eq!(told["data"]["previous_attributes"]["cancel_at"], json!(null));

    stand.live(14 * DAY_MS).await;
    let ended = stand.subscription(id(&bought)).await;
    assert_eq!((&ended["status"], &ended["ended_at"]), (&json!("canceled"), &json!(end)));
    assert_eq!(ended["canceled_at"], leaving["canceled_at"], "when it was asked for");
    assert_eq!(stand.invoices(id(&bought)).await.len(), 1);
    assert_eq!(stand.hook.received_of("customer.subscription.deleted").len(), 1);
    assert_eq!(stand.sandbox.next_due(), None);
}

#[tokio::test]
async fn a_cancellation_taken_back_renews() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    let path = format!("/v1/subscriptions/{}", id(&bought));
    stand.post(&path, "cancel_at_period_end=true").await;
    let kept = stand.post(&path, "cancel_at_period_end=false").await;
    assert_eq!((&kept["cancel_at"], &kept["canceled_at"]), (&json!(null), &json!(null)));
    stand.live(8 * DAY_MS).await;
    assert_eq!(stand.invoices(id(&bought)).await.len(), 2);
}

#[tokio::test]
async fn a_subscription_ends_in_the_middle_of_a_period_if_that_is_its_date() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let bought = stand.subscribe(&price, "").await;
    let path = format!("/v1/subscriptions/{}", id(&bought));
    let at = stand.now() + 3 * 86_400;
    let leaving = stand.post(&path, &format!("cancel_at={at}")).await;
    assert_eq!((&leaving["cancel_at"], &leaving["cancel_at_period_end"]), (&json!(at), &json!(false)));
    for refused in ["cancel_at=1".to_owned(), format!("cancel_at={at}&cancel_at_period_end=true")] {
        assert_eq!(stand.try_post(&path, &refused, &[]).await.error()["param"], "cancel_at");
    }
    stand.live(4 * DAY_MS).await;
    assert_eq!(stand.subscription(id(&bought)).await["ended_at"], at);
}

#[tokio::test]
async fn renewals_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = Some(folder.path().join("stripe.sqlite"));
    let clock = Arc::new(AtomicI64::new(crate::stand::START_MS));
    let hook = Hook::start().await;
    let stand = Stand::start_with(file.clone(), hook.clone(), clock.clone()).await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    stand.stop().await;
    let stand = Stand::start_with(file, hook, clock).await;
    stand.live(7 * DAY_MS + HOUR_MS + MINUTE_MS).await;
    let statuses: Vec<Value> =
        stand.invoices(id(&bought)).await.iter().map(|invoice| invoice["status"].clone()).collect();
    assert_eq!(statuses, ["paid", "paid"]);
}

#[tokio::test]
async fn a_card_that_was_authenticated_once_renews_by_itself() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let session = stand.subscription_session(&price, "").await;
    let asked = stand.pay(id(&session), "4000 0025 0000 3155").await.json();
    let done = stand.shopper(asked["next"].as_str().unwrap(), "").await.json();
    stand.live(8 * DAY_MS).await;
    let invoices = stand.invoices(done["subscription"].as_str().unwrap()).await;
    assert_eq!((invoices.len(), &invoices[0]["status"]), (2, &json!("paid")));
}

#[tokio::test]
async fn a_deleted_customer_has_no_subscription_any_more() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let customer = stand.post("/v1/customers", "").await;
    let more = format!("&customer={}", id(&customer));
    let bought = stand.subscribe(&price, &more).await;
    stand.pay(id(&stand.subscription_session(&price, &more).await), PAYS).await;
    stand.delete(&format!("/v1/customers/{}", id(&customer))).await;
    assert_eq!(stand.subscription(id(&bought)).await["status"], "canceled");
    let told = stand.hook.received_of("customer.subscription.deleted");
    assert_eq!(told.len(), 2, "each of them is told of: {told:?}");
    stand.live(30 * DAY_MS).await;
    assert_eq!(stand.invoices(id(&bought)).await.len(), 1);
}

#[tokio::test]
async fn what_a_deleted_customer_had_in_the_cart_cannot_be_paid_any_more() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let customer = stand.post("/v1/customers", "").await;
    let session = stand.subscription_session(&price, &format!("&customer={}", id(&customer))).await;
    stand.delete(&format!("/v1/customers/{}", id(&customer))).await;
    let refused = stand.pay(id(&session), PAYS).await;
    assert_eq!(refused.json()["error"]["code"], "resource_missing");
    assert_eq!(stand.get("/v1/subscriptions?status=all").await["data"], json!([]));
}
