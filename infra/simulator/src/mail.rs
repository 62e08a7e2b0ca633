//! Stripe's deliveries and the queue behind them: what is dropped, repeated, reordered, and what ends as a dead letter.

use std::collections::VecDeque;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::ids::EventId;
use fastrand::Rng;
use serde_json::Value;
use stripe_event::Message;

use crate::faults::{Fault, Faults};
use crate::world::World;

#[derive(Debug, Clone)]
pub struct Letter {
    id: u64,
    body: String,
    received: u32,
}

pub struct Mail {
    queue: VecDeque<Letter>,
    /// What fails so often is a dead letter. Few, as the ten of infra/state.yaml are hardly ever used up.
    most_receives: u32,
    /// Never delivered, until Stripe's list of events is looked through at the end.
    undelivered: Vec<String>,
    dead: Vec<Letter>,
    /// The newest event that was seen.
    newest: Option<String>,
    sent: u64,
}

impl Mail {
    pub fn begin(rng: &mut Rng) -> Mail {
        Mail {
            queue: VecDeque::new(),
            most_receives: rng.u32(1..=4),
            undelivered: Vec::new(),
            dead: Vec::new(),
            newest: None,
            sent: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.undelivered.is_empty() && self.dead.is_empty()
    }

    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Takes what Stripe has to tell since it was last asked.
    pub async fn collect(&mut self, world: &World, rng: &mut Rng) -> usize {
        let since = self.newest.as_ref().map(|newest| format!("&ending_before={newest}")).unwrap_or_default();
        let page = world.stripe("GET", &format!("/v1/events?limit=100{since}"), Value::Null).await;
        let page = page.expect("Stripe lists its events");
        let events = page["data"].as_array().cloned().unwrap_or_default();
        if let Some(newest) = events.first() {
            self.newest = newest["id"].as_str().map(str::to_owned);
        }
        for event in events.iter().rev() {
            self.send(message(event, world), &world.faults, rng);
        }
        events.len()
    }

    fn send(&mut self, message: String, faults: &Faults, rng: &mut Rng) {
        let rates = faults.rates();
        if faults.strikes(Fault::Dropped, rates.dropped) {
            self.undelivered.push(message);
            return;
        }
        let copies = 1 + usize::from(faults.strikes(Fault::Duplicated, rates.duplicated));
        for _ in 0..copies {
            let behind = rng.usize(0..=rates.reordered_within).min(self.queue.len());
            if behind > 0 {
                faults.strikes(Fault::Reordered, 100);
            }
            let letter = self.letter(message.clone());
            self.queue.insert(self.queue.len() - behind, letter);
        }
    }

    fn letter(&mut self, body: String) -> Letter {
        self.sent += 1;
        Letter { id: self.sent, body, received: 0 }
    }

    /// Hands out a batch, as the queue would to one invocation.
    pub fn receive(&mut self, most: usize) -> Vec<Letter> {
        let count = most.min(self.queue.len());
        self.queue.drain(..count).map(|letter| Letter { received: letter.received + 1, ..letter }).collect()
    }

    /// Hands out what came last: the queue keeps no order.
    pub fn receive_latest(&mut self, most: usize) -> Vec<Letter> {
        let rest = self.queue.len().saturating_sub(most);
        self.queue.drain(rest..).map(|letter| Letter { received: letter.received + 1, ..letter }).collect()
    }

    /// What Stripe last told of an object, told once more.
    pub async fn again(&mut self, world: &World, object: &str) -> Option<Letter> {
        let page = world.stripe("GET", "/v1/events?limit=100", Value::Null).await.ok()?;
        let mut events = page["data"].as_array()?.iter();
        let event = events.find(|event| event["data"]["object"]["id"] == object)?;
        Some(Letter { received: 1, ..self.letter(message(event, world)) })
    }

    /// What was not handled becomes visible again, or a dead letter.
    pub fn settle(&mut self, batch: Vec<Letter>, answer: Option<&SqsBatchResponse>) {
        for letter in batch {
            let failed = answer.is_none_or(|answer| {
                answer
                    .batch_item_failures
                    .iter()
                    .any(|failure| failure.item_identifier == letter.id.to_string())
            });
            match failed {
                true if letter.received >= self.most_receives => self.dead.push(letter),
                true => self.queue.push_back(letter),
                false => {}
            }
        }
    }

    /// An operator sends the dead letters again.
    pub fn redrive(&mut self, faults: &Faults) {
        for letter in std::mem::take(&mut self.dead) {
            faults.strikes(Fault::DeadLetter, 100);
            self.queue.push_back(Letter { received: 0, ..letter });
        }
    }

    /// What was never delivered is found in Stripe's list, in whatever order.
    pub fn sweep(&mut self, faults: &Faults, rng: &mut Rng) {
        let mut found = std::mem::take(&mut self.undelivered);
        rng.shuffle(&mut found);
        for message in found {
            let letter = self.letter(message);
            self.queue.push_back(letter);
        }
        self.redrive(faults);
    }
}

/// As the webhook queues it.
fn message(event: &Value, world: &World) -> String {
    let id = EventId::parse(event["id"].as_str().unwrap_or_default()).expect("an event has an id");
    Message::StripeV1 { event: id, received_at: world.clock.now(), body: event.to_string() }.to_json()
}

/// A batch as the function receives it.
pub fn batch(letters: &[Letter]) -> SqsEvent {
    let message = |letter: &Letter| {
        let mut message = SqsMessage::default();
        message.message_id = Some(letter.id.to_string());
        message.body = Some(letter.body.clone());
        message
    };
    let mut event = SqsEvent::default();
    event.records = letters.iter().map(message).collect();
    event
}
