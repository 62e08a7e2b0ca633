//! What Stripe told, brought into the books: decode, then fulfil, sync or reverse. One bad record never harms another.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::entry::Detail;
use domain::ids::{EventId, PaymentId, SubscriptionId, UserId};
use domain::payment::Payment;
use domain::time::Time;
use edge::{Env, StartError};
use settle::{Fulfilled, Reversal, Settle, SettleError, Synced};
use store::{Catalogs, Store, WebhookAudit};
use stripe_event::{BadMessage, Event, Fact, Hint, Malformed, Message};

pub struct Credit {
    store: Store,
    settle: Settle,
}

/// Lambda ends this function after 30 s, and with it every record of the batch. One record must give up before.
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
    #[error("it took too long")]
    TookTooLong,
}

impl Credit {
    pub async fn from_env(env: &Env) -> Result<Credit, StartError> {
        let (aws, endpoint, table) = edge::aws::table(env).await?;
        let store = Store::open(&aws, endpoint, &table, CONTENTION_BUDGET);
        let catalogs = Catalogs::start(store.clone(), edge::now()).await?;
        Ok(Credit { settle: Settle::from_env(env, store.clone(), catalogs)?, store })
    }

    pub async fn handle(&self, event: SqsEvent, now: Time) -> SqsBatchResponse {
        edge::batch::each(event, |record| self.record(record, now)).await
    }

    async fn record(&self, record: SqsMessage, now: Time) -> Result<(), NotSettled> {
        let Message::StripeV1 { body, .. } = Message::parse(record.body.as_deref().unwrap_or_default())?;
        let event = stripe_event::decode(&body)?;
        let settled = tokio::time::timeout(PATIENCE, self.settle_fact(&event, now)).await;
        let settled = settled.map_err(|_| NotSettled::TookTooLong).flatten();
        self.audit(&event, settled.as_ref().unwrap_or(&"failed"), now).await;
        settled.map(drop)
    }

    async fn settle_fact(&self, event: &Event, now: Time) -> Result<&'static str, NotSettled> {
        if event.livemode != self.settle.livemode() {
            return Ok("another mode's");
        }
        match &event.fact {
            Fact::Paid(sighting) => self.fulfil(&sighting.payment, event, now).await,
            Fact::Subscription { id, hint } => self.sync(id, self.user_of(hint), event, now).await,
            Fact::Invoice(invoice) => match self.settle.stripe().subscription_of(invoice).await {
                Ok(Some(id)) => self.sync(&id, None, event, now).await,
                Ok(None) => Ok("no subscription's"),
                Err(error) => Err(SettleError::from(error).into()),
            },
            Fact::Reversal { payment } => self.reverse(payment, event, now).await,
            Fact::Processing { .. } => Ok("processing"),
            Fact::Stranger => Ok("not ours"),
            Fact::Pointer { .. } | Fact::Other => {
                edge::metrics::count("unhandled_event", "type", &event.kind, now);
                Ok("unhandled type")
            }
        }
    }

    async fn fulfil(&self, payment: &Payment, event: &Event, now: Time) -> Result<&'static str, NotSettled> {
        Ok(match self.settle.fulfil(payment, event.id.as_str(), now).await? {
            Fulfilled::Credited(entry) => {
                tracing::info!(event = %event.id, cause = %entry.cause, seq = entry.seq, "credited");
                "credited"
            }
            Fulfilled::Before(_) => "credited before",
            Fulfilled::Unclaimed(reason) => {
                edge::metrics::count("unclaimed", "reason", reason, now);
                "unclaimed"
            }
            Fulfilled::AnotherStack => "another stack's",
        })
    }

    async fn sync(
        &self,
        id: &SubscriptionId,
        hint: Option<UserId>,
        event: &Event,
        now: Time,
    ) -> Result<&'static str, NotSettled> {
        Ok(match self.settle.sync(id, hint, event.id.as_str(), now).await? {
            Synced::Settled { news: 0, .. } => "known before",
            Synced::Settled { news, .. } => {
                tracing::info!(event = %event.id, subscription = %id, entries = news, "synced");
                "synced"
            }
            Synced::Unclaimed(reason) => {
                edge::metrics::count("unclaimed", "reason", reason, now);
                "unclaimed"
            }
            Synced::AnotherStack => "another stack's",
            Synced::Missing => "not in Stripe",
        })
    }

    async fn reverse(
        &self,
        payment: &PaymentId,
        event: &Event,
        now: Time,
    ) -> Result<&'static str, NotSettled> {
        Ok(match self.settle.reverse(payment, event.id.as_str(), now).await? {
            Reversal::Moved(entry) => {
                tracing::info!(event = %event.id, cause = %entry.cause, seq = entry.seq, "reversed");
                match entry.detail {
                    Detail::Reversal { reversed: (before, after), .. } if after < before => "given back",
                    _ => "taken back",
                }
            }
            Reversal::Same => "known before",
            Reversal::Unclaimed(reason) => {
                edge::metrics::count("unclaimed", "reason", reason, now);
                "unclaimed"
            }
            Reversal::AnotherStack => "another stack's",
            Reversal::NotOurs => "not ours",
            Reversal::Missing => "not in Stripe",
        })
    }

    /// Whose account to read before Stripe is asked.
    fn user_of(&self, hint: &Hint) -> Option<UserId> {
        let is_ours = hint.stack.as_deref() == Some(self.settle.stack());
        hint.user.clone().filter(|_| is_ours)
    }

    /// For people to look at. Its loss must not bring a settled event back onto the queue.
    async fn audit(&self, event: &Event, outcome: &'static str, now: Time) {
        let (event, kind): (EventId, String) = (event.id.clone(), event.kind.clone());
        let audit = WebhookAudit { event, kind, outcome, at: now };
        if let Err(error) = self.store.audit(&audit).await {
            tracing::warn!(event = %audit.event, outcome, cause = %error, "not audited");
        }
    }
}
