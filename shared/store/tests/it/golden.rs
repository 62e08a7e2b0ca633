//! Every stored item as it was the day it was first stored. Old ones must read for ever; new ones are written the same.

mod subscriber;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::Account;
use domain::change::Change;
use domain::decide::decide;
use domain::entry::Detail;
use domain::follow::observe;
use domain::money::Tokens;
use domain::payment::PaymentRow;
use serde_json::Value;
use store::items::{self, Item};

use crate::table::{NOW, capture, consume, first_invoice, hold, premium, purchase, refund, shelf, user};

const ACCOUNT: &str = include_str!("../golden/account.1.json");
const SUBSCRIBER: &str = include_str!("../golden/account.subscriber.2.json");
const HOLDER: &str = include_str!("../golden/account.holder.2.json");
const ENTRY_HOLD: &str = include_str!("../golden/entry.hold.1.json");
const ENTRY_CAPTURE: &str = include_str!("../golden/entry.capture.1.json");
const ENTRY_CONSUME: &str = include_str!("../golden/entry.consume.1.json");
const ENTRY_PURCHASE_1: &str = include_str!("../golden/entry.purchase.1.json");
const ENTRY_PURCHASE: &str = include_str!("../golden/entry.purchase.2.json");
const ENTRY_INVOICE: &str = include_str!("../golden/entry.invoice.1.json");
const ENTRY_REFUND: &str = include_str!("../golden/entry.refund.1.json");
const ENTRY_SUBSCRIPTION: &str = include_str!("../golden/entry.subscription.1.json");
const PAYMENT_1: &str = include_str!("../golden/payment.1.json");
const PAYMENT_2: &str = include_str!("../golden/payment.2.json");
const PAYMENT: &str = include_str!("../golden/payment.3.json");

/// What the account and the journal of somebody who buys, spends, subscribes and holds come to.
struct Books {
    bought: Change,
    spent: Change,
    seen: Change,
    paid: Change,
    held: Change,
    captured: Change,
    refunded: Change,
}

impl Books {
    fn new() -> Books {
        let shelf = shelf();
        let bought = decide(&Account::new(user()), &purchase("medium", 1), &shelf, NOW).unwrap();
        let spent = decide(&bought.account, &consume(1, 30), &shelf, NOW).unwrap();
        let seen = observe(&spent.account, &premium(), NOW).unwrap();
        let paid = decide(&seen.account, &first_invoice(), &shelf, NOW).unwrap();
        let hold = hold(1, 510);
        let held = decide(&paid.account, &hold, &shelf, NOW).unwrap();
        let captured = decide(&held.account, &capture(&hold, 20), &shelf, NOW).unwrap();
        let refunded = decide(&bought.account, &refund(1, 333), &shelf, NOW).unwrap();
        Books { bought, spent, seen, paid, held, captured, refunded }
    }

    fn written(&self) -> [(&'static str, Item); 11] {
        [
            (ACCOUNT, items::from_account(&self.spent.account)),
            (SUBSCRIBER, items::from_account(&self.paid.account)),
            (HOLDER, items::from_account(&self.held.account)),
            (ENTRY_HOLD, items::from_entry(&self.held.entry)),
            (ENTRY_CAPTURE, items::from_entry(&self.captured.entry)),
            (ENTRY_CONSUME, items::from_entry(&self.spent.entry)),
            (ENTRY_PURCHASE, items::from_entry(&self.bought.entry)),
            (ENTRY_REFUND, items::from_entry(&self.refunded.entry)),
            (ENTRY_SUBSCRIPTION, items::from_entry(&self.seen.entry)),
            (ENTRY_INVOICE, items::from_entry(&self.paid.entry)),
            (PAYMENT, items::from_payment(&user(), &self.bought.payments[0])),
        ]
    }
}

#[test]
fn items_are_written_as_they_always_were() {
    for (golden, item) in Books::new().written() {
        assert_written(golden, item);
    }
}

fn assert_written(golden: &str, item: Item) {
    let golden: Value = serde_json::from_str(golden).expect("a golden file is JSON");
    let item = plain(&AttributeValue::M(item));
    assert_eq!(item, golden, "{item:#}");
}

#[test]
fn items_stored_then_read_as_what_they_meant() {
    let books = Books::new();
    assert_eq!(items::to_account(user(), stored(ACCOUNT)).unwrap(), books.spent.account);
    assert_eq!(items::to_account(user(), stored(SUBSCRIBER)).unwrap(), books.paid.account);
    assert_eq!(items::to_account(user(), stored(HOLDER)).unwrap(), books.held.account);
    let row = &books.bought.payments[0];
    let payment = |golden| items::to_payment(row.payment.clone(), stored(golden)).unwrap().unwrap();
    assert_eq!(payment(PAYMENT), *row);
    let anonymous = PaymentRow { customer: None, ..row.clone() };
    assert_eq!(payment(PAYMENT_2), anonymous);
    // Before lots were named, whatever a payment granted was taken back from any that were bought.
    assert_eq!(payment(PAYMENT_1), PaymentRow { funded: Vec::new(), ..anonymous });
    let entries = [
        (ENTRY_CONSUME, &books.spent),
        (ENTRY_PURCHASE, &books.bought),
        (ENTRY_REFUND, &books.refunded),
        (ENTRY_SUBSCRIPTION, &books.seen),
        (ENTRY_INVOICE, &books.paid),
        (ENTRY_HOLD, &books.held),
        (ENTRY_CAPTURE, &books.captured),
    ];
    for (golden, change) in entries {
        assert_eq!(items::to_entry(stored(golden)).unwrap(), change.entry.entry);
    }
    // At first a purchase did not say what it brought.
    let mut purchase = books.bought.entry.entry.clone();
    if let Detail::Purchase { tokens, bonus, .. } = &mut purchase.detail {
        (*tokens, *bonus) = (Tokens::ZERO, Tokens::ZERO);
    }
    assert_eq!(items::to_entry(stored(ENTRY_PURCHASE_1)).unwrap(), purchase);
}

/// A golden file as the item that DynamoDB would give back.
pub fn stored(golden: &str) -> Item {
    match attribute(serde_json::from_str(golden).unwrap()) {
        AttributeValue::M(item) => item,
        other => panic!("not an item: {other:?}"),
    }
}

fn attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(is) => AttributeValue::Bool(is),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(items) => AttributeValue::L(items.into_iter().map(attribute).collect()),
        Value::Object(fields) => {
            AttributeValue::M(fields.into_iter().map(|(name, value)| (name, attribute(value))).collect())
        }
    }
}

/// Numbers, texts, switches, lists and maps, as JSON shows them.
pub fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => text.clone().into(),
        AttributeValue::N(digits) => serde_json::from_str(digits).unwrap(),
        AttributeValue::Bool(is) => (*is).into(),
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::L(items) => items.iter().map(plain).collect(),
        AttributeValue::M(fields) => {
            let sorted: BTreeMap<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
            serde_json::to_value(sorted).unwrap()
        }
        other => panic!("we store no {other:?}"),
    }
}
