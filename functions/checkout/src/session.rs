//! Checkout sessions: opened, and fulfilled at once when they are paid, so that a success page never waits for the
//! webhook.

use domain::cause::Cause;
use domain::entry::Entry;
use domain::ids::{CheckoutId, UserId};
use domain::item::Item;
use domain::lot::Balances;
use domain::money::Tokens;
use domain::payment::{Payment, References};
use domain::time::Time;
use edge::request::path;
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::Serialize;
use settle::{Fulfilled, settle_problem, stripe_problem};
use stripe_api::{Session, SessionStatus};

use crate::Checkout;
use crate::made::Made;
use crate::order::Form;

/// What `POST …/checkout` answers.
#[derive(Serialize)]
struct Opened<'a> {
    id: &'a CheckoutId,
    /// Absent once it is paid or has expired.
    url: Option<&'a str>,
    status: &'static str,
    /// How long a plan can be tried, whatever was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial_days: Option<u32>,
}

/// What `GET …/checkout/{id}` answers. `wallet` is that of the payment's own entry, so it is never stale.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a CheckoutId,
    status: &'static str,
    /// Why the money did not arrive that was under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
    url: Option<&'a str>,
    item: Option<&'a Item>,
    entry: Option<&'a Cause>,
    tokens: Option<Tokens>,
    wallet: Option<Balances>,
}

impl Checkout {
    pub(crate) async fn open_session(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let sale = self.sell(request, user, Form::Session, now).await?;
        let Made::Session(session) = &sale.made else {
            return Err(Problem::internal("a checkout was made into something else"));
        };
        let (id, url, status) = (&session.id, session.url.as_deref(), word(session.status));
        Ok(Reply::created(&Opened { id, url, status, trial_days: sale.trial_days })?.with_key(&sale.key))
    }

    pub(crate) async fn show_session(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let id: CheckoutId = path(request, "id")?;
        let session = self.settle.stripe().session(&id).await.map_err(stripe_problem)?;
        let session = session.filter(|session| {
            session.envelope.user.as_ref() == Some(user)
                && session.envelope.stack.as_deref() == Some(self.settle.stack())
        });
        let session = session.ok_or_else(|| Problem::new(Code::NotFound, "you have no such checkout"))?;
        let entry = match (&session.payment, session.status) {
            (Some(payment), _) => self.entry_of(payment, Some(&session.id), now).await?,
            (None, SessionStatus::Complete) => self.first_invoice(&session, user, now).await?,
            (None, _) => None,
        };
        // Booked to somebody else by an operator, it is that user's to see.
        let entry = entry.filter(|entry| entry.user == *user);
        let status = match session.status {
            SessionStatus::Complete if entry.is_none() => SessionStatus::Processing,
            status => status,
        };
        Reply::ok(&Shown {
            id: &session.id,
            status: if session.failure.is_some() { "failed" } else { word(status) },
            failure: session.failure.as_deref(),
            url: session.url.as_deref(),
            item: session.envelope.item.as_ref(),
            entry: entry.as_ref().map(|entry| &entry.cause),
            tokens: entry.as_ref().map(Entry::credited),
            wallet: entry.as_ref().map(|entry| entry.after),
        })
    }

    pub(crate) async fn entry_of(
        &self,
        payment: &Payment,
        checkout: Option<&CheckoutId>,
        now: Time,
    ) -> Result<Option<Entry>, Problem> {
        let fulfilled = self.settle.fulfil(payment, "checkout", now).await.map_err(settle_problem)?;
        match fulfilled {
            Fulfilled::Credited(entry) => {
                if let Some(checkout) = checkout {
                    self.refer(&entry.user, payment, checkout).await;
                }
                Ok(Some(entry))
            }
            Fulfilled::Before(entry) => Ok(Some(entry)),
            Fulfilled::Unclaimed(_) | Fulfilled::AnotherStack => Ok(None),
        }
    }

    /// So that the payment can be found by its checkout. Without it the buyer is no poorer, and the session's own event
    /// says so again.
    async fn refer(&self, user: &UserId, payment: &Payment, checkout: &CheckoutId) {
        let references = References { checkout: Some(checkout.clone()), ..References::default() };
        if let Err(error) = self.store.refer(user, &payment.id, &references).await {
            tracing::warn!(payment = %payment.id, %checkout, cause = %error, "not referred to its checkout");
        }
    }

    /// The entry that the first invoice of a sold plan led to: plan and allowance are there with it.
    async fn first_invoice(
        &self,
        session: &Session,
        user: &UserId,
        now: Time,
    ) -> Result<Option<Entry>, Problem> {
        let (Some(subscription), Some(invoice)) = (&session.subscription, &session.invoice) else {
            return Ok(None);
        };
        let cause = Cause::Invoice(invoice.clone());
        if let Some(entry) = self.store.entry(&cause).await.map_err(Problem::fault)? {
            return Ok(Some(entry));
        }
        self.sync(subscription, user, now).await?;
        self.store.entry(&cause).await.map_err(Problem::fault)
    }
}

const fn word(status: SessionStatus) -> &'static str {
    match status {
        SessionStatus::Open => "open",
        SessionStatus::Processing => "processing",
        SessionStatus::Complete => "complete",
        SessionStatus::Expired => "expired",
    }
}
