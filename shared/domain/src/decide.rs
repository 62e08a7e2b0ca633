//! The one decision: (account, command, catalog, now) → what the account becomes, or why not.

use crate::account::Account;
use crate::catalog::{Allows, Cost, Shelf};
use crate::cause::Cause;
use crate::draft::Draft;
use crate::entry::{CheckoutRequest, Detail, Place, Sealed};
use crate::ids::{ActionId, CustomerId, FeatureId, PaymentId};
use crate::item::Item;
use crate::lot::{Lot, LotId, Source};
use crate::money::{Money, Tokens};
use crate::payment::Payment;
use crate::request::RequestHash;
use crate::subscription::{Opening, PaidInvoice, Seen, Subscription};
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
    /// A subscription was paid for; the account has seen it before.
    Invoice {
        invoice: PaidInvoice,
        item: Item,
        catalog: u32,
    },
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
    /// The rows of the payments that it books, written with the entry.
    pub payments: Vec<PaymentRow>,
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
    pub payment: PaymentId,
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
    /// A subscription of the same group is live.
    AlreadySubscribed(Box<Seen>),
    /// Another checkout for a plan of the same group may still be paid.
    Opening(Box<Opening>),
}

/// Decides one command. Pure: the same arguments always give the same bytes.
pub fn decide(account: &Account, command: &Command, shelf: &Shelf, now: Time) -> Result<Change, Refusal> {
    let mut draft = account.advance(now);
    let mut payments = Vec::new();
    let detail = match &command.act {
        Act::Purchase { payment, item, catalog } => {
            payments.push(purchase(&mut draft, payment, item, *catalog, shelf)?);
            let (paid, customer) = (payment.paid, payment.customer.clone());
            Detail::Purchase { item: item.clone(), catalog: *catalog, paid, customer }
        }
        Act::Grant { tokens, expires_at } => {
            credit(&mut draft, LotId::grant(&command.cause), Source::Grant, *tokens, *expires_at)?;
            Detail::Grant
        }
        Act::Consume(spend) => {
            consume(&mut draft, spend, shelf)?;
            let action = match &spend.what {
                What::Action { action, .. } => Some(action.clone()),
                What::Tokens(_) => None,
            };
            Detail::Consume { action, amount: spend.amount }
        }
        Act::Checkout(request) => {
            lock(&mut draft, &command.cause, request)?;
            // The first stays: two requests that race to create one must not take turns.
            draft.account.customer.get_or_insert_with(|| request.customer.clone());
            Detail::Checkout(request.clone())
        }
        Act::Invoice { invoice, item, catalog } => {
            payments = invoiced(&mut draft, invoice, item);
            Detail::Invoice {
                item: item.clone(),
                catalog: *catalog,
                invoice: invoice.id.clone(),
                subscription: invoice.subscription.clone(),
                paid: invoice.paid,
                payments: invoice.payments.clone(),
                period: invoice.period,
                customer: invoice.customer.clone(),
            }
        }
    };
    let (cause, request) = (command.cause.clone(), command.request.clone());
    let (after, entry) = draft.seal(account, cause, request, detail);
    Ok(Change { fence: Fence::of(account), account: after, entry, payments })
}

/// What it comes to that Stripe says this of a subscription. `None` if that is nothing new.
///
/// The account must have been read before Stripe was asked: the fence then keeps an older look from overwriting
/// a newer one.
pub fn observe(account: &Account, seen: &Seen, customer: Option<&CustomerId>, now: Time) -> Option<Change> {
    let known = account.subscriptions.iter().find(|held| held.seen.id == seen.id);
    let has_ended = seen.status.is_final();
    match known {
        None if has_ended => return None,
        Some(held) if held.seen == *seen => return None,
        _ => {}
    }
    let was = known.map(|held| Box::new(held.seen.clone()));
    let mut draft = before_ending(account, seen, now).advance(now);
    let now = draft.account.at;
    let held = &mut draft.account.subscriptions;
    match held.iter_mut().find(|held| held.seen.id == seen.id) {
        Some(_) if has_ended => held.retain(|held| held.seen.id != seen.id),
        Some(known) => known.see(seen.clone(), now),
        None => held.push(Subscription::new(seen.clone())),
    }
    if seen.is_live(now) {
        draft.account.openings.retain(|opening| opening.group != seen.group);
    }
    if let Some(customer) = customer {
        draft.account.customer.get_or_insert_with(|| customer.clone());
    }
    draft.settle_time();
    let cause = Cause::Seen { user: account.user.clone(), seq: account.seq + 1 };
    let detail = Detail::Subscription { was, is: Box::new(seen.clone()) };
    let (after, entry) = draft.seal(account, cause, None, detail);
    let account_after = Account { obs: account.obs + 1, ..after };
    Some(Change { fence: Fence::of(account), account: account_after, entry, payments: Vec::new() })
}

/// Time runs up to an end, and no further: what would have dripped after it never does.
fn before_ending(account: &Account, seen: &Seen, now: Time) -> Account {
    let mut account = account.clone();
    if seen.status.is_final()
        && let Some(held) = account.subscriptions.iter_mut().find(|held| held.seen.id == seen.id)
    {
        held.seen.ended_at = Some(seen.end().map_or(now, |end| end.min(now)));
    }
    account
}

fn purchase(
    draft: &mut Draft,
    payment: &Payment,
    item: &Item,
    catalog: u32,
    shelf: &Shelf,
) -> Result<PaymentRow, Refusal> {
    let unknown = || Refusal::UnknownItem(item.clone());
    let Item::Package { id, quantity } = item else { return Err(unknown()) };
    let package = shelf.version(catalog).and_then(|catalog| catalog.packages.get(id)).ok_or_else(unknown)?;
    let times = u64::from(*quantity);
    let bought = package.tokens.checked_mul(times).ok_or(Refusal::TooManyTokens)?;
    let bonus = package.bonus.checked_mul(times).ok_or(Refusal::TooManyTokens)?;
    credit(draft, LotId::purchase(&payment.id), Source::Purchase, bought, None)?;
    credit(draft, LotId::bonus(&payment.id), Source::Bonus, bonus, None)?;
    let granted = bought.checked_add(bonus).ok_or(Refusal::TooManyTokens)?;
    Ok(PaymentRow::completed(payment.id.clone(), item.clone(), payment.paid, granted, draft.account.at))
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
    let each = price(&draft.account, &spend.what, shelf)?;
    let needed = each.checked_mul(spend.amount).ok_or(Refusal::TooManyTokens)?;
    if draft.account.has_unlimited_tokens(shelf) {
        draft.post(Place::World, Place::Spent, needed, None);
        return Ok(());
    }
    let available = draft.account.balances().available;
    if available < needed {
        return Err(Refusal::Short { needed, available });
    }
    draft.burn(needed);
    Ok(())
}

fn price(account: &Account, what: &What, shelf: &Shelf) -> Result<Tokens, Refusal> {
    let (id, tokens) = match what {
        What::Tokens(tokens) => return Ok(*tokens),
        What::Action { action, tokens } => (action, tokens),
    };
    let action = shelf.current().actions.get(id).ok_or_else(|| Refusal::UnknownAction(id.clone()))?;
    if let Some(feature) = &action.requires {
        let included = account.plan(shelf).plan.features.get(feature);
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

/// Of one group a user has one subscription, and one checkout that could become one.
fn lock(draft: &mut Draft, cause: &Cause, request: &CheckoutRequest) -> Result<(), Refusal> {
    let (Item::Plan { id, .. }, Some(group)) = (&request.item, &request.group) else { return Ok(()) };
    if let Some(held) = draft.account.live_subscription(group) {
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

/// Books a paid invoice, and grants what it pays for. One of a subscription that has ended brings nothing more.
fn invoiced(draft: &mut Draft, invoice: &PaidInvoice, item: &Item) -> Vec<PaymentRow> {
    let mut held = draft.account.subscriptions.iter();
    let index = held.position(|held| held.seen.id == invoice.subscription);
    if let Some((index, period)) = index.zip(invoice.period) {
        let held = &mut draft.account.subscriptions[index];
        held.pay_through(period.end);
        if let Some(due) = held.invoiced(period, draft.account.at) {
            draft.grant(index, due);
        }
        draft.settle_time();
    }
    let rows = invoice.payments.iter().map(|(payment, amount_minor)| {
        let paid = Money { amount_minor: *amount_minor, currency: invoice.paid.currency };
        PaymentRow::completed(payment.clone(), item.clone(), paid, Tokens::ZERO, draft.account.at)
    });
    rows.collect()
}

impl Fence {
    pub fn of(account: &Account) -> Fence {
        Fence { seq: account.seq, obs: account.obs }
    }
}

impl PaymentRow {
    fn completed(payment: PaymentId, item: Item, paid: Money, granted: Tokens, at: Time) -> PaymentRow {
        let (reversed_minor, taken) = (0, Tokens::ZERO);
        PaymentRow {
            payment,
            item,
            paid,
            granted,
            reversed_minor,
            taken,
            status: PaymentStatus::Completed,
            at,
        }
    }
}

impl PaymentStatus {
    pub const fn name(self) -> &'static str {
        match self {
            PaymentStatus::Completed => "completed",
        }
    }
}
