//! What Stripe told, brought into the books: decode, then fulfil, sync or reverse, or note beside them what was tried
//! and what belongs to a payment. One bad record never harms another.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::entry::Detail;
use domain::ids::{EventId, PaymentId, SubscriptionId, UserId};
use domain::payment::{AttemptOutcome, References};
use domain::time::Time;
use edge::{Env, StartError};
use settle::{Attempted, Fulfilled, Reversal, Settle, SettleError, Synced};
use store::{Catalogs, Store, StoreError, WebhookAudit};
use stripe_event::{BadMessage, Event, Fact, Hint, Malformed, Message, Sighting};

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
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it took too long")]
    TookTooLong,
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
            Fact::Paid(sighting) => self.fulfil(sighting, event, now).await,
            Fact::Subscription { id, hint } => self.sync(id, self.user_of(hint), event, now).await,
            Fact::Invoice(invoice) => match self.settle.stripe().subscription_of(invoice).await {
                Ok(Some(id)) => self.sync(&id, None, event, now).await,
                Ok(None) => Ok("no subscription's"),
                Err(error) => Err(SettleError::from(error).into()),
            },
            Fact::Attempt { payment, hint } => self.attempt(payment, hint, event, now).await,
            Fact::Charge { payment, charge, receipt_url, hint } => {
                let (charge, receipt_url) = (Some(charge.clone()), receipt_url.clone());
                let references = References { checkout: None, charge, receipt_url };
                self.refer(payment, &references, hint).await
            }
            Fact::Reversal { payment } => self.reverse(payment, event, now).await,
            Fact::Processing { .. } => Ok("processing"),
            Fact::Stranger => Ok("not ours"),
            Fact::Pointer { .. } | Fact::Other => {
                edge::metrics::count("unhandled_event", "type", &event.kind, now);
                Ok("unhandled type")
            }
        }
    }

    async fn fulfil(
        &self,
        sighting: &Sighting,
        event: &Event,
        now: Time,
    ) -> Result<&'static str, NotSettled> {
        let payment = &sighting.payment;
        let fulfilled = self.settle.fulfil(payment, event.id.as_str(), now).await?;
        if let Fulfilled::Credited(entry) | Fulfilled::Before(entry) = &fulfilled
            && let Some(checkout) = sighting.session.clone()
        {
            let references = References { checkout: Some(checkout), ..References::default() };
            self.store.refer(&entry.user, &payment.id, &references).await?;
        }
        Ok(came_of(&fulfilled, event, now))
    }

    async fn attempt(
        &self,
        payment: &PaymentId,
        hint: &Hint,
        event: &Event,
        now: Time,
    ) -> Result<&'static str, NotSettled> {
        if self.is_another_stacks(hint) {
            return Ok("another stack's");
        }
        Ok(match self.settle.attempt(payment, self.user_of(hint), event.id.as_str(), now).await? {
            Attempted::Noted(AttemptOutcome::Pending) => "payment pending",
            Attempted::Noted(AttemptOutcome::Failed(reason)) => {
                tracing::info!(event = %event.id, %payment, reason, "payment failed");
                "payment failed"
            }
            Attempted::Paid(fulfilled) => came_of(&fulfilled, event, now),
            Attempted::Booked => "known before",
            Attempted::Unrecorded(reason) => reason,
            Attempted::Erased => "erased",
            Attempted::AnotherStack => "another stack's",
            Attempted::NotOurs => "not ours",
            Attempted::Missing => "not in Stripe",
        })
    }

    /// An invoice's charge carries no envelope, but its customer is one that we made.
    async fn refer(
        &self,
        payment: &PaymentId,
        references: &References,
        hint: &Hint,
    ) -> Result<&'static str, NotSettled> {
        if self.is_another_stacks(hint) {
            return Ok("another stack's");
        }
        let user = match (self.user_of(hint), &hint.customer) {
            (None, Some(customer)) => self.store.customer_owner(customer).await?,
            (user, _) => user,
        };
        let Some(user) = user else { return Ok("not ours") };
        let is_kept = self.store.refer(&user, payment, references).await?;
        Ok(if is_kept { "referred" } else { "erased" })
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

    fn is_another_stacks(&self, hint: &Hint) -> bool {
        hint.stack.as_deref().is_some_and(|stack| stack != self.settle.stack())
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

fn came_of(fulfilled: &Fulfilled, event: &Event, now: Time) -> &'static str {
    match fulfilled {
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
    }
}
