//! What a shop, or a person, changes in a subscription that runs.

use serde_json::{Value, json};

use crate::stand::{DAY_MS, FAILS_LATER, HOUR_MS, Stand, id, period, types};

/// A subscription and the form that moves its item to another price.
async fn bought(stand: &Stand, price: &str, to: &str) -> (String, String) {
    let subscription = stand.subscribe(price, "").await;
    let item = id(&subscription["items"]["data"][0]).to_owned();
    (format!("/v1/subscriptions/{}", id(&subscription)), format!("items[0][id]={item}&items[0][price]={to}"))
}

fn amounts(invoice: &Value) -> Vec<i64> {
    let lines = invoice["lines"]["data"].as_array().unwrap().iter();
    lines.map(|line| line["amount"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn an_upgrade_invoiced_at_once_pays_the_difference_for_the_rest_of_the_period() {
    let stand = Stand::start().await;
    let (small, large) = (stand.plan("Small", 700, "week").await, stand.plan("Large", 1400, "week").await);
    let (path, form) = bought(&stand, &small, &large).await;
    let before = stand.get(&path).await;
    stand.live(2 * DAY_MS).await;
    let seen = stand.event_types().await.len();
    let after =
        stand.post(&path, &format!("{form}&proration_behavior=always_invoice&expand[]=latest_invoice")).await;
    assert_eq!(period(&after), period(&before), "the period stays");
    assert_eq!(after["items"]["data"][0]["price"]["id"], json!(large));
    assert_eq!(after["items"]["data"][0]["plan"]["id"], json!(large));
    let invoice = &after["latest_invoice"];
    assert_eq!(invoice["billing_reason"], "subscription_update");
    assert_eq!((amounts(invoice), &invoice["amount_paid"]), (vec![-500, 1000], &json!(500)));
    for line in invoice["lines"]["data"].as_array().unwrap() {
        assert_eq!(line["parent"]["subscription_item_details"]["proration"], true);
        assert_eq!(line["invoice"], invoice["id"]);
        assert_eq!(line["period"], json!({"start": stand.now(), "end": period(&before).1}));
    }
    let events = stand.events_after(seen).await;
    assert_eq!(
        types(&events)[..3],
        ["customer.subscription.updated", "invoice.created", "invoice.finalized"]
    );
    let previous = &events[0]["data"]["previous_attributes"];
    assert_eq!(previous["items"]["data"][0]["price"]["id"], json!(small));
    assert_eq!(previous["latest_invoice"], before["latest_invoice"]);

    stand.live(5 * DAY_MS + HOUR_MS).await;
    assert_eq!(amounts(&stand.invoices(id(&before)).await[0]), [1400], "and then the new price");
}

#[tokio::test]
async fn prorations_wait_for_the_next_invoice() {
    let stand = Stand::start().await;
    let (small, large) = (stand.plan("Small", 700, "week").await, stand.plan("Large", 1400, "week").await);
    let (path, form) = bought(&stand, &small, &large).await;
    stand.live(2 * DAY_MS).await;
    let changed = stand.post(&path, &form).await;
    assert_eq!(stand.invoices(id(&changed)).await.len(), 1, "nothing is invoiced yet");
    stand.live(5 * DAY_MS + HOUR_MS).await;
    let renewal = &stand.invoices(id(&changed)).await[0];
    assert_eq!((amounts(renewal), &renewal["amount_paid"]), (vec![-500, 1000, 1400], &json!(1900)));
    assert!(renewal["lines"]["data"].as_array().unwrap().iter().all(|line| line["invoice"] == renewal["id"]));
    stand.live(7 * DAY_MS).await;
    assert_eq!(amounts(&stand.invoices(id(&changed)).await[0]), [1400], "prorations are billed once");
}

#[tokio::test]
async fn a_change_without_proration_is_paid_from_the_next_period_on() {
    let stand = Stand::start().await;
    let (small, large) = (stand.plan("Small", 700, "week").await, stand.plan("Large", 1400, "week").await);
    let (path, form) = bought(&stand, &small, &large).await;
    stand.live(2 * DAY_MS).await;
    let changed = stand.post(&path, &format!("{form}&proration_behavior=none")).await;
    stand.live(5 * DAY_MS + HOUR_MS).await;
    assert_eq!(amounts(&stand.invoices(id(&changed)).await[0]), [1400]);
}

#[tokio::test]
async fn a_downgrade_invoiced_at_once_leaves_a_credit_that_the_renewal_uses() {
    let stand = Stand::start().await;
    let (large, small) = (stand.plan("Large", 1400, "week").await, stand.plan("Small", 700, "week").await);
    let (path, form) = bought(&stand, &large, &small).await;
    stand.live(2 * DAY_MS).await;
    let changed =
        stand.post(&path, &format!("{form}&proration_behavior=always_invoice&expand[]=latest_invoice")).await;
    let invoice = &changed["latest_invoice"];
    assert_eq!((&invoice["total"], &invoice["status"]), (&json!(-500), &json!("paid")));
    assert_eq!((&invoice["amount_due"], &invoice["ending_balance"]), (&json!(0), &json!(-500)));
    stand.live(5 * DAY_MS + HOUR_MS).await;
    let renewal = &stand.invoices(id(&changed)).await[0];
    assert_eq!((&renewal["total"], &renewal["amount_paid"]), (&json!(700), &json!(200)));
    let customer = stand.get(&format!("/v1/customers/{}", changed["customer"].as_str().unwrap())).await;
    assert_eq!(customer["balance"], 0);
}

#[tokio::test]
async fn another_interval_starts_a_period_of_its_own() {
    let stand = Stand::start().await;
    let (weekly, yearly) =
        (stand.plan("Weekly", 700, "week").await, stand.plan("Yearly", 9900, "year").await);
    let (path, form) = bought(&stand, &weekly, &yearly).await;
    stand.live(2 * DAY_MS).await;
    let changed = stand.post(&path, &format!("{form}&expand[]=latest_invoice")).await;
    assert_eq!(period(&changed).0, stand.now());
    assert_eq!(changed["billing_cycle_anchor"], stand.now());
    assert_eq!(
        (amounts(&changed["latest_invoice"]), &changed["latest_invoice"]["amount_paid"]),
        (vec![-500, 9900], &json!(9400))
    );
    stand.sandbox.run_due().await;
    assert_eq!(stand.sandbox.next_due(), Some(period(&changed).1 * 1000));
}

#[tokio::test]
async fn a_change_during_a_trial_costs_nothing() {
    let stand = Stand::start().await;
    let (small, large) = (stand.plan("Small", 700, "week").await, stand.plan("Large", 1400, "week").await);
    let trial = stand.subscribe(&small, "&subscription_data[trial_period_days]=7").await;
    let form = format!(
        "items[0][id]={}&items[0][price]={large}&proration_behavior=always_invoice",
        id(&trial["items"]["data"][0])
    );
    let changed = stand.post(&format!("/v1/subscriptions/{}", id(&trial)), &form).await;
    assert_eq!((period(&changed), &changed["status"]), (period(&trial), &json!("trialing")));
    assert_eq!(stand.invoices(id(&trial)).await.len(), 1);
    stand.live(7 * DAY_MS + HOUR_MS).await;
    assert_eq!(stand.invoices(id(&trial)).await[0]["amount_paid"], 1400);
}

#[tokio::test]
async fn an_upgrade_that_cannot_be_paid_is_refused_or_makes_it_past_due() {
    let stand = Stand::start().await;
    let (small, large) = (stand.plan("Small", 700, "week").await, stand.plan("Large", 1400, "week").await);
    let (path, form) = bought(&stand, &small, &large).await;
    let subscription = stand.get(&path).await;
    stand.swap_card(id(&subscription), FAILS_LATER).await;
    let form = format!("{form}&proration_behavior=always_invoice");
    let refused = stand.try_post(&path, &format!("{form}&payment_behavior=error_if_incomplete"), &[]).await;
    assert_eq!((refused.status, &refused.error()["code"]), (402, &json!("card_declined")));
    assert_eq!(stand.get(&path).await["items"]["data"][0]["price"]["id"], json!(small));
    assert_eq!(stand.post(&path, &form).await["status"], "past_due");
    assert!(stand.invoices(id(&subscription)).await[0]["next_payment_attempt"].is_i64());
}

#[tokio::test]
async fn what_the_sandbox_does_not_act_on_is_refused() {
    let stand = Stand::start().await;
    let small = stand.plan("Small", 700, "week").await;
    let (path, form) = bought(&stand, &small, &small).await;
    let item = form.split('&').next().unwrap();
    for (form, param) in [
        (format!("items[0][price]={small}"), "items[0][id]"),
        ("items[0][id]=si_none".to_owned(), "items[0][id]"),
        (format!("{item}&items[0][deleted]=true"), "items[0][deleted]"),
        ("payment_behavior=pending_if_incomplete".to_owned(), "payment_behavior"),
        ("default_payment_method=pm_none".to_owned(), "default_payment_method"),
        ("colour=red".to_owned(), "colour"),
    ] {
        let refused = stand.try_post(&path, &form, &[]).await;
        assert_eq!((refused.status, &refused.error()["param"]), (400, &json!(param)), "{form}");
    }
    assert_eq!(stand.delete(&format!("{path}?prorate=true&colour=red")).await.error()["param"], "colour");
}

#[tokio::test]
async fn a_canceled_subscription_is_gone_for_changes_but_can_be_read_and_annotated() {
    let stand = Stand::start().await;
    let small = stand.plan("Small", 700, "week").await;
    let (path, form) = bought(&stand, &small, &small).await;
    let ended =
        stand.delete(&format!("{path}?invoice_now=true&cancellation_details[comment]=bye")).await.json();
    assert_eq!((&ended["status"], &ended["ended_at"]), (&json!("canceled"), &json!(stand.now())));
    assert_eq!(ended["cancellation_details"]["comment"], "bye");
    assert_eq!(stand.delete(&path).await.status, 404);
    assert_eq!(stand.try_post(&path, &form, &[]).await.status, 400);
    assert_eq!(stand.post(&path, "metadata[note]=x").await["metadata"]["note"], "x");
    stand.sandbox.run_due().await;
    assert_eq!(stand.sandbox.next_due(), None);
}

#[tokio::test]
async fn a_person_can_swap_the_card_and_cancel() {
    let stand = Stand::start().await;
    let small = stand.plan("Small", 700, "week").await;
    let bought = stand.subscribe(&small, "").await;
    let swapped = stand.swap_card(id(&bought), FAILS_LATER).await;
    let method = swapped["default_payment_method"].as_str().unwrap();
    let method = stand.get(&format!("/v1/payment_methods/{method}")).await;
    assert_eq!((&method["card"]["last4"], &method["customer"]), (&json!("0341"), &bought["customer"]));
    let by_hand = format!("/_sandbox/subscriptions/{}", id(&bought));
    let unknown = stand.shopper(&format!("{by_hand}/card"), r#"{"card":"1234"}"#).await;
    assert_eq!(unknown.status, 402);

    let leaving = stand.shopper(&format!("{by_hand}/cancel"), r#"{"at_period_end":true}"#).await.json();
    assert_eq!((&leaving["status"], &leaving["cancel_at_period_end"]), (&json!("active"), &json!(true)));
    let gone = stand.shopper(&format!("{by_hand}/cancel"), "").await.json();
    assert_eq!(gone["status"], "canceled");
    assert_eq!(stand.shopper(&format!("{by_hand}/cancel"), "").await.status, 404);
}

#[tokio::test]
async fn seats_are_added_and_given_back_for_the_rest_of_the_period() {
    let stand = Stand::start().await;
    let seat = stand.plan("Seat", 700, "week").await;
    let bought = stand.subscribe(&seat, "").await;
    let item = id(&bought["items"]["data"][0]).to_owned();
    let path = format!("/v1/subscriptions/{}", id(&bought));
    let seats = |count: i64| format!("items[0][id]={item}&items[0][quantity]={count}");
    stand.live(2 * DAY_MS).await;
    let more = stand.post(&path, &format!("{}&proration_behavior=always_invoice", seats(3))).await;
    assert_eq!(more["items"]["data"][0]["quantity"], 3);
    assert_eq!(amounts(&stand.invoices(id(&bought)).await[0]), [-500, 1500]);
    stand.post(&path, &seats(2)).await;
    stand.live(5 * DAY_MS + HOUR_MS).await;
    let renewal = &stand.invoices(id(&bought)).await[0];
    assert_eq!((amounts(renewal), &renewal["amount_paid"]), (vec![-1500, 1000, 1400], &json!(900)));
    assert_eq!(stand.try_post(&path, &seats(0), &[]).await.error()["param"], "items[0][quantity]");
}

#[tokio::test]
async fn a_change_that_awaits_its_payment_is_past_due_until_then() {
    let stand = Stand::start().await;
    let (small, large) = (stand.plan("Small", 700, "week").await, stand.plan("Large", 1400, "week").await);
    let (path, form) = bought(&stand, &small, &large).await;
    stand.live(2 * DAY_MS).await;
    let awaiting = "&proration_behavior=always_invoice&payment_behavior=default_incomplete";
    let changed = stand.post(&path, &format!("{form}{awaiting}")).await;
    assert_eq!(changed["status"], "past_due");
    assert_eq!(changed["items"]["data"][0]["price"]["id"], json!(large));
    let invoice = &stand.invoices(id(&changed)).await[0];
    assert_eq!((&invoice["status"], &invoice["attempted"]), (&json!("open"), &json!(false)));
    stand.post(&format!("/v1/invoices/{}/pay", id(invoice)), "").await;
    assert_eq!(stand.get(&path).await["status"], "active");
}

#[tokio::test]
async fn a_cancellation_gives_back_and_invoices_what_it_is_asked_to() {
    let stand = Stand::start().await;
    let (small, large) = (stand.plan("Small", 700, "week").await, stand.plan("Large", 1400, "week").await);
    for (query, invoices, total) in [
        ("", 1, 700),
        ("?prorate=true", 1, 700),
        ("?invoice_now=true", 2, 500),
        ("?prorate=true&invoice_now=true", 2, -500),
    ] {
        let (path, form) = bought(&stand, &small, &large).await;
        stand.live(2 * DAY_MS).await;
        let changed = stand.post(&path, &form).await;
        stand.delete(&format!("{path}{query}")).await;
        let billed = stand.invoices(id(&changed)).await;
        assert_eq!((billed.len(), &billed[0]["total"]), (invoices, &json!(total)), "{query}");
    }
}

#[tokio::test]
async fn the_days_of_billing_can_begin_anew() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 700, "week").await;
    let before = stand.subscribe(&price, "").await;
    stand.live(2 * DAY_MS).await;
    let path = format!("/v1/subscriptions/{}", id(&before));
    let anew = stand.post(&path, "billing_cycle_anchor=now").await;
    assert_eq!((period(&anew).0, &anew["billing_cycle_anchor"]), (stand.now(), &json!(stand.now())));
    assert_eq!(amounts(&stand.invoices(id(&before)).await[0]), [-500, 700]);
}

#[tokio::test]
async fn an_end_can_be_set_at_the_end_of_the_period_as_the_portal_does() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 700, "week").await;
    let bought = stand.subscribe(&price, "").await;
    let path = format!("/v1/subscriptions/{}", id(&bought));
    let leaving = stand.post(&path, "cancel_at=min_period_end").await;
    assert_eq!(
        (&leaving["cancel_at"], &leaving["cancel_at_period_end"]),
        (&json!(period(&bought).1), &json!(false))
    );
    let stays = stand.post(&path, "cancel_at=").await;
    assert_eq!((&stays["cancel_at"], &stays["canceled_at"]), (&json!(null), &json!(null)));
}
