//! An account on its way to its next version: every move of tokens is made here, and leaves its posting.

use crate::account::Account;
use crate::cause::Cause;
use crate::entry::{Counted, Detail, Entry, Sealed};
use crate::hold::Hold;
use crate::lot::{Balances, Lot, LotId, Source};
use crate::money::Tokens;
use crate::mutants::Mutant;
use crate::posting::{Opened, Place, Posting};
use crate::request::RequestHash;
use crate::subscription::{Due, Subscription};
use crate::time::Time;

/// An account as it stands now, and the postings that led there from what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub account: Account,
    pub postings: Vec<Posting>,
    pub opened: Vec<Opened>,
    /// When the stored account was written. Nothing is dated before that.
    since: Time,
}

/// As many lots as an account usually has. More merge where they can; what cannot merge stays.
const LOTS: usize = 16;

impl Account {
    /// The account as it stands at `now`, with what time alone did since the last write.
    /// Writes journal it first; reads show it as pending.
    pub fn advance(&self, now: Time) -> Draft {
        let now = now.max(self.at);
        let account = Account { at: now, ..self.clone() };
        let mut draft = Draft { account, postings: Vec::new(), opened: Vec::new(), since: self.at };
        draft.settle_time();
        draft
    }
}

impl Draft {
    /// Lots that lapsed leave, allowances that came due arrive and holds that ended return their tokens,
    /// each when it happened: what is looked at often and what is looked at once come out the same.
    pub(crate) fn settle_time(&mut self) {
        let now = self.account.at;
        self.account.holds.sort_by(|a, b| (a.expires_at, &a.id).cmp(&(b.expires_at, &b.id)));
        while let Some(hold) = self.account.holds.first().filter(|hold| hold.expires_at <= now) {
            let end = hold.expires_at.max(self.since);
            self.settle_slots(end);
            let hold = self.account.holds.remove(0);
            self.give_back(hold, end);
        }
        self.settle_slots(now);
    }

    fn settle_slots(&mut self, until: Time) {
        self.lapse(until);
        for index in 0..self.account.subscriptions.len() {
            if let Some(due) = self.account.subscriptions[index].drip(until) {
                self.grant(index, due);
            }
        }
        // What came and rolled over unseen may have ended with its subscription since.
        self.lapse(until);
    }

    fn lapse(&mut self, until: Time) {
        if Mutant::ExpiryIgnored.lives() {
            return;
        }
        // One after the other: what the first leaves may lapse before this moment too, where its subscription ends.
        while let Some(lot) = self.first_lapsed(until) {
            let end = lot.lapses_at(&self.account.subscriptions).unwrap_or(until);
            let kept = self.roll_over(&lot, end);
            self.post_at(end, Place::Lot, Place::Expired, lot.remaining.saturating_sub(kept), Some(lot.id));
        }
    }

    fn first_lapsed(&mut self, until: Time) -> Option<Lot> {
        self.account.sort_lots();
        let Account { lots, subscriptions, .. } = &mut self.account;
        let has_lapsed = |lot: &mut Lot| lot.lapses_at(subscriptions).is_some_and(|end| end <= until);
        lots.extract_if(.., has_lapsed).next()
    }

    /// What stays of an allowance when its slot ends.
    fn roll_over(&mut self, lot: &Lot, end: Time) -> Tokens {
        let Some(giver) = lot.giver(&self.account.subscriptions).filter(|_| lot.source == Source::Allowance)
        else {
            return Tokens::ZERO;
        };
        if giver.seen.end().is_some_and(|ended| ended <= end) || Mutant::RolloverLost.lives() {
            return Tokens::ZERO;
        }
        let (cap, into) = (giver.seen.rollover(), LotId::rollover(&giver.seen.id));
        let kept = lot.remaining.min(cap.saturating_sub(self.remaining(&into)));
        if !kept.is_zero() {
            let (from, at) = (Some(lot.id.clone()), self.dated(end));
            let (place, moved) = (Place::Lot, Some(into.clone()));
            self.postings.push(Posting { from: place, to: place, amount: kept, lot: from, into: moved, at });
            self.fill(Lot {
                source: Source::Rollover,
                expires_at: None,
                opened_at: end,
                ..lot.with(into, kept)
            });
        }
        kept
    }

    /// Brings in what a subscription's allowance has come to.
    pub(crate) fn grant(&mut self, index: usize, due: Due) {
        if let Some((tokens, end)) = due.missed {
            self.grant_missed(index, tokens, end);
        }
        let subscription = &mut self.account.subscriptions[index];
        subscription.granted = Some(due.granted);
        if let Some((tokens, slot)) = due.grant {
            let id = LotId::allowance(&subscription.seen.id, slot);
            let (opened_at, expires_at) = (slot.start, Some(slot.end));
            let lot = Lot { id, source: Source::Allowance, remaining: Tokens::ZERO, expires_at, opened_at };
            // Time cannot be refused: what would not fit is not granted.
            let room = Tokens::MAX.saturating_sub(self.account.balances().available);
            self.credit_at(slot.start, lot, tokens.min(room));
        }
    }

    /// Slots that came and went unseen: what a debt or the rollover does not take has lapsed.
    fn grant_missed(&mut self, index: usize, tokens: Tokens, end: Time) {
        let left = tokens.saturating_sub(self.pay_debt(Place::World, tokens, end));
        let seen = &self.account.subscriptions[index].seen;
        let (cap, id) = (seen.rollover(), LotId::rollover(&seen.id));
        let lives = seen.end().is_none_or(|ended| ended > end);
        let room = cap.saturating_sub(self.remaining(&id));
        let kept = if lives { left.min(room) } else { Tokens::ZERO };
        let source = Source::Rollover;
        let lot = Lot { id, source, remaining: Tokens::ZERO, expires_at: None, opened_at: end };
        self.credit_at(end, lot, kept);
        self.post_at(end, Place::World, Place::Expired, left.saturating_sub(kept), None);
    }

    pub(crate) fn remaining(&self, id: &LotId) -> Tokens {
        self.account.lots.iter().find(|lot| lot.id == *id).map_or(Tokens::ZERO, |lot| lot.remaining)
    }

    /// Tokens from the world: a debt is paid first, the rest goes into the lot.
    pub(crate) fn credit_at(&mut self, at: Time, lot: Lot, tokens: Tokens) {
        self.move_in(Place::World, at, lot, tokens);
    }

    /// Tokens from elsewhere: a debt is paid first, the rest goes into the lot.
    pub(crate) fn move_in(&mut self, from: Place, at: Time, lot: Lot, tokens: Tokens) {
        let to_lot = tokens.saturating_sub(self.pay_debt(from, tokens, at));
        if !to_lot.is_zero() {
            self.post_at(at, from, Place::Lot, to_lot, Some(lot.id.clone()));
            self.fill(Lot { remaining: to_lot, ..lot });
        }
    }

    /// Puts a lot's tokens with those that it has already.
    fn fill(&mut self, lot: Lot) {
        match self.account.lots.iter_mut().find(|known| known.id == lot.id) {
            Some(known) => known.remaining = known.remaining.saturating_add(lot.remaining),
            None => {
                self.opened.push(Opened::of(&lot, self.account.at));
                self.account.lots.push(lot);
            }
        }
    }

    fn pay_debt(&mut self, from: Place, tokens: Tokens, at: Time) -> Tokens {
        if Mutant::DebtForgotten.lives() {
            return Tokens::ZERO;
        }
        let paid = tokens.min(self.account.debt);
        self.account.debt = self.account.debt.saturating_sub(paid);
        self.post_at(at, from, Place::Debt, paid, None);
        paid
    }

    /// Takes tokens from the lots in burn order; the caller has checked that there are enough.
    /// Answers with what was taken of each lot.
    pub(crate) fn burn(&mut self, to: Place, needed: Tokens) -> Vec<Lot> {
        self.account.sort_lots();
        let mut missing = needed;
        let mut taken = Vec::new();
        for lot in &mut self.account.lots {
            let part = lot.remaining.min(missing);
            lot.remaining = lot.remaining.saturating_sub(part);
            missing = missing.saturating_sub(part);
            taken.push(Lot { remaining: part, ..lot.clone() });
        }
        assert!(missing.is_zero(), "more was burned than there was");
        taken.retain(|part| !part.remaining.is_zero());
        for part in &taken {
            self.post(Place::Lot, to, part.remaining, Some(part.id.clone()));
        }
        self.account.lots.retain(|lot| !lot.remaining.is_zero());
        taken
    }

    /// Lets go of everything: holds are released, what is available expires, a debt is forgiven.
    pub(crate) fn close(&mut self) {
        let now = self.account.at;
        for hold in std::mem::take(&mut self.account.holds) {
            self.give_back(hold, now);
        }
        let available = self.account.balances().available;
        self.burn(Place::Expired, available);
        self.pay_debt(Place::World, self.account.debt, now);
        self.account.openings.clear();
        (self.account.customer, self.account.claimed) = (None, None);
        self.account.closed = Some(now);
    }

    /// Takes as many of one lot's tokens as it has.
    pub(crate) fn claw(&mut self, id: &LotId, wanted: Tokens) -> Tokens {
        let Some(lot) = self.account.lots.iter_mut().find(|lot| lot.id == *id) else { return Tokens::ZERO };
        let part = lot.remaining.min(wanted);
        lot.remaining = lot.remaining.saturating_sub(part);
        self.account.lots.retain(|lot| !lot.remaining.is_zero());
        self.post(Place::Lot, Place::Clawed, part, Some(id.clone()));
        part
    }

    /// What could not be found is owed.
    pub(crate) fn owe(&mut self, tokens: Tokens) {
        self.account.debt = self.account.debt.saturating_add(tokens);
        self.post(Place::Debt, Place::Clawed, tokens, None);
    }

    /// What was taken back and is given back pays a debt first. Answers with the rest.
    pub(crate) fn forgive(&mut self, tokens: Tokens) -> Tokens {
        tokens.saturating_sub(self.pay_debt(Place::Clawed, tokens, self.account.at))
    }

    /// Restores a lot with its old expiry; if that is past, its tokens lapse at once.
    pub(crate) fn put_back(&mut self, id: LotId, source: Source, expires_at: Option<Time>, tokens: Tokens) {
        let opened_at = self.account.at;
        let lot = Lot { id, source, remaining: tokens, expires_at, opened_at };
        if tokens.is_zero() {
            return;
        }
        if lot.lapses_at(&self.account.subscriptions).is_some_and(|end| end <= opened_at) {
            self.post(Place::Clawed, Place::Expired, tokens, Some(lot.id));
        } else {
            self.post(Place::Clawed, Place::Lot, tokens, Some(lot.id.clone()));
            self.fill(lot);
        }
    }

    /// Spends a part of a hold, and gives the rest back.
    pub(crate) fn capture(&mut self, mut hold: Hold, wanted: Tokens) {
        let mut missing = wanted;
        for part in &mut hold.parts {
            let spent = part.remaining.min(missing);
            part.remaining = part.remaining.saturating_sub(spent);
            missing = missing.saturating_sub(spent);
            self.post(Place::Held, Place::Spent, spent, Some(part.id.clone()));
        }
        let spent = hold.unlimited.min(missing);
        hold.unlimited = hold.unlimited.saturating_sub(spent);
        self.post(Place::Held, Place::Spent, spent, None);
        self.give_back(hold, self.account.at);
    }

    /// Tokens set aside return to where they were, a debt first; what lapsed meanwhile lapses now.
    pub(crate) fn give_back(&mut self, hold: Hold, at: Time) {
        self.post_at(at, Place::Held, Place::World, hold.unlimited, None);
        for part in hold.parts {
            let has_lapsed = part.lapses_at(&self.account.subscriptions).is_some_and(|end| end <= at);
            // A subscription that has ended takes what it gave with it.
            let is_orphan =
                part.id.subscription().is_some() && part.giver(&self.account.subscriptions).is_none();
            let tokens = part.remaining;
            if has_lapsed || is_orphan {
                self.post_at(at, Place::Held, Place::Expired, tokens, Some(part.id));
            } else {
                self.move_in(Place::Held, at, part, tokens);
            }
        }
    }

    pub(crate) fn post(&mut self, from: Place, to: Place, amount: Tokens, lot: Option<LotId>) {
        self.post_at(self.account.at, from, to, amount, lot);
    }

    pub(crate) fn post_at(&mut self, at: Time, from: Place, to: Place, amount: Tokens, lot: Option<LotId>) {
        if !amount.is_zero() {
            self.postings.push(Posting { from, to, amount, lot, into: None, at: self.dated(at) });
        }
    }

    /// When a posting took effect, where that was before the entry is written.
    fn dated(&self, at: Time) -> Option<Time> {
        Some(at.max(self.since)).filter(|at| *at < self.account.at)
    }

    /// Puts small lots together until there are few enough, or none that are alike.
    fn merge(&mut self) {
        while self.account.lots.len() > LOTS {
            self.account.sort_lots();
            let Some((source, expires_at)) = self.most_alike() else { return };
            let into = LotId::merged(source, expires_at);
            let is_alike = |lot: &&Lot| lot.kind() == (source, expires_at) && lot.id != into;
            let Some(oldest) = self.account.lots.iter().find(is_alike).cloned() else { return };
            self.account.lots.retain(|lot| lot.id != oldest.id);
            let (place, amount) = (Place::Lot, oldest.remaining);
            let (lot, moved) = (Some(oldest.id.clone()), Some(into.clone()));
            self.postings.push(Posting { from: place, to: place, amount, lot, into: moved, at: None });
            self.fill(oldest.with(into, amount));
        }
    }

    /// The kind of lot of which there are most, at least two: none else can be fewer by merging.
    fn most_alike(&self) -> Option<(Source, Option<Time>)> {
        let lots = &self.account.lots;
        let count = |kind| lots.iter().filter(|lot| lot.kind() == kind).count();
        let kinds = lots.iter().map(Lot::kind).filter(|kind| kind.0.merges());
        // Of equals the first in burn order, so that the choice is the same whatever the history.
        kinds
            .map(|kind| (count(kind), kind))
            .rev()
            .max_by_key(|(count, _)| *count)
            .filter(|(count, _)| *count > 1)
            .map(|(_, kind)| kind)
    }

    /// The next version of the account, and the entry that explains it.
    pub(crate) fn seal(
        mut self,
        before: &Account,
        cause: Cause,
        request: Option<RequestHash>,
        detail: Detail,
    ) -> (Account, Sealed) {
        self.merge();
        // One order whatever the history, so that equal accounts have equal bytes.
        self.account.sort_lots();
        self.account.subscriptions.sort_by(|a, b| a.seen.id.cmp(&b.seen.id));
        self.account.openings.sort_by(|a, b| a.group.cmp(&b.group));
        self.account.holds.sort_by(|a, b| a.id.cmp(&b.id));
        let counted = counts(before, &self.account);
        let after = self.account.balances();
        assert_eq!(explained(before, &self.postings), Some(after), "the postings do not explain the balance");
        let entry = Entry {
            user: before.user.clone(),
            seq: before.seq + 1,
            at: self.account.at,
            cause,
            detail,
            postings: self.postings,
            opened: self.opened,
            counted,
            after,
            request,
        };
        let entry = entry.seal(before.head);
        let account = Account { seq: before.seq + 1, head: entry.hash, ..self.account };
        (account, entry)
    }
}

/// Where the count of a subscription's payments and grants stands, of each where that has moved.
fn counts(before: &Account, after: &Account) -> Vec<Counted> {
    let was = |held: &Subscription| {
        let known = before.subscriptions.iter().find(|known| known.seen.id == held.seen.id);
        known.map_or((None, None), |known| (known.paid, known.granted))
    };
    let moved = after.subscriptions.iter().filter(|held| was(held) != (held.paid, held.granted));
    let count = |held: &Subscription| Counted {
        subscription: held.seen.id.clone(),
        paid: held.paid,
        granted: held.granted,
    };
    moved.map(count).collect()
}

/// The balances after the postings, by their own account.
fn explained(before: &Account, postings: &[Posting]) -> Option<Balances> {
    // Within one entry more may come and go than an account may ever hold.
    let sum = |place: Place, side: fn(&Posting) -> Place| -> i128 {
        let of_place = postings.iter().filter(move |posting| side(posting) == place);
        of_place.map(|posting| i128::from(posting.amount.get())).sum()
    };
    let came = |place| sum(place, |posting| posting.to) - sum(place, |posting| posting.from);
    let with =
        |had: Tokens, more: i128| u64::try_from(i128::from(had.get()) + more).ok().and_then(Tokens::new);
    let had = before.balances();
    Some(Balances {
        available: with(had.available, came(Place::Lot))?,
        held: with(had.held, came(Place::Held))?,
        // What is owed shrinks by what enters the debt's place.
        debt: with(had.debt, -came(Place::Debt))?,
    })
}
