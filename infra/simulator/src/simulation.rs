//! One seed from beginning to end: steps in which a few things happen at once, and a check after each.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Time};
use fastrand::Rng;
use futures_util::future::{join, join_all};
use serde_json::Value;

use crate::books::Books;
use crate::clients::Ask;
use crate::crash::{Ended, Mortal, Point};
use crate::crowd::Crowd;
use crate::faults::Fault;
use crate::mail::{Letter, Mail, batch};
use crate::people::Meanwhile;
use crate::witness::Witness;
use crate::world::{Failure, World};
use crate::{allowances, money, once, people, privacy};

/// What happened in one seed or in many.
#[derive(Debug, Default)]
pub struct Tally {
    pub seeds: u64,
    pub steps: u64,
    pub operations: BTreeMap<&'static str, u64>,
    pub faults: BTreeMap<Fault, u64>,
    /// Where invocations were killed.
    pub crashed_at: BTreeSet<(&'static str, Point)>,
    /// By kind.
    pub entries: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        add(&mut self.operations, other.operations);
        add(&mut self.faults, other.faults);
        add(&mut self.entries, other.entries);
        self.crashed_at.extend(other.crashed_at);
    }
}

fn add<K: Ord>(all: &mut BTreeMap<K, u64>, more: BTreeMap<K, u64>) {
    for (kind, count) in more {
        *all.entry(kind).or_default() += count;
    }
}

/// Something that a function is invoked for.
enum Act {
    Ask(Ask),
    Deliver(Vec<Letter>),
}

enum Answer {
    Told(u16, Value),
    Batch(SqsBatchResponse),
}

type Invocation<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;

pub struct Simulation {
    world: World,
    rng: Rng,
    mail: Mail,
    books: Books,
    crowd: Crowd,
    witness: Witness,
    tally: Tally,
}

/// Runs one seed. The error says what was broken, and when. A panic of the ledger's own is one too.
pub fn run(seed: u64, steps: u64) -> Result<Tally, Failure> {
    let ran = std::panic::catch_unwind(|| run_to_the_end(seed, steps));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(format!("it panicked: {}", text.unwrap_or("without a message")).into())
    })
}

fn run_to_the_end(seed: u64, steps: u64) -> Result<Tally, Failure> {
    // The functions draw their jitter from this thread's dice.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let mut simulation = Simulation::begin(seed).await?;
        for step in 1..=steps {
            // Not too early: whoever is erased has done everything that they will ever do.
            if [steps * 7 / 10, steps * 8 / 10].contains(&step) {
                simulation.crowd.leave(&mut simulation.rng);
            }
            simulation.step().await.map_err(|broken| format!("step {step}: {broken}"))?;
        }
        simulation.end().await.map_err(|broken| format!("at the end: {broken}"))?;
        Ok(simulation.tally(steps))
    })
}

impl Simulation {
    async fn begin(seed: u64) -> Result<Simulation, Failure> {
        let world = World::begin(seed).await?;
        let (books, crowd) = (Books::new(&world.users), Crowd::new(world.users.clone()));
        let mut rng = Rng::with_seed(seed ^ 0x5eed);
        Ok(Simulation {
            mail: Mail::begin(&mut rng),
            world,
            rng,
            books,
            crowd,
            witness: Witness::default(),
            tally: Tally::default(),
        })
    }

    async fn step(&mut self) -> Result<(), Failure> {
        self.pass_time();
        let mut acts = if self.rng.u8(0..16) == 0 { self.contest() } else { Vec::new() };
        let wavering = if self.rng.u8(0..8) == 0 { self.waver(&mut acts).await } else { None };
        acts.extend((0..self.rng.u8(1..=3)).map(|_| self.draw()));

        let Simulation { world, rng, mail, crowd, .. } = self;
        let running = join_all(invoke(world, rng, &acts));
        let meanwhile = people::meanwhile(world, rng, mail, &mut crowd.baskets, wavering.as_deref());
        let (ended, meanwhile) = join(running, meanwhile).await;
        for (act, ended) in acts.into_iter().zip(ended) {
            self.learn(act, ended)?;
        }
        let Meanwhile { mut deeds, handled } = meanwhile;
        if let Some((letters, answer)) = handled {
            self.learn(Act::Deliver(letters), Ended::Answered(Answer::Batch(answer)))?;
        }
        // Who has opened a checkout pays soon, mostly.
        if self.rng.bool() {
            deeds.extend(people::pay(&self.world, &mut self.rng, &mut self.crowd.baskets).await);
        }
        for deed in deeds {
            *self.tally.operations.entry(deed).or_default() += 1;
        }
        self.mail.collect(&self.world, &mut self.rng).await;
        if self.rng.u8(0..32) == 0 {
            self.mail.redrive(&self.world.faults);
        }
        self.books.check(&self.world).await?;
        if self.mail.is_empty() && (wavering.is_some() || self.rng.u8(0..8) == 0) {
            money::check(&self.world, &self.books).await?;
        }
        Ok(())
    }

    fn pass_time(&mut self) {
        let ms = match self.rng.u8(0..12) {
            0 => self.rng.i64(0..DAY_MS),
            1..=2 => self.rng.i64(0..HOUR_MS),
            _ => self.rng.i64(0..MINUTE_MS),
        };
        let rates = self.world.faults.rates();
        let jump = match self.world.faults.strikes(Fault::ClockJump, rates.clock_jump) {
            true => self.rng.i64(DAY_MS..12 * DAY_MS),
            false => 0,
        };
        self.world.clock.advance(ms + jump);
    }

    /// Several end one hold, half of the time around the moment when it ends by itself.
    fn contest(&mut self) -> Vec<Act> {
        let Some((held, rivals)) = self.crowd.contest(&mut self.rng) else { return Vec::new() };
        let left_ms = held.expires_at.millis() - self.world.clock.now().millis();
        if self.rng.bool() && left_ms > 0 {
            let around = self.rng.i64(-MINUTE_MS..MINUTE_MS);
            self.world.clock.advance((left_ms + around).max(0));
        }
        rivals.into_iter().map(Act::Ask).collect()
    }

    /// Somebody is about to change a subscription and to change it back, while Stripe tells of it once more.
    async fn waver(&mut self, acts: &mut Vec<Act>) -> Option<String> {
        let id = people::any_subscription(&self.world, &mut self.rng).await?;
        acts.extend(self.mail.again(&self.world, &id).await.map(|letter| Act::Deliver(vec![letter])));
        Some(id)
    }

    fn draw(&mut self) -> Act {
        match self.rng.u8(0..3) {
            0 if self.mail.waiting() > 0 => Act::Deliver(self.mail.receive(self.rng.usize(1..=4))),
            _ => Act::Ask(self.crowd.ask(&mut self.rng, &self.books, self.world.clock.now())),
        }
    }

    async fn happen(&mut self, acts: Vec<Act>) -> Result<(), Failure> {
        let ended = join_all(invoke(&self.world, &mut self.rng, &acts)).await;
        for (act, ended) in acts.into_iter().zip(ended) {
            self.learn(act, ended)?;
        }
        Ok(())
    }

    fn learn(&mut self, act: Act, ended: Ended<Answer>) -> Result<(), Failure> {
        let name = act.name();
        *self.tally.operations.entry(name).or_default() += 1;
        let answer = match ended {
            Ended::Answered(answer) => Some(answer),
            Ended::Crashed(point) => {
                self.world.faults.strikes(Fault::Crash, 100);
                self.tally.crashed_at.insert((name, point));
                None
            }
        };
        match (act, answer) {
            (Act::Deliver(letters), Some(Answer::Batch(answer))) => self.mail.settle(letters, Some(&answer)),
            (Act::Deliver(letters), _) => self.mail.settle(letters, None),
            (Act::Ask(ask), Some(Answer::Told(status, body))) if is_final(status, &body) => {
                self.crowd.was_told(&ask, status, &body);
                self.witness.hear(&ask, status, &body)?;
            }
            (Act::Ask(ask), _) => self.crowd.was_not_told(ask),
        }
        Ok(())
    }

    /// Nothing fails any more: everything is answered, delivered and brought up to now, and then counted.
    async fn end(&mut self) -> Result<(), Failure> {
        self.world.faults.cease();
        for _ in 0..200 {
            // Some are answered only when what was under way must be over.
            self.world.clock.advance(MINUTE_MS);
            self.mail.sweep(&self.world.faults, &mut self.rng);
            let mut acts: Vec<Act> = self.crowd.leftovers().into_iter().map(Act::Ask).collect();
            while self.mail.waiting() > 0 {
                acts.push(Act::Deliver(self.mail.receive(3)));
            }
            let is_over = acts.is_empty();
            for few in in_threes(acts) {
                self.happen(few).await?;
            }
            let heard = self.mail.collect(&self.world, &mut self.rng).await;
            self.books.check(&self.world).await?;
            if is_over && heard == 0 && self.mail.is_empty() {
                self.touch_everybody().await?;
                money::check(&self.world, &self.books).await?;
                money::sessions(&self.world).await?;
                allowances::check(&self.world, &self.books, self.world.clock.now()).await?;
                once::check(&self.world, &self.books, &self.witness).await?;
                privacy::check(&self.world, &self.books).await?;
                self.witness.requests(&self.books)?;
                return Ok(());
            }
        }
        let routes: Vec<&str> = self.crowd.leftovers().iter().map(|ask| ask.route).collect();
        Err(format!("{routes:?} and {} messages are never settled", self.mail.waiting()).into())
    }

    /// Lets everybody claim what waits for them, and writes what time has done into every journal.
    async fn touch_everybody(&mut self) -> Result<(), Failure> {
        let mut calls = self.crowd.last_calls(&mut self.rng, self.world.clock.now());
        // Who has much to claim needs the time of more than one call.
        for _ in 0..8 {
            for ask in calls {
                self.happen(vec![Act::Ask(ask)]).await?;
            }
            calls = self.crowd.leftovers();
            if calls.is_empty() {
                break;
            }
        }
        match calls.first() {
            Some(ask) => Err(format!("{} is not answered, though nothing fails", ask.route).into()),
            None => Ok(self.books.check(&self.world).await?),
        }
    }

    fn tally(self, steps: u64) -> Tally {
        let faults = self.world.faults.counts();
        let mut entries = BTreeMap::new();
        for entry in self.books.entries() {
            *entries.entry(entry.detail.kind()).or_default() += 1;
        }
        Tally { seeds: 1, steps, faults, entries, ..self.tally }
    }
}

impl Act {
    fn name(&self) -> &'static str {
        match self {
            Act::Deliver(_) => "deliveries to credit",
            Act::Ask(ask) => ask.route,
        }
    }
}

/// Functions side by side, of which some are killed on the way.
fn invoke<'a>(
    world: &'a World,
    rng: &mut Rng,
    acts: &'a [Act],
) -> Vec<Mortal<dyn Future<Output = Answer> + 'a>> {
    let crash = world.faults.rates().crash;
    let mut invocations = Vec::new();
    for act in acts {
        let now = now_here(world, rng);
        let dies = rng.u8(0..100) < crash;
        // Early as often as late.
        let most = if rng.bool() { 6 } else { 40 };
        let waits = dies.then(|| rng.u32(0..most));
        let invocation: Invocation = match act {
            Act::Ask(ask) => Box::pin(async move {
                let (status, body) = ask.send(world, now).await;
                Answer::Told(status, body)
            }),
            Act::Deliver(letters) => {
                let event = batch(letters);
                Box::pin(async move { Answer::Batch(world.credit().handle(event, now).await) })
            }
        };
        invocations.push(Mortal::new(invocation, waits));
    }
    invocations
}

/// An invocation's own clock may be behind.
fn now_here(world: &World, rng: &mut Rng) -> Time {
    let behind = match world.faults.rates().clock_jump {
        0 => 0,
        percent if world.faults.strikes(Fault::ClockSetBack, percent) => rng.i64(0..2 * MINUTE_MS),
        _ => 0,
    };
    world.clock.now().plus_ms(-behind)
}

/// An answer after which a client does not ask again.
fn is_final(status: u16, body: &Value) -> bool {
    status < 500 || body["code"] == "stripe_refused"
}

fn in_threes(acts: Vec<Act>) -> Vec<Vec<Act>> {
    let mut groups: Vec<Vec<Act>> = Vec::new();
    for act in acts {
        match groups.last_mut() {
            Some(group) if group.len() < 3 => group.push(act),
            _ => groups.push(vec![act]),
        }
    }
    groups
}
