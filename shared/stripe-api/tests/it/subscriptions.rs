//! How subscriptions and their invoices are read.

use domain::ids::{CustomerId, InvoiceId, PaymentId, PaymentMethodId, PriceId, SubscriptionId, UserId};
use domain::item::Interval;
use domain::money::{Currency, Money};
use domain::subscription::{InvoiceLine, PaidInvoice, Period, Status};
use domain::time::Time;
use serde_json::{Value, json};

use crate::wire::{Step, Wire};
use crate::{Stripe, StripeError, Subscription, SubscriptionItem};

pub const START: i64 = 1_790_000_000;
pub const END: i64 = 1_792_592_000;
pub const MISSING: &str = r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#;

pub fn id() -> SubscriptionId {
    SubscriptionId::parse("sub_1").unwrap()
}

fn stripe(wire: &Wire) -> Stripe {
    Stripe::new(wire.settings()).unwrap()
}

pub fn euros(amount_minor: i64) -> Money {
    Money { amount_minor, currency: Currency::parse("eur").unwrap() }
}

pub fn at(seconds: i64) -> Time {
    Time::from_seconds(seconds)
}

fn charges(price: &str, start: i64, end: i64) -> InvoiceLine {
    let price = Some(PriceId::parse(price).unwrap());
    InvoiceLine { price, quantity: 1, period: Period { start: at(start), end: at(end) }, proration: false }
}

pub fn list(url: &str, more: bool, data: Value) -> Value {
    json!({"object": "list", "url": url, "has_more": more, "data": data})
}

pub fn changed(mut object: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

pub fn item(recurring: Value) -> Value {
    json!({
        "id": "si_1", "object": "subscription_item", "created": START, "subscription": "sub_1", "quantity": 1,
        "current_period_start": START, "current_period_end": END, "discounts": [], "metadata": {},
        "price": {
            "id": "price_1", "object": "price", "active": true, "billing_scheme": "per_unit", "created": 1,
            "currency": "eur", "livemode": false, "metadata": {}, "product": "prod_1", "type": "recurring",
            "unit_amount": 999, "recurring": changed(
                json!({"interval": "month", "interval_count": 1, "usage_type": "licensed"}), recurring),
        },
        "plan": {
            "id": "price_1", "object": "plan", "active": true, "billing_scheme": "per_unit", "created": 1,
            "currency": "eur", "interval": "month", "interval_count": 1, "livemode": false,
            "usage_type": "licensed",
        },
    })
}

pub fn subscription(changes: Value) -> String {
    let subscription = json!({
        "id": "sub_1", "object": "subscription", "automatic_tax": {"enabled": false}, "discounts": [],
        "billing_cycle_anchor": START, "billing_mode": {"type": "flexible"}, "billing_schedules": [],
        "cancel_at": null, "cancel_at_period_end": false, "collection_method": "charge_automatically",
        "created": START, "currency": "eur", "customer": "cus_1", "ended_at": null,
        "invoice_settings": {"issuer": {"type": "self"}}, "livemode": false, "start_date": START,
        "default_payment_method": "pm_1", "status": "active", "trial_end": null, "latest_invoice": "in_1",
        "items": list("/v1/subscription_items", false, json!([item(json!({}))])),
        "metadata": {"tollgate_stack": "main", "tollgate_user": "ada", "tollgate_catalog": "3",
            "tollgate_item": "plan:premium:month", "tollgate_request": "req:ada:checkout:1"},
    });
    changed(subscription, changes).to_string()
}

async fn read(changes: Value) -> Subscription {
    let wire = Wire::play([Step::ok(subscription(changes))]);
    stripe(&wire).subscription(&id()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_subscription_is_read_whole() {
    let found = read(json!({"trial_start": START + 1, "trial_end": START + 5})).await;
    assert_eq!(found.envelope.user, Some(UserId::parse("ada").unwrap()));
    assert_eq!(found.envelope.catalog, Some(3));
    assert_eq!(found.envelope.item, "plan:premium:month".parse().ok());
    let item = SubscriptionItem {
        id: "si_1".to_owned(),
        price: PriceId::parse("price_1").unwrap(),
        interval: Some(Interval::Month),
        unit: Some(euros(999)),
        quantity: 1,
        period_start: at(START),
        period_end: at(END),
    };
    let expected = Subscription {
        id: id(),
        customer: Some(CustomerId::parse("cus_1").unwrap()),
        envelope: found.envelope.clone(),
        request: Some("req:ada:checkout:1".to_owned()),
        status: Status::Active,
        items: vec![item],
        created: at(START),
        anchor: at(START),
        trial_start: Some(at(START + 1)),
        trial_end: Some(at(START + 5)),
        cancel_at: None,
        ended_at: None,
        schedule: None,
        next: None,
        method: Some(PaymentMethodId::parse("pm_1").unwrap()),
        ended_for: None,
    };
    assert_eq!(found, expected);
}

#[tokio::test]
async fn every_status_is_read_and_a_new_one_is_unknown_rather_than_an_error() {
    for status in [
        "incomplete",
        "incomplete_expired",
        "trialing",
        "active",
        "past_due",
        "unpaid",
        "paused",
        "canceled",
        "unknown",
    ] {
        assert_eq!(read(json!({ "status": status })).await.status.name(), status);
    }
    assert_eq!(read(json!({"status": "hibernating"})).await.status, Status::Unknown);
}

#[tokio::test]
async fn a_planned_end_is_seen_however_it_was_planned() {
    let cases = [
        (json!({"cancel_at": START + 7}), Some(START + 7)),
        (json!({"cancel_at_period_end": true}), Some(END)),
        (json!({"cancel_at_period_end": true, "cancel_at": START + 7}), Some(START + 7)),
        (json!({}), None),
    ];
    for (changes, expected) in cases {
        assert_eq!(read(changes.clone()).await.cancel_at, expected.map(at), "{changes}");
    }
    let ended = read(json!({"status": "canceled", "ended_at": START + 9})).await;
    assert_eq!((ended.status, ended.ended_at), (Status::Canceled, Some(at(START + 9))));
}

#[tokio::test]
async fn only_an_interval_that_a_plan_can_have_is_named() {
    let cases = [
        (json!({"interval": "week"}), Some(Interval::Week)),
        (json!({"interval": "year"}), Some(Interval::Year)),
        (json!({"interval_count": 3}), None),
        (json!({"interval": "day"}), None),
        (json!({"interval": "fortnight"}), None),
    ];
    for (recurring, expected) in cases {
        let items = list("/v1/subscription_items", false, json!([item(recurring.clone())]));
        assert_eq!(read(json!({ "items": items })).await.items[0].interval, expected, "{recurring}");
    }
}

#[tokio::test]
async fn a_metered_price_and_one_named_like_no_binding_are_not_errors() {
    let mut metered = changed(item(json!({})), json!({"quantity": null}));
    metered["price"]["unit_amount"] = Value::Null;
    let mut legacy = item(json!({}));
    legacy["price"]["id"] = json!("gold.monthly");
    let items = list("/v1/subscription_items", false, json!([metered, legacy]));
    let items = read(json!({ "items": items })).await.items;
    let [metered] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((metered.unit, metered.quantity), (None, 1));
}

#[tokio::test]
async fn what_stripe_does_not_have_is_none() {
    let wire = Wire::play(vec![Step::status(404).body(MISSING); 2]);
    assert_eq!(stripe(&wire).subscription(&id()).await.unwrap(), None);
    let invoice = InvoiceId::parse("in_1").unwrap();
    assert_eq!(stripe(&wire).subscription_of(&invoice).await.unwrap(), None);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_names_its_object() {
    let wire = Wire::play(vec![Step::ok("{}"); 3]);
    let invoice = InvoiceId::parse("in_1").unwrap();
    let errors = [
        stripe(&wire).subscription(&id()).await.unwrap_err(),
        stripe(&wire).subscription_of(&invoice).await.unwrap_err(),
        stripe(&wire).paid_invoices(&id()).await.unwrap_err(),
    ];
    let objects = errors.map(|error| match error {
        StripeError::Malformed { object, .. } => object,
        other => panic!("{other:?}"),
    });
    assert_eq!(objects, ["subscription", "invoice", "invoice"]);
}

/// A line of the subscription's item.
pub fn line(price: &str, amount: i64, start: i64, end: i64) -> Value {
    json!({
        "id": format!("il_{price}_{amount}"), "object": "line_item", "amount": amount, "subtotal": amount,
        "currency": "eur", "discountable": true, "discounts": [], "livemode": false, "metadata": {},
        "period": {"start": start, "end": end},
        "parent": {"type": "subscription_item_details", "invoice_item_details": null,
            "subscription_item_details": {"invoice_item": null, "proration": false, "proration_details": null,
                "subscription": "sub_1", "subscription_item": "si_1"}},
        "pricing": {"type": "price_details", "unit_amount_decimal": "999",
            "price_details": {"price": price, "product": "prod_1"}},
    })
}

fn one_off(amount: i64) -> Value {
    let parent = json!({"type": "invoice_item_details", "subscription_item_details": null,
        "invoice_item_details": {"invoice_item": "ii_1", "proration": false, "subscription": "sub_1"}});
    changed(line("price_setup", amount, START - 99, END + 99), json!({ "parent": parent }))
}

fn payment(intent: &str, status: &str, amount_paid: Option<i64>) -> Value {
    json!({
        "id": format!("inpay_{intent}"), "object": "invoice_payment", "amount_requested": 999,
        "amount_paid": amount_paid, "created": START, "currency": "eur", "invoice": "in_1",
        "is_default": true, "livemode": false, "status": status, "status_transitions": {},
        "payment": {"type": "payment_intent", "payment_intent": intent},
    })
}

pub fn invoice(id: &str, lines: Value, payments: Value) -> Value {
    json!({
        "id": id, "object": "invoice", "amount_due": 999, "amount_overpaid": 0, "amount_paid": 999,
        "amount_remaining": 0, "amount_shipping": 0, "attempt_count": 1, "attempted": true,
        "automatic_tax": {"enabled": false}, "collection_method": "charge_automatically", "created": START,
        "currency": "eur", "customer": "cus_1", "default_tax_rates": [], "discounts": [],
        "issuer": {"type": "self"}, "lines": list("/v1/invoices/in_1/lines", false, lines),
        "livemode": false, "parent": {"type": "subscription_details", "quote_details": null,
            "subscription_details": {"metadata": {}, "subscription": "sub_1"}},
        "payment_settings": {}, "payments": list("/v1/invoice_payments", false, payments),
        "period_start": START, "period_end": START, "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0, "starting_balance": 0, "status": "paid",
        "status_transitions": {}, "subtotal": 999, "total": 999,
    })
}

fn page(more: bool, invoices: Value) -> Step {
    Step::ok(list("/v1/invoices", more, invoices).to_string())
}

/// The one invoice with these lines and payments, as it is read.
async fn paid(lines: Value, payments: Value) -> PaidInvoice {
    let wire = Wire::play([page(false, json!([invoice("in_1", lines, payments)]))]);
    stripe(&wire).paid_invoices(&id()).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_paid_invoice_tells_what_was_paid_for_and_how() {
    let lines = json!([line("price_1", 999, START, END)]);
    let expected = PaidInvoice {
        id: InvoiceId::parse("in_1").unwrap(),
        subscription: id(),
        customer: Some(CustomerId::parse("cus_1").unwrap()),
        paid: euros(999),
        payments: vec![(PaymentId::parse("pi_1").unwrap(), 999)],
        lines: vec![charges("price_1", START, END)],
    };
    assert_eq!(paid(lines, json!([payment("pi_1", "paid", Some(999))])).await, expected);
}

#[tokio::test]
async fn only_intents_that_paid_count_as_payments() {
    let lines = json!([line("price_1", 999, START, END)]);
    let outside = json!({"type": "payment_record", "payment_record": "pr_1"});
    let payments = json!([
        payment("pi_first", "paid", Some(600)),
        payment("pi_failed", "canceled", None),
        payment("pi_waiting", "open", None),
        changed(payment("pr_1", "paid", Some(300)), json!({ "payment": outside })),
        payment("pi_rest", "paid", Some(90)),
        payment("pi_rest", "paid", Some(9)),
    ]);
    let expected =
        [("pi_first", 600), ("pi_rest", 99)].map(|(id, part)| (PaymentId::parse(id).unwrap(), part));
    assert_eq!(paid(lines.clone(), payments).await.payments, expected);
    assert_eq!(paid(lines, json!([])).await.payments, []);
}

#[tokio::test]
async fn every_line_is_told_with_its_own_period_and_whether_it_is_a_change_in_mid_period() {
    let mut change = line("price_seat", 100, START + 50, END);
    change["parent"]["subscription_item_details"]["proration"] = json!(true);
    let lines = json!([change, line("price_1", 999, START, END)]);
    let seats = InvoiceLine { proration: true, ..charges("price_seat", START + 50, END) };
    assert_eq!(paid(lines, json!([])).await.lines, [seats, charges("price_1", START, END)]);
}

#[tokio::test]
async fn a_credit_for_unused_time_pays_for_nothing() {
    let year = START + 365 * 86_400;
    let downgrade =
        json!([line("price_year", -9_000, START + 60, year), line("price_1", 999, START + 60, END)]);
    let month = [charges("price_1", START + 60, END)];
    assert_eq!(paid(downgrade, json!([])).await.lines, month, "the year was given back");

    let mut free = line("price_year", 0, START + 60, year);
    free["parent"]["subscription_item_details"]["proration"] = json!(true);
    let upgrade = paid(json!([free, line("price_1", 999, START + 60, END)]), json!([])).await;
    assert_eq!(upgrade.lines, month, "so was a year that cost nothing");

    let cancellation = paid(json!([line("price_year", -9_000, START, year)]), json!([])).await;
    assert_eq!(cancellation.lines, []);
}

#[tokio::test]
async fn one_off_lines_and_those_of_other_subscriptions_are_left_out() {
    let mut elsewhere = line("price_other", 999, START - 50, END + 50);
    elsewhere["parent"]["subscription_item_details"]["subscription"] = json!("sub_2");
    let unclear = changed(line("price_new", 1, START - 70, END + 70), json!({"parent": {"type": "wish"}}));
    let foreign = json!([one_off(500), elsewhere, unclear]);
    assert_eq!(paid(foreign.clone(), json!([])).await.lines, []);

    let mut lines = foreign.as_array().unwrap().clone();
    lines.push(line("price_1", 0, START, END));
    let invoice = paid(lines.into(), json!([])).await;
    assert_eq!(invoice.lines, [charges("price_1", START, END)], "a trial's line costs nothing and counts");
}

#[tokio::test]
async fn all_pages_of_invoices_are_read_and_the_oldest_comes_first() {
    let lines = || json!([line("price_1", 999, START, END)]);
    let wire = Wire::play([
        page(true, json!([invoice("in_4", lines(), json!([])), invoice("in_3", lines(), json!([]))])),
        page(false, json!([invoice("in_2", lines(), json!([])), invoice("in_1", lines(), json!([]))])),
    ]);
    let invoices = stripe(&wire).paid_invoices(&id()).await.unwrap();
    let ids: Vec<&str> = invoices.iter().map(|invoice| invoice.id.as_str()).collect();
    assert_eq!(ids, ["in_1", "in_2", "in_3", "in_4"]);
    let heads: Vec<String> = wire.seen().into_iter().map(|seen| seen.head).collect();
    for (pair, head) in [
        ("status=paid", 0),
        ("subscription=sub_1", 0),
        ("expand%5B0%5D=data.payments", 0),
        ("starting_after=in_3", 1),
        ("subscription=sub_1", 1),
        ("status=paid", 1),
        ("expand%5B0%5D=data.payments", 1),
    ] {
        let head = heads[head].replace("expand[0]", "expand%5B0%5D");
        assert!(head.contains(pair), "{pair} is not in {head}");
    }
}

#[tokio::test]
async fn a_list_that_never_ends_is_an_error_and_not_a_wait_for_ever() {
    let many = vec![invoice("in_1", json!([]), json!([])); 1_000];
    let wire = Wire::play(vec![page(true, many.into()); 9]);
    let error = stripe(&wire).paid_invoices(&id()).await.unwrap_err();
    assert!(matches!(error, StripeError::Malformed { object: "invoice", .. }), "{error:?}");
    assert!(wire.seen().len() < 9);
}

#[tokio::test]
async fn lines_beyond_those_that_an_invoice_brings_along_are_fetched() {
    let mut long = invoice("in_1", json!([line("price_1", -5, START, START + 9)]), json!([]));
    long["lines"]["has_more"] = json!(true);
    let rest = list("/v1/invoices/in_1/lines", false, json!([line("price_1", 999, START, END)]));
    let wire = Wire::play([page(false, json!([long])), Step::ok(rest.to_string())]);
    let invoices = stripe(&wire).paid_invoices(&id()).await.unwrap();
    assert_eq!(invoices[0].lines, [charges("price_1", START, END)]);
    let asked = &wire.seen()[1].head;
    assert!(asked.contains("/v1/invoices/in_1/lines?starting_after=il_price_1_-5"), "{asked}");
}

#[tokio::test]
async fn a_failure_on_the_way_through_a_list_is_not_its_end() {
    let refused = Step::status(400);
    let wire = Wire::play([page(true, json!([invoice("in_2", json!([]), json!([]))])), refused]);
    let error = stripe(&wire).paid_invoices(&id()).await.unwrap_err();
    assert!(matches!(error, StripeError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn an_invoice_names_its_subscription_if_it_is_of_one() {
    let of_one = invoice("in_1", json!([]), json!([]));
    let expanded = serde_json::from_str::<Value>(&subscription(json!({}))).unwrap();
    let mut with_object = of_one.clone();
    with_object["parent"]["subscription_details"]["subscription"] = expanded;
    let quote = json!({"type": "quote_details", "quote_details": {"quote": "qt_1"}});
    let cases = [
        (of_one.clone(), Some(id())),
        (with_object, Some(id())),
        (changed(of_one.clone(), json!({"parent": null})), None),
        (changed(of_one, json!({ "parent": quote })), None),
    ];
    for (invoice, expected) in cases {
        let wire = Wire::play([Step::ok(invoice.to_string())]);
        let found = stripe(&wire).subscription_of(&InvoiceId::parse("in_1").unwrap()).await.unwrap();
        assert_eq!(found, expected, "{}", invoice["parent"]);
    }
}
