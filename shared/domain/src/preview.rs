//! What a change of plan would bring in tokens, reckoned by the same rules that will book it.

use crate::account::Account;
use crate::alteration::PlanChange;
use crate::catalog::{Allowance, Proration, When, Window};
use crate::follow::{invoiced, observe};
use crate::ids::InvoiceId;
use crate::item::{Interval, Item};
use crate::money::{Money, Tokens};
use crate::posting::credited;
use crate::subscription::{PaidFor, PaidInvoice, Period, Seen, Slot, Status, Subscription};
use crate::time::Time;

/// Tokens that a change brings, and those that come from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokensOfChange {
    /// At once.
    pub now: Tokens,
    /// When a later change takes effect within a slot: what fills that up to the new plan's.
    pub at_change: Tokens,
    /// How many come with each slot or renewal after that, and when the first do that come whole. `None` where the
    /// plan brings none or has no limit of them, or has ended by then.
    pub then: Option<(Tokens, Window, Time)>,
}

/// The account some time from now, and what had come to it by the change.
struct Changed {
    account: Account,
    came: Tokens,
}

/// `after` is the subscription as it will be seen once it is changed, at once or at its period's end. Renewals are
/// taken to be paid, and trials to be gone on with.
pub fn tokens_of_change(account: &Account, after: &Seen, change: &PlanChange, now: Time) -> TokensOfChange {
    let next = renewed(after);
    match change.when {
        When::Now => {
            let changed = changed_at_once(account, after, change, now);
            let then = match after.status {
                Status::Trialing => from_renewal_on(&changed.account, &next).then,
                _ => from_then_on(&changed.account, after, now),
            };
            TokensOfChange { now: changed.came, at_change: Tokens::ZERO, then }
        }
        When::PeriodEnd => {
            // A planned end is given up for it now already.
            let stays = stays(account, after, now);
            from_renewal_on(stays.as_ref().unwrap_or(account), &next)
        }
    }
}

fn changed_at_once(account: &Account, after: &Seen, change: &PlanChange, now: Time) -> Changed {
    let before = account.advance(now).account;
    let held = before.subscriptions.iter().find(|held| held.seen.id == after.id);
    let restarts = held.is_none_or(|held| held.seen.period_start != after.period_start);
    let is_billed = after.status.is_billed() && (restarts || change.proration == Proration::AtOnce);
    let from = change.counted_from.max(after.period_start);
    let rest = Period { start: from, end: after.period_end };
    brought(before, after, is_billed.then_some((rest, !restarts)), now)
}

/// What comes when the next period begins with this and is paid for, and then.
fn from_renewal_on(account: &Account, next: &Seen) -> TokensOfChange {
    let begins = next.period_start;
    let whole = Period { start: begins, end: next.period_end };
    let Changed { account, came } =
        brought(account.advance(begins).account, next, Some((whole, false)), begins);
    match from_then_on(&account, next, begins) {
        Some((count, every, _)) if came == count => {
            TokensOfChange { now: Tokens::ZERO, at_change: Tokens::ZERO, then: Some((count, every, begins)) }
        }
        then => TokensOfChange { now: Tokens::ZERO, at_change: came, then },
    }
}

/// Sees a subscription so, and books its invoice if there is one: for this, and whether that is a proration.
fn brought(before: Account, after: &Seen, billed: Option<(Period, bool)>, now: Time) -> Changed {
    let seen = observe(&before, after, now);
    let came = seen.as_ref().map_or(Tokens::ZERO, |change| change.entry.entry.credited());
    let mut draft = seen.map_or(before, |change| change.account).advance(now);
    if let Some((period, proration)) = billed {
        let (paid_for, invoice) = bill(after, period, proration);
        invoiced(&mut draft, &invoice, &paid_for);
    }
    Changed { came: came.saturating_add(credited(&draft.postings)), account: draft.account }
}

/// The invoice that a change or a renewal leads to, as far as tokens go.
fn bill(after: &Seen, period: Period, proration: bool) -> (PaidFor, PaidInvoice) {
    let paid_for = PaidFor {
        item: Item::Plan { id: after.plan.clone(), interval: after.interval },
        catalog: after.catalog,
        allowance: after.allowance,
        period: Some(period),
        proration,
    };
    let invoice = PaidInvoice {
        id: InvoiceId::parse("in_preview").expect("it is one"),
        subscription: after.id.clone(),
        customer: None,
        // Not nothing: a trial's first invoice is what costs nothing.
        paid: Money { amount_minor: 1, currency: after.price.currency },
        payments: Vec::new(),
        lines: Vec::new(),
    };
    (paid_for, invoice)
}

/// The same without an end that was planned, where there was one.
fn stays(account: &Account, after: &Seen, now: Time) -> Option<Account> {
    let held = account.subscriptions.iter().find(|held| held.seen.id == after.id)?;
    let seen = Seen { cancel_at: after.cancel_at, ..held.seen.clone() };
    observe(account, &seen, now).map(|change| change.account)
}

/// The subscription in its next period.
fn renewed(seen: &Seen) -> Seen {
    let begins = seen.period_end;
    Seen {
        status: Status::Active,
        period_start: begins,
        period_end: end_of(seen.interval, begins),
        ..seen.clone()
    }
}

fn end_of(interval: Interval, from: Time) -> Time {
    match interval {
        Interval::Week => from.plus_ms(7 * crate::time::DAY_MS),
        Interval::Month => from.plus_months(1),
        Interval::Year => from.plus_months(12),
    }
}

fn from_then_on(account: &Account, after: &Seen, moment: Time) -> Option<(Tokens, Window, Time)> {
    let Some(Allowance::Tokens { count, every, .. }) = after.allowance else { return None };
    let held = account.subscriptions.iter().find(|held| held.seen.id == after.id)?;
    let first = first_whole(held, every, moment);
    after.end().is_none_or(|end| first < end).then_some((count, every, first))
}

/// The start of the first slot from a moment on that nothing was granted for.
fn first_whole(held: &Subscription, every: Window, moment: Time) -> Time {
    let free = held.granted.map_or(moment, |granted| granted.until.max(moment));
    match Slot::at(held.seen.anchor, every, free) {
        Some(slot) if slot.start == free => free,
        Some(slot) => slot.end,
        None => {
            let mut begins = held.seen.period_end;
            while begins < free {
                begins = end_of(held.seen.interval, begins);
            }
            begins
        }
    }
}
