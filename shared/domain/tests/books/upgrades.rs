//! More in the midst of a period: what a better plan or more seats bring at once, and what waits.

use domain::catalog::{Allowance, Window};
use domain::subscription::Period;
use domain::time::DAY_MS;
use proptest::prelude::*;

use crate::story::{Story, day, every, tokens, weekly};

fn seated(seats: u32, each: Allowance) -> Option<Allowance> {
    Some(each.times(seats))
}

fn each(count: u64, rollover: u64) -> Allowance {
    Allowance::Tokens { count: tokens(count), every: Window::Week, rollover: tokens(rollover) }
}

/// Paid for, and its tokens wait where a change brings more.
fn waiting() -> Story {
    let mut story = Story::new();
    story.seen.terms.tokens_wait = true;
    story.sync().pay(1);
    story
}

#[test]
fn seats_bring_and_keep_as_much_as_so_many_plans() {
    assert_eq!(each(100, 30).times(4), each(400, 120));
    assert_eq!(each(100, 30).times(1), each(100, 30));
    assert_eq!(Allowance::Unlimited.times(7), Allowance::Unlimited);
}

#[test]
fn more_seats_in_mid_week_bring_the_difference_and_fewer_take_nothing_back() {
    let mut story = Story::new();
    story.seen.allowance = seated(2, each(100, 0));
    story.sync().pay(1);
    assert_eq!(story.wait(3).available(), 200);
    for (seats, available) in [(5, 500), (3, 500), (5, 500), (6, 600)] {
        story.seen.allowance = seated(seats, each(100, 0));
        assert_eq!(story.sync().available(), available, "{seats} seats");
    }
    story.seen.allowance = seated(3, each(100, 0));
    story.sync().wait(4);
    assert_eq!(story.available(), 300, "the next week is of as many as there are then");
}

#[test]
fn what_is_kept_of_a_week_grows_and_shrinks_with_the_seats() {
    let mut story = Story::new();
    story.seen.allowance = seated(2, each(100, 50));
    story.sync().pay(1);
    assert_eq!(story.wait(7).available(), 200 + 100);
    story.seen.allowance = seated(1, each(100, 50));
    story.sync().wait(7);
    assert_eq!(story.available(), 100 + 100, "what was kept before stays, and nothing comes to it");
}

#[test]
fn where_tokens_wait_a_first_week_comes_at_once_and_a_better_one_with_the_next() {
    let mut story = waiting();
    assert_eq!(story.available(), 500);
    story.wait(2);
    story.seen.allowance = weekly(800);
    assert_eq!(story.sync().available(), 500);
    assert_eq!(story.wait(4).available(), 500);
    assert_eq!(story.wait(1).available(), 800);
}

#[test]
fn where_tokens_wait_a_paid_change_in_mid_month_brings_nothing_until_the_renewal() {
    let mut story = Story::new();
    story.seen.terms.tokens_wait = true;
    story.seen.allowance = every(Window::Billing, 25);
    story.pay(1).wait(10);
    story.seen.allowance = every(Window::Billing, 100);
    let rest = Period { start: story.now, end: story.seen.period_end };
    story.sync().pay_proration("in_proration", rest);
    assert_eq!(story.available(), 25);
    story.wait(21).pay(2);
    assert_eq!(story.available(), 100);
}

#[test]
fn whoever_had_no_limit_or_no_tokens_does_not_wait_for_the_first() {
    for allowance in [None, Some(Allowance::Unlimited)] {
        let mut story = Story::new();
        (story.seen.terms.tokens_wait, story.seen.allowance) = (true, allowance);
        story.sync().pay(1).wait(9);
        story.seen.allowance = weekly(500);
        assert_eq!(story.sync().available(), 500);
    }
}

proptest! {
    /// However plans are changed in mid-slot, where tokens wait the slot brings what it began with.
    #[test]
    fn where_tokens_wait_no_flip_within_a_week_brings_any(
        counts in prop::collection::vec(prop::option::of(1u64..2_000), 1..10),
        hours in 0i64..12,
        spent in 0u64..500,
    ) {
        let mut story = waiting();
        story.spend(spent).unwrap();
        for count in counts {
            story.now = story.now.plus_ms(hours * DAY_MS / 24);
            story.seen.allowance = count.map_or(Some(Allowance::Unlimited), weekly);
            story.sync();
        }
        prop_assert_eq!(story.available(), 500 - spent);
        // The next week begins anew, with what the plan has then.
        story.seen.allowance = weekly(700);
        story.sync();
        story.now = day(7);
        prop_assert_eq!(story.available(), 700);
    }

    /// A slot brings as many as the best of the plans that were had in it, in whatever order, and none of them twice.
    #[test]
    fn a_week_brings_what_its_best_plan_does(
        counts in prop::collection::vec(1u64..2_000, 1..10),
        spent in 0u64..500,
    ) {
        let mut story = Story::subscribed();
        story.spend(spent).unwrap();
        let best = counts.iter().copied().max().unwrap().max(500);
        for count in counts {
            story.seen.allowance = weekly(count);
            story.sync();
        }
        prop_assert_eq!(story.account.balances().available, tokens(best - spent));
    }
}
