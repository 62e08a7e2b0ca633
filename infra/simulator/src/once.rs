//! What may be only once in Stripe, once everything that it had to tell was heard.

use std::collections::{BTreeMap, BTreeSet};

use domain::alteration::{Alteration, Deed};
use domain::catalog::When;
use domain::entry::Detail;
use serde_json::Value;

use crate::books::Books;
use crate::sold::{named, plan_of};
use crate::witness::Witness;
use crate::world::World;

pub async fn check(world: &World, books: &Books, witness: &Witness) -> Result<(), String> {
    let subscriptions = world.all("/v1/subscriptions?status=all").await;
    one_of_a_group(&subscriptions)?;
    one_trial(&subscriptions)?;
    one_trial_of_a_card(world, &subscriptions).await?;
    ended_ones_stay_ended(&subscriptions, witness)?;
    changes_are_billed_once(world, books).await?;
    made_once(&subscriptions)?;
    made_once(&world.all("/v1/checkout/sessions").await)?;
    made_once(&world.all("/v1/payment_intents").await)
}

fn one_of_a_group(subscriptions: &[Value]) -> Result<(), String> {
    let is_live = |subscription: &&Value| {
        !matches!(subscription["status"].as_str(), Some("canceled" | "incomplete" | "incomplete_expired"))
    };
    let mut live: BTreeMap<(String, &str), String> = BTreeMap::new();
    for subscription in subscriptions.iter().filter(is_live) {
        let Some(plan) = plan_of(subscription) else { continue };
        let (user, id) = (meta(subscription, "tollgate_user"), named(subscription, "id"));
        if let Some(other) = live.insert((user, plan.group), id.clone()) {
            return Err(format!("{other} and {id} live both, and are of one group"));
        }
    }
    Ok(())
}

/// Of one user. What we ended ourselves was nobody's.
fn one_trial(subscriptions: &[Value]) -> Result<(), String> {
    let mut had: BTreeMap<String, String> = BTreeMap::new();
    let tried = subscriptions.iter().filter(|one| !one["trial_end"].is_null());
    for subscription in tried.filter(|one| meta(one, "tollgate_ended").is_empty()) {
        let id = named(subscription, "id");
        let user = format!("user {}", meta(subscription, "tollgate_user"));
        if let Some(other) = had.insert(user.clone(), id.clone()) {
            return Err(format!("{other} and {id} were both tried by {user}"));
        }
    }
    Ok(())
}

/// Of those that are tried now.
async fn one_trial_of_a_card(world: &World, subscriptions: &[Value]) -> Result<(), String> {
    let mut had: BTreeMap<String, String> = BTreeMap::new();
    for subscription in subscriptions.iter().filter(|one| one["status"] == "trialing") {
        let (id, method) = (named(subscription, "id"), named(subscription, "default_payment_method"));
        let found = world.stripe("GET", &format!("/v1/payment_methods/{method}"), Value::Null).await;
        let Ok(found) = found else { continue };
        let card = named(&found["card"], "fingerprint");
        if let Some(other) = had.insert(card.clone(), id.clone()) {
            return Err(format!("{other} and {id} are both tried with the card {card}"));
        }
    }
    Ok(())
}

fn ended_ones_stay_ended(subscriptions: &[Value], witness: &Witness) -> Result<(), String> {
    let ended: BTreeSet<&str> = witness.ended().collect();
    let lives =
        |one: &&Value| ended.contains(one["id"].as_str().unwrap_or_default()) && one["ended_at"].is_null();
    match subscriptions.iter().find(lives) {
        Some(living) => Err(format!("{} was canceled at once, and lives", living["id"])),
        None => Ok(()),
    }
}

/// A change at once is billed by one invoice, whoever sends it how often.
async fn changes_are_billed_once(world: &World, books: &Books) -> Result<(), String> {
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for entry in books.entries() {
        let Detail::Alteration(Alteration { subscription, deed: Deed::Change(change) }) = &entry.detail
        else {
            continue;
        };
        if change.when == When::Now {
            *asked.entry(subscription.to_string()).or_default() += 1;
        }
    }
    let mut billed: BTreeMap<String, usize> = BTreeMap::new();
    for invoice in world.all("/v1/invoices").await {
        if invoice["billing_reason"] == "subscription_update" {
            let of = &invoice["parent"]["subscription_details"]["subscription"];
            *billed.entry(of.as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    match billed.into_iter().find(|(id, times)| *times > asked.get(id).copied().unwrap_or_default()) {
        Some((id, times)) => {
            Err(format!("changes of {id} are billed {times} times, more than were asked for"))
        }
        None => Ok(()),
    }
}

/// Of one request one thing was made.
fn made_once(objects: &[Value]) -> Result<(), String> {
    let mut made: BTreeMap<String, String> = BTreeMap::new();
    for object in objects {
        let (request, id) = (meta(object, "tollgate_request"), named(object, "id"));
        if request.is_empty() {
            continue;
        }
        if let Some(other) = made.insert(request, id.clone()) {
            return Err(format!("{other} and {id} were made of one request"));
        }
    }
    Ok(())
}

fn meta(object: &Value, name: &str) -> String {
    object["metadata"][name].as_str().unwrap_or_default().to_owned()
}
