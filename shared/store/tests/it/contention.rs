//! Races, repeats and lost answers.

use store::{Applied, Read};
use tokio::task::JoinSet;

use crate::table::{NOW, Table, consume, purchase, user};

async fn available(table: &Table) -> u64 {
    table.store.account(&user(), Read::Consistent).await.unwrap().balances().available.get()
}

#[tokio::test]
async fn a_payment_told_twenty_times_at_once_is_credited_once() {
    let table = Table::new().await;
    let mut telling = JoinSet::new();
    for _ in 0..20 {
        let (store, catalogs) = (table.another_store(), table.catalogs.clone());
        telling.spawn(
            async move { store.apply(&user(), &purchase("medium", 1), &catalogs, NOW).await.unwrap() },
        );
    }
    let told = telling.join_all().await;
    assert_eq!(told.iter().filter(|applied| matches!(applied, Applied::Done(_))).count(), 1);
    assert_eq!(told.iter().filter(|applied| matches!(applied, Applied::Before(_))).count(), 19);
    assert_eq!(available(&table).await, 275);
}

#[tokio::test]
async fn concurrent_spending_never_spends_a_token_twice() {
    let table = Table::new().await;
    table.done(&purchase("small", 1)).await;
    let mut spending = JoinSet::new();
    for number in 0..15 {
        let (store, catalogs) = (table.another_store(), table.catalogs.clone());
        spending
            .spawn(async move { store.apply(&user(), &consume(number, 10), &catalogs, NOW).await.unwrap() });
    }
    let spent = spending.join_all().await;
    assert_eq!(spent.iter().filter(|applied| matches!(applied, Applied::Done(_))).count(), 10);
    assert_eq!(spent.iter().filter(|applied| matches!(applied, Applied::Refused(_))).count(), 5);
    assert_eq!(available(&table).await, 0);
}

#[tokio::test]
async fn a_consume_that_emptied_the_wallet_and_lost_its_reply_gets_that_reply_on_retry() {
    let table = Table::new().await;
    table.done(&purchase("small", 1)).await;
    let first = table.done(&consume(1, 100)).await;
    assert_eq!(table.apply(&consume(1, 100)).await, Applied::Before(first));
    assert!(matches!(table.apply(&consume(2, 1)).await, Applied::Refused(_)));
}

#[tokio::test]
async fn another_request_under_the_same_key_is_told_so() {
    let table = Table::new().await;
    table.done(&purchase("small", 1)).await;
    table.done(&consume(1, 5)).await;
    assert_eq!(table.apply(&consume(1, 6)).await, Applied::KeyReused);
    assert_eq!(available(&table).await, 95);
}

#[tokio::test]
async fn an_account_of_a_newer_format_is_left_alone() {
    let table = Table::new().await;
    table.done(&purchase("small", 1)).await;
    let key = store::schema::account(&user());
    let value = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    table
        .client
        .update_item()
        .table_name(crate::table::TABLE)
        .key("PK", value(key.pk))
        .key("SK", value(key.sk))
        .update_expression("SET #format = :newer")
        .expression_attribute_names("#format", "format")
        .expression_attribute_values(":newer", aws_sdk_dynamodb::types::AttributeValue::N("99".to_owned()))
        .send()
        .await
        .unwrap();
    let error = table.store.apply(&user(), &consume(1, 5), &table.catalogs, NOW).await.unwrap_err();
    assert!(error.to_string().contains("newer Tollgate"), "{error}");
}

#[tokio::test]
async fn a_table_that_is_not_there_is_an_error_and_not_an_empty_account() {
    let table = Table::new().await;
    let store = store::Store::open(
        &table.aws,
        Some(table.endpoint.clone()),
        "another",
        std::time::Duration::from_secs(3),
    );
    assert!(store.account(&user(), Read::Consistent).await.is_err());
    assert!(store.apply(&user(), &purchase("small", 1), &table.catalogs, NOW).await.is_err());
}

#[tokio::test]
async fn an_outage_ends_soon_and_as_busy() {
    let table = Table::new().await;
    let budget = std::time::Duration::from_secs(1);
    // Nothing listens there.
    let store = store::Store::open(&table.aws, Some("http://127.0.0.1:9".to_owned()), "tollgate", budget);
    let started = std::time::Instant::now();
    let error = store.apply(&user(), &purchase("small", 1), &table.catalogs, NOW).await.unwrap_err();
    assert!(matches!(error, store::StoreError::Busy(_)), "{error}");
    assert!(started.elapsed() < std::time::Duration::from_secs(6));
}
