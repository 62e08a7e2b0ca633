//! The queues' SQLite tables. A message's visibility is one instant: when it may next be received.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::message::{Message, Values};
use super::refusal::{Kind, Refusal};
use super::settings::Settings;

pub(super) struct Rows {
    pub(super) connection: Connection,
}

/// How many messages of a queue can be received now, are being handled, or are still delayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub visible: u64,
    pub in_flight: u64,
    pub delayed: u64,
}

/// A request for messages.
pub(super) struct Claim {
    pub queue: String,
    pub limit: i64,
    /// Instead of the queue's own timeout.
    pub visibility_timeout_s: Option<i64>,
}

pub(super) struct Claimed {
    pub messages: Vec<Received>,
    /// Whether messages went to a dead letter queue instead.
    pub buried: bool,
    /// When the next message becomes visible, as far as is known.
    pub next_visible_ms: Option<i64>,
}

/// A message as it is received.
pub(super) struct Received {
    seq: i64,
    pub id: String,
    pub body: String,
    pub values: Values,
    pub receipt: String,
    pub sent_ms: i64,
    pub first_received_ms: i64,
    pub receives: i64,
    /// The queue it died in, if this is a dead letter.
    pub origin: Option<String>,
}

/// A message in a receiver's hand: valid until somebody else receives it.
pub(super) struct Receipt {
    pub seq: i64,
    pub token: String,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS queues (
        name TEXT PRIMARY KEY, settings TEXT NOT NULL, created_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS messages (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, id TEXT NOT NULL,
        body TEXT NOT NULL, attributes TEXT NOT NULL, origin TEXT,
        sent_ms INTEGER NOT NULL, visible_ms INTEGER NOT NULL,
        receives INTEGER NOT NULL DEFAULT 0, first_received_ms INTEGER, receipt TEXT
    ) STRICT;
    CREATE INDEX IF NOT EXISTS messages_by_visibility ON messages (queue, visible_ms);
    CREATE INDEX IF NOT EXISTS messages_by_age ON messages (queue, sent_ms);
";

impl Rows {
    pub fn open(path: Option<&Path>, now: i64) -> rusqlite::Result<Rows> {
        let connection = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.busy_timeout(Duration::from_secs(1))?;
        // Exclusive: a second stack on the same file would hand out what the first has in flight.
        // The log outlives the process at every commit; only a power cut could lose its last lines.
        connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
        )?;
        connection.execute_batch(SCHEMA)?;
        // Whoever had these in hand died with the last process.
        let abandoned = "UPDATE messages SET visible_ms = ?1 WHERE receipt IS NOT NULL AND visible_ms > ?1";
        connection.execute(abandoned, [now])?;
        Ok(Rows { connection })
    }

    /// All of the work, or none of it.
    pub fn transaction<T>(&self, work: impl FnOnce(&Rows) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let transaction = self.connection.unchecked_transaction()?;
        let outcome = work(self)?;
        transaction.commit()?;
        Ok(outcome)
    }

    pub fn find(&self, queue: &str) -> Result<Option<(Settings, i64)>, Refusal> {
        let sql = "SELECT settings, created_ms FROM queues WHERE name = ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        let row = |row: &Row| Ok((json(row, 0)?, row.get(1)?));
        Ok(statement.query_row([queue], row).optional()?)
    }

    pub fn settings(&self, queue: &str) -> Result<Settings, Refusal> {
        self.find(queue)?.map(|(settings, _)| settings).ok_or_else(Refusal::no_such_queue)
    }

    pub fn names(&self, prefix: &str) -> Result<Vec<String>, Refusal> {
        let mut statement = self.connection.prepare_cached("SELECT name FROM queues ORDER BY name")?;
        let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(names.into_iter().filter(|name| name.starts_with(prefix)).collect())
    }

    pub fn declare(&self, queue: &str, settings: &Settings, now: i64) -> Result<(), Refusal> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        if queue.is_empty() || queue.len() > 80 || !queue.chars().all(plain) {
            let problem =
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
            return Err(Refusal::parameter(problem));
        }
        if let Some(redrive) = &settings.redrive
            && self.find(&redrive.dead_letter_queue)?.is_none()
        {
            let problem = format!("The dead letter queue {} does not exist.", redrive.dead_letter_queue);
            return Err(Refusal::new(Kind::InvalidAttributeValue, problem));
        }
        let sql = "INSERT INTO queues (name, settings, created_ms) VALUES (?, ?, ?)
                   ON CONFLICT (name) DO UPDATE SET settings = excluded.settings";
        let settings = serde_json::to_string(settings).expect("settings are plain data");
        self.connection.prepare_cached(sql)?.execute(params![queue, settings, now])?;
        Ok(())
    }

    /// Adds a message, and answers its id.
    pub fn add(&self, queue: &str, message: &Message, delay_s: i64, now: i64) -> Result<String, Refusal> {
        let id = fresh_id();
        let values = serde_json::to_string(&message.message_attributes).expect("attributes are plain data");
        let sql = "INSERT INTO messages (queue, id, body, attributes, sent_ms, visible_ms) VALUES (?, ?, ?, ?, ?, ?)";
        let row = params![queue, id, message.message_body, values, now, now + delay_s * 1000];
        self.connection.prepare_cached(sql)?.execute(row)?;
        Ok(id)
    }

    /// Takes visible messages and hides them for a while. Those received too often go to the dead letter queue.
    pub fn claim(&self, claim: &Claim, now: i64) -> Result<Claimed, Refusal> {
        let settings = self.settings(&claim.queue)?;
        self.drop_expired(&claim.queue, &settings, now)?;
        let mut buried = false;
        loop {
            let mut messages = self.take(claim, &settings, now)?;
            let spent = match &settings.redrive {
                None => Vec::new(),
                Some(redrive) => {
                    messages.extract_if(.., |message| message.receives > redrive.max_receive_count).collect()
                }
            };
            for message in &spent {
                self.bury(message, &settings, &claim.queue, now)?;
            }
            buried |= !spent.is_empty();
            if !messages.is_empty() || spent.is_empty() {
                let next_visible_ms = self.next_visible(&claim.queue, now)?;
                return Ok(Claimed { messages, buried, next_visible_ms });
            }
        }
    }

    fn take(&self, claim: &Claim, settings: &Settings, now: i64) -> Result<Vec<Received>, Refusal> {
        let sql = "UPDATE messages SET visible_ms = ?1, receives = receives + 1,
                       first_received_ms = coalesce(first_received_ms, ?2), receipt = lower(hex(randomblob(16)))
                   WHERE seq IN (SELECT seq FROM messages WHERE queue = ?3 AND visible_ms <= ?2
                                 ORDER BY visible_ms, seq LIMIT ?4)
                   RETURNING seq, id, body, attributes, receipt, sent_ms, first_received_ms, receives, origin";
        let hidden_s = claim.visibility_timeout_s.unwrap_or(settings.visibility_timeout_s);
        let mut statement = self.connection.prepare_cached(sql)?;
        let parameters = params![now + hidden_s * 1000, now, claim.queue, claim.limit];
        let messages = statement.query_map(parameters, received)?;
        let mut messages: Vec<Received> = messages.collect::<Result<_, _>>()?;
        messages.sort_by_key(|message| message.seq);
        Ok(messages)
    }

    /// Moves a message to the dead letter queue: this time it was taken, but not received.
    fn bury(&self, message: &Received, settings: &Settings, queue: &str, now: i64) -> Result<(), Refusal> {
        let Some(redrive) = &settings.redrive else { return Ok(()) };
        let sql = "UPDATE messages SET queue = ?, origin = ?, visible_ms = ?, receives = receives - 1, receipt = NULL
                   WHERE seq = ?";
        let row = params![redrive.dead_letter_queue, queue, now, message.seq];
        self.connection.prepare_cached(sql)?.execute(row)?;
        tracing::warn!(queue, message_id = message.id, "received too often; moved to the dead letter queue");
        Ok(())
    }

    fn drop_expired(&self, queue: &str, settings: &Settings, now: i64) -> Result<(), Refusal> {
        let sql = "DELETE FROM messages WHERE queue = ? AND sent_ms < ?";
        let oldest = now - settings.retention_s * 1000;
        let dropped = self.connection.prepare_cached(sql)?.execute(params![queue, oldest])?;
        if dropped > 0 {
            tracing::warn!(queue, dropped, "messages were older than the queue keeps them");
        }
        Ok(())
    }

    fn next_visible(&self, queue: &str, now: i64) -> Result<Option<i64>, Refusal> {
        let sql = "SELECT min(visible_ms) FROM messages WHERE queue = ? AND visible_ms > ?";
        Ok(self.connection.prepare_cached(sql)?.query_row(params![queue, now], |row| row.get(0))?)
    }

    /// Deletes a message whose receipt is the latest; an older receipt changes nothing.
    pub fn delete(&self, queue: &str, receipt: &Receipt) -> Result<(), Refusal> {
        let sql = "DELETE FROM messages WHERE queue = ? AND seq = ? AND receipt = ?";
        self.connection.prepare_cached(sql)?.execute(params![queue, receipt.seq, receipt.token])?;
        Ok(())
    }

    pub fn change_visibility(
        &self,
        queue: &str,
        receipt: &Receipt,
        seconds: i64,
        now: i64,
    ) -> Result<(), Refusal> {
        let sql = "UPDATE messages SET visible_ms = ? WHERE queue = ? AND seq = ? AND receipt = ? AND visible_ms > ?";
        let row = params![now + seconds * 1000, queue, receipt.seq, receipt.token, now];
        match self.connection.prepare_cached(sql)?.execute(row)? {
            0 => Err(Refusal::new(Kind::MessageNotInflight, "The message is not in flight.")),
            _ => Ok(()),
        }
    }

    pub fn purge(&self, queue: &str) -> Result<(), Refusal> {
        self.connection.prepare_cached("DELETE FROM messages WHERE queue = ?")?.execute([queue])?;
        Ok(())
    }

    pub fn counts(&self, queue: &str, now: i64) -> Result<Counts, Refusal> {
        let sql = "SELECT count(*) FILTER (WHERE visible_ms <= ?2),
                          count(*) FILTER (WHERE visible_ms > ?2 AND receipt IS NOT NULL),
                          count(*) FILTER (WHERE visible_ms > ?2 AND receipt IS NULL)
                   FROM messages WHERE queue = ?1";
        let counts =
            |row: &Row| Ok(Counts { visible: row.get(0)?, in_flight: row.get(1)?, delayed: row.get(2)? });
        Ok(self.connection.prepare_cached(sql)?.query_row(params![queue, now], counts)?)
    }
}

fn received(row: &Row) -> rusqlite::Result<Received> {
    Ok(Received {
        seq: row.get(0)?,
        id: row.get(1)?,
        body: row.get(2)?,
        values: json(row, 3)?,
        receipt: Receipt { seq: row.get(0)?, token: row.get(4)? }.encode(),
        sent_ms: row.get(5)?,
        first_received_ms: row.get(6)?,
        receives: row.get(7)?,
        origin: row.get(8)?,
    })
}

fn json<T: serde::de::DeserializeOwned>(row: &Row, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let wrong = |error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    };
    serde_json::from_str(&text).map_err(wrong)
}

impl Receipt {
    fn encode(&self) -> String {
        format!("{}.{}", self.seq, self.token)
    }

    pub fn decode(handle: &str) -> Result<Receipt, Refusal> {
        let parts = handle.split_once('.').and_then(|(seq, token)| Some((seq.parse().ok()?, token)));
        let Some((seq, token)) = parts else {
            let problem = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
            return Err(Refusal::new(Kind::ReceiptHandleIsInvalid, problem));
        };
        Ok(Receipt { seq, token: token.to_owned() })
    }
}

/// In the shape of a UUID, as the service's ids are.
pub(super) fn fresh_id() -> String {
    let random = fastrand::u128(..);
    let hex = format!("{random:032x}");
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
