//! After every step: each journal explains its account, and every entry keeps the rules that can be seen in it.

use std::collections::BTreeMap;

use domain::account::Account;
use domain::entry::{Detail, Entry};
use domain::ids::UserId;
use domain::lot::{Lot, Source};
use domain::posting::{Place, Posting};
use domain::replay::Replay;
use domain::subscription::Subscription;
use domain::time::Time;
use store::{Read, StoreError, Wanted};

use crate::world::World;

/// What is wrong with somebody's books.
#[derive(Debug, thiserror::Error)]
#[error("{user}, entry {seq}: {what}")]
pub struct Broken {
    pub user: UserId,
    pub seq: u64,
    pub what: String,
}

/// The books of every user, as far as they were checked.
pub struct Books {
    pub users: BTreeMap<UserId, Kept>,
}

pub struct Kept {
    pub replay: Replay,
    pub entries: Vec<Entry>,
}

impl Books {
    pub fn new(users: &[UserId]) -> Books {
        let kept = |user: &UserId| Kept { replay: Replay::new(user.clone()), entries: Vec::new() };
        Books { users: users.iter().map(|user| (user.clone(), kept(user))).collect() }
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.users.values().flat_map(|kept| &kept.entries)
    }

    /// Whether a user was erased.
    pub fn is_closed(&self, user: &UserId) -> bool {
        self.users.get(user).is_some_and(|kept| kept.replay.account.closed.is_some())
    }

    pub async fn check(&mut self, world: &World) -> Result<(), Broken> {
        for (user, kept) in &mut self.users {
            let broken = |seq, what: String| Broken { user: user.clone(), seq, what };
            let unreadable = |error: StoreError| broken(0, error.to_string());
            let account = world.truth.account(user, Read::Consistent).await.map_err(unreadable)?;
            let seq = kept.replay.account.seq;
            // A look at Stripe writes an account without an entry.
            let new = if account.seq == seq {
                Vec::new()
            } else {
                since(world, user, seq).await.map_err(unreadable)?
            };
            for entry in new {
                let before = kept.replay.account.clone();
                let sealed = entry.clone().seal(before.head);
                kept.replay.step(&sealed).map_err(|fault| broken(entry.seq, fault.to_string()))?;
                let after = &kept.replay.account;
                rules(&before, &entry, after)
                    .map_err(|what| broken(entry.seq, format!("{what}\n  {entry:?}")))?;
                kept.entries.push(entry);
            }
            if let Some(field) = kept.replay.differs(&account) {
                let what = format!("the account's {field} are not what its journal tells");
                return Err(broken(account.seq, what));
            }
        }
        Ok(())
    }
}

/// The entries that are new, oldest first.
async fn since(world: &World, user: &UserId, seq: u64) -> Result<Vec<Entry>, StoreError> {
    let (mut found, mut below) = (Vec::new(), None);
    loop {
        let wanted = Wanted { below, ..Wanted::default() };
        let page = world.truth.journal(user, &wanted, 25).await?;
        let is_last = page.next.is_none() || page.entries.iter().any(|entry| entry.seq <= seq);
        below = page.next;
        found.extend(page.entries.into_iter().filter(|entry| entry.seq > seq));
        if is_last {
            found.reverse();
            return Ok(found);
        }
    }
}

/// What no entry may do, said once more and differently than where it is decided.
fn rules(before: &Account, entry: &Entry, after: &Account) -> Result<(), String> {
    lapsed_lots_are_gone(after)?;
    debt_was_paid_first(after)?;
    if matches!(entry.detail, Detail::Consume { .. } | Detail::Hold { .. }) {
        what_ends_first_burns_first(before, entry, after)?;
    }
    unused_allowances_roll_over(before, entry)
}

fn lapsed_lots_are_gone(after: &Account) -> Result<(), String> {
    match after.lots.iter().find(|lot| end_of(lot, &after.subscriptions) <= after.at) {
        Some(lot) => Err(format!("{} has lapsed, and is still there", lot.id.as_str())),
        None => match after.holds.iter().find(|hold| hold.expires_at <= after.at) {
            Some(hold) => Err(format!("{} has expired, and is still there", hold.id)),
            None => Ok(()),
        },
    }
}

/// Only what was given for nothing may stand beside a debt.
fn debt_was_paid_first(after: &Account) -> Result<(), String> {
    let bought = after.lots.iter().find(|lot| matches!(lot.source, Source::Purchase | Source::Bonus));
    match bought {
        Some(lot) if !after.debt.is_zero() => {
            Err(format!("{} are owed, and {} is kept", after.debt, lot.id.as_str()))
        }
        _ => Ok(()),
    }
}

fn what_ends_first_burns_first(before: &Account, entry: &Entry, after: &Account) -> Result<(), String> {
    let to = if matches!(entry.detail, Detail::Hold { .. }) { Place::Held } else { Place::Spent };
    let order = |end: Time, source: Source| (end, source);
    let taken = entry.postings.iter().filter(|posting| posting.from == Place::Lot && posting.to == to);
    for posting in taken {
        let Some(id) = &posting.lot else { continue };
        // One that was opened and used up within this entry is not known here any more.
        let Some(burnt) = before.lots.iter().chain(&after.lots).find(|lot| lot.id == *id) else { continue };
        let burnt_order = order(end_of(burnt, &after.subscriptions), burnt.source);
        let earlier = after.lots.iter().find(|left| {
            left.id != *id
                && !left.id.is_merged()
                && order(end_of(left, &after.subscriptions), left.source) < burnt_order
        });
        if let Some(earlier) = earlier {
            return Err(format!("{} was used before {}", id.as_str(), earlier.id.as_str()));
        }
    }
    Ok(())
}

/// Up to the cap, what a slot leaves stays while its subscription does.
fn unused_allowances_roll_over(before: &Account, entry: &Entry) -> Result<(), String> {
    // Its end may be news of this very entry.
    if matches!(&entry.detail, Detail::Subscription { .. } | Detail::Closing { .. }) {
        return Ok(());
    }
    let mut lots: BTreeMap<&str, u64> =
        before.lots.iter().map(|lot| (lot.id.as_str(), lot.remaining.get())).collect();
    for Posting { from, to, amount, lot, into, at } in &entry.postings {
        let amount = amount.get();
        let lot = lot.as_ref().map_or("", |lot| lot.as_str());
        if *from == Place::Lot {
            lots.entry(lot).and_modify(|left| *left = left.saturating_sub(amount));
        }
        if *to == Place::Lot {
            *lots.entry(into.as_ref().map_or(lot, |into| into.as_str())).or_default() += amount;
        }
        let (Place::Lot, Place::Expired, Some((id, _))) = (from, to, lot.split_once(":w")) else { continue };
        let giver = before.subscriptions.iter().find(|held| held.seen.id.as_str() == id);
        let at = at.unwrap_or(entry.at);
        let Some(giver) = giver.filter(|giver| giver.seen.end().is_none_or(|end| end > at)) else { continue };
        let kept = lots.get(format!("{id}:rollover").as_str()).copied().unwrap_or_default();
        if kept < giver.seen.rollover().get() {
            return Err(format!("{lot} lapsed, though there was room for it to roll over"));
        }
    }
    Ok(())
}

fn end_of(lot: &Lot, subscriptions: &[Subscription]) -> Time {
    let never = Time::from_millis(i64::MAX);
    let giver = lot.id.as_str().split_once(':').map(|(giver, _)| giver);
    let giver = subscriptions.iter().find(|held| Some(held.seen.id.as_str()) == giver);
    let end = giver.and_then(|giver| giver.seen.end()).unwrap_or(never);
    lot.expires_at.unwrap_or(never).min(end)
}
