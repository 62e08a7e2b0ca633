//! Erasing: what it stores, what it finds, and what is written of nobody any more.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::Account;
use domain::cause::{Cause, Operation};
use domain::change::Change;
use domain::decide::{Act, Command, decide};
use domain::ids::{CustomerId, RequestKey, UserId};
use domain::privacy::KeyedHash;
use serde_json::{Value, json};
use store::items::{self, Item};
use store::{Applied, Erased, Pointed, Read, StoreError, Words, schema};

use crate::golden::{plain, stored};
use crate::table::{NOW, TABLE, Table, consume, refund, shelf, user};

const GOLDEN: &str = include_str!("../golden/erase.1.json");

fn close() -> Command {
    let operator = UserId::parse("grace").unwrap();
    let key = RequestKey::parse("k1").unwrap();
    let cause = Cause::Request { user: operator.clone(), operation: Operation::Erase, key };
    Command { cause, request: None, act: Act::Close { operator } }
}

fn closed() -> Change {
    decide(&Account::new(user()), &close(), &shelf(), NOW).unwrap()
}

fn customer() -> CustomerId {
    CustomerId::parse("cus_1").unwrap()
}

fn written() -> BTreeMap<&'static str, Item> {
    let hash: KeyedHash = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse().unwrap();
    [
        ("closed account", items::from_account(&closed().account)),
        ("closing entry", items::from_entry(&closed().entry)),
        ("customer link", items::grants::from_link(schema::customer_link(&user(), &customer()))),
        ("email link", items::grants::from_link(schema::email_link(&user(), &hash))),
    ]
    .into()
}

#[test]
fn what_an_erasure_stores_is_written_as_it_always_was() {
    let golden: BTreeMap<String, Value> = serde_json::from_str(GOLDEN).unwrap();
    let written =
        written().into_iter().map(|(name, item)| (name.to_owned(), plain(&AttributeValue::M(item))));
    let written: BTreeMap<String, Value> = written.collect();
    assert_eq!(golden, written, "{:#}", json!(written));
    let item = |name: &str| stored(&golden[name].to_string());
    assert_eq!(items::to_account(user(), item("closed account")).unwrap(), closed().account);
    assert_eq!(items::to_entry(item("closing entry")).unwrap(), closed().entry.entry);
}

/// The sort keys of what is filed under the user.
async fn filed(table: &Table) -> Vec<String> {
    let items = table.client.scan().table_name(TABLE).send().await.unwrap().items.unwrap();
    let of_user = |item: &&Item| item["PK"].as_s().unwrap().starts_with("U#");
    let mut keys: Vec<_> =
        items.iter().filter(of_user).map(|item| item["SK"].as_s().unwrap().clone()).collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn only_who_was_closed_is_erased() {
    let table = Table::new().await;
    assert!(table.store.traces(&user()).await.unwrap().is_none());
    assert_eq!(table.store.point_customer(&customer(), &user()).await.unwrap(), Pointed::Now);
    let refused = table.store.erase(&user()).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(table.store.customer_owner(&customer()).await.unwrap(), Some(user()));
    table.done(&close()).await;
    let erased = table.store.erase(&user()).await.unwrap();
    assert_eq!(erased, Erased { customers: 1, ..Erased::default() });
    assert_eq!(table.store.customer_owner(&customer()).await.unwrap(), None);
    assert_eq!(filed(&table).await, ["A"]);
}

#[tokio::test]
async fn a_customer_who_was_somebody_elses_first_stays_theirs() {
    let table = Table::new().await;
    let eve = UserId::parse("eve").unwrap();
    assert_eq!(table.store.point_customer(&customer(), &eve).await.unwrap(), Pointed::Now);
    assert_eq!(table.store.point_customer(&customer(), &user()).await.unwrap(), Pointed::Before);
    assert_eq!(filed(&table).await, ["C#cus_1"], "it is linked to eve alone");
    table.done(&close()).await;
    table.store.erase(&user()).await.unwrap();
    assert_eq!(table.store.customer_owner(&customer()).await.unwrap(), Some(eve));
}

#[tokio::test]
async fn words_stand_beside_an_entry_until_the_account_is_closed() {
    let table = Table::new().await;
    let words = || Words::note(Some("she waited for a week".to_owned()));
    let refund = refund(1, 500);
    let applied = table.store.apply_with(&user(), &refund, words(), &table.catalogs, NOW).await.unwrap();
    assert!(matches!(applied, Applied::Done(_)), "{applied:?}");
    assert_eq!(table.store.words(&user(), &refund.cause).await.unwrap(), Some(words()));
    // Refused, it leaves no words either.
    let spending = consume(1, 1_000);
    let applied = table.store.apply_with(&user(), &spending, words(), &table.catalogs, NOW).await.unwrap();
    assert!(matches!(applied, Applied::Refused(_)), "{applied:?}");
    assert_eq!(table.store.words(&user(), &spending.cause).await.unwrap(), None);
    table.done(&close()).await;
    table.store.erase(&user()).await.unwrap();
    let key = RequestKey::parse("later").unwrap();
    let cause = Cause::Request { user: user(), operation: Operation::Refund, key };
    let later = Command { cause: cause.clone(), ..refund };
    let applied = table.store.apply_with(&user(), &later, words(), &table.catalogs, NOW).await.unwrap();
    assert!(matches!(applied, Applied::Done(_)), "money is given back all the same: {applied:?}");
    assert_eq!(table.store.words(&user(), &cause).await.unwrap(), None);
}

/// More than a query answers with at once.
#[tokio::test]
async fn a_user_of_many_notes_is_erased_whole() {
    let table = Table::new().await;
    for number in 0..6 {
        let words = Words::note(Some("x".repeat(300_000)));
        let note = items::grants::from_note(&user(), &consume(number, 1).cause, &words, NOW);
        table.client.put_item().table_name(TABLE).set_item(Some(note)).send().await.unwrap();
    }
    assert_eq!(table.store.traces(&user()).await.unwrap().unwrap().notes.len(), 6);
    table.done(&close()).await;
    assert_eq!(table.store.erase(&user()).await.unwrap().notes, 6);
    assert_eq!(filed(&table).await, ["A"]);
    assert!(table.store.account(&user(), Read::Consistent).await.unwrap().closed.is_some());
}
