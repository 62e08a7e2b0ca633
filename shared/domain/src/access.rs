//! What each state of a subscription gives access to: the one place that says so.

use serde::{Deserialize, Serialize};

use crate::subscription::Status;
use crate::time::DAY_MS;

/// What a catalog makes of the states in which nothing is paid. A subscription carries that of the catalog it was
/// bought under, so that an account needs none to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// While a renewal is tried again. Who is late is not gone.
    pub past_due: bool,
    /// After the last try.
    pub unpaid: bool,
    /// After a trial for which no way to pay was left.
    pub paused: bool,
    /// A renewal that Stripe is late with: that long, the status is believed.
    pub renewal_grace_ms: i64,
}

impl Default for Access {
    fn default() -> Access {
        Access { past_due: true, unpaid: false, paused: false, renewal_grace_ms: 3 * DAY_MS }
    }
}

impl Access {
    /// A status that is unknown to us must not lock out who has paid.
    pub const fn opens(self, status: Status) -> bool {
        match status {
            Status::Trialing | Status::Active | Status::Unknown => true,
            Status::PastDue => self.past_due,
            Status::Unpaid => self.unpaid,
            Status::Paused => self.paused,
            Status::Incomplete | Status::IncompleteExpired | Status::Canceled => false,
        }
    }

    pub fn is_usual(&self) -> bool {
        *self == Access::default()
    }
}
