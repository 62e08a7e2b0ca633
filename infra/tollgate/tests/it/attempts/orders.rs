//! A payment that is declined and then paid: its events in every order, each of them twice.

use domain::payment::{PaymentStatus, References};
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{NO_FUNDS, decline, handled, pay, record, status};
use crate::harness::World;

/// The events of one payment that is declined and then paid, in the order in which they happen.
const OF_THE_FIRST_CARD: [&str; 2] = ["payment_intent.created", "payment_intent.payment_failed"];
const OF_THE_SECOND: [&str; 3] =
    ["payment_intent.succeeded", "charge.succeeded", "checkout.session.completed"];

/// The step after which the stories are looked at too.
const MIDDLE: usize = 1;

/// One move of a story, in one of its possible orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The second card, after the first was declined.
    Pay,
    /// The two events of the first card, which are one pointer told twice.
    First,
    /// One of the events of the second card.
    Second(usize),
}

/// Every order in which no event comes before what it tells of.
fn orders() -> Vec<Vec<Step>> {
    fn go_on(done: &[Step], left: &[Step], orders: &mut Vec<Vec<Step>>) {
        if left.is_empty() {
            orders.push(done.to_vec());
        }
        for (index, step) in left.iter().enumerate() {
            if !matches!(step, Step::Second(_)) || done.contains(&Step::Pay) {
                let rest = [&left[..index], &left[index + 1..]].concat();
                go_on(&[done, &[*step]].concat(), &rest, orders);
            }
        }
    }
    let mut orders = Vec::new();
    go_on(&[], &[Step::Pay, Step::First, Step::Second(0), Step::Second(1), Step::Second(2)], &mut orders);
    orders
}

/// One buyer's story.
struct Story {
    user: String,
    session: String,
    intent: String,
    first: Vec<Value>,
    second: Vec<Value>,
}

impl Story {
    async fn begin(world: &World, number: usize) -> Story {
        let user = format!("user-{number}");
        let session = world.user(&user).opens("medium").await;
        let intent = decline(world, &session, NO_FUNDS).await;
        let first = events(world, OF_THE_FIRST_CARD).await;
        Story { user, session, intent, first, second: Vec::new() }
    }

    async fn go_on(&mut self, world: &World, step: Step) {
        let events = match step {
            Step::Pay => {
                pay(world, &self.session).await;
                self.second = events(world, OF_THE_SECOND).await;
                return;
            }
            Step::First => self.first.as_slice(),
            Step::Second(which) => &self.second[which..=which],
        };
        for event in events {
            assert_eq!(world.deliver(event).await.status, StatusCode::OK);
        }
    }

    async fn repeat(&self, world: &World) {
        for event in self.second.iter().chain(&self.first) {
            assert_eq!(world.deliver(event).await.status, StatusCode::OK);
        }
    }

    /// What the record comes to, and nothing else.
    async fn expect_completed(&self, world: &World, order: &[Step]) {
        let record = record(world, &self.user, &self.intent).await.unwrap();
        assert_eq!((record.status, record.granted.get()), (PaymentStatus::Completed, 275), "{order:?}");
        assert_eq!((record.failure, record.amount.amount_minor), (None, 999), "{order:?}");
        let References { checkout, charge, receipt_url } = record.references;
        assert_eq!(json!(checkout), json!(self.session), "{order:?}");
        let told = &self.second[1]["data"]["object"];
        assert_eq!((&json!(charge), &json!(receipt_url)), (&told["id"], &told["receipt_url"]), "{order:?}");
        assert_eq!(world.user(&self.user).available().await, 275, "{order:?}");
    }
}

#[tokio::test]
async fn every_order_of_a_payments_events_each_of_them_twice_ends_in_the_same_record() {
    let world = World::without_webhooks().await;
    let orders = orders();
    assert_eq!(orders.len(), 30);
    let mut stories = Vec::new();
    for number in 0..orders.len() {
        stories.push(Story::begin(&world, number).await);
    }
    // All of them go on side by side; what was delivered is handled before anybody's next step.
    for step in 0..orders[0].len() {
        for (story, order) in stories.iter_mut().zip(&orders) {
            story.go_on(&world, order[step]).await;
        }
        handled(&world).await;
        if step == MIDDLE {
            expect_no_completed_one_to_be_hidden(&world, &stories, &orders).await;
        }
    }
    for (story, order) in stories.iter().zip(&orders) {
        story.expect_completed(&world, order).await;
        story.repeat(&world).await;
    }
    handled(&world).await;
    for (story, order) in stories.iter().zip(&orders) {
        story.expect_completed(&world, order).await;
    }
}

/// In the middle of the stories: whoever's money was heard of has it.
async fn expect_no_completed_one_to_be_hidden(world: &World, stories: &[Story], orders: &[Vec<Step>]) {
    let mut seen = [0, 0, 0];
    for (story, order) in stories.iter().zip(orders) {
        let before = &order[..=MIDDLE];
        let mut once_paid = before.iter().skip_while(|step| **step != Step::Pay);
        // The first card's events point at an intent that may be paid by then.
        let is_known = once_paid.any(|step| matches!(step, Step::First | Step::Second(0 | 2)));
        let expected = match (is_known, before.contains(&Step::First)) {
            (true, _) => Some(PaymentStatus::Completed),
            (false, true) => Some(PaymentStatus::Failed),
            (false, false) => None,
        };
        assert_eq!(status(world, &story.user, &story.intent).await, expected, "{before:?}");
        seen[expected.map_or(0, |status| 1 + usize::from(status == PaymentStatus::Completed))] += 1;
    }
    assert_eq!(seen, [6, 6, 18], "nothing known, failed, completed");
}

async fn events<const N: usize>(world: &World, kinds: [&str; N]) -> Vec<Value> {
    let mut events = Vec::new();
    for kind in kinds {
        events.push(world.event(kind).await);
    }
    events
}
