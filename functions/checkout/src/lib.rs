//! Selling: a request is frozen in the journal first, then sent to Stripe, so that any retry sends the very same.

mod order;

use domain::account::{Account, Balances};
use domain::cause::{Cause, Operation};
use domain::decide::{Act, Command};
use domain::entry::{CheckoutRequest, Detail, Entry};
use domain::ids::{CheckoutId, CustomerId, UserId};
use domain::money::Tokens;
use domain::payment::{Item, Payment};
use domain::time::{MINUTE_MS, Time};
use edge::request::{Once, answer, body, key_or_fresh, no_such_route, once_by, path, route};
use edge::{Callers, Code, Env, Problem, Reply, StartError};
use lambda_http::{Body, Request, Response};
use serde::Serialize;
use settle::{Fulfilled, Settle, SettleError};
use store::{Applied, Catalogs, HTTP_BUDGET, Read, Store};
use stripe_api::{CheckoutOrder, Session, SessionStatus, StripeError};

use order::Buy;

pub struct Checkout {
    store: Store,
    catalogs: Catalogs,
    settle: Settle,
    callers: Callers,
    /// Origins that this stage allows beside the catalog's, such as a developer's own machine.
    origins: Vec<String>,
}

/// What `POST …/checkout` answers.
#[derive(Serialize)]
struct Opened<'a> {
    id: &'a CheckoutId,
    /// Absent once it is paid or has expired.
    url: Option<&'a str>,
    status: &'static str,
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

/// How long a buyer has, from the request on.
const OPEN_MS: i64 = 90 * MINUTE_MS;
/// Stripe refuses a session that expires in less than thirty minutes.
const SHORTEST_MS: i64 = 31 * MINUTE_MS;
/// Stripe dates a session by its own clock. What is searched for is matched exactly, so this may be generous.
const CLOCKS_DIFFER_MS: i64 = 60 * MINUTE_MS;

impl Checkout {
    pub async fn from_env(env: &Env) -> Result<Checkout, StartError> {
        let (aws, endpoint, table) = edge::aws::table(env).await?;
        let store = Store::open(&aws, endpoint, &table, HTTP_BUDGET);
        let catalogs = Catalogs::start(store.clone(), edge::now()).await?;
        let settle = Settle::from_env(env, store.clone(), catalogs.clone())?;
        let origins = env.list("RETURN_ORIGINS");
        Ok(Checkout { store, catalogs, settle, callers: Callers::from_env(env), origins })
    }

    pub async fn handle(&self, request: Request, now: Time) -> Response<Body> {
        let reply = async {
            match route(&request) {
                "POST /v1/me/checkout" | "POST /v1/users/{user}/checkout" => self.open(&request, now).await,
                "GET /v1/me/checkout/{id}" | "GET /v1/users/{user}/checkout/{id}" => {
                    self.show(&request, now).await
                }
                _ => Err(no_such_route(&request)),
            }
        };
        answer(&request, reply).await
    }

    async fn open(&self, request: &Request, now: Time) -> Result<Reply, Problem> {
        let user = self.callers.subject(request)?;
        let (wanted, json) = body::<Buy>(request)?;
        let once = once_by(key_or_fresh(request)?, &user, Operation::Checkout, &json);
        // Looked up before anything is checked: what was accepted once is answered, whatever changed since.
        let entry = match self.store.entry(&once.cause).await.map_err(Problem::fault)? {
            Some(entry) if entry.request.as_ref() == Some(&once.hash) => entry,
            Some(_) => return Err(Problem::key_reused()),
            None => self.freeze(&user, wanted, &once, now).await?,
        };
        let named = |problem: Problem| problem.with("idempotency_key", once.key.as_str());
        let session = self.session_of(&entry, now).await.map_err(named)?;
        let (id, url, status) = (&session.id, session.url.as_deref(), word(session.status));
        Ok(Reply::created(&Opened { id, url, status })?.with_key(&once.key))
    }

    /// Writes down what Stripe will be asked for.
    async fn freeze(&self, user: &UserId, wanted: Buy, once: &Once, now: Time) -> Result<Entry, Problem> {
        let published = self.catalogs.current(now).await.map_err(Problem::fault)?;
        let order = wanted.checked(&published, &self.origins)?;
        let account = self.store.account(user, Read::Consistent).await.map_err(Problem::fault)?;
        let act = Act::Checkout(CheckoutRequest {
            customer: self.customer(&account).await?,
            item: order.item,
            catalog: published.version,
            price: order.price,
            expires_at: now.plus_ms(OPEN_MS),
            success_url: order.success_url,
            cancel_url: order.cancel_url,
        });
        let command = Command { cause: once.cause.clone(), request: Some(once.hash.clone()), act };
        match self.store.apply(user, &command, &published.catalog, now).await.map_err(Problem::fault)? {
            Applied::Done(entry) | Applied::Before(entry) => Ok(entry),
            Applied::Refused(refusal) => Err(Problem::refused(refusal, &published.catalog)),
            Applied::KeyReused => Err(Problem::key_reused()),
        }
    }

    /// The user's one Stripe customer. Stripe itself makes concurrent creations one: they share a key.
    async fn customer(&self, account: &Account) -> Result<CustomerId, Problem> {
        if let Some(customer) = &account.customer {
            return Ok(customer.clone());
        }
        let customer = self.settle.stripe().create_customer(&account.user).await.map_err(stripe_problem)?;
        self.store.point_customer(&customer, &account.user).await.map_err(Problem::fault)?;
        Ok(customer)
    }

    /// The session that a frozen request led to, or leads to now.
    async fn session_of(&self, entry: &Entry, now: Time) -> Result<Session, Problem> {
        let Detail::Checkout(frozen) = &entry.detail else {
            return Err(Problem::internal(format!("entry {} of this cause is no checkout", entry.seq)));
        };
        if let Some(id) = self.store.result(&entry.cause).await.map_err(Problem::fault)? {
            let id = CheckoutId::parse(id).map_err(Problem::internal)?;
            let session = self.settle.stripe().session(&id).await.map_err(stripe_problem)?;
            return session.ok_or_else(|| Problem::internal(format!("stripe no longer has {id}")));
        }
        let published = self.catalogs.version(frozen.catalog).await.map_err(Problem::fault)?;
        let published = published.ok_or_else(|| Problem::internal("the frozen catalog version is gone"))?;
        let order = order::of(entry, frozen, &published, self.settle.stack());
        let session = if frozen.expires_at.millis() - now.millis() >= SHORTEST_MS {
            self.settle
                .stripe()
                .open_checkout(&order, &entry.cause.to_string())
                .await
                .map_err(stripe_problem)?
        } else {
            self.find(&order, entry.at.plus_ms(-CLOCKS_DIFFER_MS)).await?.ok_or_else(checkout_expired)?
        };
        self.store.put_result(&entry.cause, session.id.as_str()).await.map_err(Problem::fault)?;
        Ok(session)
    }

    /// Too late to send the request again: perhaps it was heard the first time.
    async fn find(&self, order: &CheckoutOrder, since: Time) -> Result<Option<Session>, Problem> {
        let sessions =
            self.settle.stripe().customer_sessions(&order.customer, since).await.map_err(stripe_problem)?;
        Ok(sessions.into_iter().find(|session| session.request.as_ref() == Some(&order.request)))
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
        let entry = match &session.payment {
            // Booked to somebody else by an operator, it is that user's to see.
            Some(payment) => self.entry_of(payment, now).await?.filter(|entry| entry.user == user),
            None => None,
        };
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

    async fn entry_of(&self, payment: &Payment, now: Time) -> Result<Option<Entry>, Problem> {
        let fulfilled = self.settle.fulfil(payment, "checkout", now).await.map_err(|error| match error {
            SettleError::Stripe(error) => stripe_problem(error),
            SettleError::Store(error) => Problem::fault(error),
        })?;
        match fulfilled {
            Fulfilled::Credited(entry) | Fulfilled::Before(entry) => Ok(Some(entry)),
            Fulfilled::Unclaimed(_) | Fulfilled::AnotherStack => Ok(None),
        }
    }
}

fn checkout_expired() -> Problem {
    let detail =
        "this request is too old to be sent to Stripe again; start over with a fresh Idempotency-Key";
    Problem::new(Code::CheckoutExpired, detail)
}

const fn word(status: SessionStatus) -> &'static str {
    match status {
        SessionStatus::Open => "open",
        SessionStatus::Processing => "processing",
        SessionStatus::Complete => "complete",
        SessionStatus::Expired => "expired",
    }
}

/// A timeout is an unknown outcome: the client is told to send the same again, never that it failed.
fn stripe_problem(error: StripeError) -> Problem {
    match error {
        error if error.is_retryable() => Problem::try_again(Code::StripeUnavailable, error),
        StripeError::Refused(_) => {
            let detail = "Stripe refused this; its reason is in our log under the request_id";
            Problem::because(Code::StripeRefused, detail, error)
        }
        error => Problem::internal(error),
    }
}
