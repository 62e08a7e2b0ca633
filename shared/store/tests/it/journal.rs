//! Reading the journal, and the items beside it.

use domain::cause::Cause;
use domain::ids::{CustomerId, EventId, UserId};
use store::{Wanted, WebhookAudit};

use crate::table::{NOW, TABLE, Table, consume, purchase, user};

#[tokio::test]
async fn pages_of_the_journal_are_newest_first_and_miss_nothing() {
    let table = Table::new().await;
    table.done(&purchase("small", 1)).await;
    for number in 0..6 {
        table.done(&consume(number, 5)).await;
    }
    let (mut seqs, mut below) = (Vec::new(), None);
    loop {
        let page = table.store.journal(&user(), &Wanted { below, ..Wanted::default() }, 3).await.unwrap();
        assert!(page.entries.len() <= 3);
        seqs.extend(page.entries.iter().map(|entry| entry.seq));
        below = page.next;
        if below.is_none() {
            break;
        }
    }
    assert_eq!(seqs, [7, 6, 5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn a_user_without_a_history_has_an_empty_journal() {
    let page = Table::new().await.store.journal(&user(), &Wanted::default(), 10).await.unwrap();
    assert!(page.entries.is_empty() && page.next.is_none());
}

#[tokio::test]
async fn the_first_owner_of_a_customer_stays_its_owner() {
    let table = Table::new().await;
    let customer = CustomerId::parse("cus_1").unwrap();
    assert_eq!(table.store.customer_owner(&customer).await.unwrap(), None);
    table.store.point_customer(&customer, &user()).await.unwrap();
    table.store.point_customer(&customer, &UserId::parse("eve").unwrap()).await.unwrap();
    assert_eq!(table.store.customer_owner(&customer).await.unwrap(), Some(user()));
}

#[tokio::test]
async fn a_result_is_put_once() {
    let table = Table::new().await;
    let cause = consume(1, 1).cause;
    table.store.put_result(&cause, "cs_1").await.unwrap();
    table.store.put_result(&cause, "cs_2").await.unwrap();
    assert_eq!(table.store.result(&cause).await.unwrap().as_deref(), Some("cs_1"));
}

#[tokio::test]
async fn only_audit_items_expire_and_each_counts_its_tries() {
    let table = Table::new().await;
    table.done(&purchase("medium", 1)).await;
    table.done(&consume(1, 5)).await;
    table.store.put_result(&consume(1, 5).cause, "cs_1").await.unwrap();
    let audit = WebhookAudit {
        event: EventId::parse("evt_1").unwrap(),
        kind: "x".to_owned(),
        outcome: "credited",
        at: NOW,
    };
    table.store.audit(&audit).await.unwrap();
    table.store.audit(&audit).await.unwrap();
    let items = table.client.scan().table_name(TABLE).send().await.unwrap().items.unwrap();
    let expiring: Vec<_> = items.iter().filter(|item| item.contains_key(store::schema::TTL)).collect();
    assert_eq!(expiring.len(), 1);
    assert_eq!(expiring[0]["PK"].as_s().unwrap(), "W#evt_1");
    assert_eq!(expiring[0]["tries"].as_n().unwrap(), "2");
}

#[tokio::test]
async fn what_is_not_booked_yet_is_told_from_what_is_however_many_are_asked_for() {
    let table = Table::new().await;
    let causes: Vec<Cause> = (0..150).map(|number| purchase("medium", number).cause).collect();
    for number in [0, 99, 100, 149] {
        table.done(&purchase("medium", number)).await;
    }
    let unbooked = table.store.unbooked(&causes).await.unwrap();
    assert_eq!(unbooked.len(), 146);
    assert!(!unbooked.contains(&&causes[99]) && unbooked.contains(&&causes[98]));
    assert!(table.store.unbooked(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_filter_finds_what_fits_however_far_apart_it_lies() {
    let table = Table::new().await;
    table.done(&purchase("mega", 1)).await;
    for number in 0..99 {
        table.done(&consume(number, 1)).await;
        if number % 40 == 0 {
            table.done(&purchase("small", number + 2)).await;
        }
    }
    let mut wanted = Wanted { kind: Some("purchase".to_owned()), ..Wanted::default() };
    let (mut seqs, mut pages) = (Vec::new(), 0);
    loop {
        let page = table.store.journal(&user(), &wanted, 2).await.unwrap();
        seqs.extend(page.entries.iter().map(|entry| entry.seq));
        pages += 1;
        wanted.below = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seqs, [85, 44, 3, 1]);
    assert!(pages <= 3, "{pages}");
    let before = Wanted { to: Some(NOW), ..Wanted::default() };
    assert!(table.store.journal(&user(), &before, 9).await.unwrap().entries.is_empty());
    let since = Wanted { from: Some(NOW), ..Wanted::default() };
    assert_eq!(table.store.journal(&user(), &since, 9).await.unwrap().entries.len(), 9);
}
