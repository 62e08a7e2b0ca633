//! What Stripe says was paid, refunded, disputed and subscribed to, and what the books must come to by that. It knows the
//! catalog's numbers, and nothing of how the ledger works.

use std::collections::{BTreeMap, BTreeSet};

use domain::entry::{Detail, Entry, Place, Posting};
use domain::ids::UserId;
use domain::time::{DAY_MS, Time};
use serde_json::Value;

use crate::books::Books;
use crate::world::World;

/// What a package brings: tokens, bonus.
const PACKAGES: [(&str, u64, u64); 2] = [("small", 100, 0), ("bonus", 250, 25)];
const WEEKLY: u64 = 70;
const PER_INVOICE: u64 = 300;

/// What Stripe says was paid, refunded and disputed, against what the books say. Holds whenever everything that Stripe
/// had to tell has been handled.
pub async fn check(world: &World, books: &Books) -> Result<(), String> {
    sales(world, books).await?;
    reversals(world, books).await?;
    subscriptions(world, books).await
}

async fn sales(world: &World, books: &Books) -> Result<(), String> {
    let mut sold: BTreeMap<String, (String, u64, u64)> = BTreeMap::new();
    for session in world.all("/v1/checkout/sessions").await {
        if session["mode"] != "payment" || session["payment_status"] != "paid" {
            continue;
        }
        let item = session["metadata"]["tollgate_item"].as_str().unwrap_or_default();
        let mut parts = item.trim_start_matches("package:").split(':');
        let package = parts.next().unwrap_or_default();
        let times: u64 = parts.next().and_then(|times| times.parse().ok()).unwrap_or(1);
        let (_, tokens, bonus) = PACKAGES.into_iter().find(|(id, ..)| *id == package).unwrap_or_default();
        let user = session["metadata"]["tollgate_user"].as_str().unwrap_or_default().to_owned();
        let cause = format!("pay:{}", session["payment_intent"].as_str().unwrap_or_default());
        sold.insert(cause, (user, tokens * times, bonus * times));
    }
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

/// Stripe says it in either of two ways.
fn cancel_at(subscription: &Value) -> Option<i64> {
    let at_period_end = subscription["cancel_at_period_end"] == true;
    let period_end = subscription["items"]["data"][0]["current_period_end"].as_i64();
    subscription["cancel_at"].as_i64().or(period_end.filter(|_| at_period_end))
}

/// What the allowances of everybody come to, counted slot by slot. Holds when every journal has been brought up to now.
pub async fn allowances(world: &World, books: &Books, now: Time) -> Result<(), String> {
    let mut least: BTreeMap<String, u64> = BTreeMap::new();
    let mut most: BTreeMap<String, u64> = BTreeMap::new();
    for subscription in world.all("/v1/subscriptions?status=all").await {
        let id = named(&subscription, "id");
        let user = subscription["metadata"]["tollgate_user"].as_str().unwrap_or_default().to_owned();
        let invoices = world.all(&format!("/v1/invoices?subscription={id}")).await;
        let paid: Vec<&Value> = invoices.iter().filter(|invoice| invoice["status"] == "paid").collect();
        let ended = subscription["ended_at"].as_i64();
        let item = subscription["metadata"]["tollgate_item"].as_str().unwrap_or_default();
        let all = match item.contains("weekly") {
            true => WEEKLY * slots(&subscription, &paid, now),
            false => PER_INVOICE * paid.len() as u64,
        };
        // What was paid for one that has ended brings as much as was heard of it before its end.
        *least.entry(user.clone()).or_default() += if ended.is_some() { 0 } else { all };
        *most.entry(user).or_default() += all;
    }
    for (user, kept) in &books.users {
        let user = user.as_str();
        let given: u64 = kept.entries.iter().map(given).sum();
        let (low, high) =
            (least.get(user).copied().unwrap_or_default(), most.get(user).copied().unwrap_or_default());
        if !(low..=high).contains(&given) {
            return Err(format!(
                "the allowances of {user} come to {low}..={high} tokens, and {given} are given"
            ));
        }
    }
    Ok(())
}

/// How many weeks of a subscription have begun and were paid for.
fn slots(subscription: &Value, paid: &[&Value], now: Time) -> u64 {
    let ends = paid.iter().filter_map(|invoice| {
        let lines = invoice["lines"]["data"].as_array()?;
        lines.iter().filter_map(|line| line["period"]["end"].as_i64()).max()
    });
    let Some(paid_through) = ends.max() else { return 0 };
    let week = 7 * DAY_MS / 1_000;
    let mut start = subscription["start_date"].as_i64().unwrap_or_default();
    let mut slots = 0;
    while start < paid_through && start <= now.seconds() {
        slots += 1;
        start += week;
    }
    slots
}

/// Tokens that an entry brings and that are neither bought nor granted.
fn given(entry: &Entry) -> u64 {
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

fn named(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

fn minor(object: &Value) -> i64 {
    object["amount"].as_i64().unwrap_or_default()
}
