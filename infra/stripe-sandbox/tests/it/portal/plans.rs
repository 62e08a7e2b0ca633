//! Changes of plan in the portal.

use serde_json::{Value, json};

use super::{Desk, FORM, alert};
use crate::stand::{DAY_MS, HOUR_MS, PAYS, id, period};

#[tokio::test]
async fn a_dearer_plan_is_billed_at_once_and_one_that_cannot_be_paid_is_not_had() {
    let desk = Desk::open("").await;
    desk.stand.live(15 * DAY_MS).await;
    let session = desk.session("").await;
    desk.stand.swap_card(id(&desk.subscription), "4000 0000 0000 0341").await;
    let declined = desk.press(&session, "switch", &format!("price={}", desk.large)).await;
    assert_eq!(declined.status, 402);
    assert!(declined.text.contains("Your card was declined."));
    let unchanged = desk.stand.subscription(id(&desk.subscription)).await;
    assert_eq!(unchanged["items"]["data"][0]["price"]["id"], json!(desk.small));

    desk.stand.swap_card(id(&desk.subscription), PAYS).await;
    let changed = desk.done("switch", &format!("price={}&quantity=2", desk.large)).await;
    let item = &changed["items"]["data"][0];
    assert_eq!((&item["price"]["id"], &item["quantity"]), (&json!(desk.large), &json!(2)));
    assert_eq!(period(&changed), period(&desk.subscription));
    let invoices = desk.stand.invoices(id(&changed)).await;
    assert_eq!(invoices[0]["billing_reason"], "subscription_update");
    assert_eq!((&invoices[0]["status"], invoices.len()), (&json!("paid"), 2));
}

#[tokio::test]
async fn what_the_configuration_does_not_offer_cannot_be_had() {
    let desk = Desk::open(
        "&features[subscription_update][products][1][adjustable_quantity][enabled]=true\
         &features[subscription_update][products][1][adjustable_quantity][maximum]=5",
    )
    .await;
    let other = desk.stand.plan("Other", 100, "month").await;
    let stranger = desk.stand.subscribe(&desk.small, "").await;
    let session = desk.session("").await;
    for (deed, form) in [
        ("switch", format!("price={other}")),
        ("switch", format!("price={}", desk.small)),
        ("switch", format!("price={}&quantity=6", desk.large)),
        ("switch", format!("price={}&coupon=x", desk.large)),
        ("details", "name=Ada".into()),
        ("card", "card=1234".into()),
    ] {
        let refused = desk.press(&session, deed, &form).await;
        assert!((400..=402).contains(&refused.status), "{deed} {form}: {}", refused.status);
        assert!(refused.text.contains("role=\"alert\""));
    }
    let url = format!("{}/cancel", session["url"].as_str().unwrap());
    let others = format!("subscription={}", id(&stranger));
    assert_eq!(desk.stand.send("POST", &url, &FORM, &others).await.status, 400);
    assert_eq!(desk.stand.subscription(id(&stranger)).await["cancel_at"], Value::Null);
    assert_eq!(desk.stand.subscription(id(&desk.subscription)).await, desk.subscription);
}

#[tokio::test]
async fn a_cheaper_plan_can_wait_for_the_end_of_the_period_and_be_taken_back() {
    let waits = "&features[subscription_update][schedule_at_period_end][conditions][0][type]\
                 =decreasing_item_amount";
    let desk = Desk::open(waits).await;
    desk.done("switch", &format!("price={}", desk.large)).await;
    let scheduled = desk.done("switch", &format!("price={}", desk.small)).await;
    assert_eq!(scheduled["items"]["data"][0]["price"]["id"], json!(desk.large));
    assert!(scheduled["schedule"].is_string());
    let page = desk.show(&desk.session("").await).await.text;
    assert!(page.contains("it changes to Small, 7.00 EUR / month"), "{page}");
    assert_eq!(desk.done("keep", "").await["schedule"], Value::Null);

    desk.done("switch", &format!("price={}", desk.small)).await;
    desk.stand.live(31 * DAY_MS + HOUR_MS).await;
    let renewed = desk.stand.subscription(id(&desk.subscription)).await;
    assert_eq!(renewed["items"]["data"][0]["price"]["id"], json!(desk.small));
    let latest = desk.stand.invoices(id(&renewed)).await.remove(0);
    assert_eq!((&latest["billing_reason"], &latest["total"]), (&json!("subscription_cycle"), &json!(700)));
}

#[tokio::test]
async fn a_cancellation_wins_over_a_change_that_waits() {
    let waits = "&features[subscription_update][schedule_at_period_end][conditions][0][type]\
                 =decreasing_item_amount";
    let desk = Desk::open(waits).await;
    desk.done("switch", &format!("price={}", desk.large)).await;
    desk.done("switch", &format!("price={}", desk.small)).await;
    let canceled = desk.done("cancel", "").await;
    assert_eq!(canceled["schedule"], Value::Null);
    assert_eq!(canceled["cancel_at"], period(&canceled).1);
}

#[tokio::test]
async fn a_change_of_plan_ends_a_trial_unless_it_is_told_not_to() {
    for (more, status) in
        [("", "active"), ("&features[subscription_update][trial_update_behavior]=continue_trial", "trialing")]
    {
        let mut desk = Desk::open(more).await;
        desk.subscription =
            desk.stand.subscribe(&desk.small, "&subscription_data[trial_period_days]=14").await;
        let changed = desk.done("switch", &format!("price={}", desk.large)).await;
        assert_eq!(changed["status"], status, "{changed}");
        assert_eq!(changed["items"]["data"][0]["price"]["id"], json!(desk.large));
    }
}

#[tokio::test]
async fn a_change_is_shown_with_its_cost_before_it_is_made() {
    let desk = Desk::open("").await;
    desk.stand.live(15 * DAY_MS).await;
    let session = desk.session("").await;
    let query = format!("subscription={}&price={}", id(&desk.subscription), desk.large);
    let url = format!("{}/switch?{query}", session["url"].as_str().unwrap());
    let shown = desk.stand.send("GET", &url, &[], "").await;
    assert_eq!(shown.status, 200, "{:?}", alert(&shown.text));
    assert!(
        shown.text.contains("Unused time on Small") && shown.text.contains("Charged now"),
        "{}",
        shown.text
    );
    assert_eq!(desk.stand.subscription(id(&desk.subscription)).await, desk.subscription);
    desk.done("switch", &format!("price={}", desk.large)).await;
    let invoice = desk.stand.invoices(id(&desk.subscription)).await.remove(0);
    let cents = invoice["amount_due"].as_i64().unwrap();
    let due = format!("Charged now</th><td class=\"amount\">{}.{:02} EUR", cents / 100, cents % 100);
    assert!(shown.text.contains(&due), "{due} is missing from {}", shown.text);
}

#[tokio::test]
async fn a_promotion_code_makes_a_change_cheaper_where_codes_are_taken() {
    let allowed = "&features[subscription_update][default_allowed_updates][2]=promotion_code";
    let desk = Desk::open(allowed).await;
    desk.stand.post("/v1/coupons", "id=half&percent_off=50&duration=forever").await;
    let form = "promotion[type]=coupon&promotion[coupon]=half&code=HALF";
    let code = desk.stand.post("/v1/promotion_codes", form).await;
    let change = format!("price={}&promotion_code", desk.large);
    let wrong = desk.try_to("switch", &format!("{change}=NONE")).await;
    assert_eq!(alert(&wrong.text), Some("This code is invalid."));
    let session = desk.session("").await;
    let query = format!("subscription={}&{change}=HALF", id(&desk.subscription));
    let url = format!("{}/switch?{query}", session["url"].as_str().unwrap());
    let shown = desk.stand.send("GET", &url, &[], "").await.text;
    assert!(shown.contains("name=\"promotion_code\" value=\"HALF\""), "{shown}");
    let changed = desk.done("switch", &format!("{change}=HALF")).await;
    assert_eq!(changed["discounts"].as_array().unwrap().len(), 1);
    let discount = desk.stand.get(&format!("/v1/subscriptions/{}?expand[]=discounts", id(&changed))).await;
    assert_eq!(discount["discounts"][0]["promotion_code"], code["id"]);

    let desk = Desk::open("").await;
    assert_eq!(desk.try_to("switch", &format!("price={}&promotion_code=HALF", desk.large)).await.status, 400);
}
