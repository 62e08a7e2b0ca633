//! What a change would cost, by what Stripe reckons.

use domain::catalog::{Proration, When};
use domain::ids::PriceId;
use domain::money::Money;
use domain::subscription::Period;
use serde_json::{Value, json};
use stripe_api::{ChangeOrder, Preview, PreviewLine};

use crate::changes::{order, stripe};
use crate::subscriptions::{END, START, at, euros, id, invoice, line, subscription};
use crate::wire::{Seen, Step, Wire};

const YEAR: i64 = START + 100 + 365 * 86_400;

/// What is asked first, and then what each kind of preview is answered with.
async fn preview(
    order: &ChangeOrder,
    when: When,
    found: Value,
    answer: impl Fn(&str) -> Value + Send + Sync + 'static,
) -> (Preview, Vec<Seen>) {
    let found = subscription(found);
    let wire = Wire::answer(move |seen| match seen.call().starts_with("GET ") {
        true => Step::ok(found.clone()),
        false => Step::ok(answer(&seen.fields()["subscription_details[proration_behavior]"]).to_string()),
    });
    let preview = stripe(&wire).preview_change(order, when).await.unwrap().unwrap();
    (preview, wire.seen())
}

fn reckoned(lines: Value, total: i64, changes: Value) -> Value {
    let mut invoice = invoice("upcoming_in_1", lines, json!([]));
    invoice["total"] = json!(total);
    invoice["amount_due"] = json!(total.max(0));
    for (name, value) in changes.as_object().unwrap() {
        invoice[name] = value.clone();
    }
    invoice
}

fn prorated(price: &str, amount: i64) -> Value {
    let mut line = line(price, amount, START + 100, END);
    line["parent"]["subscription_item_details"]["proration"] = json!(true);
    line["description"] = json!(format!("{price} until the end"));
    line
}

fn nothing() -> Money {
    euros(0)
}

#[tokio::test]
async fn a_change_at_once_tells_what_is_charged_now_and_what_next() {
    let (preview, seen) = preview(&order(), When::Now, json!({}), |behavior| match behavior {
        "always_invoice" => {
            let taxes = json!([{"amount": 160, "tax_behavior": "exclusive", "taxability_reason": "standard_rated",
                "taxable_amount": 1000, "type": "tax_rate_details"}]);
            let lines = json!([prorated("price_1", -999), prorated("price_2", 1999)]);
            reckoned(lines, 1160, json!({ "total_taxes": taxes }))
        }
        _ => reckoned(json!([line("price_2", 1999, END, END + 9)]), 1999, json!({})),
    })
    .await;
    let period = Period { start: at(START + 100), end: at(END) };
    let told = |price: &str, amount| PreviewLine {
        description: Some(format!("{price} until the end")),
        amount: euros(amount),
        proration: true,
        period,
    };
    let expected = Preview {
        due_now: euros(1160),
        due_next: euros(1999),
        next_at: at(END),
        lines: vec![told("price_1", -999), told("price_2", 1999)],
        tax: euros(160),
    };
    assert_eq!(preview, expected);
    assert_eq!(seen.len(), 3);
    let first = seen.iter().find(|seen| seen.body.contains("always_invoice")).unwrap();
    assert_eq!(first.call(), "POST /v1/invoices/create_preview");
    let expected = [
        ("subscription", "sub_1"),
        ("subscription_details[items][0][id]", "si_1"),
        ("subscription_details[items][0][price]", "price_2"),
        ("subscription_details[items][0][quantity]", "3"),
        ("subscription_details[proration_behavior]", "always_invoice"),
        ("subscription_details[proration_date]", "1790000100"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(first.fields(), expected.into(), "with the moment that the change itself is counted from");
    let then = seen.iter().find(|seen| seen.body.contains("=none")).unwrap();
    assert!(!then.fields().contains_key("subscription_details[proration_date]"), "{}", then.body);
}

#[tokio::test]
async fn what_is_given_back_beyond_what_is_charged_lessens_what_is_due_next() {
    let cases = [(-500, 0, 1499), (-500, -100, 1399), (-3000, 0, 0), (300, -100, 1999), (-500, 200, 1699)];
    for (total, balance, due_next) in cases {
        let (preview, _) = preview(&order(), When::Now, json!({}), move |behavior| match behavior {
            "always_invoice" => {
                reckoned(json!([]), total, json!({"starting_balance": balance, "amount_due": 7}))
            }
            _ => reckoned(json!([]), 1999, json!({})),
        })
        .await;
        assert_eq!(preview.due_now, euros(7), "what is due is Stripe's to say");
        assert_eq!(preview.due_next, euros(due_next), "{total} with {balance}");
    }
}

#[tokio::test]
async fn a_change_that_waits_for_its_invoice_costs_nothing_now() {
    let order = ChangeOrder { proration: Proration::NextInvoice, ..order() };
    let (preview, seen) = preview(&order, When::Now, json!({}), |_| {
        let waiting = json!({"type": "invoice_item_details", "subscription_item_details": null,
            "invoice_item_details": {"invoice_item": "ii_1", "proration": true, "subscription": "sub_1"}});
        let mut change = prorated("price_2", 1000);
        change["parent"] = waiting;
        reckoned(json!([change, line("price_2", 1999, END, END + 9)]), 2999, json!({}))
    })
    .await;
    assert_eq!((preview.due_now, preview.due_next, preview.next_at), (nothing(), euros(2999), at(END)));
    assert_eq!(preview.lines.iter().map(|line| line.proration).collect::<Vec<_>>(), [true, false]);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].fields()["subscription_details[proration_behavior]"], "create_prorations");
}

#[tokio::test]
async fn a_change_at_the_periods_end_or_within_a_trial_or_without_prorations_costs_nothing_now() {
    let unprorated = ChangeOrder { proration: Proration::None, ..order() };
    let trial = || json!({"status": "trialing", "trial_end": END});
    let mut yearly = order();
    yearly.envelope.item = "plan:elite:year".parse().ok();
    for (order, when, found) in [
        (order(), When::PeriodEnd, json!({})),
        (order(), When::Now, trial()),
        (yearly, When::Now, trial()),
        (unprorated, When::Now, json!({})),
    ] {
        let reckon = |_: &str| reckoned(json!([]), 1999, json!({}));
        let (preview, seen) = preview(&order, when, found, reckon).await;
        assert_eq!((preview.due_now, preview.due_next, preview.next_at), (nothing(), euros(1999), at(END)));
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1].fields()["subscription_details[proration_behavior]"], "none");
    }
}

#[tokio::test]
async fn another_interval_begins_at_once_and_is_due_again_when_it_ends() {
    let mut yearly = ChangeOrder { price: PriceId::parse("price_year").unwrap(), ..order() };
    yearly.envelope.item = "plan:elite:year".parse().ok();
    let reckon = |behavior: &str| {
        let whole = line("price_year", 19_999, START + 100, YEAR);
        match behavior {
            "none" => reckoned(json!([whole]), 19_999, json!({})),
            _ => reckoned(json!([prorated("price_1", -990), whole]), 19_009, json!({})),
        }
    };
    let (at_once, _) = preview(&yearly, When::Now, json!({}), reckon).await;
    assert_eq!(
        (at_once.due_now, at_once.due_next, at_once.next_at),
        (euros(19_009), euros(19_999), at(YEAR))
    );
    let waiting = ChangeOrder { proration: Proration::None, ..yearly.clone() };
    let (waiting, _) = preview(&waiting, When::Now, json!({}), reckon).await;
    assert_eq!(
        (waiting.due_now, waiting.next_at),
        (euros(19_999), at(YEAR)),
        "it is charged whatever is prorated"
    );
    let (later, _) = preview(&yearly, When::PeriodEnd, json!({}), reckon).await;
    assert_eq!((later.due_now, later.due_next, later.next_at), (nothing(), euros(19_999), at(END)));
}

const BEHAVIOR: &str = "subscription_details[proration_behavior]";
const ANCHOR: &str = "subscription_details[billing_cycle_anchor][type]";

/// What Stripe plans itself for the period's end is not what comes after the change.
#[tokio::test]
async fn where_something_else_is_planned_a_renewal_is_reckoned_as_if_it_began_now() {
    let scheduled = || json!({ "schedule": crate::schedules::schedule(json!([])) });
    let reckon = |behavior: &str| match behavior {
        "always_invoice" => reckoned(json!([prorated("price_2", 1000)]), 1000, json!({})),
        _ => reckoned(json!([line("price_2", 1999, START + 100, END)]), 1999, json!({})),
    };
    let later = ChangeOrder { proration: Proration::NextInvoice, ..order() };
    for (order, when, asked, due) in [
        (order(), When::Now, vec!["always_invoice", "none"], (1000, 1999)),
        (later.clone(), When::Now, vec!["always_invoice", "none"], (0, 2999)),
        (order(), When::PeriodEnd, vec!["none"], (0, 1999)),
    ] {
        let (preview, seen) = preview(&order, when, scheduled(), reckon).await;
        assert_eq!((preview.due_now, preview.due_next), (euros(due.0), euros(due.1)));
        let mut behaviors: Vec<_> = seen[1..].iter().map(|seen| seen.fields()[BEHAVIOR].clone()).collect();
        behaviors.sort();
        assert_eq!(behaviors, asked);
        let renewal = seen[1..].iter().find(|seen| seen.fields()[BEHAVIOR] == "none").unwrap();
        assert_eq!(renewal.fields()[ANCHOR], "now");
    }
}

#[tokio::test]
async fn what_ends_is_not_due_again_unless_the_change_takes_the_end_back() {
    let leaving = || json!({ "cancel_at": END, "cancel_at_period_end": true });
    let reckon = |_: &str| reckoned(json!([prorated("price_2", 1000)]), 1000, json!({}));
    let (now, seen) = preview(&order(), When::Now, leaving(), reckon).await;
    assert_eq!((now.due_now, now.due_next, seen.len()), (euros(1000), nothing(), 2));
    let later = ChangeOrder { proration: Proration::NextInvoice, ..order() };
    let (waiting, _) = preview(&later, When::Now, leaving(), reckon).await;
    assert_eq!((waiting.due_now, waiting.due_next), (nothing(), euros(1000)), "with the last invoice");
    let unprorated = ChangeOrder { proration: Proration::None, ..order() };
    let (free, seen) = preview(&unprorated, When::Now, leaving(), reckon).await;
    assert_eq!(
        (free.due_now, free.due_next, seen.len()),
        (nothing(), nothing(), 1),
        "Stripe need not be asked"
    );
    let (stays, seen) = preview(&order(), When::PeriodEnd, leaving(), reckon).await;
    assert_eq!((stays.due_next, &seen[1].fields()[ANCHOR]), (euros(1000), &"now".to_owned()));
}

#[tokio::test]
async fn what_stays_as_it_is_costs_nothing_now() {
    let same = ChangeOrder { price: PriceId::parse("price_1").unwrap(), quantity: 1, ..order() };
    let reckon = |_: &str| reckoned(json!([line("price_1", 999, END, END + 9)]), 999, json!({}));
    let (preview, seen) = preview(&same, When::Now, json!({}), reckon).await;
    assert_eq!((preview.due_now, preview.due_next, seen.len()), (nothing(), euros(999), 2));
}

#[tokio::test]
async fn looking_leaves_no_key_behind_for_the_next_look() {
    let reckon = |_: &str| reckoned(json!([]), 1999, json!({}));
    let unprorated = ChangeOrder { proration: Proration::None, ..order() };
    let (_, first) = preview(&unprorated, When::Now, json!({}), reckon).await;
    let (_, second) = preview(&unprorated, When::Now, json!({}), reckon).await;
    assert!(first[1].key().is_some() && first[1].key() != second[1].key());
    assert_eq!(id().as_str(), first[1].fields()["subscription"]);
}
