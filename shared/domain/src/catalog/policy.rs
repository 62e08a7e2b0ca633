//! `[subscriptions]`: how they change, what their states are worth, and what becomes of those that should not be.

use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::money::Tokens;

/// What a catalog says of all its subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriptionPolicy {
    pub upgrade: Upgrade,
    pub downgrade: Downgrade,
    pub proration: Proration,
    pub second: SecondPaid,
    pub access: Access,
}

/// A change to a better plan, or to more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upgrade {
    pub when: When,
    /// Whether the tokens it brings more wait for the next slot or renewal.
    pub tokens_wait: bool,
}

/// A change to a lesser plan, or to less of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downgrade {
    pub when: When,
}

/// When something that is asked of a subscription happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    Now,
    PeriodEnd,
}

/// Whether and when a change within a period is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proration {
    #[default]
    AtOnce,
    NextInvoice,
    None,
}

/// What becomes of the money for a second subscription of a group, which is always canceled at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecondPaid {
    #[default]
    Refund,
    /// An operator decides.
    Flag,
}

/// What a plan may be had for without paying, once per user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Where the client does not ask for another length.
    pub days: u32,
    /// Whatever the client asks for.
    pub most_days: u32,
    /// Instead of the plan's allowance, in each of its slots.
    pub tokens: Tokens,
    /// Whether a way to pay has to be left for it. Where none is, it pauses when it ends.
    pub needs_method: bool,
}

impl Default for Upgrade {
    fn default() -> Upgrade {
        Upgrade { when: When::Now, tokens_wait: false }
    }
}

impl Default for Downgrade {
    fn default() -> Downgrade {
        Downgrade { when: When::PeriodEnd }
    }
}

impl When {
    pub const ALL: [When; 2] = [When::Now, When::PeriodEnd];

    pub const fn name(self) -> &'static str {
        match self {
            When::Now => "now",
            When::PeriodEnd => "period_end",
        }
    }

    pub fn parse(name: &str) -> Option<When> {
        When::ALL.into_iter().find(|when| when.name() == name)
    }
}

impl Trial {
    /// How long a trial is that a client asks for, or does not.
    pub fn clamped(&self, wanted: Option<u32>) -> u32 {
        wanted.unwrap_or(self.days).min(self.most_days)
    }
}
