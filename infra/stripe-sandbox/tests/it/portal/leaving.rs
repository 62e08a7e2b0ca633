//! Cancellations in the portal, and taking them back.

use serde_json::{Value, json};

use super::Desk;
use crate::stand::{DAY_MS, id, period};

#[tokio::test]
async fn a_cancellation_in_the_portal_sets_cancel_at_and_can_be_taken_back() {
    let desk = Desk::open("").await;
    let (_, end) = period(&desk.subscription);
    let seen = desk.stand.event_types().await.len() + 1;
    let canceled = desk.done("cancel", "feedback=too_expensive&comment=Bye").await;
    assert_eq!((&canceled["cancel_at"], &canceled["cancel_at_period_end"]), (&json!(end), &json!(false)));
    assert_eq!(canceled["canceled_at"], desk.stand.now());
    let details = json!({
        "comment": "Bye", "feedback": "too_expensive", "reason": "cancellation_requested",
    });
    assert_eq!(canceled["cancellation_details"], details);
    let page = desk.show(&desk.session("").await).await.text;
    assert!(page.contains("Canceled: it ends on") && page.contains("Renew"), "{page}");
    assert_eq!(desk.try_to("switch", &format!("price={}", desk.large)).await.status, 400);

    let renewed = desk.done("renew", "").await;
    assert_eq!((&renewed["cancel_at"], &renewed["canceled_at"]), (&Value::Null, &Value::Null));
    assert_eq!(desk.try_to("renew", "").await.status, 400, "there is nothing to take back");
    let events = desk.stand.events_after(seen).await;
    let updates: Vec<_> = events.iter().filter(|it| it["type"] == "customer.subscription.updated").collect();
    assert_eq!(updates.len(), 2);
    assert_eq!(updates[0]["data"]["previous_attributes"]["cancel_at"], Value::Null);
    assert_eq!(updates[1]["data"]["previous_attributes"]["cancel_at"], end);
}

#[tokio::test]
async fn a_canceled_subscription_ends_when_its_period_does() {
    let desk = Desk::open("").await;
    desk.done("cancel", "").await;
    desk.stand.live(31 * DAY_MS).await;
    let ended = desk.stand.subscription(id(&desk.subscription)).await;
    assert_eq!(ended["status"], "canceled");
    assert_eq!(ended["ended_at"], ended["cancel_at"]);
    assert_eq!(desk.stand.invoices(id(&ended)).await.len(), 1, "nothing was billed again");
    let session = desk.session("").await;
    assert!(desk.show(&session).await.text.contains("None is running."));
    assert_eq!(desk.press(&session, "cancel", "").await.status, 400);
}

#[tokio::test]
async fn the_portal_of_older_versions_sets_cancel_at_period_end() {
    let desk = Desk::open("").await;
    let settings = r#"{"portal_cancels_with":"cancel_at_period_end"}"#;
    assert_eq!(desk.stand.shopper("/_sandbox/settings", settings).await.status, 200);
    let canceled = desk.done("cancel", "").await;
    assert_eq!(canceled["cancel_at_period_end"], true);
    assert_eq!(desk.done("renew", "").await["cancel_at_period_end"], false);
}

#[tokio::test]
async fn a_portal_may_cancel_at_once() {
    let at_once = "&features[subscription_cancel][mode]=immediately";
    let prorated = "&features[subscription_cancel][proration_behavior]=create_prorations";
    for more in [at_once.to_owned(), format!("{at_once}{prorated}")] {
        let desk = Desk::open(&more).await;
        desk.stand.live(15 * DAY_MS).await;
        assert_eq!(desk.done("cancel", "").await["status"], "canceled");
    }
}
