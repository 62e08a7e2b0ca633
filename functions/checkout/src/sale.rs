//! Selling: a request is frozen in the journal first, then sent to Stripe, so that any retry sends the very same.

use domain::account::Account;
use domain::cause::Operation;
use domain::decide::{Act, Command, Refusal};
use domain::entry::{CheckoutRequest, Direct, Entry, TrialRequest};
use domain::ids::{RequestKey, UserId};
use domain::item::Item;
use domain::subscription::{Opening, Status};
use domain::time::{MINUTE_MS, Time};
use domain::trial::TrialMark;
use edge::request::{Once, body, concealed, key_or_fresh, once_by};
use edge::{Code, Problem};
use lambda_http::Request;
use settle::{Synced, stripe_problem};
use store::{Applied, Read};
use stripe_api::{EndedFor, SessionStatus, Subscription};

use crate::Checkout;
use crate::made::{Made, frozen, is_refusal};
use crate::order::{Buy, Form};

/// What a request to buy led to.
pub struct Sale {
    pub key: RequestKey,
    pub made: Made,
    /// Of a plan: how long it may be tried.
    pub trial_days: Option<u32>,
}

/// What has become of the sale that holds the lock.
enum Met {
    /// It is for the same, and open.
    Same,
    Over,
}

/// How long a buyer has, from the request on.
const OPEN_MS: i64 = 90 * MINUTE_MS;
/// How many other sales one may meet and replace. Each costs calls to Stripe.
const MEETINGS: u32 = 4;

impl Form {
    const fn operation(self) -> Operation {
        match self {
            Form::Session => Operation::Checkout,
            Form::Subscription => Operation::Subscribe,
            Form::Payment => Operation::Pay,
        }
    }
}

impl Checkout {
    pub(crate) async fn sell(
        &self,
        request: &Request,
        user: &UserId,
        form: Form,
        now: Time,
    ) -> Result<Sale, Problem> {
        let (wanted, json) = body::<Buy>(request)?;
        let json = concealed(&json, &self.keys);
        let once = once_by(key_or_fresh(request)?, user, form.operation(), &json);
        // Looked up before anything is checked: what was accepted once is answered, whatever changed since.
        let known = self.store.entry(&once.cause).await.map_err(Problem::fault)?;
        let (entry, is_given_up) = match known {
            Some(entry) if entry.request.as_ref() == Some(&once.hash) => {
                let account = self.open_account(user).await?;
                let is_given_up = is_given_up(&entry, &account)?;
                (Ok(entry), is_given_up)
            }
            Some(_) => return Err(Problem::key_reused()),
            None => (self.freeze(request, user, wanted, form, &once, now).await, false),
        };
        let sold = async {
            let entry = self.origin(entry?).await?;
            let made = match is_given_up {
                true => self.found(&entry, now).await?,
                false => self.made(&entry, now).await?,
            };
            let made = made.ok_or_else(expired)?;
            let frozen = frozen(&entry)?;
            let of_plan = matches!(frozen.item, Item::Plan { .. });
            let trial_days = of_plan.then(|| frozen.trial.as_ref().map_or(0, |trial| trial.days));
            Ok((trial_days, made))
        };
        let named = |problem: Problem| problem.with("idempotency_key", once.key.as_str());
        let (trial_days, made) = sold.await.map_err(named)?;
        Ok(Sale { key: once.key, made, trial_days })
    }

    /// Writes down what Stripe will be asked for. For a plan that takes the lock of its group: whoever holds it is
    /// met first.
    async fn freeze(
        &self,
        request: &Request,
        user: &UserId,
        wanted: Buy,
        form: Form,
        once: &Once,
        now: Time,
    ) -> Result<Entry, Problem> {
        let store = self.store.claiming(self.callers.claimant(request));
        let published = self.catalogs.current(now).await.map_err(Problem::fault)?;
        let order = wanted.checked(form, &published, &self.origins)?;
        let account = self.open_account(user).await?;
        let customer = self.customer(&account).await?;
        let charged = match &order.method {
            Some(method) if form == Form::Subscription => Some(self.attached(method, &customer).await?),
            _ => None,
        };
        let card = charged.as_ref().and_then(|method| method.fingerprint.as_deref());
        // Stripe's page asks for a way to pay; here it has to be named.
        let lacks_method = form == Form::Subscription && charged.is_none() && order.trial_needs_method;
        let days = if lacks_method { 0 } else { order.trial_days };
        let trial = self.trial(request, &account, days, card).await?;
        let method = charged.map(|method| method.id).or(order.method);
        let mut wanted = CheckoutRequest {
            customer,
            item: order.item,
            catalog: published.version,
            price: order.price,
            expires_at: now.plus_ms(OPEN_MS),
            group: order.group,
            replaces: None,
            joins: None,
            urls: self.keys.urls(order.urls.success_url.as_deref(), order.urls.cancel_url.as_deref()),
            seats: order.seats,
            trial,
            direct: (form != Form::Session).then_some(Direct { method }),
        };
        let mut is_synced = false;
        for _ in 0..MEETINGS {
            let (cause, hash) = (once.cause.clone(), Some(once.hash.clone()));
            let command = Command { cause, request: hash, act: Act::Checkout(wanted.clone()) };
            let applied = store.apply_with(user, &command, order.urls.clone(), &self.catalogs, now).await;
            match applied.map_err(Problem::fault)? {
                Applied::Done(entry) | Applied::Before(entry) => return Ok(entry),
                Applied::KeyReused => return Err(Problem::key_reused()),
                Applied::Refused(Refusal::Opening(held)) => match self.meet(&held, &wanted, user, now).await?
                {
                    Met::Same => wanted.joins = Some(held.cause),
                    Met::Over => wanted.replaces = Some(held.cause),
                },
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

    /// Another sale holds the lock. Is it for the same, then this one is that one too; is it for something else, then
    /// it is closed; has it been paid, then the books learn of it now.
    async fn meet(
        &self,
        held: &Opening,
        wanted: &CheckoutRequest,
        user: &UserId,
        now: Time,
    ) -> Result<Met, Problem> {
        let entry = self.store.entry(&held.cause).await.map_err(Problem::fault)?;
        let entry = entry.ok_or_else(|| Problem::internal(format!("{} has no entry", held.cause)))?;
        let held = frozen(&entry)?;
        let is_alike = is_alike(held, wanted);
        // Nobody is charged for what another request gives up.
        let would_charge = !is_alike && held.direct.as_ref().is_some_and(|direct| direct.method.is_some());
        let made = match would_charge {
            true => self.found(&entry, now).await,
            false => self.made(&entry, now).await,
        };
        let made = match made {
            // What Stripe has refused becomes nothing.
            Err(problem) if is_refusal(&problem) => None,
            made => made?,
        };
        match made {
            None | Some(Made::Payment(_)) => Ok(Met::Over),
            Some(Made::Subscription(made)) => self.meet_subscription(&made, is_alike, user, now).await,
            Some(Made::Session(mut session)) => {
                if session.status == SessionStatus::Open {
                    if is_alike {
                        return Ok(Met::Same);
                    }
                    let expired = self.settle.stripe().expire_checkout(&session.id).await;
                    session = expired.map_err(stripe_problem)?;
                }
                match (session.status, &session.subscription) {
                    (SessionStatus::Expired, _) => Ok(Met::Over),
                    (SessionStatus::Complete, Some(subscription)) => {
                        match self.sync(subscription, user, now).await? {
                            Synced::Settled { .. } => Ok(Met::Over),
                            other => Err(Problem::internal(format!(
                                "{subscription} was paid for, and is {other:?}"
                            ))),
                        }
                    }
                    _ => Err(Problem::try_again(Code::Busy, "the checkout before this one is being paid")),
                }
            }
        }
    }

    /// One whose first payment is still to be made can be gone on with, or given up for another.
    async fn meet_subscription(
        &self,
        made: &Subscription,
        is_alike: bool,
        user: &UserId,
        now: Time,
    ) -> Result<Met, Problem> {
        if made.status == Status::Incomplete {
            if is_alike {
                return Ok(Met::Same);
            }
            // Should it be paid in this moment, what was paid goes back.
            let ended = self.settle.stripe().end_subscription(&made.id, EndedFor::Replaced).await;
            ended.map_err(stripe_problem)?;
        }
        self.sync(&made.id, user, now).await.map(|_| Met::Over)
    }

    /// The trial that somebody may have who has had none.
    async fn trial(
        &self,
        request: &Request,
        account: &Account,
        days: u32,
        card: Option<&str>,
    ) -> Result<Option<TrialRequest>, Problem> {
        if days == 0 || account.tried.is_some() {
            return Ok(None);
        }
        let email = self.callers.claimant(request).map(|claimant| self.keys.trial(&claimant.email));
        let by_email = email.as_ref().map(TrialMark::email);
        let by_card = card.map(TrialMark::card);
        for mark in by_email.iter().chain(&by_card) {
            if self.store.trial_of(mark).await.map_err(Problem::fault)?.is_some() {
                return Ok(None);
            }
        }
        Ok(Some(TrialRequest { days, email }))
    }

    /// An account that was not erased.
    pub(crate) async fn open_account(&self, user: &UserId) -> Result<Account, Problem> {
        let account = self.store.account(user, Read::Consistent).await.map_err(Problem::fault)?;
        if account.closed.is_some() { Err(closed()) } else { Ok(account) }
    }
}

/// Whether another sale has taken over from one that charges by itself.
fn is_given_up(entry: &Entry, account: &Account) -> Result<bool, Problem> {
    let frozen = frozen(entry)?;
    let charges = frozen.direct.as_ref().is_some_and(|direct| direct.method.is_some());
    let is_held = account.openings.iter().any(|opening| opening.cause == entry.cause);
    Ok(charges && frozen.group.is_some() && frozen.joins.is_none() && !is_held)
}

/// Whether going on with what was asked for before is what is asked for now.
fn is_alike(held: &CheckoutRequest, wanted: &CheckoutRequest) -> bool {
    let what = |request: &CheckoutRequest| (request.item.clone(), request.seats);
    let same_form = match (&held.direct, &wanted.direct) {
        (None, None) => true,
        // Another card is another try.
        (Some(held), Some(wanted)) => wanted.method.is_none() || wanted.method == held.method,
        _ => false,
    };
    same_form && what(held) == what(wanted)
}

pub fn closed() -> Problem {
    Problem::new(Code::AccountClosed, "this user was erased; nothing can be bought any more")
}

fn expired() -> Problem {
    let detail =
        "this request is too old to be sent to Stripe again; start over with a fresh Idempotency-Key";
    Problem::new(Code::CheckoutExpired, detail)
}
