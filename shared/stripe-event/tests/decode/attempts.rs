//! The events that lead to a payment before its money came, and to what charged it.

use domain::ids::{ChargeId, CustomerId, PaymentId, UserId};
use serde_json::{Value, json};
use stripe_event::{Fact, Hint};

use crate::{fact, fixture, fixtures, read, sighting, with};

const CREATED: &str = "payment_intent.created.ours.2026-09-30";
const FAILED: &str = "payment_intent.payment_failed.ours.2026-09-30";
const INVOICES_FAILED: &str = "payment_intent.payment_failed.invoice.2026-09-30";
const CHARGE: &str = "charge.succeeded.ours.2026-09-30";
const INVOICES_CHARGE: &str = "charge.succeeded.invoice.2026-09-30";

fn attempt(event: &Value) -> (PaymentId, Hint) {
    match fact(event) {
        Fact::Attempt { payment, hint } => (payment, hint),
        other => panic!("no attempt: {other:?}"),
    }
}

#[test]
fn every_attempt_and_every_charge_names_the_payment_and_the_owner_of_its_sale() {
    let (mut attempts, mut charges) = (0, 0);
    for (name, event) in fixtures() {
        let (payment, hint) = match fact(&event) {
            Fact::Attempt { payment, hint } if hint.stack.is_some() => (payment, hint),
            Fact::Charge { payment, hint, .. } if !name.contains("invoice") => (payment, hint),
            _ => continue,
        };
        let version = name.rsplit_once('.').unwrap().1;
        let sale = sighting(&fixture(&format!("payment_intent.succeeded.ours.{version}"))).payment;
        assert_eq!(payment, sale.id, "{name}");
        let (stack, user) = (sale.envelope.stack, sale.envelope.user);
        assert_eq!(hint, Hint { stack, user, customer: sale.customer }, "{name}");
        match name.starts_with("charge") {
            true => charges += 1,
            false => attempts += 1,
        }
    }
    assert_eq!((attempts, charges), (9, 5));
}

#[test]
fn whatever_becomes_of_an_intent_is_a_reason_to_look() {
    for kind in ["processing", "requires_action", "partially_funded", "canceled", "reconsidered"] {
        let mut event = with(CREATED, "status", json!("reconsidered"));
        event["type"] = json!(format!("payment_intent.{kind}"));
        assert_eq!(attempt(&event), attempt(&fixture(CREATED)), "{kind}");
    }
}

#[test]
fn an_attempt_without_a_stack_may_be_an_invoices_of_a_customer_who_may_be_ours() {
    let names_no_stack = json!({"tollgate_user": "ada", "tollgate_item": "package:small"});
    for odd in [json!({}), json!(null), json!([]), json!("x"), json!({"tollgate_stack": 7}), names_no_stack] {
        let (payment, hint) = attempt(&with(FAILED, "metadata", odd.clone()));
        assert_eq!((payment.as_str(), hint.stack), ("pi_3Tm7c52eZvKYlo2C3uK", None), "{odd}");
        assert!(hint.customer.is_some(), "{odd}");
    }
    let (_, hint) = attempt(&with(FAILED, "metadata", json!({"tollgate_stack": "theirs"})));
    assert_eq!((hint.stack.as_deref(), hint.user), (Some("theirs"), None));
}

#[test]
fn an_attempt_of_nobody_or_one_that_its_invoice_tells_of_is_a_strangers() {
    for nobody in [json!(null), json!(7), json!("guest"), json!({"deleted": true})] {
        assert_eq!(fact(&with(INVOICES_FAILED, "customer", nobody.clone())), Fact::Stranger, "{nobody}");
    }
    for kind in ["created", "succeeded", "amount_capturable_updated", "reconsidered"] {
        let mut event = fixture(INVOICES_FAILED);
        event["type"] = json!(format!("payment_intent.{kind}"));
        assert_eq!(fact(&event), Fact::Stranger, "{kind}");
    }
}

#[test]
fn a_thin_event_about_an_intent_hints_at_nobody() {
    for kind in ["payment_failed", "succeeded"] {
        let (payment, hint) = attempt(&fixture(&format!("thin.payment_intent.{kind}.2026-09-30")));
        assert_eq!((payment.as_str(), hint), ("pi_3Tm7c52eZvKYlo2C3uK", Hint::default()), "{kind}");
    }
    let mut event = fixture("thin.payment_intent.succeeded.2026-09-30");
    for wrong in ["cs_1", "ch_1", ""] {
        event["related_object"]["id"] = json!(wrong);
        assert_eq!(read(&event).unwrap_err().field, "related_object.id", "{wrong}");
    }
}

#[test]
fn a_charge_is_read_with_its_receipt() {
    let Fact::Charge { payment, charge, receipt_url, hint } = fact(&fixture(CHARGE)) else { panic!() };
    assert_eq!(payment.as_str(), "pi_3Tm7c52eZvKYlo2C3uK");
    assert_eq!(charge, ChargeId::parse("ch_3Tm7c52eZvKYlo2C3uK").unwrap());
    let receipt = "https://pay.stripe.com/receipts/payment/test-Tm7c52eZvKYlo2C3uK";
    assert_eq!(receipt_url.as_deref(), Some(receipt));
    assert_eq!(hint.user, Some(UserId::parse("user_2aB9xQ").unwrap()));
}

#[test]
fn an_invoices_charge_hints_at_nobody_but_its_customer() {
    let Fact::Charge { hint, .. } = fact(&fixture(INVOICES_CHARGE)) else { panic!() };
    let customer = Some(CustomerId::parse("cus_QTmAk42eZvKYlo2C8oX").unwrap());
    assert_eq!(hint, Hint { customer, ..Hint::default() });
}

#[test]
fn a_charge_that_paid_nothing_or_no_intent_is_no_reference() {
    for status in [json!("failed"), json!("pending"), json!("reconsidered"), json!(null)] {
        assert_eq!(fact(&with(CHARGE, "status", status.clone())), Fact::Other, "{status}");
    }
    assert_eq!(fact(&with(CHARGE, "payment_intent", json!(null))), Fact::Other);
    let mut event = fixture(CHARGE);
    event["type"] = json!("charge.captured");
    assert_eq!(fact(&event), Fact::Other);
}

#[test]
fn an_expanded_intent_of_a_charge_means_the_same_as_its_id() {
    let mut event = fixture(CHARGE);
    let charge = &mut event["data"]["object"];
    charge["payment_intent"] = json!({"id": charge["payment_intent"], "object": "payment_intent"});
    assert_eq!(fact(&event), fact(&fixture(CHARGE)));
}

#[test]
fn what_is_odd_about_a_receipt_or_a_hint_keeps_no_charge_from_its_payment() {
    for odd in [json!(null), json!(7), json!([]), json!({})] {
        for field in ["receipt_url", "customer", "metadata"] {
            let fact = fact(&with(CHARGE, field, odd.clone()));
            let Fact::Charge { payment, .. } = fact else { panic!("{field} {odd}: {fact:?}") };
            assert_eq!(payment.as_str(), "pi_3Tm7c52eZvKYlo2C3uK");
        }
    }
}

#[test]
fn which_payment_was_tried_or_charged_is_never_guessed() {
    for wrong in [json!(7), json!([]), json!({}), json!(""), json!("ch_1"), json!("cs_1")] {
        for (name, field) in [(CREATED, "id"), (FAILED, "id"), (CHARGE, "payment_intent")] {
            assert_eq!(read(&with(name, field, wrong.clone())).unwrap_err().field, field, "{name} {wrong}");
        }
    }
    for wrong in [json!(null), json!(7), json!({}), json!(""), json!("c h")] {
        assert_eq!(read(&with(CHARGE, "id", wrong.clone())).unwrap_err().field, "id", "{wrong}");
    }
    for name in [CREATED, CHARGE] {
        let mut event = fixture(name);
        event["data"] = json!({});
        assert_eq!(read(&event).unwrap_err().field, "data.object", "{name}");
    }
}
