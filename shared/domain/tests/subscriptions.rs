//! What subscriptions bring and take away, by example and by law.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::account::Account;
use domain::catalog::{Allowance, Catalog, Published, Shelf, Window};
use domain::cause::{Cause, Operation};
use domain::decide::{Act, Command, Refusal, Spend, What, decide, observe};
use domain::entry::{CheckoutRequest, Detail, Entry, Place};
use domain::ids::{CustomerId, InvoiceId, PaymentId, PlanId, PriceId, RequestKey, SubscriptionId, UserId};
use domain::item::Interval;
use domain::lot::Source;
use domain::money::{Currency, Money, Tokens};
use domain::payment::{Envelope, Payment};
use domain::subscription::{PaidInvoice, Period, Seen, Status};
use domain::time::{DAY_MS, HOUR_MS, Time};
use proptest::prelude::*;

/// One user's account, its journal, and what Stripe is made to say.
#[derive(Clone)]
struct Story {
    shelf: Shelf,
    account: Account,
    journal: Vec<Entry>,
    now: Time,
    seen: Seen,
    requests: u32,
}

fn tokens(count: u64) -> Tokens {
    Tokens::new(count).unwrap()
}

fn weekly(count: u64) -> Option<Allowance> {
    Some(Allowance::Tokens { count: tokens(count), every: Window::Week })
}

fn start() -> Time {
    Time::parse_rfc3339("2026-10-01T08:00:00Z").unwrap()
}

/// Premium as Stripe tells of it in its first month.
fn premium() -> Seen {
    Seen {
        id: SubscriptionId::parse("sub_1").unwrap(),
        plan: PlanId::parse("premium").unwrap(),
        group: "main".to_owned(),
        catalog: 1,
        interval: Interval::Month,
        price: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
        status: Status::Active,
        anchor: start(),
        period_start: start(),
        period_end: start().plus_months(1),
        trial_end: None,
        cancel_at: None,
        ended_at: None,
        allowance: weekly(500),
    }
}

impl Story {
    fn new() -> Story {
        let text = include_str!("../../../infra/catalogs/companion.toml");
        let catalog = Catalog::parse(text).expect("companion's catalog is valid");
        let published = Published { version: 1, catalog, prices: BTreeMap::new() };
        Story {
            shelf: Shelf::new(Arc::new(published), Vec::new()),
            account: Account::new(UserId::parse("ada").unwrap()),
            journal: Vec::new(),
            now: start(),
            seen: premium(),
            requests: 0,
        }
    }

    /// Premium, seen and paid for its first month.
    fn subscribed() -> Story {
        let mut story = Story::new();
        story.sync();
        story.pay(1);
        story
    }

    fn wait(&mut self, days: i64) -> &mut Story {
        self.now = self.now.plus_ms(days * DAY_MS);
        self
    }

    /// Brings into the books what Stripe says.
    fn sync(&mut self) -> &mut Story {
        let customer = CustomerId::parse("cus_1").unwrap();
        if let Some(change) = observe(&self.account, &self.seen, Some(&customer), self.now) {
            assert_eq!((change.fence.seq, change.fence.obs), (self.account.seq, self.account.obs));
            self.journal.push(change.entry.entry);
            self.account = change.account;
        }
        self
    }

    /// The invoice of the so-manieth month is paid, and Stripe has moved on to that month.
    fn pay(&mut self, month: i64) -> &mut Story {
        let period = Period { start: start().plus_months(month - 1), end: start().plus_months(month) };
        if period.end > self.seen.period_end {
            (self.seen.period_start, self.seen.period_end) = (period.start, period.end);
        }
        self.sync();
        self.pay_for(&format!("in_{month}"), period)
    }

    fn pay_for(&mut self, id: &str, period: Period) -> &mut Story {
        let invoice = PaidInvoice {
            id: InvoiceId::parse(id).unwrap(),
            subscription: self.seen.id.clone(),
            customer: None,
            paid: self.seen.price,
            price: None,
            payments: vec![(PaymentId::parse(format!("pi_{id}")).unwrap(), 999)],
            period: Some(period),
        };
        let cause = Cause::Invoice(invoice.id.clone());
        let item = "plan:premium:month".parse().unwrap();
        self.apply(cause, Act::Invoice { invoice, item, catalog: 1 }).expect("an invoice is never refused");
        self
    }

    fn buy_medium(&mut self) -> &mut Story {
        let item: domain::item::Item = "package:medium".parse().unwrap();
        let payment = Payment {
            id: PaymentId::parse("pi_1").unwrap(),
            customer: None,
            paid: self.seen.price,
            envelope: Envelope::default(),
        };
        let cause = Cause::Payment(payment.id.clone());
        self.apply(cause, Act::Purchase { payment, item, catalog: 1 }).unwrap();
        self
    }

    fn spend(&mut self, count: u64) -> Result<(), Refusal> {
        let what = What::Tokens(tokens(count));
        let cause = self.request(Operation::Consume);
        self.apply(cause, Act::Consume(Spend { what, amount: 1 }))
    }

    /// A write that does nothing by itself: whatever is in its entry, time has done.
    fn touch(&mut self) {
        let cause = self.request(Operation::Grant);
        self.apply(cause, Act::Grant { tokens: Tokens::ZERO, expires_at: None }).unwrap();
    }

    fn request(&mut self, operation: Operation) -> Cause {
        self.requests += 1;
        let key = RequestKey::parse(self.requests.to_string()).unwrap();
        Cause::Request { user: self.account.user.clone(), operation, key }
    }

    fn apply(&mut self, cause: Cause, act: Act) -> Result<(), Refusal> {
        let change = decide(&self.account, &Command { cause, request: None, act }, &self.shelf, self.now)?;
        self.journal.push(change.entry.entry);
        self.account = change.account;
        Ok(())
    }

    fn checkout(&mut self, plan: &str, replaces: Option<Cause>) -> (Cause, Result<(), Refusal>) {
        let cause = self.request(Operation::Checkout);
        let request = CheckoutRequest {
            customer: CustomerId::parse("cus_1").unwrap(),
            item: format!("plan:{plan}:month").parse().unwrap(),
            catalog: 1,
            price: PriceId::parse("price_1").unwrap(),
            expires_at: self.now.plus_ms(HOUR_MS),
            group: Some("main".to_owned()),
            replaces,
            success_url: None,
            cancel_url: None,
        };
        (cause.clone(), self.apply(cause, Act::Checkout(request)))
    }

    fn available(&self) -> u64 {
        self.account.advance(self.now).account.balances().available.get()
    }

    fn plan(&self) -> (String, &'static str) {
        let account = self.account.advance(self.now).account;
        let in_force = account.plan(&self.shelf);
        let status = in_force.subscription.map_or("none", |held| held.seen.status_at(self.now).name());
        (in_force.id.to_string(), status)
    }

    /// How many tokens ever came to an account of the ledger, less what left it.
    fn totals(&self) -> BTreeMap<&'static str, i64> {
        let mut totals = BTreeMap::new();
        for posting in self.journal.iter().flat_map(|entry| &entry.postings) {
            let amount = i64::try_from(posting.amount.get()).unwrap();
            *totals.entry(posting.from.name()).or_default() -= amount;
            *totals.entry(posting.to.name()).or_default() += amount;
        }
        totals
    }
}

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
fn monthly_slots_are_clamped_to_a_months_last_day() {
    let mut story = Story::new();
    let anchor = Time::parse_rfc3339("2026-01-31T10:00:00Z").unwrap();
    (story.now, story.seen.anchor) = (anchor, anchor);
    story.seen.allowance = Some(Allowance::Tokens { count: tokens(100), every: Window::Month });
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
    let billed = |count| Some(Allowance::Tokens { count: tokens(count), every: Window::Billing });
    let mut story = Story::new();
    story.seen.allowance = billed(25);
    story.pay(1).wait(10);
    assert_eq!(story.available(), 25);
    story.seen.allowance = billed(100);
    story.sync();
    assert_eq!(story.available(), 25, "nothing before the proration is paid");
    let rest = Period { start: story.now, end: story.seen.period_end };
    story.pay_for("in_proration", rest).pay_for("in_another", rest);
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
fn a_checkout_that_may_still_be_paid_bars_another_until_it_is_replaced_or_over() {
    let mut story = Story::new();
    let (first, opened) = story.checkout("premium", None);
    assert_eq!(opened, Ok(()));
    let (_, refused) = story.checkout("elite", None);
    assert!(matches!(refused, Err(Refusal::Opening(opening)) if opening.cause == first));
    let (second, replaced) = story.checkout("elite", Some(first.clone()));
    assert_eq!(replaced, Ok(()));
    let (_, refused) = story.checkout("premium", Some(first));
    assert!(matches!(refused, Err(Refusal::Opening(opening)) if opening.cause == second));
    story.now = story.now.plus_ms(HOUR_MS);
    assert_eq!(story.checkout("premium", None).1, Ok(()));
    story.sync();
    assert!(story.account.openings.is_empty(), "it became a subscription");
}

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
    let monthly = Some(Allowance::Tokens { count: tokens(900), every: Window::Month });
    let allowances = vec![weekly(500), weekly(200), monthly, Some(Allowance::Unlimited), None];
    prop_oneof![
        4 => (1i64..20).prop_map(Turn::Wait),
        2 => Just(Turn::Pay),
        2 => (1u64..400).prop_map(Turn::Spend),
        1 => prop::sample::select(allowances).prop_map(Turn::Flip),
        1 => prop::sample::select(vec![Status::Active, Status::PastDue, Status::Unpaid]).prop_map(Turn::Status),
        1 => (0i64..40).prop_map(Turn::CancelIn),
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

    /// In no week of the anchor do more tokens come than the best plan brings.
    #[test]
    fn no_week_brings_more_than_the_best_plan(turns in prop::collection::vec(any_turn(), 1..40)) {
        let mut story = Story::new();
        play(&mut story, &turns, false);
        let mut by_lot = BTreeMap::<_, u64>::new();
        for posting in story.journal.iter().flat_map(|entry| &entry.postings) {
            if posting.from == Place::World && posting.to == Place::Lot {
                *by_lot.entry(posting.lot.clone().unwrap()).or_default() += posting.amount.get();
            }
        }
        for (lot, granted) in by_lot {
            let most = if lot.as_str().contains(":m") { 900 } else { 500 };
            prop_assert!(granted <= most, "{} brought {granted}", lot.as_str());
        }
    }
}
