//! What Stripe told, brought into the books: decode, then fulfil. One bad record never harms another.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::ids::EventId;
use domain::time::Time;
use edge::{Env, StartError};
use settle::{Fulfilled, Settle};
use store::{Catalogs, Store, WebhookAudit};
use stripe_event::{Event, Fact, Message};

pub struct Credit {
    store: Store,
    settle: Settle,
}

impl Credit {
    pub async fn from_env(env: &Env) -> Result<Credit, StartError> {
        let aws = edge::aws::config(env).await?;
        // Half of what Lambda allows this function, so that contention ends as a failed record, not as a timeout.
        let budget = std::time::Duration::from_secs(15);
        let store = Store::open(
            &aws,
            env.optional("AWS_ENDPOINT_URL_DYNAMODB"),
            &env.required("TABLE_NAME")?,
            budget,
        );
        let catalogs = Catalogs::new(store.clone());
        catalogs.current(edge::now()).await?;
        Ok(Credit { settle: Settle::from_env(env, store.clone(), catalogs)?, store })
    }

    pub async fn handle(&self, event: SqsEvent, now: Time) -> SqsBatchResponse {
        edge::batch::each(event, |record| self.record(record, now)).await
    }

    async fn record(&self, record: SqsMessage, now: Time) -> Result<(), StartError> {
        let Message::StripeV1 { body, .. } = Message::parse(record.body.as_deref().unwrap_or_default())?;
        let event = stripe_event::decode(&body)?;
        let outcome = self.settle_fact(&event, now).await?;
        self.audit(&event, outcome, now).await;
        Ok(())
    }

    async fn settle_fact(&self, event: &Event, now: Time) -> Result<&'static str, StartError> {
        let payment = match &event.fact {
            Fact::Paid(sighting) => &sighting.payment,
            Fact::Processing { .. } => return Ok("processing"),
            Fact::Stranger => return Ok("not ours"),
            Fact::Pointer { .. } | Fact::Other => {
                edge::metrics::count("unhandled_event", "type", &event.kind, now);
                return Ok("unhandled type");
            }
        };
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

    /// For people to look at. Its loss must not bring a settled event back onto the queue.
    async fn audit(&self, event: &Event, outcome: &'static str, now: Time) {
        let (event, kind): (EventId, String) = (event.id.clone(), event.kind.clone());
        let audit = WebhookAudit { event, kind, outcome, at: now };
        if let Err(error) = self.store.audit(&audit).await {
            tracing::warn!(event = %audit.event, outcome, cause = %error, "not audited");
        }
    }
}
