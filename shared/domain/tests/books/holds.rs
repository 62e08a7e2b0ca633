//! Tokens set aside.

use domain::cause::{Cause, Operation};
use domain::decide::{Act, Captured, Refusal, Spend, What};
use domain::hold::MOST_HOLDS;
use domain::ids::{HoldId, RequestKey};
use domain::lot::Source;
use domain::money::Tokens;
use domain::posting::Place;
use domain::subscription::Status;
use domain::time::HOUR_MS;

use crate::story::{Story, tokens};

impl Story {
    fn hold(&mut self, count: u64, hours: i64) -> Result<HoldId, Refusal> {
        let cause = self.request(Operation::Hold);
        let spend = Spend { what: What::Tokens(tokens(count)), amount: 1 };
        self.apply(cause, Act::Hold { spend, expires_at: self.now.plus_ms(hours * HOUR_MS) })?;
        Ok(self.account.holds.iter().max_by_key(|hold| hold.expires_at).unwrap().id.clone())
    }

    fn end(&mut self, hold: &HoldId, wanted: Captured) -> Result<(), Refusal> {
        let key = RequestKey::parse("k").unwrap();
        self.apply(Cause::HoldEnd(hold.clone()), Act::EndHold { hold: hold.clone(), wanted, key })
    }

    fn balances(&self) -> (u64, u64, u64) {
        let now = self.account.advance(self.now).account.balances();
        (now.available.get(), now.held.get(), now.debt.get())
    }
}

#[test]
fn a_hold_sets_tokens_aside_until_they_are_captured() {
    let mut story = Story::new();
    story.buy_medium();
    let hold = story.hold(100, 1).unwrap();
    assert_eq!(story.balances(), (175, 100, 0));
    assert!(matches!(story.spend(176), Err(Refusal::Short { .. })));
    story.end(&hold, Captured::All).unwrap();
    assert_eq!((story.balances(), story.totals()["spent"]), ((175, 0, 0), 100));
}

#[test]
fn what_is_not_captured_goes_back_to_where_it_was() {
    let mut story = Story::new();
    story.buy_medium();
    let hold = story.hold(100, 1).unwrap();
    story.end(&hold, Captured::Tokens(tokens(30))).unwrap();
    let lots: Vec<_> = story.account.lots.iter().map(|lot| (lot.source, lot.remaining.get())).collect();
    assert_eq!(lots, [(Source::Purchase, 245)], "the bonus burned first");
    let hold = story.hold(200, 1).unwrap();
    story.end(&hold, Captured::Nothing).unwrap();
    assert_eq!(story.balances(), (245, 0, 0));
}

#[test]
fn a_hold_that_nobody_ends_ends_itself() {
    let mut story = Story::new();
    story.buy_medium();
    let hold = story.hold(100, 2).unwrap();
    story.now = story.now.plus_ms(2 * HOUR_MS);
    assert_eq!(story.balances(), (275, 0, 0), "nothing was written, and yet it is true");
    assert_eq!(story.end(&hold, Captured::All), Err(Refusal::NoSuchHold(hold)));
    story.now = story.now.plus_ms(HOUR_MS);
    story.touch();
    let returned = &story.journal.last().unwrap().postings[0];
    assert_eq!((returned.from, returned.to), (Place::Held, Place::Lot));
    assert_eq!(returned.at, Some(story.now.plus_ms(-HOUR_MS)));
}

#[test]
fn a_hold_ends_once() {
    let mut story = Story::new();
    story.buy_medium();
    let hold = story.hold(100, 1).unwrap();
    story.end(&hold, Captured::Nothing).unwrap();
    assert_eq!(story.end(&hold, Captured::All), Err(Refusal::NoSuchHold(hold)));
}

#[test]
fn no_more_is_captured_than_was_held() {
    let mut story = Story::new();
    story.buy_medium();
    let hold = story.hold(100, 1).unwrap();
    let refused = story.end(&hold, Captured::Tokens(tokens(101)));
    assert_eq!(refused, Err(Refusal::BeyondHold { held: tokens(100) }));
}

#[test]
fn held_tokens_of_a_week_that_ended_lapse_when_they_come_back() {
    let mut story = Story::subscribed();
    let hold = story.hold(300, 24 * 10).unwrap();
    story.wait(8).end(&hold, Captured::Tokens(tokens(100))).unwrap();
    assert_eq!((story.balances(), story.totals()["expired"]), ((500, 0, 0), 400));
}

#[test]
fn held_tokens_of_a_subscription_that_ended_lapse_when_they_come_back() {
    let mut story = Story::subscribed();
    let hold = story.hold(300, 24).unwrap();
    story.seen.status = Status::Canceled;
    story.seen.ended_at = Some(story.now);
    story.sync();
    assert_eq!(story.balances(), (0, 300, 0));
    story.end(&hold, Captured::Nothing).unwrap();
    assert_eq!((story.balances(), story.totals()["expired"]), ((0, 0, 0), 500));
}

#[test]
fn returned_tokens_pay_a_debt_first() {
    let mut story = Story::new();
    story.buy_medium();
    let hold = story.hold(100, 1).unwrap();
    story.account.debt = tokens(40);
    story.end(&hold, Captured::Nothing).unwrap();
    assert_eq!(story.balances(), (235, 0, 0));
}

#[test]
fn unlimited_tokens_are_held_from_nowhere_and_return_there() {
    let mut story = Story::subscribed();
    story.seen.allowance = Some(domain::catalog::Allowance::Unlimited);
    story.seen.plan = domain::ids::PlanId::parse("elite").unwrap();
    story.sync();
    let hold = story.hold(1_000_000, 1).unwrap();
    assert_eq!(story.balances(), (500, 1_000_000, 0));
    story.end(&hold, Captured::Tokens(tokens(10))).unwrap();
    assert_eq!((story.balances(), -story.totals()["world"]), ((500, 0, 0), 510));
}

#[test]
fn one_account_holds_so_many_at_a_time() {
    let mut story = Story::new();
    story.buy_medium();
    for hours in 1..=MOST_HOLDS {
        story.hold(1, i64::try_from(hours).unwrap()).unwrap();
    }
    assert_eq!(story.hold(1, 1), Err(Refusal::TooManyHolds));
    story.now = story.now.plus_ms(HOUR_MS);
    assert!(story.hold(1, 1).is_ok(), "one has ended by itself");
    assert_eq!(story.account.balances().held, tokens(16));
    assert_ne!(story.account.balances().available, Tokens::ZERO);
}
