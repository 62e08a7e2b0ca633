//! Closing: everything is let go of, the journal says so, and only facts about money come after it.

use domain::cause::Operation;
use domain::decide::{Act, Refusal, Spend, What};
use domain::entry::Detail;
use domain::hash::Hash;
use domain::ids::UserId;
use domain::money::Tokens;
use domain::replay::Replay;
use domain::time::HOUR_MS;
use proptest::prelude::*;

use crate::history::{Books, any_turn};
use crate::story::{Story, given, tokens};

fn closes(story: &mut Story) {
    let cause = story.request(Operation::Erase);
    let operator = UserId::parse("grace").unwrap();
    story.apply(cause, Act::Close { operator }).expect("an open account can be closed");
}

/// Everything that a client or an operator may ask for.
fn requests(story: &mut Story) -> Vec<Result<(), Refusal>> {
    let spend = || Spend { what: What::Tokens(tokens(1)), amount: 1 };
    let (hold, grant, close) =
        (story.request(Operation::Hold), story.request(Operation::Grant), story.request(Operation::Erase));
    let expires_at = story.now.plus_ms(HOUR_MS);
    let operator = UserId::parse("grace").unwrap();
    vec![
        story.spend(1),
        story.apply(hold, Act::Hold { spend: spend(), expires_at }),
        story.apply(grant, given(5, None)),
        story.checkout("premium", None).1,
        story.apply(close, Act::Close { operator }),
    ]
}

#[test]
fn closing_lets_go_of_all_that_an_account_has() {
    let mut story = Story::subscribed();
    story.buy_medium();
    let (_, opened) = story.checkout("premium", None);
    opened.expect_err("premium is had already");
    let hold = story.request(Operation::Hold);
    let spend = Spend { what: What::Tokens(tokens(40)), amount: 1 };
    story.apply(hold, Act::Hold { spend, expires_at: story.now.plus_ms(HOUR_MS) }).unwrap();
    let had = story.account.balances();
    closes(&mut story);
    let entry = story.journal.last().unwrap();
    assert_eq!(entry.detail.kind(), "closing");
    let expired: u64 = entry
        .postings
        .iter()
        .filter(|posting| posting.to.name() == "expired")
        .map(|posting| posting.amount.get())
        .sum();
    assert_eq!(expired, had.available.get() + had.held.get(), "what was set aside expires too");
    assert_eq!((story.account.closed, story.account.customer.as_ref()), (Some(story.now), None));
}

#[test]
fn a_debt_is_forgiven_when_the_account_is_closed() {
    let mut story = Story::new();
    let row = story.buys("medium", "pi_1");
    story.spend(30).unwrap();
    let taken = domain::reversal::reverse(&story.account, &row, row.paid.amount_minor, story.now).unwrap();
    story.account = taken.account;
    assert!(!story.account.debt.is_zero());
    closes(&mut story);
    assert_eq!(story.account.debt, Tokens::ZERO);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_came_before_a_closed_account_is_empty_and_takes_no_request(
        before in prop::collection::vec(any_turn(), 0..40),
        after in prop::collection::vec(any_turn(), 0..15),
    ) {
        let mut books = Books::new();
        for (number, turn) in before.iter().enumerate() {
            books.take(turn, number);
        }
        closes(&mut books.story);
        let account = &books.story.account;
        let balances = account.balances();
        prop_assert_eq!([balances.available, balances.held, balances.debt], [Tokens::ZERO; 3]);
        prop_assert!(account.openings.is_empty() && account.customer.is_none() && account.claimed.is_none());
        let closed = account.closed;
        let length = books.story.journal.len();
        for refused in requests(&mut books.story) {
            prop_assert_eq!(refused, Err(Refusal::Closed));
        }
        prop_assert_eq!(books.story.journal.len(), length, "what is refused leaves nothing");
        for (number, turn) in after.iter().enumerate() {
            books.take(turn, 100 + number);
        }
        prop_assert_eq!(books.story.account.closed, closed, "nothing opens it again");
        let facts = books.story.journal[length..].iter().all(|entry| matches!(
            entry.detail,
            Detail::Purchase { .. } | Detail::Invoice { .. } | Detail::Reversal { .. } | Detail::Subscription { .. }
        ));
        prop_assert!(facts, "only facts come after it");
        let mut replay = Replay::new(books.story.account.user.clone());
        let mut head = Hash::START;
        for entry in &books.story.journal {
            let sealed = entry.clone().seal(head);
            head = sealed.hash;
            prop_assert_eq!(replay.step(&sealed), Ok(()));
        }
        prop_assert_eq!(replay.differs(&books.story.account), None, "the journal explains all of it");
    }
}
