//! Payments that a cardholder disputes.

use serde_json::{Value, json};

use crate::stand::{Answer, DAY_MS, HOUR_MS, PAYS, Stand, id, types};

const FRAUD: &str = "4000 0000 0000 0259";
const NOT_RECEIVED: &str = "4000 0000 0000 2685";
const INQUIRY: &str = "4000 0000 0000 1976";

async fn dispute(stand: &Stand, intent: &str, claim: &str) -> Value {
    let answer = stand.shopper(&format!("/_sandbox/payments/{intent}/dispute"), claim).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// The only dispute of a payment.
async fn dispute_of(stand: &Stand, intent: &str) -> Value {
    let page = stand.get(&format!("/v1/disputes?payment_intent={intent}")).await;
    assert_eq!(page["data"].as_array().unwrap().len(), 1, "{page}");
    page["data"][0].clone()
}

async fn resolve(stand: &Stand, dispute: &Value, outcome: &str) -> Answer {
    let path = format!("/_sandbox/disputes/{}/resolve", id(dispute));
    stand.shopper(&path, &format!(r#"{{"outcome":"{outcome}"}}"#)).await
}

async fn answer(stand: &Stand, dispute: &Value, form: &str) -> Value {
    stand.post(&format!("/v1/disputes/{}", id(dispute)), form).await
}

async fn refund(stand: &Stand, intent: &str) -> Answer {
    stand.try_post("/v1/refunds", &format!("payment_intent={intent}"), &[]).await
}

#[tokio::test]
async fn a_dispute_withdraws_the_funds_and_stands_in_the_way_of_refunds() {
    let stand = Stand::start().await;
    let intent = stand.bought(PAYS).await;
    let seen = stand.event_types().await.len();
    let dispute = dispute(&stand, &intent, r#"{"amount":400,"reason":"duplicate"}"#).await;
    let charge = stand.charge_of(&intent).await;
    assert_eq!((&dispute["amount"], &dispute["reason"]), (&json!(400), &json!("duplicate")));
    assert_eq!((&dispute["charge"], &dispute["payment_intent"]), (&charge["id"], &json!(intent)));
    assert_eq!((&dispute["status"], &dispute["currency"]), (&json!("needs_response"), &json!("eur")));
    assert_eq!(dispute["is_charge_refundable"], false);
    assert_eq!(dispute["payment_method_details"]["card"]["case_type"], "chargeback");
    assert_eq!((&charge["disputed"], &charge["paid"]), (&json!(true), &json!(true)));
    let events = stand.events_after(seen).await;
    assert_eq!(types(&events), ["charge.dispute.created", "charge.dispute.funds_withdrawn"]);
    assert_eq!(events[1]["data"]["object"], dispute);
    assert_eq!(refund(&stand, &intent).await.error()["code"], "charge_disputed");
    assert_eq!(stand.get(&format!("/v1/disputes/{}", id(&dispute))).await, dispute);
}

#[tokio::test]
async fn a_dispute_ends_as_the_bank_decides() {
    let stand = Stand::start().await;
    let closed = "charge.dispute.closed";
    let back = "charge.dispute.funds_reinstated";
    for (outcome, expected, refundable) in [
        ("won", [closed, back].as_slice(), true),
        ("lost", &[closed], false),
        ("prevented", &[closed, back], true),
    ] {
        let intent = stand.bought(PAYS).await;
        let before = dispute(&stand, &intent, "").await;
        assert_eq!(before["amount"], 999);
        let seen = stand.event_types().await.len();
        let after = resolve(&stand, &before, outcome).await.json();
        assert_eq!(after["status"], outcome);
        assert_eq!(after["is_charge_refundable"], refundable);
        let events = stand.events_after(seen).await;
        assert_eq!(types(&events), expected, "{outcome}");
        assert_eq!(events[0]["data"]["object"], after);
        assert_eq!(events[0]["data"]["previous_attributes"]["status"], "needs_response");
        assert_eq!(resolve(&stand, &before, "won").await.status, 400, "it ends once");
        assert_eq!(stand.charge_of(&intent).await["disputed"], true, "it was, whatever came of it");
        let refunded = refund(&stand, &intent).await;
        assert_eq!(refunded.status, if refundable { 200 } else { 400 }, "{outcome}: {}", refunded.text);
    }
}

#[tokio::test]
async fn an_inquiry_withdraws_nothing_and_can_be_answered_with_a_refund() {
    let stand = Stand::start().await;
    let intent = stand.bought(PAYS).await;
    let seen = stand.event_types().await.len();
    let inquiry = dispute(&stand, &intent, r#"{"inquiry":true}"#).await;
    assert_eq!(inquiry["status"], "warning_needs_response");
    assert_eq!(inquiry["is_charge_refundable"], true);
    assert_eq!(inquiry["payment_method_details"]["card"]["case_type"], "inquiry");
    assert_eq!(refund(&stand, &intent).await.status, 200);
    assert_eq!(dispute_of(&stand, &intent).await["is_charge_refundable"], false);
    for outcome in ["won", "lost"] {
        assert_eq!(resolve(&stand, &inquiry, outcome).await.status, 400, "{outcome}");
    }
    let path = format!("/v1/disputes/{}/close", id(&inquiry));
    assert_eq!(stand.try_post(&path, "", &[]).await.status, 400);
    assert_eq!(resolve(&stand, &inquiry, "warning_closed").await.json()["status"], "warning_closed");
    let events = stand.events_after(seen).await;
    assert_eq!(
        types(&events),
        [
            "charge.dispute.created",
            "refund.created",
            "charge.refunded",
            "charge.dispute.updated",
            "charge.dispute.closed"
        ]
    );
}

#[tokio::test]
async fn an_inquiry_can_become_a_dispute() {
    let stand = Stand::start().await;
    let intent = stand.bought(INQUIRY).await;
    let inquiry = dispute_of(&stand, &intent).await;
    let seen = stand.event_types().await.len();
    let escalated = resolve(&stand, &inquiry, "escalated").await.json();
    assert_eq!((&escalated["id"], &escalated["status"]), (&inquiry["id"], &json!("needs_response")));
    assert_eq!(escalated["payment_method_details"]["card"]["case_type"], "chargeback");
    let events = stand.events_after(seen).await;
    assert_eq!(types(&events), ["charge.dispute.updated", "charge.dispute.funds_withdrawn"]);
    assert_eq!(refund(&stand, &intent).await.error()["code"], "charge_disputed");
    assert_eq!(resolve(&stand, &escalated, "escalated").await.status, 400);
    assert_eq!(resolve(&stand, &escalated, "won").await.json()["status"], "won");
}

#[tokio::test]
async fn some_cards_dispute_what_they_have_paid() {
    let stand = Stand::start().await;
    for (card, reason, status) in [
        (FRAUD, "fraudulent", "needs_response"),
        (NOT_RECEIVED, "product_not_received", "needs_response"),
        (INQUIRY, "fraudulent", "warning_needs_response"),
    ] {
        let seen = stand.event_types().await.len();
        let intent = stand.bought(card).await;
        let dispute = dispute_of(&stand, &intent).await;
        assert_eq!((&dispute["reason"], &dispute["status"]), (&json!(reason), &json!(status)), "{card}");
        assert_eq!(dispute["amount"], 999);
        let events = stand.events_after(seen).await;
        let kinds = types(&events);
        let paid = kinds.iter().position(|kind| *kind == "checkout.session.completed").unwrap();
        let disputed = &kinds[paid + 1..];
        match status {
            "needs_response" => {
                assert_eq!(disputed, ["charge.dispute.created", "charge.dispute.funds_withdrawn"]);
            }
            _ => assert_eq!(disputed, ["charge.dispute.created"], "{card}"),
        }
    }
}

#[tokio::test]
async fn a_card_disputes_renewals_too() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let subscription = stand.subscribe(&price, "").await;
    stand.swap_card(id(&subscription), FRAUD).await;
    stand.live(7 * DAY_MS + HOUR_MS).await;
    let dispute = stand.get("/v1/disputes?limit=100").await["data"].clone();
    assert_eq!(dispute.as_array().unwrap().len(), 1);
    assert_eq!((&dispute[0]["amount"], &dispute[0]["created"]), (&json!(299), &json!(stand.now())));
    assert_eq!(stand.subscription(id(&subscription)).await["status"], "active");
    assert_eq!(stand.hook.received_of("charge.dispute.funds_withdrawn").len(), 1);
}

#[tokio::test]
async fn evidence_is_kept_back_until_it_is_submitted() {
    let stand = Stand::start().await;
    let intent = stand.bought(FRAUD).await;
    let dispute = dispute_of(&stand, &intent).await;
    let seen = stand.event_types().await.len();
    let staged = "evidence[customer_name]=Ada&evidence[receipt]=file_1&submit=false&metadata[case]=7";
    let staged = answer(&stand, &dispute, staged).await;
    assert_eq!(staged["status"], "needs_response");
    assert_eq!(
        (&staged["evidence"]["customer_name"], &staged["metadata"]["case"]),
        (&json!("Ada"), &json!("7"))
    );
    let details = &staged["evidence_details"];
    assert_eq!((&details["has_evidence"], &details["submission_count"]), (&json!(true), &json!(0)));
    assert_eq!(answer(&stand, &dispute, "metadata[case]=8").await["status"], "needs_response");

    let submitted = answer(&stand, &dispute, "evidence[customer_name]=").await;
    assert_eq!(submitted["status"], "under_review");
    assert_eq!(submitted["evidence"]["customer_name"], json!(null));
    assert_eq!(submitted["evidence_details"]["submission_count"], 1);
    let events = stand.events_after(seen).await;
    assert_eq!(types(&events), ["charge.dispute.updated"; 3]);
    assert_eq!(events[2]["data"]["previous_attributes"]["status"], "needs_response");
    let path = format!("/v1/disputes/{}", id(&dispute));
    for (path, form) in [
        (path.clone(), "evidence[customer_name]=Bea"),
        (path.clone(), "evidence[shoe_size]=44"),
        (format!("{path}/close"), ""),
    ] {
        assert_eq!(stand.try_post(&path, form, &[]).await.status, 400, "{form}");
    }
    assert_eq!(resolve(&stand, &dispute, "lost").await.json()["status"], "lost");
}

#[tokio::test]
async fn the_evidence_of_stripes_test_mode_decides_by_itself() {
    let stand = Stand::start().await;
    for (card, text, reviewed, decided) in [
        (FRAUD, "winning_evidence", "under_review", "won"),
        (FRAUD, "losing_evidence", "under_review", "lost"),
        (INQUIRY, "winning_evidence", "warning_under_review", "warning_closed"),
        (INQUIRY, "escalate_inquiry_evidence", "warning_under_review", "needs_response"),
    ] {
        let intent = stand.bought(card).await;
        let dispute = dispute_of(&stand, &intent).await;
        let form = format!("evidence[uncategorized_text]={text}");
        assert_eq!(answer(&stand, &dispute, &form).await["status"], reviewed, "{text}");
        assert_eq!(dispute_of(&stand, &intent).await["status"], decided, "{text}");
    }
}

#[tokio::test]
async fn a_shop_can_accept_a_dispute() {
    let stand = Stand::start().await;
    let intent = stand.bought(FRAUD).await;
    let dispute = dispute_of(&stand, &intent).await;
    let seen = stand.event_types().await.len();
    let path = format!("/v1/disputes/{}/close", id(&dispute));
    assert_eq!(stand.post(&path, "").await["status"], "lost");
    assert_eq!(types(&stand.events_after(seen).await), ["charge.dispute.closed"]);
    assert_eq!(stand.try_post(&path, "", &[]).await.status, 400);
}

#[tokio::test]
async fn disputes_are_listed_by_payment_and_by_time() {
    let stand = Stand::start().await;
    let (one, other) = (stand.bought(PAYS).await, stand.bought(PAYS).await);
    let first = dispute(&stand, &one, "").await;
    resolve(&stand, &first, "won").await;
    stand.advance(DAY_MS);
    let second = dispute(&stand, &one, "").await;
    let third = dispute(&stand, &other, "").await;
    let listed = async |query: String| {
        let page = stand.get(&format!("/v1/disputes?{query}")).await;
        page["data"].as_array().unwrap().iter().map(|found| id(found).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(String::new()).await, [id(&third), id(&second), id(&first)]);
    assert_eq!(listed(format!("payment_intent={one}")).await, [id(&second), id(&first)]);
    assert_eq!(listed(format!("charge={}", third["charge"].as_str().unwrap())).await, [id(&third)]);
    assert_eq!(listed(format!("created[lt]={}", stand.now())).await, [id(&first)]);
    assert_eq!(listed(format!("limit=1&starting_after={}", id(&third))).await, [id(&second)]);
    assert_eq!(stand.try_get("/v1/disputes?charge=ch_none").await.status, 400);
    assert_eq!(stand.try_get("/v1/disputes/du_none").await.status, 404);
}

#[tokio::test]
async fn a_claim_that_makes_no_sense_is_refused() {
    let stand = Stand::start().await;
    let intent = stand.bought(PAYS).await;
    let path = format!("/_sandbox/payments/{intent}/dispute");
    for claim in [
        r#"{"amount":0}"#,
        r#"{"amount":1000}"#,
        r#"{"reason":"boredom"}"#,
        r#"{"amuont":5}"#,
        r#"{"amount":1.5}"#,
    ] {
        assert_eq!(stand.shopper(&path, claim).await.status, 400, "{claim}");
    }
    assert_eq!(stand.charge_of(&intent).await["disputed"], false);
    assert_eq!(stand.shopper("/_sandbox/payments/pi_none/dispute", "").await.status, 404);
    let begun = dispute(&stand, &intent, "").await;
    assert_eq!(stand.shopper(&path, "").await.status, 400, "it is disputed already");
    for outcome in ["warning_closed", "escalated", "undecided"] {
        assert_eq!(resolve(&stand, &begun, outcome).await.status, 400, "{outcome}");
    }
    let path = format!("/_sandbox/disputes/{}/resolve", id(&begun));
    assert_eq!(stand.shopper(&path, "").await.error()["param"], "outcome");
    assert_eq!(dispute_of(&stand, &intent).await["status"], "needs_response");
}
