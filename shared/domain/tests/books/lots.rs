//! Many lots, and what is left of an allowance.

use domain::catalog::{Allowance, Window};
use domain::cause::Cause;
use domain::decide::Act;
use domain::ids::PaymentId;
use domain::lot::Source;
use domain::money::Tokens;
use domain::payment::{Envelope, Payment};
use domain::time::DAY_MS;

use crate::story::{Story, given, start, tokens};

impl Story {
    pub fn buy(&mut self, package: &str, payment: &str) {
        let item: domain::item::Item = format!("package:{package}").parse().unwrap();
        let payment = Payment {
            id: PaymentId::parse(payment).unwrap(),
            customer: None,
            paid: domain::money::Money { amount_minor: 1000, ..self.seen.price },
            envelope: Envelope::default(),
        };
        let cause = Cause::Payment(payment.id.clone());
        self.apply(cause, Act::Purchase { payment, item, catalog: 1 }).unwrap();
    }

    fn rolling(cap: u64) -> Story {
        let mut story = Story::new();
        let (count, rollover) = (tokens(100), tokens(cap));
        story.seen.allowance = Some(Allowance::Tokens { count, every: Window::Week, rollover });
        story.pay(1);
        story
    }
}

#[test]
fn lots_beyond_sixteen_merge_with_those_alike_and_nothing_is_lost() {
    let mut story = Story::subscribed();
    for number in 10..50 {
        story.buy("medium", &format!("pi_{number}"));
    }
    assert_eq!(story.account.lots.len(), 16);
    assert_eq!(story.account.balances().available, tokens(500 + 40 * 275));
    let merged: Vec<_> =
        story.account.lots.iter().filter(|lot| lot.id.as_str().starts_with("merged-")).collect();
    assert!(merged.iter().all(|lot| matches!(lot.source, Source::Purchase | Source::Bonus)), "{merged:?}");
    story.wait(7).touch();
    assert_eq!(story.account.balances().available, tokens(500 + 40 * 275), "the allowance lapsed by itself");
}

#[test]
fn which_lots_merge_does_not_depend_on_the_order_in_which_payments_arrived() {
    let numbers: Vec<u32> = (10..35).collect();
    let books = |order: &[u32]| {
        let mut story = Story::new();
        for number in order {
            story.buy("medium", &format!("pi_{number}"));
        }
        story.account.lots
    };
    let straight = books(&numbers);
    for seed in 0..20 {
        let mut shuffled = numbers.clone();
        let turn = seed % shuffled.len();
        shuffled.rotate_left(turn);
        if seed % 2 == 1 {
            shuffled.reverse();
        }
        assert_eq!(books(&shuffled), straight, "{shuffled:?}");
    }
}

#[test]
fn what_cannot_merge_is_kept_however_many_there_are() {
    let mut story = Story::new();
    for number in 0..20 {
        let key = story.request(domain::cause::Operation::Grant);
        let expires_at = Some(start().plus_ms((number + 1) * DAY_MS));
        story.apply(key, given(5, expires_at)).unwrap();
    }
    assert_eq!((story.account.lots.len(), story.available()), (20, 100));
}

#[test]
fn unused_tokens_roll_over_up_to_the_cap_and_stay_until_they_are_spent() {
    let mut story = Story::rolling(150);
    story.spend(30).unwrap();
    story.wait(7).touch();
    let lots: Vec<_> = story.account.lots.iter().map(|lot| (lot.source, lot.remaining.get())).collect();
    assert_eq!(lots, [(Source::Allowance, 100), (Source::Rollover, 70)]);
    story.wait(7).touch();
    assert_eq!((story.available(), story.totals()["expired"]), (250, 20));
    story.wait(14);
    assert_eq!(story.available(), 250);
}

#[test]
fn unused_tokens_that_rolled_over_end_with_the_subscription() {
    let mut story = Story::rolling(150);
    story.wait(8);
    story.seen.cancel_at = Some(story.now.plus_ms(DAY_MS));
    story.sync().wait(1);
    assert_eq!(story.available(), 0);
    assert_eq!(story.account.advance(story.now).account.balances().held, Tokens::ZERO);
}

#[test]
fn what_rolls_over_while_nobody_looks_ends_with_the_subscription_all_the_same() {
    let mut story = Story::rolling(150);
    story.wait(8).touch();
    story.seen.cancel_at = Some(story.now.plus_ms(8 * DAY_MS));
    story.sync().wait(20).touch();
    assert_eq!((story.available(), story.account.lots.len()), (0, 0));
}
