//! Subscriptions: what Stripe says of one, and what the books keep of it.

mod due;

use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::catalog::Allowance;
use crate::cause::Cause;
use crate::ids::{CustomerId, InvoiceId, PaymentId, PlanId, PriceId, SubscriptionId};
use crate::item::{Interval, Item};
use crate::money::{Money, Tokens};
use crate::time::{MINUTE_MS, Time};

pub use due::{Due, Slot};

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

impl Subscription {
    pub fn new(seen: Seen) -> Subscription {
        Subscription { seen, paid: None, granted: None }
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
