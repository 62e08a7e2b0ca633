//! Payments as they are looked for: one user's, and everybody's by status and month.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::{CustomerId, PaymentId, UserId};
use domain::money::{Currency, Money};
use domain::payment::{Attempt, AttemptOutcome, PaymentRecord, PaymentStatus, References};
use domain::time::{DAY_MS, Time};
use store::items::{self, Item};
use store::{Month, PaymentCursor, PaymentFilter, PaymentPage, StoreError, schema};

use crate::budgets::cost_of;
use crate::table::{NOW, TABLE, Table, payment_id, purchase, user};

fn attempt(payment: &str, at: Time, outcome: AttemptOutcome) -> Attempt {
    Attempt {
        payment: PaymentId::parse(payment).unwrap(),
        item: "package:medium".parse().unwrap(),
        amount: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
        customer: Some(CustomerId::parse("cus_QabcdefGhijkl1").unwrap()),
        invoice: None,
        outcome,
        at,
    }
}

fn pending(payment: &str, at: Time) -> Item {
    items::from_attempt(&user(), &attempt(payment, at, AttemptOutcome::Pending))
}

fn failed(payment: &str, at: Time) -> Item {
    items::from_attempt(&user(), &attempt(payment, at, AttemptOutcome::Failed("expired_card".to_owned())))
}

impl Table {
    async fn put(&self, item: Item) {
        self.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }

    /// The ids of everything that a list has, and how many pages it took. Fails on a page that is too long.
    async fn paged(
        &self,
        limit: u16,
        page: impl AsyncFn(Option<&PaymentCursor>) -> Result<PaymentPage, StoreError>,
    ) -> (Vec<String>, usize) {
        let (mut ids, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let PaymentPage { payments, next } = page(after.as_ref()).await.unwrap();
            assert!(payments.len() <= usize::from(limit));
            ids.extend(payments.iter().map(id));
            pages += 1;
            after = next;
            if after.is_none() {
                return (ids, pages);
            }
        }
    }

    /// All of one user's.
    async fn own(&self, filter: &PaymentFilter) -> Vec<String> {
        let page = self.store.payments(&user(), filter, None, 100).await.unwrap();
        assert_eq!(page.next, None);
        page.payments.iter().map(id).collect()
    }
}

fn id(record: &PaymentRecord) -> String {
    record.payment.to_string()
}

/// A busy minute: a hundred payments of five users, of which forty share one millisecond.
async fn busy(table: &Table) -> Vec<String> {
    let mut placed = Vec::new();
    for number in 0..100 {
        let at = if number < 40 { NOW } else { NOW.plus_ms(number % 30 - 15) };
        let attempt = attempt(&format!("pi_{number}"), at, AttemptOutcome::Pending);
        let user = UserId::parse(format!("user {}", number % 5)).unwrap();
        table.put(items::from_attempt(&user, &attempt)).await;
        placed.push((at, attempt.payment.to_string()));
    }
    placed.sort_by(|one, other| other.cmp(one));
    placed.into_iter().map(|(_, payment)| payment).collect()
}

#[tokio::test]
async fn a_users_payments_come_newest_first_whatever_size_their_pages_have() {
    let table = Table::new().await;
    for (payment, at) in [("pi_b", 2), ("pi_d", 1), ("pi_a", 1), ("pi_c", 1), ("pi_e", 0)] {
        table.put(pending(payment, NOW.plus_ms(at))).await;
    }
    table.done(&purchase("medium", 7)).await;
    let bought = payment_id(7).to_string();
    let all = ["pi_b", "pi_d", "pi_c", "pi_a", "pi_e", bought.as_str()];
    for limit in 1..=7 {
        let filter = PaymentFilter::default();
        let page =
            async |after: Option<&PaymentCursor>| table.store.payments(&user(), &filter, after, limit).await;
        let (ids, pages) = table.paged(limit, page).await;
        assert_eq!((ids, pages), (all.map(str::to_owned).to_vec(), 6_usize.div_ceil(usize::from(limit))));
    }
    let stranger = UserId::parse("eve").unwrap();
    let page = table.store.payments(&stranger, &PaymentFilter::default(), None, 10).await.unwrap();
    assert_eq!(page, PaymentPage::default());
}

#[tokio::test]
async fn a_users_payments_can_be_asked_by_status_month_and_customer() {
    let table = Table::new().await;
    table.done(&purchase("medium", 7)).await;
    table.put(pending("pi_pending", NOW)).await;
    table.put(failed("pi_failed", NOW)).await;
    table.put(failed("pi_earlier", NOW.plus_ms(-40 * DAY_MS))).await;
    let of_nobody = Attempt { customer: None, ..attempt("pi_other", NOW, AttemptOutcome::Pending) };
    table.put(items::from_attempt(&user(), &of_nobody)).await;
    let bought = payment_id(7).to_string();
    let all = PaymentFilter::default();
    let by_status = |status| PaymentFilter { status: Some(status), ..all.clone() };
    assert_eq!(table.own(&all).await, ["pi_pending", "pi_other", "pi_failed", &bought, "pi_earlier"]);
    assert_eq!(table.own(&by_status(PaymentStatus::Completed)).await, [bought.as_str()]);
    assert_eq!(table.own(&by_status(PaymentStatus::Failed)).await, ["pi_failed", "pi_earlier"]);
    assert!(table.own(&by_status(PaymentStatus::Refunded)).await.is_empty());
    let earlier = Some("2026-08".parse::<Month>().unwrap());
    assert_eq!(table.own(&PaymentFilter { month: earlier.clone(), ..all.clone() }).await, ["pi_earlier"]);
    let both = PaymentFilter { month: earlier, ..by_status(PaymentStatus::Pending) };
    assert!(table.own(&both).await.is_empty());
    let customer = CustomerId::parse("cus_QabcdefGhijkl1").ok();
    let of_customer = PaymentFilter { customer, ..by_status(PaymentStatus::Pending) };
    assert_eq!(table.own(&of_customer).await, ["pi_pending"]);
}

#[tokio::test]
async fn everybodys_payments_come_newest_first_though_many_share_a_millisecond() {
    let table = Table::new().await;
    let all = busy(&table).await;
    let month = Month::of(NOW);
    for limit in [3, 39, 99, 100] {
        for status in [Some(PaymentStatus::Pending), None] {
            let page = async |after: Option<&PaymentCursor>| {
                table.store.payments_with(status, &month, after, limit).await
            };
            let (ids, pages) = table.paged(limit, page).await;
            assert_eq!((&ids, pages), (&all, 100_usize.div_ceil(usize::from(limit))), "{limit} at once");
        }
    }
}

#[tokio::test]
async fn a_search_finds_one_status_and_month_or_every_status_of_the_month() {
    let table = Table::new().await;
    table.done(&purchase("medium", 7)).await;
    table.put(pending("pi_pending", NOW.plus_ms(1))).await;
    table.put(failed("pi_failed", NOW.plus_ms(2))).await;
    table.put(failed("pi_earlier", NOW.plus_ms(-40 * DAY_MS))).await;
    let found = async |status, month: &str| {
        let page = table.store.payments_with(status, &month.parse().unwrap(), None, 10).await.unwrap();
        assert_eq!(page.next, None);
        page.payments.iter().map(id).collect::<Vec<_>>()
    };
    let bought = payment_id(7).to_string();
    assert_eq!(found(None, "2026-09").await, ["pi_failed", "pi_pending", &bought]);
    assert_eq!(found(Some(PaymentStatus::Failed), "2026-09").await, ["pi_failed"]);
    assert_eq!(found(Some(PaymentStatus::Failed), "2026-08").await, ["pi_earlier"]);
    assert!(found(None, "2026-10").await.is_empty());
}

#[tokio::test]
async fn what_the_index_still_has_under_an_older_status_is_left_out_and_the_list_goes_on() {
    let table = Table::new().await;
    table.put(pending("pi_1", NOW)).await;
    table.put(failed("pi_2", NOW.plus_ms(2))).await;
    // As if the index had not heard yet of what became of the newest.
    let mut moved = failed("pi_3", NOW.plus_ms(3));
    let stale = pending("pi_3", NOW.plus_ms(1));
    for name in [schema::GSI2_PK, schema::GSI2_SK] {
        moved.insert(name.to_owned(), stale[name].clone());
    }
    table.put(moved).await;
    let search = async |after: Option<&PaymentCursor>| {
        table.store.payments_with(Some(PaymentStatus::Pending), &Month::of(NOW), after, 1).await
    };
    let (ids, pages) = table.paged(1, search).await;
    assert_eq!((ids, pages), (vec!["pi_1".to_owned()], 2));
}

#[tokio::test]
async fn a_payment_of_which_only_references_are_known_is_not_shown_yet() {
    let table = Table::new().await;
    let payment = payment_id(1);
    let references =
        References { receipt_url: Some("https://stripe.example/r".to_owned()), ..References::default() };
    table.put(items::from_references(&user(), &payment, &references)).await;
    assert!(table.own(&PaymentFilter::default()).await.is_empty());
    assert!(table.store.records(&[(user(), payment)]).await.unwrap().is_empty());
}

#[tokio::test]
async fn as_many_payments_are_read_as_are_there_however_large_they_are() {
    let table = Table::new().await;
    let mut keys = Vec::new();
    for number in 0..120 {
        let payment = format!("pi_{number:03}");
        let mut item = pending(&payment, NOW);
        // More than an answer holds: 16 MB of a batch, 1 MB of a query.
        let page = AttributeValue::S("x".repeat(if number < 60 { 300_000 } else { 100 }));
        item.insert("receipt_url".to_owned(), page);
        table.put(item).await;
        keys.push((user(), PaymentId::parse(payment).unwrap()));
    }
    keys.push((user(), payment_id(99)));
    keys.extend_from_within(..3);
    let found = table.store.records(&keys).await.unwrap();
    let distinct: BTreeSet<String> = found.iter().map(id).collect();
    assert_eq!((found.len(), distinct.len()), (120, 120));
    let page = table.store.payments(&user(), &PaymentFilter::default(), None, 200).await.unwrap();
    assert_eq!(page.payments.len(), 120);
}

#[tokio::test]
async fn a_list_costs_one_read_and_a_search_one_of_each_shard_and_one_of_the_rows() {
    let table = Table::new().await;
    for number in 0..10 {
        table.put(pending(&format!("pi_{number}"), NOW.plus_ms(number))).await;
    }
    let filter = PaymentFilter::default();
    let list =
        cost_of(&table, async || drop(table.store.payments(&user(), &filter, None, 25).await.unwrap())).await;
    println!("a list of ten: {list:?}");
    assert_eq!((list.round_trips, list.half_read_units), (1, 1));
    let (status, month) = (Some(PaymentStatus::Pending), Month::of(NOW));
    let search = cost_of(&table, async || {
        drop(table.store.payments_with(status, &month, None, 25).await.unwrap());
    })
    .await;
    println!("a search that finds ten: {search:?}");
    assert_eq!(search.round_trips, u64::from(schema::SHARDS) + 1);
    assert!(search.half_read_units <= u64::from(schema::SHARDS) + 10);
    let none = cost_of(&table, async || drop(table.store.records(&[]).await.unwrap())).await;
    assert_eq!(none.round_trips, 0);
}
