//! How a running subscription is changed, ended and kept: what is asked of Stripe, in which order, and what again.

use domain::catalog::Proration;
use domain::ids::PriceId;
use domain::payment::Envelope;
use domain::subscription::Status;
use domain::time::Time;
use serde_json::{Value, json};
use stripe_api::ChangeOrder;

use crate::schedules::schedule;
use crate::subscriptions::{END, MISSING, START, at, id, subscription};
use crate::wire::{Step, Wire};
use crate::{Stripe, StripeError};

pub const REFUSED: &str = r#"{"error":{"type":"invalid_request_error","message":"No."}}"#;
const REUSED: &str =
    r#"{"error":{"type":"idempotency_error","message":"First used with other parameters."}}"#;

pub fn order() -> ChangeOrder {
    ChangeOrder {
        subscription: id(),
        price: PriceId::parse("price_2").unwrap(),
        quantity: 3,
        proration: Proration::AtOnce,
        counted_from: at(START + 100),
        envelope: Envelope {
            catalog: Some(4),
            item: "plan:elite:month".parse().ok(),
            user: "ada".parse().ok(),
            ..Envelope::default()
        },
        request: "req:ada:change:1".to_owned(),
    }
}

pub fn stripe(wire: &Wire) -> Stripe {
    Stripe::new(wire.settings()).unwrap()
}

/// The subscription as it was, with changes.
pub fn now(changes: Value) -> Step {
    Step::ok(subscription(changes))
}

/// The subscription once the order was carried out.
fn done() -> Step {
    now(json!({"metadata": {"tollgate_request": "req:ada:change:1"}}))
}

const GET: &str = "GET /v1/subscriptions/sub_1?expand[0]=schedule";
const POST: &str = "POST /v1/subscriptions/sub_1";
const RELEASE: &str = "POST /v1/subscription_schedules/sub_sched_1/release";

fn scheduled() -> Step {
    now(json!({ "schedule": schedule(json!([])) }))
}

fn done_as_scheduled() -> Step {
    now(json!({"metadata": {"tollgate_request": "req:ada:change:1"}, "schedule": schedule(json!([]))}))
}

#[tokio::test]
async fn a_change_names_its_item_its_moment_and_its_request_and_fails_rather_than_owes() {
    let wire = Wire::play([now(json!({})), done()]);
    let changed = stripe(&wire).change_now(&order(), "key").await.unwrap().unwrap();
    assert_eq!(changed.request.as_deref(), Some("req:ada:change:1"));
    assert_eq!(wire.calls(), [GET, POST]);
    let expected = [
        ("expand[0]", "schedule"),
        ("items[0][id]", "si_1"),
        ("items[0][price]", "price_2"),
        ("items[0][quantity]", "3"),
        ("metadata[tollgate_catalog]", "4"),
        ("metadata[tollgate_item]", "plan:elite:month"),
        ("metadata[tollgate_request]", "req:ada:change:1"),
        ("metadata[tollgate_stack]", "main"),
        ("metadata[tollgate_user]", "ada"),
        ("payment_behavior", "error_if_incomplete"),
        ("proration_behavior", "always_invoice"),
        ("proration_date", "1790000100"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(wire.seen()[1].fields(), expected.into());
}

async fn prorated(order: ChangeOrder, changes: Value) -> (String, Option<i64>) {
    let wire = Wire::play([now(changes), done()]);
    stripe(&wire).change_now(&order, "key").await.unwrap();
    let fields = wire.seen()[1].fields();
    (fields["proration_behavior"].clone(), fields.get("proration_date").map(|at| at.parse().unwrap()))
}

#[tokio::test]
async fn a_change_is_prorated_as_ordered_and_never_outside_of_the_period() {
    let with = |proration| ChangeOrder { proration, ..order() };
    let from = |seconds| ChangeOrder { counted_from: at(seconds), ..order() };
    let cases = [
        (with(Proration::AtOnce), "always_invoice", Some(START + 100)),
        (with(Proration::NextInvoice), "create_prorations", Some(START + 100)),
        (with(Proration::None), "none", None),
        (from(START - 5), "always_invoice", Some(START)),
        (from(END + 5), "always_invoice", Some(END)),
    ];
    for (order, behavior, date) in cases {
        assert_eq!(prorated(order, json!({})).await, (behavior.to_owned(), date));
    }
}

#[tokio::test]
async fn a_change_within_a_trial_is_not_prorated() {
    let tried = json!({"status": "trialing", "trial_end": END});
    assert_eq!(prorated(order(), tried).await, ("none".to_owned(), None));
}

#[tokio::test]
async fn a_change_to_come_is_given_up_for_one_now() {
    let released = || Step::ok(schedule(json!([])).to_string());
    let wire = Wire::play([scheduled(), done_as_scheduled(), released()]);
    let changed = stripe(&wire).change_now(&order(), "key").await.unwrap().unwrap();
    assert_eq!(wire.calls(), [GET, POST, RELEASE]);
    assert_eq!((changed.schedule, changed.next), (None, None));
    let seen = wire.seen();
    assert!(seen[1].key().is_some() && seen[1].key() != seen[2].key(), "each step has a key of its own");
    // Cut off before the release.
    let wire = Wire::play([done_as_scheduled(), released()]);
    stripe(&wire).change_now(&order(), "key").await.unwrap();
    assert_eq!(wire.calls(), [GET, RELEASE]);
}

#[tokio::test]
async fn a_declined_change_gives_up_nothing_that_was_to_come() {
    let declined = Step::status(402).body(r#"{"error":{"type":"card_error","code":"card_declined"}}"#);
    let wire = Wire::play([scheduled(), declined]);
    assert!(stripe(&wire).change_now(&order(), "key").await.unwrap_err().decline().is_some());
    assert_eq!(wire.calls(), [GET, POST]);
}

#[tokio::test]
async fn a_schedule_that_somebody_else_released_is_in_nobodys_way() {
    let wire = Wire::play([scheduled(), done_as_scheduled(), Step::status(400).body(REFUSED), done()]);
    stripe(&wire).change_now(&order(), "key").await.unwrap();
    assert_eq!(wire.calls(), [GET, POST, RELEASE, GET]);
    let wire = Wire::play([scheduled(), done_as_scheduled(), Step::status(400).body(REFUSED), scheduled()]);
    let refused = stripe(&wire).change_now(&order(), "key").await.unwrap_err();
    assert!(matches!(refused, StripeError::Refused(_)), "{refused}");
}

#[tokio::test]
async fn what_was_changed_before_is_not_changed_again() {
    let wire = Wire::play([done()]);
    assert!(stripe(&wire).change_now(&order(), "key").await.unwrap().is_some());
    assert_eq!(wire.calls(), [GET]);
}

#[tokio::test]
async fn a_change_whose_reply_was_lost_repeats_exactly() {
    let wire = Wire::play([now(json!({})), Step::Hangup, done()]);
    stripe(&wire).change_now(&order(), "key").await.unwrap();
    let seen = wire.seen();
    assert_eq!((seen[1].key(), seen[1].fields()), (seen[2].key(), seen[2].fields()));

    let again = Wire::play([now(json!({})), done()]);
    stripe(&again).change_now(&order(), "key").await.unwrap();
    let other = Wire::play([now(json!({})), done()]);
    stripe(&other).change_now(&order(), "another").await.unwrap();
    assert_eq!(again.seen()[1].key(), seen[1].key(), "so does the next call");
    assert_ne!(other.seen()[1].key(), seen[1].key());
}

#[tokio::test]
async fn a_key_that_was_used_when_the_subscription_was_another_is_looked_into() {
    let steps = |then| [now(json!({})), Step::status(400).body(REUSED), then];
    let wire = Wire::play(steps(done()));
    assert!(stripe(&wire).change_now(&order(), "key").await.unwrap().is_some());
    let wire = Wire::play(steps(now(json!({}))));
    assert!(stripe(&wire).change_now(&order(), "key").await.unwrap_err().is_key_reused());
}

#[tokio::test]
async fn a_declined_change_says_why() {
    let declined =
        r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds"}}"#;
    let wire = Wire::play([now(json!({})), Step::status(402).body(declined)]);
    let error = stripe(&wire).change_now(&order(), "key").await.unwrap_err();
    assert_eq!(error.decline(), Some("insufficient_funds"));
    assert!(!error.is_retryable());
    let authentication =
        r#"{"error":{"type":"card_error","code":"subscription_payment_intent_requires_action"}}"#;
    let wire = Wire::play([now(json!({})), Step::status(402).body(authentication)]);
    let error = stripe(&wire).change_now(&order(), "key").await.unwrap_err();
    assert_eq!(error.decline(), Some("subscription_payment_intent_requires_action"));
}

#[tokio::test]
async fn what_is_not_there_cannot_be_altered() {
    let missing = || Step::status(404).body(MISSING);
    let wire = Wire::play(vec![missing(); 5]);
    let stripe = stripe(&wire);
    assert_eq!(stripe.change_now(&order(), "key").await.unwrap(), None);
    assert_eq!(stripe.change_at_period_end(&order(), "key").await.unwrap(), None);
    assert_eq!(stripe.cancel_at_period_end(&id(), "key").await.unwrap(), None);
    assert_eq!(stripe.resume(&id(), "key").await.unwrap(), None);
    assert_eq!(stripe.preview_change(&order(), domain::catalog::When::Now).await.unwrap(), None);
    assert_eq!(wire.seen().len(), 5);
}

#[tokio::test]
async fn an_end_at_the_periods_end_is_one_request() {
    let wire = Wire::play([now(json!({"cancel_at_period_end": true}))]);
    let leaving = stripe(&wire).cancel_at_period_end(&id(), "key").await.unwrap().unwrap();
    assert_eq!(leaving.cancel_at, Some(at(END)));
    assert_eq!(wire.calls(), [POST]);
    assert_eq!(wire.seen()[0].fields()["cancel_at_period_end"], "true");
}

#[tokio::test]
async fn a_schedule_that_bars_an_end_is_released_first() {
    let refused = || Step::status(400).body(REFUSED);
    let leaving = || now(json!({"cancel_at_period_end": true}));
    let released = || Step::ok(schedule(json!([])).to_string());
    let wire = Wire::play([refused(), scheduled(), released(), leaving()]);
    assert!(stripe(&wire).cancel_at_period_end(&id(), "key").await.unwrap().unwrap().cancel_at.is_some());
    assert_eq!(wire.calls(), [POST, GET, RELEASE, POST]);
    // Cut off after the release: the first key still answers with its refusal.
    let wire = Wire::play([refused(), now(json!({})), leaving()]);
    assert!(stripe(&wire).cancel_at_period_end(&id(), "key").await.unwrap().unwrap().cancel_at.is_some());
    assert_eq!(wire.calls(), [POST, GET, POST]);
    assert_ne!(wire.seen()[0].key(), wire.seen()[2].key());
}

#[tokio::test]
async fn what_has_ended_answers_as_it_is() {
    let ended = || now(json!({"status": "canceled", "ended_at": START + 9}));
    let wire = Wire::play([Step::status(400).body(REFUSED), ended(), ended()]);
    let stripe = stripe(&wire);
    for found in [stripe.cancel_at_period_end(&id(), "key").await, stripe.resume(&id(), "key").await] {
        assert_eq!(found.unwrap().unwrap().status, Status::Canceled);
    }
    assert_eq!(wire.calls(), [POST, GET, GET]);
}

#[tokio::test]
async fn a_planned_end_is_taken_back_in_the_way_it_was_planned() {
    let cases = [
        (json!({"cancel_at_period_end": true}), "cancel_at_period_end", "false"),
        (json!({"cancel_at_period_end": true, "cancel_at": END}), "cancel_at_period_end", "false"),
        (json!({"cancel_at": END}), "cancel_at", ""),
    ];
    for (planned, name, value) in cases {
        let wire = Wire::play([now(planned.clone()), now(json!({}))]);
        let staying = stripe(&wire).resume(&id(), "key").await.unwrap().unwrap();
        assert_eq!(staying.cancel_at, None);
        assert_eq!(wire.calls(), [GET, POST]);
        let expected = [("expand[0]", "schedule"), (name, value)];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(wire.seen()[1].fields(), expected.into(), "{planned}");
    }
}

#[tokio::test]
async fn a_change_to_come_is_taken_back() {
    let wire = Wire::play([scheduled(), Step::ok(schedule(json!([])).to_string())]);
    let staying = stripe(&wire).resume(&id(), "key").await.unwrap().unwrap();
    assert_eq!((staying.schedule, staying.next), (None, None));
    assert_eq!(wire.calls(), [GET, RELEASE]);
}

#[tokio::test]
async fn what_runs_is_left_to_run() {
    let wire = Wire::play([now(json!({}))]);
    assert_eq!(stripe(&wire).resume(&id(), "key").await.unwrap().unwrap().status, Status::Active);
}

#[tokio::test]
async fn a_pause_ends_when_the_period_that_begins_is_paid() {
    let paused = |mode: &str| now(json!({"status": "paused", "billing_mode": {"type": mode}}));
    for (mode, behavior) in [("flexible", Some("resume_on_payment_success")), ("classic", None)] {
        let wire = Wire::play([paused(mode), now(json!({}))]);
        assert_eq!(stripe(&wire).resume(&id(), "key").await.unwrap().unwrap().status, Status::Active);
        assert_eq!(wire.calls(), [GET, "POST /v1/subscriptions/sub_1/resume"]);
        let fields = wire.seen()[1].fields();
        assert_eq!(fields.get("payment_behavior").map(String::as_str), behavior, "{mode}");
    }
    let wire = Wire::play([paused("flexible"), Step::status(400).body(REFUSED), now(json!({}))]);
    assert_eq!(stripe(&wire).resume(&id(), "key").await.unwrap().unwrap().status, Status::Active, "it runs");
    let wire = Wire::play([paused("flexible"), Step::status(400).body(REFUSED), paused("flexible")]);
    assert!(stripe(&wire).resume(&id(), "key").await.is_err(), "nothing to charge");
}

#[tokio::test]
async fn subscriptions_of_a_customer_are_read_whatever_became_of_them() {
    let page = |more: bool, id: &str, status: &str| {
        let found: Value = serde_json::from_str(&subscription(json!({"id": id, "status": status}))).unwrap();
        let list = json!({"object": "list", "url": "/v1/subscriptions", "has_more": more, "data": [found]});
        Step::ok(list.to_string())
    };
    let wire = Wire::play([page(true, "sub_2", "active"), page(false, "sub_1", "incomplete_expired")]);
    let customer = "cus_1".parse().unwrap();
    let since = Time::from_seconds(START);
    let found = stripe(&wire).customer_subscriptions(&customer, Some(since)).await.unwrap();
    let found: Vec<_> = found.iter().map(|found| (found.id.as_str(), found.status.name())).collect();
    assert_eq!(found, [("sub_2", "active"), ("sub_1", "incomplete_expired")]);
    let first = &wire.calls()[0];
    for wanted in ["customer=cus_1", "status=all", "created[gte]=1790000000", "expand[0]=data.schedule"] {
        assert!(first.contains(wanted), "{first}");
    }
}
