//! Lots: tokens of one origin and one expiry.

use serde::{Deserialize, Serialize};

use crate::catalog::Window;
use crate::cause::Cause;
use crate::ids::{PaymentId, SubscriptionId};
use crate::money::Tokens;
use crate::subscription::{Slot, Subscription};
use crate::time::Time;

/// Tokens of one origin and one expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lot {
    pub id: LotId,
    pub source: Source,
    pub remaining: Tokens,
    pub expires_at: Option<Time>,
    pub opened_at: Time,
}

/// Where a lot's tokens came from. At equal expiry they burn in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Allowance,
    Rollover,
    Grant,
    Bonus,
    Adjustment,
    Purchase,
}

/// Derived from the lot's cause, so that the order of events does not change it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LotId(String);

/// The sums that every entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balances {
    pub available: Tokens,
    pub held: Tokens,
    pub debt: Tokens,
}

impl Lot {
    /// Earliest expiry first, then by source, then oldest.
    pub fn burn_order(&self, subscriptions: &[Subscription]) -> (Time, Source, Time, &LotId) {
        let end = self.lapses_at(subscriptions).unwrap_or(Time::from_millis(i64::MAX));
        (end, self.source, self.opened_at, &self.id)
    }

    /// At its own end, or with the subscription that gave it.
    pub fn lapses_at(&self, subscriptions: &[Subscription]) -> Option<Time> {
        match (self.expires_at, self.giver(subscriptions).and_then(|giver| giver.seen.end())) {
            (Some(own), Some(end)) => Some(own.min(end)),
            (own, end) => own.or(end),
        }
    }
}

impl Lot {
    /// The subscription that it comes from.
    pub(crate) fn giver<'a>(&self, subscriptions: &'a [Subscription]) -> Option<&'a Subscription> {
        let id = self.id.subscription()?;
        subscriptions.iter().find(|held| held.seen.id.as_str() == id)
    }

    /// Lots alike in this may merge.
    pub(crate) fn kind(&self) -> (Source, Option<Time>) {
        (self.source, self.expires_at)
    }

    pub(crate) fn with(&self, id: LotId, remaining: Tokens) -> Lot {
        Lot { id, remaining, ..self.clone() }
    }
}

impl LotId {
    /// The lot that a payment funded: the payment's own id.
    pub fn purchase(payment: &PaymentId) -> LotId {
        LotId(payment.to_string())
    }

    /// The bonus that came with a payment.
    pub fn bonus(payment: &PaymentId) -> LotId {
        LotId(format!("{payment}+bonus"))
    }

    /// What a subscription brings in one slot: `sub_…:w3` is its fourth week.
    pub fn allowance(subscription: &SubscriptionId, slot: Slot) -> LotId {
        let window = match slot.every {
            Window::Day => 'd',
            Window::Week => 'w',
            Window::Month => 'm',
            Window::Billing => 'b',
        };
        LotId(format!("{subscription}:{window}{}", slot.index))
    }

    /// What a subscription's slots left over.
    pub fn rollover(subscription: &SubscriptionId) -> LotId {
        LotId(format!("{subscription}:rollover"))
    }

    /// Many small lots of one source and one expiry in one. It keeps no payment; the payments' rows know how much.
    pub fn merged(source: Source, expires_at: Option<Time>) -> LotId {
        match expires_at {
            Some(end) => LotId(format!("merged-{}-{}", source.name(), end.millis())),
            None => LotId(format!("merged-{}", source.name())),
        }
    }

    pub fn is_merged(&self) -> bool {
        self.0.starts_with("merged-")
    }

    /// The subscription that gave it, if one did.
    pub(crate) fn subscription(&self) -> Option<&str> {
        self.0.split_once(':').map(|(subscription, _)| subscription)
    }

    /// The lot that a grant opened: twelve letters of its cause's hash tell it from the user's others.
    pub fn grant(cause: &Cause) -> LotId {
        LotId(format!("grant-{}", &cause.fingerprint()[..12]))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Source {
    /// What a subscription gave has to be found again when it ends.
    pub(crate) const fn merges(self) -> bool {
        !matches!(self, Source::Allowance | Source::Rollover)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Source::Allowance => "allowance",
            Source::Rollover => "rollover",
            Source::Grant => "grant",
            Source::Bonus => "bonus",
            Source::Adjustment => "adjustment",
            Source::Purchase => "purchase",
        }
    }
}
