//! The events that lead to a payment of which more or less is refunded or disputed.

use domain::ids::PaymentId;
use serde_json::json;
use stripe_event::{Fact, Lead};

use crate::{fact, fixture, fixtures, read, sighting, with};

const REFUNDED: &str = "charge.refunded.2026-09-30";
const REFUND: &str = "refund.created.2026-09-30";
const DISPUTE: &str = "charge.dispute.created.2026-09-30";
const EACH: [&str; 3] = [REFUNDED, REFUND, DISPUTE];

#[test]
fn every_event_of_a_reversal_names_the_payment_that_was_credited() {
    let mut reversals = 0;
    for (name, event) in fixtures() {
        let Fact::Reversal { payment } = fact(&event) else { continue };
        let version = name.rsplit_once('.').unwrap().1;
        let sale = sighting(&fixture(&format!("payment_intent.succeeded.ours.{version}")));
        assert_eq!(payment, sale.payment.id, "{name}");
        reversals += 1;
    }
    assert_eq!(reversals, 18);
}

#[test]
fn an_expanded_intent_means_the_same_as_its_id() {
    for name in EACH {
        let mut event = fixture(name);
        let object = &mut event["data"]["object"];
        object["payment_intent"] = json!({"id": object["payment_intent"], "object": "payment_intent"});
        assert_eq!(fact(&event), fact(&fixture(name)), "{name}");
    }
}

#[test]
fn whatever_becomes_of_a_refund_or_a_dispute_is_a_reason_to_look() {
    let payment = PaymentId::parse("pi_3Tm7c52eZvKYlo2C3uK").unwrap();
    for (name, kind) in [
        (REFUND, "refund.reconsidered"),
        (REFUND, "charge.refund.reconsidered"),
        (DISPUTE, "charge.dispute.reconsidered"),
    ] {
        let mut event = with(name, "status", json!("reconsidered"));
        event["type"] = json!(kind);
        assert_eq!(fact(&event), Fact::Reversal { payment: payment.clone() }, "{kind}");
    }
}

#[test]
fn what_else_happens_to_a_charge_or_a_payment_reverses_nothing() {
    for kind in ["charge.failed", "charge.refundedly", "charge.updatedly", "refunds.created"] {
        let mut event = fixture(REFUNDED);
        event["type"] = json!(kind);
        assert_eq!(fact(&event), Fact::Other, "{kind}");
    }
    // One that is refunded already tells what it was, and its refund has an event of its own.
    for kind in ["charge.succeeded", "charge.updated"] {
        let mut event = fixture(REFUNDED);
        event["type"] = json!(kind);
        assert!(matches!(fact(&event), Fact::Charge { .. }), "{kind}");
    }
}

#[test]
fn money_that_was_charged_without_an_intent_was_never_ours() {
    for name in EACH {
        assert_eq!(fact(&with(name, "payment_intent", json!(null))), Fact::Other, "{name}");
    }
}

#[test]
fn which_payment_it_is_is_never_guessed() {
    for name in EACH {
        for wrong in
            [json!(7), json!([]), json!({}), json!(""), json!("ch_1"), json!("cs_1"), json!({"id": 1})]
        {
            let refused = read(&with(name, "payment_intent", wrong.clone())).unwrap_err();
            assert_eq!(refused.field, "payment_intent", "{name} {wrong}");
        }
        let mut event = fixture(name);
        event["data"] = json!({});
        assert_eq!(read(&event).unwrap_err().field, "data.object", "{name}");
    }
}

#[test]
fn a_thin_event_about_a_refund_or_a_dispute_leads_to_it_and_its_charge_has_no_more_to_tell() {
    let lead = |kind: &str| fact(&fixture(&format!("thin.{kind}.2026-09-30")));
    let refund = Lead::Refund("re_3Tm7c52eZvKYlo2C3uK".to_owned());
    assert_eq!(lead("refund.created"), Fact::Lead(refund));
    let dispute = Lead::Dispute("du_1Tm7c52eZvKYlo2C3uK".to_owned());
    assert_eq!(lead("charge.dispute.created"), Fact::Lead(dispute));
    assert_eq!(lead("charge.refunded"), Fact::Other);
}
