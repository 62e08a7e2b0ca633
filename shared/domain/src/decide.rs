//! The one decision: (account, command, catalog, now) → what the account becomes, or why not.

use crate::account::Account;
use crate::catalog::{Allows, Cost, Shelf};
use crate::cause::Cause;
use crate::draft::Draft;
use crate::entry::{CheckoutRequest, Detail, Place, Sealed};
use crate::hold::{Hold, MOST_HOLDS};
use crate::ids::{ActionId, FeatureId, HoldId, PaymentId, RequestKey};
use crate::item::Item;
use crate::lot::{Lot, LotId, Source};
use crate::money::{Money, Tokens};
use crate::payment::Payment;
use crate::request::RequestHash;
use crate::subscription::{Opening, PaidFor, PaidInvoice, Seen, Subscription};
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
    /// A subscription was paid for; the account has seen it before.
    Invoice {
        invoice: PaidInvoice,
        paid_for: PaidFor,
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

/// How much of a hold is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Captured {
    All,
    Tokens(Tokens),
    Nothing,
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
    /// The lots that it opened, in the order in which they are taken back.
    pub funded: Vec<Funded>,
    /// Refunded or disputed, in all.
    pub reversed_minor: i64,
    /// Taken back for that, in all.
    pub taken: Tokens,
    /// How often that has changed.
    pub reversals: u32,
    pub status: PaymentStatus,
    pub at: Time,
}

/// A lot that a payment opened, and with how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Funded {
    pub lot: LotId,
    pub source: Source,
    pub tokens: Tokens,
    pub expires_at: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    Completed,
    /// Nothing of it is left.
    Refunded,
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
    TooManyHolds,
    /// It has expired, or never was.
    NoSuchHold(HoldId),
    /// More than was set aside.
    BeyondHold {
        held: Tokens,
    },
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
pub fn observe(account: &Account, seen: &Seen, now: Time) -> Option<Change> {
    let known = account.subscriptions.iter().find(|held| held.seen.id == seen.id);
    let has_ended = seen.status.is_final();
    match known {
        None if has_ended => return None,
        Some(held) if held.seen == *seen => return None,
        _ => {}
    }
    let was = known.map(|held| Box::new(held.seen.clone()));
    let mut draft = ending_as(account, seen, now).advance(now);
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
    draft.settle_time();
    let cause = Cause::Seen { user: account.user.clone(), seq: account.seq + 1 };
    let detail = Detail::Subscription { was, is: Box::new(seen.clone()) };
    let (after, entry) = draft.seal(account, cause, None, detail);
    let account_after = Account { obs: account.obs + 1, ..after };
    Some(Change { fence: Fence::of(account), account: account_after, entry, payments: Vec::new() })
}

/// Time runs by the end that is known now: after an end nothing drips any more, and an end that was taken back
/// takes nothing away.
fn ending_as(account: &Account, seen: &Seen, now: Time) -> Account {
    let mut account = account.clone();
    if let Some(held) = account.subscriptions.iter_mut().find(|held| held.seen.id == seen.id) {
        held.seen.cancel_at = seen.cancel_at;
        held.seen.ended_at = seen.ended_at;
        if seen.status.is_final() {
            held.seen.ended_at = Some(seen.end().map_or(now, |end| end.min(now)));
        }
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
    let funded = |lot, source, tokens| Funded { lot, source, tokens, expires_at: None };
    let mut funded = vec![
        funded(LotId::purchase(&payment.id), Source::Purchase, bought),
        funded(LotId::bonus(&payment.id), Source::Bonus, bonus),
    ];
    funded.retain(|lot| !lot.tokens.is_zero());
    let row = PaymentRow::completed(payment.id.clone(), item.clone(), payment.paid, draft.account.at);
    Ok(row.funding(funded))
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
    let hold = holds.remove(index);
    draft.capture(hold, captured);
    Ok(Detail::HoldEnd { hold: id.clone(), captured, key: key.clone() })
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

/// Books a paid invoice, and grants what it pays for. One of a subscription that has ended brings nothing more.
fn invoiced(draft: &mut Draft, invoice: &PaidInvoice, paid_for: &PaidFor) -> Vec<PaymentRow> {
    let mut held = draft.account.subscriptions.iter();
    let index = held.position(|held| held.seen.id == invoice.subscription);
    let mut funded = None;
    if let Some(index) = index {
        let now = draft.account.at;
        let held = &mut draft.account.subscriptions[index];
        let due = held.invoiced(paid_for, invoice.paid, now);
        held.pay(paid_for);
        if let Some(due) = due {
            funded = due.grant.map(|(tokens, slot)| Funded {
                lot: LotId::allowance(&invoice.subscription, slot),
                source: Source::Allowance,
                tokens,
                expires_at: Some(slot.end),
            });
            draft.grant(index, due);
        }
        draft.settle_time();
    }
    // Of several payments the first answers for all that the invoice granted.
    let mut rows = Vec::new();
    for (payment, amount_minor) in &invoice.payments {
        let paid = Money { amount_minor: *amount_minor, currency: invoice.paid.currency };
        let row = PaymentRow::completed(payment.clone(), paid_for.item.clone(), paid, draft.account.at);
        rows.push(row.funding(funded.take().into_iter().collect()));
    }
    rows
}

/// What it comes to that so much of a payment is reversed, by refunds and disputes together. Only the difference
/// to what was known is moved, either way. `None` if that is nothing new.
///
/// The account must have been read before the row, and the row before Stripe was asked.
pub fn reverse(account: &Account, row: &PaymentRow, reversed_minor: i64, now: Time) -> Option<Change> {
    let reversed_minor = reversed_minor.clamp(0, row.paid.amount_minor);
    if reversed_minor == row.reversed_minor {
        return None;
    }
    let taken = row.to_take(reversed_minor);
    let mut draft = account.advance(now);
    if taken > row.taken {
        claw_back(&mut draft, row, taken.saturating_sub(row.taken));
    } else {
        restore(&mut draft, row, row.taken.saturating_sub(taken));
    }
    let number = row.reversals + 1;
    let cause = Cause::Reversal { payment: row.payment.clone(), number };
    let detail = Detail::Reversal {
        payment: row.payment.clone(),
        item: row.item.clone(),
        paid: row.paid,
        reversed: (row.reversed_minor, reversed_minor),
        taken: (row.taken, taken),
    };
    let status = match reversed_minor == row.paid.amount_minor {
        true => PaymentStatus::Refunded,
        false => PaymentStatus::Completed,
    };
    let row = PaymentRow { reversed_minor, taken, reversals: number, status, ..row.clone() };
    let (after, entry) = draft.seal(account, cause, None, detail);
    let after = Account { obs: account.obs + 1, ..after };
    Some(Change { fence: Fence::of(account), account: after, entry, payments: vec![row] })
}

/// From the payment's own lots, then from other bought ones; the rest is owed. Held tokens are never touched.
fn claw_back(draft: &mut Draft, row: &PaymentRow, wanted: Tokens) {
    let mut missing = wanted;
    draft.account.sort_lots();
    let bought =
        draft.account.lots.iter().filter(|lot| matches!(lot.source, Source::Purchase | Source::Bonus));
    let others: Vec<LotId> = bought.map(|lot| lot.id.clone()).collect();
    for lot in row.funded.iter().map(|funded| &funded.lot).chain(&others) {
        missing = missing.saturating_sub(draft.claw(lot, missing));
    }
    draft.owe(missing);
}

/// A debt is paid first; the rest goes back into the payment's own lots, with their old expiry.
fn restore(draft: &mut Draft, row: &PaymentRow, tokens: Tokens) {
    let mut left = draft.forgive(tokens);
    for funded in &row.funded {
        let room = funded.tokens.saturating_sub(draft.remaining(&funded.lot));
        let part = left.min(room);
        left = left.saturating_sub(part);
        draft.put_back(funded.lot.clone(), funded.source, funded.expires_at, part);
    }
    // More than the lots ever had cannot have been taken; should it be, it is not lost.
    if let Some(first) = row.funded.first() {
        draft.put_back(first.lot.clone(), first.source, first.expires_at, left);
    }
}

impl PaymentRow {
    /// How many tokens a reversal of so much takes back: its share, and everything when nothing is left.
    fn to_take(&self, reversed_minor: i64) -> Tokens {
        let (reversed, paid) = (i128::from(reversed_minor), i128::from(self.paid.amount_minor));
        if reversed >= paid {
            return self.granted;
        }
        let share = i128::from(self.granted.get()) * reversed / paid;
        u64::try_from(share).ok().and_then(Tokens::new).unwrap_or(Tokens::ZERO)
    }

    fn funding(self, funded: Vec<Funded>) -> PaymentRow {
        let granted = funded.iter().fold(Tokens::ZERO, |sum, lot| sum.saturating_add(lot.tokens));
        PaymentRow { granted, funded, ..self }
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

impl Fence {
    pub fn of(account: &Account) -> Fence {
        Fence { seq: account.seq, obs: account.obs }
    }
}

impl PaymentRow {
    fn completed(payment: PaymentId, item: Item, paid: Money, at: Time) -> PaymentRow {
        PaymentRow {
            payment,
            item,
            paid,
            granted: Tokens::ZERO,
            funded: Vec::new(),
            reversed_minor: 0,
            taken: Tokens::ZERO,
            reversals: 0,
            status: PaymentStatus::Completed,
            at,
        }
    }
}

impl PaymentStatus {
    pub const ALL: [PaymentStatus; 2] = [PaymentStatus::Completed, PaymentStatus::Refunded];

    pub const fn name(self) -> &'static str {
        match self {
            PaymentStatus::Completed => "completed",
            PaymentStatus::Refunded => "refunded",
        }
    }
}
