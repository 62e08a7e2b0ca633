//! Refunds and disputes, in every state that they come to.

use stripe_core::dispute::{
    CloseDispute, ListDispute, RetrieveDispute, UpdateDispute, UpdateDisputeEvidence,
};
use stripe_core::payment_intent::RetrievePaymentIntent;
use stripe_core::refund::{CreateRefund, CreateRefundReason, ListRefund, RetrieveRefund, UpdateRefund};
use stripe_shared::{DisputeStatus, RefundReason};

use super::{assert_known, parse_deliveries};
use crate::stand::{HOUR_MS, PAYS, Stand};

#[tokio::test]
async fn every_state_of_a_refund_parses() {
    let stand = Stand::start().await;
    let intent = stand.bought(PAYS).await;
    let request = CreateRefund::new()
        .payment_intent(intent.as_str())
        .amount(400)
        .reason(CreateRefundReason::RequestedByCustomer)
        .metadata([("user".to_owned(), "u-1".to_owned())]);
    let made = request.send(&stand).await.unwrap();
    assert_known(&made);
    assert_eq!((made.amount, made.status.as_deref()), (400, Some("succeeded")));
    assert!(matches!(made.reason, Some(RefundReason::RequestedByCustomer)));
    let whole = ["charge", "payment_intent", "payment_method"].map(str::to_owned);
    let got = RetrieveRefund::new(made.id.clone()).expand(whole).send(&stand).await.unwrap();
    assert_eq!(got.charge.unwrap().as_object().unwrap().amount_refunded, 400);
    let updated = UpdateRefund::new(made.id.clone()).metadata([("note".to_owned(), "late".to_owned())]);
    assert_eq!(updated.send(&stand).await.unwrap().metadata.unwrap().len(), 2);
    let listed = ListRefund::new().payment_intent(intent.as_str()).send(&stand).await.unwrap();
    assert_eq!(listed.data[0].id, made.id);

    let whole = RetrievePaymentIntent::new(intent).expand(["latest_charge.refunds".to_owned()]);
    let whole = whole.send(&stand).await.unwrap();
    let charge = whole.latest_charge.as_ref().unwrap().as_object().unwrap();
    assert_eq!(charge.refunds.as_ref().unwrap().data[0].id, made.id);
    stand.shopper(&format!("/_sandbox/refunds/{}/fail", made.id), "").await;
    let failed = RetrieveRefund::new(made.id).send(&stand).await.unwrap();
    assert_eq!(failed.status.as_deref(), Some("failed"));
    assert!(failed.failure_reason.is_some());

    let slow = stand.bought("4000 0000 0000 7726").await;
    let pending = CreateRefund::new().payment_intent(slow).send(&stand).await.unwrap();
    assert_known(&pending);
    assert!(pending.pending_reason.is_some());
    stand.live(HOUR_MS).await;
    parse_deliveries(&stand).await;
}

#[tokio::test]
async fn every_state_of_a_dispute_parses() {
    let stand = Stand::start().await;
    let intent = stand.bought("4000 0000 0000 0259").await;
    let listed = ListDispute::new().payment_intent(intent.as_str()).send(&stand).await.unwrap();
    assert_known(&listed.data);
    let made = &listed.data[0];
    assert_eq!((made.amount, &made.status), (999, &DisputeStatus::NeedsResponse));
    let evidence = UpdateDisputeEvidence {
        customer_name: Some("Ada".to_owned()),
        uncategorized_text: Some("winning_evidence".to_owned()),
        ..UpdateDisputeEvidence::new()
    };
    let answered = UpdateDispute::new(made.id.clone())
        .evidence(evidence)
        .metadata([("case".to_owned(), "1".to_owned())])
        .send(&stand)
        .await
        .unwrap();
    assert_eq!(answered.status, DisputeStatus::UnderReview);
    assert_eq!(answered.evidence.customer_name.as_deref(), Some("Ada"));
    let won = RetrieveDispute::new(made.id.clone()).expand(["charge".to_owned()]).send(&stand).await.unwrap();
    assert_eq!(won.status, DisputeStatus::Won);
    assert!(won.charge.as_object().unwrap().disputed);

    stand.bought("4000 0000 0000 2685").await;
    let other = ListDispute::new().send(&stand).await.unwrap().data.remove(0);
    assert_eq!(other.reason, "product_not_received");
    let lost = CloseDispute::new(other.id).send(&stand).await.unwrap();
    assert_eq!(lost.status, DisputeStatus::Lost);

    for (outcome, status) in
        [("warning_closed", DisputeStatus::WarningClosed), ("prevented", DisputeStatus::Prevented)]
    {
        stand.bought("4000 0000 0000 1976").await;
        let inquiry = ListDispute::new().send(&stand).await.unwrap().data.remove(0);
        assert_eq!(inquiry.status, DisputeStatus::WarningNeedsResponse);
        let path = format!("/_sandbox/disputes/{}/resolve", inquiry.id);
        stand.shopper(&path, &format!(r#"{{"outcome":"{outcome}"}}"#)).await;
        let closed = RetrieveDispute::new(inquiry.id).send(&stand).await.unwrap();
        assert_known(&closed);
        assert_eq!(closed.status, status);
    }
    parse_deliveries(&stand).await;
}
