//! Rounds: histories drawn from a seed, each in a world of its own. What Stripe says of them comes late, more than
//! once, in any order and to several at a time.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::ids::UserId;
use domain::replay::Replay;
use fastrand::Rng;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use store::{Read, Wanted};
use tokio::runtime::Builder;

use crate::tales::says_something;
use crate::world::{Caller, World, thin};

/// Runs the round of each seed, and answers with what they came to; or with nothing, where `SEED` names a single one.
pub fn each<T, F: Future<Output = T>>(seeds: Range<u64>, round: impl Fn(u64) -> F) -> Option<Vec<T>> {
    let named = std::env::var("SEED").ok().map(|seed| seed.parse::<u64>().expect("SEED is a number"));
    let came = seeds.filter(|seed| named.is_none_or(|named| named == *seed)).map(|seed| {
        let ran = catch_unwind(AssertUnwindSafe(|| run(round(seed), seed)));
        ran.unwrap_or_else(|_| {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            panic!("seed {seed}; again: SEED={seed} cargo test -p simulator --test it {test}")
        })
    });
    let came: Vec<T> = came.collect();
    named.is_none().then_some(came)
}

fn run<T>(round: impl Future<Output = T>, seed: u64) -> T {
    // The functions draw their jitter from this thread's dice, and Stripe its ids.
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    // Rounds are long, and a test's stack is not.
    runtime.block_on(Box::pin(round))
}

/// What Stripe has said, and what of it has still to arrive.
pub struct Post {
    newest: Option<String>,
    waiting: Vec<Value>,
    heard: Vec<Value>,
}

/// What Stripe says comes to an end.
const MOST_WAVES: u32 = 100;
/// As the queue hands them out.
const BATCH: usize = 10;

impl Post {
    /// Passes over what was said until now.
    pub async fn from_now(world: &World) -> Post {
        let mut newest = None;
        world.told_since(&mut newest).await;
        Post { newest, waiting: Vec::new(), heard: Vec::new() }
    }

    /// Delivers until Stripe has nothing more to say. Meanwhile the buyer looks at the pages of these sessions.
    pub async fn deliver_all(&mut self, world: &World, rng: &mut Rng, pages: &[(&Caller, String)]) {
        for _ in 0..MOST_WAVES {
            self.collect(world, rng).await;
            if self.waiting.is_empty() {
                return;
            }
            self.deliver_some(world, rng, pages).await;
        }
        panic!("Stripe does not come to rest")
    }

    /// What names each of these comes once, in a batch of its own, and all of them at the same time.
    pub async fn deliver_apart(&mut self, world: &World, names: &[&str]) {
        let told = world.told_since(&mut self.newest).await;
        self.waiting.extend(told.into_iter().filter(says_something));
        let mut batches: Vec<Vec<Value>> = Vec::new();
        for name in names {
            let waiting = std::mem::take(&mut self.waiting);
            let (batch, rest) = waiting.into_iter().partition(|event| event.to_string().contains(name));
            batches.push(batch);
            self.waiting = rest;
        }
        join_all(batches.iter().map(|batch| world.deliver(batch))).await;
    }

    /// Some are said twice, and some once more when they are long known.
    pub async fn collect(&mut self, world: &World, rng: &mut Rng) {
        let told = world.told_since(&mut self.newest).await;
        for event in told.into_iter().filter(says_something) {
            if rng.u8(0..4) == 0 {
                self.waiting.push(event.clone());
            }
            if rng.u8(0..8) == 0
                && let Some(known) = rng.choice(&self.heard)
            {
                self.waiting.push(known.clone());
            }
            self.heard.push(event.clone());
            self.waiting.push(event);
        }
    }

    /// One batch or two at the same time, and perhaps a page.
    pub async fn deliver_some(&mut self, world: &World, rng: &mut Rng, pages: &[(&Caller, String)]) {
        rng.shuffle(&mut self.waiting);
        let mut batches: Vec<Vec<Value>> = Vec::new();
        for _ in 0..rng.usize(1..=2) {
            let left = self.waiting.len().saturating_sub(rng.usize(1..=BATCH));
            let batch = self.waiting.split_off(left).into_iter().map(|event| in_some_form(event, rng));
            batches.push(batch.collect());
        }
        batches.retain(|batch| !batch.is_empty());
        let page = if rng.u8(0..5) == 0 { rng.choice(pages) } else { None };
        let look = async {
            if let Some((caller, session)) = page {
                let (route, nothing) = ("GET /v1/me/checkout/{id}", json!(null));
                let (status, shown) = world.ask_about(caller, route, session, nothing).await;
                assert_eq!(status, 200, "{shown}");
            }
        };
        let delivered = join_all(batches.iter().map(|batch| world.try_to_deliver(batch)));
        let (delivered, ()) = join(delivered, look).await;
        for (batch, answer) in batches.iter().zip(delivered) {
            let failed = answer.batch_item_failures.iter().map(|failure| &failure.item_identifier);
            self.waiting.extend(failed.map(|number| batch[number.parse::<usize>().unwrap()].clone()));
        }
    }
}

/// Some are told thin, where that tells as much.
fn in_some_form(event: Value, rng: &mut Rng) -> Value {
    let shape = thin(&event);
    if rng.u8(0..4) == 0 && says_something(&shape) { shape } else { event }
}

/// Reads a user's journal again from its first entry: the account and its payments have to be what it comes to.
pub async fn proved(world: &World, user: &UserId) -> Replay {
    let page = world.store.journal(user, &Wanted::default(), 250).await.unwrap();
    assert_eq!(page.next, None, "the journal has more than a page");
    let mut replay = Replay::new(user.clone());
    for entry in page.entries.into_iter().rev() {
        let (seq, sealed) = (entry.seq, entry.seal(replay.account.head));
        replay.step(&sealed).unwrap_or_else(|fault| panic!("entry {seq} of {user}: {fault}"));
    }
    let account = world.store.account(user, Read::Consistent).await.unwrap();
    assert_eq!(replay.differs(&account), None, "the account of {user} is not what its journal tells");
    for (payment, told) in &replay.payments {
        let row = world.store.payment(user, payment).await.unwrap();
        assert_eq!(row.as_ref(), Some(told), "{payment}");
    }
    replay
}
