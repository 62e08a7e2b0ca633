//! The events that lead to a subscription.

use std::collections::BTreeMap;

use domain::ids::{CustomerId, InvoiceId, SubscriptionId, UserId};
use serde_json::{Value, json};
use stripe_event::{Fact, Hint};

use crate::{fact, fixture, fixtures, read, with};

const PLAN: &str = "checkout.session.completed.subscription.2026-09-30";
const SUBSCRIPTION: &str = "customer.subscription.updated.2026-09-30";
const INVOICE: &str = "invoice.paid.2026-09-30";
const OLD_INVOICE: &str = "invoice.paid.2024-06-20";
const PAYMENT: &str = "invoice_payment.paid.2026-09-30";

fn pointed_at(event: &Value) -> (SubscriptionId, Hint) {
    match fact(event) {
        Fact::Subscription { id, hint } | Fact::Declined { subscription: Some(id), hint, .. } => (id, hint),
        other => panic!("no subscription: {other:?}"),
    }
}

#[test]
fn every_event_of_one_subscription_names_it_and_its_owner_alike() {
    let mut seen: BTreeMap<String, Vec<(String, SubscriptionId, Hint)>> = BTreeMap::new();
    let is_whole = |name: &String| !name.starts_with("thin") && !name.contains("by_hand");
    for (name, event) in fixtures().into_iter().filter(|(name, _)| is_whole(name)) {
        if let Fact::Subscription { id, hint } | Fact::Declined { subscription: Some(id), hint, .. } =
            fact(&event)
        {
            let version = name.rsplit_once('.').unwrap().1.to_owned();
            seen.entry(version).or_default().push((name, id, hint));
        }
    }
    assert_eq!(seen.len(), 4, "one subscription for each API version");
    for sightings in seen.values() {
        let (first, id, hint) = &sightings[0];
        assert_eq!(hint.stack.as_deref(), Some("tollgate-prod"), "{first}");
        assert_eq!(hint.user.as_ref().map(UserId::as_str), Some("user_2aB9xQ"), "{first}");
        assert!(hint.customer.is_some(), "{first}");
        for (name, other_id, other_hint) in sightings {
            assert_eq!((other_id, other_hint), (id, hint), "{name} differs from {first}");
        }
    }
}

#[test]
fn an_invoices_payment_leads_to_the_subscription_by_its_invoice() {
    let invoice = || InvoiceId::parse("in_1TmAk42eZvKYlo2C8oX").unwrap();
    assert_eq!(fact(&fixture(PAYMENT)), Fact::Invoice(invoice()));
    let expanded = json!({"id": invoice().as_str(), "object": "invoice"});
    assert_eq!(fact(&with(PAYMENT, "invoice", expanded)), Fact::Invoice(invoice()));
}

#[test]
fn a_subscription_event_of_any_kind_is_a_reason_to_look() {
    for kind in ["paused", "resumed", "pending_update_expired", "reconsidered"] {
        let mut event = fixture(SUBSCRIPTION);
        event["type"] = json!(format!("customer.subscription.{kind}"));
        assert_eq!(pointed_at(&event).0.as_str(), "sub_1TmAk42eZvKYlo2C8oX", "{kind}");
    }
}

#[test]
fn what_is_odd_about_a_hint_keeps_nobody_from_looking() {
    for odd in [json!(null), json!(7), json!([]), json!("legacy-7"), json!({"deleted": true})] {
        for name in [SUBSCRIPTION, PLAN, INVOICE, OLD_INVOICE] {
            let (_, hint) = pointed_at(&with(name, "customer", odd.clone()));
            assert_eq!(hint.customer, None, "{name} {odd}");
            assert!(hint.user.is_some(), "{name} {odd}");
        }
        let (_, hint) = pointed_at(&with(SUBSCRIPTION, "metadata", odd.clone()));
        assert_eq!((hint.stack, hint.user), (None, None), "{odd}");
    }
}

#[test]
fn what_was_made_by_hand_hints_at_its_customer_alone() {
    for name in ["customer.subscription.created", "subscription_schedule.created"] {
        let (id, hint) = pointed_at(&fixture(&format!("{name}.by_hand.2026-09-30")));
        let customer = Some(CustomerId::parse("cus_QTmAk42eZvKYlo2C8oX").unwrap());
        assert_eq!((id.as_str(), hint), ("sub_1TmAk42eZvKYlo2C8oX", Hint { customer, ..Hint::default() }));
    }
}

#[test]
fn a_schedule_names_the_subscription_that_it_holds_or_has_let_go_of() {
    let name = "subscription_schedule.released.2026-09-30";
    assert_eq!(pointed_at(&fixture(name)).0.as_str(), "sub_1TmAk42eZvKYlo2C8oX");
    assert_eq!(pointed_at(&with(name, "subscription", json!("sub_held"))).0.as_str(), "sub_held");
    assert_eq!(fact(&with(name, "released_subscription", json!(null))), Fact::Other);
    for field in ["subscription", "released_subscription"] {
        assert!(read(&with(name, field, json!(7))).is_err(), "{field}");
        assert!(read(&with(name, field, json!("pi_1"))).is_err(), "{field}");
    }
    let mut event = fixture(name);
    event["type"] = json!("subscription_schedule.reconsidered");
    assert_eq!(pointed_at(&event), pointed_at(&fixture(name)));
}

#[test]
fn an_invoice_that_was_not_paid_is_told_with_its_subscription() {
    for kind in ["payment_failed", "payment_action_required"] {
        let Fact::Declined { invoice, subscription, hint } =
            fact(&fixture(&format!("invoice.{kind}.2026-09-30")))
        else {
            panic!("{kind}")
        };
        assert_eq!(invoice.as_str(), "in_1TmAk42eZvKYlo2C8oX");
        let told = (subscription.unwrap(), hint);
        assert_eq!(told, pointed_at(&fixture(SUBSCRIPTION)), "{kind}");
        let Fact::Declined { invoice, subscription: None, hint } =
            fact(&fixture(&format!("thin.invoice.{kind}.2026-09-30")))
        else {
            panic!("thin {kind}")
        };
        assert_eq!((invoice.as_str(), hint), ("in_1TmAk42eZvKYlo2C8oX", Hint::default()));
    }
    let failed = "invoice.payment_failed.2026-09-30";
    for wrong in [json!(null), json!(7), json!("upcoming_in_1"), json!("sub_1")] {
        assert_eq!(read(&with(failed, "id", wrong.clone())).unwrap_err().field, "id", "{wrong}");
    }
}

#[test]
fn an_expanded_subscription_means_the_same_as_its_id() {
    let expanded =
        |id: &Value| json!({"id": id, "object": "subscription", "metadata": {"tollgate_user": "eve"}});
    for name in [PLAN, OLD_INVOICE] {
        let mut event = fixture(name);
        let object = &mut event["data"]["object"];
        object["subscription"] = expanded(&object["subscription"]);
        assert_eq!(fact(&event), fact(&fixture(name)), "{name}");
    }
    let mut event = fixture(INVOICE);
    let details = &mut event["data"]["object"]["parent"]["subscription_details"];
    details["subscription"] = expanded(&details["subscription"]);
    assert_eq!(fact(&event), fact(&fixture(INVOICE)));
}

#[test]
fn a_session_or_invoice_of_no_subscription_changes_none() {
    assert_eq!(fact(&with(PLAN, "subscription", json!(null))), Fact::Other);
    assert_eq!(fact(&with(OLD_INVOICE, "subscription", json!(null))), Fact::Other);
    let quote =
        json!({"type": "quote_details", "quote_details": {"quote": "qt_1"}, "subscription_details": null});
    for parent in [json!(null), quote] {
        assert_eq!(fact(&with(INVOICE, "parent", parent)), Fact::Other);
    }
}

#[test]
fn which_subscription_it_is_is_never_guessed() {
    let wrong = [json!([]), json!(true), json!(7), json!("pi_1"), json!(""), json!({"id": null})];
    for value in &wrong {
        for (name, field) in [
            (SUBSCRIPTION, "id"),
            (PLAN, "subscription"),
            (OLD_INVOICE, "subscription"),
            (PAYMENT, "invoice"),
        ] {
            assert_eq!(read(&with(name, field, value.clone())).unwrap_err().field, field, "{name}");
        }
    }
    for value in wrong.into_iter().chain([json!(null)]) {
        let mut event = fixture(INVOICE);
        event["data"]["object"]["parent"]["subscription_details"]["subscription"] = value;
        assert_eq!(read(&event).unwrap_err().field, "subscription");
    }
    for (name, field) in [(SUBSCRIPTION, "id"), (PAYMENT, "invoice")] {
        assert_eq!(read(&with(name, field, json!(null))).unwrap_err().field, field);
    }
    assert_eq!(read(&with(INVOICE, "parent", json!("sub_1"))).unwrap_err().field, "parent");
    let lost = json!({"type": "subscription_details", "subscription_details": null});
    assert_eq!(read(&with(INVOICE, "parent", lost)).unwrap_err().field, "subscription");
}

#[test]
fn a_thin_event_about_a_subscription_hints_at_nobody() {
    let (id, hint) = pointed_at(&fixture("thin.customer.subscription.updated.2026-09-30"));
    assert_eq!((id.as_str(), hint), ("sub_1TmAk42eZvKYlo2C8oX", Hint::default()));
}

#[test]
fn a_thin_event_about_an_invoice_counts_where_its_snapshot_would() {
    let mut event = fixture("thin.invoice.paid.2026-09-30");
    assert_eq!(fact(&event), Fact::Invoice(InvoiceId::parse("in_1TmAk42eZvKYlo2C8oX").unwrap()));
    event["type"] = json!("v1.invoice.created");
    assert_eq!(fact(&event), Fact::Other);
}

#[test]
fn a_thin_event_whose_object_has_a_strange_id_is_refused() {
    for name in ["thin.customer.subscription.updated.2026-09-30", "thin.invoice.paid.2026-09-30"] {
        let mut event = fixture(name);
        event["related_object"]["id"] = json!("pi_1");
        assert_eq!(read(&event).unwrap_err().field, "related_object.id", "{name}");
    }
}
