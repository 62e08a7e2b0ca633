//! The ledger's items as they were at one moment: kept, put back, and read for what they mean.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use domain::account::Account;
use domain::entry::{Detail, Entry};
use domain::hash::Hash;
use domain::ids::UserId;
use domain::money::Tokens;
use domain::posting::Place;
use store::Read;

use crate::world::{TABLE, World};

type Item = HashMap<String, AttributeValue>;

/// All but the catalog, which stays, and what is only looked at: webhook audits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Image(BTreeMap<(String, String), Item>);

/// What the books of a user say, line by line: all that the order of events must not decide. How often Stripe was
/// looked at, and in how many entries what it said was told, do not belong to it.
#[derive(Debug, Clone)]
pub struct Meaning {
    whole: Vec<String>,
    /// Without saying which lots paid a debt: the next credit does, whichever that is.
    net: Vec<String>,
    has_owed: bool,
}

/// They say how often somebody looked, who told of it first, and whether that was the page of its checkout.
const BY_CHANCE: [&str; 3] = ["looks", "event", "checkout"];

impl World {
    pub async fn image(&self) -> Image {
        let scan = self.table.scan().table_name(TABLE).consistent_read(true);
        let scan = scan.filter_expression("PK <> :catalog AND NOT begins_with(PK, :audits)");
        let scan = scan.expression_attribute_values(":catalog", text("K"));
        let found = scan.expression_attribute_values(":audits", text("W#")).send().await.unwrap();
        assert!(found.last_evaluated_key.is_none(), "more than a page");
        Image(found.items.unwrap_or_default().into_iter().map(|item| (key(&item), item)).collect())
    }

    /// Makes the table what it was, given what it is.
    pub async fn put_back(&self, was: &Image, is: &Image) {
        let gone = is.0.keys().filter(|key| !was.0.contains_key(key)).map(|(pk, sk)| {
            let delete = Delete::builder().table_name(TABLE).key("PK", text(pk)).key("SK", text(sk));
            TransactWriteItem::builder().delete(delete.build().unwrap()).build()
        });
        let changed = was.0.iter().filter(|(key, item)| is.0.get(*key) != Some(*item)).map(|(_, item)| {
            let put = Put::builder().table_name(TABLE).set_item(Some(item.clone()));
            TransactWriteItem::builder().put(put.build().unwrap()).build()
        });
        let writes: Vec<_> = gone.chain(changed).collect();
        for some in writes.chunks(100) {
            let write = self.table.transact_write_items().set_transact_items(Some(some.to_vec()));
            write.send().await.unwrap();
        }
    }

    /// What the table means, of which this is the image.
    pub async fn meaning(&self, user: &UserId, image: &Image) -> Meaning {
        let account = self.store.account(user, Read::Consistent).await.unwrap();
        let account = Account { seq: 0, obs: 0, head: Hash::START, ..account };
        let entries = image.entries();
        let facts: BTreeSet<_> = entries.iter().filter_map(fact).collect();
        let beside = image.0.iter().filter_map(|(key, item)| beside_the_books(key, item));
        let common: Vec<String> = facts.into_iter().chain(beside).collect();
        let (totals, balances) = (totals(&entries), account.balances());
        let net = i128::from(balances.available.get()) - i128::from(balances.debt.get());
        let bare = Account { lots: Vec::new(), debt: Tokens::ZERO, ..account.clone() };
        let moved = || totals.iter().filter(|total| total.tokens != 0);
        Meaning {
            whole: said(&account, common.iter().cloned().chain(moved().map(Total::to_string))),
            net: said(
                &bare,
                common
                    .iter()
                    .cloned()
                    .chain([format!("{net} in all")])
                    .chain(moved().filter(|total| total.is_outside()).map(Total::to_string)),
            ),
            has_owed: totals.iter().any(|total| total.place == Place::Debt),
        }
    }
}

fn said(account: &Account, more: impl Iterator<Item = String>) -> Vec<String> {
    format!("{account:#?}").lines().map(str::to_owned).chain(more).collect()
}

impl Image {
    fn entries(&self) -> Vec<Entry> {
        let entries = self.0.iter().filter(|((pk, sk), _)| pk.starts_with("E#") && sk == "E");
        entries.map(|(_, item)| Entry::parse(item["body"].as_s().unwrap()).unwrap()).collect()
    }
}

impl Meaning {
    /// The lines in which two differ; none if they mean the same.
    pub fn differs(&self, other: &Meaning) -> String {
        let (one, other) = match self.has_owed || other.has_owed {
            true => (&self.net, &other.net),
            false => (&self.whole, &other.whole),
        };
        let only = |one: &[String], two: &[String], sign: &str| -> String {
            let lines = one.iter().filter(|line| !two.contains(line));
            lines.map(|line| format!("  {sign} {line}\n")).collect()
        };
        match one == other {
            true => String::new(),
            false => format!("differently:\n{}{}", only(one, other, "-"), only(other, one, "+")),
        }
    }
}

/// What one kind of entry, or time, moved into a place, less what it moved out of it.
struct Total {
    kind: &'static str,
    place: Place,
    tokens: i64,
}

impl Total {
    /// Nothing comes back from there by itself.
    fn is_outside(&self) -> bool {
        !matches!(self.place, Place::Lot | Place::Debt)
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} moved {} to {}", self.kind, self.tokens, self.place.name())
    }
}

fn totals(entries: &[Entry]) -> Vec<Total> {
    let mut totals: BTreeMap<_, (Place, i64)> = BTreeMap::new();
    for entry in entries {
        for posting in &entry.postings {
            // Whichever entry comes next writes down what time has done, a look among them.
            let is_by_time = posting.at.is_some() || matches!(entry.detail, Detail::Subscription { .. });
            let kind = if is_by_time { "time" } else { entry.detail.kind() };
            let amount = i64::try_from(posting.amount.get()).unwrap();
            for (place, amount) in [(posting.from, -amount), (posting.to, amount)] {
                let total = totals.entry((kind, place.name())).or_insert((place, 0));
                total.1 += amount;
            }
        }
    }
    totals.into_iter().map(|((kind, _), (place, tokens))| Total { kind, place, tokens }).collect()
}

/// What an entry tells once and for ever. Each look that was news has one of its own, and they differ in number.
fn fact(entry: &Entry) -> Option<String> {
    let is_a_look = matches!(entry.detail, Detail::Subscription { .. });
    (!is_a_look).then(|| format!("{} {:?} {:?}", entry.cause, entry.detail, entry.request))
}

fn beside_the_books((pk, sk): &(String, String), item: &Item) -> Option<String> {
    if sk == "A" || sk == "E" {
        return None;
    }
    let kept: BTreeMap<_, _> = item.iter().filter(|(name, _)| !BY_CHANCE.contains(&name.as_str())).collect();
    Some(format!("{pk} {sk} {kept:?}"))
}

fn key(item: &Item) -> (String, String) {
    (item["PK"].as_s().unwrap().clone(), item["SK"].as_s().unwrap().clone())
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}
