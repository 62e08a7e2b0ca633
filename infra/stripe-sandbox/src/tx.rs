//! One unit of work: objects, the events about them and their pending deliveries commit together.

use std::cell::Cell;

use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::{Map, Value, json};

use crate::WebhookTarget;
use crate::deliveries;
use crate::failure::{Answer, Failure};
use crate::ids;

pub const API_VERSION: &str = "2026-09-30.endive";

/// What a request is answered with, and commits; a card's decline is one too, with status 402.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl From<Value> for Reply {
    fn from(body: Value) -> Self {
        Self { status: 200, body }
    }
}

/// Whose doing the events of this unit of work are; the passing of time has none.
#[derive(Clone, Debug, Default)]
pub struct Cause {
    pub request_id: Option<String>,
    pub idempotency_key: Option<String>,
}

pub struct Tx<'a> {
    pub sql: &'a Transaction<'a>,
    pub now_ms: i64,
    pub public_url: &'a str,
    /// The endpoint of the options; those that were made by request are in the database.
    pub webhook: Option<&'a WebhookTarget>,
    pub cause: Cause,
    pub emitted: Cell<bool>,
}

impl Tx<'_> {
    /// Seconds, as every Stripe timestamp.
    pub fn now(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }

    /// Does everything that work does, and then nothing of it has been done: what comes of it is only told.
    pub fn undone<T>(&self, work: impl FnOnce(&Self) -> Answer<T>) -> Answer<T> {
        let emitted = self.emitted.get();
        self.sql.execute_batch("SAVEPOINT undone")?;
        let told = work(self);
        self.sql.execute_batch("ROLLBACK TO undone; RELEASE undone")?;
        self.emitted.set(emitted);
        told
    }

    /// The same unit of work at another moment, in seconds; nobody's doing but time's.
    pub fn at(&self, now: i64) -> Self {
        Self {
            sql: self.sql,
            now_ms: now * 1000,
            public_url: self.public_url,
            webhook: self.webhook,
            cause: Cause::default(),
            emitted: Cell::new(false),
        }
    }

    /// Stores a new object under its own `object` and `id`.
    pub fn insert(&self, object: &Value, hidden: &Value) -> Answer<()> {
        self.sql
            .prepare_cached("INSERT INTO objects (kind, id, shown, hidden) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![kind_of(object), id_of(object), object.to_string(), hidden.to_string()])?;
        Ok(())
    }

    pub fn save(&self, object: &Value) -> Answer<()> {
        self.sql
            .prepare_cached("UPDATE objects SET shown = ?3 WHERE kind = ?1 AND id = ?2")?
            .execute(params![kind_of(object), id_of(object), object.to_string()])?;
        Ok(())
    }

    pub fn find(&self, kind: &str, id: &str) -> Answer<Option<Value>> {
        self.column("SELECT shown FROM objects WHERE kind = ?1 AND id = ?2", kind, id)
    }

    pub fn hidden(&self, kind: &str, id: &str) -> Answer<Value> {
        let hidden = self.column("SELECT hidden FROM objects WHERE kind = ?1 AND id = ?2", kind, id)?;
        Ok(hidden.unwrap_or(Value::Null))
    }

    pub fn save_hidden(&self, object: &Value, hidden: &Value) -> Answer<()> {
        self.sql
            .prepare_cached("UPDATE objects SET hidden = ?3 WHERE kind = ?1 AND id = ?2")?
            .execute(params![kind_of(object), id_of(object), hidden.to_string()])?;
        Ok(())
    }

    fn column(&self, select: &str, kind: &str, id: &str) -> Answer<Option<Value>> {
        let mut statement = self.sql.prepare_cached(select)?;
        let json: Option<String> = statement.query_row([kind, id], |row| row.get(0)).optional()?;
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    /// The object a path names.
    pub fn get(&self, kind: &str, id: &str) -> Answer<Value> {
        self.find(kind, id)?.ok_or_else(|| Failure::no_such(kind, id))
    }

    /// The object a path names, to be changed; what was deleted is gone.
    pub fn get_alive(&self, kind: &str, id: &str) -> Answer<Value> {
        self.find(kind, id)?.filter(is_alive).ok_or_else(|| Failure::no_such(kind, id))
    }

    /// The object a parameter names.
    pub fn reference(&self, kind: &str, id: &str, param: &str) -> Answer<Value> {
        self.find(kind, id)?.filter(is_alive).ok_or_else(|| Failure::no_such_reference(kind, id, param))
    }

    /// Saves a changed object and, if it did change, says so in an event with its previous attributes.
    pub fn update(&self, before: &Value, after: &Value, event: &str) -> Answer<()> {
        let Some(previous) = previous_attributes(before, after) else { return Ok(()) };
        self.save(after)?;
        self.emit_changed(event, after, Some(previous))
    }

    pub fn emit(&self, event: &str, object: &Value) -> Answer<()> {
        self.emit_changed(event, object, None)
    }

    fn emit_changed(&self, event: &str, object: &Value, previous: Option<Value>) -> Answer<()> {
        let mut data = json!({"object": object});
        if let Some(previous) = previous {
            data["previous_attributes"] = previous;
        }
        let id = ids::fresh("evt");
        let endpoints = deliveries::endpoints_for(self, event)?;
        let event = json!({
            "id": id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now(),
            "data": data,
            "livemode": false,
            "pending_webhooks": endpoints.len(),
            "request": {"id": self.cause.request_id, "idempotency_key": self.cause.idempotency_key},
            "type": event,
        });
        self.insert(&event, &Value::Null)?;
        self.emitted.set(self.emitted.get() || !endpoints.is_empty());
        deliveries::expect(self, &id, &endpoints)
    }

    pub fn set_alarm(&self, object: &Value, due_ms: i64) -> Answer<()> {
        self.sql
            .prepare_cached("INSERT OR REPLACE INTO alarms (kind, id, due_ms) VALUES (?1, ?2, ?3)")?
            .execute(params![kind_of(object), id_of(object), due_ms])?;
        Ok(())
    }

    pub fn clear_alarm(&self, object: &Value) -> Answer<()> {
        self.clear_alarm_of(kind_of(object), id_of(object))
    }

    pub fn clear_alarm_of(&self, kind: &str, id: &str) -> Answer<()> {
        self.sql.prepare_cached("DELETE FROM alarms WHERE kind = ?1 AND id = ?2")?.execute([kind, id])?;
        Ok(())
    }
}

pub fn kind_of(object: &Value) -> &str {
    object["object"].as_str().unwrap_or_default()
}

pub fn id_of(object: &Value) -> &str {
    object["id"].as_str().unwrap_or_default()
}

fn is_alive(object: &Value) -> bool {
    object["deleted"] != json!(true)
}

/// What `before` had where `after` differs; an attribute that is new was null.
fn previous_attributes(before: &Value, after: &Value) -> Option<Value> {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else {
        return (before != after).then(|| before.clone());
    };
    let mut previous = Map::new();
    for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))) {
        let (was, is) = (&before[name.as_str()], &after[name.as_str()]);
        if let Some(change) = previous_attributes(was, is) {
            previous.insert(name.clone(), change);
        }
    }
    (!previous.is_empty()).then_some(Value::Object(previous))
}
