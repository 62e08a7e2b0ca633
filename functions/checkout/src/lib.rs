//! Selling: opening a checkout, and settling at once what is paid when its success page asks.

mod open;
mod order;

use domain::catalog::CheckoutPolicy;
use domain::cause::Cause;
use domain::entry::Entry;
use domain::ids::{CheckoutId, SubscriptionId, UserId};
use domain::item::Item;
use domain::lot::Balances;
use domain::money::Tokens;
use domain::payment::{Payment, References};
use domain::privacy::PrivacyKeys;
use domain::time::Time;
use edge::request::{answer, no_such_route, path, route};
use edge::{BadSetting, Callers, Code, Env, Problem, Reply, StartError};
use lambda_http::{Body, Request, Response};
use serde::Serialize;
use settle::{Fulfilled, Settle, Synced, in_time, settle_problem, stripe_problem};
use store::{Catalogs, HTTP_BUDGET, Store};
use stripe_api::{Session, SessionStatus};

pub struct Checkout {
    store: Store,
    catalogs: Catalogs,
    settle: Settle,
    callers: Callers,
    keys: PrivacyKeys,
    /// Origins that this stage allows beside the catalog's, such as a developer's own machine.
    origins: Vec<String>,
}

/// What `GET …/checkout/{id}` answers. `wallet` is that of the payment's own entry, so it is never stale.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a CheckoutId,
    status: &'static str,
    url: Option<&'a str>,
    item: Option<&'a Item>,
    entry: Option<&'a Cause>,
    tokens: Option<Tokens>,
    wallet: Option<Balances>,
}

impl Checkout {
    pub async fn from_env(env: &Env) -> Result<Checkout, StartError> {
        let keys = env.required_privacy_keys()?;
        let (aws, endpoint, table) = edge::aws::table(env).await?;
        let store = Store::open(&aws, endpoint, &table, HTTP_BUDGET);
        let catalogs = Catalogs::start(store.clone(), edge::now()).await?;
        let settle = Settle::from_env(env, store.clone(), catalogs.clone())?;
        let origins = env.list("RETURN_ORIGINS");
        let origins: Result<Vec<String>, String> =
            origins.iter().map(|origin| CheckoutPolicy::origin(origin)).collect();
        let origins = origins.map_err(|problem| BadSetting::Wrong { name: "RETURN_ORIGINS", problem })?;
        let callers = Callers::from_env(env)?;
        Ok(Checkout { origins, ..Checkout::new(store, catalogs, settle, callers, keys) })
    }

    /// Without origins of the stage's own.
    pub fn new(
        store: Store,
        catalogs: Catalogs,
        settle: Settle,
        callers: Callers,
        keys: PrivacyKeys,
    ) -> Checkout {
        Checkout { store, catalogs, settle, callers, keys, origins: Vec::new() }
    }

    pub async fn handle(&self, request: Request, now: Time) -> Response<Body> {
        let reply = in_time(async {
            match route(&request) {
                "POST /v1/me/checkout" | "POST /v1/users/{user}/checkout" => self.open(&request, now).await,
                "GET /v1/me/checkout/{id}" | "GET /v1/users/{user}/checkout/{id}" => {
                    self.show(&request, now).await
                }
                _ => Err(no_such_route(&request)),
            }
        });
        answer(&request, reply).await
    }

    /// Fulfils at once what is paid, so that a success page never waits for the webhook.
    async fn show(&self, request: &Request, now: Time) -> Result<Reply, Problem> {
        let user = self.callers.subject(request)?;
        let id: CheckoutId = path(request, "id")?;
        let session = self.settle.stripe().session(&id).await.map_err(stripe_problem)?;
        let session = session.filter(|session| {
            session.envelope.user.as_ref() == Some(&user)
                && session.envelope.stack.as_deref() == Some(self.settle.stack())
        });
        let session = session.ok_or_else(|| Problem::new(Code::NotFound, "you have no such checkout"))?;
        let entry = match (&session.payment, session.status) {
            (Some(payment), _) => self.entry_of(payment, &session.id, now).await?,
            (None, SessionStatus::Complete) => self.first_invoice(&session, &user, now).await?,
            (None, _) => None,
        };
        // Booked to somebody else by an operator, it is that user's to see.
        let entry = entry.filter(|entry| entry.user == user);
        let status = match session.status {
            SessionStatus::Complete if entry.is_none() => SessionStatus::Processing,
            status => status,
        };
        Reply::ok(&Shown {
            id: &session.id,
            status: word(status),
            url: session.url.as_deref(),
            item: session.envelope.item.as_ref(),
            entry: entry.as_ref().map(|entry| &entry.cause),
            tokens: entry.as_ref().map(Entry::credited),
            wallet: entry.as_ref().map(|entry| entry.after),
        })
    }

    async fn entry_of(
        &self,
        payment: &Payment,
        checkout: &CheckoutId,
        now: Time,
    ) -> Result<Option<Entry>, Problem> {
        let fulfilled = self.settle.fulfil(payment, "checkout", now).await.map_err(settle_problem)?;
        match fulfilled {
            Fulfilled::Credited(entry) => {
                self.refer(&entry.user, payment, checkout).await;
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

    async fn sync(&self, id: &SubscriptionId, user: &UserId, now: Time) -> Result<Synced, Problem> {
        self.settle.sync(id, Some(user.clone()), "checkout", now).await.map_err(settle_problem)
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
