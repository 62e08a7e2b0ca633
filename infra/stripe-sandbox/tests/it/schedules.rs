//! Subscriptions that follow a schedule.

use serde_json::{Value, json};

use crate::stand::{DAY_MS, FAILS_LATER, HOUR_MS, Stand, id, period, types};

const SCHEDULES: &str = "/v1/subscription_schedules";
const WEEK: i64 = 7 * 86_400;

/// A weekly subscription at 14.00, its schedule, and the price at 7.00 to move to.
struct Managed {
    subscription: Value,
    schedule: Value,
    large: String,
    small: String,
}

async fn managed(stand: &Stand) -> Managed {
    let (large, small) = (stand.plan("Large", 1400, "week").await, stand.plan("Small", 700, "week").await);
    let subscription = stand.subscribe(&large, "").await;
    let schedule = stand.post(SCHEDULES, &format!("from_subscription={}", id(&subscription))).await;
    Managed { subscription, schedule, large, small }
}

impl Managed {
    fn path(&self) -> String {
        format!("{SCHEDULES}/{}", id(&self.schedule))
    }

    fn subscription_path(&self) -> String {
        format!("/v1/subscriptions/{}", id(&self.subscription))
    }

    /// The phase that runs, as it is, and one after it at the smaller price.
    fn downgrade(&self) -> String {
        let (start, end) = period(&self.subscription);
        format!(
            "phases[0][items][0][price]={}&phases[0][items][0][quantity]=1&phases[0][start_date]={start}\
             &phases[0][end_date]={end}&phases[1][items][0][price]={}&phases[1][items][0][quantity]=1",
            self.large, self.small
        )
    }
}

fn price_of(subscription: &Value) -> &str {
    id(&subscription["items"]["data"][0]["price"])
}

#[tokio::test]
async fn a_schedule_made_of_a_subscription_is_what_that_is() {
    let stand = Stand::start().await;
    let seen = stand.event_types().await.len();
    let it = managed(&stand).await;
    let (start, end) = period(&it.subscription);
    assert_eq!((&it.schedule["status"], &it.schedule["end_behavior"]), (&json!("active"), &json!("release")));
    assert_eq!(it.schedule["current_phase"], json!({"start_date": start, "end_date": end}));
    let phase = &it.schedule["phases"][0];
    assert_eq!((&phase["items"][0]["price"], &phase["items"][0]["quantity"]), (&json!(it.large), &json!(1)));
    let whole = format!("{}?expand[]=schedule", it.subscription_path());
    assert_eq!(stand.get(&whole).await["schedule"]["id"], it.schedule["id"]);
    let events = stand.events_after(seen).await;
    assert_eq!(
        types(&events)[events.len() - 2..],
        ["subscription_schedule.created", "customer.subscription.updated"]
    );
    let listed = format!("{SCHEDULES}?customer={}", it.subscription["customer"].as_str().unwrap());
    assert_eq!(stand.get(&listed).await["data"], json!([it.schedule]));

    let again = stand.try_post(SCHEDULES, &format!("from_subscription={}", id(&it.subscription)), &[]).await;
    assert_eq!((again.status, &again.error()["param"]), (400, &json!("from_subscription")));
    for form in ["", "customer=cus_1", "from_subscription=sub_none"] {
        assert_eq!(
            stand.try_post(SCHEDULES, form, &[]).await.error()["param"],
            "from_subscription",
            "{form}"
        );
    }
}

#[tokio::test]
async fn a_downgrade_takes_effect_with_the_renewal_and_is_billed_by_it() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    let (start, end) = period(&it.subscription);
    stand.live(2 * DAY_MS).await;
    let planned = stand.post(&it.path(), &it.downgrade()).await;
    assert_eq!(planned["phases"][1]["start_date"], end);
    assert_eq!(planned["phases"][1]["end_date"], end + WEEK, "one period, since nothing was said");
    assert_eq!(price_of(&stand.get(&it.subscription_path()).await), it.large);
    let preview = format!("subscription={}", id(&it.subscription));
    assert_eq!(stand.post("/v1/invoices/create_preview", &preview).await["amount_due"], 700);

    let seen = stand.event_types().await.len();
    stand.live((end - stand.now()) * 1000).await;
    let moved = stand.get(&it.subscription_path()).await;
    assert_eq!((price_of(&moved), period(&moved)), (it.small.as_str(), (end, end + WEEK)));
    assert_eq!(
        types(&stand.events_after(seen).await),
        ["customer.subscription.updated", "subscription_schedule.updated", "invoice.created"]
    );
    let told = &stand.events_after(seen).await[0]["data"]["previous_attributes"];
    assert_eq!(told["items"]["data"][0]["price"]["id"], json!(it.large));
    stand.live(HOUR_MS).await;
    let renewal = &stand.invoices(id(&moved)).await[0];
    assert_eq!((&renewal["amount_paid"], &renewal["lines"]["total_count"]), (&json!(700), &json!(1)));
    assert_eq!(renewal["lines"]["data"][0]["period"]["start"], end);
    assert_eq!(stand.get(&it.path()).await["current_phase"]["start_date"], end);
    assert_eq!(start, planned["phases"][0]["start_date"].as_i64().unwrap());

    let seen = stand.event_types().await.len();
    stand.live(WEEK * 1000).await;
    let over = stand.get(&it.path()).await;
    assert_eq!((&over["status"], &over["subscription"]), (&json!("released"), &json!(null)));
    assert_eq!(over["released_subscription"], it.subscription["id"]);
    let free = stand.get(&it.subscription_path()).await;
    assert_eq!((&free["schedule"], price_of(&free)), (&json!(null), it.small.as_str()));
    let events = stand.events_after(seen).await;
    assert_eq!(types(&events).iter().filter(|kind| **kind == "subscription_schedule.released").count(), 1);
    assert_eq!(stand.invoices(id(&free)).await[0]["amount_due"], 700, "it renews at the last price");
}

#[tokio::test]
async fn a_phase_within_a_period_is_prorated_as_it_says() {
    let stand = Stand::start().await;
    for (behavior, total) in [("always_invoice", json!(-300)), ("none", json!(1400))] {
        let it = managed(&stand).await;
        let (start, end) = period(&it.subscription);
        let turn = end - 3 * 86_400;
        let form = it.downgrade().replace(&format!("[end_date]={end}"), &format!("[end_date]={turn}"));
        stand.post(&it.path(), &format!("{form}&phases[1][proration_behavior]={behavior}")).await;
        stand.live((turn - start) * 1000).await;
        let moved = stand.get(&it.subscription_path()).await;
        assert_eq!((price_of(&moved), period(&moved)), (it.small.as_str(), (start, end)), "{behavior}");
        assert_eq!(stand.invoices(id(&moved)).await[0]["total"], total, "{behavior}");
        stand.delete(&it.subscription_path()).await;
    }
}

#[tokio::test]
async fn another_interval_in_the_next_phase_starts_its_own_periods() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    let yearly = stand.plan("Yearly", 9900, "year").await;
    let end = period(&it.subscription).1;
    let form = it.downgrade().replace(&it.small, &yearly);
    stand.post(&it.path(), &format!("{form}&phases[1][items][0][quantity]=2")).await;
    stand.live((end - stand.now()) * 1000 + HOUR_MS).await;
    let moved = stand.get(&it.subscription_path()).await;
    assert_eq!((period(&moved).0, &moved["billing_cycle_anchor"]), (end, &json!(end)));
    assert!(period(&moved).1 >= end + 365 * 86_400);
    assert_eq!(stand.invoices(id(&moved)).await[0]["amount_paid"], 19_800);
}

#[tokio::test]
async fn a_change_of_the_phase_that_runs_happens_at_once() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    stand.live(2 * DAY_MS).await;
    let form = it.downgrade().replacen("[quantity]=1", "[quantity]=3", 1);
    stand.post(&it.path(), &format!("{form}&proration_behavior=always_invoice")).await;
    let changed = stand.get(&it.subscription_path()).await;
    assert_eq!(changed["items"]["data"][0]["quantity"], 3);
    assert_eq!(changed["items"]["data"][0]["id"], it.subscription["items"]["data"][0]["id"]);
    assert_eq!(stand.invoices(id(&changed)).await[0]["amount_paid"], 2000);
}

#[tokio::test]
async fn a_phase_may_last_be_a_trial_and_carry_metadata() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    let end = period(&it.subscription).1;
    let more = "&phases[1][duration][interval]=week&phases[1][duration][interval_count]=2&phases[1][trial]=true\
                &phases[1][metadata][plan]=small";
    let planned = stand.post(&it.path(), &format!("{}{more}", it.downgrade())).await;
    assert_eq!(planned["phases"][1]["end_date"], end + 2 * WEEK);
    assert_eq!(planned["phases"][1]["trial_end"], end + 2 * WEEK);
    stand.live((end - stand.now()) * 1000 + HOUR_MS).await;
    let free = stand.get(&it.subscription_path()).await;
    assert_eq!((&free["status"], &free["metadata"]["plan"]), (&json!("trialing"), &json!("small")));
    assert_eq!(stand.invoices(id(&free)).await[0]["total"], 0);
    stand.live(2 * WEEK * 1000).await;
    let paid = stand.get(&it.subscription_path()).await;
    assert_eq!((&paid["status"], &paid["schedule"]), (&json!("active"), &json!(null)));
    assert_eq!(stand.invoices(id(&paid)).await[0]["amount_paid"], 700);
}

#[tokio::test]
async fn a_schedule_can_end_its_subscription() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    let end = period(&it.subscription).1;
    stand.post(&it.path(), &format!("{}&end_behavior=cancel", it.downgrade())).await;
    assert_eq!(stand.get(&it.subscription_path()).await["cancel_at"], end + WEEK);
    stand.live(2 * WEEK * 1000 + HOUR_MS).await;
    let ended = stand.get(&it.subscription_path()).await;
    assert_eq!((&ended["status"], &ended["ended_at"]), (&json!("canceled"), &json!(end + WEEK)));
    let over = stand.get(&it.path()).await;
    assert_eq!((&over["status"], &over["completed_at"]), (&json!("completed"), &json!(end + WEEK)));
    assert_eq!(stand.hook.received_of("subscription_schedule.completed").len(), 1);
    assert_eq!(stand.invoices(id(&ended)).await.len(), 2);
    assert_eq!(stand.sandbox.next_due(), None);
}

#[tokio::test]
async fn releasing_leaves_the_subscription_as_it_is() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    stand.post(&it.path(), &format!("{}&end_behavior=cancel", it.downgrade())).await;
    let released = stand.post(&format!("{}/release", it.path()), "").await;
    assert_eq!((&released["status"], &released["released_at"]), (&json!("released"), &json!(stand.now())));
    let free = stand.get(&it.subscription_path()).await;
    assert_eq!((&free["schedule"], &free["cancel_at"]), (&json!(null), &json!(null)));
    stand.live(8 * DAY_MS).await;
    assert_eq!(price_of(&stand.get(&it.subscription_path()).await), it.large);
    for path in ["release", "cancel"] {
        assert_eq!(stand.try_post(&format!("{}/{path}", it.path()), "", &[]).await.status, 400);
    }
    assert_eq!(stand.try_post(&it.path(), "metadata[a]=b", &[]).await.status, 400);
}

#[tokio::test]
async fn a_schedule_and_its_subscription_are_canceled_together() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    stand.live(2 * DAY_MS).await;
    let canceled = stand.post(&format!("{}/cancel", it.path()), "").await;
    assert_eq!((&canceled["status"], &canceled["canceled_at"]), (&json!("canceled"), &json!(stand.now())));
    assert_eq!(stand.get(&it.subscription_path()).await["status"], "canceled");
    assert_eq!(stand.invoices(id(&it.subscription)).await[0]["total"], -1000);

    let other = managed(&stand).await;
    stand.delete(&other.subscription_path()).await;
    assert_eq!(stand.get(&other.path()).await["status"], "canceled");
    stand.sandbox.run_due().await;
    assert_eq!(stand.hook.received_of("subscription_schedule.canceled").len(), 2);
    assert_eq!(stand.sandbox.next_due(), None);
}

#[tokio::test]
async fn who_has_a_schedule_is_canceled_by_it_and_changed_with_it() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    for form in [
        "cancel_at_period_end=true",
        "cancel_at_period_end=false",
        &format!("cancel_at={}", stand.now() + 99),
    ] {
        let refused = stand.try_post(&it.subscription_path(), form, &[]).await;
        let message = refused.error()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("The subscription is managed by the subscription schedule"), "{message}");
        assert!(message.contains(id(&it.schedule)), "{message}");
    }
    let by_hand = format!("/_sandbox/subscriptions/{}/cancel", id(&it.subscription));
    assert_eq!(stand.shopper(&by_hand, r#"{"at_period_end":true}"#).await.status, 400);

    let item = id(&it.subscription["items"]["data"][0]);
    let form = format!("items[0][id]={item}&items[0][price]={}", it.small);
    stand.post(&it.subscription_path(), &form).await;
    let followed = stand.get(&it.path()).await;
    assert_eq!(followed["phases"][0]["items"][0]["price"], json!(it.small));
}

#[tokio::test]
async fn phases_that_make_no_sense_are_refused() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    let (start, end) = period(&it.subscription);
    let good = it.downgrade();
    let once = stand.price("Once", 500).await;
    for (form, param) in [
        (
            good.replace(&format!("[start_date]={start}"), &format!("[start_date]={}", start + 1)),
            "phases[0][start_date]",
        ),
        (good.replace(&format!("[end_date]={end}"), &format!("[end_date]={start}")), "phases[0][end_date]"),
        (good.replace(&format!("&phases[0][end_date]={end}"), ""), "phases[0][end_date]"),
        (good.replace(&format!("&phases[0][start_date]={start}"), ""), "phases[0][start_date]"),
        (format!("{good}&phases[1][start_date]={}", end + 1), "phases[1][start_date]"),
        (format!("{good}&phases[1][iterations]=2"), "phases[1][iterations]"),
        (format!("{good}&phases[1][discounts][0][coupon]=c"), "phases[1][discounts]"),
        (good.replace(&it.small, &once), "phases[1][items][0][price]"),
        ("default_settings[description]=x".to_owned(), "default_settings"),
        ("phases=".to_owned(), "phases"),
    ] {
        let refused = stand.try_post(&it.path(), &form, &[]).await;
        assert_eq!((refused.status, &refused.error()["param"]), (400, &json!(param)), "{form}");
    }
    assert_eq!(stand.get(&it.path()).await, it.schedule);
}

#[tokio::test]
async fn a_phase_of_a_subscription_that_cannot_be_paid_begins_all_the_same() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    stand.post(&it.path(), &it.downgrade()).await;
    stand.swap_card(id(&it.subscription), FAILS_LATER).await;
    stand.live(7 * DAY_MS + HOUR_MS).await;
    let owing = stand.get(&it.subscription_path()).await;
    assert_eq!((&owing["status"], price_of(&owing)), (&json!("past_due"), it.small.as_str()));
}

#[tokio::test]
async fn a_phase_that_goes_on_as_a_trial_must_say_so() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 700, "week").await;
    for (keeps, status) in [(true, "trialing"), (false, "active")] {
        let trial = stand.subscribe(&price, "&subscription_data[trial_period_days]=10").await;
        let schedule = stand.post(SCHEDULES, &format!("from_subscription={}", id(&trial))).await;
        let (start, end) = period(&trial);
        assert_eq!(schedule["phases"][0]["trial_end"], end);
        let mut form = format!(
            "phases[0][items][0][price]={price}&phases[0][start_date]={start}&phases[0][end_date]={end}"
        );
        if keeps {
            form.push_str(&format!("&phases[0][trial_end]={end}"));
        }
        stand.post(&format!("{SCHEDULES}/{}", id(&schedule)), &form).await;
        assert_eq!(stand.subscription(id(&trial)).await["status"], status);
    }
}

#[tokio::test]
async fn the_phase_that_runs_can_be_ended_now() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    stand.live(2 * DAY_MS).await;
    let form =
        it.downgrade().replace(&format!("[end_date]={}", period(&it.subscription).1), "[end_date]=now");
    stand.post(&it.path(), &format!("{form}&phases[1][proration_behavior]=always_invoice")).await;
    let moved = stand.get(&it.subscription_path()).await;
    assert_eq!((price_of(&moved), period(&moved)), (it.small.as_str(), period(&it.subscription)));
    assert_eq!(stand.invoices(id(&moved)).await[0]["total"], -500);
    assert_eq!(stand.get(&it.path()).await["current_phase"]["start_date"], stand.now());
}

#[tokio::test]
async fn a_preview_sees_the_phase_that_comes_before_the_renewal() {
    let stand = Stand::start().await;
    let it = managed(&stand).await;
    let end = period(&it.subscription).1;
    let turn = end - 3 * 86_400;
    let form = it.downgrade().replace(&format!("[end_date]={end}"), &format!("[end_date]={turn}"));
    stand.post(&it.path(), &form).await;
    let preview = format!("subscription={}", id(&it.subscription));
    let told = stand.post("/v1/invoices/create_preview", &preview).await;
    assert_eq!((&told["total"], &told["lines"]["total_count"]), (&json!(400), &json!(3)));
    assert_eq!(told["parent"]["subscription_details"]["subscription_proration_date"], turn);
    stand.live((end - stand.now()) * 1000).await;
    assert_eq!(stand.invoices(id(&it.subscription)).await[0]["total"], 400);
}
