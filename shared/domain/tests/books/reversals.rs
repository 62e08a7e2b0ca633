//! Refunds and disputes: what is taken back, and what is given back.

use domain::account::Account;
use domain::lot::Source;
use domain::money::Tokens;
use domain::payment::PaymentRow;
use domain::posting::Place;
use domain::reversal::reverse;
use proptest::prelude::*;

use crate::story::{Story, tokens};

/// What Stripe knows of one payment.
#[derive(Debug, Clone, Default)]
struct AtStripe {
    /// Amounts, and whether each is still good.
    refunds: Vec<(i64, bool)>,
    dispute: Option<Dispute>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dispute {
    Open,
    Won,
    Lost,
}

const PAID: i64 = 1000;

impl AtStripe {
    fn reversed(&self) -> i64 {
        let refunded: i64 = self.refunds.iter().filter(|(_, good)| *good).map(|(amount, _)| amount).sum();
        let disputed = if matches!(self.dispute, Some(Dispute::Open | Dispute::Lost)) { PAID } else { 0 };
        PAID.min(refunded + disputed)
    }
}

impl Story {
    /// Looks at a payment's refunds and disputes, as a message about any of them does.
    fn look_at(&mut self, row: &mut PaymentRow, reversed: i64) {
        if let Some(change) = reverse(&self.account, row, reversed, self.now) {
            *row = change.payments[0].clone();
            self.journal.push(change.entry.entry);
            self.account = change.account;
        }
    }

    fn bought() -> (Story, PaymentRow) {
        let mut story = Story::new();
        let row = story.buys("medium", "pi_9");
        (story, row)
    }

    /// Buys, and keeps the row that the store would.
    pub fn buys(&mut self, package: &str, payment: &str) -> PaymentRow {
        let before = self.account.clone();
        self.buy(package, payment);
        row_of(&before, self, payment)
    }
}

/// The row that the last purchase wrote, decided once more.
fn row_of(before: &Account, story: &Story, payment: &str) -> PaymentRow {
    use domain::decide::{Act, Command, decide};
    let entry = story.journal.last().unwrap();
    let domain::entry::Detail::Purchase { item, paid, .. } = &entry.detail else { panic!("no purchase") };
    let payment = domain::payment::Payment {
        id: domain::ids::PaymentId::parse(payment).unwrap(),
        customer: None,
        paid: *paid,
        envelope: domain::payment::Envelope::default(),
    };
    let act = Act::Purchase { payment, item: item.clone(), catalog: 1 };
    let command = Command { cause: entry.cause.clone(), request: None, act };
    decide(before, &command, &story.shelf, entry.at).unwrap().payments[0].clone()
}

fn balance(story: &Story) -> (u64, u64) {
    let now = story.account.balances();
    (now.available.get(), now.debt.get())
}

#[test]
fn a_full_refund_takes_back_all_that_was_granted_with_the_bonus() {
    let (mut story, mut row) = Story::bought();
    story.look_at(&mut row, PAID);
    assert_eq!((balance(&story), row.taken, row.status.name()), ((0, 0), tokens(275), "refunded"));
}

#[test]
fn a_part_takes_back_its_share_and_no_more() {
    let (mut story, mut row) = Story::bought();
    story.look_at(&mut row, 333);
    // ⌊275 × 333 / 1000⌋ = 91, first of what was bought.
    assert_eq!((balance(&story), row.taken), ((184, 0), tokens(91)));
    let lots: Vec<_> = story.account.lots.iter().map(|lot| (lot.source, lot.remaining.get())).collect();
    assert_eq!(lots, [(Source::Bonus, 25), (Source::Purchase, 159)]);
}

#[test]
fn what_was_spent_is_owed_and_the_next_purchase_pays_it() {
    let (mut story, mut row) = Story::bought();
    story.spend(200).unwrap();
    story.look_at(&mut row, PAID);
    assert_eq!(balance(&story), (0, 200));
    story.buy("medium", "pi_2");
    assert_eq!(balance(&story), (75, 0));
}

#[test]
fn other_bought_tokens_answer_for_it_and_allowance_grants_and_holds_do_not() {
    let mut story = Story::subscribed();
    let mut row = story.buys("medium", "pi_9");
    story.spend(500 + 275).unwrap();
    story.buy("small", "pi_8");
    let entries = story.journal.len();
    story.wait(7);
    story.look_at(&mut row, PAID);
    let clawed: Vec<_> = story.journal[entries]
        .postings
        .iter()
        .filter(|posting| posting.to == Place::Clawed)
        .map(|posting| (posting.from, posting.amount.get()))
        .collect();
    assert_eq!(clawed, [(Place::Lot, 100), (Place::Debt, 175)]);
    assert_eq!(balance(&story), (500, 175), "the week's allowance came before the refund, and stays");
}

#[test]
fn a_refund_that_failed_is_given_back_into_the_lots_it_came_from() {
    let (mut story, mut row) = Story::bought();
    let before = story.account.lots.clone();
    story.look_at(&mut row, PAID);
    story.look_at(&mut row, 0);
    let kept = |lots: &[domain::lot::Lot]| {
        lots.iter().map(|lot| (lot.id.clone(), lot.remaining)).collect::<Vec<_>>()
    };
    assert_eq!(kept(&story.account.lots), kept(&before));
    assert_eq!((row.taken, row.reversals, row.status.name()), (Tokens::ZERO, 2, "completed"));
}

#[test]
fn a_refund_and_a_dispute_together_take_back_no_more_than_there_was() {
    let (mut story, mut row) = Story::bought();
    let mut stripe = AtStripe { refunds: vec![(600, true)], dispute: None };
    story.look_at(&mut row, stripe.reversed());
    stripe.dispute = Some(Dispute::Open);
    story.look_at(&mut row, stripe.reversed());
    assert_eq!((balance(&story), row.taken), ((0, 0), tokens(275)));
    stripe.dispute = Some(Dispute::Won);
    story.look_at(&mut row, stripe.reversed());
    assert_eq!((balance(&story), row.taken), ((110, 0), tokens(165)));
}

/// What may happen to a payment and its buyer.
#[derive(Debug, Clone)]
enum Turn {
    Refund(i64),
    Fail(usize),
    Dispute,
    Settle(bool),
    Spend(u64),
    Buy,
    /// A message about the payment arrives, new or old: each looks at what is there.
    Look,
}

fn any_turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        2 => (1i64..600).prop_map(Turn::Refund),
        1 => (0usize..4).prop_map(Turn::Fail),
        1 => Just(Turn::Dispute),
        1 => any::<bool>().prop_map(Turn::Settle),
        3 => (1u64..200).prop_map(Turn::Spend),
        1 => Just(Turn::Buy),
        4 => Just(Turn::Look),
    ]
}

fn happen(stripe: &mut AtStripe, turn: &Turn) {
    match turn {
        Turn::Refund(amount) => {
            let left =
                PAID - stripe.refunds.iter().filter(|(_, good)| *good).map(|(amount, _)| amount).sum::<i64>();
            if left > 0 {
                stripe.refunds.push(((*amount).min(left), true));
            }
        }
        Turn::Fail(which) => {
            if let Some((_, good)) = stripe.refunds.get_mut(*which) {
                *good = false;
            }
        }
        Turn::Dispute => stripe.dispute = stripe.dispute.or(Some(Dispute::Open)),
        Turn::Settle(won) => {
            if stripe.dispute == Some(Dispute::Open) {
                stripe.dispute = Some(if *won { Dispute::Won } else { Dispute::Lost });
            }
        }
        Turn::Spend(_) | Turn::Buy | Turn::Look => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever happens, in whatever order it is heard of: what was granted, less what was spent, less the share
    /// of all that is reversed in the end, is what is there or owed.
    #[test]
    fn the_end_is_what_an_independent_computation_gives(turns in prop::collection::vec(any_turn(), 1..25)) {
        let (mut story, mut row) = Story::bought();
        let mut stripe = AtStripe::default();
        let (mut granted, mut spent) = (275i64, 0i64);
        for (number, turn) in turns.iter().enumerate() {
            happen(&mut stripe, turn);
            match turn {
                Turn::Spend(count) if story.spend(*count).is_ok() => spent += i64::try_from(*count).unwrap(),
                Turn::Buy => {
                    story.buy("small", &format!("pi_other{number}"));
                    granted += 100;
                }
                Turn::Look => {
                    story.look_at(&mut row, stripe.reversed());
                    story.look_at(&mut row, stripe.reversed());
                }
                _ => {}
            }
        }
        story.look_at(&mut row, stripe.reversed());
        let taken = if stripe.reversed() == PAID { 275 } else { 275 * stripe.reversed() / PAID };
        let net = granted - spent - taken;
        let (available, debt) = balance(&story);
        prop_assert_eq!((i64::try_from(available).unwrap(), i64::try_from(debt).unwrap()), (net.max(0), (-net).max(0)));
        prop_assert_eq!(story.totals().values().sum::<i64>(), 0);
    }
}
