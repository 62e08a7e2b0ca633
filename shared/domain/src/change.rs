//! What a decision comes to.

use crate::account::Account;
use crate::entry::Sealed;
use crate::payment::PaymentRow;

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

impl Fence {
    pub fn of(account: &Account) -> Fence {
        Fence { seq: account.seq, obs: account.obs }
    }
}
