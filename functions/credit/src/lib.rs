//! What Stripe told, brought into the books: decode, then fulfil, sync or reverse, or note beside them what was tried
//! and what belongs to a payment. What several events of a batch lead to is settled once; one bad record never
//! harms another.

mod once;
mod reach;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::ids::UserId;
use domain::time::Time;
use edge::{Env, StartError};
use settle::{Settle, SettleError};
use store::{Catalogs, Store, StoreError, WebhookAudit};
use stripe_event::{BadMessage, Event, Hint, Malformed};

use visit::{Visit, read_ahead};

pub struct Credit {
    store: Store,
    settle: Settle,
}

/// Lambda ends this function after 30 s, and with it every record of the batch. Each record must give up before.
const PATIENCE: Duration = Duration::from_secs(25);
const CONTENTION_BUDGET: Duration = Duration::from_secs(15);

/// Why a record goes back onto the queue.
#[derive(Debug, thiserror::Error)]
enum NotSettled {
    #[error(transparent)]
    Message(#[from] BadMessage),
    #[error("the event: {0}")]
    Event(#[from] Malformed),
    #[error(transparent)]
    Settle(#[from] SettleError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it took too long")]
    TookTooLong,
}

/// The same, told to every record that waited for it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct Failed(Arc<NotSettled>);

impl<E: Into<NotSettled>> From<E> for Failed {
    fn from(error: E) -> Failed {
        Failed(Arc::new(error.into()))
    }
}

impl Credit {
    pub async fn from_env(env: &Env) -> Result<Credit, StartError> {
        let (aws, endpoint, table) = edge::aws::table(env).await?;
        let store = Store::open(&aws, endpoint, &table, CONTENTION_BUDGET);
        let catalogs = Catalogs::start(store.clone(), edge::now()).await?;
        Ok(Credit::new(store.clone(), Settle::from_env(env, store, catalogs)?))
    }

    pub fn new(store: Store, settle: Settle) -> Credit {
        Credit { store, settle }
    }

    pub async fn handle(&self, batch: SqsEvent, now: Time) -> SqsBatchResponse {
        let events = read_ahead(&batch);
        let visit = Visit::new(self, &events, now);
        edge::batch::each(batch, |record| visit.record(record)).await
    }

    /// Whose account to read before Stripe is asked.
    fn user_of(&self, hint: &Hint) -> Option<UserId> {
        let is_ours = hint.stack.as_deref() == Some(self.settle.stack());
        hint.user.clone().filter(|_| is_ours)
    }

    fn is_another_stacks(&self, hint: &Hint) -> bool {
        hint.stack.as_deref().is_some_and(|stack| stack != self.settle.stack())
    }

    /// For people to look at. Its loss must not bring a settled event back onto the queue.
    async fn audit(&self, event: &Event, outcome: &'static str, now: Time) {
        let audit = WebhookAudit { event: event.id.clone(), kind: event.kind.clone(), outcome, at: now };
        if let Err(error) = self.store.audit(&audit).await {
            tracing::warn!(event = %audit.event, outcome, cause = %error, "not audited");
        }
    }
}
