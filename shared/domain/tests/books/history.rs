//! Any history at all: the journal explains the account to the token.

use std::collections::BTreeMap;

use domain::catalog::Allowance;
use domain::cause::{Cause, Operation};
use domain::decide::{Act, Captured, Spend, What};
use domain::entry::Entry;
use domain::hash::Hash;
use domain::ids::RequestKey;
use domain::payment::PaymentRow;
use domain::replay::Replay;
use domain::reversal::reverse;
use domain::subscription::Status;
use domain::time::HOUR_MS;
use proptest::prelude::*;

use crate::story::{Story, tokens, weekly};

#[derive(Debug, Clone)]
pub enum Turn {
    Wait(i64),
    Buy,
    Reverse(usize, i64),
    Spend(u64),
    Hold(u64, i64),
    EndHold(usize, Option<u64>),
    Pay,
    Plan(Option<Allowance>),
    Status(Status),
    End,
}

pub fn any_turn() -> impl Strategy<Value = Turn> {
    let plans = vec![weekly(500), weekly(90), Some(Allowance::Unlimited), None];
    let statuses = vec![Status::Active, Status::PastDue, Status::Unpaid];
    prop_oneof![
        3 => (0i64..200).prop_map(Turn::Wait),
        3 => Just(Turn::Buy),
        2 => (0usize..6, 0i64..1100).prop_map(|(which, reversed)| Turn::Reverse(which, reversed)),
        4 => (1u64..300).prop_map(Turn::Spend),
        3 => (1u64..200, 1i64..90).prop_map(|(count, hours)| Turn::Hold(count, hours)),
        2 => (0usize..5, prop::option::of(0u64..200)).prop_map(|(which, part)| Turn::EndHold(which, part)),
        1 => Just(Turn::Pay),
        1 => prop::sample::select(plans).prop_map(Turn::Plan),
        1 => prop::sample::select(statuses).prop_map(Turn::Status),
        1 => Just(Turn::End),
    ]
}

/// A story with the rows that the table would keep beside it.
pub struct Books {
    pub story: Story,
    pub rows: Vec<PaymentRow>,
    months: i64,
}

impl Books {
    pub fn new() -> Books {
        let mut books = Books { story: Story::new(), rows: Vec::new(), months: 0 };
        books.story.sync();
        books
    }

    pub fn take(&mut self, turn: &Turn, number: usize) {
        let story = &mut self.story;
        match turn {
            Turn::Wait(hours) => story.now = story.now.plus_ms(hours * HOUR_MS),
            Turn::Buy => self.rows.push(story.buys("medium", &format!("pi_{number}"))),
            Turn::Reverse(which, reversed) => {
                if let Some(row) = self.rows.get_mut(*which)
                    && let Some(change) = reverse(&story.account, row, *reversed, story.now)
                {
                    *row = change.payments[0].clone();
                    story.journal.push(change.entry.entry);
                    story.account = change.account;
                }
            }
            Turn::Spend(count) => drop(story.spend(*count)),
            Turn::Hold(count, hours) => {
                let cause = story.request(Operation::Hold);
                let spend = Spend { what: What::Tokens(tokens(*count)), amount: 1 };
                let expires_at = story.now.plus_ms(hours * HOUR_MS);
                drop(story.apply(cause, Act::Hold { spend, expires_at }));
            }
            Turn::EndHold(which, part) => {
                if let Some(hold) = story.account.holds.get(*which).map(|hold| hold.id.clone()) {
                    let wanted = part.map_or(Captured::All, |part| Captured::Tokens(tokens(part)));
                    let key = RequestKey::parse("k").unwrap();
                    drop(story.apply(Cause::HoldEnd(hold.clone()), Act::EndHold { hold, wanted, key }));
                }
            }
            Turn::Pay => {
                self.months += 1;
                story.pay(self.months);
            }
            Turn::Plan(allowance) => story.seen.allowance = *allowance,
            Turn::Status(status) if !story.seen.status.is_final() => story.seen.status = *status,
            Turn::Status(_) => {}
            Turn::End => {
                story.seen.status = Status::Canceled;
                story.seen.ended_at.get_or_insert(story.now);
            }
        }
        self.story.sync();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_state_is_explained_by_its_history(turns in prop::collection::vec(any_turn(), 1..60)) {
        let mut books = Books::new();
        for (number, turn) in turns.iter().enumerate() {
            books.take(turn, number);
            prop_assert!(books.story.account.lots.iter().all(|lot| !lot.remaining.is_zero()));
            prop_assert!(books.story.account.holds.len() <= domain::hold::MOST_HOLDS);
        }
        books.story.touch();
        let (account, journal) = (&books.story.account, &books.story.journal);
        let (mut head, mut causes) = (Hash::START, BTreeMap::new());
        let mut replay = Replay::new(account.user.clone());
        for (entry, seq) in journal.iter().zip(1..) {
            prop_assert_eq!(entry.seq, seq, "the journal has no gaps");
            prop_assert!(causes.insert(entry.cause.to_string(), seq).is_none(), "{} twice", entry.cause);
            let sealed = entry.clone().seal(head);
            prop_assert_eq!(&Entry::parse(&sealed.body).unwrap(), entry);
            head = sealed.hash;
            prop_assert_eq!(replay.step(&sealed), Ok(()));
        }
        prop_assert_eq!(replay.differs(account), None, "told: {:#?}, kept: {:#?}", replay.account, account);
        let rows: BTreeMap<_, _> =
            books.rows.iter().map(|row| (row.payment.clone(), row.clone())).collect();
        replay.payments.retain(|payment, _| rows.contains_key(payment));
        prop_assert_eq!(&replay.payments, &rows, "the journal tells what became of every payment");
        prop_assert_eq!((account.head, account.seq), (head, journal.len() as u64));
        let totals = books.story.totals();
        let total = |place: &str| totals.get(place).copied().unwrap_or_default();
        let now = account.balances();
        let signed = |count: domain::money::Tokens| i64::try_from(count.get()).unwrap();
        prop_assert_eq!(total("lot"), signed(now.available));
        prop_assert_eq!(total("held"), signed(now.held));
        prop_assert_eq!(total("debt"), -signed(now.debt));
        prop_assert_eq!(totals.values().sum::<i64>(), 0);
        prop_assert!(total("spent") >= 0 && total("expired") >= 0 && total("clawed") >= 0);
        let taken: i64 = books.rows.iter().map(|row| signed(row.taken)).sum();
        prop_assert_eq!(total("clawed"), taken, "what was taken back is what the payments say");
    }
}
