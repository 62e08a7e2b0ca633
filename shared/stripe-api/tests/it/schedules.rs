//! What a schedule says is to come, and how one is written.

use domain::ids::PriceId;
use serde_json::{Value, json};
use stripe_api::ChangeOrder;

use crate::changes::{now, order, stripe};
use crate::subscriptions::{END, START, at, id};
use crate::wire::{Step, Wire};

const LATER: i64 = END + 30 * 86_400;

fn phase(start: i64, end: i64, price: &str, quantity: u64, changes: Value) -> Value {
    let mut phase = json!({
        "add_invoice_items": [], "currency": "eur", "discounts": [], "start_date": start, "end_date": end,
        "items": [{"discounts": [], "metadata": {}, "plan": price, "price": price, "quantity": quantity}],
        "metadata": {}, "proration_behavior": "none", "trial_end": null,
    });
    for (name, value) in changes.as_object().unwrap() {
        phase[name] = value.clone();
    }
    phase
}

/// The running phase is what the subscription is; then come these.
pub fn schedule(to_come: Value) -> Value {
    schedule_from(phase(START, END, "price_1", 1, json!({})), to_come)
}

fn schedule_from(running: Value, to_come: Value) -> Value {
    let current = json!({"start_date": running["start_date"], "end_date": running["end_date"]});
    let mut phases = vec![running];
    phases.extend(to_come.as_array().unwrap().clone());
    json!({
        "id": "sub_sched_1", "object": "subscription_schedule", "created": START, "customer": "cus_1",
        "billing_mode": {"type": "flexible"}, "current_phase": current,
        "default_settings": {"billing_cycle_anchor": "automatic", "invoice_settings": {"issuer": {"type": "self"}}},
        "end_behavior": "release", "livemode": false, "phases": phases, "status": "active",
        "subscription": "sub_1",
    })
}

fn planned() -> Value {
    let metadata = json!({"tollgate_catalog": "4", "tollgate_item": "plan:elite:month",
        "tollgate_request": "req:ada:change:1"});
    phase(END, LATER, "price_2", 3, json!({ "metadata": metadata }))
}

async fn next(schedule: Value) -> Option<stripe_api::Next> {
    let wire = Wire::play([now(json!({ "schedule": schedule }))]);
    let found = stripe(&wire).subscription(&id()).await.unwrap().unwrap();
    assert_eq!(found.schedule.as_deref(), Some("sub_sched_1"));
    assert_eq!(wire.seen().len(), 1, "one request tells all");
    found.next
}

#[tokio::test]
async fn a_change_to_come_is_read_with_its_subscription() {
    let next = next(schedule(json!([planned()]))).await.unwrap();
    assert_eq!(next.price, PriceId::parse("price_2").unwrap());
    assert_eq!((next.quantity, next.at), (3, at(END)));
    assert_eq!((next.envelope.catalog, next.envelope.item), (Some(4), "plan:elite:month".parse().ok()));
    assert_eq!(next.request.as_deref(), Some("req:ada:change:1"));
}

#[tokio::test]
async fn only_another_price_or_quantity_is_a_change() {
    let same = phase(END, LATER, "price_1", 1, json!({}));
    assert_eq!(next(schedule(json!([]))).await, None);
    assert_eq!(next(schedule(json!([same]))).await, None);
    let seats = phase(LATER, LATER + 9, "price_1", 2, json!({}));
    let next = next(schedule(json!([same, seats]))).await.unwrap();
    assert_eq!((next.quantity, next.at), (2, at(LATER)));
}

#[tokio::test]
async fn what_is_past_or_not_expanded_is_no_change_to_come() {
    let mut over = schedule(json!([planned()]));
    over["current_phase"] = json!({"start_date": END, "end_date": LATER});
    assert_eq!(next(over.clone()).await, None, "it has come");
    over["current_phase"] = Value::Null;
    assert_eq!(next(over).await, None, "it is over");
    assert_eq!(next(json!("sub_sched_1")).await, None);
}

const GET: &str = "GET /v1/subscriptions/sub_1?expand[0]=schedule";
const CREATE: &str = "POST /v1/subscription_schedules";
const UPDATE: &str = "POST /v1/subscription_schedules/sub_sched_1";
const POST: &str = "POST /v1/subscriptions/sub_1";

fn made(schedule: Value) -> Step {
    Step::ok(schedule.to_string())
}

#[tokio::test]
async fn a_change_at_the_periods_end_is_written_after_what_is() {
    let wire = Wire::play([now(json!({})), made(schedule(json!([]))), made(schedule(json!([planned()])))]);
    let changing = stripe(&wire).change_at_period_end(&order(), "key").await.unwrap().unwrap();
    assert_eq!(changing.next.unwrap().at, at(END));
    assert_eq!(wire.calls(), [GET, CREATE, UPDATE]);
    let seen = wire.seen();
    assert_eq!(seen[1].fields(), [("from_subscription".to_owned(), "sub_1".to_owned())].into());
    let expected = [
        ("end_behavior", "release"),
        ("phases[0][end_date]", "1792592000"),
        ("phases[0][items][0][price]", "price_1"),
        ("phases[0][items][0][quantity]", "1"),
        ("phases[0][start_date]", "1790000000"),
        ("phases[1][duration][interval]", "month"),
        ("phases[1][duration][interval_count]", "1"),
        ("phases[1][items][0][price]", "price_2"),
        ("phases[1][items][0][quantity]", "3"),
        ("phases[1][metadata][tollgate_catalog]", "4"),
        ("phases[1][metadata][tollgate_item]", "plan:elite:month"),
        ("phases[1][metadata][tollgate_request]", "req:ada:change:1"),
        ("phases[1][metadata][tollgate_stack]", "main"),
        ("phases[1][metadata][tollgate_user]", "ada"),
        ("phases[1][proration_behavior]", "none"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(seen[2].fields(), expected.into());
    assert!(seen[1].key().is_some() && seen[1].key() != seen[2].key(), "each step has a key of its own");
}

#[tokio::test]
async fn what_a_subscription_is_charged_to_and_with_is_written_again_and_its_trial_only_until_it_ends() {
    let item = phase(0, 0, "price_1", 1, json!({}))["items"][0].clone();
    let extra = phase(0, 0, "price_extra", 2, json!({}))["items"][0].clone();
    let running = phase(
        START,
        END,
        "price_1",
        1,
        json!({
            "items": [item, extra], "automatic_tax": {"enabled": true}, "collection_method": "charge_automatically",
            "default_payment_method": "pm_1", "description": "Premium", "trial_end": END,
            "discounts": [{"coupon": "half", "discount": "di_1", "promotion_code": null}],
        }),
    );
    let wire = Wire::play([
        now(json!({ "schedule": schedule_from(running, json!([])) })),
        made(schedule(json!([planned()]))),
    ]);
    stripe(&wire).change_at_period_end(&order(), "key").await.unwrap();
    assert_eq!(wire.calls(), [GET, UPDATE], "there is a schedule already");
    let fields = wire.seen()[1].fields();
    for phase in ["phases[0]", "phases[1]"] {
        for (name, value) in [
            ("[automatic_tax][enabled]", "true"),
            ("[collection_method]", "charge_automatically"),
            ("[default_payment_method]", "pm_1"),
            ("[description]", "Premium"),
            ("[discounts][0][discount]", "di_1"),
            ("[items][1][price]", "price_extra"),
            ("[items][1][quantity]", "2"),
        ] {
            assert_eq!(fields[&format!("{phase}{name}")], value, "{phase}{name}");
        }
    }
    assert_eq!(fields["phases[0][trial_end]"], END.to_string());
    assert!(!fields.contains_key("phases[1][trial_end]"), "{fields:?}");
    assert_eq!(fields["phases[1][items][0][price]"], "price_2");
}

#[tokio::test]
async fn a_second_change_to_come_takes_the_place_of_the_first() {
    let first = phase(END, LATER, "price_3", 1, json!({}));
    let wire = Wire::play([
        now(json!({ "schedule": schedule(json!([first])) })),
        made(schedule(json!([planned()]))),
    ]);
    let changing = stripe(&wire).change_at_period_end(&order(), "key").await.unwrap().unwrap();
    assert_eq!(changing.next.unwrap().price, order().price);
    let fields = wire.seen()[1].fields();
    assert_eq!(fields["phases[1][items][0][price]"], "price_2");
    assert!(!fields.keys().any(|name| name.starts_with("phases[2]")), "{fields:?}");
}

#[tokio::test]
async fn what_is_planned_already_is_not_planned_again() {
    let wire = Wire::play([now(json!({ "schedule": schedule(json!([planned()])) }))]);
    assert!(stripe(&wire).change_at_period_end(&order(), "key").await.unwrap().unwrap().next.is_some());
    let come = json!({"metadata": {"tollgate_request": "req:ada:change:1"}});
    let wire = Wire::play([now(come)]);
    assert!(stripe(&wire).change_at_period_end(&order(), "key").await.unwrap().is_some(), "it has come");
    let other = ChangeOrder { request: "req:ada:change:2".to_owned(), ..order() };
    let wire = Wire::play([
        now(json!({ "schedule": schedule(json!([planned()])) })),
        made(schedule(json!([planned()]))),
    ]);
    stripe(&wire).change_at_period_end(&other, "key").await.unwrap();
    assert_eq!(wire.calls(), [GET, UPDATE]);
}

#[tokio::test]
async fn a_planned_end_gives_way_to_a_planned_change() {
    let leaving = json!({"cancel_at_period_end": true, "cancel_at": END});
    let wire = Wire::play([
        now(leaving),
        now(json!({})),
        made(schedule(json!([]))),
        made(schedule(json!([planned()]))),
    ]);
    let changing = stripe(&wire).change_at_period_end(&order(), "key").await.unwrap().unwrap();
    assert_eq!((changing.cancel_at, changing.next.is_some()), (None, true));
    assert_eq!(wire.calls(), [GET, POST, CREATE, UPDATE]);
    assert_eq!(wire.seen()[1].fields()["cancel_at_period_end"], "false");
}

#[tokio::test]
async fn what_could_not_be_written_again_is_not_lost_but_left_alone() {
    let alone = json!({"discounts": [{"coupon": "half", "discount": null, "promotion_code": null}]});
    let taxed = json!({"tax_rates": [{"id": "txr_1", "object": "tax_rate", "active": true, "created": 1,
        "display_name": "VAT", "inclusive": false, "livemode": false, "percentage": 20.0}]});
    for of_its_own in [alone, taxed] {
        let mut running = phase(START, END, "price_1", 1, json!({}));
        for (name, value) in of_its_own.as_object().unwrap() {
            running["items"][0][name] = value.clone();
        }
        let wire = Wire::play([now(json!({ "schedule": schedule_from(running, json!([])) }))]);
        let error = stripe(&wire).change_at_period_end(&order(), "key").await.unwrap_err();
        assert!(error.to_string().contains("of its own"), "{error}");
        assert_eq!(wire.calls(), [GET]);
    }
}
