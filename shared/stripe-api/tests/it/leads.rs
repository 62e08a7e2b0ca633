//! From one object of Stripe's to another.

use domain::ids::{InvoiceId, PaymentId, SubscriptionId};
use serde_json::{Value, json};
use stripe_api::Billed;

use crate::wire::{Step, Wire};
use crate::{Stripe, StripeError};

const REFUND: &str = include_str!("../../../../events/stripe/refund.created.2026-09-30.json");
const DISPUTE: &str = include_str!("../../../../events/stripe/charge.dispute.created.2026-09-30.json");
const SCHEDULE: &str =
    include_str!("../../../../events/stripe/subscription_schedule.updated.2026-09-30.json");
const RELEASED: &str =
    include_str!("../../../../events/stripe/subscription_schedule.released.2026-09-30.json");
const EXPANDED: &str =
    include_str!("../../../../events/stripe/invoice_payment.paid.expanded.2026-09-30.json");
const PLAIN: &str = include_str!("../../../../events/stripe/invoice_payment.paid.2026-09-30.json");

/// The object that an event shows.
fn object(event: &str) -> Value {
    serde_json::from_str::<Value>(event).unwrap()["data"]["object"].take()
}

fn list(of: Value) -> String {
    json!({ "object": "list", "data": of, "has_more": false, "url": "/v1/invoice_payments" }).to_string()
}

fn answering(body: impl Into<String>) -> (Wire, Stripe) {
    let wire = Wire::play([Step::ok(body)]);
    let stripe = Stripe::new(wire.settings()).unwrap();
    (wire, stripe)
}

fn missing(status: u16) -> Stripe {
    let error = json!({ "error": { "type": "invalid_request_error", "code": "resource_missing" } });
    Stripe::new(Wire::play([Step::status(status).body(error.to_string())]).settings()).unwrap()
}

fn sale() -> PaymentId {
    PaymentId::parse("pi_3Tm7c52eZvKYlo2C3uK").unwrap()
}

fn invoices() -> PaymentId {
    PaymentId::parse("pi_3TmAk42eZvKYlo2C8oX").unwrap()
}

fn invoice() -> InvoiceId {
    InvoiceId::parse("in_1TmAk42eZvKYlo2C8oX").unwrap()
}

fn subscription() -> SubscriptionId {
    SubscriptionId::parse("sub_1TmAk42eZvKYlo2C8oX").unwrap()
}

#[tokio::test]
async fn a_refund_and_a_dispute_lead_to_their_payment() {
    let (wire, stripe) = answering(object(REFUND).to_string());
    assert_eq!(stripe.refunded_payment("re_1").await.unwrap(), Some(sale()));
    assert_eq!(wire.calls(), ["GET /v1/refunds/re_1"]);
    let (wire, stripe) = answering(object(DISPUTE).to_string());
    assert_eq!(stripe.disputed_payment("du_1").await.unwrap(), Some(sale()));
    assert_eq!(wire.calls(), ["GET /v1/disputes/du_1"]);
    for event in [REFUND, DISPUTE] {
        let mut without = object(event);
        without["payment_intent"] = Value::Null;
        let (_, stripe) = answering(without.to_string());
        let found = match event == REFUND {
            true => stripe.refunded_payment("re_1").await,
            false => stripe.disputed_payment("du_1").await,
        };
        assert_eq!(found.unwrap(), None, "money that was charged without an intent");
    }
}

#[tokio::test]
async fn a_schedule_leads_to_the_subscription_that_it_holds_or_held() {
    for event in [SCHEDULE, RELEASED] {
        let (wire, stripe) = answering(object(event).to_string());
        assert_eq!(stripe.scheduled_subscription("sub_sched_1").await.unwrap(), Some(subscription()));
        assert_eq!(wire.calls(), ["GET /v1/subscription_schedules/sub_sched_1"]);
    }
    let mut early = object(SCHEDULE);
    early["subscription"] = Value::Null;
    let (_, stripe) = answering(early.to_string());
    assert_eq!(stripe.scheduled_subscription("sub_sched_1").await.unwrap(), None);
}

#[tokio::test]
async fn an_intent_leads_to_the_invoice_that_it_is_to_pay_and_its_subscription_in_one_call() {
    let (wire, stripe) = answering(list(json!([object(EXPANDED)])));
    let billed = Billed { invoice: invoice(), subscription: subscription() };
    assert_eq!(stripe.billed_by(&invoices()).await.unwrap(), Some(billed));
    let calls = wire.calls();
    assert_eq!(calls.len(), 1);
    for asked in
        ["payment[type]=payment_intent", "payment[payment_intent]=pi_3TmAk42eZvKYlo2C8oX", "data.invoice"]
    {
        let encoded = asked.replace('[', "%5B").replace(']', "%5D");
        assert!(calls[0].contains(asked) || calls[0].contains(&encoded), "{asked}: {calls:?}");
    }
    let mut one_off = object(EXPANDED);
    one_off["invoice"]["parent"] = Value::Null;
    let (_, stripe) = answering(list(json!([one_off])));
    assert_eq!(stripe.billed_by(&invoices()).await.unwrap(), None, "of no subscription");
    let (_, stripe) = answering(list(json!([])));
    assert_eq!(stripe.billed_by(&sale()).await.unwrap(), None, "no invoice's");
}

#[tokio::test]
async fn an_invoice_leads_to_every_intent_that_tried_to_pay_it() {
    let mut open = object(PLAIN);
    (open["status"], open["amount_paid"]) = (json!("open"), Value::Null);
    let mut outside = object(PLAIN);
    outside["payment"] = json!({ "type": "payment_record", "payment_record": "pr_1" });
    let (_, stripe) = answering(list(json!([open, outside])));
    assert_eq!(stripe.intents_of(&invoice()).await.unwrap(), [invoices()]);
}

#[tokio::test]
async fn what_stripe_does_not_have_leads_nowhere() {
    assert_eq!(missing(404).refunded_payment("re_1").await.unwrap(), None);
    assert_eq!(missing(404).disputed_payment("du_1").await.unwrap(), None);
    assert_eq!(missing(404).scheduled_subscription("sub_sched_1").await.unwrap(), None);
    assert_eq!(missing(400).billed_by(&sale()).await.unwrap(), None);
    assert_eq!(missing(400).intents_of(&invoice()).await.unwrap(), []);
    let wire = Wire::play([Step::ok("{}")]);
    let unreadable = Stripe::new(wire.settings()).unwrap().refunded_payment("re_1").await.unwrap_err();
    assert!(matches!(unreadable, StripeError::Malformed { object: "refund", .. }), "{unreadable}");
}
