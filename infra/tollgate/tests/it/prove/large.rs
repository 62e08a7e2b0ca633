//! Long journals are proved in one pass.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::Account;
use domain::catalog::{Catalog, Published, Shelf};
use domain::cause::{Cause, Operation};
use domain::change::Change;
use domain::decide::{Act, Command, Grant, Spend, What, decide};
use domain::ids::{PaymentId, RequestKey, UserId};
use domain::money::{Currency, Money, Tokens};
use domain::payment::{Envelope, Payment};
use domain::time::Time;
use dynoxide::AttributeValue as Stored;
use store::items;

use super::Books;
use crate::harness::COMPANION;

/// Writes a journal of this length, as functions would have written it one by one.
fn write(books: &Books, user: &str, length: u64) {
    let user = UserId::parse(user).unwrap();
    let published = Published {
        version: 1,
        catalog: Catalog::parse(COMPANION).unwrap(),
        prices: BTreeMap::new(),
        portal: None,
    };
    let shelf = Shelf::new(Arc::new(published), Vec::new());
    let file = books.0.path().join(".tollgate/companion/table.db");
    let database = dynoxide::Database::new(file.to_str().unwrap()).unwrap();
    let (mut account, mut written) = (Account::new(user), Vec::new());
    for number in 1..=length {
        let now = Time::from_millis(1_790_000_000_000 + i64::try_from(number).unwrap() * 1000);
        let Change { account: after, entry, payments, .. } =
            decide(&account, &command(&account.user, number), &shelf, now).unwrap();
        account = after;
        written.push(items::from_entry(&entry));
        written.extend(payments.iter().map(|row| items::from_payment(&account.user, row)));
        if number == length {
            written.push(items::from_account(&account));
        }
        if written.len() > 2_000 || number == length {
            let rows: Vec<_> = written.drain(..).map(to_stored_item).collect();
            database.import_items("tollgate", rows, dynoxide::ImportOptions::default()).unwrap();
        }
    }
}

fn command(user: &UserId, number: u64) -> Command {
    let request = |operation| Cause::Request {
        user: user.clone(),
        operation,
        key: RequestKey::parse(number.to_string()).unwrap(),
    };
    let tokens = |count| Tokens::new(count).unwrap();
    let (cause, act) = match number {
        1 => {
            let grant = Grant { tokens: tokens(10_000_000), expires_at: None, operator: None, note: None };
            (request(Operation::Grant), Act::Grant(grant))
        }
        _ if number.is_multiple_of(50) => {
            let payment = Payment {
                id: PaymentId::parse(format!("pi_{number}")).unwrap(),
                customer: None,
                paid: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
                envelope: Envelope::default(),
            };
            let cause = Cause::Payment(payment.id.clone());
            (cause, Act::Purchase { payment, item: "package:medium".parse().unwrap(), catalog: 1 })
        }
        _ => {
            let spend = Spend { what: What::Tokens(tokens(number % 7 + 1)), amount: 1 };
            (request(Operation::Consume), Act::Consume(spend))
        }
    };
    Command { cause, request: None, act }
}

fn to_stored_item(item: items::Item) -> HashMap<String, Stored> {
    item.into_iter().map(|(name, value)| (name, to_stored(value))).collect()
}

fn to_stored(value: AttributeValue) -> Stored {
    match value {
        AttributeValue::S(text) => Stored::S(text),
        AttributeValue::N(number) => Stored::N(number),
        AttributeValue::Null(null) => Stored::NULL(null),
        AttributeValue::Bool(truth) => Stored::BOOL(truth),
        AttributeValue::L(values) => Stored::L(values.into_iter().map(to_stored).collect()),
        AttributeValue::M(fields) => Stored::M(to_stored_item(fields)),
        other => panic!("{other:?}"),
    }
}

async fn is_proved_and_rebuilt(length: u64) {
    let books = Books::after_a_story().await;
    let entries = length + books.count("item_json ->> '$.body.S' != ''");
    write(&books, "many", length);
    let started = Instant::now();
    let (code, said) = books.prove(&[]).await;
    println!("{length} entries: {:?}\n{said}", started.elapsed());
    let expected = format!("prove: 4 accounts, {entries} entries, ok\n");
    assert_eq!((code, said.starts_with(&expected)), (Some(0), true), "{said}");
    let account = "item_json ->> '$.PK.S' = 'U#many' AND item_json ->> '$.SK.S' = 'A'";
    books.run(&format!("DELETE FROM tollgate WHERE {account}"));
    let started = Instant::now();
    let (code, said) = books.prove(&["--rebuild", "--yes", "--user", "many"]).await;
    println!("rebuilt: {:?}\n{said}", started.elapsed());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(books.prove(&["--user", "many"]).await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_of_thousands_of_entries() {
    is_proved_and_rebuilt(5_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute; by hand, for its figures: cargo test -p tollgate --test it prove::large -- --ignored --nocapture"]
async fn a_journal_of_a_hundred_thousand_entries() {
    is_proved_and_rebuilt(100_000).await;
}
