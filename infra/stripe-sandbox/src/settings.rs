//! `/_sandbox/settings`: how this Stripe behaves where accounts of the real one differ.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use rusqlite::OptionalExtension;
use serde_json::{Map, Value, json};

use crate::Sandbox;
use crate::failure::{Answer, Failure};
use crate::server::{read_json, shopper_reply};
use crate::tx::{Cause, Reply, Tx};

/// A choice; the first word holds until another one is chosen.
pub struct Setting {
    name: &'static str,
    words: &'static [&'static str],
}

/// What becomes of a subscription whose renewal could not be charged and will not be tried again.
pub const AFTER_RETRIES: Setting =
    Setting { name: "after_retries", words: &["cancel", "unpaid", "past_due"] };
/// What the portal sets where a customer cancels at the period's end: Stripe does the first since
/// 2025-09-30, and did the second before.
pub const PORTAL_CANCELS_WITH: Setting =
    Setting { name: "portal_cancels_with", words: &["cancel_at", "cancel_at_period_end"] };
/// Whether the webhook endpoint gets thin events instead of snapshots.
pub const THIN: Setting = Setting { name: "thin", words: &["false", "true"] };

const ALL: [&Setting; 3] = [&AFTER_RETRIES, &PORTAL_CANCELS_WITH, &THIN];

pub fn chosen(tx: &Tx, setting: &Setting) -> Answer<&'static str> {
    let stored = stored(tx, setting.name)?;
    let word = setting.words.iter().find(|word| stored == json!(word));
    Ok(word.copied().unwrap_or(setting.words[0]))
}

pub fn is_on(tx: &Tx, setting: &Setting) -> Answer<bool> {
    Ok(chosen(tx, setting)? == "true")
}

pub async fn show(State(sandbox): State<Sandbox>) -> Response {
    shopper_reply(sandbox.transact(Cause::default(), all).map(Reply::from))
}

pub async fn choose(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    shopper_reply(read_json::<Map<String, Value>>(&body).and_then(|wanted| {
        let chosen = |tx: &Tx| {
            wanted.iter().try_for_each(|(name, value)| set(tx, name, value))?;
            all(tx)
        };
        sandbox.transact(Cause::default(), chosen).map(Reply::from)
    }))
}

fn all(tx: &Tx) -> Answer<Value> {
    let shown = ALL.iter().map(|setting| Ok((setting.name.to_owned(), setting.shown(chosen(tx, setting)?))));
    shown.collect::<Answer<Map<_, _>>>().map(Value::Object)
}

fn set(tx: &Tx, name: &str, value: &Value) -> Answer<()> {
    let setting = ALL.iter().find(|setting| setting.name == name).ok_or_else(|| {
        let known: Vec<&str> = ALL.iter().map(|setting| setting.name).collect();
        Failure::invalid(format!("The sandbox has no setting {name}, only {}.", known.join(", "))).param(name)
    })?;
    let word = setting.words.iter().find(|word| setting.shown(word) == *value).ok_or_else(|| {
        let words = setting.words.join(", ");
        Failure::invalid(format!("The setting {name} is one of {words}.")).param(name)
    })?;
    keep(tx, name, &json!(word))
}

impl Setting {
    /// A flag is a JSON boolean to whoever sets it.
    fn shown(&self, word: &str) -> Value {
        if self.words == THIN.words { json!(word == "true") } else { json!(word) }
    }
}

/// Something about the sandbox itself that survives its restart; null until it is kept.
pub fn stored(tx: &Tx, name: &str) -> Answer<Value> {
    let mut statement = tx.sql.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
    let json: Option<String> = statement.query_row([name], |row| row.get(0)).optional()?;
    Ok(json.map(|json| serde_json::from_str(&json)).transpose()?.unwrap_or(Value::Null))
}

pub fn keep(tx: &Tx, name: &str, value: &Value) -> Answer<()> {
    tx.sql
        .prepare_cached("INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)")?
        .execute([name, &value.to_string()])?;
    Ok(())
}
