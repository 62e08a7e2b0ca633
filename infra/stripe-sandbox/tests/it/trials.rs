//! Trials from their beginning to whatever follows them, and subscriptions that are paused.

use serde_json::{Value, json};

use crate::stand::{DAY_MS, FAILS_LATER, HOUR_MS, PAYS, Stand, id, period, types};

const DAY: i64 = 86_400;

/// A trial of a week at 9.99 a month, of a customer without a card.
async fn without_card(stand: &Stand, missing: &str) -> Value {
    let price = stand.plan("Premium", 999, "month").await;
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let form = format!(
        "customer={customer}&items[0][price]={price}&trial_period_days=7\
         &trial_settings[end_behavior][missing_payment_method]={missing}"
    );
    let trial = stand.post("/v1/subscriptions", &form).await;
    assert_eq!((&trial["status"], &trial["trial_start"]), (&json!("trialing"), &json!(stand.now())));
    assert_eq!(trial["trial_settings"]["end_behavior"]["missing_payment_method"], json!(missing));
    trial
}

async fn give_card(stand: &Stand, subscription: &Value, card: &str) {
    stand.swap_card(id(subscription), card).await;
}

#[tokio::test]
async fn a_trial_has_a_length_or_an_end_of_its_own() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let form = format!("customer={customer}&items[0][price]={price}");
    let end = stand.now() + 10 * DAY + 5;
    let trial = stand.post("/v1/subscriptions", &format!("{form}&trial_end={end}")).await;
    assert_eq!((&trial["trial_end"], period(&trial)), (&json!(end), (stand.now(), end)));
    assert_eq!(trial["billing_cycle_anchor"], end);

    let both = format!("{form}&trial_end={end}&trial_period_days=3");
    let past = format!("{form}&trial_end={}", stand.now());
    let far = format!("{form}&trial_end={}", stand.now() + 731 * DAY);
    for refused in [both, past, far] {
        let answer = stand.try_post("/v1/subscriptions", &refused, &[]).await;
        assert_eq!((answer.status, &answer.error()["param"]), (400, &json!("trial_end")), "{refused}");
    }
    let soon = format!("&subscription_data[trial_end]={}", stand.now() + DAY);
    let form = format!(
        "mode=subscription&line_items[0][price]={price}&line_items[0][quantity]=1&success_url=https://a.test{soon}"
    );
    let refused = stand.try_post("/v1/checkout/sessions", &form, &[]).await;
    assert_eq!(refused.error()["param"], "subscription_data[trial_end]", "two days ahead at least");
}

#[tokio::test]
async fn a_trial_bought_at_the_till_may_name_its_end() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let end = stand.now() + 5 * DAY;
    let trial = stand.subscribe(&price, &format!("&subscription_data[trial_end]={end}")).await;
    assert_eq!((&trial["status"], &trial["trial_end"]), (&json!("trialing"), &json!(end)));
}

#[tokio::test]
async fn a_checkout_that_needs_no_card_takes_none() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let more = "&payment_method_collection=if_required&subscription_data[trial_period_days]=7\
                &subscription_data[trial_settings][end_behavior][missing_payment_method]=pause";
    let trial = stand.subscribe(&price, more).await;
    assert_eq!((&trial["status"], &trial["default_payment_method"]), (&json!("trialing"), &json!(null)));
    let customer = trial["customer"].as_str().unwrap();
    let cards = stand.get(&format!("/v1/customers/{customer}/payment_methods")).await;
    assert_eq!(cards["data"], json!([]));
    stand.live(7 * DAY_MS).await;
    assert_eq!(stand.subscription(id(&trial)).await["status"], "paused");

    let paid = stand.subscribe(&price, "&payment_method_collection=if_required").await;
    assert!(paid["default_payment_method"].is_string(), "where something is due, a card is needed");
}

#[tokio::test]
async fn a_trial_without_a_card_ends_as_its_settings_say() {
    let stand = Stand::start().await;
    for (missing, status, invoices) in [("create_invoice", "active", 2), ("cancel", "canceled", 1)] {
        let trial = without_card(&stand, missing).await;
        stand.live(7 * DAY_MS).await;
        let ended = stand.subscription(id(&trial)).await;
        assert_eq!(ended["status"], status);
        assert_eq!(stand.invoices(id(&trial)).await.len(), invoices);
        stand.live(HOUR_MS).await;
        let later = stand.subscription(id(&trial)).await;
        assert_eq!(later["status"], if missing == "cancel" { "canceled" } else { "past_due" });
    }
}

#[tokio::test]
async fn a_trial_that_pauses_is_told_of_and_bills_nothing_until_it_is_resumed() {
    let stand = Stand::start().await;
    let trial = without_card(&stand, "pause").await;
    stand.live(7 * DAY_MS - 1).await;
    let seen = stand.event_types().await.len();
    stand.live(1).await;
    let events = stand.events_after(seen).await;
    assert_eq!(types(&events), ["customer.subscription.updated", "customer.subscription.paused"]);
    assert_eq!(events[0]["data"]["previous_attributes"]["status"], "trialing");
    stand.live(90 * DAY_MS).await;
    let paused = stand.subscription(id(&trial)).await;
    assert_eq!(paused["status"], "paused");
    let details = &paused["status_details"]["paused"];
    assert_eq!(details["subscription"]["type"], "trial_end_without_payment_method");
    assert_eq!(stand.invoices(id(&trial)).await.len(), 1, "the trial's own");

    give_card(&stand, &trial, PAYS).await;
    let seen = stand.event_types().await.len();
    let path = format!("/v1/subscriptions/{}/resume", id(&trial));
    let resumed = stand.post(&path, "").await;
    assert_eq!((&resumed["status"], &resumed["status_details"]), (&json!("active"), &json!(null)));
    assert_eq!((period(&resumed).0, &resumed["billing_cycle_anchor"]), (stand.now(), &json!(stand.now())));
    assert_eq!(stand.invoices(id(&trial)).await[0]["amount_paid"], 999);
    let events = stand.events_after(seen).await;
    assert_eq!(types(&events).last(), Some(&"customer.subscription.resumed"));
    assert_eq!(stand.try_post(&path, "", &[]).await.status, 400, "it is not paused any more");
    stand.live((period(&resumed).1 - stand.now()) * 1000 + HOUR_MS).await;
    assert_eq!(stand.invoices(id(&trial)).await.len(), 3, "and it renews");
}

#[tokio::test]
async fn a_resumption_that_cannot_be_paid_is_past_due_or_waits_for_23_hours() {
    let stand = Stand::start().await;
    let trial = without_card(&stand, "pause").await;
    stand.live(7 * DAY_MS).await;
    let path = format!("/v1/subscriptions/{}/resume", id(&trial));
    let waiting = stand.post(&path, "billing_cycle_anchor=now").await;
    assert_eq!(waiting["status"], "paused", "there is nothing to charge");
    let invoice = waiting["latest_invoice"].as_str().unwrap().to_owned();
    stand.live(23 * HOUR_MS).await;
    assert_eq!(stand.get(&format!("/v1/invoices/{invoice}")).await["status"], "void");
    assert_eq!(stand.subscription(id(&trial)).await["status"], "paused");

    let waiting = stand.post(&path, "").await;
    let invoice = waiting["latest_invoice"].as_str().unwrap().to_owned();
    give_card(&stand, &trial, PAYS).await;
    stand.post(&format!("/v1/invoices/{invoice}/pay"), "").await;
    assert_eq!(stand.subscription(id(&trial)).await["status"], "active");

    let other = without_card(&stand, "pause").await;
    stand.live(7 * DAY_MS).await;
    give_card(&stand, &other, FAILS_LATER).await;
    let failed = stand.post(&format!("/v1/subscriptions/{}/resume", id(&other)), "").await;
    assert_eq!(failed["status"], "past_due");
}

#[tokio::test]
async fn a_resumption_may_keep_the_days_of_billing() {
    let stand = Stand::start().await;
    for (proration, invoices) in [("none", 1), ("create_prorations", 1), ("always_invoice", 2)] {
        let trial = without_card(&stand, "pause").await;
        let anchor = trial["trial_end"].as_i64().unwrap();
        stand.live(17 * DAY_MS).await;
        give_card(&stand, &trial, PAYS).await;
        let path = format!("/v1/subscriptions/{}/resume", id(&trial));
        let form = format!("billing_cycle_anchor[type]=unchanged&proration_behavior={proration}");
        let resumed = stand.post(&path, &form).await;
        assert_eq!((&resumed["status"], period(&resumed).0), (&json!("active"), anchor));
        assert_eq!(stand.invoices(id(&trial)).await.len(), invoices, "{proration}");
        stand.live((period(&resumed).1 - stand.now()) * 1000 + HOUR_MS).await;
        let renewal = &stand.invoices(id(&trial)).await[0];
        assert_eq!(renewal["total"].as_i64().unwrap() > 999, proration == "create_prorations", "{renewal}");
    }
}

#[tokio::test]
async fn a_trial_can_be_ended_now_and_is_paid_at_once() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let trial = stand.subscribe(&price, "&subscription_data[trial_period_days]=10").await;
    stand.live(2 * DAY_MS).await;
    let ended = stand.post(&format!("/v1/subscriptions/{}", id(&trial)), "trial_end=now").await;
    assert_eq!((&ended["status"], &ended["trial_end"]), (&json!("active"), &json!(stand.now())));
    assert_eq!((period(&ended).0, &ended["billing_cycle_anchor"]), (stand.now(), &json!(stand.now())));
    let invoice = &stand.invoices(id(&trial)).await[0];
    assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&json!("paid"), &json!(999)));
    let told = stand.get("/v1/events?type=customer.subscription.trial_will_end").await;
    assert_eq!(told["data"].as_array().unwrap().len(), 1, "it is announced when it is ended");
    stand.live(20 * DAY_MS).await;
    assert_eq!(stand.invoices(id(&trial)).await.len(), 2, "the trial's old end means nothing any more");
}

#[tokio::test]
async fn the_end_of_a_trial_can_be_moved() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let trial = stand.subscribe(&price, "&subscription_data[trial_period_days]=4").await;
    let end = stand.now() + 9 * DAY;
    let path = format!("/v1/subscriptions/{}", id(&trial));
    let told = stand
        .post(
            "/v1/invoices/create_preview",
            &format!("subscription={}&subscription_details[trial_end]={end}", id(&trial)),
        )
        .await;
    assert_eq!(told["amount_due"], 0);
    let moved = stand.post(&path, &format!("trial_end={end}")).await;
    assert_eq!((&moved["status"], period(&moved)), (&json!("trialing"), (stand.now(), end)));
    stand.live(8 * DAY_MS).await;
    assert_eq!(stand.subscription(id(&trial)).await["status"], "trialing");
    stand.live(DAY_MS + HOUR_MS).await;
    let begun = stand.subscription(id(&trial)).await;
    assert_eq!((&begun["status"], period(&begun).0), (&json!("active"), end));
    assert_eq!(stand.invoices(id(&trial)).await[0]["amount_paid"], 999);
    let announced = stand.hook.received_of("customer.subscription.trial_will_end");
    assert_eq!(announced.len(), 1, "three days before the end that it came to");
    let short = stand.subscribe(&price, "&subscription_data[trial_period_days]=9").await;
    let soon = format!("trial_end={}", stand.now() + DAY);
    stand.post(&format!("/v1/subscriptions/{}", id(&short)), &soon).await;
    stand.sandbox.run_due().await;
    assert_eq!(stand.hook.received_of("customer.subscription.trial_will_end").len(), 2, "at once");
}

#[tokio::test]
async fn a_trial_within_a_paid_period_gives_back_the_rest_of_it() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 700, "week").await;
    let bought = stand.subscribe(&price, "").await;
    stand.live(2 * DAY_MS).await;
    let end = stand.now() + 10 * DAY;
    let free = stand.post(&format!("/v1/subscriptions/{}", id(&bought)), &format!("trial_end={end}")).await;
    assert_eq!((&free["status"], period(&free)), (&json!("trialing"), (stand.now(), end)));
    let invoice = &stand.invoices(id(&bought)).await[0];
    assert_eq!((&invoice["total"], &invoice["ending_balance"]), (&json!(-500), &json!(-500)));
    stand.live(10 * DAY_MS + HOUR_MS).await;
    let renewal = &stand.invoices(id(&bought)).await[0];
    assert_eq!((&renewal["total"], &renewal["amount_paid"]), (&json!(700), &json!(200)));
}

#[tokio::test]
async fn while_collection_is_paused_invoices_become_what_was_chosen() {
    let stand = Stand::start().await;
    for (behavior, status) in
        [("keep_as_draft", "draft"), ("mark_uncollectible", "uncollectible"), ("void", "void")]
    {
        let price = stand.plan("Weekly", 700, "week").await;
        let bought = stand.subscribe(&price, "").await;
        let path = format!("/v1/subscriptions/{}", id(&bought));
        let until = stand.now() + 10 * DAY;
        let form = format!("pause_collection[behavior]={behavior}&pause_collection[resumes_at]={until}");
        let paused = stand.post(&path, &form).await;
        assert_eq!(paused["status"], "active");
        assert_eq!(paused["pause_collection"], json!({"behavior": behavior, "resumes_at": until}));
        stand.live(8 * DAY_MS).await;
        assert_eq!(stand.invoices(id(&bought)).await[0]["status"], status);
        assert_eq!(stand.subscription(id(&bought)).await["status"], "active");
        stand.live(2 * DAY_MS).await;
        assert_eq!(stand.subscription(id(&bought)).await["pause_collection"], json!(null));
        stand.live(5 * DAY_MS).await;
        let invoices = stand.invoices(id(&bought)).await;
        assert_eq!((invoices.len(), &invoices[0]["status"]), (3, &json!("paid")));
        assert_eq!(invoices[1]["status"], status, "what was held back stays so");
        stand.delete(&path).await;
    }
    let price = stand.plan("Weekly", 700, "week").await;
    let bought = stand.subscribe(&price, "").await;
    let path = format!("/v1/subscriptions/{}", id(&bought));
    stand.post(&path, "pause_collection[behavior]=void").await;
    assert_eq!(stand.post(&path, "pause_collection=").await["pause_collection"], json!(null));
    let refused = stand.try_post(&path, "pause_collection[resumes_at]=1", &[]).await;
    assert_eq!(refused.error()["param"], "pause_collection[behavior]");
}
