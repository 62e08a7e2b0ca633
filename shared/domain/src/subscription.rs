//! Subscriptions: what Stripe says of one, what the books keep of it, and what time makes of both.

use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::catalog::{Allowance, Window};
use crate::cause::Cause;
use crate::ids::{CustomerId, InvoiceId, PaymentId, PlanId, PriceId, SubscriptionId};
use crate::item::{Interval, Item};
use crate::money::{Money, Tokens};
use crate::mutants::Mutant;
use crate::time::{DAY_MS, MINUTE_MS, Time};

/// One subscription as the account keeps it. It leaves the account when Stripe has ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub seen: Seen,
    /// The latest period that was paid for. Tokens drip up to its end.
    pub paid: Option<Period>,
    /// The latest slot that was granted, so that none is granted twice.
    pub granted: Option<Granted>,
}

/// What Stripe said when it was last looked at, read by the catalog it was bought under.
/// Equal means that nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub id: SubscriptionId,
    pub plan: PlanId,
    pub group: String,
    /// The catalog version that defines the plan.
    pub catalog: u32,
    pub interval: Interval,
    pub price: Money,
    pub status: Status,
    /// When it began: slots are counted from here, unbroken over renewals.
    pub anchor: Time,
    pub period_start: Time,
    pub period_end: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_end: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// The tokens that the plan brings, for all its seats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<Allowance>,
    /// How many seats are paid for.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub quantity: u32,
    /// What it is going to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Scheduled>,
    /// What the catalog it was bought under says beyond that.
    #[serde(default, skip_serializing_if = "Terms::is_usual")]
    pub terms: Terms,
}

/// What a catalog says of a plan's subscriptions that time has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Terms {
    #[serde(default, skip_serializing_if = "Access::is_usual")]
    pub access: Access,
    /// Instead of the allowance, while it is tried.
    #[serde(default, skip_serializing_if = "Tokens::is_zero")]
    pub trial_tokens: Tokens,
    /// Whether what an upgrade brings more waits for the next slot or renewal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tokens_wait: bool,
}

/// A change that Stripe is going to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    pub plan: PlanId,
    pub interval: Interval,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub quantity: u32,
    pub at: Time,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_one(quantity: &u32) -> bool {
    *quantity == 1
}

/// Tokens granted in one slot of a drip, or in one period of a plan granted by invoices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(Time, Time, Tokens)", from = "(Time, Time, Tokens)")]
pub struct Granted {
    pub start: Time,
    /// A slot that starts before this, whatever plan it is of, gets only what it brings more.
    pub until: Time,
    pub tokens: Tokens,
}

/// Stripe's status, or that it is one invented after this was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Unpaid,
    Paused,
    Canceled,
    Unknown,
}

/// A paid invoice of a subscription: a fact, told once or often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidInvoice {
    pub id: InvoiceId,
    pub subscription: SubscriptionId,
    pub customer: Option<CustomerId>,
    pub paid: Money,
    /// Each intent that paid a part of it. None where nothing was to be paid.
    pub payments: Vec<(PaymentId, i64)>,
    /// What it charges the subscription for. Lines that give money back pay for nothing and are left out.
    pub lines: Vec<InvoiceLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceLine {
    pub price: Option<PriceId>,
    pub quantity: u32,
    pub period: Period,
    /// Made by a change in mid-period.
    pub proration: bool,
}

/// What an invoice paid for, read by the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidFor {
    pub item: Item,
    pub catalog: u32,
    pub allowance: Option<Allowance>,
    /// Absent where no line of it is the plan's.
    pub period: Option<Period>,
    /// Whether all it paid for is a change in mid-period.
    pub proration: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "(Time, Time)", from = "(Time, Time)")]
pub struct Period {
    pub start: Time,
    pub end: Time,
}

/// A Checkout for a plan that may have been paid, or may still be. It keeps a second one of the same group from being opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub group: String,
    pub plan: PlanId,
    pub cause: Cause,
    pub until: Time,
}

/// A stretch of time that is granted for once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub every: Window,
    pub index: i64,
    pub start: Time,
    pub end: Time,
}

/// What has come due of an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Granted and lapsed while nobody looked, summed, with the end of the last of them.
    pub missed: Option<(Tokens, Time)>,
    /// Into the running slot's lot.
    pub grant: Option<(Tokens, Slot)>,
    pub granted: Granted,
}

impl Status {
    const KNOWN: [Status; 8] = [
        Status::Incomplete,
        Status::IncompleteExpired,
        Status::Trialing,
        Status::Active,
        Status::PastDue,
        Status::Unpaid,
        Status::Paused,
        Status::Canceled,
    ];

    /// Nothing more will come of it.
    pub const fn is_final(self) -> bool {
        matches!(self, Status::Canceled | Status::IncompleteExpired)
    }

    /// Whether a change within its period is charged for: a trial costs nothing whatever is tried, and what is not
    /// paid for has no rest.
    pub const fn is_billed(self) -> bool {
        matches!(self, Status::Active | Status::PastDue | Status::Unknown)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Status::Incomplete => "incomplete",
            Status::IncompleteExpired => "incomplete_expired",
            Status::Trialing => "trialing",
            Status::Active => "active",
            Status::PastDue => "past_due",
            Status::Unpaid => "unpaid",
            Status::Paused => "paused",
            Status::Canceled => "canceled",
            Status::Unknown => "unknown",
        }
    }

    /// Reads Stripe's word for it.
    pub fn parse(text: &str) -> Status {
        Status::KNOWN.into_iter().find(|status| status.name() == text).unwrap_or(Status::Unknown)
    }
}

impl Seen {
    /// The status at `now`: a cancellation that has come, and a renewal that never did, need no news from Stripe.
    pub fn status_at(&self, now: Time) -> Status {
        match self.status {
            status if status.is_final() => status,
            _ if self.has_ended(now) => Status::Canceled,
            Status::Active | Status::Trialing
                if self.period_end.plus_ms(self.terms.access.renewal_grace_ms) < now =>
            {
                Status::PastDue
            }
            status => status,
        }
    }

    pub fn gives_access(&self, now: Time) -> bool {
        self.terms.access.opens(self.status_at(now))
    }

    /// Whether Stripe's last word for it opens the gate, whatever time has made of it.
    fn is_open(&self) -> bool {
        self.terms.access.opens(self.status)
    }

    /// Bars a second subscription in its group.
    pub fn is_live(&self, now: Time) -> bool {
        !self.status_at(now).is_final() && self.status != Status::Incomplete
    }

    /// When it ends, as far as that is known.
    pub fn end(&self) -> Option<Time> {
        match (self.cancel_at, self.ended_at) {
            (Some(planned), Some(ended)) => Some(planned.min(ended)),
            (planned, ended) => planned.or(ended),
        }
    }

    /// What began a moment from now by Stripe's clock has begun.
    fn by_stripes_clock(&self, now: Time) -> Time {
        let ahead_ms = self.anchor.millis().saturating_sub(now.millis());
        if (0..MINUTE_MS).contains(&ahead_ms) { self.anchor } else { now }
    }

    fn has_ended(&self, now: Time) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    /// How many unused tokens stay when a slot ends. None do when the subscription does.
    pub fn rollover(&self) -> Tokens {
        match self.allowance {
            Some(Allowance::Tokens { rollover, .. }) => rollover,
            Some(Allowance::Unlimited) | None => Tokens::ZERO,
        }
    }

    /// What decides how tokens come in: while it stays the same, one cursor counts them.
    fn dripping(&self) -> (Option<Allowance>, bool) {
        (self.allowance, self.is_open())
    }
}

impl Slot {
    /// The slot of a drip that an instant lies in, counted from the anchor.
    /// `None` before the anchor, and for allowances that a paid invoice grants.
    pub fn at(anchor: Time, every: Window, now: Time) -> Option<Slot> {
        let since_ms = now.millis() - anchor.millis();
        let index = match every {
            _ if since_ms < 0 => return None,
            Window::Day => since_ms / DAY_MS,
            Window::Week => since_ms / (7 * DAY_MS),
            Window::Month => anchor.months_until(now),
            Window::Billing => return None,
        };
        let starts = |index: i64| match every {
            Window::Day => anchor.plus_ms(index * DAY_MS),
            Window::Week => anchor.plus_ms(index * 7 * DAY_MS),
            Window::Month | Window::Billing => anchor.plus_months(index),
        };
        Some(Slot { every, index, start: starts(index), end: starts(index + 1) })
    }

    /// The billing period that an invoice paid for.
    fn billed(period: Period) -> Slot {
        Slot { every: Window::Billing, index: period.start.seconds(), start: period.start, end: period.end }
    }
}

impl Subscription {
    pub fn new(seen: Seen) -> Subscription {
        Subscription { seen, paid: None, granted: None }
    }

    /// What has come due by `now` of an allowance that drips, in closed form however long nobody looked.
    pub fn drip(&self, now: Time) -> Option<Due> {
        let Some(Allowance::Tokens { count, every, .. }) = self.seen.allowance else { return None };
        let is_tried = self.seen.status == Status::Trialing;
        let count = if is_tried { self.seen.terms.trial_tokens } else { count };
        if !self.seen.is_open() || count.is_zero() {
            return None;
        }
        let now = self.seen.by_stripes_clock(now);
        let until = self.dripping_until()?;
        let (from, until) = match self.seen.trial_end {
            Some(end) if is_tried => (self.seen.anchor, end.min(until)),
            Some(end) => (end, until),
            None => (self.seen.anchor, until),
        };
        let last_moment = until.plus_ms(-1).min(now);
        if last_moment < from {
            return None;
        }
        let slot = Slot::at(self.seen.anchor, every, last_moment)?;
        // What was heard of after the last paid slot was over finds it settled, by what was known then.
        if self.granted.is_some_and(|granted| slot.end <= granted.start) {
            return None;
        }
        let left = self.left_of(slot, count)?;
        let first = Slot::at(self.seen.anchor, every, from)?.index.max(self.next_index(every));
        let earlier = u64::try_from(slot.index - first).unwrap_or(0);
        let lapsed = count.saturating_mul(earlier);
        let running = slot.end > now && self.seen.end().is_none_or(|end| end > now);
        let missed = match running {
            true => (lapsed, slot.start),
            false => (lapsed.saturating_add(left), self.seen.end().map_or(slot.end, |end| end.min(slot.end))),
        };
        let missed = Some(missed).filter(|(tokens, _)| !tokens.is_zero());
        Some(Due { missed, grant: running.then_some((left, slot)), granted: self.granted_with(slot, count) })
    }

    /// What a paid invoice grants, where the allowance of what it paid for comes with invoices:
    /// up to the plan's, once per period.
    pub fn invoiced(&self, paid_for: &PaidFor, paid: Money, now: Time) -> Option<Due> {
        let Some(Allowance::Tokens { count, every: Window::Billing, .. }) = paid_for.allowance else {
            return None;
        };
        let period = paid_for.period.filter(|period| !paid_for.proration || self.has_paid_for(*period))?;
        if paid_for.proration && self.seen.terms.tokens_wait {
            return None;
        }
        let is_tried = paid.amount_minor == 0 && self.seen.trial_end.is_some_and(|end| period.end <= end);
        let count = if is_tried { self.seen.terms.trial_tokens } else { count };
        // A change in mid-period is billed for the rest of it, but it is still the same period.
        let whole = Period { start: self.seen.period_start, end: self.seen.period_end };
        let slot = Slot::billed(if period.end == whole.end { whole } else { period });
        let left = self.left_of(slot, count)?;
        let end = self.seen.end().map_or(slot.end, |end| end.min(slot.end));
        let granted = self.granted_with(slot, count);
        match end > now {
            true => Some(Due { missed: None, grant: Some((left, slot)), granted }),
            false => Some(Due { missed: Some((left, end)), grant: None, granted }),
        }
    }

    /// Takes over what Stripe says now. The caller has settled what came due before.
    pub fn see(&mut self, seen: Seen, now: Time) {
        let drips_otherwise = self.seen.dripping() != seen.dripping();
        self.seen = seen;
        // Where nothing was paid yet nothing was settled: what is paid for then counts from its own beginning.
        if drips_otherwise && self.paid.is_some() {
            self.skip_to(now);
            self.wait(now);
        }
    }

    /// A later period counts, whichever was heard of first: what was given up for another is not paid any more.
    pub fn pay(&mut self, paid_for: &PaidFor) {
        let Some(period) = paid_for.period else { return };
        // A change within a month that is not paid does not pay the month.
        if paid_for.proration && !self.has_paid_for(period) {
            return;
        }
        if self.paid.is_none() {
            self.skip_to(period.start);
        }
        self.paid = self.paid.max(Some(period));
    }

    /// Slots before the one around this moment are nobody's; what it was granted already counts.
    fn skip_to(&mut self, moment: Time) {
        let Some(Allowance::Tokens { every, .. }) = self.seen.allowance else { return };
        let Some(slot) = Slot::at(self.seen.anchor, every, moment) else { return };
        if self.granted.is_none_or(|granted| granted.until <= slot.start) {
            self.granted = Some(Granted { start: slot.start, until: slot.start, tokens: Tokens::ZERO });
        }
    }

    /// Where an upgrade's tokens wait, what the running slot was granted already is all that it brings. A period that
    /// begins with the change is paid in full, and waits for nothing.
    fn wait(&mut self, now: Time) {
        let Some(Allowance::Tokens { count, every, .. }) = self.seen.allowance else { return };
        let goes_on = |granted: &Granted| every != Window::Billing || granted.until == self.seen.period_end;
        let running = self.granted.filter(|granted| self.seen.terms.tokens_wait && now < granted.until);
        let running = running.filter(goes_on);
        if let Some(granted) = running.filter(|granted| !granted.tokens.is_zero()) {
            self.granted = Some(Granted { tokens: granted.tokens.max(count), ..granted });
        }
    }

    fn has_paid_for(&self, period: Period) -> bool {
        self.paid.is_some_and(|paid| paid.start <= period.start && period.start < paid.end)
    }

    /// The end of what was paid for, or of the subscription itself.
    fn dripping_until(&self) -> Option<Time> {
        let paid_through = self.paid?.end;
        Some(self.seen.end().map_or(paid_through, |end| end.min(paid_through)))
    }

    /// What a slot brings beyond what was granted for the same time already. `None` if that is nothing.
    fn left_of(&self, slot: Slot, count: Tokens) -> Option<Tokens> {
        if Mutant::AllowanceWithoutCap.lives() {
            return Some(count);
        }
        let before = self.granted.filter(|granted| slot.start < granted.until);
        let left = before.map_or(count, |granted| count.saturating_sub(granted.tokens));
        (!left.is_zero()).then_some(left)
    }

    fn granted_with(&self, slot: Slot, tokens: Tokens) -> Granted {
        let before = self.granted.filter(|granted| slot.start < granted.until);
        let until = before.map_or(slot.end, |granted| granted.until.max(slot.end));
        Granted { start: slot.start, until, tokens }
    }

    /// The first slot that may still be granted whole.
    fn next_index(&self, every: Window) -> i64 {
        let last =
            self.granted.and_then(|granted| Slot::at(self.seen.anchor, every, granted.until.plus_ms(-1)));
        last.map_or(0, |slot| slot.index + 1)
    }
}

impl Terms {
    pub fn is_usual(&self) -> bool {
        *self == Terms::default()
    }
}

impl From<Period> for (Time, Time) {
    fn from(period: Period) -> (Time, Time) {
        (period.start, period.end)
    }
}

impl From<(Time, Time)> for Period {
    fn from((start, end): (Time, Time)) -> Period {
        Period { start, end }
    }
}

impl From<Granted> for (Time, Time, Tokens) {
    fn from(granted: Granted) -> (Time, Time, Tokens) {
        (granted.start, granted.until, granted.tokens)
    }
}

impl From<(Time, Time, Tokens)> for Granted {
    fn from((start, until, tokens): (Time, Time, Tokens)) -> Granted {
        Granted { start, until, tokens }
    }
}
