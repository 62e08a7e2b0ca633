//! The SQLite file: one generic table of objects, and what makes them move (alarms, deliveries, keys).

use std::path::Path;

use rusqlite::Connection;

/// `shown` is the object as the API answers it; `hidden` is what Stripe knows and does not show.
/// An alarm is the moment at which an object changes by itself.
const SCHEMA: &str = "
CREATE TABLE objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    shown TEXT NOT NULL,
    hidden TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX objects_newest ON objects (kind, seq);
CREATE INDEX objects_customer ON objects (kind, json_extract(shown, '$.customer'));
CREATE INDEX objects_lookup_key ON objects (kind, json_extract(shown, '$.lookup_key'));
CREATE INDEX objects_payment_intent ON objects (kind, json_extract(shown, '$.payment_intent'));
CREATE TABLE alarms (kind TEXT NOT NULL, id TEXT NOT NULL, due_ms INTEGER NOT NULL, PRIMARY KEY (kind, id));
CREATE INDEX alarms_due ON alarms (due_ms);
CREATE TABLE deliveries (
    event TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL DEFAULT ''
);
CREATE INDEX deliveries_due ON deliveries (due_ms) WHERE state = 'pending';
CREATE TABLE keys (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created_ms INTEGER NOT NULL
);
CREATE INDEX keys_created ON keys (created_ms);
";
/// Since version 2 there are subscriptions.
const INDEXES_OF_SUBSCRIPTIONS: &str = "
CREATE INDEX objects_subscription
    ON objects (kind, json_extract(shown, '$.parent.subscription_details.subscription'));
CREATE INDEX objects_invoice ON objects (kind, json_extract(shown, '$.invoice'));
PRAGMA user_version = 2;
";
/// Since version 3 an event goes to each endpoint by itself (the one of the options has no name), and the
/// sandbox has settings.
const DELIVERIES_BY_ENDPOINT: &str = "
ALTER TABLE deliveries RENAME TO deliveries_to_one;
DROP INDEX deliveries_due;
CREATE TABLE deliveries (
    event TEXT NOT NULL,
    endpoint TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (event, endpoint)
);
INSERT INTO deliveries (event, state, attempts, created_ms, due_ms, outcome)
    SELECT event, state, attempts, created_ms, due_ms, outcome FROM deliveries_to_one ORDER BY rowid;
DROP TABLE deliveries_to_one;
CREATE INDEX deliveries_due ON deliveries (due_ms) WHERE state = 'pending';
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = 3;
";
/// Each step leads from one version to the next.
const STEPS: [&str; 3] = [SCHEMA, INDEXES_OF_SUBSCRIPTIONS, DELIVERIES_BY_ENDPOINT];

pub fn open(path: Option<&Path>) -> rusqlite::Result<Connection> {
    let connection = match path {
        Some(path) => Connection::open(path)?,
        None => Connection::open_in_memory()?,
    };
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // With WAL this survives the death of the process; only the machine's could lose the last commits.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let missing = STEPS.get(version..).unwrap_or_default().concat();
    if !missing.is_empty() {
        connection.execute_batch(&format!("BEGIN; {missing} COMMIT;"))?;
    }
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{SCHEMA, open};

    #[test]
    fn a_file_of_the_first_version_is_brought_up_to_date_with_its_deliveries() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stripe.sqlite");
        let older = format!(
            "{SCHEMA} PRAGMA user_version = 1;
             INSERT INTO deliveries (event, state, created_ms, due_ms) VALUES ('evt_1', 'pending', 1, 2);"
        );
        Connection::open(&file).unwrap().execute_batch(&older).unwrap();
        open(Some(&file)).unwrap();
        let opened = open(Some(&file)).unwrap();
        let kept = "SELECT endpoint || state || due_ms FROM deliveries";
        assert_eq!(opened.query_row(kept, [], |row| row.get::<_, String>(0)).unwrap(), "pending2");
        let made = "SELECT count(*) FROM sqlite_master
             WHERE name IN ('objects_subscription', 'objects_invoice', 'deliveries_due', 'settings')";
        assert_eq!(opened.query_row(made, [], |row| row.get::<_, i64>(0)).unwrap(), 4);
    }
}
