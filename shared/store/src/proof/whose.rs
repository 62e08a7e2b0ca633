//! Whose books an item belongs to, also where a part of it is damaged.

use domain::cause::unescaped;
use domain::entry::{Detail, Entry};
use domain::ids::PaymentId;

use super::books::seq_of;
use crate::items::Item;
use crate::schema;

/// What of a user's books an item is, whatever its key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Entry,
    Account,
    Payment,
}

/// Where an item belongs, as far as it says so. An item that says of nobody has an empty user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    pub kind: Kind,
    pub user: String,
    /// Of an entry.
    pub seq: u64,
}

/// `None` where it belongs to no user's books.
pub fn whose(item: &Item) -> Option<Whose> {
    let (pk, sk) = (text(item, schema::PK).unwrap_or_default(), text(item, schema::SK).unwrap_or_default());
    if (pk.starts_with("E#") && sk == "E") || item.contains_key("body") {
        return Some(entry(item));
    }
    let kind = match sk {
        "A" => Kind::Account,
        _ if pk.starts_with("U#") && sk.starts_with(schema::PAYMENTS) => Kind::Payment,
        _ if item.contains_key("head") => Kind::Account,
        _ if item.contains_key("funded") => Kind::Payment,
        _ => return None,
    };
    Some(Whose { kind, user: owner(pk).unwrap_or_default(), seq: 0 })
}

/// The payments that an entry tells of.
pub fn payments_told(entry: &Entry) -> Vec<PaymentId> {
    match &entry.detail {
        Detail::Purchase { .. } => entry.cause.payment().into_iter().cloned().collect(),
        Detail::Invoice { payments, .. } => payments.iter().map(|(payment, _)| payment.clone()).collect(),
        Detail::Reversal { payment, .. } => vec![payment.clone()],
        _ => Vec::new(),
    }
}

/// An entry says three times whose it is and where it stands. What it says twice is believed.
fn entry(item: &Item) -> Whose {
    let user = (text(item, "user").map(str::to_owned), text(item, schema::GSI1_PK).and_then(owner));
    let seq = (seq_of(item), schema::seq_of(item));
    let body = match said_twice(&user) && said_twice(&seq) {
        true => None,
        false => text(item, "body").and_then(|body| Entry::parse(body).ok()),
    };
    let user = most_said(user, body.as_ref().map(|body| body.user.to_string())).unwrap_or_default();
    let seq = most_said(seq, body.as_ref().map(|body| body.seq)).unwrap_or_default();
    Whose { kind: Kind::Entry, user, seq }
}

fn said_twice<T: PartialEq>((attribute, key): &(Option<T>, Option<T>)) -> bool {
    attribute.is_some() && attribute == key
}

fn most_said<T: PartialEq>((attribute, key): (Option<T>, Option<T>), body: Option<T>) -> Option<T> {
    if attribute.is_some() && attribute == key { attribute } else { body.or(attribute).or(key) }
}

fn owner(partition: &str) -> Option<String> {
    unescaped(partition.strip_prefix("U#")?).ok()
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}
