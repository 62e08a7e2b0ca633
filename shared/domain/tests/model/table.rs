//! The table as the write path uses it: one account, the entries by their causes, and conditional transactions.

use std::collections::BTreeMap;

use domain::account::Account;
use domain::cause::Cause;
use domain::change::{Change, Fence};
use domain::entry::{Detail, Sealed};
use domain::posting::Place;
use domain::replay::{Fault, Replay};

/// Which of the write path's rules hold. All do, but where a test takes one away.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What a write compares of the account that it was decided upon.
    pub fence: Fenced,
    /// An entry is put only where its cause has none.
    pub one_entry_per_cause: bool,
    /// Before a refusal the cause is looked up.
    pub asks_before_refusing: bool,
    /// A look that showed nothing new is counted too.
    pub counts_every_look: bool,
    /// The account is read before Stripe is asked.
    pub reads_before_looking: bool,
    /// Where somebody else has looked since, Stripe is asked again.
    pub looks_again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    ByBoth,
    BySeq,
    ByObs,
    Not,
}

pub const OURS: Rules = Rules {
    fence: Fenced::ByBoth,
    one_entry_per_cause: true,
    asks_before_refusing: true,
    counts_every_look: true,
    reads_before_looking: true,
    looks_again: true,
};

/// How a transaction ended, as `Store` learns it.
#[expect(clippy::large_enum_variant, reason = "it lives for one step")]
pub enum Attempt {
    Written,
    Exists {
        seq: u64,
    },
    /// The image that the condition failed on.
    Moved(Account),
}

#[derive(Debug, Clone)]
pub struct Table {
    pub rules: Rules,
    pub account: Account,
    /// The entry of each cause, by its place in the journal.
    pub entries: BTreeMap<String, u64>,
    /// What the journal tells so far, or what is wrong with it.
    told: Result<Replay, Fault>,
    doubled: Option<Cause>,
    /// How many holds were ended by an entry of their own, and how many tokens left the holds.
    pub holds_ended: u32,
    pub left_holds: u64,
}

impl Table {
    pub fn new(account: Account, rules: Rules) -> Table {
        let told = Ok(Replay::new(account.user.clone()));
        let entries = BTreeMap::new();
        Table { rules, account, entries, told, doubled: None, holds_ended: 0, left_holds: 0 }
    }

    /// Account and entry in one transaction. Why it failed is told by the entry's condition first.
    pub fn commit(&mut self, change: &Change) -> Attempt {
        let cause = &change.entry.entry.cause;
        if let Some(seq) = self.seq_of(cause).filter(|_| self.rules.one_entry_per_cause) {
            return Attempt::Exists { seq };
        }
        if !self.is_still(change.fence) {
            return Attempt::Moved(self.account.clone());
        }
        self.account = change.account.clone();
        self.append(&change.entry);
        Attempt::Written
    }

    /// Counts a look that showed nothing new.
    pub fn note_look(&mut self, account: &Account) -> Attempt {
        if !self.rules.counts_every_look {
            return Attempt::Written;
        }
        if !self.is_still(Fence::of(account)) {
            return Attempt::Moved(self.account.clone());
        }
        self.account = Account { obs: account.obs + 1, ..account.clone() };
        Attempt::Written
    }

    pub fn seq_of(&self, cause: &Cause) -> Option<u64> {
        self.entries.get(&cause.to_string()).copied()
    }

    fn is_still(&self, fence: Fence) -> bool {
        let now = Fence::of(&self.account);
        match self.rules.fence {
            Fenced::ByBoth => fence == now,
            Fenced::BySeq => fence.seq == now.seq,
            Fenced::ByObs => fence.obs == now.obs,
            Fenced::Not => true,
        }
    }

    fn append(&mut self, sealed: &Sealed) {
        let entry = &sealed.entry;
        if self.entries.insert(entry.cause.to_string(), entry.seq).is_some() {
            self.doubled = Some(entry.cause.clone());
        }
        self.holds_ended += u32::from(matches!(entry.detail, Detail::HoldEnd { .. }));
        let out = entry.postings.iter().filter(|posting| posting.from == Place::Held);
        self.left_holds += out.map(|posting| posting.amount.get()).sum::<u64>();
        if let Ok(replay) = &mut self.told
            && let Err(fault) = replay.step(sealed)
        {
            self.told = Err(fault);
        }
    }

    /// What can never be: a cause with two entries, a gap in the journal, or an account that it does not explain.
    pub fn fault(&self) -> Option<String> {
        if let Some(cause) = &self.doubled {
            return Some(format!("{cause} has two entries"));
        }
        match &self.told {
            Err(fault) => Some(fault.to_string()),
            Ok(replay) => {
                let differs = replay.differs(&self.account);
                differs.map(|what| format!("the journal does not explain the account's {what}"))
            }
        }
    }
}
