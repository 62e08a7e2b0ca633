//! Workers at one account: who they are, and what can never come of them.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use domain::account::Account;
use domain::catalog::{Catalog, Published, Shelf};
use domain::cause::{Cause, Operation};
use domain::decide::{Act, Command, Grant, Spend, What, decide};
use domain::ids::{RequestKey, UserId};
use domain::money::Tokens;
use domain::time::{HOUR_MS, Time};

use crate::explore::World;
use crate::table::{Attempt, Rules, Table};
use crate::writer::{Answer, Writer};

/// Any number of writers, a clock that steps on once, and a network that loses one answer.
#[derive(Debug, Clone)]
pub struct Books {
    pub table: Table,
    pub writers: Vec<Writer>,
    pub now: Time,
    /// When it is next, if the clock is to move.
    pub later: Option<Time>,
    pub loses_an_answer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// This writer's next call to the table.
    Writer(usize),
    /// Its transaction, whose answer gets lost.
    Unheard(usize),
    Clock,
}

pub fn shelf() -> &'static Shelf {
    static SHELF: LazyLock<Shelf> = LazyLock::new(|| {
        let text = include_str!("../../../../infra/catalogs/companion.toml");
        let catalog = Catalog::parse(text).expect("companion's catalog is valid");
        Shelf::new(
            Arc::new(Published { version: 1, catalog, prices: BTreeMap::new(), portal: None }),
            Vec::new(),
        )
    });
    &SHELF
}

pub fn start() -> Time {
    Time::parse_rfc3339("2026-10-01T08:00:00Z").unwrap()
}

pub fn an_hour_later() -> Time {
    start().plus_ms(HOUR_MS)
}

pub fn tokens(count: u64) -> Tokens {
    Tokens::new(count).unwrap()
}

pub fn request(operation: Operation, key: &str, act: Act) -> Command {
    let (user, key) = (UserId::parse("ada").unwrap(), RequestKey::parse(key).unwrap());
    Command { cause: Cause::Request { user, operation, key }, request: None, act }
}

pub fn spend(key: &str, count: u64) -> Command {
    let spend = Spend { what: What::Tokens(tokens(count)), amount: 1 };
    request(Operation::Consume, key, Act::Consume(spend))
}

impl Books {
    /// An account with so many tokens.
    pub fn with(count: u64, rules: Rules) -> Books {
        let account = Account::new(UserId::parse("ada").unwrap());
        let table = Table::new(account, rules);
        let mut books =
            Books { table, writers: Vec::new(), now: start(), later: None, loses_an_answer: false };
        let grant = Grant { tokens: tokens(count), expires_at: None, operator: None, note: None };
        books.done(&request(Operation::Grant, "start", Act::Grant(grant)));
        books
    }

    /// What happened before anybody else came.
    pub fn done(&mut self, command: &Command) {
        let change = decide(&self.table.account, command, shelf(), self.now).unwrap();
        assert!(matches!(self.table.commit(&change), Attempt::Written));
    }

    pub fn writing(mut self, commands: impl IntoIterator<Item = Command>) -> Books {
        self.writers.extend(commands.into_iter().map(Writer::new));
        self
    }

    pub fn losing_an_answer(self) -> Books {
        Books { loses_an_answer: true, ..self }
    }

    /// The seq of each entry that a writer was told of.
    pub fn told(&self) -> impl Iterator<Item = (&Command, u64)> {
        self.writers.iter().filter_map(|writer| match writer.answer() {
            Some(Answer::Entry(seq)) => Some((&writer.command, *seq)),
            _ => None,
        })
    }
}

impl World for Books {
    type Step = Step;

    fn steps(&self) -> Vec<Step> {
        let busy = |writer: &(usize, &Writer)| !writer.1.is_done();
        let mut steps: Vec<Step> =
            self.writers.iter().enumerate().filter(busy).map(|(index, _)| Step::Writer(index)).collect();
        if self.loses_an_answer {
            let writing = self.writers.iter().enumerate().filter(|(_, writer)| writer.is_writing());
            steps.extend(writing.map(|(index, _)| Step::Unheard(index)));
        }
        steps.extend(self.later.map(|_| Step::Clock));
        steps
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Writer(index) => self.writers[index].go_on(&mut self.table, self.now),
            Step::Unheard(index) => {
                self.writers[index].write_unheard(&mut self.table);
                self.loses_an_answer = false;
            }
            Step::Clock => self.now = self.later.take().unwrap_or(self.now),
        }
    }

    fn fault(&self) -> Option<String> {
        if self.writers.iter().any(|writer| writer.answer() == Some(&Answer::Denied)) {
            return Some("a request was refused that an entry had answered".to_owned());
        }
        let wrong = self.told().find(|(command, seq)| self.table.seq_of(&command.cause) != Some(*seq));
        let told = wrong.map(|(command, _)| format!("{} was told another entry", command.cause));
        self.table.fault().or(told)
    }

    fn fault_at_end(&self) -> Option<String> {
        let is_untold = |writer: &&Writer| {
            let cause = &writer.command.cause;
            self.table.seq_of(cause).is_some() && !self.told().any(|(command, _)| command.cause == *cause)
        };
        let untold = self.writers.iter().find(is_untold);
        untold.map(|writer| format!("{} was done, and nobody was told", writer.command.cause))
    }
}
