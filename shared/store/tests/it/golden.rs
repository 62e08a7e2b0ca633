//! Every stored item as it was the day it was first stored. Old ones must read for ever; new ones are written the same.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::Account;
use domain::decide::decide;
use serde_json::Value;
use store::items::{self, Item};

use crate::table::{NOW, catalog, consume, purchase, user};

const ACCOUNT: &str = include_str!("../golden/account.1.json");
const ENTRY_CONSUME: &str = include_str!("../golden/entry.consume.1.json");
const ENTRY_PURCHASE: &str = include_str!("../golden/entry.purchase.1.json");
const PAYMENT: &str = include_str!("../golden/payment.1.json");

fn written() -> [(&'static str, Item); 4] {
    let bought = decide(&Account::new(user()), &purchase("medium", 1), &catalog(), NOW).unwrap();
    let spent = decide(&bought.account, &consume(1, 30), &catalog(), NOW).unwrap();
    [
        (ACCOUNT, items::from_account(&spent.account)),
        (ENTRY_CONSUME, items::from_entry(&spent.entry)),
        (ENTRY_PURCHASE, items::from_entry(&bought.entry)),
        (PAYMENT, items::from_payment(&user(), &bought.payment.unwrap())),
    ]
}

#[test]
fn items_are_written_as_they_always_were() {
    for (golden, item) in written() {
        let golden: Value = serde_json::from_str(golden).expect("a golden file is JSON");
        assert_eq!(plain(&AttributeValue::M(item)), golden);
    }
}

#[test]
fn items_stored_then_read_as_what_they_meant() {
    let bought = decide(&Account::new(user()), &purchase("medium", 1), &catalog(), NOW).unwrap();
    let spent = decide(&bought.account, &consume(1, 30), &catalog(), NOW).unwrap();
    assert_eq!(items::to_account(user(), stored(ACCOUNT)).unwrap(), spent.account);
    assert_eq!(items::to_entry(stored(ENTRY_CONSUME)).unwrap(), spent.entry.entry);
    assert_eq!(items::to_entry(stored(ENTRY_PURCHASE)).unwrap(), bought.entry.entry);
}

/// A golden file as the item that DynamoDB would give back.
fn stored(golden: &str) -> Item {
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

/// Numbers, texts, lists and maps, as JSON shows them.
fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => text.clone().into(),
        AttributeValue::N(digits) => serde_json::from_str(digits).unwrap(),
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
