//! A small durable SQS on loopback: what Tollgate uses of it, in the service's own protocol, kept in SQLite.
//!
//! Every request is one transaction, so a killed process loses nothing. What was in flight when it died is
//! visible again at the next open, for its receivers died with it.

mod message;
mod redrive;
mod refusal;
mod rows;
mod settings;
mod shapes;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::Instant;

use refusal::Refusal;
pub use rows::Counts;
use rows::{Claim, Received, Rows};
pub use settings::{Redrive, Settings};

/// The account and region that names of local queues carry.
pub const ACCOUNT: &str = "000000000000";
pub const REGION: &str = "us-east-1";

/// The queues of one stack. Clones share them.
#[derive(Clone)]
pub struct Queue(Arc<Shared>);

struct Shared {
    rows: Mutex<Rows>,
    /// Wakes receivers that wait, whenever something may have become visible.
    arrivals: Notify,
    closing: AtomicBool,
}

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error("another running stack keeps its queue in {0}: stop it, or start this one in another folder")]
    InUse(String),
    #[error("the queue cannot be kept in {0}: {1}")]
    Store(String, rusqlite::Error),
    #[error("the queue {0}: {1}")]
    Refused(String, String),
}

impl Queue {
    /// Opens a queue file, or one in memory.
    pub fn open(path: Option<PathBuf>) -> Result<Queue, QueueError> {
        let place = path.as_ref().map_or("memory".to_owned(), |path| path.display().to_string());
        let rows =
            Rows::open(path.as_deref(), now_ms()).map_err(|error| match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy) => QueueError::InUse(place),
                _ => QueueError::Store(place, error),
            })?;
        let shared =
            Shared { rows: Mutex::new(rows), arrivals: Notify::new(), closing: AtomicBool::new(false) };
        Ok(Queue(Arc::new(shared)))
    }

    /// Creates a queue, or gives an existing one these settings.
    pub fn declare(&self, name: &str, settings: &Settings) -> Result<(), QueueError> {
        let declared = self.rows().transaction(|rows| rows.declare(name, settings, now_ms()));
        declared.map_err(|refusal| QueueError::Refused(name.to_owned(), refusal.to_string()))
    }

    /// How many messages a queue holds; none if there is no such queue.
    pub fn counts(&self, name: &str) -> Counts {
        let counts = self.rows().transaction(|rows| rows.counts(name, now_ms()));
        counts.unwrap_or_else(|refusal| {
            tracing::error!(queue = name, cause = %refusal, "not counted");
            Counts::default()
        })
    }

    /// Answers requests until `shutdown`, then ends every long poll at once.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let router = wire::router(self.clone());
        let closed = async move {
            shutdown.await;
            self.0.closing.store(true, Ordering::Relaxed);
            self.0.arrivals.notify_waiters();
        };
        axum::serve(listener, router).with_graceful_shutdown(closed).await
    }

    /// Takes what is visible, or waits for it: woken by a send, and by the next visibility timeout or delay to end.
    async fn receive(&self, claim: &Claim, wait: Duration) -> Result<Vec<Received>, Refusal> {
        let deadline = Instant::now() + wait;
        loop {
            let arrival = self.0.arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            let now = now_ms();
            let claimed = self.rows().transaction(|rows| rows.claim(claim, now))?;
            if claimed.buried {
                self.0.arrivals.notify_waiters();
            }
            let over = Instant::now() >= deadline || self.0.closing.load(Ordering::Relaxed);
            if over || !claimed.messages.is_empty() {
                return Ok(claimed.messages);
            }
            let next_in = claimed
                .next_visible_ms
                .map(|at| Duration::from_millis(at.saturating_sub(now).unsigned_abs()));
            let wake = next_in.map_or(deadline, |next_in| deadline.min(Instant::now() + next_in));
            tokio::select! {
                () = arrival => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Runs one transaction that may make messages visible.
    fn change<T>(&self, work: impl FnOnce(&Rows) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let outcome = self.rows().transaction(work);
        self.0.arrivals.notify_waiters();
        outcome
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        // A panic inside a transaction has rolled it back, so the rows behind a poisoned lock are sound.
        self.0.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
