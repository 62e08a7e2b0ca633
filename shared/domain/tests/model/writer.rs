//! A worker with one command, as `Store::apply` goes: read, decide, write; on a conflict, again.

use domain::account::Account;
use domain::decide::{Command, Refusal, decide};
use domain::time::Time;

use crate::books::shelf;
use crate::table::{Attempt, Table};

#[derive(Debug, Clone)]
pub struct Writer {
    pub command: Command,
    /// When its request arrived.
    began: Option<Time>,
    pub at: Stage,
}

/// What it does next: each is one call to the table.
#[derive(Debug, Clone)]
pub enum Stage {
    Reads,
    Writes(Box<domain::change::Change>),
    Asks(Refusal),
    Told(Answer),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The entry of this seq.
    Entry(u64),
    Refused(Refusal),
    /// What must never be: no, though there is an entry that says yes.
    Denied,
}

impl Writer {
    pub fn new(command: Command) -> Writer {
        Writer { command, began: None, at: Stage::Reads }
    }

    pub fn is_done(&self) -> bool {
        matches!(self.at, Stage::Told(_))
    }

    pub fn is_writing(&self) -> bool {
        matches!(self.at, Stage::Writes(_))
    }

    pub fn answer(&self) -> Option<&Answer> {
        match &self.at {
            Stage::Told(answer) => Some(answer),
            Stage::Reads | Stage::Writes(_) | Stage::Asks(_) => None,
        }
    }

    pub fn go_on(&mut self, table: &mut Table, now: Time) {
        self.at = match &self.at {
            Stage::Reads => self.decided(&table.account.clone(), table, now),
            Stage::Writes(change) => match table.commit(change) {
                Attempt::Written => Stage::Told(Answer::Entry(change.entry.entry.seq)),
                Attempt::Exists { seq } => Stage::Told(Answer::Entry(seq)),
                Attempt::Moved(account) => self.decided(&account, table, now),
            },
            Stage::Asks(refusal) => Stage::Told(match table.seq_of(&self.command.cause) {
                Some(seq) => Answer::Entry(seq),
                None => Answer::Refused(refusal.clone()),
            }),
            Stage::Told(answer) => Stage::Told(answer.clone()),
        };
    }

    /// The transaction's answer gets lost, whatever it was: read again.
    pub fn write_unheard(&mut self, table: &mut Table) {
        if let Stage::Writes(change) = &self.at {
            table.commit(change);
            self.at = Stage::Reads;
        }
    }

    fn decided(&mut self, account: &Account, table: &Table, now: Time) -> Stage {
        let now = *self.began.get_or_insert(now);
        match decide(account, &self.command, shelf(), now) {
            Ok(change) => Stage::Writes(Box::new(change)),
            Err(refusal) if table.rules.asks_before_refusing => Stage::Asks(refusal),
            Err(_) if table.seq_of(&self.command.cause).is_some() => Stage::Told(Answer::Denied),
            Err(refusal) => Stage::Told(Answer::Refused(refusal)),
        }
    }
}
