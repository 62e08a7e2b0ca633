//! Money given back.

use serde_json::{Value, json};

use crate::stand::{DAY_MS, HOUR_MS, PAYS, Stand, id, types};

const REFUND_FAILS: &str = "4000 0000 0000 5126";
const REFUND_WAITS: &str = "4000 0000 0000 7726";

async fn refund(stand: &Stand, intent: &str, more: &str) -> Value {
    stand.post("/v1/refunds", &format!("payment_intent={intent}{more}")).await
}

async fn refused(stand: &Stand, form: &str) -> Value {
    let answer = stand.try_post("/v1/refunds", form, &[]).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    answer.error()
}

fn given_back(charge: &Value) -> (i64, bool) {
    (charge["amount_refunded"].as_i64().unwrap(), charge["refunded"].as_bool().unwrap())
}

#[tokio::test]
async fn a_refund_gives_back_the_whole_charge_at_once() {
    let stand = Stand::start().await;
    let intent = stand.bought(PAYS).await;
    let seen = stand.event_types().await.len();
    let refund = refund(&stand, &intent, "&reason=requested_by_customer&metadata[user]=u-1").await;
    let charge = stand.charge_of(&intent).await;
    assert_eq!((&refund["amount"], &refund["status"]), (&json!(999), &json!("succeeded")));
    assert_eq!((&refund["charge"], &refund["payment_intent"]), (&charge["id"], &json!(intent)));
    assert_eq!(refund["reason"], "requested_by_customer");
    assert_eq!(refund["metadata"], json!({"user": "u-1"}));
    assert_eq!(given_back(&charge), (999, true));

    let events = stand.events_after(seen).await;
    assert_eq!(types(&events), ["refund.created", "charge.refunded"]);
    assert_eq!(events[0]["data"]["object"], refund);
    assert_eq!(events[1]["data"]["object"], charge);
    assert_eq!(events[1]["data"]["previous_attributes"], json!({"amount_refunded": 0, "refunded": false}));
    let intent = stand.get(&format!("/v1/payment_intents/{intent}")).await;
    assert_eq!((&intent["status"], &intent["amount_received"]), (&json!("succeeded"), &json!(999)));
}

#[tokio::test]
async fn partial_refunds_add_up_to_the_charge_and_no_further() {
    let stand = Stand::start().await;
    let intent = stand.bought(PAYS).await;
    let seen = stand.event_types().await.len();
    refund(&stand, &intent, "&amount=300").await;
    assert_eq!(given_back(&stand.charge_of(&intent).await), (300, false));
    let error = refused(&stand, &format!("payment_intent={intent}&amount=700")).await;
    assert_eq!(error["param"], "amount");
    assert_eq!(
        error["message"],
        "Refund amount (7.00 EUR) is greater than unrefunded amount on charge (6.99 EUR)"
    );
    let rest = refund(&stand, &intent, "").await;
    assert_eq!(rest["amount"], 699);
    assert_eq!(given_back(&stand.charge_of(&intent).await), (999, true));
    for more in ["", "&amount=1"] {
        let error = refused(&stand, &format!("payment_intent={intent}{more}")).await;
        assert_eq!(error["code"], "charge_already_refunded");
    }
    let events = stand.events_after(seen).await;
    let totals: Vec<i64> = events
        .iter()
        .filter(|event| event["type"] == "charge.refunded")
        .map(|event| event["data"]["object"]["amount_refunded"].as_i64().unwrap())
        .collect();
    assert_eq!(totals, [300, 999], "the charge tells its total each time");
}

#[tokio::test]
async fn only_what_was_paid_can_be_refunded() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    stand.pay(id(&session), "4000 0000 0000 0002").await;
    let declined = stand.get("/v1/charges").await["data"][0].clone();
    let intent = declined["payment_intent"].as_str().unwrap();
    for form in [format!("charge={}", id(&declined)), format!("payment_intent={intent}")] {
        refused(&stand, &form).await;
    }
    assert_eq!(refused(&stand, "charge=ch_none").await["code"], "resource_missing");
    assert_eq!(refused(&stand, "payment_intent=pi_none").await["param"], "payment_intent");
    assert_eq!(refused(&stand, "amount=5").await["code"], "parameter_missing");
    let paid = stand.bought(PAYS).await;
    refused(&stand, &format!("payment_intent={paid}&charge={}", id(&declined))).await;
    for more in ["&amount=0", "&amount=-1", "&reason=boredom", "&reverse_transfer=true"] {
        refused(&stand, &format!("payment_intent={paid}{more}")).await;
    }
    assert_eq!(given_back(&stand.charge_of(&paid).await), (0, false));
}

#[tokio::test]
async fn a_repeated_key_refunds_once() {
    let stand = Stand::start().await;
    let intent = stand.bought(PAYS).await;
    let form = format!("payment_intent={intent}&amount=100");
    let key = [("idempotency-key", "refund-1")];
    let first = stand.try_post("/v1/refunds", &form, &key).await;
    let again = stand.try_post("/v1/refunds", &form, &key).await;
    assert_eq!((first.status, &first.text), (200, &again.text));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(given_back(&stand.charge_of(&intent).await), (100, false));

    refund(&stand, &intent, "").await;
    let key = [("idempotency-key", "refund-2")];
    let refusal = stand.try_post("/v1/refunds", &form, &key).await;
    assert_eq!(refusal.error()["code"], "charge_already_refunded");
    assert_eq!(stand.try_post("/v1/refunds", &form, &key).await.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn refunds_are_listed_by_payment_and_by_time() {
    let stand = Stand::start().await;
    let (one, other) = (stand.bought(PAYS).await, stand.bought(PAYS).await);
    let oldest = refund(&stand, &one, "&amount=100").await;
    stand.advance(DAY_MS);
    let middle = refund(&stand, &one, "&amount=100").await;
    let newest = refund(&stand, &other, "").await;
    let listed = async |query: String| {
        let page = stand.get(&format!("/v1/refunds?{query}")).await;
        page["data"].as_array().unwrap().iter().map(|refund| id(refund).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(String::new()).await, [id(&newest), id(&middle), id(&oldest)]);
    assert_eq!(listed(format!("payment_intent={one}")).await, [id(&middle), id(&oldest)]);
    assert_eq!(listed(format!("charge={}", newest["charge"].as_str().unwrap())).await, [id(&newest)]);
    assert_eq!(listed(format!("created[lt]={}", stand.now())).await, [id(&oldest)]);
    assert_eq!(listed(format!("limit=1&starting_after={}", id(&newest))).await, [id(&middle)]);
    assert_eq!(stand.get(&format!("/v1/refunds/{}", id(&oldest))).await, oldest);
    assert_eq!(stand.try_get("/v1/refunds?charge=ch_none").await.status, 400);
    assert_eq!(stand.try_get("/v1/refunds/re_none").await.status, 404);
}

#[tokio::test]
async fn a_charge_shows_its_refunds_when_asked_to() {
    let stand = Stand::start().await;
    let intent = stand.bought(PAYS).await;
    let refund = refund(&stand, &intent, "&amount=100").await;
    assert!(stand.charge_of(&intent).await.get("refunds").is_none());
    let whole = stand.get(&format!("/v1/payment_intents/{intent}?expand[]=latest_charge.refunds")).await;
    assert_eq!(whole["latest_charge"]["refunds"]["data"], json!([refund]));
    let charges = format!("/v1/charges?payment_intent={intent}&expand[]=data.refunds");
    let charges = stand.get(&charges).await["data"].clone();
    assert_eq!(charges, json!([whole["latest_charge"]]));
    assert_eq!(stand.get("/v1/charges?payment_intent=pi_none").await["data"], json!([]));
}

#[tokio::test]
async fn only_the_metadata_of_a_refund_can_change_and_cards_cannot_be_canceled() {
    let stand = Stand::start().await;
    let intent = stand.bought(PAYS).await;
    let refund = refund(&stand, &intent, "&metadata[a]=1").await;
    let path = format!("/v1/refunds/{}", id(&refund));
    let seen = stand.event_types().await.len();
    let updated = stand.post(&path, "metadata[b]=2").await;
    assert_eq!(updated["metadata"], json!({"a": "1", "b": "2"}));
    stand.post(&path, "metadata[b]=2").await;
    assert_eq!(stand.try_post(&path, "amount=5", &[]).await.status, 400);
    let events = stand.events_after(seen).await;
    assert_eq!(types(&events), ["refund.updated", "charge.refund.updated"], "the second changed nothing");
    let canceled = stand.try_post(&format!("{path}/cancel"), "", &[]).await;
    assert_eq!(canceled.status, 400);
    assert!(canceled.error()["message"].as_str().unwrap().contains("has a status of succeeded"));
}

#[tokio::test]
async fn a_refund_that_the_bank_returns_can_be_made_again() {
    let stand = Stand::start().await;
    let intent = stand.bought(PAYS).await;
    refund(&stand, &intent, "&amount=300").await;
    let returned = refund(&stand, &intent, "").await;
    let seen = stand.event_types().await.len();
    let path = format!("/_sandbox/refunds/{}/fail", id(&returned));
    let failed = stand.shopper(&path, "").await.json();
    assert_eq!((&failed["id"], &failed["status"]), (&returned["id"], &json!("failed")));
    assert_eq!(failed["failure_reason"], "expired_or_canceled_card");
    assert_eq!(given_back(&stand.charge_of(&intent).await), (300, false));
    let events = stand.events_after(seen).await;
    assert_eq!(types(&events), ["refund.updated", "charge.refund.updated", "refund.failed"]);
    for event in &events {
        assert_eq!(event["data"]["object"], failed);
    }
    assert_eq!(events[1]["data"]["previous_attributes"]["status"], "succeeded");
    assert_eq!(stand.shopper(&path, "").await.status, 400, "it fails once");
    assert_eq!(stand.shopper("/_sandbox/refunds/re_none/fail", "").await.status, 404);

    assert_eq!(refund(&stand, &intent, "").await["amount"], 699);
    assert_eq!(given_back(&stand.charge_of(&intent).await), (999, true));
}

#[tokio::test]
async fn a_card_can_fail_its_refunds_an_hour_later() {
    let stand = Stand::start().await;
    let intent = stand.bought(REFUND_FAILS).await;
    let refund = refund(&stand, &intent, "").await;
    assert_eq!(refund["status"], "succeeded");
    assert_eq!(given_back(&stand.charge_of(&intent).await), (999, true));
    stand.live(HOUR_MS - 1).await;
    assert_eq!(given_back(&stand.charge_of(&intent).await), (999, true));
    stand.live(1).await;
    assert_eq!(given_back(&stand.charge_of(&intent).await), (0, false));
    let failed = stand.hook.received_of("refund.failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].event()["data"]["object"]["id"], refund["id"]);
    assert_eq!(failed[0].event()["request"]["id"], json!(null), "nobody asked for it");
    assert_eq!(stand.sandbox.next_due(), None);
}

#[tokio::test]
async fn a_refund_that_was_returned_by_hand_is_not_returned_again_by_its_card() {
    let stand = Stand::start().await;
    let intent = stand.bought(REFUND_FAILS).await;
    let refund = refund(&stand, &intent, "").await;
    stand.shopper(&format!("/_sandbox/refunds/{}/fail", id(&refund)), "").await;
    stand.live(DAY_MS).await;
    assert_eq!(stand.hook.received_of("refund.failed").len(), 1);
    assert_eq!(given_back(&stand.charge_of(&intent).await), (0, false));
}

#[tokio::test]
async fn a_card_can_keep_its_refunds_pending_for_an_hour() {
    let stand = Stand::start().await;
    let intent = stand.bought(REFUND_WAITS).await;
    let refund = refund(&stand, &intent, "").await;
    assert_eq!((&refund["status"], &refund["pending_reason"]), (&json!("pending"), &json!("processing")));
    assert_eq!(given_back(&stand.charge_of(&intent).await), (999, true), "what is pending counts");
    let seen = stand.event_types().await.len();
    stand.live(HOUR_MS).await;
    let after = stand.get(&format!("/v1/refunds/{}", id(&refund))).await;
    assert_eq!((&after["status"], after.get("pending_reason")), (&json!("succeeded"), None));
    assert_eq!(given_back(&stand.charge_of(&intent).await), (999, true));
    let events = stand.events_after(seen).await;
    assert_eq!(types(&events), ["refund.updated", "charge.refund.updated"]);
    assert_eq!(events[0]["data"]["previous_attributes"]["status"], "pending");
}

#[tokio::test]
async fn the_refund_of_an_invoice_leads_to_its_subscription() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let subscription = stand.subscribe(&price, "").await;
    let charge = stand.get("/v1/charges").await["data"][0].clone();
    let refund = stand.post("/v1/refunds", &format!("charge={}&amount=500", id(&charge))).await;
    let intent = refund["payment_intent"].as_str().unwrap();
    let query = format!(
        "payment[type]=payment_intent&payment[payment_intent]={intent}&expand[]=data.invoice&status=paid"
    );
    let payments = stand.get(&format!("/v1/invoice_payments?{query}")).await["data"].clone();
    assert_eq!(payments.as_array().unwrap().len(), 1);
    let invoice = &payments[0]["invoice"];
    assert_eq!(invoice["parent"]["subscription_details"]["subscription"], subscription["id"]);
    assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&json!("paid"), &json!(999)));
    assert_eq!(stand.subscription(id(&subscription)).await["status"], "active");
}

#[tokio::test]
async fn an_intent_is_not_canceled_behind_the_back_of_what_it_pays() {
    let stand = Stand::start().await;
    let paid = stand.bought(PAYS).await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    stand.pay(id(&session), "4000 0000 0000 0002").await;
    let open = stand.get("/v1/payment_intents").await["data"][0].clone();
    let cancel = async |intent: &str, form| {
        let answer = stand.try_post(&format!("/v1/payment_intents/{intent}/cancel"), form, &[]).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        answer.error()
    };
    assert_eq!(cancel(&paid, "").await["code"], "payment_intent_unexpected_state");
    assert!(cancel(id(&open), "").await["message"].as_str().unwrap().contains("expire the Checkout Session"));
    assert_eq!(cancel(id(&open), "cancellation_reason=boredom").await["param"], "cancellation_reason");
    assert_eq!(stand.pay(id(&session), PAYS).await.status, 200);
}
