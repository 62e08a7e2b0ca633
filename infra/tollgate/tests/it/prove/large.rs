//! Long journals are proved in one pass.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
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
use serde_json::Value;
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

/// A story's books with a journal of this length, and what to count in them.
async fn with_journal_of(length: u64) -> (Books, u64) {
    let books = Books::after_a_story().await;
    let entries = length + books.count("item_json ->> '$.body.S' != ''");
    write(&books, "many", length);
    (books, entries)
}

/// Deletes the account, and has it made anew.
async fn is_rebuilt(books: &Books) {
    let account = "item_json ->> '$.PK.S' = 'U#many' AND item_json ->> '$.SK.S' = 'A'";
    let read = || {
        let sql = format!("SELECT item_json FROM tollgate WHERE {account}");
        let text: String = books.table().query_row(&sql, [], |row| row.get(0)).unwrap();
        let mut item: Value = serde_json::from_str(&text).unwrap();
        // Their order says nothing.
        item["lots"]["L"].as_array_mut().unwrap().sort_by_key(Value::to_string);
        // Whoever looked at Stripe meanwhile has to look again.
        item.as_object_mut().unwrap().remove("obs");
        item
    };
    let before = read();
    books.run(&format!("DELETE FROM tollgate WHERE {account}"));
    let (code, said) = books.prove(&["--rebuild", "--yes", "--user", "many"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(read(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_of_thousands_of_entries() {
    let (books, entries) = with_journal_of(5_000).await;
    let (code, said) = books.prove(&[]).await;
    let expected = format!("prove: 4 accounts, {entries} entries, ok\n");
    assert_eq!((code, said.starts_with(&expected)), (Some(0), true), "{said}");
    is_rebuilt(&books).await;
    assert_eq!(books.prove(&["--user", "many"]).await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_a_hundred_thousand_entries_is_rebuilt() {
    let (books, _) = with_journal_of(100_000).await;
    let started = Instant::now();
    is_rebuilt(&books).await;
    // A figure to be seen, also where nothing else of a test is.
    writeln!(io::stderr(), "rebuilt from 100,000 entries in {:.1?}", started.elapsed()).unwrap();
}
