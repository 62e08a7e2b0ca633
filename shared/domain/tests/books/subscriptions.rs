//! What subscriptions bring and take away, by example and by law.

use crate::story::{Story, day, every, start, tokens, weekly};
use domain::catalog::{Allowance, Window};
use domain::decide::Refusal;
use domain::entry::Detail;
use domain::ids::PlanId;
use domain::item::Interval;
use domain::lot::Source;
use domain::money::Tokens;
use domain::posting::Place;
use domain::subscription::{Period, Status};
use domain::time::{DAY_MS, HOUR_MS, Time};

#[test]
fn tokens_arrive_with_the_first_paid_invoice_and_not_before() {
    let mut story = Story::new();
    story.sync();
    assert_eq!((story.available(), story.plan()), (0, ("premium".to_owned(), "active")));
    story.pay(1);
    assert_eq!(story.available(), 500);
    let lot = &story.account.lots[0];
    assert_eq!((lot.id.as_str(), lot.source), ("sub_1:w0", Source::Allowance));
    assert_eq!(lot.expires_at, Some(start().plus_ms(7 * DAY_MS)));
}

#[test]
fn every_week_what_is_left_lapses_and_the_next_arrive_beside_what_was_bought() {
    let mut story = Story::subscribed();
    story.buy_medium().spend(400).unwrap();
    assert_eq!(story.available(), 375);
    story.wait(7);
    assert_eq!(story.available(), 775, "nothing was written, and yet it is true");
    story.touch();
    let posted: Vec<_> =
        story.journal.last().unwrap().postings.iter().map(|p| (p.from, p.to, p.amount.get())).collect();
    assert_eq!(posted, [(Place::Lot, Place::Expired, 100), (Place::World, Place::Lot, 500)]);
}

#[test]
fn allowance_burns_before_what_was_bought() {
    let mut story = Story::subscribed();
    story.buy_medium().spend(510).unwrap();
    let left: Vec<_> = story.account.lots.iter().map(|lot| (lot.source, lot.remaining.get())).collect();
    assert_eq!(left, [(Source::Bonus, 15), (Source::Purchase, 250)]);
}

#[test]
fn weeks_that_nobody_looked_are_one_posting_however_many() {
    let mut story = Story::subscribed();
    for month in 2..=13 {
        story.pay(month);
    }
    story.wait(7 * 50 + 1).touch();
    let entry = story.journal.last().unwrap();
    let posted: Vec<_> = entry.postings.iter().map(|p| (p.from, p.to, p.amount.get(), p.at)).collect();
    let week = |number: i64| Some(start().plus_ms(number * 7 * DAY_MS));
    assert_eq!(
        posted,
        [
            (Place::Lot, Place::Expired, 500, week(1)),
            (Place::World, Place::Expired, 49 * 500, week(50)),
            (Place::World, Place::Lot, 500, week(50)),
        ]
    );
}

#[test]
fn weeks_run_on_over_a_renewal() {
    let mut story = Story::subscribed();
    // The month ends on day 31, in the middle of the fifth week.
    story.wait(30).pay(2);
    assert_eq!(story.account.lots[0].id.as_str(), "sub_1:w4");
    story.spend(500).unwrap();
    story.wait(4);
    assert_eq!(story.available(), 0, "day 34 is still in the fifth week");
    story.wait(1);
    assert_eq!(story.available(), 500);
}

#[test]
fn a_renewal_invoice_in_draft_cuts_nobody_off() {
    let mut story = Story::subscribed();
    story.wait(31);
    // Stripe has begun the new month, and its invoice is not paid yet.
    (story.seen.period_start, story.seen.period_end) = (start().plus_months(1), start().plus_months(2));
    story.sync();
    assert_eq!((story.available(), story.plan()), (500, ("premium".to_owned(), "active")));
    story.spend(1).unwrap();
}

#[test]
fn unpaid_for_the_drip_stops_and_catches_up_when_the_invoice_is_paid() {
    let mut story = Story::subscribed();
    story.wait(36);
    (story.seen.period_start, story.seen.period_end) = (start().plus_months(1), start().plus_months(2));
    story.seen.status = Status::PastDue;
    story.sync();
    assert_eq!((story.available(), story.plan()), (0, ("premium".to_owned(), "past_due")));
    story.seen.status = Status::Active;
    story.pay(2);
    assert_eq!(story.available(), 500);
}

#[test]
fn a_renewal_without_news_counts_as_past_due_after_three_days() {
    let mut story = Story::subscribed();
    story.wait(33);
    assert_eq!(story.plan().1, "active");
    story.wait(2);
    assert_eq!(story.plan(), ("premium".to_owned(), "past_due"));
}

#[test]
fn a_planned_end_comes_by_itself_and_takes_the_allowance_with_it() {
    let mut story = Story::subscribed();
    story.buy_medium();
    story.seen.cancel_at = Some(start().plus_ms(10 * DAY_MS));
    story.sync().wait(9);
    assert_eq!((story.available(), story.plan()), (775, ("premium".to_owned(), "active")));
    story.wait(1);
    assert_eq!((story.available(), story.plan()), (275, ("free".to_owned(), "none")));
    story.wait(90);
    assert_eq!(story.available(), 275, "and nothing drips afterwards");
}

#[test]
fn a_cancellation_that_is_taken_back_leaves_the_weeks_as_they_were() {
    let mut story = Story::subscribed();
    story.seen.cancel_at = Some(start().plus_ms(10 * DAY_MS));
    story.sync().wait(8).touch();
    story.seen.cancel_at = None;
    story.sync().wait(5);
    assert_eq!(story.available(), 500);
    assert_eq!(
        story.account.lots[0].lapses_at(&story.account.subscriptions),
        Some(start().plus_ms(14 * DAY_MS))
    );
}

#[test]
fn an_end_ends_what_the_subscription_gave_and_leaves_what_was_bought() {
    let mut story = Story::subscribed();
    story.buy_medium().wait(3);
    story.seen.status = Status::Canceled;
    story.seen.ended_at = Some(story.now);
    story.sync();
    assert_eq!((story.available(), story.plan()), (275, ("free".to_owned(), "none")));
    assert!(story.account.subscriptions.is_empty());
    let Detail::Subscription { was, is } = &story.journal.last().unwrap().detail else { panic!() };
    assert_eq!(was.as_ref().unwrap().status, Status::Active);
    assert_eq!(is.ended_at, Some(start().plus_ms(3 * DAY_MS)));
}

#[test]
fn an_end_learned_late_takes_back_nothing_that_was_spent_and_grants_nothing_after_it() {
    let mut story = Story::subscribed();
    story.wait(8).spend(100).unwrap();
    story.wait(12);
    story.seen.status = Status::Canceled;
    // It ended on day 3: before the second week, which was granted and spent from in good faith.
    story.seen.ended_at = Some(start().plus_ms(3 * DAY_MS));
    story.sync();
    assert_eq!(story.available(), 0);
    let entry = story.journal.last().unwrap();
    let posted: Vec<_> = entry.postings.iter().map(|p| (p.to, p.amount.get(), p.at)).collect();
    assert_eq!(
        posted,
        [(Place::Expired, 400, Some(start().plus_ms(8 * DAY_MS)))],
        "never before the last write"
    );
    assert_eq!(story.totals()["spent"], 100);
}

#[test]
fn flipping_plans_ten_times_in_a_period_grants_no_token_twice() {
    let mut story = Story::subscribed();
    story.wait(2).spend(450).unwrap();
    for _ in 0..10 {
        for (plan, allowance) in [("elite", Some(Allowance::Unlimited)), ("premium", weekly(500))] {
            story.seen.plan = PlanId::parse(plan).unwrap();
            story.seen.allowance = allowance;
            story.sync();
        }
    }
    assert_eq!(story.available(), 50);
    assert_eq!(-story.totals()["world"], 500);
    story.wait(5);
    assert_eq!(story.available(), 500, "the next week is granted once more");
}

#[test]
fn who_is_seen_before_the_first_payment_has_every_week_that_it_paid_for_however_late_that_is_heard() {
    let mut story = Story::new();
    story.seen.status = Status::Incomplete;
    story.sync().wait(18);
    story.seen.status = Status::Active;
    story.sync();
    story.pay(1);
    story.touch();
    assert_eq!(-story.totals()["world"], 1500, "two weeks that went by, and the third");
}

#[test]
fn a_change_after_the_last_paid_week_brings_that_week_to_nobody_again() {
    let mut story = Story::subscribed();
    story.wait(36).touch();
    assert_eq!(-story.totals()["world"], 2500, "the week that the month ends in is whole");
    for count in [800, 500, 900] {
        story.seen.allowance = weekly(count);
        story.sync();
    }
    assert_eq!(-story.totals()["world"], 2500);
}

#[test]
fn a_better_plan_in_mid_week_tops_up_the_difference_once() {
    let mut story = Story::subscribed();
    story.spend(500).unwrap();
    for count in [800, 500, 800] {
        story.seen.allowance = weekly(count);
        story.sync();
    }
    assert_eq!(story.available(), 300);
}

#[test]
fn weeks_under_an_unlimited_plan_are_nobodys_after_a_downgrade() {
    let mut story = Story::new();
    story.seen.allowance = Some(Allowance::Unlimited);
    story.seen.plan = PlanId::parse("elite").unwrap();
    story.pay(1).wait(22);
    (story.seen.allowance, story.seen.plan) = (weekly(500), PlanId::parse("premium").unwrap());
    story.sync();
    assert_eq!((story.available(), -story.totals()["world"]), (500, 500));
}

#[test]
fn unlimited_tokens_touch_no_lot() {
    let mut story = Story::subscribed();
    (story.seen.allowance, story.seen.plan) = (Some(Allowance::Unlimited), PlanId::parse("elite").unwrap());
    story.sync().spend(1_000_000).unwrap();
    let posted: Vec<_> = story.journal.last().unwrap().postings.iter().map(|p| (p.from, p.to)).collect();
    assert_eq!((posted, story.available()), (vec![(Place::World, Place::Spent)], 500));
}

#[test]
fn a_trial_drips_nothing_and_the_first_week_after_it_comes_whole() {
    let mut story = Story::new();
    story.seen.trial_end = Some(start().plus_ms(10 * DAY_MS));
    story.seen.status = Status::Trialing;
    story.sync();
    story.pay_for("in_trial", Period { start: start(), end: start().plus_ms(10 * DAY_MS) });
    story.wait(8);
    assert_eq!((story.available(), story.plan()), (0, ("premium".to_owned(), "trialing")));
    story.wait(2);
    story.seen.status = Status::Active;
    story.sync();
    assert_eq!(story.available(), 0, "the first month is not paid yet");
    story.pay(2);
    assert_eq!((story.available(), -story.totals()["world"]), (500, 500));
}

#[test]
fn a_trial_without_news_counts_as_past_due_after_three_days() {
    let mut story = Story::new();
    (story.seen.status, story.seen.trial_end) = (Status::Trialing, Some(day(7)));
    story.seen.period_end = day(7);
    story.sync().wait(9);
    assert_eq!(story.plan().1, "trialing");
    assert_eq!(story.wait(2).plan().1, "past_due");
}

#[test]
fn an_invoice_that_outruns_its_subscriptions_status_or_plan_grants_what_it_paid_for() {
    let mut story = Story::new();
    story.seen.allowance = every(Window::Billing, 100);
    story.seen.status = Status::Incomplete;
    story.sync().pay_for("in_1", Period { start: start(), end: start().plus_months(1) });
    story.seen.status = Status::Active;
    assert_eq!(story.sync().available(), 100);
}

#[test]
fn flipping_between_month_and_year_brings_the_tokens_of_a_period_once() {
    let mut story = Story::new();
    story.seen.allowance = every(Window::Billing, 100);
    story.pay(1);
    for flip in 0..6 {
        story.now = story.now.plus_ms(HOUR_MS);
        let months = if flip % 2 == 0 { 12 } else { 1 };
        let period = Period { start: story.now, end: story.now.plus_months(months) };
        (story.seen.period_start, story.seen.period_end) = (period.start, period.end);
        story.sync().pay_for(&format!("in_flip{flip}"), period);
    }
    assert_eq!(story.available(), 100);
    let next = Period { start: story.seen.period_end, end: story.seen.period_end.plus_months(1) };
    story.now = next.start;
    (story.seen.period_start, story.seen.period_end) = (next.start, next.end);
    story.sync().pay_for("in_next", next);
    assert_eq!(story.available(), 100, "the next month brings the next");
}

#[test]
fn a_plan_of_another_window_tops_up_at_once_and_pays_no_time_twice() {
    let mut story = Story::subscribed();
    story.wait(15).spend(500).unwrap();
    story.seen.allowance = every(Window::Month, 5000);
    assert_eq!(story.sync().available(), 4500);
    story.seen.allowance = weekly(500);
    story.sync().wait(8);
    assert_eq!(story.available(), 4500, "the month that was granted runs on");
    story.wait(9).pay(2);
    assert_eq!(story.wait(4).available(), 500);
}

#[test]
fn a_year_that_was_given_up_for_months_does_not_go_on_dripping() {
    let mut story = Story::new();
    (story.seen.interval, story.seen.period_end) = (Interval::Year, start().plus_months(12));
    story.sync().pay_for("in_year", Period { start: start(), end: start().plus_months(12) });
    story.wait(10);
    let month = Period { start: day(10), end: day(10).plus_months(1) };
    (story.seen.interval, story.seen.period_start, story.seen.period_end) =
        (Interval::Month, month.start, month.end);
    story.sync().pay_for("in_month", month).wait(90);
    (story.seen.period_start, story.seen.period_end) = (day(10).plus_months(2), day(10).plus_months(3));
    story.seen.status = Status::PastDue;
    assert_eq!(story.sync().available(), 0);
}

#[test]
fn a_change_within_an_unpaid_month_does_not_pay_the_month() {
    let mut story = Story::subscribed();
    story.wait(36);
    (story.seen.period_start, story.seen.period_end) = (start().plus_months(1), start().plus_months(2));
    (story.seen.status, story.seen.allowance) = (Status::PastDue, weekly(501));
    let rest = Period { start: story.now, end: story.seen.period_end };
    story.sync().pay_proration("in_proration", rest);
    assert_eq!(story.available(), 0);
}

#[test]
fn an_end_that_was_taken_back_in_time_costs_nothing_however_late_that_is_heard() {
    let mut story = Story::subscribed();
    story.seen.cancel_at = Some(day(10));
    story.sync().wait(8).touch();
    story.seen.cancel_at = None;
    assert_eq!(story.wait(2).sync().available(), 500);
}

#[test]
fn what_was_not_paid_for_is_not_caught_up_with() {
    let mut story = Story::new();
    story.account.debt = tokens(20_000);
    story.seen.anchor = start().plus_months(-12);
    story.sync().pay(1);
    assert_eq!(story.account.debt, tokens(19_500), "only the week around the first payment");
}

#[test]
fn a_subscription_that_began_a_second_from_now_by_stripes_clock_has_begun() {
    let mut story = Story::new();
    story.seen.anchor = start().plus_ms(1000);
    story.seen.period_start = story.seen.anchor;
    let period = Period { start: story.seen.anchor, end: story.seen.period_end };
    story.sync().pay_for("in_1", period);
    assert_eq!(story.journal.last().unwrap().after.available, tokens(500));
}

#[test]
fn what_the_books_count_for_a_subscription_stands_in_the_journal() {
    let mut story = Story::subscribed();
    story.account.debt = tokens(700);
    story.wait(7).touch();
    let mut told = (None, None);
    for counted in story.journal.iter().flat_map(|entry| &entry.counted) {
        told = (counted.paid, counted.granted);
    }
    let held = &story.account.subscriptions[0];
    assert_eq!(told, (held.paid, held.granted));
}

#[test]
fn monthly_slots_are_clamped_to_a_months_last_day() {
    let mut story = Story::new();
    let anchor = Time::parse_rfc3339("2026-01-31T10:00:00Z").unwrap();
    (story.now, story.seen.anchor) = (anchor, anchor);
    story.seen.allowance =
        Some(Allowance::Tokens { count: tokens(100), every: Window::Month, rollover: Tokens::ZERO });
    (story.seen.period_start, story.seen.period_end) = (anchor, anchor.plus_months(12));
    story.sync();
    story.pay_for("in_year", Period { start: anchor, end: anchor.plus_months(12) });
    story.spend(100).unwrap();
    for (at, available) in
        [("2026-02-28T09:59:59Z", 0), ("2026-02-28T10:00:00Z", 100), ("2026-03-31T10:00:00Z", 100)]
    {
        story.now = Time::parse_rfc3339(at).unwrap();
        assert_eq!(story.available(), available, "{at}");
    }
}

#[test]
fn tokens_that_come_with_invoices_come_once_per_period_and_top_up_on_an_upgrade() {
    let mut story = Story::new();
    story.seen.allowance = every(Window::Billing, 25);
    story.pay(1).wait(10);
    assert_eq!(story.available(), 25);
    story.seen.allowance = every(Window::Billing, 100);
    story.sync();
    assert_eq!(story.available(), 25, "nothing before the proration is paid");
    let rest = Period { start: story.now, end: story.seen.period_end };
    story.pay_proration("in_proration", rest).pay_proration("in_another", rest);
    assert_eq!(story.available(), 100);
    story.wait(21).pay(2);
    assert_eq!(story.available(), 100, "what was left lapsed with its period");
}

#[test]
fn an_allowance_pays_a_debt_first() {
    let mut story = Story::subscribed();
    story.account.debt = tokens(700);
    story.wait(7);
    let advanced = story.account.advance(story.now).account;
    assert_eq!((advanced.debt, advanced.balances().available.get()), (tokens(200), 0));
    story.wait(14);
    let advanced = story.account.advance(story.now).account;
    assert_eq!((advanced.debt, advanced.balances().available.get()), (Tokens::ZERO, 500));
}

#[test]
fn an_invoice_of_a_subscription_that_has_ended_is_booked_and_grants_nothing() {
    let mut story = Story::new();
    story.pay_for("in_1", Period { start: start(), end: start().plus_months(1) });
    assert_eq!(story.available(), 0);
    assert_eq!(story.journal.last().unwrap().detail.kind(), "invoice");
}

#[test]
fn what_stripe_says_twice_is_no_news() {
    let mut story = Story::subscribed();
    let entries = story.journal.len();
    story.wait(9).sync().sync();
    assert_eq!(story.journal.len(), entries);
}

#[test]
fn a_second_subscription_of_a_group_is_refused_and_says_which_is_live() {
    let mut story = Story::subscribed();
    let (_, refused) = story.checkout("elite", None);
    assert!(matches!(refused, Err(Refusal::AlreadySubscribed(seen)) if seen.id == story.seen.id));
    story.seen.status = Status::Canceled;
    story.sync();
    assert_eq!(story.checkout("elite", None).1, Ok(()));
}

#[test]
fn a_checkout_that_may_have_been_paid_bars_another_until_it_is_replaced_or_became_a_subscription() {
    let mut story = Story::new();
    let (first, opened) = story.checkout("premium", None);
    assert_eq!(opened, Ok(()));
    let (_, refused) = story.checkout("elite", None);
    assert!(matches!(refused, Err(Refusal::Opening(opening)) if opening.cause == first));
    let (second, replaced) = story.checkout("elite", Some(first.clone()));
    assert_eq!(replaced, Ok(()));
    let (_, refused) = story.checkout("premium", Some(first));
    assert!(matches!(refused, Err(Refusal::Opening(opening)) if opening.cause == second));
    story.now = story.now.plus_ms(2 * HOUR_MS);
    let (_, refused) = story.checkout("premium", None);
    assert!(refused.is_err(), "it may have been paid in its last moment: Stripe has to be asked");
    story.sync();
    assert!(story.account.openings.is_empty(), "it became a subscription");
}
