//! The one decision: (account, command, catalog, now) → what the account becomes, or why not.

use crate::account::{Account, Lot, LotId, Source};
use crate::catalog::{Allows, Catalog, Cost};
use crate::cause::Cause;
use crate::entry::{CheckoutRequest, Detail, Entry, Opened, Place, Posting, Sealed};
use crate::ids::{ActionId, FeatureId};
use crate::money::{Money, Tokens};
use crate::payment::{Item, Payment};
use crate::request::RequestHash;
use crate::time::Time;

/// Something to be done to one account, and the fact that justifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub cause: Cause,
    /// Tells two requests under one key apart; absent where the cause is not a request.
    pub request: Option<RequestHash>,
    pub act: Act,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Credit what a payment bought. `catalog` is the version it was sold under.
    Purchase {
        payment: Payment,
        item: Item,
        catalog: u32,
    },
    Grant {
        tokens: Tokens,
        expires_at: Option<Time>,
    },
    Consume(Spend),
    Checkout(CheckoutRequest),
}

/// What is to be spent: an action's price, or a plain number of tokens, `amount` times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    pub what: What,
    pub amount: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Action { action: ActionId, tokens: Option<Tokens> },
    Tokens(Tokens),
}

/// What an accepted command comes to: the account afterwards, and the entry that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub fence: Fence,
    pub account: Account,
    pub entry: Sealed,
    /// The payment's row, written with the entry that credited it.
    pub payment: Option<PaymentRow>,
}

/// Which account was decided upon. A write holds only if it is still that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    pub seq: u64,
    pub obs: u64,
}

/// The state of one payment. Its money fields are written only with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRow {
    pub payment: crate::ids::PaymentId,
    pub item: Item,
    pub paid: Money,
    pub granted: Tokens,
    pub reversed_minor: i64,
    pub taken: Tokens,
    pub status: PaymentStatus,
    pub at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    Completed,
}

/// Why a command was refused. A refusal changes nothing and is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Short {
        needed: Tokens,
        available: Tokens,
    },
    UnknownAction(ActionId),
    UnknownItem(Item),
    FeatureNotIncluded(FeatureId),
    /// The action's price is a range, and the caller must say how many tokens within it.
    TokensOutOfRange {
        min: Tokens,
        max: Tokens,
    },
    /// The result would be beyond what an account may hold.
    TooManyTokens,
}

/// Decides one command. Pure: the same arguments always give the same bytes.
pub fn decide(account: &Account, command: &Command, catalog: &Catalog, now: Time) -> Result<Change, Refusal> {
    let (account_now, lapsed) = account.advance(now);
    let mut draft = Draft { account: account_now, postings: lapsed, opened: Vec::new(), payment: None };
    let detail = match &command.act {
        Act::Purchase { payment, item, catalog: version } => {
            draft.purchase(payment, item, catalog)?;
            let (paid, customer) = (payment.paid, payment.customer.clone());
            Detail::Purchase { item: item.clone(), catalog: *version, paid, customer }
        }
        Act::Grant { tokens, expires_at } => {
            draft.credit(LotId::grant(&command.cause), Source::Grant, *tokens, *expires_at)?;
            Detail::Grant
        }
        Act::Consume(spend) => {
            draft.consume(spend, catalog)?;
            let action = match &spend.what {
                What::Action { action, .. } => Some(action.clone()),
                What::Tokens(_) => None,
            };
            Detail::Consume { action, amount: spend.amount }
        }
        Act::Checkout(request) => {
            // The first stays: two requests that race to create one must not take turns.
            draft.account.customer.get_or_insert_with(|| request.customer.clone());
            Detail::Checkout(request.clone())
        }
    };
    Ok(draft.seal(account, command, detail))
}

/// An account on its way to its next version.
struct Draft {
    account: Account,
    postings: Vec<Posting>,
    opened: Vec<Opened>,
    payment: Option<PaymentRow>,
}

impl Draft {
    fn purchase(&mut self, payment: &Payment, item: &Item, catalog: &Catalog) -> Result<(), Refusal> {
        let Item::Package { id, quantity } = item;
        let package = catalog.packages.get(id).ok_or_else(|| Refusal::UnknownItem(item.clone()))?;
        let times = u64::from(*quantity);
        let bought = package.tokens.checked_mul(times).ok_or(Refusal::TooManyTokens)?;
        let bonus = package.bonus.checked_mul(times).ok_or(Refusal::TooManyTokens)?;
        self.credit(LotId::purchase(&payment.id), Source::Purchase, bought, None)?;
        self.credit(LotId::bonus(&payment.id), Source::Bonus, bonus, None)?;
        self.payment = Some(PaymentRow {
            payment: payment.id.clone(),
            item: item.clone(),
            paid: payment.paid,
            granted: bought.checked_add(bonus).ok_or(Refusal::TooManyTokens)?,
            reversed_minor: 0,
            taken: Tokens::ZERO,
            status: PaymentStatus::Completed,
            at: self.account.at,
        });
        Ok(())
    }

    /// Tokens from the world: a debt is paid first, the rest opens a lot.
    fn credit(
        &mut self,
        lot: LotId,
        source: Source,
        tokens: Tokens,
        end: Option<Time>,
    ) -> Result<(), Refusal> {
        let to_debt = tokens.min(self.account.debt);
        let to_lot = tokens.saturating_sub(to_debt);
        let available = self.account.balances().available;
        available.checked_add(to_lot).ok_or(Refusal::TooManyTokens)?;
        self.account.debt = self.account.debt.saturating_sub(to_debt);
        self.post(Place::World, Place::Debt, to_debt, None);
        if !to_lot.is_zero() {
            self.post(Place::World, Place::Lot, to_lot, Some(lot.clone()));
            let opened_at = self.account.at;
            let lot = Lot { id: lot, source, remaining: to_lot, expires_at: end, opened_at };
            self.opened.push(Opened::of(&lot));
            self.account.lots.push(lot);
        }
        Ok(())
    }

    fn consume(&mut self, spend: &Spend, catalog: &Catalog) -> Result<(), Refusal> {
        let each = self.price(&spend.what, catalog)?;
        let needed = each.checked_mul(spend.amount).ok_or(Refusal::TooManyTokens)?;
        if self.account.has_unlimited_tokens(catalog) {
            self.post(Place::World, Place::Spent, needed, None);
            return Ok(());
        }
        let available = self.account.balances().available;
        if available < needed {
            return Err(Refusal::Short { needed, available });
        }
        self.burn(needed);
        Ok(())
    }

    fn price(&self, what: &What, catalog: &Catalog) -> Result<Tokens, Refusal> {
        let (id, tokens) = match what {
            What::Tokens(tokens) => return Ok(*tokens),
            What::Action { action, tokens } => (action, tokens),
        };
        let action = catalog.actions.get(id).ok_or_else(|| Refusal::UnknownAction(id.clone()))?;
        if let Some(feature) = &action.requires {
            let included = self.account.plan(catalog).1.features.get(feature);
            if matches!(included, None | Some(Allows::Flag(false) | Allows::AtMost(0))) {
                return Err(Refusal::FeatureNotIncluded(feature.clone()));
            }
        }
        let (min, max) = match action.cost {
            Cost::Fixed(price) => (price, price),
            Cost::Range { min, max } => (min, max),
        };
        match tokens {
            None if min == max => Ok(min),
            Some(tokens) if (min..=max).contains(tokens) => Ok(*tokens),
            _ => Err(Refusal::TokensOutOfRange { min, max }),
        }
    }

    /// Takes tokens from the lots in burn order; the caller has checked that there are enough.
    fn burn(&mut self, needed: Tokens) {
        self.account.lots.sort_by(|a, b| a.burn_order().cmp(&b.burn_order()));
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

    fn post(&mut self, from: Place, to: Place, amount: Tokens, lot: Option<LotId>) {
        if !amount.is_zero() {
            self.postings.push(Posting { from, to, amount, lot, at: None });
        }
    }

    fn seal(mut self, before: &Account, command: &Command, detail: Detail) -> Change {
        // One order whatever the history, so that equal accounts have equal bytes.
        self.account.lots.sort_by(|a, b| a.burn_order().cmp(&b.burn_order()));
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
            cause: command.cause.clone(),
            detail,
            postings: self.postings,
            opened: self.opened,
            after,
            request: command.request.clone(),
        };
        let entry = entry.seal(before.head);
        let account = Account { seq: before.seq + 1, head: entry.hash, ..self.account };
        let fence = Fence { seq: before.seq, obs: before.obs };
        Change { fence, account, entry, payment: self.payment }
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

impl PaymentStatus {
    pub const fn name(self) -> &'static str {
        match self {
            PaymentStatus::Completed => "completed",
        }
    }
}
