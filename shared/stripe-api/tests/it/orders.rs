//! What a checkout asks of Stripe beyond the money, and what a session tells of money that never came.

use serde_json::{Value, json};

use crate::answers::{order, sent, session};
use crate::intents::intent;
use crate::wire::{Step, Wire};
use crate::{CheckoutOrder, Session, SessionStatus, Stripe};

fn plan() -> CheckoutOrder {
    let mut order = order();
    order.envelope.item = "plan:premium:month".parse().ok();
    order
}

/// What an order sends that another does not.
async fn more(with: &CheckoutOrder, without: &CheckoutOrder) -> Vec<String> {
    let without = sent(without).await;
    sent(with).await.into_iter().filter(|pair| !without.contains(pair)).collect()
}

#[tokio::test]
async fn every_wish_is_sent_and_nothing_else() {
    type Wish = fn(&mut CheckoutOrder);
    let cases: [(&str, Wish, &[&str]); 6] = [
        ("seats", |order| order.seats = 7, &["line_items[0][quantity]=7"]),
        (
            "methods",
            |order| order.payment_methods = ["card", "sepa_debit"].map(str::to_owned).to_vec(),
            &["allowed_payment_method_types[0]=card", "allowed_payment_method_types[1]=sepa_debit"],
        ),
        (
            "tax",
            |order| order.automatic_tax = true,
            &["automatic_tax[enabled]=true", "customer_update[address]=auto", "customer_update[name]=auto"],
        ),
        (
            "address",
            |order| order.collect_address = true,
            &[
                "billing_address_collection=required",
                "customer_update[address]=auto",
                "customer_update[name]=auto",
            ],
        ),
        ("codes", |order| order.promotion_codes = true, &["allow_promotion_codes=true"]),
        ("trial", |order| order.trial_days = 14, &["subscription_data[trial_period_days]=14"]),
    ];
    for (name, wish, expected) in cases {
        let mut order = plan();
        wish(&mut order);
        assert_eq!(more(&order, &plan()).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_trial_that_needs_no_method_asks_for_none_and_pauses() {
    let order = CheckoutOrder { trial_days: 14, trial_needs_method: false, ..plan() };
    let expected = [
        "payment_method_collection=if_required",
        "subscription_data[trial_period_days]=14",
        "subscription_data[trial_settings][end_behavior][missing_payment_method]=pause",
    ];
    assert_eq!(more(&order, &plan()).await, expected);
    let untried = CheckoutOrder { trial_days: 0, ..order };
    assert_eq!(more(&untried, &plan()).await, [""; 0], "without a trial there is nothing to try for free");
}

#[tokio::test]
async fn a_package_has_neither_seats_nor_a_trial() {
    let order = CheckoutOrder { seats: 7, trial_days: 14, trial_needs_method: false, ..order() };
    assert_eq!(more(&order, &crate::answers::order()).await, [""; 0]);
}

async fn looked_at(payment_status: &str, changes: Value) -> Session {
    let intent: Value = serde_json::from_str(&intent(changes)).unwrap();
    let now =
        session(json!({"status": "complete", "payment_status": payment_status, "payment_intent": intent}));
    let wire = Wire::play([Step::ok(now)]);
    let id = domain::ids::CheckoutId::parse("cs_test_1").unwrap();
    let session = Stripe::new(wire.settings()).unwrap().session(&id).await.unwrap().unwrap();
    assert_eq!(wire.seen().len(), 1, "one request tells both");
    session
}

#[tokio::test]
async fn a_session_whose_money_was_under_way_says_when_the_bank_refused() {
    let refused = looked_at("unpaid", json!({})).await;
    assert_eq!(
        (refused.status, refused.failure.as_deref()),
        (SessionStatus::Processing, Some("insufficient_funds"))
    );
    let waiting = looked_at("unpaid", json!({"status": "processing", "last_payment_error": null})).await;
    assert_eq!((waiting.status, waiting.failure), (SessionStatus::Processing, None));
    let paid = looked_at("paid", json!({"status": "succeeded", "last_payment_error": null})).await;
    assert_eq!((paid.status, paid.failure), (SessionStatus::Complete, None));
}
