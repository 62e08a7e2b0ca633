//! One seed from beginning to end: steps in which a few things happen at once, and a check after each.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use domain::ids::UserId;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Time};
use fastrand::Rng;
use futures_util::future::join_all;
use serde_json::Value;

use crate::books::Books;
use crate::clients::{Aim, Ask, Held, Sale};
use crate::crash::{Ended, Mortal, Point};
use crate::faults::Fault;
use crate::mail::{Letter, Mail, batch};
use crate::people;
use crate::witness::{self, Witness};
use crate::world::{Failure, World};

/// What happened in one seed or in many.
#[derive(Debug, Default)]
pub struct Tally {
    pub seeds: u64,
    pub steps: u64,
    pub operations: BTreeMap<&'static str, u64>,
    pub faults: BTreeMap<Fault, u64>,
    /// Where invocations were killed.
    pub crashed_at: BTreeSet<(&'static str, Point)>,
    pub entries: u64,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.entries += other.entries;
        for (operation, count) in other.operations {
            *self.operations.entry(operation).or_default() += count;
        }
        for (fault, count) in other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.crashed_at.extend(other.crashed_at);
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
    witness: Witness,
    /// Asked, and not finally answered yet.
    pending: Vec<Ask>,
    holds: Vec<Held>,
    sales: Vec<Sale>,
    asked: u64,
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
            simulation.step().await.map_err(|broken| format!("step {step}: {broken}"))?;
        }
        simulation.end().await.map_err(|broken| format!("at the end: {broken}"))?;
        Ok(simulation.tally(steps))
    })
}

impl Simulation {
    async fn begin(seed: u64) -> Result<Simulation, Failure> {
        let world = World::begin(seed).await?;
        let books = Books::new(&world.users);
        Ok(Simulation {
            world,
            rng: Rng::with_seed(seed ^ 0x5eed),
            mail: Mail::default(),
            books,
            witness: Witness::default(),
            pending: Vec::new(),
            holds: Vec::new(),
            sales: Vec::new(),
            asked: 0,
            tally: Tally::default(),
        })
    }

    async fn step(&mut self) -> Result<(), Failure> {
        self.pass_time();
        if self.rng.u8(0..2) == 0 {
            let deed = people::act(&self.world, &mut self.rng, &self.sales).await;
            *self.tally.operations.entry(deed).or_default() += 1;
        }
        let acts: Vec<Act> = (0..self.rng.u8(1..=3)).map(|_| self.draw()).collect();
        self.happen(acts).await?;
        self.mail.collect(&self.world, &mut self.rng).await;
        self.books.check(&self.world).await?;
        if self.mail.is_empty() && self.rng.u8(0..8) == 0 {
            witness::money(&self.world, &self.books).await?;
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

    fn draw(&mut self) -> Act {
        self.asked += 1;
        let number = self.asked;
        let user = self.world.users[self.rng.usize(0..self.world.users.len())].clone();
        let payment = self.any_payment();
        let rng = &mut self.rng;
        let ask = match rng.u8(0..100) {
            0..20 => Ask::spend(&user, rng, number),
            20..26 => Ask::hold(&user, rng, number),
            26..33 if !self.holds.is_empty() => {
                let held = self.holds[rng.usize(0..self.holds.len())].clone();
                Ask::end_hold(&held, rng, number)
            }
            33..42 => Ask::buy(&user, rng, number),
            42..48 if !self.sales.is_empty() => Ask::success(&self.sales[rng.usize(0..self.sales.len())]),
            48..52 => Ask::grant(&user, rng, number),
            52..55 => match payment {
                Some((payment, amount)) => Ask::refund(&payment, amount, number),
                None => Ask::look(&user, rng),
            },
            55..58 => Ask::look(&user, rng),
            58..68 if !self.pending.is_empty() => {
                let index = rng.usize(0..self.pending.len());
                // It stays pending: the first attempt may still be under way, and both are answered the same.
                self.pending[index].clone()
            }
            _ if self.mail.waiting() > 0 => return Act::Deliver(self.mail.receive(rng.usize(1..=4))),
            _ => Ask::spend(&user, rng, number),
        };
        Act::Ask(ask)
    }

    /// One that the books have, and how much of it to give back.
    fn any_payment(&mut self) -> Option<(String, Option<i64>)> {
        let payments = self.books.users.values().flat_map(|kept| kept.replay.payments.values());
        let payments: Vec<_> = payments.collect();
        let row = payments.get(self.rng.usize(0..payments.len().max(1)))?;
        let part = self.rng.i64(1..=row.paid.amount_minor.max(1));
        Some((row.payment.to_string(), self.rng.bool().then_some(part)))
    }

    /// Invokes functions side by side; some are killed on the way.
    async fn happen(&mut self, acts: Vec<Act>) -> Result<(), Failure> {
        let (world, rng) = (&self.world, &mut self.rng);
        let crash = world.faults.rates().crash;
        let mut invocations = Vec::new();
        for act in &acts {
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
        let ended = join_all(invocations).await;
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
                self.pending.retain(|pending| pending.key.is_none() || pending.key != ask.key);
                self.witness.hear(&ask, status, &body)?;
                self.remember(&ask, status, &body);
            }
            (Act::Ask(ask), _) => {
                let is_known = self.pending.iter().any(|pending| pending.key == ask.key);
                if ask.key.is_some() && !is_known {
                    self.pending.push(ask);
                }
            }
        }
        Ok(())
    }

    /// What a client can go on with.
    fn remember(&mut self, ask: &Ask, status: u16, body: &Value) {
        if status >= 300 {
            return;
        }
        let id = |name: &str| body[name].as_str().map(str::to_owned);
        match &ask.aim {
            Aim::Hold { user, tokens } => {
                if let Some(id) = body["hold"]["id"].as_str().map(str::to_owned).or(id("id")) {
                    self.holds.push(Held { user: user.clone(), id, tokens: *tokens });
                }
            }
            Aim::Buy { user } => {
                if let Some(session) = id("id") {
                    self.sales.push(Sale { user: user.clone(), session });
                }
            }
            _ => {}
        }
    }

    /// Nothing fails any more: everything is answered, delivered and brought up to now, and then counted.
    async fn end(&mut self) -> Result<(), Failure> {
        self.world.faults.cease();
        for _ in 0..200 {
            self.mail.sweep(&self.world.faults, &mut self.rng);
            let mut acts: Vec<Act> = std::mem::take(&mut self.pending).into_iter().map(Act::Ask).collect();
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
                witness::money(&self.world, &self.books).await?;
                witness::allowances(&self.world, &self.books, self.world.clock.now()).await?;
                self.witness.requests(&self.books)?;
                return Ok(());
            }
        }
        let (asks, letters) = (self.pending.len(), self.mail.waiting());
        Err(format!("{asks} requests and {letters} messages are never settled").into())
    }

    /// Writes what time has done into every journal.
    async fn touch_everybody(&mut self) -> Result<(), Failure> {
        let users: Vec<UserId> = self.world.users.clone();
        for user in users {
            self.asked += 1;
            let grant = Ask::grant(&user, &mut self.rng, self.asked);
            self.happen(vec![Act::Ask(grant)]).await?;
        }
        self.books.check(&self.world).await?;
        Ok(())
    }

    fn tally(self, steps: u64) -> Tally {
        let faults = self.world.faults.counts();
        let entries = self.books.entries().count() as u64;
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
