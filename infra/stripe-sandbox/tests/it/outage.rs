//! Endpoints that cannot be reached for a while, and what becomes of the events of that time.

use serde_json::{Value, json};

use crate::stand::{DAY_MS, HOUR_MS, MINUTE_MS, Stand, id};

async fn undelivered(stand: &Stand, query: &str) -> Vec<String> {
    let page = stand.get(&format!("/v1/events?delivery_success=false{query}")).await;
    let events = page["data"].as_array().unwrap().iter();
    events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

async fn outage(stand: &Stand, wanted: Value) -> Value {
    let answer = stand.shopper("/_sandbox/outage", &wanted.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let shown = stand.send("GET", "/_sandbox/outage", &[], "").await.json();
    assert_eq!(answer.json(), shown);
    shown
}

#[tokio::test]
async fn what_happens_in_an_outage_is_delivered_after_it() {
    let stand = Stand::start().await;
    let state = outage(&stand, json!({"for": "2h"})).await;
    let from = stand.now();
    assert_eq!(state, json!({"on": true, "from": from, "until": from + 7200, "missed": false}));
    stand.post("/v1/customers", "").await;
    stand.live(2 * HOUR_MS - 1).await;
    assert!(stand.hook.received().is_empty());
    assert_eq!(undelivered(&stand, "").await, ["customer.created"]);
    let front = stand.send("GET", "/", &[], "").await.text;
    assert!(front.contains("An outage lasts until") && front.contains("taken as unreachable"));

    stand.live(3 * HOUR_MS).await;
    assert_eq!(stand.hook.received_of("customer.created").len(), 1);
    assert!(undelivered(&stand, "").await.is_empty());
    assert_eq!(stand.send("GET", "/_sandbox/outage", &[], "").await.json(), json!({"on": false}));
}

#[tokio::test]
async fn an_outage_of_days_exhausts_the_retries() {
    let stand = Stand::start().await;
    let until = stand.now() + 4 * 86_400;
    outage(&stand, json!({"until": until})).await;
    stand.post("/v1/customers", "").await;
    stand.live(5 * DAY_MS).await;
    assert!(stand.hook.received().is_empty());
    assert_eq!(undelivered(&stand, "").await, ["customer.created"]);
    assert_eq!(stand.sandbox.next_due(), None, "nobody tries again");
}

#[tokio::test]
async fn what_is_missed_is_never_delivered_and_can_be_listed_and_resent() {
    let stand = Stand::start().await;
    let before = stand.post("/v1/customers", "").await;
    stand.sandbox.run_due().await;
    stand.advance(MINUTE_MS);
    outage(&stand, json!({"missed": true})).await;
    let begun = stand.now();
    stand.price("Small", 499).await;
    stand.live(HOUR_MS).await;
    assert_eq!(outage(&stand, json!({"on": false})).await, json!({"on": false}));
    stand.post(&format!("/v1/customers/{}", id(&before)), "name=Ada").await;
    stand.live(4 * DAY_MS).await;
    assert_eq!(undelivered(&stand, "").await, ["price.created", "product.created"]);
    let query = format!("&types[]=price.created&types[]=customer.updated&created[gte]={begun}");
    assert_eq!(undelivered(&stand, &query).await, ["price.created"]);
    assert!(undelivered(&stand, &format!("&created[gt]={begun}")).await.is_empty());
    assert!(stand.hook.received_of("price.created").is_empty());

    let missed = stand.get("/v1/events?type=price.created").await["data"][0].clone();
    let resent = stand.shopper(&format!("/_sandbox/events/{}/resend", id(&missed)), "").await.json();
    assert_eq!(resent["deliveries"][0]["state"], "delivered", "{resent}");
    assert_eq!(stand.hook.received_of("price.created")[0].event()["id"], missed["id"]);
    assert_eq!(undelivered(&stand, "").await, ["product.created"]);
}

#[tokio::test]
async fn an_event_is_resent_however_often_it_is_asked_for() {
    let stand = Stand::start().await;
    stand.post("/v1/customers", "").await;
    stand.sandbox.run_due().await;
    let event = stand.get("/v1/events").await["data"][0].clone();
    let path = format!("/_sandbox/events/{}/resend", id(&event));
    stand.shopper(&path, "").await;
    stand.hook.answer_with(500);
    let failed = stand.shopper(&path, "").await.json();
    let expected = json!([{"endpoint": null, "state": "pending", "attempts": 3, "outcome": "HTTP 500"}]);
    assert_eq!(failed["deliveries"], expected);
    stand.hook.answer_with(200);
    stand.live(HOUR_MS).await;
    assert_eq!(stand.hook.received_of("customer.created").len(), 4);
    assert_eq!(stand.shopper("/_sandbox/events/evt_none/resend", "").await.status, 404);
}

#[tokio::test]
async fn alarms_that_ring_within_an_outage_are_missed_however_the_clock_jumps() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    stand.session(&price, "").await;
    stand.sandbox.run_due().await;
    outage(&stand, json!({"for": "25h", "missed": true})).await;
    stand.advance(3 * DAY_MS);
    stand.sandbox.run_due().await;
    assert_eq!(undelivered(&stand, "").await, ["checkout.session.expired"]);
}

#[tokio::test]
async fn an_outage_that_makes_no_sense_is_refused() {
    let stand = Stand::start().await;
    for wanted in [
        json!({}),
        json!({"for": "2h", "until": stand.now() + 60}),
        json!({"for": "soon"}),
        json!({"for": "-2h"}),
        json!({"until": stand.now()}),
        json!({"on": false, "missed": true}),
        json!({"forever": true}),
    ] {
        assert_eq!(stand.shopper("/_sandbox/outage", &wanted.to_string()).await.status, 400, "{wanted}");
    }
}
