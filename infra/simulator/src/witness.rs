//! Who heard what was asked and answered, and says what the books must have of it.

use std::collections::{BTreeMap, BTreeSet};

use domain::entry::{Detail, Entry};
use domain::ids::UserId;
use domain::posting::Place;
use serde_json::Value;

use crate::books::Books;
use crate::clients::{Aim, Ask, Deed};

#[derive(Default)]
pub struct Witness {
    /// By cause and key: what was answered, finally.
    answered: BTreeMap<String, (Ask, u16, Value)>,
}

impl Witness {
    /// Hears an answer that is final. The same request is answered the same, for ever.
    pub fn hear(&mut self, ask: &Ask, status: u16, body: &Value) -> Result<(), String> {
        if matches!(ask.aim, Aim::GoOn { .. }) {
            return adds_up(status, body);
        }
        let (Some(cause), Some(key)) = (ask.cause(), &ask.key) else { return Ok(()) };
        let name = format!("{cause} by {key}");
        let Some((_, first, told)) = self.answered.get(&name) else {
            self.answered.insert(name, (ask.clone(), status, body.clone()));
            return Ok(());
        };
        let is_same = |names: &[&str]| names.iter().all(|name| told[name] == body[name]);
        let same = match ask.aim {
            // Stripe's part of an answer is fetched anew, and may have moved on.
            Aim::Buy { .. } | Aim::Pay { .. } | Aim::Alter { .. } => is_same(&["id"]),
            Aim::Subscribe { .. } => is_same(&["id", "trial_days"]),
            Aim::Refund => told["refund"]["id"] == body["refund"]["id"],
            // It may have been claimed meanwhile.
            Aim::Gift { .. } => is_same(&["entry", "tokens"]),
            // What was erased once is not there to be erased again.
            Aim::Erase { .. } => is_same(&["user", "closed_at", "entry"]),
            _ => told == body,
        };
        let is_sale = matches!(ask.aim, Aim::Buy { .. } | Aim::Subscribe { .. } | Aim::Pay { .. });
        let was_erased = is_sale && body["code"] == "account_closed";
        match (*first < 300, status < 300) {
            (true, true) if *first == status && same => Ok(()),
            (true, false) if was_erased => Ok(()),
            // A refusal changes nothing, so that later it may be different.
            (false, _) => {
                self.answered.insert(name, (ask.clone(), status, body.clone()));
                Ok(())
            }
            _ => Err(format!("{name} was answered {first} {told}, and then {status} {body}")),
        }
    }

    /// The subscriptions that were ended at once, as their subscribers were told.
    pub fn ended(&self) -> impl Iterator<Item = &str> {
        self.answered.values().filter(|(_, status, _)| *status < 300).filter_map(|(ask, ..)| match &ask.aim {
            Aim::Alter { deed: Deed::CancelAtOnce, subscription, .. } => Some(subscription.as_str()),
            _ => None,
        })
    }

    /// What every request that was answered did, exactly once, and what every refused one did not do.
    pub fn requests(&self, books: &Books) -> Result<(), String> {
        let booked: BTreeMap<String, &Entry> =
            books.entries().map(|entry| (entry.cause.to_string(), entry)).collect();
        let mut known: BTreeSet<String> = BTreeSet::new();
        for (ask, status, told) in self.answered.values() {
            let cause = ask.cause().unwrap_or_default();
            let was = match (*status < 300, booked.get(&cause)) {
                (true, Some(entry)) => did(ask, entry),
                (true, None) => did_otherwise(ask, told, books),
                (false, Some(entry)) if is_of(entry, ask) => Err("it is in the books".to_owned()),
                (false, _) => Ok(()),
            };
            was.map_err(|what| format!("{cause} was answered {status} {told}: {what}"))?;
            known.insert(cause);
            known.extend(told["job"].as_str().map(str::to_owned));
        }
        let of_whom = |cause: &str| match cause.strip_prefix("bulk:") {
            Some(row) => row.split(':').next().map(str::to_owned),
            None => cause.starts_with("req:").then(|| cause.to_owned()),
        };
        match booked.keys().filter_map(|cause| of_whom(cause)).find(|name| !known.contains(name)) {
            Some(stranger) => Err(format!("nobody asked for {stranger}")),
            None => Ok(()),
        }
    }
}

/// How far a bulk job says that it has come.
fn adds_up(status: u16, body: &Value) -> Result<(), String> {
    let count = |name: &str| body[name].as_u64().unwrap_or_default();
    let done = count("granted") + count("pending") + count("failed_rows");
    let is_right = done == count("done") && (body["finished"] == true) == (done == count("rows"));
    if status == 200 && is_right { Ok(()) } else { Err(format!("a job says {status} {body}")) }
}

/// Whether what was refused may not be in the books.
fn is_of(entry: &Entry, ask: &Ask) -> bool {
    match (&ask.aim, &entry.detail) {
        // What Stripe was to be asked stays written down, also where it refuses, or it is too late.
        (Aim::Buy { .. } | Aim::Subscribe { .. } | Aim::Pay { .. } | Aim::Alter { .. } | Aim::Refund, _) => {
            false
        }
        // A hold's end is in the books under its own name, whoever was first.
        (_, Detail::HoldEnd { key, .. }) => Some(key.as_str()) == ask.key.as_deref(),
        _ => true,
    }
}

fn did(ask: &Ask, entry: &Entry) -> Result<(), String> {
    let moved = |to: Place| -> u64 {
        let now = entry.postings.iter().filter(|posting| posting.to == to && posting.at.is_none());
        now.map(|posting| posting.amount.get()).sum()
    };
    let (wanted, did, of) = match &ask.aim {
        Aim::Spend { user, tokens } => (*tokens, moved(Place::Spent), user),
        Aim::Hold { user, tokens } => (*tokens, moved(Place::Held), user),
        Aim::EndHold { user, captured, .. } => (*captured, moved(Place::Spent), user),
        Aim::Grant { user, tokens } | Aim::Gift { user, tokens } => (*tokens, given(entry), user),
        Aim::Buy { user } | Aim::Subscribe { user } | Aim::Pay { user } | Aim::Alter { user, .. } => {
            (0, 0, user)
        }
        Aim::Refund | Aim::Attend | Aim::Look | Aim::Bulk { .. } | Aim::GoOn { .. } | Aim::Erase { .. } => {
            return Ok(());
        }
    };
    match (*of == entry.user, wanted == did) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("it is {}'s, and was asked for by {of}", entry.user)),
        (true, false) => Err(format!("{did} tokens moved instead of {wanted}")),
    }
}

/// What was granted with an entry.
fn given(entry: &Entry) -> u64 {
    let from_world = entry.postings.iter().filter(|posting| {
        let is_grant = posting.lot.as_ref().is_none_or(|lot| lot.as_str().starts_with("grant-"));
        posting.from == Place::World && posting.at.is_none() && is_grant
    });
    from_world.map(|posting| posting.amount.get()).sum()
}

/// What is not booked under the request's own cause.
fn did_otherwise(ask: &Ask, told: &Value, books: &Books) -> Result<(), String> {
    match &ask.aim {
        Aim::Bulk { rows } => did_rows(rows, told["job"].as_str().unwrap_or_default(), books),
        // Who was erased by an earlier request, or before they could claim it.
        Aim::Erase { user } | Aim::Gift { user, .. } if books.is_closed(user) => Ok(()),
        _ => Err("it is not in the books".to_owned()),
    }
}

/// Each row of a job once; but who was erased may have got nothing.
fn did_rows(rows: &[(UserId, u64)], job: &str, books: &Books) -> Result<(), String> {
    let cause = format!("bulk:{job}:");
    let booked = books.entries().filter(|entry| entry.cause.to_string().starts_with(&cause));
    let mut booked: Vec<(UserId, u64)> = booked.map(|entry| (entry.user.clone(), given(entry))).collect();
    for row in rows {
        match booked.iter().position(|given| given == row) {
            Some(index) => drop(booked.swap_remove(index)),
            None if books.is_closed(&row.0) => {}
            None => return Err(format!("{row:?} was not given")),
        }
    }
    match booked.first() {
        Some(more) => Err(format!("{more:?} was given, which is in no row or was given before")),
        None => Ok(()),
    }
}
