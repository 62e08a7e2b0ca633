//! What each change costs, as the table itself charges it. Writes are counted in halves: 10 are five units.

use store::{Applied, Read, Spent};

use crate::table::{Table, capture, consume, first_invoice, hold, premium, purchase, user};

pub async fn cost_of(table: &Table, what: impl AsyncFnOnce()) -> Spent {
    let before = table.store.meter().reading();
    what().await;
    let after = table.store.meter().reading();
    Spent {
        round_trips: after.round_trips - before.round_trips,
        transactions: after.transactions - before.transactions,
        half_read_units: after.half_read_units - before.half_read_units,
        half_write_units: after.half_write_units - before.half_write_units,
    }
}

/// A user who has bought: two lots for each medium pack.
async fn with_packs(packs: u32) -> Table {
    let table = Table::new().await;
    for number in 0..packs {
        table.done(&purchase("medium", number)).await;
    }
    table
}

#[tokio::test]
async fn a_consume_costs_five_write_units_and_one_transaction_with_2_lots_with_4_and_with_16() {
    for packs in [1, 2, 8] {
        let table = with_packs(packs).await;
        let cost = cost_of(&table, async || drop(table.done(&consume(0, 5)).await)).await;
        println!("consume with {} lots: {cost:?}", packs * 2);
        assert_eq!((cost.transactions, cost.round_trips), (1, 2), "one read, one transaction");
        assert!(cost.half_write_units <= 10, "{} lots: {cost:?}", packs * 2);
    }
}

#[tokio::test]
async fn crediting_a_payment_costs_at_most_nine_write_units_with_its_row() {
    for packs in [0, 2] {
        let table = with_packs(packs).await;
        let cost = cost_of(&table, async || drop(table.done(&purchase("medium", 50)).await)).await;
        println!("purchase after {packs}: {cost:?}");
        assert_eq!((cost.transactions, cost.round_trips), (1, 2));
        assert!(cost.half_write_units <= 18, "{cost:?}");
    }
}

#[tokio::test]
async fn a_subscriber_with_three_lots_spends_for_five_write_units() {
    let table = with_packs(1).await;
    table.subscribe().await;
    let account = table.store.account(&user(), Read::Consistent).await.unwrap();
    println!("account of a subscriber: {} bytes", size(&store::items::from_account(&account)));
    assert_eq!(account.lots.len(), 3);
    let cost = cost_of(&table, async || drop(table.done(&consume(0, 5)).await)).await;
    println!("consume of a subscriber: {cost:?}");
    assert_eq!((cost.transactions, cost.round_trips), (1, 2));
    assert!(cost.half_write_units <= 10, "{cost:?}");
}

#[tokio::test]
async fn a_hold_and_its_capture_cost_five_write_units_each_with_2_lots_with_4_and_for_a_subscriber() {
    let subscriber = with_packs(1).await;
    subscriber.subscribe().await;
    for (name, table) in
        [("2 lots", with_packs(1).await), ("4 lots", with_packs(2).await), ("a subscription", subscriber)]
    {
        let held = hold(0, 30);
        for command in [&held, &capture(&held, 27)] {
            let cost = cost_of(&table, async || drop(table.done(command).await)).await;
            println!("{} with {name}: {cost:?}", command.cause);
            assert_eq!((cost.transactions, cost.round_trips), (1, 2), "one read, one transaction");
            assert!(cost.half_write_units <= 10, "{name}: {cost:?}");
        }
    }
}

#[tokio::test]
async fn a_look_at_a_subscription_that_shows_nothing_new_costs_one_write_unit_and_news_five() {
    let table = Table::new().await;
    let cost = cost_of(&table, async || drop(table.see(premium()).await)).await;
    println!("the first look: {cost:?}");
    assert!(cost.half_write_units <= 10, "{cost:?}");
    let cost = cost_of(&table, async || drop(table.see(premium()).await)).await;
    assert_eq!((cost.round_trips, cost.half_write_units), (2, 2));
    let cost = cost_of(&table, async || drop(table.done(&first_invoice()).await)).await;
    println!("a paid invoice: {cost:?}");
    assert!(cost.half_write_units <= 18, "{cost:?}");
}

#[tokio::test]
async fn a_lookup_costs_half_a_read_unit_and_one_round_trip() {
    let table = with_packs(2).await;
    let cost =
        cost_of(&table, async || drop(table.store.account(&user(), Read::Eventual).await.unwrap())).await;
    assert_eq!((cost.half_read_units, cost.round_trips, cost.half_write_units), (1, 1, 0));
}

#[tokio::test]
async fn a_refusal_writes_nothing() {
    let table = Table::new().await;
    let cost = cost_of(&table, async || {
        let refused = table.apply(&consume(0, 5)).await;
        assert!(matches!(refused, Applied::Refused(_)), "{refused:?}");
    })
    .await;
    assert_eq!((cost.half_write_units, cost.transactions), (0, 0));
}

#[tokio::test]
async fn a_typical_account_item_is_under_a_kilobyte() {
    for (name, packs) in [("two packs", 2), ("eight packs", 8)] {
        let table = with_packs(packs).await;
        let account = table.store.account(&user(), Read::Consistent).await.unwrap();
        let size = size(&store::items::from_account(&account));
        println!("account with {name}: {size} bytes");
        assert!(packs > 2 || size < 1024, "{size} bytes");
    }
    let entry = Table::new().await.done(&purchase("medium", 1)).await;
    let size = size(&store::items::from_entry(&entry.seal(domain::hash::Hash::START)));
    println!("entry of a purchase: {size} bytes");
    assert!(size < 1024, "{size} bytes");
}

/// By DynamoDB's rules: names and values in UTF-8, about a byte for two digits, three for a list or map.
fn size(item: &store::items::Item) -> usize {
    item.iter().map(|(name, value)| name.len() + size_of_value(value)).sum()
}

fn size_of_value(value: &aws_sdk_dynamodb::types::AttributeValue) -> usize {
    use aws_sdk_dynamodb::types::AttributeValue as Value;
    match value {
        Value::S(text) => text.len(),
        Value::N(digits) => digits.len().div_ceil(2) + 1,
        Value::Bool(_) | Value::Null(_) => 1,
        Value::L(items) => 3 + items.iter().map(|item| 1 + size_of_value(item)).sum::<usize>(),
        Value::M(fields) => {
            3 + fields.iter().map(|(name, value)| 1 + name.len() + size_of_value(value)).sum::<usize>()
        }
        other => panic!("we store no {other:?}"),
    }
}
