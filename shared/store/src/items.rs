//! Stored shapes. They are their own types, so that a change of the domain never changes the table by accident;
//! golden files hold them to what was stored before.

pub mod grants;
mod payments;
mod unclaimed;

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::Account;
use domain::catalog::Allowance;
use domain::cause::Cause;
use domain::entry::{Entry, Sealed};
use domain::hash::Hash;
use domain::hold::Hold;
use domain::ids::{CustomerId, HoldId, PlanId, PriceId, SubscriptionId, UserId};
use domain::item::Interval;
use domain::item::Item as Sold;
use domain::lot::{Lot, LotId, Source};
use domain::money::{Currency, Money, Tokens};
use domain::privacy::EmailMark;
use domain::subscription::{Granted, Opening, Period, Scheduled, Seen, Status, Subscription, Terms};
use domain::time::Time;
use serde::{Deserialize, Serialize};

pub use payments::{from_attempt, from_payment, from_references, to_payment, to_record, to_references};
pub use unclaimed::{from_claim, from_unclaimed, to_unclaimed};

use crate::schema::{self, Key};

pub type Item = HashMap<String, AttributeValue>;

/// An item that does not read as what its key says it is.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadItem(pub(crate) String);

/// The format that this code writes. A newer one stops an old function instead of losing what it does not know.
const ACCOUNT_FORMAT: u32 = 4;

#[derive(Serialize, Deserialize)]
struct AccountItem {
    format: u32,
    seq: u64,
    obs: u64,
    at: Time,
    head: Hash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    subscriptions: Vec<SubscriptionTuple>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    openings: Vec<OpeningTuple>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lots: Vec<LotTuple>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holds: Vec<HoldTuple>,
    #[serde(default)]
    debt: Tokens,
    /// An older function that drops it costs one more look, so it needs no format of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claimed: Option<EmailMark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tried: Option<SubscriptionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed: Option<Time>,
}

/// When it releases itself, what it took of each lot, and what from nowhere.
type HoldTuple = (HoldId, Time, Vec<LotTuple>, Tokens);
type LotTuple = (LotId, Source, Tokens, Option<Time>, Time);
type OpeningTuple = (String, PlanId, Cause, Time);
/// What it is, how it stands, when, and what the books count for it; and what few subscriptions have, if this one does.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum SubscriptionTuple {
    More(WhatTuple, Status, WhenTuple, CountedTuple, MoreItem),
    Plain(WhatTuple, Status, WhenTuple, CountedTuple),
}

#[derive(Serialize, Deserialize)]
struct MoreItem {
    quantity: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Scheduled>,
    #[serde(default, skip_serializing_if = "Terms::is_usual")]
    terms: Terms,
}

type WhatTuple = (SubscriptionId, PlanId, String, u32, Interval, i64, Currency, Option<Allowance>);
/// Anchor, period, trial's end, when it is to be canceled, when it ended.
type WhenTuple = (Time, Time, Time, Option<Time>, Option<Time>, Option<Time>);
/// The latest period paid for; the last slot granted, and how much in it.
type CountedTuple = (Option<Period>, Option<Granted>);

pub fn from_account(account: &Account) -> Item {
    let opening = |opening: &Opening| {
        (opening.group.clone(), opening.plan.clone(), opening.cause.clone(), opening.until)
    };
    let item = AccountItem {
        format: format_of(account),
        seq: account.seq,
        obs: account.obs,
        at: account.at,
        head: account.head,
        customer: account.customer.clone(),
        subscriptions: account.subscriptions.iter().map(from_subscription).collect(),
        openings: account.openings.iter().map(opening).collect(),
        lots: account.lots.iter().map(from_lot).collect(),
        holds: account.holds.iter().map(from_hold).collect(),
        debt: account.debt,
        claimed: account.claimed.clone(),
        tried: account.tried.clone(),
        closed: account.closed,
    };
    keyed(schema::account(&account.user), &item)
}

pub fn to_account(user: UserId, item: Item) -> Result<Account, BadItem> {
    let stored: AccountItem = read("account", item)?;
    if stored.format > ACCOUNT_FORMAT {
        let format = stored.format;
        return Err(BadItem(format!(
            "a newer Tollgate wrote this account (format {format}); finish the deployment"
        )));
    }
    let openings =
        stored.openings.into_iter().map(|(group, plan, cause, until)| Opening { group, plan, cause, until });
    Ok(Account {
        user,
        seq: stored.seq,
        obs: stored.obs,
        at: stored.at,
        head: stored.head,
        customer: stored.customer,
        subscriptions: stored.subscriptions.into_iter().map(to_subscription).collect(),
        openings: openings.collect(),
        lots: stored.lots.into_iter().map(to_lot).collect(),
        holds: stored.holds.into_iter().map(to_hold).collect(),
        debt: stored.debt,
        claimed: stored.claimed,
        tried: stored.tried,
        closed: stored.closed,
    })
}

/// The oldest that can say it all, so that functions of two deployments may run side by side.
fn format_of(account: &Account) -> u32 {
    let plain = account.subscriptions.is_empty() && account.openings.is_empty() && account.holds.is_empty();
    let unusual = account.subscriptions.iter().any(|held| more(&held.seen).is_some());
    match () {
        () if unusual || account.tried.is_some() => ACCOUNT_FORMAT,
        () if account.closed.is_some() => 3,
        () if plain => 1,
        () => 2,
    }
}

fn from_lot(lot: &Lot) -> LotTuple {
    (lot.id.clone(), lot.source, lot.remaining, lot.expires_at, lot.opened_at)
}

fn to_lot((id, source, remaining, expires_at, opened_at): LotTuple) -> Lot {
    Lot { id, source, remaining, expires_at, opened_at }
}

fn from_hold(hold: &Hold) -> HoldTuple {
    (hold.id.clone(), hold.expires_at, hold.parts.iter().map(from_lot).collect(), hold.unlimited)
}

fn to_hold((id, expires_at, parts, unlimited): HoldTuple) -> Hold {
    Hold { id, expires_at, parts: parts.into_iter().map(to_lot).collect(), unlimited }
}

fn from_subscription(held: &Subscription) -> SubscriptionTuple {
    let seen = held.seen.clone();
    let (amount, currency) = (seen.price.amount_minor, seen.price.currency);
    let more = more(&seen);
    let what =
        (seen.id, seen.plan, seen.group, seen.catalog, seen.interval, amount, currency, seen.allowance);
    let when =
        (seen.anchor, seen.period_start, seen.period_end, seen.trial_end, seen.cancel_at, seen.ended_at);
    let counted = (held.paid, held.granted);
    match more {
        Some(more) => SubscriptionTuple::More(what, seen.status, when, counted, more),
        None => SubscriptionTuple::Plain(what, seen.status, when, counted),
    }
}

fn more(seen: &Seen) -> Option<MoreItem> {
    let Seen { quantity, next, terms, .. } = seen;
    let is_plain = *quantity == 1 && next.is_none() && terms.is_usual();
    (!is_plain).then(|| MoreItem { quantity: *quantity, next: next.clone(), terms: *terms })
}

fn to_subscription(stored: SubscriptionTuple) -> Subscription {
    let usual = MoreItem { quantity: 1, next: None, terms: Terms::default() };
    let (what, status, when, counted, MoreItem { quantity, next, terms }) = match stored {
        SubscriptionTuple::More(what, status, when, counted, more) => (what, status, when, counted, more),
        SubscriptionTuple::Plain(what, status, when, counted) => (what, status, when, counted, usual),
    };
    let (id, plan, group, catalog, interval, amount_minor, currency, allowance) = what;
    let (anchor, period_start, period_end, trial_end, cancel_at, ended_at) = when;
    let (paid, granted) = counted;
    let seen = Seen {
        id,
        plan,
        group,
        catalog,
        interval,
        price: Money { amount_minor, currency },
        status,
        anchor,
        period_start,
        period_end,
        trial_end,
        cancel_at,
        ended_at,
        allowance,
        quantity,
        next,
        terms,
    };
    Subscription { seen, paid, granted }
}

/// The body is what is hashed; the readable attributes beside it repeat it for people and filters.
#[derive(Serialize, Deserialize)]
struct EntryItem {
    user: UserId,
    seq: u64,
    at: Time,
    kind: String,
    available: Tokens,
    prev: Hash,
    hash: Hash,
    body: String,
}

pub fn from_entry(sealed: &Sealed) -> Item {
    let entry = &sealed.entry;
    let item = EntryItem {
        user: entry.user.clone(),
        seq: entry.seq,
        at: entry.at,
        kind: entry.detail.kind().to_owned(),
        available: entry.after.available,
        prev: sealed.prev,
        hash: sealed.hash,
        body: sealed.body.clone(),
    };
    let index = schema::journal(&entry.user, entry.seq);
    let item = keyed(schema::entry(&entry.cause), &item);
    indexed(item, (schema::GSI1_PK, schema::GSI1_SK), index)
}

pub fn to_entry(item: Item) -> Result<Entry, BadItem> {
    let stored: EntryItem = read("entry", item)?;
    Entry::parse(&stored.body)
        .map_err(|error| BadItem(format!("entry {} of {}: {error}", stored.seq, stored.user)))
}

#[derive(Serialize, Deserialize)]
struct CustomerItem {
    user: UserId,
}

pub fn from_customer(customer: &CustomerId, user: &UserId) -> Item {
    keyed(schema::customer(customer), &CustomerItem { user: user.clone() })
}

pub fn to_customer_owner(item: Item) -> Result<UserId, BadItem> {
    read("customer pointer", item).map(|CustomerItem { user }| user)
}

/// The id of what Stripe made for a cause.
#[derive(Serialize, Deserialize)]
struct ResultItem {
    id: String,
}

pub fn from_result(key: Key, id: &str) -> Item {
    keyed(key, &ResultItem { id: id.to_owned() })
}

pub fn to_result(item: Item) -> Result<String, BadItem> {
    read("result", item).map(|ResultItem { id }| id)
}

#[derive(Serialize, Deserialize)]
pub struct HeadItem {
    pub version: u32,
}

/// A published catalog as its author wrote it, with what stands for it in Stripe.
#[derive(Serialize, Deserialize)]
pub struct CatalogItem {
    pub text: String,
    pub prices: BTreeMap<String, PriceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal: Option<String>,
    pub at: Time,
}

impl CatalogItem {
    /// Whether it is the same publication, whenever that was.
    pub fn says_the_same(&self, other: &CatalogItem) -> bool {
        (&self.text, &self.prices, &self.portal) == (&other.text, &other.prices, &other.portal)
    }
}

/// What a Stripe price sells. Never rewritten.
#[derive(Serialize, Deserialize)]
pub struct PriceItem {
    pub item: Sold,
    pub currency: Currency,
    pub since: u32,
}

pub fn read<T: for<'a> Deserialize<'a>>(what: &str, item: Item) -> Result<T, BadItem> {
    serde_dynamo::from_item(item).map_err(|error| BadItem(format!("a stored {what} does not parse: {error}")))
}

pub fn keyed(key: Key, item: &impl Serialize) -> Item {
    let mut item: Item = serde_dynamo::to_item(item).expect("a stored shape is a struct with string names");
    item.insert(schema::PK.to_owned(), AttributeValue::S(key.pk));
    item.insert(schema::SK.to_owned(), AttributeValue::S(key.sk));
    item
}

fn indexed(mut item: Item, (pk, sk): (&str, &str), key: Key) -> Item {
    item.insert(pk.to_owned(), AttributeValue::S(key.pk));
    item.insert(sk.to_owned(), AttributeValue::S(key.sk));
    item
}
