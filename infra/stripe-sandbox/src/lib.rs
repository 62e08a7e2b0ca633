//! A stateful local Stripe: the part of its API, events, webhooks and hosted pages that Tollgate uses,
//! on loopback, without an account or a network. Everything it knows is in one SQLite file.
//!
//! A new kind of object is one module of handlers and one block of routes in `api`; storage, paging,
//! expansion, idempotency, events and deliveries come with [`tx::Tx`].
#![recursion_limit = "512"]

mod alarms;
mod api;
mod banks;
mod call;
mod cards;
mod cart;
mod charges;
mod checkout;
mod coupons;
mod customers;
mod database;
mod deliveries;
mod discounts;
mod disputes;
mod endpoints;
mod events;
mod expand;
mod failure;
mod form;
mod ids;
mod intents;
mod invoices;
mod list;
mod mandates;
mod means;
mod methods;
mod outage;
mod pages;
mod params;
mod pay;
mod payments;
mod pdf;
mod periods;
mod portal;
mod previews;
mod prices;
mod products;
mod promotions;
mod publishable;
mod refunds;
mod renewals;
mod schedules;
mod server;
mod settings;
mod setups;
mod subscriptions;
mod tax;
mod thin;
mod tx;
mod versions;

use std::cell::Cell;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::Notify;

use crate::failure::Answer;
use crate::tx::{Cause, Tx};

pub struct Options {
    /// `None` keeps everything in memory.
    pub database: Option<PathBuf>,
    pub secret_key: String,
    pub webhook: Option<WebhookTarget>,
    /// Unix milliseconds.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Where the hosted pages are reached, e.g. `http://127.0.0.1:9001`.
    pub public_url: String,
}

#[derive(Clone, Debug)]
pub struct WebhookTarget {
    pub url: String,
    pub secret: String,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the Stripe sandbox cannot open its database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("the Stripe sandbox needs a test key; this one is empty or live")]
    SecretKey,
    #[error("the Stripe sandbox needs a webhook secret; this one is empty")]
    WebhookSecret,
    #[error("the Stripe sandbox delivers webhooks to http:// addresses only, not to {0}")]
    WebhookUrl(String),
}

#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    database: Mutex<Connection>,
    secret_key: String,
    webhook: Option<WebhookTarget>,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    public_url: String,
    keys_in_flight: Mutex<HashSet<String>>,
    /// Held by whoever does due work, so that nothing is delivered twice at once.
    due_work: tokio::sync::Mutex<()>,
    new_events: Notify,
    http: deliveries::Client,
}

impl Sandbox {
    pub fn open(options: Options) -> Result<Self, OpenError> {
        if options.secret_key.is_empty() || options.secret_key.contains("_live_") {
            return Err(OpenError::SecretKey);
        }
        if let Some(target) = &options.webhook {
            if target.secret.is_empty() {
                return Err(OpenError::WebhookSecret);
            }
            if !target.url.starts_with("http://") {
                return Err(OpenError::WebhookUrl(target.url.clone()));
            }
        }
        let inner = Inner {
            database: Mutex::new(database::open(options.database.as_deref())?),
            secret_key: options.secret_key,
            webhook: options.webhook,
            clock: options.clock,
            public_url: options.public_url.trim_end_matches('/').to_owned(),
            keys_in_flight: Mutex::default(),
            due_work: tokio::sync::Mutex::default(),
            new_events: Notify::new(),
            http: deliveries::client(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn secret_key(&self) -> &str {
        &self.inner.secret_key
    }

    fn now_ms(&self) -> i64 {
        (self.inner.clock)()
    }

    /// Runs one unit of work; whatever fell due before it happens first, in its own.
    fn transact<T>(&self, cause: Cause, work: impl FnOnce(&Tx) -> Answer<T>) -> Answer<T> {
        let now_ms = self.now_ms();
        let mut database = lock(&self.inner.database);
        self.ring_alarms(&mut database, now_ms)?;
        self.commit(&mut database, now_ms, cause, work)
    }

    /// Each alarm commits by itself, so that one that fails holds up nothing it need not, and at its own
    /// due time: after a jump of the clock what it does is dated as if nobody had jumped. An alarm that
    /// sets another one due already is followed by that one.
    fn ring_alarms(&self, database: &mut Connection, now_ms: i64) -> Answer<()> {
        while let Some(alarm) = alarms::first_due(database, now_ms)? {
            self.commit(database, alarm.due_ms, Cause::default(), |tx| alarms::ring(tx, &alarm))?;
        }
        Ok(())
    }

    fn commit<T>(
        &self,
        database: &mut Connection,
        now_ms: i64,
        cause: Cause,
        work: impl FnOnce(&Tx) -> Answer<T>,
    ) -> Answer<T> {
        let sql = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tx = Tx {
            sql: &sql,
            now_ms,
            public_url: &self.inner.public_url,
            webhook: self.inner.webhook.as_ref(),
            cause,
            emitted: Cell::new(false),
        };
        let done = work(&tx)?;
        let emitted = tx.emitted.get();
        sql.commit()?;
        if emitted {
            self.inner.new_events.notify_one();
        }
        Ok(done)
    }

    /// `None` while another request with the same key runs.
    fn hold_key(&self, key: &str) -> Option<KeyHold> {
        let free = lock(&self.inner.keys_in_flight).insert(key.to_owned());
        free.then(|| KeyHold { sandbox: self.clone(), key: key.to_owned() })
    }
}

struct KeyHold {
    sandbox: Sandbox,
    key: String,
}

impl Drop for KeyHold {
    fn drop(&mut self) {
        lock(&self.sandbox.inner.keys_in_flight).remove(&self.key);
    }
}

/// A request that panicked rolled its transaction back; the next one may go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
