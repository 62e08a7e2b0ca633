//! Trials: a person has one, by whatever name they come back.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::privacy::KeyedHash;

/// What a trial is remembered by beside its user: an email or a card, neither of which it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialMark(String);

impl TrialMark {
    pub fn email(hash: &KeyedHash) -> TrialMark {
        TrialMark(format!("email:{hash}"))
    }

    /// By the fingerprint that Stripe gives to a card, whoever uses it.
    pub fn card(fingerprint: &str) -> TrialMark {
        TrialMark(format!("card:{}", URL_SAFE_NO_PAD.encode(Sha256::digest(fingerprint))))
    }
}

impl fmt::Display for TrialMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
