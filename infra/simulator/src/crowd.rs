//! Users and operators: who asks for what next, and what they know of the answers.

use domain::ids::UserId;
use domain::subscription::Seen;
use domain::time::Time;
use fastrand::Rng;
use serde_json::Value;

use crate::books::Books;
use crate::clients::{Aim, Ask, EMAILS, Held, Sale};

pub struct Crowd {
    pub users: Vec<UserId>,
    /// Asked, and not finally answered yet.
    pub pending: Vec<Ask>,
    /// What their buyers may still pay.
    pub baskets: Vec<Sale>,
    sales: Vec<Sale>,
    payments: Vec<Sale>,
    holds: Vec<Held>,
    /// Bulk jobs that are not finished.
    jobs: Vec<String>,
    /// Users who want to be erased.
    leaving: Vec<UserId>,
    asked: u64,
}

impl Crowd {
    pub fn new(users: Vec<UserId>) -> Crowd {
        Crowd {
            users,
            pending: Vec::new(),
            baskets: Vec::new(),
            sales: Vec::new(),
            payments: Vec::new(),
            holds: Vec::new(),
            jobs: Vec::new(),
            leaving: Vec::new(),
            asked: 0,
        }
    }

    /// Somebody asks for something.
    pub fn ask(&mut self, rng: &mut Rng, books: &Books, now: Time) -> Ask {
        // It stays pending: the first attempt may still be under way, and both are answered the same.
        if rng.u8(0..7) == 0
            && let Some(again) = any(rng, &self.pending)
        {
            return again.clone();
        }
        let user = self.users[rng.usize(0..self.users.len())].clone();
        let number = self.number();
        let other = match rng.u8(0..100) {
            0..9 => Some(Ask::hold(&user, rng, number)),
            9..18 => late(rng, &self.holds).map(|held| Ask::end_hold(held, rng, number)),
            18..30 => Some(Ask::buy(&user, rng, number)),
            30..35 => Some(Ask::subscribe(&user, rng, number)),
            35..39 => Some(Ask::pay(&user, rng, number)),
            39..41 => late(rng, &self.payments).map(|payment| Ask::attend(payment, rng, number)),
            41..48 => late(rng, &self.sales).map(Ask::success),
            48..51 => subscribed(rng, books).map(|(held, seen)| Ask::alter(&held, seen, rng, number)),
            51..52 => subscribed(rng, books).map(|(held, seen)| Ask::preview(&held, seen, rng)),
            52..55 => Some(Ask::grant(&user, rng, now, number)),
            55..59 => Some(Ask::gift(&user, rng, number)),
            59..61 => Some(Ask::bulk(&self.users, rng, number)),
            61..65 => any(rng, &self.jobs).map(|job| Ask::go_on(job)),
            65..69 => refund(rng, books, number),
            69..72 => Some(Ask::look(&user, rng)),
            72..74 => any(rng, &self.leaving).map(|user| Ask::erase(user, number)),
            _ => None,
        };
        let ask = other.unwrap_or_else(|| Ask::spend(&user, rng, number));
        if rng.u8(0..4) == 0 { ask.proving(rng.u8(0..EMAILS)) } else { ask }
    }

    /// One of the latest holds, and several who end it at the same time.
    pub fn contest(&mut self, rng: &mut Rng) -> Option<(Held, Vec<Ask>)> {
        let held = late(rng, &self.holds)?.clone();
        let rivals = (0..rng.u8(2..=3)).map(|_| Ask::end_hold(&held, rng, self.number())).collect();
        Some((held, rivals))
    }

    /// From now on somebody wants to be erased.
    pub fn leave(&mut self, rng: &mut Rng) {
        self.leaving.extend(any(rng, &self.users).cloned());
    }

    /// What is to be done until nothing is left open.
    pub fn leftovers(&mut self) -> Vec<Ask> {
        let jobs = self.jobs.iter().map(|job| Ask::go_on(job));
        std::mem::take(&mut self.pending).into_iter().chain(jobs).collect()
    }

    /// A call by which everybody proves each of their emails, and a grant, which nothing but being erased can refuse.
    pub fn last_calls(&mut self, rng: &mut Rng, now: Time) -> Vec<Ask> {
        let mut calls = Vec::new();
        for user in self.users.clone() {
            calls.extend((0..EMAILS).map(|email| Ask::spend(&user, rng, self.number()).proving(email)));
            calls.push(Ask::grant(&user, rng, now, self.number()));
        }
        calls
    }

    /// Nobody knows what became of it, so that it will be asked again.
    pub fn was_not_told(&mut self, ask: Ask) {
        let is_known = self.pending.iter().any(|pending| pending.key == ask.key);
        if ask.key.is_some() && !is_known {
            self.pending.push(ask);
        }
    }

    /// Hears what will not be answered otherwise any more.
    pub fn was_told(&mut self, ask: &Ask, status: u16, body: &Value) {
        self.pending.retain(|pending| pending.key.is_none() || pending.key != ask.key);
        if let Aim::EndHold { hold, .. } = &ask.aim {
            self.holds.retain(|held| held.id != *hold);
        }
        if status >= 300 {
            return;
        }
        let id = |name: &str| body[name].as_str().map(str::to_owned);
        match &ask.aim {
            Aim::Hold { user, tokens } => {
                let expires_at = Time::parse_rfc3339(body["expires_at"].as_str().unwrap_or_default());
                if let (Some(id), Some(expires_at)) = (id("id"), expires_at) {
                    self.holds.push(Held { user: user.clone(), id, tokens: *tokens, expires_at });
                }
            }
            Aim::Buy { user } | Aim::Subscribe { user } | Aim::Pay { user } => {
                if let Some(id) = id("id") {
                    self.was_sold(ask, Sale { user: user.clone(), id }, body);
                }
            }
            Aim::Bulk { .. } => {
                let job = id("job").filter(|job| !self.jobs.contains(job));
                self.jobs.extend(job);
            }
            Aim::GoOn { job } if body["finished"] == true => self.jobs.retain(|open| open != job),
            _ => {}
        }
    }

    fn was_sold(&mut self, ask: &Ask, sale: Sale, body: &Value) {
        if matches!(ask.aim, Aim::Pay { .. }) {
            self.payments.push(sale.clone());
        }
        if let Some("open" | "incomplete" | "requires_payment_method" | "requires_action") =
            body["status"].as_str()
        {
            self.baskets.push(sale.clone());
        }
        self.sales.push(sale);
    }

    fn number(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }
}

/// Of a payment that the books have, or of a part of it.
fn refund(rng: &mut Rng, books: &Books, number: u64) -> Option<Ask> {
    let payments = books.users.values().flat_map(|kept| kept.replay.payments.values());
    let payments: Vec<_> = payments.collect();
    let row = any(rng, &payments)?;
    let part = rng.i64(1..=row.paid.amount_minor.max(1));
    Some(Ask::refund(row.payment.as_str(), rng.bool().then_some(part), number))
}

/// A subscription that somebody knows to have.
fn subscribed<'a>(rng: &mut Rng, books: &'a Books) -> Option<(Sale, &'a Seen)> {
    let mut held = Vec::new();
    for (user, kept) in &books.users {
        held.extend(kept.replay.account.subscriptions.iter().map(|held| (user, &held.seen)));
    }
    let (user, seen) = any(rng, &held)?;
    Some((Sale { user: (*user).clone(), id: seen.id.to_string() }, seen))
}

fn any<'a, T>(rng: &mut Rng, all: &'a [T]) -> Option<&'a T> {
    all.get(rng.usize(0..all.len().max(1)))
}

/// One of the latest.
fn late<'a, T>(rng: &mut Rng, all: &'a [T]) -> Option<&'a T> {
    any(rng, &all[all.len().saturating_sub(10)..])
}
