//! The journal, read again from its first entry: what the account and its payments must then be.
//!
//! Nothing here decides anything, and nothing here is shared with what does: an entry's own words are taken for what
//! they say, and whatever does not follow from the ones before it is a fault.

use std::collections::BTreeMap;

use crate::account::Account;
use crate::entry::{CheckoutRequest, Detail, Entry, Sealed};
use crate::hash::Hash;
use crate::hold::Hold;
use crate::ids::{HoldId, PaymentId, SubscriptionId, UserId};
use crate::item::Item;
use crate::lot::{Balances, Lot, Source};
use crate::money::{Money, Tokens};
use crate::payment::{Envelope, Funded, Payment, PaymentRow, PaymentStatus};
use crate::posting::{Opened, Place, Posting};
use crate::subscription::{Opening, Subscription};

/// An account as its journal tells it, so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    pub account: Account,
    pub payments: BTreeMap<PaymentId, PaymentRow>,
}

/// What is wrong with an entry, given those before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("entry {expected} is missing")]
    Gap { expected: u64 },
    #[error("it is the entry of another user")]
    AnotherUser,
    #[error("its bytes are not those that were written: their hash is another")]
    Altered,
    #[error("it does not follow the entry before it: it names another hash")]
    Unchained,
    #[error("its body does not say what its attributes say")]
    Unlike,
    #[error("it was written before the entry before it")]
    Earlier,
    #[error("it takes {amount} tokens from {from}, which has fewer")]
    Overdrawn { from: String, amount: Tokens },
    #[error("it puts tokens into {lot}, which was never opened")]
    NeverOpened { lot: String },
    #[error("it opens {lot}, and puts nothing into it")]
    Unused { lot: String },
    #[error("it comes to {found:?}, and says {said:?}")]
    Unbalanced { said: Balances, found: Balances },
    #[error("it comes to more tokens than any account holds")]
    Boundless,
    #[error("there is no hold {0}")]
    NoHold(HoldId),
    #[error("the payment {0} is not in the books before it")]
    NoPayment(PaymentId),
    #[error("the payment {0} is booked twice")]
    PaidTwice(PaymentId),
    #[error("it reverses {0} from where the books are not")]
    ReversedElsewhere(PaymentId),
    #[error("the subscription {0} was not what it says that it was")]
    NotSo(SubscriptionId),
    #[error("the account was closed before it")]
    Closed,
}

impl Replay {
    pub fn new(user: UserId) -> Replay {
        Replay { account: Account::new(user), payments: BTreeMap::new() }
    }

    /// Takes the next entry, or says what is wrong with it. The bytes are what counts: they are hashed as they are.
    pub fn step(&mut self, sealed: &Sealed) -> Result<(), Fault> {
        let entry = &sealed.entry;
        self.follows(sealed)?;
        // Time ended them before anything else happened.
        self.account.holds.retain(|hold| hold.expires_at > entry.at);
        let set_aside = self.move_tokens(entry)?;
        self.tell(entry, set_aside)?;
        for counted in &entry.counted {
            let held =
                self.account.subscriptions.iter_mut().find(|held| held.seen.id == counted.subscription);
            let held = held.ok_or_else(|| Fault::NotSo(counted.subscription.clone()))?;
            (held.paid, held.granted) = (counted.paid, counted.granted);
        }
        (self.account.seq, self.account.at, self.account.head) = (entry.seq, entry.at, sealed.hash);
        let found = self.balances().ok_or(Fault::Boundless)?;
        if found == entry.after { Ok(()) } else { Err(Fault::Unbalanced { said: entry.after, found }) }
    }

    /// In what a stored account differs from its journal, if it does.
    pub fn differs(&self, stored: &Account) -> Option<&'static str> {
        let (told, stored) = (in_order(&self.account), in_order(stored));
        let fields = [
            ("seq", told.seq == stored.seq),
            ("at", told.at == stored.at),
            ("head", told.head == stored.head),
            ("lots", told.lots == stored.lots),
            ("holds", told.holds == stored.holds),
            ("debt", told.debt == stored.debt),
            ("subscriptions", told.subscriptions == stored.subscriptions),
            ("openings", told.openings == stored.openings),
            ("customer", told.customer == stored.customer),
            ("tried", told.tried == stored.tried),
            ("closed", told.closed == stored.closed),
        ];
        fields.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
    }

    fn follows(&self, sealed: &Sealed) -> Result<(), Fault> {
        let (entry, account) = (&sealed.entry, &self.account);
        let expected = account.seq + 1;
        let checks = [
            (entry.user == account.user, Fault::AnotherUser),
            (entry.seq == expected, Fault::Gap { expected }),
            (Hash::of(sealed.prev, &sealed.body) == sealed.hash, Fault::Altered),
            (sealed.prev == account.head, Fault::Unchained),
            (Entry::parse(&sealed.body).is_ok_and(|told| told == *entry), Fault::Unlike),
            (entry.at >= account.at, Fault::Earlier),
            (account.closed.is_none() || outlives_closing(&entry.detail), Fault::Closed),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, fault)| Err(fault))
    }

    /// Unlike the account's own sums, these may be of anything that was forged.
    fn balances(&self) -> Option<Balances> {
        let Account { lots, holds, debt, .. } = &self.account;
        let available = Tokens::checked_sum(lots.iter().map(|lot| lot.remaining))?;
        let parts = holds.iter().flat_map(|hold| hold.parts.iter().map(|part| part.remaining));
        let held = Tokens::checked_sum(parts.chain(holds.iter().map(|hold| hold.unlimited)))?;
        Some(Balances { available, held, debt: *debt })
    }

    /// Moves what the postings move. Answers with what was set aside of each lot, and of none.
    fn move_tokens(&mut self, entry: &Entry) -> Result<(Vec<Lot>, Tokens), Fault> {
        let mut opened: Vec<&Opened> = entry.opened.iter().collect();
        let mut set_aside = (Vec::new(), Tokens::ZERO);
        for posting in &entry.postings {
            let source = self.take_out(posting)?;
            match (posting.to, source) {
                (Place::Lot, _) => self.put_in(posting, entry, &mut opened)?,
                (Place::Held, Some(lot)) => set_aside.0.push(Lot { remaining: posting.amount, ..lot }),
                (Place::Held, None) => set_aside.1 = set_aside.1.saturating_add(posting.amount),
                (Place::Debt, _) => self.owe_less(posting.amount)?,
                (Place::World | Place::Spent | Place::Expired | Place::Clawed, _) => {}
            }
        }
        match opened.first() {
            Some(unused) => Err(Fault::Unused { lot: unused.lot.as_str().to_owned() }),
            None => Ok(set_aside),
        }
    }

    /// Where a lot gives, the lot as it was.
    fn take_out(&mut self, posting: &Posting) -> Result<Option<Lot>, Fault> {
        let amount = posting.amount;
        match (posting.from, &posting.lot) {
            (Place::Lot, Some(id)) => {
                let overdrawn = || Fault::Overdrawn { from: format!("the lot {}", id.as_str()), amount };
                let lots = &mut self.account.lots;
                let index = lots.iter().position(|lot| lot.id == *id).ok_or_else(overdrawn)?;
                let lot = lots[index].clone();
                lots[index].remaining = lot.remaining.checked_sub(amount).ok_or_else(overdrawn)?;
                lots.retain(|lot| !lot.remaining.is_zero());
                Ok(Some(lot))
            }
            (Place::Lot, None) => Err(Fault::Overdrawn { from: "no lot".to_owned(), amount }),
            (Place::Debt, _) => {
                self.account.debt = self.account.debt.saturating_add(amount);
                Ok(None)
            }
            // Which hold gives its back the holds say, when what is left of them is compared.
            (Place::World | Place::Held | Place::Spent | Place::Expired | Place::Clawed, _) => Ok(None),
        }
    }

    fn put_in(&mut self, posting: &Posting, entry: &Entry, opened: &mut Vec<&Opened>) -> Result<(), Fault> {
        let named = posting.into.as_ref().or(posting.lot.as_ref());
        let Some(id) = named else {
            return Err(Fault::Overdrawn { from: "no lot".to_owned(), amount: posting.amount });
        };
        if let Some(known) = self.account.lots.iter_mut().find(|lot| lot.id == *id) {
            known.remaining = known.remaining.saturating_add(posting.amount);
            return Ok(());
        }
        let index = opened.iter().position(|opened| opened.lot == *id);
        let Opened { source, expires_at, opened_at, .. } =
            opened.remove(index.ok_or_else(|| Fault::NeverOpened { lot: id.as_str().to_owned() })?).clone();
        let opened_at = opened_at.unwrap_or(entry.at);
        self.account.lots.push(Lot {
            id: id.clone(),
            source,
            remaining: posting.amount,
            expires_at,
            opened_at,
        });
        Ok(())
    }

    fn owe_less(&mut self, amount: Tokens) -> Result<(), Fault> {
        let overdrawn = || Fault::Overdrawn { from: "what is owed".to_owned(), amount };
        self.account.debt = self.account.debt.checked_sub(amount).ok_or_else(overdrawn)?;
        Ok(())
    }

    /// What an entry says beyond its postings.
    fn tell(&mut self, entry: &Entry, (parts, unlimited): (Vec<Lot>, Tokens)) -> Result<(), Fault> {
        match &entry.detail {
            Detail::Purchase { item, paid, customer, tokens, bonus, .. } => {
                let id = entry.cause.payment().ok_or(Fault::Unlike)?.clone();
                let (paid, customer) = (*paid, customer.clone());
                let payment = Payment { id, customer, paid, envelope: Envelope::default() };
                self.book(PaymentRow::bought(&payment, item.clone(), entry.at, *tokens, *bonus))
            }
            Detail::Invoice { .. } => self.book_invoice(entry),
            Detail::Reversal { .. } => self.reverse(&entry.detail),
            Detail::Hold { hold, expires_at, .. } => {
                let (id, expires_at) = (hold.clone(), *expires_at);
                self.account.holds.push(Hold { id, expires_at, parts, unlimited });
                Ok(())
            }
            Detail::HoldEnd { hold, .. } => {
                let index = self.account.holds.iter().position(|open| open.id == *hold);
                self.account.holds.remove(index.ok_or_else(|| Fault::NoHold(hold.clone()))?);
                Ok(())
            }
            Detail::Subscription { .. } => self.see(entry),
            Detail::Checkout(request) => {
                self.open(entry, request);
                Ok(())
            }
            Detail::Closing { .. } => {
                self.account.holds.clear();
                self.account.openings.clear();
                self.account.customer = None;
                self.account.closed = Some(entry.at);
                Ok(())
            }
            Detail::Grant { .. } | Detail::Consume { .. } | Detail::Refund(_) | Detail::Alteration(_) => {
                Ok(())
            }
        }
    }

    fn book(&mut self, row: PaymentRow) -> Result<(), Fault> {
        let id = row.payment.clone();
        match self.payments.insert(id.clone(), row) {
            None => Ok(()),
            Some(_) => Err(Fault::PaidTwice(id)),
        }
    }

    fn book_invoice(&mut self, entry: &Entry) -> Result<(), Fault> {
        let Detail::Invoice { item, invoice, paid, payments, customer, funded, .. } = &entry.detail else {
            return Ok(());
        };
        let mut funded = funded.iter().map(|(lot, tokens, end)| Funded {
            lot: lot.clone(),
            source: Source::Allowance,
            tokens: *tokens,
            expires_at: Some(*end),
        });
        for (payment, amount_minor) in payments {
            let paid = Money { amount_minor: *amount_minor, currency: paid.currency };
            let row = PaymentRow::completed(payment.clone(), item.clone(), paid, entry.at);
            let row = row.funding(funded.next().into_iter().collect());
            let (customer, invoice) = (customer.clone(), Some(invoice.clone()));
            self.book(PaymentRow { customer, invoice, ..row })?;
        }
        Ok(())
    }

    fn reverse(&mut self, detail: &Detail) -> Result<(), Fault> {
        let Detail::Reversal { payment, paid, reversed, taken, .. } = detail else { return Ok(()) };
        let row = self.payments.get_mut(payment).ok_or_else(|| Fault::NoPayment(payment.clone()))?;
        if (row.reversed_minor, row.taken) != (reversed.0, taken.0) {
            return Err(Fault::ReversedElsewhere(payment.clone()));
        }
        (row.reversed_minor, row.taken) = (reversed.1, taken.1);
        row.reversals += 1;
        row.status = match reversed.1 == paid.amount_minor {
            true => PaymentStatus::Refunded,
            false => PaymentStatus::Completed,
        };
        Ok(())
    }

    fn see(&mut self, entry: &Entry) -> Result<(), Fault> {
        let Detail::Subscription { was, is } = &entry.detail else { return Ok(()) };
        let Account { subscriptions, openings, tried, .. } = &mut self.account;
        let index = subscriptions.iter().position(|held| held.seen.id == is.id);
        if index.map(|index| &subscriptions[index].seen) != was.as_deref() {
            return Err(Fault::NotSo(is.id.clone()));
        }
        match index {
            Some(index) if is.status.is_final() => drop(subscriptions.remove(index)),
            Some(index) => subscriptions[index].seen = (**is).clone(),
            None if is.status.is_final() => {}
            None => subscriptions.push(Subscription::new((**is).clone())),
        }
        if is.trial_end.is_some() {
            tried.get_or_insert_with(|| is.id.clone());
        }
        if is.is_live(entry.at) {
            openings.retain(|opening| opening.group != is.group);
        }
        Ok(())
    }

    fn open(&mut self, entry: &Entry, request: &CheckoutRequest) {
        self.account.customer.get_or_insert_with(|| request.customer.clone());
        let (Item::Plan { id, .. }, Some(group), None) = (&request.item, &request.group, &request.joins)
        else {
            return;
        };
        self.account.openings.retain(|opening| opening.group != *group);
        self.account.openings.push(Opening {
            group: group.clone(),
            plan: id.clone(),
            cause: entry.cause.clone(),
            until: request.expires_at,
        });
    }
}

/// The order in which an account keeps things says nothing.
fn in_order(account: &Account) -> Account {
    let mut account = account.clone();
    account.lots.sort_by(|a, b| a.id.cmp(&b.id));
    account.holds.sort_by(|a, b| a.id.cmp(&b.id));
    account.subscriptions.sort_by(|a, b| a.seen.id.cmp(&b.seen.id));
    account.openings.sort_by(|a, b| a.group.cmp(&b.group));
    account
}

/// What was paid and is given back is booked on a closed account too, and what Stripe says of its subscriptions.
const fn outlives_closing(detail: &Detail) -> bool {
    matches!(
        detail,
        Detail::Purchase { .. }
            | Detail::Invoice { .. }
            | Detail::Reversal { .. }
            | Detail::Refund(_)
            | Detail::Subscription { .. }
    )
}
