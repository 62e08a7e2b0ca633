//! Every event in `events/stripe/`, as the books understand it.

mod attempts;
mod reversals;
mod subscriptions;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use domain::ids::{CheckoutId, CustomerId, PaymentId, UserId};
use domain::item::Item;
use domain::money::{Currency, Money};
use domain::payment::{Envelope, Payment};
use domain::time::Time;
use proptest::prelude::*;
use serde_json::{Value, json};
use stripe_event::{Event, Fact, Lead, Malformed, Sighting, decode};

/// Name without `.json` → the event.
static FIXTURES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/stripe");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let read = |path: PathBuf| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    files.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), read(path))).collect()
});

fn fixtures() -> BTreeMap<String, Value> {
    FIXTURES.clone()
}

fn fixture(name: &str) -> Value {
    FIXTURES.get(name).unwrap_or_else(|| panic!("no {name}.json")).clone()
}

fn any_fixture(which: prop::sample::Index) -> &'static Value {
    FIXTURES.values().nth(which.index(FIXTURES.len())).unwrap()
}

fn read(event: &Value) -> Result<Event, Malformed> {
    decode(&event.to_string())
}

fn fact(event: &Value) -> Fact {
    read(event).unwrap().fact
}

fn sighting(event: &Value) -> Sighting {
    match fact(event) {
        Fact::Paid(sighting) => sighting,
        other => panic!("not paid: {other:?}"),
    }
}

/// The same event with one field of its object changed.
fn with(name: &str, field: &str, value: Value) -> Value {
    let mut event = fixture(name);
    event["data"]["object"][field] = value;
    event
}

const SESSION: &str = "checkout.session.completed.paid.2026-09-30";
const INTENT: &str = "payment_intent.succeeded.ours.2026-09-30";

#[test]
fn a_sale_is_read_whole() {
    let event = read(&fixture(SESSION)).unwrap();
    assert_eq!(event.id.as_str(), "evt_1Tm7c52eZvKYlo2C3uKa");
    assert_eq!(event.created, Time::from_seconds(1_793_600_002));
    assert_eq!(event.kind, "checkout.session.completed");
    assert!(!event.livemode);
    let payment = Payment {
        id: PaymentId::parse("pi_3Tm7c52eZvKYlo2C3uK").unwrap(),
        customer: Some(CustomerId::parse("cus_QTm7c52eZvKYlo2C3uK").unwrap()),
        paid: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
        envelope: Envelope {
            stack: Some("tollgate-prod".to_owned()),
            user: Some(UserId::parse("user_2aB9xQ").unwrap()),
            catalog: Some(3),
            item: Some("package:medium".parse::<Item>().unwrap()),
            trial: None,
        },
    };
    let session = Some(CheckoutId::parse("cs_test_a1Tm7c52eZvKYlo2C3uK").unwrap());
    assert_eq!(event.fact, Fact::Paid(Sighting { payment, session }));
}

#[test]
fn session_and_intent_of_one_payment_are_the_identical_payment() {
    let mut seen: BTreeMap<String, Vec<(String, Payment)>> = BTreeMap::new();
    for (name, event) in fixtures() {
        if let Fact::Paid(sighting) = fact(&event) {
            let id = sighting.payment.id.to_string();
            seen.entry(id).or_default().push((name, sighting.payment));
        }
    }
    let pairs = seen.values().filter(|sightings| sightings.len() > 1).count();
    assert_eq!(pairs, 5, "one pair for each API version, and one paid by bank");
    for sightings in seen.values() {
        for (name, payment) in sightings {
            assert_eq!(payment, &sightings[0].1, "{name} differs from {}", sightings[0].0);
        }
    }
}

#[test]
fn a_one_off_sale_whose_money_never_came_changes_nothing() {
    let mut event = with(SESSION, "payment_status", json!("unpaid"));
    event["type"] = json!("checkout.session.async_payment_failed");
    assert_eq!(fact(&event), Fact::Other);
}

#[test]
fn expanded_references_mean_the_same_as_plain_ones() {
    let plain = sighting(&fixture(SESSION));
    let mut event = fixture(SESSION);
    let session = &mut event["data"]["object"];
    session["payment_intent"] = json!({"id": session["payment_intent"], "object": "payment_intent"});
    session["customer"] = json!({"id": session["customer"], "deleted": true});
    assert_eq!(sighting(&event), plain);
}

#[test]
fn a_free_order_is_a_payment_under_its_sessions_id() {
    let name = "checkout.session.completed.free.2026-09-30";
    for status in ["no_payment_required", "paid"] {
        let free = sighting(&with(name, "payment_status", json!(status)));
        assert_eq!(free.payment.id.as_str(), free.session.unwrap().as_str());
        assert_eq!(free.payment.paid.amount_minor, 0);
    }
}

#[test]
fn something_to_pay_without_an_intent_is_refused_for_the_intent_would_be_credited_again() {
    for status in ["no_payment_required", "paid"] {
        let mut event = with(SESSION, "payment_status", json!(status));
        event["data"]["object"]["payment_intent"] = Value::Null;
        assert_eq!(read(&event).unwrap_err().field, "payment_intent");
    }
}

#[test]
fn a_paid_session_without_envelope_is_still_paid() {
    for metadata in [json!({}), json!(null), json!({"tollgate_item": "nonsense", "tollgate_catalog": "-1"})] {
        let sighting = sighting(&with(SESSION, "metadata", metadata));
        assert_eq!(sighting.payment.envelope, Envelope::default());
        assert_eq!(sighting.payment.paid.amount_minor, 999);
    }
}

#[test]
fn an_intent_without_our_stack_is_a_strangers() {
    for metadata in [json!({}), json!(null), json!({"tollgate_user": "user_2aB9xQ", "order": "7"})] {
        assert_eq!(fact(&with(INTENT, "metadata", metadata)), Fact::Stranger);
    }
}

#[test]
fn a_customer_is_optional_and_an_odd_one_keeps_no_payment_from_its_user() {
    for customer in [json!(null), json!("legacy-customer-7")] {
        assert_eq!(sighting(&with(SESSION, "customer", customer.clone())).payment.customer, None);
        assert_eq!(sighting(&with(INTENT, "customer", customer)).payment.customer, None);
    }
}

#[test]
fn values_and_types_that_stripe_may_invent_are_passed_over() {
    assert_eq!(fact(&with(SESSION, "mode", json!("barter"))), Fact::Other);
    assert_eq!(fact(&with(SESSION, "mode", json!("setup"))), Fact::Other);
    assert_eq!(fact(&with(SESSION, "payment_status", json!("partially_paid"))), Fact::Other);
    let mut event = fixture(SESSION);
    event["type"] = json!("checkout.session.reconsidered");
    event["surprise"] = json!([1, {"two": 3}]);
    assert_eq!(fact(&event), Fact::Other);
}

#[test]
fn a_thin_event_points_at_its_object() {
    let event = read(&fixture("thin.checkout.session.completed.2026-09-30")).unwrap();
    assert_eq!(event.created.rfc3339(), "2026-11-02T06:13:22.481Z");
    let id = CheckoutId::parse("cs_test_a1Tm7c52eZvKYlo2C3uK").unwrap();
    assert_eq!(event.fact, Fact::Lead(Lead::Session(id)));
    let mut event = fixture("thin.checkout.session.completed.2026-09-30");
    event["type"] = json!("v1.checkout.session.reconsidered");
    assert_eq!(fact(&event), Fact::Other);
}

#[test]
fn what_a_thin_event_names_is_never_taken_for_something_else() {
    let leads = ["checkout.session.completed", "refund.created", "charge.dispute.created"];
    for kind in leads.into_iter().chain(["subscription_schedule.updated", "invoice.payment_failed"]) {
        let mut event = fixture(&format!("thin.{kind}.2026-09-30"));
        for wrong in ["", "cus_1", "re_", "du_1/../../customers", "sub_1"] {
            event["related_object"]["id"] = json!(wrong);
            assert_eq!(read(&event).unwrap_err().field, "related_object.id", "{kind} {wrong}");
        }
    }
}

#[test]
fn what_decides_about_money_is_never_guessed() {
    let wrong: [(&str, &[&str]); 2] = [
        (SESSION, &["id", "mode", "payment_status", "amount_total", "currency"]),
        (INTENT, &["id", "amount_received", "currency"]),
    ];
    for (name, fields) in wrong {
        for field in fields {
            for value in [json!(null), json!([]), json!(true), json!(9.5), json!(-1)] {
                assert_eq!(read(&with(name, field, value)).unwrap_err().field, *field, "{name}");
            }
        }
    }
    for (field, value) in
        [("payment_intent", json!("cs_1")), ("payment_intent", json!({})), ("customer", json!(7))]
    {
        assert_eq!(read(&with(SESSION, field, value)).unwrap_err().field, field);
    }
    for name in [SESSION, INTENT] {
        assert_eq!(read(&with(name, "metadata", json!([]))).unwrap_err().field, "metadata");
        let mut event = fixture(name);
        event["data"] = json!({});
        assert_eq!(read(&event).unwrap_err().field, "data.object");
    }
}

#[test]
fn an_events_own_fields_are_required() {
    for field in ["id", "type", "livemode", "created"] {
        let mut event = fixture(SESSION);
        event.as_object_mut().unwrap().remove(field);
        assert_eq!(read(&event).unwrap_err().field, field);
    }
    assert_eq!(decode("{\"id\":").unwrap_err().field, "event");
}

#[test]
fn a_complaint_names_the_field_and_never_the_value() {
    let complaint = read(&with(SESSION, "currency", json!("private"))).unwrap_err().to_string();
    assert_eq!(complaint, "`currency` is missing or not a currency");
}

/// Any JSON value, shallow.
fn any_json() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!({})),
        Just(json!([[]])),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}|(pi|cs|cus|evt)_[a-z]{0,3}|paid|payment".prop_map(Value::from),
    ]
}

/// Changes whatever a path of random steps leads to.
fn replace(at: &mut Value, path: &[prop::sample::Index], value: Value) {
    match (at, path) {
        (Value::Object(fields), [step, rest @ ..]) if !fields.is_empty() => {
            let place = step.index(fields.len());
            let field = fields.values_mut().nth(place).unwrap();
            replace(field, rest, value);
        }
        (at, _) => *at = value,
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_decoder_panic(text in "\\PC{0,200}|[{}\\[\\]\":,0-9a-z]{0,80}") {
        prop_assert!(decode(&text).is_err(), "a random text was understood");
    }

    #[test]
    fn a_changed_fixture_is_read_or_refused_and_an_amount_never_turns_negative(
        which in any::<prop::sample::Index>(), path in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        value in any_json(),
    ) {
        let mut event = any_fixture(which).clone();
        replace(&mut event, &path, value);
        if let Ok(Event { fact: Fact::Paid(sighting), .. }) = read(&event) {
            prop_assert!(sighting.payment.paid.amount_minor >= 0);
            let free = sighting.payment.paid.amount_minor == 0;
            prop_assert!(free || sighting.payment.id.as_str().starts_with("pi_"));
        }
    }

    #[test]
    fn a_cut_fixture_is_refused(which in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        let text = any_fixture(which).to_string();
        prop_assert!(decode(&text[..cut.index(text.len())]).is_err());
    }
}
