//! Reading a journal again: whatever does not follow from the entries before it is named.

use domain::cause::{Cause, Operation};
use domain::decide::{Act, Captured, Spend, What};
use domain::entry::{Detail, Entry, Sealed};
use domain::hash::Hash;
use domain::ids::{HoldId, PaymentId, RequestKey, UserId};
use domain::lot::{Balances, LotId, Source};
use domain::money::Tokens;
use domain::posting::{Opened, Place, Posting};
use domain::replay::{Fault, Replay};
use domain::reversal::reverse;
use domain::time::{HOUR_MS, Time};

use crate::story::{Story, given, start, tokens};

/// Buys, spends, sets aside, captures, subscribes, pays for it, and half of it goes back.
fn lived() -> Story {
    let mut story = Story::new();
    let row = story.buys("medium", "pi_1");
    story.spend(30).unwrap();
    let hold = story.request(Operation::Hold);
    let spend = Spend { what: What::Tokens(tokens(20)), amount: 1 };
    story.apply(hold, Act::Hold { spend, expires_at: story.now.plus_ms(HOUR_MS) }).unwrap();
    let hold = story.account.holds[0].id.clone();
    let key = RequestKey::parse("end").unwrap();
    let ends = Act::EndHold { hold: hold.clone(), wanted: Captured::Tokens(tokens(5)), key };
    story.apply(Cause::HoldEnd(hold), ends).unwrap();
    story.sync().pay(1);
    let taken = reverse(&story.account, &row, row.paid.amount_minor / 2, story.now).unwrap();
    story.journal.push(taken.entry.entry);
    story.account = taken.account;
    story
}

/// Which entry of a lived story is which.
const PURCHASE: usize = 0;
const CONSUME: usize = 1;
const HOLD: usize = 2;
const CAPTURE: usize = 3;
const SUBSCRIPTION: usize = 4;
const INVOICE: usize = 5;
const REVERSAL: usize = 6;

/// Each entry after the one before it, as if they had been written so.
fn chained(journal: &[Entry]) -> Vec<Sealed> {
    let mut head = Hash::START;
    let seal = |entry: &Entry| {
        let sealed = entry.clone().seal(head);
        head = sealed.hash;
        sealed
    };
    journal.iter().map(seal).collect()
}

/// The seq of the first entry that does not follow, and why.
fn fault(journal: &[Sealed]) -> Option<(u64, Fault)> {
    let mut replay = Replay::new(UserId::parse("ada").unwrap());
    journal.iter().find_map(|sealed| Some((sealed.entry.seq, replay.step(sealed).err()?)))
}

/// What is wrong with an entry that was forged, and every one after it chained anew.
fn forged(which: usize, forge: impl FnOnce(&mut Entry)) -> Fault {
    let mut journal = lived().journal;
    assert_eq!(fault(&chained(&journal)), None, "a lived story is right");
    forge(&mut journal[which]);
    let (seq, fault) = fault(&chained(&journal)).expect("it is noticed");
    assert_eq!(seq, which as u64 + 1, "{fault}");
    fault
}

#[test]
fn a_story_is_what_its_helpers_say() {
    let kinds: Vec<&str> = lived().journal.iter().map(|entry| entry.detail.kind()).collect();
    let expected = ["purchase", "consume", "hold", "capture", "subscription", "invoice", "reversal"];
    assert_eq!(kinds, expected);
    assert!(matches!(lived().journal[SUBSCRIPTION].detail, Detail::Subscription { .. }));
}

#[test]
fn an_entry_that_is_left_out_is_missed_by_its_number() {
    let journal = chained(&lived().journal);
    for missing in 0..journal.len() - 1 {
        let mut journal = journal.clone();
        journal.remove(missing);
        let expected = missing as u64 + 1;
        assert_eq!(fault(&journal), Some((expected + 1, Fault::Gap { expected })));
    }
}

#[test]
fn an_entry_that_is_there_again_is_out_of_place() {
    let mut journal = chained(&lived().journal);
    journal.insert(2, journal[1].clone());
    assert_eq!(fault(&journal), Some((2, Fault::Gap { expected: 3 })));
}

#[test]
fn the_entry_of_somebody_else_is_none_of_hers() {
    let bob = UserId::parse("bob").unwrap();
    assert_eq!(forged(CONSUME, |entry| entry.user = bob), Fault::AnotherUser);
}

#[test]
fn any_other_byte_has_another_hash() {
    let journal = chained(&lived().journal);
    for byte in 0..journal[CONSUME].body.len() {
        let mut journal = journal.clone();
        let mut bytes = journal[CONSUME].body.clone().into_bytes();
        bytes[byte] ^= 1;
        journal[CONSUME].body = String::from_utf8(bytes).unwrap();
        assert_eq!(fault(&journal), Some((2, Fault::Altered)), "byte {byte}");
    }
}

#[test]
fn an_entry_that_was_sealed_again_does_not_follow() {
    let mut journal = chained(&lived().journal);
    let sealed = journal[CONSUME].entry.clone().seal(Hash([7; 32]));
    journal[CONSUME] = sealed;
    assert_eq!(fault(&journal), Some((2, Fault::Unchained)));
    // Nor does the one after it, if it is the forged one that is chained.
    let mut journal = chained(&lived().journal);
    let mut forged = journal[CONSUME].entry.clone();
    forged.request = None;
    forged.at = forged.at.plus_ms(1);
    journal[CONSUME] = forged.seal(journal[CONSUME].prev);
    assert_eq!(fault(&journal), Some((3, Fault::Unchained)));
}

#[test]
fn attributes_that_say_something_else_than_the_body_are_named() {
    let mut journal = chained(&lived().journal);
    journal[CONSUME].entry.after.available = tokens(1_000);
    assert_eq!(fault(&journal), Some((2, Fault::Unlike)));
    let journal = chained(&lived().journal);
    // Bytes that are no entry at all, and hashed as such.
    let mut nonsense = journal.clone();
    nonsense[CONSUME].body = "{}".to_owned();
    nonsense[CONSUME].hash = Hash::of(nonsense[CONSUME].prev, "{}");
    assert_eq!(fault(&nonsense), Some((2, Fault::Unlike)));
}

#[test]
fn time_does_not_run_backwards() {
    assert_eq!(forged(CONSUME, |entry| entry.at = start().plus_ms(-1)), Fault::Earlier);
}

#[test]
fn a_lot_gives_no_more_than_it_has() {
    let fault = forged(CONSUME, |entry| entry.postings[0].amount = tokens(9_999));
    assert!(matches!(fault, Fault::Overdrawn { amount, .. } if amount == tokens(9_999)), "{fault}");
    let fault = forged(CONSUME, |entry| entry.postings[0].lot = Some(LotId::purchase(&payment("pi_2"))));
    assert!(matches!(&fault, Fault::Overdrawn { from, .. } if from == "the lot pi_2"), "{fault}");
    let fault = forged(CONSUME, |entry| entry.postings[0].lot = None);
    assert!(matches!(&fault, Fault::Overdrawn { from, .. } if from == "no lot"), "{fault}");
    let unowed = |entry: &mut Entry| entry.postings.push(posting(Place::World, Place::Debt, 1));
    let fault = forged(CONSUME, unowed);
    assert!(matches!(&fault, Fault::Overdrawn { from, .. } if from == "what is owed"), "{fault}");
}

#[test]
fn tokens_go_into_lots_that_were_opened_and_every_lot_gets_some() {
    let fault = forged(PURCHASE, |entry| entry.opened.clear());
    assert_eq!(fault, Fault::NeverOpened { lot: "pi_1".to_owned() });
    let lot = LotId::purchase(&payment("pi_2"));
    let opened = Opened { lot, source: Source::Purchase, expires_at: None, opened_at: None };
    assert_eq!(forged(CONSUME, |entry| entry.opened.push(opened)), Fault::Unused { lot: "pi_2".to_owned() });
}

#[test]
fn the_sums_that_an_entry_says_are_what_its_postings_come_to() {
    let said = Balances { available: tokens(246), ..Balances::default() };
    let found = Balances { available: tokens(245), ..Balances::default() };
    assert_eq!(forged(CONSUME, |entry| entry.after = said), Fault::Unbalanced { said, found });
}

#[test]
fn sums_beyond_any_account_are_a_fault_and_not_a_crash() {
    let mut story = Story::new();
    let cause = story.request(Operation::Grant);
    story.apply(cause, given(Tokens::MAX.get(), None)).unwrap();
    let mut second = story.journal[0].clone();
    second.seq = 2;
    let lot = LotId::purchase(&payment("pi_2"));
    second.postings[0].lot = Some(lot.clone());
    second.opened[0].lot = lot;
    story.journal.push(second);
    assert_eq!(fault(&chained(&story.journal)), Some((2, Fault::Boundless)));
}

#[test]
fn a_hold_ends_once_and_only_if_it_began() {
    let hold = HoldId::parse("hold_other").unwrap();
    let another = hold.clone();
    let fault = forged(CAPTURE, |entry| {
        let Detail::HoldEnd { hold, .. } = &mut entry.detail else { panic!("{entry:?}") };
        *hold = another;
    });
    assert_eq!(fault, Fault::NoHold(hold));
}

#[test]
fn a_hold_that_holds_less_than_was_set_aside_is_noticed() {
    let fault = forged(HOLD, |entry| entry.postings[0].to = Place::Spent);
    assert!(matches!(fault, Fault::Unbalanced { .. }), "{fault}");
}

#[test]
fn what_is_reversed_was_paid_before() {
    let fault = forged(REVERSAL, |entry| {
        let Detail::Reversal { payment: of, .. } = &mut entry.detail else { panic!("{entry:?}") };
        *of = payment("pi_2");
    });
    assert_eq!(fault, Fault::NoPayment(payment("pi_2")));
}

#[test]
fn a_payment_is_booked_once() {
    let fault = forged(INVOICE, |entry| {
        let Detail::Invoice { payments, .. } = &mut entry.detail else { panic!("{entry:?}") };
        payments[0].0 = payment("pi_1");
    });
    assert_eq!(fault, Fault::PaidTwice(payment("pi_1")));
}

#[test]
fn a_reversal_begins_where_the_last_one_ended() {
    let fault = forged(REVERSAL, |entry| {
        let Detail::Reversal { taken, .. } = &mut entry.detail else { panic!("{entry:?}") };
        taken.0 = tokens(1);
    });
    assert_eq!(fault, Fault::ReversedElsewhere(payment("pi_1")));
}

#[test]
fn a_subscription_was_what_the_books_had_seen() {
    let seen = lived().seen;
    let id = seen.id.clone();
    let was = Some(Box::new(seen));
    let fault = forged(SUBSCRIPTION, |entry| {
        let Detail::Subscription { was: before, .. } = &mut entry.detail else { panic!("{entry:?}") };
        *before = was;
    });
    assert_eq!(fault, Fault::NotSo(id.clone()));
    // Nor is anything counted for one that is not there.
    let fault = forged(PURCHASE, |entry| entry.counted = lived().journal[INVOICE].counted.clone());
    assert_eq!(fault, Fault::NotSo(id));
}

#[test]
fn nothing_but_facts_comes_after_the_end() {
    let mut story = lived();
    let close = story.request(Operation::Erase);
    story.apply(close, Act::Close { operator: UserId::parse("grace").unwrap() }).unwrap();
    let mut late = story.journal[CONSUME].clone();
    late.seq = story.account.seq + 1;
    late.at = story.account.at;
    story.journal.push(late);
    assert_eq!(fault(&chained(&story.journal)), Some((story.account.seq + 1, Fault::Closed)));
}

#[test]
fn an_account_that_differs_is_told_in_what() {
    let story = lived();
    let mut replay = Replay::new(story.account.user.clone());
    chained(&story.journal).iter().try_for_each(|sealed| replay.step(sealed)).unwrap();
    assert_eq!(replay.differs(&story.account), None);
    let differing = |change: &dyn Fn(&mut domain::account::Account)| {
        let mut stored = story.account.clone();
        change(&mut stored);
        replay.differs(&stored)
    };
    assert_eq!(differing(&|stored| stored.seq += 1), Some("seq"));
    assert_eq!(differing(&|stored| stored.at = Time::from_millis(1)), Some("at"));
    assert_eq!(differing(&|stored| stored.head = Hash::START), Some("head"));
    assert_eq!(differing(&|stored| stored.lots[0].remaining = tokens(1)), Some("lots"));
    assert_eq!(differing(&|stored| drop(stored.subscriptions.pop())), Some("subscriptions"));
    assert_eq!(differing(&|stored| stored.debt = tokens(1)), Some("debt"));
    assert_eq!(differing(&|stored| stored.closed = Some(stored.at)), Some("closed"));
    assert_eq!(differing(&|stored| stored.lots.reverse()), None, "order says nothing");
    assert_eq!(differing(&|stored| stored.obs += 1), None, "nor do looks");
}

fn payment(id: &str) -> PaymentId {
    PaymentId::parse(id).unwrap()
}

fn posting(from: Place, to: Place, amount: u64) -> Posting {
    Posting { from, to, amount: tokens(amount), lot: None, into: None, at: None }
}
