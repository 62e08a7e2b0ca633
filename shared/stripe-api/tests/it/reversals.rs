//! How refunds and disputes are added up, and how money is given back.

use domain::ids::PaymentId;
use domain::money::{Currency, Money};
use domain::payment::RefundReason;
use serde_json::{Value, json};
use stripe_api::{RefundOrder, Reversed};

use crate::wire::{Step, Wire};
use crate::{Stripe, StripeError};

fn intent() -> PaymentId {
    PaymentId::parse("pi_1").unwrap()
}

fn eur() -> Currency {
    Currency::parse("eur").unwrap()
}

fn stripe(wire: &Wire) -> Stripe {
    Stripe::new(wire.settings()).unwrap()
}

fn refund(id: &str, amount: i64, status: &str) -> Value {
    json!({
        "id": id, "object": "refund", "amount": amount, "charge": "ch_1", "created": 1_790_000_000,
        "currency": "eur", "metadata": {}, "payment_intent": "pi_1", "status": status,
    })
}

fn dispute(amount: i64, status: &str) -> Value {
    json!({
        "id": format!("du_{status}"), "object": "dispute", "amount": amount, "balance_transactions": [],
        "charge": "ch_1", "created": 1_790_000_000, "currency": "eur", "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {"enhanced_eligibility": {}, "has_evidence": false, "past_due": false,
            "submission_count": 0},
        "is_charge_refundable": false, "livemode": false, "metadata": {}, "payment_intent": "pi_1",
        "reason": "fraudulent", "status": status,
    })
}

fn moved(amounts: &[i64]) -> Value {
    let moved = amounts.iter().map(|amount| {
        json!({
            "id": format!("txn_{amount}"), "object": "balance_transaction", "amount": amount,
            "available_on": 1_790_000_000, "balance_type": "payments", "created": 1_790_000_000,
            "currency": "usd", "fee": 2000, "fee_details": [], "net": amount - 2000,
            "reporting_category": "dispute", "status": "pending", "type": "adjustment",
        })
    });
    moved.collect()
}

fn list(url: &str, more: bool, data: Value) -> Step {
    Step::ok(json!({"object": "list", "url": url, "has_more": more, "data": data}).to_string())
}

async fn reversed(refunds: Value, disputes: Value) -> Result<Option<Reversed>, StripeError> {
    let wire = Wire::play([list("/v1/refunds", false, refunds), list("/v1/disputes", false, disputes)]);
    stripe(&wire).reversed(&intent(), eur()).await
}

/// What one dispute of 999 comes to.
async fn disputed(dispute: Value) -> i64 {
    reversed(json!([]), json!([dispute])).await.unwrap().unwrap().disputed_minor
}

#[tokio::test]
async fn every_refund_counts_unless_it_failed_or_was_canceled() {
    let refunds = json!([
        refund("re_1", 100, "succeeded"),
        refund("re_2", 20, "pending"),
        refund("re_3", 3, "requires_action"),
        refund("re_4", 5000, "failed"),
        refund("re_5", 60000, "canceled"),
        refund("re_6", 700_000, "reconsidered"),
    ]);
    let sum = reversed(refunds, json!([])).await.unwrap();
    assert_eq!(sum, Some(Reversed { refunded_minor: 700_123, disputed_minor: 0 }));
}

#[tokio::test]
async fn a_dispute_counts_while_it_is_open_and_when_it_is_lost() {
    for (status, expected) in [
        ("needs_response", 999),
        ("under_review", 999),
        ("lost", 999),
        ("won", 0),
        ("prevented", 0),
        ("warning_needs_response", 0),
        ("warning_under_review", 0),
        ("warning_closed", 0),
    ] {
        // Whatever its money did: a known state is its own word.
        for moves in [json!([]), moved(&[-999]), moved(&[-999, 999])] {
            let mut dispute = dispute(999, status);
            dispute["balance_transactions"] = moves;
            assert_eq!(disputed(dispute).await, expected, "{status}");
        }
    }
}

#[tokio::test]
async fn a_dispute_in_an_unknown_state_counts_by_where_its_money_is() {
    // The account's own currency may be another one, at a rate that moves.
    for (moves, expected) in
        [(moved(&[]), 0), (moved(&[-1100]), 999), (moved(&[-1100, 1090]), 0), (moved(&[1090, -1100]), 0)]
    {
        let mut dispute = dispute(999, "in_arbitration");
        dispute["balance_transactions"] = moves.clone();
        assert_eq!(disputed(dispute).await, expected, "{moves}");
    }
}

#[tokio::test]
async fn refunds_and_disputes_add_up_and_never_to_more_than_was_paid() {
    let both = reversed(json!([refund("re_1", 400, "succeeded")]), json!([dispute(999, "lost")])).await;
    let both = both.unwrap().unwrap();
    assert_eq!(both, Reversed { refunded_minor: 400, disputed_minor: 999 });
    assert_eq!((both.of(999), both.of(1399), both.of(5000), both.of(0)), (999, 1399, 1399, 0));
    let absurd = Reversed { refunded_minor: i64::MAX, disputed_minor: i64::MAX };
    assert_eq!(absurd.of(999), 999);
}

#[tokio::test]
async fn all_pages_of_both_are_added_up() {
    let wire = Wire::play([
        list("/v1/refunds", true, json!([refund("re_2", 20, "succeeded")])),
        list("/v1/refunds", false, json!([refund("re_1", 1, "succeeded")])),
        list("/v1/disputes", true, json!([dispute(300, "lost")])),
        list("/v1/disputes", false, json!([dispute(4000, "under_review")])),
    ]);
    let sum = stripe(&wire).reversed(&intent(), eur()).await.unwrap().unwrap();
    assert_eq!(sum, Reversed { refunded_minor: 21, disputed_minor: 4300 });
    for (seen, asked) in
        wire.seen().iter().zip(["/v1/refunds?", "starting_after=re_2", "/v1/disputes?", "=du_lost"])
    {
        assert!(seen.head.contains(asked) && seen.head.contains("payment_intent=pi_1"), "{}", seen.head);
    }
}

#[tokio::test]
async fn amounts_in_another_currency_are_an_error_and_not_added_up() {
    let in_yen = |mut object: Value| {
        object["currency"] = json!("jpy");
        json!([object])
    };
    for (refunds, disputes, object) in [
        (in_yen(refund("re_1", 999, "succeeded")), json!([]), "refund"),
        (json!([]), in_yen(dispute(999, "lost")), "dispute"),
    ] {
        let error = reversed(refunds, disputes).await.unwrap_err();
        assert!(
            matches!(&error, StripeError::Malformed { object: about, .. } if *about == object),
            "{error}"
        );
        assert!(error.to_string().contains("jpy"), "{error}");
    }
}

#[tokio::test]
async fn a_payment_that_stripe_does_not_have_is_not_one_of_which_nothing_is_reversed() {
    let missing =
        r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"payment_intent"}}"#;
    for status in [400, 404] {
        let wire = Wire::play([Step::status(status).body(missing)]);
        assert_eq!(stripe(&wire).reversed(&intent(), eur()).await.unwrap(), None);
    }
    let wire = Wire::play([Step::status(400)]);
    assert!(stripe(&wire).reversed(&intent(), eur()).await.is_err());
    let wire = Wire::play([list("/v1/refunds", false, json!([])), Step::status(400)]);
    assert!(stripe(&wire).reversed(&intent(), eur()).await.is_err(), "half an answer is none");
}

#[tokio::test]
async fn of_a_free_sale_nothing_can_be_reversed_and_nobody_is_asked() {
    let wire = Wire::play([]);
    let free = PaymentId::parse("cs_1").unwrap();
    assert_eq!(stripe(&wire).reversed(&free, eur()).await.unwrap(), Some(Reversed::default()));
    assert_eq!(wire.seen().len(), 0);
}

#[tokio::test]
async fn a_refund_says_who_decided_it_and_for_which_request_and_has_a_key_of_its_own() {
    let answer = || Step::ok(refund("re_1", 300, "pending").to_string());
    let wire = Wire::play([answer(), answer(), answer()]);
    let stripe = stripe(&wire);
    let order = RefundOrder {
        payment: intent(),
        amount_minor: 300,
        reason: Some(RefundReason::RequestedByCustomer),
        operator: "op_7".to_owned(),
        request: "print_7".to_owned(),
    };
    let made = stripe.create_refund(&order, "key").await.unwrap();
    assert_eq!((made.id.as_str(), made.status.as_str()), ("re_1", "pending"));
    assert_eq!(made.amount, Money { amount_minor: 300, currency: eur() });
    stripe.create_refund(&order, "another").await.unwrap();
    stripe.create_refund(&RefundOrder { reason: None, ..order }, "key").await.unwrap();

    let seen = wire.seen();
    assert!(seen[0].head.starts_with("POST /v1/refunds "), "{}", seen[0].head);
    let body = seen[0].body.replace("%5B", "[").replace("%5D", "]");
    for pair in [
        "payment_intent=pi_1",
        "amount=300",
        "reason=requested_by_customer",
        "metadata[tollgate_stack]=main",
        "metadata[tollgate_operator]=op_7",
        "metadata[tollgate_request]=print_7",
    ] {
        assert!(body.contains(pair), "{pair} is not in {body}");
    }
    assert!(!seen[2].body.contains("reason"), "{}", seen[2].body);
    let key = |number: usize| seen[number].headers["idempotency-key"].clone();
    assert_eq!((key(0) == key(2), key(0) == key(1)), (true, false));
}

#[tokio::test]
async fn a_refund_is_found_by_its_id_or_among_its_payments_by_its_request() {
    let mut ours = refund("re_2", 20, "failed");
    ours["metadata"] = json!({"tollgate_request": "print_7"});
    let wire = Wire::play([
        list("/v1/refunds", true, json!([refund("re_3", 3, "succeeded")])),
        list("/v1/refunds", false, json!([ours])),
        Step::ok(ours.to_string()),
        Step::status(404).body(r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#),
    ]);
    let stripe = stripe(&wire);
    let found = stripe.refunds(&intent()).await.unwrap();
    let told: Vec<_> = found.iter().map(|refund| (refund.id.as_str(), refund.request.as_deref())).collect();
    assert_eq!(told, [("re_3", None), ("re_2", Some("print_7"))]);
    assert_eq!(stripe.refund("re_2").await.unwrap().as_ref(), Some(&found[1]));
    assert_eq!(found[1].status, "failed");
    assert_eq!(stripe.refund("re_none").await.unwrap(), None);
    assert!(wire.seen()[2].head.starts_with("GET /v1/refunds/re_2 "), "{}", wire.seen()[2].head);
}
