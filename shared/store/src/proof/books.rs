//! One user's items, taken one after the other as they are stored: each must say what its body says, follow from the
//! entries before it, and come to the account and the payments that are stored.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::Account;
use domain::entry::{Entry, Sealed};
use domain::hash::Hash;
use domain::ids::{PaymentId, UserId};
use domain::payment::PaymentRow;
use domain::replay::{Fault, Replay};

use super::differences::differences;
use super::whose::payments_told;
use super::{Gone, Replacement};
use crate::items::{self, Item};
use crate::schema::{self, Key};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The entry that it is about; of an account or a payment, the last that told of it.
    pub seq: u64,
    pub what: String,
    pub at: Option<Key>,
    /// Whether an index that is only behind would look the same.
    pub passes: bool,
    /// Whether the journal is right, so that account and payments can be rebuilt from it.
    pub mendable: bool,
}

/// What one user's journal has told so far.
pub struct Books {
    replay: Replay,
    /// The last entry that told of a payment.
    told_by: BTreeMap<PaymentId, u64>,
    rows: BTreeSet<PaymentId>,
}

/// What a payment's item may have that its entries say nothing of.
const BESIDE: [&str; 6] = ["amount", "charge", "checkout", "failure", "looks", "receipt_url"];

impl Books {
    pub fn new(user: UserId) -> Books {
        Books { replay: Replay::new(user), told_by: BTreeMap::new(), rows: BTreeSet::new() }
    }

    /// The last entry.
    pub fn seq(&self) -> u64 {
        self.replay.account.seq
    }

    /// Takes the next entry.
    pub fn entry(&mut self, item: &Item) -> Result<(), Flaw> {
        let expected = self.seq() + 1;
        let flaw = |what: String| Flaw::of(expected, what, item);
        let sealed = sealed(item).map_err(flaw)?;
        if let Some(difference) = differences(item, &items::from_entry(&sealed)) {
            // What was altered is not believed.
            let is_whole = Hash::of(sealed.prev, &sealed.body) == sealed.hash;
            let what = format!("{difference}, by its body");
            return Err(flaw(if is_whole { what } else { Fault::Altered.to_string() }));
        }
        self.replay.step(&sealed).map_err(|fault| match fault {
            Fault::Gap { expected } => Flaw::missing(expected),
            fault => flaw(fault.to_string()),
        })?;
        for payment in payments_told(&sealed.entry) {
            self.told_by.insert(payment, expected);
        }
        Ok(())
    }

    /// Holds the stored account against the journal.
    pub fn account(&self, item: Option<&Item>) -> Result<(), Flaw> {
        let (user, seq) = (&self.replay.account.user, self.seq());
        let Some(item) = item else {
            return match seq {
                0 => Ok(()),
                _ => Err(Flaw::mendable(seq, "there is a journal, and no account", schema::account(user))),
            };
        };
        let flaw = |what: String| Flaw::mendable(seq, &what, schema::account(user));
        let stored = items::to_account(user.clone(), item.clone()).map_err(|bad| flaw(bad.to_string()))?;
        if stored.seq > seq {
            return Err(Flaw::missing(seq + 1));
        }
        if stored.seq < seq {
            return Err(flaw(format!("the account stands at entry {}, before it", stored.seq)));
        }
        if let Some(field) = self.replay.differs(&stored) {
            return Err(flaw(format!("the account's {field} is not what its journal comes to")));
        }
        match differences(&as_written(item, &stored), &items::from_account(&stored)) {
            Some(difference) => Err(flaw(format!("the account: {difference}"))),
            None => Ok(()),
        }
    }

    /// Holds one item of a payment against the journal, and notes that it is there.
    pub fn payment(&mut self, item: &Item) -> Result<(), Flaw> {
        let user = self.replay.account.user.clone();
        let Some((owner, payment)) = schema::payment_of(item) else {
            let what = "its key names no payment".to_owned();
            return Err(Flaw { mendable: false, ..Flaw::of(self.seq(), what, item) });
        };
        let told_by = self.told_by.get(&payment).copied().unwrap_or(self.seq());
        let flaw = |what: String| {
            let what = format!("the payment {payment}: {what}");
            Flaw { at: key_of(item), ..Flaw::mendable(told_by, &what, schema::payment(&user, &payment)) }
        };
        if owner != user {
            return Err(flaw(format!("it lies under the user {owner}")));
        }
        match self.told(&payment, Some(item)) {
            None if item.contains_key("paid") => Err(flaw("no entry tells that it was paid".to_owned())),
            None => unbooked(&user, &payment, item).map_err(flaw),
            Some(told) => {
                self.rows.insert(payment.clone());
                let mut expected = items::from_payment(&user, &told);
                let beside = item.iter().filter(|(name, _)| BESIDE.contains(&name.as_str()));
                expected.extend(beside.map(|(name, value)| (name.clone(), value.clone())));
                match differences(item, &expected) {
                    Some(difference) => Err(flaw(format!("{difference}, by its entries"))),
                    None => items::to_record(user.clone(), payment.clone(), item.clone())
                        .map(drop)
                        .map_err(|bad| flaw(bad.to_string())),
                }
            }
        }
    }

    /// The first payment that the journal tells of and no item so far has been about.
    pub fn payment_without_item(&self) -> Result<(), Flaw> {
        let missing = self.replay.payments.keys().find(|payment| !self.rows.contains(payment));
        let Some(payment) = missing else { return Ok(()) };
        let key = schema::payment(&self.replay.account.user, payment);
        let told_by = self.told_by.get(payment).copied().unwrap_or(self.seq());
        Err(Flaw::mendable(told_by, &format!("the payment {payment} has no item"), key))
    }

    /// Those payments that the journal tells of, and so must have an item.
    pub fn payments(&self) -> impl Iterator<Item = &PaymentId> {
        self.replay.payments.keys()
    }

    /// What has to be replaced so that the journal explains it all; nothing, where it does.
    pub fn replacements(&self, account: Option<&Item>, payments: &[Item]) -> Vec<Replacement> {
        let user = &self.replay.account.user;
        let mut replacements = Vec::new();
        if self.account(account).is_err() {
            let looked = account.and_then(|item| items::to_account(user.clone(), item.clone()).ok());
            let obs = looked.as_ref().map_or_else(|| number(account, "obs"), |looked| looked.obs);
            let claimed = looked.and_then(|looked| looked.claimed);
            // Whoever holds the account as it was must not write it.
            let rebuilt = Account { obs: obs + 1, claimed, ..self.replay.account.clone() };
            replacements.push(Replacement { was: account.cloned(), is: Ok(items::from_account(&rebuilt)) });
        }
        let of = |item: &Item| schema::payment_of(item).map(|(_, payment)| payment);
        for payment in self.replay.payments.keys() {
            let item = payments.iter().find(|item| of(item).as_ref() == Some(payment));
            let Some(told) = self.told(payment, item) else { continue };
            let mut is = items::from_payment(user, &told);
            let beside = item.into_iter().flatten().filter(|(name, _)| BESIDE.contains(&name.as_str()));
            is.extend(beside.map(|(name, value)| (name.clone(), value.clone())));
            if item != Some(&is) {
                replacements.push(Replacement { was: item.cloned(), is: Ok(is) });
            }
        }
        let strays = payments.iter().filter(|item| item.contains_key("paid"));
        let strays = strays.filter(|item| !of(item).is_some_and(|id| self.replay.payments.contains_key(&id)));
        replacements.extend(
            strays.filter_map(|item| {
                Some(Replacement { was: Some(item.clone()), is: Err(Gone(key_of(item)?)) })
            }),
        );
        replacements
    }

    /// What the journal says of a payment. Once its user was erased, who paid may be gone from it.
    fn told(&self, payment: &PaymentId, item: Option<&Item>) -> Option<PaymentRow> {
        let told = self.replay.payments.get(payment)?.clone();
        let erased =
            self.replay.account.closed.is_some() && item.is_none_or(|item| !item.contains_key("customer"));
        Some(PaymentRow { customer: told.customer.clone().filter(|_| !erased), ..told })
    }
}

impl Flaw {
    fn of(seq: u64, what: String, item: &Item) -> Flaw {
        Flaw { seq, what, at: key_of(item), passes: false, mendable: false }
    }

    /// An entry that is not there.
    pub fn missing(seq: u64) -> Flaw {
        let what = "it is missing".to_owned();
        Flaw { seq, what, at: None, passes: true, mendable: false }
    }

    /// Something about one entry.
    pub fn at(seq: u64, what: &str, key: Option<Key>) -> Flaw {
        Flaw { seq, what: what.to_owned(), at: key, passes: false, mendable: false }
    }

    fn mendable(seq: u64, what: &str, key: Key) -> Flaw {
        Flaw { mendable: true, ..Flaw::at(seq, what, Some(key)) }
    }
}

/// An item's primary key.
pub fn key_of(item: &Item) -> Option<Key> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(Key { pk: text(schema::PK)?, sk: text(schema::SK)? })
}

/// The seq that an item's own attribute names.
pub fn seq_of(item: &Item) -> Option<u64> {
    item.get("seq")?.as_n().ok()?.parse().ok()
}

/// An entry's bytes as they are stored, and what they say.
fn sealed(item: &Item) -> Result<Sealed, String> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    let hash = |name: &str| text(name).and_then(|text| Hash::try_from(text).ok());
    let body = text("body").ok_or("it has no body")?;
    let prev = hash("prev").ok_or("its prev is not a hash")?;
    let hash = hash("hash").ok_or("its hash is not one")?;
    match Entry::parse(&body) {
        Ok(entry) => Ok(Sealed { entry, body, prev, hash }),
        Err(_) if Hash::of(prev, &body) != hash => Err(Fault::Altered.to_string()),
        Err(error) => Err(format!("its body does not parse: {error}")),
    }
}

/// A payment that was only tried, or of which only references are known.
fn unbooked(user: &UserId, payment: &PaymentId, item: &Item) -> Result<(), String> {
    let record = items::to_record(user.clone(), payment.clone(), item.clone());
    let record = record.map_err(|bad| bad.to_string())?;
    let filed = record.map(|record| schema::payment_search(record.status, payment, record.at));
    let stored = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    let found = (stored(schema::GSI2_PK), stored(schema::GSI2_SK));
    let expected = filed.map(|key| (Some(key.pk), Some(key.sk))).unwrap_or_default();
    if found == expected { Ok(()) } else { Err("its index key is not of its status and time".to_owned()) }
}

/// The item with what an older Tollgate wrote in another way and to the same effect: the format that it then wrote
/// everything in, and a debt that it did not know.
fn as_written(item: &Item, stored: &Account) -> Item {
    let (mut item, rendered) = (item.clone(), items::from_account(stored));
    if number(Some(&item), "format") >= number(Some(&rendered), "format") {
        item.insert("format".to_owned(), rendered["format"].clone());
    }
    item.entry("debt".to_owned()).or_insert_with(|| AttributeValue::N("0".to_owned()));
    item
}

fn number(item: Option<&Item>, name: &str) -> u64 {
    item.and_then(|item| item.get(name)?.as_n().ok()?.parse().ok()).unwrap_or_default()
}
