//! What Stripe says was paid, refunded, disputed and subscribed to, and what the books must come to by that. It knows the
//! catalog's numbers, and nothing of how the ledger works.

use std::collections::{BTreeMap, BTreeSet};

use domain::entry::{Detail, Entry};
use domain::ids::UserId;
use domain::posting::{Place, Posting};
use domain::subscription::{Scheduled, Subscription};
use domain::time::Time;
use serde_json::Value;

use crate::books::Books;
use crate::sold::{Plan, named, plan_of, prices, quantity_of};
use crate::world::World;

/// What a package brings: tokens, bonus.
const PACKAGES: [(&str, u64, u64); 2] = [("small", 100, 0), ("bonus", 250, 25)];

/// What Stripe says was paid, refunded and disputed, against what the books say. Holds whenever everything that Stripe
/// had to tell has been handled.
pub async fn check(world: &World, books: &Books) -> Result<(), String> {
    let intents = world.all("/v1/payment_intents").await;
    let paid: Vec<&Value> = intents.iter().filter(|intent| intent["status"] == "succeeded").collect();
    sales(&paid, books)?;
    payments(&paid, books)?;
    reversals(world, books).await?;
    subscriptions(world, books).await
}

/// What was paid on Stripe's page is what was ordered there. It is told by intents as well, so once at the end is enough.
pub async fn sessions(world: &World) -> Result<(), String> {
    for session in world.all("/v1/checkout/sessions").await {
        if session["mode"] != "payment" || session["payment_status"] != "paid" {
            continue;
        }
        let intent = named(&session, "payment_intent");
        let paid = world.stripe("GET", &format!("/v1/payment_intents/{intent}"), Value::Null).await;
        let paid = paid.map_err(|refused| format!("{intent} is paid, and is not there: {refused}"))?;
        if bought(&paid) != bought(&session) || paid["status"] != "succeeded" {
            return Err(format!("{intent} is not what {} says", session["id"]));
        }
    }
    Ok(())
}

fn sales(paid: &[&Value], books: &Books) -> Result<(), String> {
    let is_sale = |intent: &&&Value| named(&intent["metadata"], "tollgate_item").starts_with("package:");
    let mut sold: BTreeMap<String, (String, u64, u64)> = paid
        .iter()
        .filter(is_sale)
        .map(|intent| (format!("pay:{}", named(intent, "id")), bought(intent)))
        .collect();
    for entry in books.entries() {
        let Detail::Purchase { tokens, bonus, .. } = &entry.detail else { continue };
        let cause = entry.cause.to_string();
        let booked = (entry.user.to_string(), tokens.get(), bonus.get());
        match sold.remove(&cause) {
            Some(paid) if paid == booked => {}
            Some(paid) => return Err(format!("{cause} is booked as {booked:?}, and Stripe says {paid:?}")),
            None => return Err(format!("{cause} is booked as {booked:?}, and Stripe has no such payment")),
        }
        let credited = bought_or_granted(entry);
        if credited != tokens.get() + bonus.get() {
            return Err(format!("{cause} brought {credited} tokens"));
        }
    }
    match sold.into_iter().next() {
        Some((cause, paid)) => Err(format!("{cause} was paid, {paid:?}, and is not booked")),
        None => Ok(()),
    }
}

/// Every payment, an invoice's too, is in the books of one user, with what was paid.
fn payments(paid: &[&Value], books: &Books) -> Result<(), String> {
    let rows = books.users.values().flat_map(|kept| &kept.replay.payments);
    let mut booked: BTreeMap<String, i64> = BTreeMap::new();
    for (payment, row) in rows {
        if booked.insert(payment.to_string(), row.paid.amount_minor).is_some() {
            return Err(format!("{payment} is in the books of two"));
        }
    }
    for intent in paid {
        let (id, received) = (named(intent, "id"), intent["amount_received"].as_i64());
        let row = booked.remove(&id);
        if row != received {
            return Err(format!("{id} brought {received:?}, and the books say {row:?}"));
        }
    }
    match booked.into_iter().next() {
        Some((stranger, _)) => Err(format!("{stranger} is in the books, and was not paid")),
        None => Ok(()),
    }
}

/// By whom, tokens, bonus.
fn bought(sale: &Value) -> (String, u64, u64) {
    let item = named(&sale["metadata"], "tollgate_item");
    let mut parts = item.trim_start_matches("package:").split(':');
    let package = parts.next().unwrap_or_default();
    let times: u64 = parts.next().and_then(|times| times.parse().ok()).unwrap_or(1);
    let (_, tokens, bonus) = PACKAGES.into_iter().find(|(id, ..)| *id == package).unwrap_or_default();
    (named(&sale["metadata"], "tollgate_user"), tokens * times, bonus * times)
}

async fn reversals(world: &World, books: &Books) -> Result<(), String> {
    let mut reversed: BTreeMap<String, i64> = BTreeMap::new();
    for refund in world.all("/v1/refunds").await {
        if !matches!(refund["status"].as_str(), Some("failed" | "canceled")) {
            *reversed.entry(named(&refund, "payment_intent")).or_default() += minor(&refund);
        }
    }
    for dispute in world.all("/v1/disputes").await {
        if matches!(dispute["status"].as_str(), Some("needs_response" | "under_review" | "lost")) {
            *reversed.entry(named(&dispute, "payment_intent")).or_default() += minor(&dispute);
        }
    }
    for (user, kept) in &books.users {
        let mut taken: i64 = 0;
        for (payment, row) in &kept.replay.payments {
            let paid = row.paid.amount_minor;
            let gone = reversed.get(payment.as_str()).copied().unwrap_or_default().min(paid);
            let granted = row.granted.get();
            let back =
                if gone >= paid { granted } else { granted * gone.unsigned_abs() / paid.unsigned_abs() };
            if (row.reversed_minor, row.taken.get()) != (gone, back) {
                return Err(format!(
                    "{payment} of {user}: {gone} of {paid} is gone, so {back} of {granted} tokens must be; the books \
                     say {} and {}",
                    row.reversed_minor, row.taken
                ));
            }
            taken += i64::try_from(back).unwrap_or(i64::MAX);
        }
        let clawed: i64 = kept.entries.iter().flat_map(|entry| &entry.postings).map(clawed).sum();
        if clawed != taken {
            return Err(format!("{taken} tokens must be taken back of {user}, and {clawed} are"));
        }
    }
    Ok(())
}

fn clawed(posting: &Posting) -> i64 {
    let amount = i64::try_from(posting.amount.get()).unwrap_or(i64::MAX);
    match (posting.from, posting.to) {
        (_, Place::Clawed) => amount,
        (Place::Clawed, _) => -amount,
        _ => 0,
    }
}

async fn subscriptions(world: &World, books: &Books) -> Result<(), String> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    let coming = coming(world).await;
    for subscription in world.all("/v1/subscriptions?status=all").await {
        let (id, status) = (named(&subscription, "id"), named(&subscription, "status"));
        let user = UserId::parse(subscription["metadata"]["tollgate_user"].as_str().unwrap_or_default());
        let kept = user.ok().and_then(|user| books.users.get(&user));
        let Some(kept) = kept else { return Err(format!("{id} is nobody's")) };
        let held = kept.replay.account.subscriptions.iter().find(|held| held.seen.id.as_str() == id);
        let has_ended = matches!(status.as_str(), "canceled" | "incomplete_expired");
        match held {
            Some(_) if has_ended => return Err(format!("{id} has ended, and the books have it")),
            None if !has_ended && status != "incomplete" => {
                return Err(format!("{id} is {status}, and the books do not have it"));
            }
            Some(held) if held.seen.status.name() != status => {
                return Err(format!("{id} is {status}, and the books say {}", held.seen.status.name()));
            }
            Some(held) if held.seen.cancel_at.map(Time::seconds) != cancel_at(&subscription) => {
                return Err(format!("{id} is to be canceled otherwise than the books say"));
            }
            Some(held) if !is_of_its_plan(held, &subscription) => {
                return Err(format!("{id} is of another plan than the books say, {}", held.seen.plan));
            }
            Some(held) if held.seen.next.as_ref().map(Version::of) != coming.get(&id).cloned() => {
                let (next, coming) = (&held.seen.next, coming.get(&id));
                return Err(format!("{id} is going to be {coming:?}, and the books say {next:?}"));
            }
            _ => {}
        }
        known.insert(id);
    }
    let booked = books.users.values().flat_map(|kept| &kept.replay.account.subscriptions);
    match booked.into_iter().find(|held| !known.contains(held.seen.id.as_str())) {
        Some(stranger) => Err(format!("{} is in the books, and not in Stripe", stranger.seen.id)),
        None => Ok(()),
    }
}

/// What a subscription is going to be.
#[derive(Debug, Clone, PartialEq)]
struct Version {
    plan: String,
    quantity: u64,
    since: i64,
}

impl Version {
    fn of(next: &Scheduled) -> Version {
        let Scheduled { plan, quantity, at, .. } = next;
        Version { plan: plan.to_string(), quantity: (*quantity).into(), since: at.seconds() }
    }

    fn read(phase: &Value, prices: &BTreeMap<String, &'static Plan>) -> Option<Version> {
        let item = &phase["items"][0];
        let plan = prices.get(item["price"].as_str()?)?.name.to_owned();
        let (quantity, since) = (item["quantity"].as_u64().unwrap_or(1), phase["start_date"].as_i64()?);
        Some(Version { plan, quantity, since })
    }
}

/// By Stripe's schedules, of which each has a phase that runs and perhaps another that follows.
async fn coming(world: &World) -> BTreeMap<String, Version> {
    let prices = prices(world).await;
    let mut coming = BTreeMap::new();
    for schedule in world.all("/v1/subscription_schedules").await {
        let phases = schedule["phases"].as_array().map(Vec::as_slice).unwrap_or_default();
        let runs =
            phases.iter().position(|phase| phase["start_date"] == schedule["current_phase"]["start_date"]);
        let Some(runs) = runs.filter(|_| schedule["status"] == "active") else { continue };
        let read = |index: usize| Version::read(phases.get(index)?, &prices);
        let (now, Some(next)) = (read(runs), read(runs + 1)) else { continue };
        if now.is_none_or(|now| (now.plan, now.quantity) != (next.plan.clone(), next.quantity)) {
            coming.insert(named(&schedule, "subscription"), next);
        }
    }
    coming
}

fn is_of_its_plan(held: &Subscription, subscription: &Value) -> bool {
    let plan = plan_of(subscription).map(|plan| plan.name);
    plan == Some(held.seen.plan.as_str()) && u64::from(held.seen.quantity) == quantity_of(subscription)
}

/// Stripe says it in either of two ways.
fn cancel_at(subscription: &Value) -> Option<i64> {
    let at_period_end = subscription["cancel_at_period_end"] == true;
    let period_end = subscription["items"]["data"][0]["current_period_end"].as_i64();
    subscription["cancel_at"].as_i64().or(period_end.filter(|_| at_period_end))
}

/// Tokens that an entry brings and that are neither bought nor granted.
pub fn given(entry: &Entry) -> u64 {
    let all = new_tokens(entry, |_| true);
    let otherwise = match &entry.detail {
        Detail::Purchase { tokens, bonus, .. } => tokens.get() + bonus.get(),
        // Closing forgives what is owed.
        Detail::Grant { .. } | Detail::Closing { .. } => bought_or_granted(entry),
        _ => 0,
    };
    all - otherwise
}

/// What time brings is dated, and what it brings into lots names a subscription's.
fn bought_or_granted(entry: &Entry) -> u64 {
    let is_of_a_subscription =
        |posting: &Posting| posting.lot.as_ref().is_some_and(|lot| lot.as_str().contains(':'));
    new_tokens(entry, |posting| posting.at.is_none() && !is_of_a_subscription(posting))
}

/// Tokens that come from the world, also where a debt takes them or they lapse at once.
fn new_tokens(entry: &Entry, is_wanted: impl Fn(&Posting) -> bool) -> u64 {
    let new = entry.postings.iter().filter(|posting| {
        let is_kept = !matches!(posting.to, Place::Spent | Place::Held);
        posting.from == Place::World && is_kept && is_wanted(posting)
    });
    new.map(|posting| posting.amount.get()).sum()
}

fn minor(object: &Value) -> i64 {
    object["amount"].as_i64().unwrap_or_default()
}
