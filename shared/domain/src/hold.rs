//! Holds: tokens set aside, to be captured or released once.

use crate::cause::Cause;
use crate::ids::HoldId;
use crate::lot::Lot;
use crate::money::Tokens;
use crate::time::Time;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub id: HoldId,
    /// When it releases itself.
    pub expires_at: Time,
    /// What it took of each lot, in burn order; each keeps its lot's expiry.
    pub parts: Vec<Lot>,
    /// What it took from nowhere, under a plan with unlimited tokens.
    pub unlimited: Tokens,
}

/// How many one account may have open at a time.
pub const MOST_HOLDS: usize = 16;

impl Hold {
    /// Derived from the request's cause, so that a retry means the same hold. Nobody else's has the same.
    pub fn id_of(cause: &Cause) -> HoldId {
        HoldId::parse(format!("hold_{}", &cause.fingerprint()[..22]))
            .expect("a fingerprint is letters and digits")
    }

    pub fn tokens(&self) -> Tokens {
        let parts = self.parts.iter().map(|part| part.remaining);
        parts.fold(self.unlimited, Tokens::saturating_add)
    }
}
