//! What nobody owns: kept once, listed newest first, claimed once.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::UserId;
use domain::time::Time;
use serde_json::Value;
use store::items::{self, Item};
use store::{Claim, Unclaimed, UnclaimedCursor, schema};

use crate::golden::{plain, stored};
use crate::table::{NOW, TABLE, Table, user};

const OPEN: &str = include_str!("../golden/unclaimed.1.json");
const CLAIMED: &str = include_str!("../golden/unclaimed.claimed.1.json");

fn unclaimed(object: &str, at: Time) -> Unclaimed {
    let (object, event, reason) = (object.to_owned(), "evt_1".to_owned(), "no owner".to_owned());
    Unclaimed { object, event, reason, at }
}

fn claim() -> Claim {
    Claim { user: user(), operator: UserId::parse("grace").unwrap(), at: NOW.plus_ms(60_000) }
}

impl Table {
    async fn keep(&self, object: &str, at: Time) -> bool {
        self.store.put_unclaimed(&unclaimed(object, at)).await.unwrap()
    }

    async fn kept(&self, object: &str) -> Item {
        let key = schema::unclaimed(object);
        let get = self.client.get_item().table_name(TABLE).consistent_read(true);
        let get = get.key("PK", AttributeValue::S(key.pk)).key("SK", AttributeValue::S(key.sk));
        get.send().await.unwrap().item.unwrap()
    }

    /// The whole list, read page by page.
    async fn listed(&self, limit: u16) -> Vec<String> {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.unclaimed_after(after.as_ref(), limit).await.unwrap();
            assert!(page.unclaimed.len() <= usize::from(limit));
            listed.extend(page.unclaimed.into_iter().map(|record| record.object));
            after = page.next;
            if after.is_none() {
                return listed;
            }
        }
    }
}

#[tokio::test]
async fn what_is_unclaimed_is_kept_once_and_as_it_was_first_told() {
    let table = Table::new().await;
    assert!(table.keep("pi_1", NOW).await);
    assert!(!table.keep("pi_1", NOW.plus_ms(1)).await);
    assert_eq!(table.store.unclaimed("pi_1").await.unwrap(), Some((unclaimed("pi_1", NOW), None)));
    assert_eq!(table.store.unclaimed("pi_2").await.unwrap(), None);
}

#[tokio::test]
async fn the_list_is_newest_first_and_misses_none_however_it_is_paged() {
    let table = Table::new().await;
    let mut expected = Vec::new();
    for number in 0..23_i64 {
        let object = format!("pi_{number:02}");
        // Three of each millisecond.
        let at = NOW.plus_ms(number / 3);
        assert!(table.keep(&object, at).await);
        expected.push((at, object));
    }
    expected.sort();
    expected.reverse();
    let expected: Vec<_> = expected.into_iter().map(|(_, object)| object).collect();
    for limit in [1, 2, 7, 23, 100] {
        assert_eq!(table.listed(limit).await, expected, "{limit} at once");
    }
}

#[tokio::test]
async fn what_is_claimed_leaves_the_list_and_says_whom_it_went_to() {
    let table = Table::new().await;
    table.keep("pi_1", NOW).await;
    table.keep("sub_1", NOW).await;
    table.store.claim_object("pi_1", &claim()).await.unwrap();
    assert_eq!(table.listed(10).await, ["sub_1"]);
    let later = Claim { operator: UserId::parse("later").unwrap(), ..claim() };
    table.store.claim_object("pi_1", &later).await.unwrap();
    let kept = table.store.unclaimed("pi_1").await.unwrap();
    assert_eq!(kept, Some((unclaimed("pi_1", NOW), Some(claim()))), "the first claim stays");
    let elses = Claim { user: UserId::parse("eve").unwrap(), ..later };
    table.store.claim_object("pi_1", &elses).await.unwrap();
    assert_eq!(table.store.unclaimed("pi_1").await.unwrap().unwrap().1, Some(elses));
    table.store.claim_object("pi_2", &claim()).await.unwrap();
    assert_eq!(table.store.unclaimed("pi_2").await.unwrap(), None, "a claim alone is nothing");
}

#[tokio::test]
async fn what_went_back_leaves_the_list_and_returns_should_it_be_nobodys_again() {
    let table = Table::new().await;
    table.keep("pi_1", NOW).await;
    table.store.unlist("pi_1").await.unwrap();
    assert_eq!(table.listed(10).await, [""; 0]);
    assert_eq!(table.store.unclaimed("pi_1").await.unwrap(), Some((unclaimed("pi_1", NOW), None)));
    assert!(table.keep("pi_1", NOW.plus_ms(1)).await);
    assert_eq!(table.listed(10).await, ["pi_1"]);
    table.store.unlist("pi_2").await.unwrap();
    assert_eq!(table.store.unclaimed("pi_2").await.unwrap(), None, "nothing is made of nothing");
}

#[tokio::test]
async fn what_is_nobodys_again_is_listed_again_beside_its_earlier_claim() {
    let table = Table::new().await;
    table.keep("sub_1", NOW).await;
    table.store.claim_object("sub_1", &claim()).await.unwrap();
    let again = NOW.plus_ms(120_000);
    assert!(table.keep("sub_1", again).await);
    assert!(!table.keep("sub_1", again).await);
    assert_eq!(table.listed(10).await, ["sub_1"]);
    let kept = table.store.unclaimed("sub_1").await.unwrap();
    assert_eq!(kept, Some((unclaimed("sub_1", again), Some(claim()))));
}

#[tokio::test]
async fn records_are_stored_as_they_always_were_and_read_as_what_they_meant() {
    let table = Table::new().await;
    for (golden, expected) in [(OPEN, None), (CLAIMED, Some(claim()))] {
        match &expected {
            None => assert!(table.keep("pi_3QabcdefGhijklmn", NOW).await),
            Some(claim) => table.store.claim_object("pi_3QabcdefGhijklmn", claim).await.unwrap(),
        }
        let item = plain(&AttributeValue::M(table.kept("pi_3QabcdefGhijklmn").await));
        assert_eq!(item, serde_json::from_str::<Value>(golden).unwrap(), "{item:#}");
        let read = items::to_unclaimed(stored(golden)).unwrap();
        assert_eq!(read, (unclaimed("pi_3QabcdefGhijklmn", NOW), expected));
    }
}

#[test]
fn a_place_in_the_list_reads_as_it_is_written() {
    for text in ["1790000000000:pi_1", "1790000000000:odd:id"] {
        let cursor = text.parse::<UnclaimedCursor>().unwrap();
        assert_eq!(cursor.to_string(), text);
    }
    for wrong in ["", "pi_1", "now:pi_1", "1e3:pi_1"] {
        assert!(wrong.parse::<UnclaimedCursor>().is_err(), "{wrong:?}");
    }
}
