//! An account on its way to its next version: every move of tokens is made here, and leaves its posting.

use crate::account::Account;
use crate::cause::Cause;
use crate::entry::{Detail, Entry, Opened, Place, Posting, Sealed};
use crate::lot::{Lot, LotId, Source};
use crate::money::Tokens;
use crate::request::RequestHash;
use crate::subscription::Due;
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

impl Account {
    /// The account as it stands at `now`, with what time alone did since the last write.
    /// Writes journal it first; reads show it as pending.
    pub fn advance(&self, now: Time) -> Draft {
        let now = now.max(self.at);
        let account = Account { at: now, ..self.clone() };
        let mut draft = Draft { account, postings: Vec::new(), opened: Vec::new(), since: self.at };
        draft.account.openings.retain(|opening| opening.until > now);
        draft.settle_time();
        draft
    }
}

impl Draft {
    /// Lots that lapsed leave, and allowances that came due arrive, each dated when it happened.
    pub(crate) fn settle_time(&mut self) {
        self.lapse();
        for index in 0..self.account.subscriptions.len() {
            if let Some(due) = self.account.subscriptions[index].drip(self.account.at) {
                self.grant(index, due);
            }
        }
    }

    fn lapse(&mut self) {
        self.account.sort_lots();
        let now = self.account.at;
        let Account { lots, subscriptions, .. } = &mut self.account;
        let lapsed: Vec<Lot> =
            lots.extract_if(.., |lot| lot.lapses_at(subscriptions).is_some_and(|end| end <= now)).collect();
        for lot in lapsed {
            let end = lot.lapses_at(&self.account.subscriptions).unwrap_or(now);
            self.post_at(end, Place::Lot, Place::Expired, lot.remaining, Some(lot.id));
        }
    }

    /// Brings in what a subscription's allowance has come to.
    pub(crate) fn grant(&mut self, index: usize, due: Due) {
        if let Some((tokens, end)) = due.missed {
            let lapsed = tokens.saturating_sub(self.pay_debt(tokens, end));
            self.post_at(end, Place::World, Place::Expired, lapsed, None);
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

    /// Tokens from the world: a debt is paid first, the rest goes into the lot.
    pub(crate) fn credit_at(&mut self, at: Time, lot: Lot, tokens: Tokens) {
        let to_lot = tokens.saturating_sub(self.pay_debt(tokens, at));
        if to_lot.is_zero() {
            return;
        }
        self.post_at(at, Place::World, Place::Lot, to_lot, Some(lot.id.clone()));
        match self.account.lots.iter_mut().find(|known| known.id == lot.id) {
            Some(known) => known.remaining = known.remaining.saturating_add(to_lot),
            None => {
                self.opened.push(Opened::of(&lot));
                self.account.lots.push(Lot { remaining: to_lot, ..lot });
            }
        }
    }

    fn pay_debt(&mut self, tokens: Tokens, at: Time) -> Tokens {
        let paid = tokens.min(self.account.debt);
        self.account.debt = self.account.debt.saturating_sub(paid);
        self.post_at(at, Place::World, Place::Debt, paid, None);
        paid
    }

    /// Takes tokens from the lots in burn order; the caller has checked that there are enough.
    pub(crate) fn burn(&mut self, needed: Tokens) {
        self.account.sort_lots();
        let mut missing = needed;
        let mut spent = Vec::new();
        for lot in &mut self.account.lots {
            let part = lot.remaining.min(missing);
            lot.remaining = lot.remaining.saturating_sub(part);
            missing = missing.saturating_sub(part);
            spent.push((part, lot.id.clone()));
        }
        assert!(missing.is_zero(), "more was burned than there was");
        for (part, lot) in spent {
            self.post(Place::Lot, Place::Spent, part, Some(lot));
        }
        self.account.lots.retain(|lot| !lot.remaining.is_zero());
    }

    pub(crate) fn post(&mut self, from: Place, to: Place, amount: Tokens, lot: Option<LotId>) {
        self.post_at(self.account.at, from, to, amount, lot);
    }

    fn post_at(&mut self, at: Time, from: Place, to: Place, amount: Tokens, lot: Option<LotId>) {
        if !amount.is_zero() {
            let at = Some(at.max(self.since)).filter(|at| *at < self.account.at);
            self.postings.push(Posting { from, to, amount, lot, at });
        }
    }

    /// The next version of the account, and the entry that explains it.
    pub(crate) fn seal(
        mut self,
        before: &Account,
        cause: Cause,
        request: Option<RequestHash>,
        detail: Detail,
    ) -> (Account, Sealed) {
        // One order whatever the history, so that equal accounts have equal bytes.
        self.account.sort_lots();
        self.account.subscriptions.sort_by(|a, b| a.seen.id.cmp(&b.seen.id));
        self.account.openings.sort_by(|a, b| a.group.cmp(&b.group));
        let after = self.account.balances();
        assert_eq!(
            moved(before, &self.postings),
            Some(after.available),
            "the postings do not explain the balance"
        );
        let entry = Entry {
            user: before.user.clone(),
            seq: before.seq + 1,
            at: self.account.at,
            cause,
            detail,
            postings: self.postings,
            opened: self.opened,
            after,
            request,
        };
        let entry = entry.seal(before.head);
        let account = Account { seq: before.seq + 1, head: entry.hash, ..self.account };
        (account, entry)
    }
}

/// What is available after the postings, by their own account.
fn moved(before: &Account, postings: &[Posting]) -> Option<Tokens> {
    let sum = |place: fn(&Posting) -> Place| {
        let of_lots = postings.iter().filter(move |posting| place(posting) == Place::Lot);
        Tokens::checked_sum(of_lots.map(|posting| posting.amount))
    };
    let into = sum(|posting| posting.to)?;
    let out_of = sum(|posting| posting.from)?;
    before.balances().available.get().checked_add(into.get())?.checked_sub(out_of.get()).and_then(Tokens::new)
}
