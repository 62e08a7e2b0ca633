//! What subscriptions must have brought by what Stripe says was paid for when, counted slot by slot and period by period.
//! It knows the catalog's numbers, and nothing of how the ledger counts.

use std::collections::BTreeMap;

use domain::time::{DAY_MS, Time};
use serde_json::Value;

use crate::books::Books;
use crate::money::given;
use crate::sold::{Plan, named, plan_of, prices, quantity_of};
use crate::world::World;

const WEEK: i64 = 7 * DAY_MS / 1_000;

/// In seconds: by so much a function's clock may be behind Stripe's.
const CLOCKS_DIFFER: i64 = 120;

/// At least, at most.
type Bounds = (u64, u64);

/// What a subscription was of since then.
struct Version {
    since: i64,
    plan: &'static Plan,
    quantity: u64,
}

/// What a paid invoice charges for.
struct Line {
    plan: &'static Plan,
    quantity: u64,
    end: i64,
    /// For a change within a period.
    is_proration: bool,
}

/// Holds when every journal has been brought up to now.
pub async fn check(world: &World, books: &Books, now: Time) -> Result<(), String> {
    let mut owed: BTreeMap<String, (Bounds, Vec<String>)> = BTreeMap::new();
    let (prices, mut versions) = (prices(world).await, versions(world).await);
    for subscription in world.all("/v1/subscriptions?status=all").await {
        let id = named(&subscription, "id");
        let user = subscription["metadata"]["tollgate_user"].as_str().unwrap_or_default();
        let invoices = world.all(&format!("/v1/invoices?subscription={id}&status=paid")).await;
        let lines: Vec<Line> = invoices.iter().flat_map(|invoice| lines(invoice, &prices)).collect();
        let is_weekly = plan_of(&subscription).is_some_and(|plan| plan.is_weekly);
        let (low, high) = match is_weekly {
            true => weekly(&subscription, &versions.remove(&id).unwrap_or_default(), &lines, now.seconds()),
            false => by_invoice(&lines),
        };
        // What was paid for one that has ended brings as much as was heard of it before its end.
        let has_ended = !subscription["ended_at"].is_null();
        let low = if has_ended { 0 } else { low };
        let (sum, parts) = owed.entry(user.to_owned()).or_default();
        *sum = (sum.0 + low, sum.1 + high);
        parts.push(format!("{id} {low}..={high}"));
    }
    for (user, kept) in &books.users {
        let given: u64 = kept.entries.iter().map(given).sum();
        let ((low, high), parts) = owed.remove(user.as_str()).unwrap_or_default();
        if !(low..=high).contains(&given) {
            let entries = kept.entries.iter().map(|entry| (self::given(entry), &entry.cause));
            let entries = entries
                .filter(|(tokens, _)| *tokens != 0)
                .map(|(tokens, cause)| format!("{tokens} by {cause}"));
            return Err(format!(
                "the allowances of {user} come to {low}..={high} tokens, and {given} are given: {} against {}",
                parts.join(", "),
                entries.collect::<Vec<_>>().join(", ")
            ));
        }
    }
    Ok(())
}

/// Each week that was begun and paid for, at what the subscription was of. A change counts from when it was heard of, so
/// that it may be late by any time.
fn weekly(subscription: &Value, versions: &[Version], lines: &[Line], now: i64) -> Bounds {
    let trial_end = subscription["trial_end"].as_i64().unwrap_or_default();
    let paid_through =
        |lines: &mut dyn Iterator<Item = &Line>| lines.map(|line| line.end).max().unwrap_or_default();
    // A change within a month that is not paid does not pay the month.
    let surely = paid_through(&mut lines.iter().filter(|line| !line.is_proration));
    let perhaps = paid_through(&mut lines.iter());
    let mut start = subscription["start_date"].as_i64().unwrap_or_default();
    let (mut low, mut high) = (0, 0);
    while start < perhaps && start <= now {
        let until = start + WEEK;
        let known = versions.iter().filter(|version| version.since < until + CLOCKS_DIFFER);
        let worth = known.map(|version| {
            let tokens = if start < trial_end { version.plan.tried } else { version.plan.tokens };
            tokens * version.quantity
        });
        let (least, most) =
            worth.fold((u64::MAX, 0), |(least, most), tokens| (least.min(tokens), most.max(tokens)));
        // A trial that is over before anybody heard of it brought nothing.
        low += if start < trial_end || start >= surely { 0 } else { least };
        high += most;
        start = until;
    }
    (low, high)
}

/// Each period that was paid for, at the most that was paid for within it.
fn by_invoice(lines: &[Line]) -> Bounds {
    let mut periods: BTreeMap<i64, (bool, u64)> = BTreeMap::new();
    for line in lines {
        let (is_paid, most) = periods.entry(line.end).or_default();
        *is_paid |= !line.is_proration;
        *most = (*most).max(line.plan.tokens * line.quantity);
    }
    periods.values().fold((0, 0), |(low, high), (is_paid, most)| {
        // A change only tops up within a period that is paid.
        (low + if *is_paid { *most } else { 0 }, high + most)
    })
}

/// What each subscription was of, as Stripe told it.
async fn versions(world: &World) -> BTreeMap<String, Vec<Version>> {
    let mut versions: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    for event in world.all("/v1/events?type=customer.subscription.*").await {
        let subscription = &event["data"]["object"];
        if let Some(plan) = plan_of(subscription) {
            let since = event["created"].as_i64().unwrap_or_default();
            let version = Version { since, plan, quantity: quantity_of(subscription) };
            versions.entry(named(subscription, "id")).or_default().push(version);
        }
    }
    versions
}

/// Lines that give money back pay for nothing.
fn lines(invoice: &Value, prices: &BTreeMap<String, &'static Plan>) -> Vec<Line> {
    let lines = invoice["lines"]["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let read = |line: &Value| {
        let plan = prices.get(line["pricing"]["price_details"]["price"].as_str()?)?;
        let pays = line["amount"].as_i64()? >= 0;
        let is_proration = line["parent"]["subscription_item_details"]["proration"] == true;
        let (quantity, end) = (line["quantity"].as_u64()?, line["period"]["end"].as_i64()?);
        pays.then_some(Line { plan, quantity, end, is_proration })
    };
    lines.iter().filter_map(read).collect()
}
