//! A hold that several workers end at once while it ends itself: its tokens leave it once.

use domain::cause::{Cause, Operation};
use domain::decide::{Act, Captured, Command, Spend, What};
use domain::hold::Hold;
use domain::ids::RequestKey;

use crate::books::{Books, Step, an_hour_later, request, spend, start, tokens};
use crate::explore::{Counterexample, Seen, World, explore};
use crate::table::{Fenced, OURS, Rules};

const HELD: u64 = 6;

/// Of ten tokens six are set aside, until the clock moves.
fn held(rules: Rules) -> (Books, Cause) {
    let mut books = Books::with(10, rules);
    let spend = Spend { what: What::Tokens(tokens(HELD)), amount: 1 };
    let hold = request(Operation::Hold, "hold", Act::Hold { spend, expires_at: start().plus_ms(1) });
    books.done(&hold);
    (Books { later: Some(an_hour_later()), ..books }, hold.cause)
}

fn ending(hold: &Cause, key: &str, wanted: Captured) -> Command {
    let (hold, key) = (Hold::id_of(hold), RequestKey::parse(key).unwrap());
    Command { cause: Cause::HoldEnd(hold.clone()), request: None, act: Act::EndHold { hold, wanted, key } }
}

/// Books in which the tokens of a hold must leave it once.
#[derive(Debug, Clone)]
struct OneHold(Books);

impl World for OneHold {
    type Step = Step;

    fn steps(&self) -> Vec<Step> {
        self.0.steps()
    }

    fn take(&mut self, step: Step) {
        self.0.take(step);
    }

    fn fault(&self) -> Option<String> {
        let (left, ended) = (self.0.table.left_holds, self.0.table.holds_ended);
        match (left, ended) {
            (0 | HELD, 0) | (HELD, 1) => self.0.fault(),
            _ => Some(format!("{left} of {HELD} tokens left the hold, which {ended} requests ended")),
        }
    }

    fn fault_at_end(&self) -> Option<String> {
        self.0.fault_at_end()
    }
}

/// One captures, retries, and another releases; the hold may expire at any moment between.
fn three_enders(rules: Rules) -> Result<Seen, Counterexample<Step>> {
    let (books, hold) = held(rules);
    let capture = ending(&hold, "a", Captured::Tokens(tokens(4)));
    let release = ending(&hold, "b", Captured::Nothing);
    explore(OneHold(books.writing([capture.clone(), capture, release]).losing_an_answer()))
}

#[test]
fn capture_its_retry_and_a_release_around_its_expiry_end_a_hold_once() {
    let seen = three_enders(OURS).unwrap();
    assert!(seen.states > 500 && seen.ends > 10, "{seen:?}");
}

#[test]
fn what_a_hold_gave_back_is_spent_once_whoever_heard_of_it_first() {
    let (books, hold) = held(OURS);
    let capture = ending(&hold, "a", Captured::All);
    let seen = explore(OneHold(books.writing([capture, spend("all", 10), spend("rest", 4)]))).unwrap();
    assert!(seen.states > 200 && seen.ends > 5, "{seen:?}");
}

#[test]
fn without_a_fence_a_hold_would_be_captured_after_it_gave_its_tokens_back() {
    let (books, hold) = held(Rules { fence: Fenced::Not, ..OURS });
    let all_of_it = [ending(&hold, "a", Captured::All), spend("all", 10)];
    let broken = explore(OneHold(books.writing(all_of_it))).unwrap_err();
    assert_eq!(broken.fault, "12 of 6 tokens left the hold, which 1 requests ended", "{:?}", broken.steps);
}

#[test]
fn without_one_cause_and_a_fence_a_hold_would_be_resolved_twice() {
    let broken = three_enders(Rules { fence: Fenced::Not, one_entry_per_cause: false, ..OURS }).unwrap_err();
    assert_eq!(broken.fault, "12 of 6 tokens left the hold, which 2 requests ended", "{:?}", broken.steps);
    // Either of the two is enough to keep that from happening.
    let capture_and_release = |rules| {
        let (books, hold) = held(rules);
        let enders = [ending(&hold, "a", Captured::All), ending(&hold, "b", Captured::Nothing)];
        explore(OneHold(Books { later: None, ..books }.writing(enders)))
    };
    assert!(capture_and_release(Rules { one_entry_per_cause: false, ..OURS }).is_ok());
    assert!(capture_and_release(Rules { fence: Fenced::Not, ..OURS }).is_ok());
}
