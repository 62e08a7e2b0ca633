//! Opening: a request is frozen in the journal first, then sent to Stripe, so that any retry sends the very same.

use domain::account::Account;
use domain::cause::Operation;
use domain::decide::{Act, Command, Refusal};
use domain::entry::{CheckoutRequest, Detail, Entry};
use domain::ids::{CheckoutId, CustomerId, UserId};
use domain::item::Item;
use domain::subscription::Opening;
use domain::time::{MINUTE_MS, Time};
use edge::request::{Once, body, concealed, key_or_fresh, once_by};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::Serialize;
use settle::Synced;
use store::{Applied, Pointed, Read, Store, Words};
use stripe_api::{CheckoutOrder, Session, SessionStatus};

use crate::order::{self, Buy};
use crate::{Checkout, stripe_problem, word};

/// What `POST …/checkout` answers.
#[derive(Serialize)]
struct Opened<'a> {
    id: &'a CheckoutId,
    /// Absent once it is paid or has expired.
    url: Option<&'a str>,
    status: &'static str,
}

/// What has become of the checkout that holds the lock.
enum Met {
    /// It is for the same, and open.
    Same,
    Over,
}

/// How long a buyer has, from the request on.
const OPEN_MS: i64 = 90 * MINUTE_MS;
/// Stripe refuses a session that expires in less than thirty minutes.
const SHORTEST_MS: i64 = 31 * MINUTE_MS;
/// With less than this left, a request that was under way at the last moment has been refused too.
const TOO_LATE_MS: i64 = 29 * MINUTE_MS;
/// Stripe dates a session by its own clock. What is searched for is matched exactly, so this may be generous.
const CLOCKS_DIFFER_MS: i64 = 60 * MINUTE_MS;
/// How many other checkouts one may meet and replace. Each costs calls to Stripe.
const MEETINGS: u32 = 4;

impl Checkout {
    pub(crate) async fn open(&self, request: &Request, now: Time) -> Result<Reply, Problem> {
        let user = self.callers.subject(request)?;
        let (wanted, json) = body::<Buy>(request)?;
        let json = concealed(&json, &self.keys);
        let once = once_by(key_or_fresh(request)?, &user, Operation::Checkout, &json);
        // Looked up before anything is checked: what was accepted once is answered, whatever changed since.
        let known = self.store.entry(&once.cause).await.map_err(Problem::fault)?;
        let opened = match known {
            Some(entry) if entry.request.as_ref() == Some(&once.hash) => {
                let account = self.store.account(&user, Read::Consistent).await.map_err(Problem::fault)?;
                if account.closed.is_some() {
                    return Err(closed());
                }
                self.opened(&entry, now).await
            }
            Some(_) => return Err(Problem::key_reused()),
            None => {
                let store = self.store.claiming(self.callers.claimant(request));
                self.open_new(&store, &user, wanted, &once, now).await
            }
        };
        let session = opened.map_err(|problem| problem.with("idempotency_key", once.key.as_str()))?;
        let (id, url, status) = (&session.id, session.url.as_deref(), word(session.status));
        Ok(Reply::created(&Opened { id, url, status })?.with_key(&once.key))
    }

    /// Writes down what Stripe will be asked for, then asks. For a plan that takes the lock of its group:
    /// whoever holds it is met first.
    async fn open_new(
        &self,
        store: &Store,
        user: &UserId,
        wanted: Buy,
        once: &Once,
        now: Time,
    ) -> Result<Session, Problem> {
        let published = self.catalogs.current(now).await.map_err(Problem::fault)?;
        let order = wanted.checked(&published, &self.origins)?;
        let account = self.store.account(user, Read::Consistent).await.map_err(Problem::fault)?;
        if account.closed.is_some() {
            return Err(closed());
        }
        let mut request = CheckoutRequest {
            customer: self.customer(&account).await?,
            item: order.item,
            catalog: published.version,
            price: order.price,
            expires_at: now.plus_ms(OPEN_MS),
            group: order.group,
            replaces: None,
            joins: None,
            urls: self.keys.urls(order.urls.success_url.as_deref(), order.urls.cancel_url.as_deref()),
        };
        let mut is_synced = false;
        for _ in 0..MEETINGS {
            let (cause, hash) = (once.cause.clone(), Some(once.hash.clone()));
            let command = Command { cause, request: hash, act: Act::Checkout(request.clone()) };
            let applied = store.apply_with(user, &command, order.urls.clone(), &self.catalogs, now).await;
            match applied.map_err(Problem::fault)? {
                Applied::Done(entry) | Applied::Before(entry) => return self.opened(&entry, now).await,
                Applied::KeyReused => return Err(Problem::key_reused()),
                Applied::Refused(Refusal::Opening(held)) => {
                    match self.meet(&held, &request.item, user, now).await? {
                        Met::Same => request.joins = Some(held.cause),
                        Met::Over => request.replaces = Some(held.cause),
                    }
                }
                // Perhaps it has ended, and nobody told us: a refusal is worth asking Stripe.
                Applied::Refused(Refusal::AlreadySubscribed(seen)) if !is_synced => {
                    self.sync(&seen.id, user, now).await?;
                    is_synced = true;
                }
                Applied::Refused(refusal) => return Err(Problem::refused(refusal, &published.catalog)),
            }
        }
        Err(Problem::try_again(Code::Busy, "checkouts of one user keep replacing each other"))
    }

    /// Another checkout holds the lock. Is it for the same, then this one is that one too; is it for another plan,
    /// then it is closed; has it been paid, then the books learn of it now.
    async fn meet(&self, held: &Opening, wanted: &Item, user: &UserId, now: Time) -> Result<Met, Problem> {
        let entry = self.store.entry(&held.cause).await.map_err(Problem::fault)?;
        let entry = entry.ok_or_else(|| Problem::internal(format!("{} has no entry", held.cause)))?;
        let Some(mut session) = self.session_of(&entry, now).await? else { return Ok(Met::Over) };
        if session.status == SessionStatus::Open {
            if session.envelope.item.as_ref() == Some(wanted) {
                return Ok(Met::Same);
            }
            session = self.settle.stripe().expire_checkout(&session.id).await.map_err(stripe_problem)?;
        }
        match (session.status, &session.subscription) {
            (SessionStatus::Expired, _) => Ok(Met::Over),
            (SessionStatus::Complete, Some(subscription)) => {
                match self.sync(subscription, user, now).await? {
                    Synced::Settled { .. } => Ok(Met::Over),
                    other => Err(Problem::internal(format!("{subscription} was paid for, and is {other:?}"))),
                }
            }
            _ => Err(Problem::try_again(Code::Busy, "the checkout before this one is being paid")),
        }
    }

    async fn opened(&self, entry: &Entry, now: Time) -> Result<Session, Problem> {
        self.session_of(entry, now).await?.ok_or_else(checkout_expired)
    }

    /// The user's one Stripe customer. Stripe itself makes concurrent creations one: they share a key.
    async fn customer(&self, account: &Account) -> Result<CustomerId, Problem> {
        if let Some(customer) = &account.customer {
            return Ok(customer.clone());
        }
        let customer = self.settle.stripe().create_customer(&account.user).await.map_err(stripe_problem)?;
        match self.store.point_customer(&customer, &account.user).await.map_err(Problem::fault)? {
            Pointed::Now | Pointed::Before => Ok(customer),
            // Erased meanwhile. Nobody else would find this customer.
            Pointed::Never => {
                self.settle.stripe().delete_customer(&customer).await.map_err(stripe_problem)?;
                Err(closed())
            }
        }
    }

    /// The session that a frozen request led to, or leads to now. `None` if it never did, and is too old to be sent.
    async fn session_of(&self, entry: &Entry, now: Time) -> Result<Option<Session>, Problem> {
        let Detail::Checkout(frozen) = &entry.detail else {
            return Err(Problem::internal(format!("entry {} of this cause is no checkout", entry.seq)));
        };
        if let Some(joined) = &frozen.joins {
            let joined = self.store.entry(joined).await.map_err(Problem::fault)?;
            let joined = joined.ok_or_else(|| Problem::internal("the joined checkout has no entry"))?;
            return Box::pin(self.session_of(&joined, now)).await;
        }
        if let Some(id) = self.store.result(&entry.cause).await.map_err(Problem::fault)? {
            let id = CheckoutId::parse(id).map_err(Problem::internal)?;
            let session = self.settle.stripe().session(&id).await.map_err(stripe_problem)?;
            return session.map(Some).ok_or_else(|| Problem::internal(format!("stripe no longer has {id}")));
        }
        let published = self.catalogs.version(frozen.catalog).await.map_err(Problem::fault)?;
        let published = published.ok_or_else(|| Problem::internal("the frozen catalog version is gone"))?;
        // Erased: without them it would be another request under the same key.
        let Some(urls) = self.urls(entry, frozen).await? else { return Ok(None) };
        let order = order::of(entry, frozen, urls, &published, self.settle.stack());
        let left_ms = frozen.expires_at.millis() - now.millis();
        let session = if left_ms >= SHORTEST_MS {
            match self.settle.stripe().open_checkout(&order, &entry.cause.to_string()).await {
                Ok(session) => session,
                // The same request in another wire form, as an older version of this function sent it.
                Err(error) if error.is_key_reused() => {
                    let found = self.find(&order, entry.at.plus_ms(-CLOCKS_DIFFER_MS)).await?;
                    found.ok_or_else(|| stripe_problem(error))?
                }
                Err(error) => return Err(stripe_problem(error)),
            }
        } else {
            match self.find(&order, entry.at.plus_ms(-CLOCKS_DIFFER_MS)).await? {
                Some(session) => session,
                None if left_ms < TOO_LATE_MS => return Ok(None),
                None => {
                    return Err(Problem::try_again(Code::Busy, "the first request may still be under way"));
                }
            }
        };
        self.store.put_result(&entry.cause, session.id.as_str()).await.map_err(Problem::fault)?;
        Ok(Some(session))
    }

    /// Where the buyer of a frozen request returns to; `None` if that is not known any more.
    async fn urls(&self, entry: &Entry, frozen: &CheckoutRequest) -> Result<Option<Words>, Problem> {
        match frozen.urls {
            None => Ok(Some(Words::default())),
            Some(_) => self.store.words(&entry.user, &entry.cause).await.map_err(Problem::fault),
        }
    }

    /// Too late to send the request again: perhaps it was heard the first time.
    async fn find(&self, order: &CheckoutOrder, since: Time) -> Result<Option<Session>, Problem> {
        let sessions =
            self.settle.stripe().customer_sessions(&order.customer, since).await.map_err(stripe_problem)?;
        Ok(sessions.into_iter().find(|session| session.request.as_ref() == Some(&order.request)))
    }
}

fn closed() -> Problem {
    Problem::new(Code::AccountClosed, "this user was erased; nothing can be bought any more")
}

fn checkout_expired() -> Problem {
    let detail =
        "this request is too old to be sent to Stripe again; start over with a fresh Idempotency-Key";
    Problem::new(Code::CheckoutExpired, detail)
}
