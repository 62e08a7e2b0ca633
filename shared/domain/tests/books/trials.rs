//! Trials: what is brought while a plan is tried, what when it is paid for, and that it is remembered.

use domain::catalog::Window;
use domain::ids::SubscriptionId;
use domain::subscription::{Period, Seen, Slot, Status};
use domain::time::{DAY_MS, Time};
use proptest::prelude::*;

use crate::story::{Story, day, every, premium, start, tokens, weekly};

/// Premium, tried for so many days, with so many tokens in each of its slots.
fn tried(days: i64, trial_tokens: u64) -> Story {
    let mut story = Story::new();
    (story.seen.status, story.seen.trial_end) = (Status::Trialing, Some(day(days)));
    story.seen.period_end = day(days);
    story.seen.terms.trial_tokens = tokens(trial_tokens);
    story.sync().pay_for("in_trial", Period { start: start(), end: day(days) });
    story
}

/// Stripe charges for the first month, and the books hear of it now.
fn convert(story: &mut Story, days: i64) {
    let month = Period { start: day(days), end: day(days).plus_months(1) };
    story.seen.status = Status::Active;
    (story.seen.period_start, story.seen.period_end) = (month.start, month.end);
    story.sync().pay_for("in_first", month);
}

fn world(story: &Story) -> i64 {
    -story.totals().get("world").copied().unwrap_or_default()
}

#[test]
fn each_week_of_a_trial_brings_the_trials_tokens_and_the_plans_come_when_it_is_paid_for() {
    let mut story = tried(10, 50);
    assert_eq!((story.available(), story.plan().1), (50, "trialing"));
    story.wait(7).spend(20).unwrap();
    assert_eq!(story.available(), 30, "the second week's, those of the first are over");
    story.wait(3);
    assert_eq!(story.available(), 30);
    convert(&mut story, 10);
    assert_eq!(story.available(), 480, "the week is filled up to the plan's, less what was spent");
    story.wait(4);
    assert_eq!((story.available(), world(&story)), (500, 50 + 500));
}

#[test]
fn a_trial_that_brings_more_than_the_plan_is_no_debt() {
    let mut story = tried(10, 700);
    story.wait(10);
    convert(&mut story, 10);
    assert_eq!(story.available(), 700);
    story.wait(4);
    assert_eq!(story.available(), 500);
}

#[test]
fn a_trial_that_is_not_paid_for_brings_nothing_after_its_end() {
    for status in [Status::Paused, Status::PastDue] {
        let mut story = tried(10, 50);
        story.wait(10);
        (story.seen.status, story.seen.period_end) = (status, day(41));
        story.sync().wait(4);
        assert_eq!(story.available(), 0, "{status:?}");
    }
}

#[test]
fn a_trial_that_is_canceled_takes_its_tokens_with_it() {
    let mut story = tried(10, 50);
    story.seen.cancel_at = Some(day(10));
    story.sync().wait(9);
    assert_eq!(story.available(), 50);
    assert_eq!(story.wait(1).available(), 0);
}

#[test]
fn a_trial_of_a_plan_paid_by_invoice_brings_its_tokens_once_and_the_months_come_whole() {
    let mut story = Story::new();
    (story.seen.status, story.seen.trial_end) = (Status::Trialing, Some(day(10)));
    (story.seen.period_end, story.seen.allowance) = (day(10), every(Window::Billing, 100));
    story.seen.terms.trial_tokens = tokens(30);
    story.sync().pay_for("in_trial", Period { start: start(), end: day(10) });
    assert_eq!(story.wait(8).available(), 30);
    story.wait(2);
    assert_eq!(story.available(), 0);
    convert(&mut story, 10);
    assert_eq!((story.available(), world(&story)), (100, 130));
}

/// What the slots up to a moment bring in all: the trial's, and from the one that it ends in, the plan's.
fn expected(days: i64, trial_tokens: u64, count: u64, until: Time) -> u64 {
    let slots = (0..).map_while(|week| Slot::at(start(), Window::Week, day(7 * week)));
    let begun = slots.take_while(|slot| slot.start <= until);
    let of_slot = |slot: Slot| match slot {
        Slot { end, .. } if end <= day(days) || until < day(days) => trial_tokens,
        Slot { start, .. } if start < day(days) => count.max(trial_tokens),
        _ => count,
    };
    begun.map(of_slot).sum()
}

proptest! {
    /// Whenever anybody looks: no slot is brought twice, and none is left out.
    #[test]
    fn every_slot_of_a_trial_and_after_it_comes_once(
        days in 1i64..40,
        trial_tokens in prop::sample::select(vec![0u64, 50, 500, 700]),
        looks in prop::collection::vec(1i64..30, 1..12),
        spent in 0u64..60,
    ) {
        let mut story = tried(days, trial_tokens);
        drop(story.spend(spent));
        let mut is_paid = false;
        for hours in looks {
            let until = story.now.plus_ms(hours * DAY_MS / 4);
            if !is_paid && until >= day(days) {
                story.now = day(days);
                convert(&mut story, days);
                is_paid = true;
            }
            story.now = until.min(day(days).plus_months(1).plus_ms(-1));
            story.touch();
        }
        prop_assert_eq!(u64::try_from(world(&story)).unwrap(), expected(days, trial_tokens, 500, story.now));
    }

    /// However late it is heard that a trial was paid for, who has it is as well off as if it had been told at once.
    #[test]
    fn a_conversion_that_is_heard_of_late_costs_nothing(
        days in 1i64..20,
        trial_tokens in prop::sample::select(vec![0u64, 50, 700]),
        late in 0i64..72,
        more in 0i64..10,
    ) {
        let (mut told, mut untold) = (tried(days, trial_tokens), tried(days, trial_tokens));
        told.now = day(days);
        convert(&mut told, days);
        let heard = day(days).plus_ms(late * DAY_MS / 24);
        (told.now, untold.now) = (heard, heard);
        convert(&mut untold, days);
        prop_assert_eq!(told.available(), untold.available());
        prop_assert_eq!(told.wait(more).available(), untold.wait(more).available());
    }
}

fn another(id: &str, change: impl FnOnce(&mut Seen)) -> Seen {
    let mut seen = Seen { id: SubscriptionId::parse(id).unwrap(), ..premium() };
    change(&mut seen);
    seen
}

#[test]
fn a_trial_is_remembered_for_ever_even_one_that_was_over_before_anybody_heard_of_it() {
    let over = another("sub_over", |seen| {
        (seen.status, seen.trial_end, seen.ended_at) = (Status::Canceled, Some(day(7)), Some(day(3)));
    });
    let mut story = Story::new();
    story.seen = over.clone();
    story.wait(9).sync();
    assert_eq!(story.account.tried, Some(over.id.clone()));
    assert!(story.account.subscriptions.is_empty());
    // Another trial does not take its place, and to hear of it again is no news.
    let entries = story.journal.len();
    story.sync();
    assert_eq!(story.journal.len(), entries);
    story.seen = another("sub_2", |seen| {
        (seen.status, seen.trial_end) = (Status::Trialing, Some(day(20)));
    });
    story.sync();
    assert_eq!(story.account.tried, Some(over.id));
}

#[test]
fn what_was_never_tried_is_not_remembered_as_a_trial() {
    let mut story = Story::subscribed();
    story.seen.status = Status::Canceled;
    story.sync();
    assert_eq!(story.account.tried, None);
}

#[test]
fn a_journal_tells_who_was_tried() {
    let mut story = tried(10, 50);
    story.seen.status = Status::Canceled;
    story.seen.ended_at = Some(story.now);
    story.sync();
    story.seen = another("sub_2", |seen| seen.allowance = weekly(90));
    story.sync();
    let replay = story.replayed();
    assert_eq!(replay.account.tried, Some(SubscriptionId::parse("sub_1").unwrap()));
    assert_eq!(replay.differs(&story.account), None);
    let mut forgetful = story.account.clone();
    forgetful.tried = None;
    assert_eq!(replay.differs(&forgetful), Some("tried"));
}
