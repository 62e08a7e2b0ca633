//! A preview says what the books then bring: now, when the change takes effect, and from then on.

use domain::alteration::{PlanChange, Wanted};
use domain::catalog::{Allowance, Proration, When, Window};
use domain::ids::{PlanId, PriceId};
use domain::item::Interval;
use domain::preview::{TokensOfChange, tokens_of_change};
use domain::subscription::{Period, Seen, Status};
use domain::time::{DAY_MS, Time};
use proptest::prelude::*;

use crate::story::{Story, day, every, start, tokens, weekly};

/// What a plan brings that somebody has or wants.
#[derive(Debug, Clone, Copy)]
struct Brings {
    allowance: Option<Allowance>,
    interval: Interval,
    trial_tokens: u64,
}

#[derive(Debug, Clone)]
struct Asked {
    to: Brings,
    when: When,
    proration: Proration,
}

fn next_end(interval: Interval, from: Time) -> Time {
    match interval {
        Interval::Week => from.plus_ms(7 * DAY_MS),
        Interval::Month => from.plus_months(1),
        Interval::Year => from.plus_months(12),
    }
}

fn put(seen: &mut Seen, plan: &str, brings: Brings) {
    seen.plan = PlanId::parse(plan).unwrap();
    (seen.allowance, seen.interval) = (brings.allowance, brings.interval);
    seen.terms.trial_tokens = tokens(brings.trial_tokens);
}

/// Somebody in the first period of a plan, or in a trial of it.
fn having(from: Brings, trial_days: Option<i64>, tokens_wait: bool) -> Story {
    let mut story = Story::new();
    put(&mut story.seen, "premium", from);
    story.seen.terms.tokens_wait = tokens_wait;
    story.seen.period_end = next_end(from.interval, start());
    if let Some(days) = trial_days {
        (story.seen.status, story.seen.trial_end) = (Status::Trialing, Some(day(days)));
        story.seen.period_end = day(days);
    }
    story.sync();
    let period = Period { start: start(), end: story.seen.period_end };
    story.pay_for("in_first", period);
    story
}

impl Story {
    fn came(&self) -> u64 {
        self.journal.iter().map(|entry| entry.credited().get()).sum()
    }

    /// What this brings in, beside what time brings.
    fn brought(&mut self, deed: impl FnOnce(&mut Story)) -> u64 {
        self.touch();
        let before = self.came();
        deed(self);
        self.came() - before
    }

    /// The change as it is asked for now.
    fn change(&self, asked: &Asked) -> PlanChange {
        PlanChange {
            to: Wanted { plan: PlanId::parse("elite").unwrap(), interval: asked.to.interval, quantity: 1 },
            price: PriceId::parse("price_2").unwrap(),
            catalog: 1,
            when: asked.when,
            proration: asked.proration,
            counted_from: Time::from_seconds(self.now.seconds()),
        }
    }

    /// The subscription as it is said that it will be.
    fn changed(&self, asked: &Asked) -> Seen {
        let mut after = Seen { next: None, ..self.seen.clone() };
        put(&mut after, "elite", asked.to);
        let billed = self.seen.status == Status::Active;
        if billed && asked.when == When::Now && asked.to.interval != self.seen.interval {
            after.period_start = self.change(asked).counted_from;
            after.period_end = next_end(asked.to.interval, after.period_start);
        }
        if asked.when == When::PeriodEnd {
            after.cancel_at = None;
        }
        after
    }

    fn foreseen(&self, asked: &Asked) -> TokensOfChange {
        tokens_of_change(&self.account, &self.changed(asked), &self.change(asked), self.now)
    }

    /// What Stripe and the books make of it at once.
    fn changes_now(&mut self, asked: &Asked) {
        let restarts = asked.to.interval != self.seen.interval;
        let billed = self.seen.status == Status::Active;
        self.seen = self.changed(asked);
        self.sync();
        let rest = Period { start: self.change(asked).counted_from, end: self.seen.period_end };
        match asked.proration {
            _ if !billed => {}
            _ if restarts => drop(self.pay_for("in_restarted", rest)),
            Proration::AtOnce => drop(self.pay_proration("in_rest", rest)),
            Proration::NextInvoice | Proration::None => {}
        }
    }

    /// The next period begins, as one of `becoming`, and is paid for.
    fn renews(&mut self, becoming: Option<&Asked>) {
        let begins = self.seen.period_end;
        self.now = begins;
        if let Some(asked) = becoming {
            put(&mut self.seen, "elite", asked.to);
        }
        let ends = next_end(self.seen.interval, begins);
        (self.seen.status, self.seen.period_start, self.seen.period_end) = (Status::Active, begins, ends);
        self.sync().pay_for(&format!("in_{}", begins.seconds()), Period { start: begins, end: ends });
    }

    /// On to a moment, every period on the way renewed and paid for, also one that begins then.
    fn goes_on_to(&mut self, moment: Time) {
        while self.seen.period_end <= moment {
            self.renews(None);
        }
        self.now = moment;
        self.touch();
    }
}

fn any_brings() -> impl Strategy<Value = Brings> {
    let rolling = Some(Allowance::Tokens { count: tokens(300), every: Window::Week, rollover: tokens(250) });
    let allowances = vec![
        weekly(500),
        weekly(800),
        rolling,
        every(Window::Day, 40),
        every(Window::Month, 900),
        every(Window::Billing, 100),
        every(Window::Billing, 1_000),
        Some(Allowance::Unlimited),
        None,
    ];
    let intervals = vec![Interval::Week, Interval::Month, Interval::Month, Interval::Year];
    let trial = prop_oneof![2 => Just(0u64), 1 => Just(60u64), 1 => Just(2_000u64)];
    (prop::sample::select(allowances), prop::sample::select(intervals), trial)
        .prop_map(|(allowance, interval, trial_tokens)| Brings { allowance, interval, trial_tokens })
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let prorations = vec![Proration::AtOnce, Proration::AtOnce, Proration::NextInvoice, Proration::None];
    (any_brings(), prop::sample::select(When::ALL.to_vec()), prop::sample::select(prorations))
        .prop_map(|(to, when, proration)| Asked { to, when, proration })
}

/// What comes from then on is what the preview said, and nothing sooner.
fn holds_from_then_on(mut story: Story, foreseen: &TokensOfChange) -> Result<(), TestCaseError> {
    let ends = story.seen.end();
    let Some((count, _, first)) = foreseen.then else {
        let brings = matches!(story.seen.allowance, Some(Allowance::Tokens { .. }));
        prop_assert!(!brings || ends.is_some(), "it goes on, and brings some");
        return Ok(());
    };
    prop_assert!(ends.is_none_or(|end| first < end), "what has ended brings none");
    prop_assert!(first >= story.now);
    // A trial's own tokens still come in between.
    if story.seen.status != Status::Trialing && first > story.now {
        let mut before = story.clone();
        let sooner = before.brought(|story| story.goes_on_to(first.plus_ms(-1)));
        prop_assert!(sooner < count.get(), "before, time that was granted for is filled up at most");
    }
    story.goes_on_to(first.plus_ms(-1));
    let came = story.brought(|story| story.goes_on_to(first));
    prop_assert_eq!(came, count.get(), "the first that come whole, at {}", first.rfc3339());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_a_change_brings_is_what_its_preview_said(
        from in any_brings(),
        asked in any_asked(),
        trial_days in prop::option::weighted(0.3, 1i64..20),
        tokens_wait: bool,
        waited_ms in 0i64..(6 * DAY_MS),
        spent in prop::option::of(0u64..500),
        leaves in prop::option::weighted(0.2, 1i64..40),
    ) {
        let mut story = having(from, trial_days, tokens_wait);
        story.now = start().plus_ms(waited_ms.min(story.seen.period_end.millis() - start().millis() - 1_000));
        drop(story.spend(spent.unwrap_or_default()));
        if let Some(days) = leaves {
            story.seen.cancel_at = Some(story.now.plus_ms(days * DAY_MS).min(story.seen.period_end));
            story.sync();
        }
        let foreseen = story.foreseen(&asked);
        match asked.when {
            When::Now => {
                let came = story.brought(|story| story.changes_now(&asked));
                prop_assert_eq!(came, foreseen.now.get(), "at once");
            }
            When::PeriodEnd => {
                prop_assert_eq!(foreseen.now, tokens(0));
                story.seen.cancel_at = None;
                story.sync();
                story.now = story.seen.period_end.plus_ms(-1);
                story.touch();
                let begins = story.seen.period_end;
                let came = story.brought(|story| story.renews(Some(&asked)));
                let whole = foreseen.then.filter(|(_, _, first)| *first == begins);
                let said = whole.map_or(foreseen.at_change, |(count, _, _)| count);
                prop_assert_eq!(came, said.get(), "when it takes effect");
                if whole.is_some() {
                    return Ok(());
                }
            }
        }
        holds_from_then_on(story, &foreseen)?;
    }
}
