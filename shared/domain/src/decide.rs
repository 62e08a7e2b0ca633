//! The one decision: (account, command, catalog, now) → what the account becomes, or why not.

use crate::account::Account;
use crate::alteration::Alteration;
use crate::catalog::{Allows, Cost, Shelf};
use crate::cause::Cause;
use crate::change::{Change, Fence};
use crate::draft::Draft;
use crate::entry::{CheckoutRequest, Detail, RefundRequest};
use crate::follow::invoiced;
use crate::hold::{Hold, MOST_HOLDS};
use crate::ids::{ActionId, FeatureId, HoldId, PlanId, RequestKey, SubscriptionId, UserId};
use crate::item::Item;
use crate::lot::{Lot, LotId, Source};
use crate::money::Tokens;
use crate::mutants::Mutant;
use crate::payment::{Payment, PaymentRow};
use crate::posting::Place;
use crate::privacy::KeyedHash;
use crate::request::RequestHash;
use crate::subscription::{Opening, PaidFor, PaidInvoice, Seen};
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
    Grant(Grant),
    Consume(Spend),
    /// Set aside what a spending would take, until it is captured, released or over.
    Hold {
        spend: Spend,
        expires_at: Time,
    },
    /// Spend a hold, or a part of it, and give the rest back. Nothing of it is a release.
    EndHold {
        hold: HoldId,
        wanted: Captured,
        key: RequestKey,
    },
    Checkout(CheckoutRequest),
    /// Ask Stripe to alter a subscription.
    Alter(Alteration),
    /// Ask Stripe to give money back.
    Refund(RefundRequest),
    /// Let go of everything that the account has, for ever.
    Close {
        operator: UserId,
    },
    /// A subscription was paid for; the account has seen it before.
    Invoice {
        invoice: PaidInvoice,
        paid_for: PaidFor,
    },
}

/// Tokens that an operator gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub tokens: Tokens,
    pub expires_at: Option<Time>,
    pub operator: Option<UserId>,
    /// Of why; the words themselves stand beside the books.
    pub note: Option<KeyedHash>,
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

/// How much of a hold is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Captured {
    All,
    Tokens(Tokens),
    Nothing,
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
    /// A subscription of the same group is live.
    AlreadySubscribed(Box<Seen>),
    /// The account has none of that id, or it has ended.
    NoSuchSubscription(SubscriptionId),
    /// It is so already, or is going to be.
    NothingToAlter(Box<Seen>),
    /// A subscription stays in its group.
    AnotherGroup {
        has: String,
        wanted: String,
    },
    TooManySeats {
        most: u32,
    },
    /// Until its first payment is made, a subscription can only be paid or given up.
    NotBegun(SubscriptionId),
    /// While one plan is tried, another is had that cannot be.
    NotTried(PlanId),
    TooManyHolds,
    /// It has expired, or never was.
    NoSuchHold(HoldId),
    /// More than was set aside.
    BeyondHold {
        held: Tokens,
    },
    /// Another checkout for a plan of the same group may still be paid.
    Opening(Box<Opening>),
    /// Its user was erased.
    Closed,
}

/// Decides one command. Pure: the same arguments always give the same bytes.
pub fn decide(account: &Account, command: &Command, shelf: &Shelf, now: Time) -> Result<Change, Refusal> {
    if account.closed.is_some() && !command.act.is_about_money() {
        return Err(Refusal::Closed);
    }
    let mut draft = account.advance(now);
    let mut payments = Vec::new();
    let detail = match &command.act {
        Act::Purchase { payment, item, catalog } => {
            let (tokens, bonus) = bought(item, *catalog, shelf)?;
            payments.push(purchase(&mut draft, payment, item, tokens, bonus)?);
            let (paid, customer) = (payment.paid, payment.customer.clone());
            Detail::Purchase { item: item.clone(), catalog: *catalog, paid, customer, tokens, bonus }
        }
        Act::Grant(grant) => {
            let lot = LotId::grant(&command.cause);
            credit(&mut draft, lot, Source::Grant, grant.tokens, grant.expires_at)?;
            Detail::Grant { operator: grant.operator.clone(), note: grant.note }
        }
        Act::Consume(spend) => {
            consume(&mut draft, spend, shelf)?;
            Detail::Consume { action: spend.action(), amount: spend.amount }
        }
        Act::Hold { spend, expires_at } => hold(&mut draft, &command.cause, spend, *expires_at, shelf)?,
        Act::EndHold { hold, wanted, key } => end_hold(&mut draft, hold, *wanted, key)?,
        Act::Checkout(request) => {
            lock(&mut draft, &command.cause, request)?;
            // The first stays: two requests that race to create one must not take turns.
            draft.account.customer.get_or_insert_with(|| request.customer.clone());
            Detail::Checkout(request.clone())
        }
        Act::Alter(alteration) => {
            alteration.check(&draft.account)?;
            Detail::Alteration(alteration.clone())
        }
        Act::Refund(request) => Detail::Refund(request.clone()),
        Act::Close { operator } => {
            draft.close();
            Detail::Closing { operator: operator.clone() }
        }
        Act::Invoice { invoice, paid_for } => {
            payments = invoiced(&mut draft, invoice, paid_for);
            Detail::Invoice {
                item: paid_for.item.clone(),
                catalog: paid_for.catalog,
                invoice: invoice.id.clone(),
                subscription: invoice.subscription.clone(),
                paid: invoice.paid,
                payments: invoice.payments.clone(),
                period: paid_for.period,
                customer: invoice.customer.clone(),
                funded: payments.first().and_then(PaymentRow::answers_for),
            }
        }
    };
    let (cause, request) = (command.cause.clone(), command.request.clone());
    let (after, entry) = draft.seal(account, cause, request, detail);
    Ok(Change { fence: Fence::of(account), account: after, entry, payments })
}

/// The tokens and the bonus that an item comes to.
fn bought(item: &Item, catalog: u32, shelf: &Shelf) -> Result<(Tokens, Tokens), Refusal> {
    let unknown = || Refusal::UnknownItem(item.clone());
    let Item::Package { id, quantity } = item else { return Err(unknown()) };
    let package = shelf.version(catalog).and_then(|catalog| catalog.packages.get(id)).ok_or_else(unknown)?;
    let times = u64::from(*quantity);
    let tokens = package.tokens.checked_mul(times).ok_or(Refusal::TooManyTokens)?;
    let bonus = package.bonus.checked_mul(times).ok_or(Refusal::TooManyTokens)?;
    Ok((tokens, bonus))
}

fn purchase(
    draft: &mut Draft,
    payment: &Payment,
    item: &Item,
    tokens: Tokens,
    bonus: Tokens,
) -> Result<PaymentRow, Refusal> {
    credit(draft, LotId::purchase(&payment.id), Source::Purchase, tokens, None)?;
    credit(draft, LotId::bonus(&payment.id), Source::Bonus, bonus, None)?;
    let row = PaymentRow::bought(payment, item.clone(), draft.account.at, tokens, bonus);
    Ok(row)
}

/// Opens a lot, if that stays within what an account may hold.
fn credit(
    draft: &mut Draft,
    id: LotId,
    source: Source,
    tokens: Tokens,
    expires_at: Option<Time>,
) -> Result<(), Refusal> {
    let to_lot = tokens.saturating_sub(draft.account.debt);
    draft.account.balances().available.checked_add(to_lot).ok_or(Refusal::TooManyTokens)?;
    let opened_at = draft.account.at;
    let lot = Lot { id, source, remaining: Tokens::ZERO, expires_at, opened_at };
    draft.credit_at(opened_at, lot, tokens);
    Ok(())
}

fn consume(draft: &mut Draft, spend: &Spend, shelf: &Shelf) -> Result<(), Refusal> {
    take(draft, Place::Spent, spend, shelf).map(drop)
}

/// Moves what a spending comes to out of the lots. Under a plan with unlimited tokens it comes from nowhere:
/// that much is answered beside the parts.
fn take(draft: &mut Draft, to: Place, spend: &Spend, shelf: &Shelf) -> Result<(Vec<Lot>, Tokens), Refusal> {
    let each = price(&draft.account, &spend.what, shelf)?;
    let needed = each.checked_mul(spend.amount).ok_or(Refusal::TooManyTokens)?;
    if draft.account.has_unlimited_tokens(shelf) {
        draft.post(Place::World, to, needed, None);
        return Ok((Vec::new(), needed));
    }
    let available = draft.account.balances().available;
    if available < needed {
        return Err(Refusal::Short { needed, available });
    }
    Ok((draft.burn(to, needed), Tokens::ZERO))
}

fn hold(
    draft: &mut Draft,
    cause: &Cause,
    spend: &Spend,
    expires_at: Time,
    shelf: &Shelf,
) -> Result<Detail, Refusal> {
    if draft.account.holds.len() >= MOST_HOLDS {
        return Err(Refusal::TooManyHolds);
    }
    let (parts, unlimited) = take(draft, Place::Held, spend, shelf)?;
    let hold = Hold { id: Hold::id_of(cause), expires_at, parts, unlimited };
    draft.account.balances().held.checked_add(hold.tokens()).ok_or(Refusal::TooManyTokens)?;
    let detail =
        Detail::Hold { hold: hold.id.clone(), action: spend.action(), tokens: hold.tokens(), expires_at };
    draft.account.holds.push(hold);
    Ok(detail)
}

fn end_hold(draft: &mut Draft, id: &HoldId, wanted: Captured, key: &RequestKey) -> Result<Detail, Refusal> {
    let holds = &mut draft.account.holds;
    let index = holds.iter().position(|hold| hold.id == *id);
    let index = index.ok_or_else(|| Refusal::NoSuchHold(id.clone()))?;
    let held = holds[index].tokens();
    let captured = match wanted {
        Captured::All => held,
        Captured::Nothing => Tokens::ZERO,
        Captured::Tokens(tokens) if tokens > held => return Err(Refusal::BeyondHold { held }),
        Captured::Tokens(tokens) => tokens,
    };
    let hold = if Mutant::HoldResolvedTwice.lives() { holds[index].clone() } else { holds.remove(index) };
    draft.capture(hold, captured);
    let returned = held.saturating_sub(captured);
    Ok(Detail::HoldEnd { hold: id.clone(), captured, returned, key: key.clone() })
}

fn price(account: &Account, what: &What, shelf: &Shelf) -> Result<Tokens, Refusal> {
    let (id, tokens) = match what {
        What::Tokens(tokens) => return Ok(*tokens),
        What::Action { action, tokens } => (action, tokens),
    };
    let action = shelf.current().actions.get(id).ok_or_else(|| Refusal::UnknownAction(id.clone()))?;
    if let Some(feature) = &action.requires {
        let allows = account.features(shelf).get(feature).map(|(_, allows)| *allows);
        if matches!(allows, None | Some(Allows::Flag(false) | Allows::AtMost(0))) {
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

/// Of one group a user has one subscription, and one checkout that could become one. Only Stripe knows whether
/// a checkout that should be over was paid in its last moment, so the lock opens by what Stripe says.
fn lock(draft: &mut Draft, cause: &Cause, request: &CheckoutRequest) -> Result<(), Refusal> {
    let (Item::Plan { id, .. }, Some(group), None) = (&request.item, &request.group, &request.joins) else {
        return Ok(());
    };
    if let Some(held) = draft.account.live_subscription(group, id) {
        return Err(Refusal::AlreadySubscribed(Box::new(held.seen.clone())));
    }
    let openings = &mut draft.account.openings;
    if let Some(opening) = openings.iter().find(|opening| opening.group == *group)
        && request.replaces.as_ref() != Some(&opening.cause)
    {
        return Err(Refusal::Opening(Box::new(opening.clone())));
    }
    openings.retain(|opening| opening.group != *group);
    openings.push(Opening {
        group: group.clone(),
        plan: id.clone(),
        cause: cause.clone(),
        until: request.expires_at,
    });
    Ok(())
}

impl Act {
    /// Whether it books or gives back what was paid: that happens to closed accounts too.
    const fn is_about_money(&self) -> bool {
        matches!(self, Act::Purchase { .. } | Act::Invoice { .. } | Act::Refund(_))
    }
}

impl Spend {
    fn action(&self) -> Option<ActionId> {
        match &self.what {
            What::Action { action, .. } => Some(action.clone()),
            What::Tokens(_) => None,
        }
    }
}
