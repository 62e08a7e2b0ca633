//! Commands that meet at one wallet: each cause is booked once, whoever comes first and whatever gets lost.

use crate::books::{Books, Step, spend};
use crate::explore::{Counterexample, Seen, explore};
use crate::table::{Fenced, OURS, Rules};

/// Two different spendings of which the wallet has only one, and one of them sent twice.
fn a_retry_and_a_rival(rules: Rules) -> Result<Seen, Counterexample<Step>> {
    let writers = [spend("mine", 5), spend("mine", 5), spend("rival", 5)];
    explore(Books::with(8, rules).writing(writers).losing_an_answer())
}

/// Enough for both.
fn two_at_once(rules: Rules) -> Result<Seen, Counterexample<Step>> {
    explore(Books::with(8, rules).writing([spend("one", 3), spend("other", 3)]))
}

#[test]
fn a_retry_and_a_rival_in_any_order_are_booked_once_each_and_told_so() {
    let seen = a_retry_and_a_rival(OURS).unwrap();
    assert!(seen.states > 100 && seen.ends > 2, "{seen:?}");
    let seen = two_at_once(OURS).unwrap();
    assert!(seen.ends >= 2, "{seen:?}");
}

#[test]
fn four_writers_of_three_causes_find_no_order_that_breaks_the_books() {
    let writers = [spend("a", 3), spend("a", 3), spend("b", 3), spend("c", 3)];
    let seen = explore(Books::with(8, OURS).writing(writers).losing_an_answer()).unwrap();
    assert!(seen.states > 1_000, "{seen:?}");
}

#[test]
fn a_write_that_does_not_compare_seq_loses_another() {
    for fence in [Fenced::Not, Fenced::ByObs] {
        let broken = two_at_once(Rules { fence, ..OURS }).unwrap_err();
        assert_eq!(broken.fault, "entry 3 is missing", "{fence:?}");
        assert_eq!(broken.steps.len(), 4, "both read, both write: {:?}", broken.steps);
    }
    // No look at Stripe takes part here, so that much would do.
    assert!(two_at_once(Rules { fence: Fenced::BySeq, ..OURS }).is_ok());
}

#[test]
fn a_retry_would_be_booked_twice_if_its_cause_were_no_key() {
    let twice = Books::with(12, Rules { one_entry_per_cause: false, ..OURS });
    let broken = explore(twice.writing([spend("mine", 5), spend("mine", 5)])).unwrap_err();
    assert_eq!(broken.fault, "req:ada:consume:mine has two entries");
}

#[test]
fn a_retry_would_be_refused_what_it_got_if_nobody_looked_before_refusing() {
    let broken = a_retry_and_a_rival(Rules { asks_before_refusing: false, ..OURS }).unwrap_err();
    assert_eq!(broken.fault, "a request was refused that an entry had answered");
    assert_eq!(broken.steps.len(), 3, "one reads and writes, then the other reads: {:?}", broken.steps);
}
