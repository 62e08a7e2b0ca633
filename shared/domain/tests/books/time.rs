//! Time is an input: whoever looks, however often, changes nothing.

use domain::catalog::{Allowance, Window};
use domain::posting::Place;
use domain::subscription::Status;
use domain::time::DAY_MS;
use proptest::prelude::*;

use crate::story::{Story, every, start, tokens, weekly};

/// What may happen to a subscriber from one day to the next.
#[derive(Debug, Clone)]
enum Turn {
    Wait(i64),
    Pay,
    Spend(u64),
    Flip(Option<Allowance>),
    Status(Status),
    CancelIn(i64),
    Resume,
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let monthly = every(Window::Month, 900);
    let rolling = Some(Allowance::Tokens { count: tokens(300), every: Window::Week, rollover: tokens(250) });
    let allowances = vec![weekly(500), weekly(200), rolling, monthly, Some(Allowance::Unlimited), None];
    prop_oneof![
        4 => (1i64..20).prop_map(Turn::Wait),
        2 => Just(Turn::Pay),
        2 => (1u64..400).prop_map(Turn::Spend),
        1 => prop::sample::select(allowances).prop_map(Turn::Flip),
        1 => prop::sample::select(vec![Status::Active, Status::PastDue, Status::Unpaid]).prop_map(Turn::Status),
        1 => (1i64..40).prop_map(Turn::CancelIn),
        1 => Just(Turn::Resume),
    ]
}

fn play(story: &mut Story, turns: &[Turn], watched: bool) {
    let mut month = 0;
    for turn in turns {
        match turn {
            Turn::Wait(days) if watched => (0..*days).for_each(|_| story.wait(1).touch()),
            Turn::Wait(days) => drop(story.wait(*days)),
            Turn::Pay => {
                month += 1;
                story.pay(month);
            }
            Turn::Spend(count) => drop(story.spend(*count)),
            Turn::Flip(allowance) => story.seen.allowance = *allowance,
            Turn::Status(status) => story.seen.status = *status,
            // Stripe moves no end that has come.
            Turn::CancelIn(_) | Turn::Resume if story.seen.end().is_some_and(|end| end <= story.now) => {}
            Turn::CancelIn(days) => story.seen.cancel_at = Some(story.now.plus_ms(days * DAY_MS)),
            Turn::Resume => story.seen.cancel_at = None,
        }
        story.sync();
    }
    story.touch();
}

proptest! {
    /// No process is needed for anything to be right: looked at daily or not at all, the books come out the same.
    #[test]
    fn looking_changes_nothing(turns in prop::collection::vec(any_turn(), 1..30)) {
        let (mut watched, mut unwatched) = (Story::new(), Story::new());
        play(&mut watched, &turns, true);
        play(&mut unwatched, &turns, false);
        prop_assert_eq!(&watched.account.lots, &unwatched.account.lots);
        prop_assert_eq!(&watched.account.subscriptions, &unwatched.account.subscriptions);
        prop_assert_eq!(watched.totals(), unwatched.totals());
    }

    /// However plans are flipped: in all no more comes than the best plan brings week by week,
    /// but for one month's start of the other.
    #[test]
    fn no_flipping_brings_more_than_the_best_plan(turns in prop::collection::vec(any_turn(), 1..40)) {
        let mut story = Story::new();
        play(&mut story, &turns, false);
        let came: u64 = story
            .journal
            .iter()
            .flat_map(|entry| &entry.postings)
            .filter(|posting| posting.from == Place::World && posting.to == Place::Lot)
            .map(|posting| posting.amount.get())
            .sum();
        let weeks = (story.now.millis() - start().millis()) / (7 * DAY_MS) + 1;
        let months = start().months_until(story.now) + 1;
        let most = 500 * weeks + 400 * months;
        prop_assert!(i64::try_from(came).unwrap() <= most, "{came} came in {weeks} weeks");
    }
}
