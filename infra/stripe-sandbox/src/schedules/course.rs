//! How a subscription follows its schedule: from phase to phase, until the schedule lets go of it or it ends.

use serde_json::{Value, json};

use super::{KIND, UPDATED, phases};
use crate::cart;
use crate::failure::Answer;
use crate::subscriptions::cycle::{self, Cycle, Proration, Terms};
use crate::subscriptions::shape::{self, Bought};
use crate::subscriptions::{self, Payment, ending, recurring, trials};
use crate::tx::{Tx, id_of};

/// Rings when the phase that runs is over.
pub fn set_alarm(tx: &Tx, schedule: &Value) -> Answer<()> {
    match schedule["current_phase"]["end_date"].as_i64() {
        Some(end) if schedule["status"] == json!("active") => tx.set_alarm(schedule, end * 1000),
        _ => tx.clear_alarm(schedule),
    }
}

/// The alarm has rung. Where the billing period ended in the same moment, its renewal has entered the phase.
pub fn go_on(tx: &Tx, id: &str) -> Answer<()> {
    let before = tx.get(KIND, id)?;
    if before["status"] != json!("active") {
        return Ok(());
    }
    let Some(phase) = phase_at(&before, tx.now()) else { return complete(tx, &before) };
    if phase["start_date"] == before["current_phase"]["start_date"] {
        return set_alarm(tx, &before);
    }
    let subscription = subscription_of(tx, &before)?;
    let proration = Proration::named(phase["proration_behavior"].as_str().unwrap_or_default());
    apply(tx, &subscription, phase, proration)?;
    entered(tx, &Entered { after: in_phase(&before, phase), before })
}

/// A schedule whose next phase has begun.
pub struct Entered {
    before: Value,
    after: Value,
}

/// A phase that begins with a billing period is in force before that period is billed.
pub fn enter_with_period(tx: &Tx, subscription: &mut Value) -> Answer<Option<Entered>> {
    let Some(before) = active_of(tx, subscription)? else { return Ok(None) };
    let Some(phase) = phase_at(&before, tx.now()) else { return Ok(None) };
    if phase["start_date"] == before["current_phase"]["start_date"] {
        return Ok(None);
    }
    let interval = recurring(subscription).clone();
    put(tx, subscription, phase)?;
    if !cart::renew_together([&interval, recurring(subscription)]) {
        subscription["billing_cycle_anchor"] = json!(tx.now());
    }
    if let Some(end) = phase["trial_end"].as_i64().filter(|end| *end > tx.now()) {
        trials::begin(tx, subscription, end);
    }
    Ok(Some(Entered { after: in_phase(&before, phase), before }))
}

pub fn entered(tx: &Tx, entered: &Entered) -> Answer<()> {
    tx.update(&entered.before, &entered.after, UPDATED)?;
    set_alarm(tx, &entered.after)
}

fn in_phase(schedule: &Value, phase: &Value) -> Value {
    let mut after = schedule.clone();
    after["current_phase"] = json!({"end_date": phase["end_date"], "start_date": phase["start_date"]});
    after
}

/// The shop has changed the plan: what runs is made to be what it says.
pub fn replan(tx: &Tx, before: &Value, mut after: Value, proration: Proration) -> Answer<()> {
    let start = &before["current_phase"]["start_date"];
    let phases = after["phases"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(phase) = phases.iter().find(|phase| phase["start_date"] == *start).cloned() else {
        return tx.update(before, &after, UPDATED);
    };
    after = in_phase(&after, &phase);
    tx.update(before, &after, UPDATED)?;
    set_alarm(tx, &after)?;
    let subscription = subscription_of(tx, before)?;
    let mut planned = subscription.clone();
    plan_end(tx, &after, &mut planned);
    subscriptions::update(tx, &subscription, &planned)?;
    if before["phases"] != after["phases"] {
        apply(tx, &planned, &phase, proration)?;
    }
    if phase["end_date"].as_i64().is_some_and(|end| end <= tx.now()) {
        go_on(tx, id_of(&after))
    } else {
        Ok(())
    }
}

/// The subscription ends with the last phase, or no longer does.
fn plan_end(tx: &Tx, schedule: &Value, subscription: &mut Value) {
    let wanted = match schedule["end_behavior"].as_str() {
        Some("cancel") => last_end(schedule),
        _ => None,
    };
    match wanted {
        Some(end) if subscription["cancel_at"] == json!(end) => {}
        Some(end) => {
            ending::leave(tx, subscription, end);
            subscription["cancel_at_period_end"] = json!(false);
        }
        None if subscription["cancel_at"].is_null() => {}
        None => ending::stay(subscription),
    }
}

fn last_end(schedule: &Value) -> Option<i64> {
    schedule["phases"].as_array()?.last()?["end_date"].as_i64()
}

/// Makes a subscription what a phase says, now.
fn apply(tx: &Tx, before: &Value, phase: &Value, proration: Proration) -> Answer<()> {
    let mut after = before.clone();
    put(tx, &mut after, phase)?;
    let in_trial = before["status"] == json!("trialing");
    let restarts = !cart::renew_together([recurring(before), recurring(&after)]);
    let cycle = match phase["trial_end"].as_i64().filter(|end| *end > tx.now()) {
        Some(end) if before["trial_end"] == json!(end) => Cycle::GoesOn,
        Some(end) => Cycle::Trial(end),
        None if in_trial => Cycle::TrialEnds,
        None if restarts && subscriptions::is_billed(before) => Cycle::Restarts,
        None => Cycle::GoesOn,
    };
    let terms = Terms { proration, from: tx.now() };
    let billed = cycle::move_on(tx, before, &mut after, terms, cycle)?;
    cycle::bill(tx, before, after, billed, Payment::Attempted).map(drop)
}

/// Puts the items of a phase in the place of those that the subscription has, and adds its metadata.
fn put(tx: &Tx, subscription: &mut Value, phase: &Value) -> Answer<()> {
    let had = subscription["items"]["data"].take();
    let had = had.as_array().map(Vec::as_slice).unwrap_or_default();
    let (start, end) = had.first().map_or((json!(0), json!(0)), |item| {
        (item["current_period_start"].clone(), item["current_period_end"].clone())
    });
    let mut items = Vec::new();
    for (index, wanted) in phase["items"].as_array().into_iter().flatten().enumerate() {
        let price = tx.get("price", wanted["price"].as_str().unwrap_or_default())?;
        let mut item = match had.get(index) {
            Some(item) => item.clone(),
            None => {
                let bought = Bought { price: price.clone(), quantity: 1, metadata: json!({}) };
                shape::item(tx, id_of(subscription), &bought)
            }
        };
        item["plan"] = shape::plan(&price);
        item["price"] = price;
        item["quantity"] = wanted["quantity"].clone();
        item["metadata"] = wanted["metadata"].clone();
        item["current_period_start"] = start.clone();
        item["current_period_end"] = end.clone();
        items.push(item);
    }
    subscription["items"]["total_count"] = json!(items.len());
    subscription["items"]["data"] = json!(items);
    for (key, value) in phase["metadata"].as_object().into_iter().flatten() {
        subscription["metadata"][key] = value.clone();
    }
    if phase["description"].is_string() {
        subscription["description"] = phase["description"].clone();
    }
    Ok(())
}

/// The last phase is over.
fn complete(tx: &Tx, schedule: &Value) -> Answer<()> {
    if schedule["end_behavior"] != json!("cancel") {
        return release(tx, schedule, false).map(drop);
    }
    subscriptions::end(tx, subscription_of(tx, schedule)?).map(drop)
}

pub fn release(tx: &Tx, before: &Value, stays_canceled: bool) -> Answer<Value> {
    let mut after = before.clone();
    after["current_phase"] = Value::Null;
    after["released_at"] = json!(tx.now());
    after["released_subscription"] = before["subscription"].clone();
    after["status"] = json!("released");
    after["subscription"] = Value::Null;
    tx.update(before, &after, UPDATED)?;
    tx.clear_alarm(&after)?;
    tx.emit("subscription_schedule.released", &after)?;
    let managed = subscription_of(tx, before)?;
    let mut free = managed.clone();
    free["schedule"] = Value::Null;
    if before["end_behavior"] == json!("cancel") && !stays_canceled {
        ending::stay(&mut free);
    }
    subscriptions::update(tx, &managed, &free)?;
    Ok(after)
}

/// With its subscription a schedule ends too, as it was meant to or before.
pub fn subscription_ended(tx: &Tx, subscription: &Value) -> Answer<()> {
    let Some(mut schedule) = active_of(tx, subscription)? else { return Ok(()) };
    let planned =
        schedule["end_behavior"] == json!("cancel") && last_end(&schedule).is_some_and(|end| end <= tx.now());
    let outcome = if planned { "completed" } else { "canceled" };
    schedule["current_phase"] = Value::Null;
    schedule[format!("{outcome}_at")] = json!(tx.now());
    schedule["status"] = json!(outcome);
    tx.save(&schedule)?;
    tx.clear_alarm(&schedule)?;
    tx.emit(&format!("subscription_schedule.{outcome}"), &schedule)
}

/// What was changed in the subscription itself holds for the phase that runs.
pub fn follow(tx: &Tx, before: &Value, changed: &Value) -> Answer<()> {
    if before["items"] == changed["items"] {
        return Ok(());
    }
    let Some(schedule) = active_of(tx, changed)? else { return Ok(()) };
    let mut after = schedule.clone();
    let items = changed["items"]["data"].as_array().into_iter().flatten();
    let items = json!(items.map(phases::of_item).collect::<Vec<_>>());
    let start = schedule["current_phase"]["start_date"].clone();
    for phase in after["phases"].as_array_mut().into_iter().flatten() {
        if phase["start_date"] == start {
            phase["items"] = items.clone();
        }
    }
    tx.update(&schedule, &after, UPDATED)
}

/// When the phase is over that a subscription is in, if it has a schedule.
pub fn current_end(tx: &Tx, subscription: &Value) -> Answer<Option<i64>> {
    Ok(active_of(tx, subscription)?.and_then(|schedule| schedule["current_phase"]["end_date"].as_i64()))
}

fn active_of(tx: &Tx, subscription: &Value) -> Answer<Option<Value>> {
    let Some(id) = subscription["schedule"].as_str() else { return Ok(None) };
    Ok(tx.find(KIND, id)?.filter(|schedule| schedule["status"] == json!("active")))
}

fn subscription_of(tx: &Tx, schedule: &Value) -> Answer<Value> {
    tx.get(subscriptions::KIND, schedule["subscription"].as_str().unwrap_or_default())
}

/// The phase that a moment lies in.
fn phase_at(schedule: &Value, moment: i64) -> Option<&Value> {
    let within = |phase: &&Value| {
        let at = |name: &str| phase[name].as_i64().unwrap_or(0);
        (at("start_date")..at("end_date")).contains(&moment)
    };
    schedule["phases"].as_array()?.iter().find(within)
}
