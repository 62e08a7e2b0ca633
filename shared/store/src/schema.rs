//! The table: every item and every key, in one place. No other file formats a key.
//!
//! | item             | PK             | SK          | index                                             |
//! |------------------|----------------|-------------|---------------------------------------------------|
//! | Account          | `U#<user>`     | `A`         |                                                   |
//! | Payment          | `U#<user>`     | `P#<pi>`    | GSI2 `PAY#<status>#<yyyy-mm>#<shard>` / time      |
//! | Note             | `U#<user>`     | `N#<fp>`    | (erasable; `fp` is its cause's fingerprint)       |
//! | Email link       | `U#<user>`     | `M#<v>:<hmac>` | (erasable; to the email's pointer)             |
//! | Customer link    | `U#<user>`     | `C#<cus_…>` | (erasable; to the customer's pointer)             |
//! | Entry            | `E#<cause>`    | `E`         | GSI1 `U#<user>` / zero-padded seq                 |
//! | Result           | `E#<cause>`    | `R`         |                                                   |
//! | Promise          | `E#<cause>`    | `G`         | (of a grant that was left to wait)                |
//! | Customer pointer | `C#<cus_…>`    | `P`         |                                                   |
//! | Email pointer    | `M#<v>:<hmac>` | `P`         | (erasable)                                        |
//! | Waiting grant    | `M#<v>:<hmac>` | `G#<fp>`    | (erasable)                                        |
//! | Operator's day   | `O#<operator>` | `D#<date>`  |                                                   |
//! | Bulk job         | `J#<job>`      | `J`         | (erasable, as are its rows)                       |
//! | Bulk progress    | `J#<job>`      | `P`         |                                                   |
//! | Bulk rows        | `J#<job>`      | `R#<fp>#<n>`| (`fp` is of the request)                          |
//! | Trial            | `T#<mark>`     | `T`         | (whose it was, by a keyed email or a card)        |
//! | Unclaimed        | `Z#<object>`   | `Z`         | GSI2 `UNCLAIMED#<shard>` / time                   |
//! | Webhook audit    | `W#<evt_…>`    | `W`         | (expires by `ttl`)                                |
//! | Catalog head     | `K`            | `HEAD`      |                                                   |
//! | Catalog version  | `K`            | `V#<n>`     |                                                   |
//! | Price binding    | `K`            | `P#<price>` |                                                   |
//!
//! Causes, each the key of one entry for ever:
//!
//! | cause                          | the fact                                     |
//! |--------------------------------|----------------------------------------------|
//! | `pay:<pi_…>` (or `pay:<cs_…>`) | money arrived (a free session has no intent) |
//! | `inv:<in_…>`                   | an invoice of a subscription was paid        |
//! | `rev:<payment>:<n>`            | more or less of a payment is reversed        |
//! | `hold:<id>:end`                | a hold was captured or released              |
//! | `bulk:<job>:<subject>`         | one of many that an operator gave to         |
//! | `req:<user>:<operation>:<key>` | a client asked, with its `Idempotency-Key`   |
//! | `obs:<user>:<seq>`             | Stripe was looked at, and something was new  |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::cause::{Cause, escaped, unescaped};
use domain::ids::{CustomerId, EventId, JobId, PaymentId, PriceId, UserId};
use domain::payment::PaymentStatus;
use domain::privacy::KeyedHash;
use domain::request::RequestHash;
use domain::time::Time;
use domain::trial::TrialMark;

pub const PK: &str = "PK";
pub const SK: &str = "SK";
/// One user's journal, in order. Projects everything.
pub const GSI1: &str = "GSI1";
pub const GSI1_PK: &str = "GSI1PK";
pub const GSI1_SK: &str = "GSI1SK";
/// What falls due, and what operators search. Sparse; projects keys only.
pub const GSI2: &str = "GSI2";
pub const GSI2_PK: &str = "GSI2PK";
pub const GSI2_SK: &str = "GSI2SK";
/// Only audit items carry it; nothing about money ever expires from the table.
pub const TTL: &str = "ttl";

/// Spreads an index partition. Fixed for ever: readers ask every shard.
pub const SHARDS: u32 = 4;

/// A primary key, or a key of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub pk: String,
    pub sk: String,
}

pub fn account(user: &UserId) -> Key {
    key(partition_of(user), "A")
}

pub fn payment(user: &UserId, payment: &PaymentId) -> Key {
    key(partition_of(user), format!("{PAYMENTS}{payment}"))
}

/// Whose payment an item is, and which.
pub fn payment_of(key: &HashMap<String, AttributeValue>) -> Option<(UserId, PaymentId)> {
    let (pk, sk) = (key.get(PK)?.as_s().ok()?, key.get(SK)?.as_s().ok()?);
    let user = unescaped(pk.strip_prefix("U#")?).ok()?;
    Some((UserId::parse(user).ok()?, PaymentId::parse(sk.strip_prefix(PAYMENTS)?).ok()?))
}

/// What the sort keys of payments begin with.
pub const PAYMENTS: &str = "P#";

/// Where a payment is found by status and month.
pub fn payment_search(status: PaymentStatus, payment: &PaymentId, at: Time) -> Key {
    key(payments_filed(status, &at.month(), shard_of(payment.as_str())), instant(at))
}

/// One shard of a month's payments of one status.
pub fn payments_filed(status: PaymentStatus, month: &str, shard: u32) -> String {
    format!("PAY#{}#{month}#{shard}", status.name())
}

pub fn entry(cause: &Cause) -> Key {
    key(format!("E#{cause}"), "E")
}

/// An entry's place in its user's journal.
pub fn journal(user: &UserId, seq: u64) -> Key {
    key(partition_of(user), journal_position(seq))
}

/// Sixteen digits hold every seq up to 2^53 − 1 and sort as numbers do.
pub fn journal_position(seq: u64) -> String {
    format!("{seq:016}")
}

/// The seq that an index key of the journal names.
pub fn seq_of(key: &HashMap<String, AttributeValue>) -> Option<u64> {
    key.get(GSI1_SK)?.as_s().ok()?.parse().ok()
}

/// Sorts after every position.
pub const JOURNAL_END: &str = "~";

pub fn result(cause: &Cause) -> Key {
    key(format!("E#{cause}"), "R")
}

/// That a grant was left to wait: what asked for it, so that a retry is told the same.
pub fn promise(cause: &Cause) -> Key {
    key(format!("E#{cause}"), "G")
}

/// Words about an entry, which go when their user goes.
pub fn note(user: &UserId, cause: &Cause) -> Key {
    key(partition_of(user), format!("{NOTES}{}", cause.fingerprint()))
}

/// What the sort keys of notes begin with.
pub const NOTES: &str = "N#";

/// From a user to the pointer of an email of theirs, so that it is found when they are erased.
pub fn email_link(user: &UserId, hash: &KeyedHash) -> Key {
    key(partition_of(user), format!("{EMAILS}{hash}"))
}

/// What the sort keys of links to emails begin with.
pub const EMAILS: &str = "M#";

/// From a user to the pointer of a Stripe customer of theirs.
pub fn customer_link(user: &UserId, customer: &CustomerId) -> Key {
    key(partition_of(user), format!("{CUSTOMERS}{customer}"))
}

/// The customer that a link leads to.
pub fn linked_customer(key: &HashMap<String, AttributeValue>) -> Option<CustomerId> {
    CustomerId::parse(key.get(SK)?.as_s().ok()?.strip_prefix(CUSTOMERS)?).ok()
}

/// What the sort keys of links to customers begin with.
pub const CUSTOMERS: &str = "C#";

pub fn email(hash: &KeyedHash) -> Key {
    key(format!("M#{hash}"), "P")
}

pub fn waiting(hash: &KeyedHash, cause: &Cause) -> Key {
    key(format!("M#{hash}"), format!("{WAITING}{}", cause.fingerprint()))
}

/// What the sort keys of grants that wait begin with.
pub const WAITING: &str = "G#";

/// What an operator gave on one day of UTC.
pub fn operator_day(operator: &UserId, at: Time) -> Key {
    key(format!("O#{}", escaped(operator.as_str())), format!("D#{}", &at.rfc3339()[..10]))
}

pub fn job(job: &JobId) -> Key {
    key(format!("J#{job}"), "J")
}

pub fn job_progress(job: &JobId) -> Key {
    key(format!("J#{job}"), "P")
}

/// The request is in it: rows that were written for one that another came before of must not be taken for its own.
pub fn job_rows(job: &JobId, request: &RequestHash, chunk: u32) -> Key {
    key(format!("J#{job}"), format!("R#{}#{chunk:04}", request.as_str()))
}

pub fn customer(customer: &CustomerId) -> Key {
    key(format!("C#{customer}"), "P")
}

pub fn trial(mark: &TrialMark) -> Key {
    key(format!("T#{mark}"), "T")
}

pub fn unclaimed(object: &str) -> Key {
    key(format!("Z#{}", escaped(object)), "Z")
}

/// Where operators find what nobody owns.
pub fn unclaimed_search(object: &str, at: Time) -> Key {
    key(unclaimed_filed(shard_of(object)), instant(at))
}

/// One shard of what nobody owns.
pub fn unclaimed_filed(shard: u32) -> String {
    format!("UNCLAIMED#{shard}")
}

/// What an unclaimed record is of.
pub fn unclaimed_of(key: &HashMap<String, AttributeValue>) -> Option<String> {
    unescaped(key.get(PK)?.as_s().ok()?.strip_prefix("Z#")?).ok()
}

pub fn audit(event: &EventId) -> Key {
    key(format!("W#{event}"), "W")
}

pub fn catalog_head() -> Key {
    key("K", "HEAD")
}

pub fn catalog_version(version: u32) -> Key {
    key("K", format!("V#{version}"))
}

pub fn price(price: &PriceId) -> Key {
    key("K", format!("P#{price}"))
}

/// The partition that holds a user's items, and that names their journal in GSI1.
pub fn partition_of(user: &UserId) -> String {
    format!("U#{}", escaped(user.as_str()))
}

fn shard_of(id: &str) -> u32 {
    id.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % SHARDS
}

/// Sixteen digits sort as times do.
pub fn instant(at: Time) -> String {
    format!("{:016}", at.millis())
}

/// The time that a key of the search index names.
pub fn instant_of(key: &HashMap<String, AttributeValue>) -> Option<Time> {
    key.get(GSI2_SK)?.as_s().ok()?.parse().ok().map(Time::from_millis)
}

fn key(pk: impl Into<String>, sk: impl Into<String>) -> Key {
    Key { pk: pk.into(), sk: sk.into() }
}

#[cfg(test)]
mod tests {
    use domain::cause::{Operation, Subject};
    use domain::ids::{HoldId, InvoiceId, RequestKey};

    use super::*;

    /// One of every kind.
    fn keys() -> Vec<Key> {
        let user = UserId::parse("auth0|a#b").unwrap();
        let pi = PaymentId::parse("pi_1").unwrap();
        let at = Time::parse_rfc3339("2026-09-30T12:00:00Z").unwrap();
        let key = RequestKey::parse("k:1").unwrap();
        let request = Cause::Request { user: user.clone(), operation: Operation::Consume, key };
        let job_id = JobId::parse("job_1").unwrap();
        let hash: KeyedHash = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse().unwrap();
        vec![
            account(&user),
            payment(&user, &pi),
            payment_search(PaymentStatus::Completed, &pi, at),
            entry(&Cause::Payment(pi.clone())),
            entry(&request),
            entry(&Cause::Invoice(InvoiceId::parse("in_1").unwrap())),
            entry(&Cause::Reversal { payment: pi.clone(), number: 2 }),
            entry(&Cause::HoldEnd(HoldId::parse("hold_1").unwrap())),
            entry(&Cause::Seen { user: user.clone(), seq: 7 }),
            entry(&Cause::Bulk { job: job_id.clone(), subject: Subject::User(user.clone()) }),
            entry(&Cause::Bulk { job: job_id.clone(), subject: Subject::Email(hash) }),
            journal(&user, 7),
            result(&request),
            promise(&request),
            note(&user, &request),
            email_link(&user, &hash),
            customer_link(&user, &CustomerId::parse("cus_1").unwrap()),
            email(&hash),
            waiting(&hash, &request),
            operator_day(&user, at),
            job(&job_id),
            job_progress(&job_id),
            job_rows(&job_id, &RequestHash::of(Operation::Grant, &[], &serde_json::json!({})), 7),
            customer(&CustomerId::parse("cus_1").unwrap()),
            trial(&TrialMark::email(&hash)),
            trial(&TrialMark::card("fingerprint")),
            unclaimed("cs_1"),
            unclaimed_search("cs_1", at),
            audit(&EventId::parse("evt_1").unwrap()),
            catalog_head(),
            catalog_version(3),
            price(&PriceId::parse("price_1").unwrap()),
        ]
    }

    #[test]
    fn every_key_is_rendered_as_it_was_the_day_it_was_first_stored() {
        let keys = keys();
        let rendered: Vec<String> = keys.iter().map(|key| format!("{} / {}", key.pk, key.sk)).collect();
        assert_eq!(
            rendered,
            [
                "U#auth0|a%23b / A",
                "U#auth0|a%23b / P#pi_1",
                "PAY#completed#2026-09#3 / 0001790769600000",
                "E#pay:pi_1 / E",
                "E#req:auth0|a%23b:consume:k%3A1 / E",
                "E#inv:in_1 / E",
                "E#rev:pi_1:2 / E",
                "E#hold:hold_1:end / E",
                "E#obs:auth0|a%23b:7 / E",
                "E#bulk:job_1:user:auth0|a%23b / E",
                "E#bulk:job_1:email:1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 / E",
                "U#auth0|a%23b / 0000000000000007",
                "E#req:auth0|a%23b:consume:k%3A1 / R",
                "E#req:auth0|a%23b:consume:k%3A1 / G",
                "U#auth0|a%23b / N#D0Ke2EQDPj66A-l-rndVwB3OyuRuFl3gffFdkDmGryY",
                "U#auth0|a%23b / M#1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
                "U#auth0|a%23b / C#cus_1",
                "M#1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 / P",
                "M#1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 / G#D0Ke2EQDPj66A-l-rndVwB3OyuRuFl3gffFdkDmGryY",
                "O#auth0|a%23b / D#2026-09-30",
                "J#job_1 / J",
                "J#job_1 / P",
                "J#job_1 / R#J6wcOaCPFUuTxGt-TUg_BBn6MB11km3i0g9mI0w7CNQ#0007",
                "C#cus_1 / P",
                "T#email:1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 / T",
                "T#card:RIY7A-mQm3EA4FsCUmkJo0b9dFUYP2YZ4P5hmMiZgeA / T",
                "Z#cs_1 / Z",
                "UNCLAIMED#2 / 0001790769600000",
                "W#evt_1 / W",
                "K / HEAD",
                "K / V#3",
                "K / P#price_1",
            ]
        );
    }
}
