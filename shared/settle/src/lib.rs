//! Where Stripe meets the books: every trigger that hears of a payment calls the same [`Settle::fulfil`].

use std::time::Duration;

use domain::cause::Cause;
use domain::decide::{Act, Command, Refusal};
use domain::entry::{Detail, Entry};
use domain::fault::Fault;
use domain::ids::UserId;
use domain::payment::Payment;
use domain::time::Time;
use edge::{BadSetting, Env};
use store::{Applied, Catalogs, Store, StoreError, Unclaimed};
use stripe_api::{Settings, Stripe, StripeError};

/// Brings facts from Stripe into the books, exactly once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Settle {
    store: Store,
    catalogs: Catalogs,
    stripe: Stripe,
    stack: String,
}

/// A request calls Stripe at most twice, and has to answer before Lambda ends it after 28 s.
const STRIPE_BUDGET: Duration = Duration::from_secs(9);

/// What came of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fulfilled {
    Credited(Entry),
    /// Somebody was faster; this is the entry that credited it.
    Before(Entry),
    /// Paid, but nobody's, or for nothing we know: kept until an operator attaches it.
    Unclaimed(&'static str),
    /// Another deployment's, which hears of it too.
    AnotherStack,
}

/// Whose payment it is.
enum Owner {
    User(UserId),
    Nobody,
    AnotherStack,
}

#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stripe(#[from] StripeError),
}

impl Fault for SettleError {
    fn is_retryable(&self) -> bool {
        match self {
            SettleError::Store(error) => error.is_retryable(),
            SettleError::Stripe(error) => error.is_retryable(),
        }
    }
}

impl Settle {
    /// Reads the settings `STRIPE_SECRET_KEY`, `STRIPE_MODE`, `STACK_NAME` and, for another Stripe than Stripe's,
    /// `STRIPE_API_BASE`. A key of the other mode refuses the start: test cards must never buy live tokens.
    pub fn from_env(env: &Env, store: Store, catalogs: Catalogs) -> Result<Settle, BadSetting> {
        let stack = env.required("STACK_NAME")?;
        let api_base = env.optional("STRIPE_API_BASE");
        let mode = env.required("STRIPE_MODE")?;
        let settings = Settings {
            api_base,
            budget: STRIPE_BUDGET,
            ..Settings::new(env.required("STRIPE_SECRET_KEY")?, &stack)
        };
        let wrong = |problem: String| BadSetting::Wrong { name: "STRIPE_SECRET_KEY", problem };
        let stripe = Stripe::new(settings).map_err(|error| wrong(error.to_string()))?;
        match (mode.as_str(), stripe.livemode()) {
            ("test", false) | ("live", true) => Ok(Settle { store, catalogs, stripe, stack }),
            _ => Err(wrong(format!("it is not a key of the mode that STRIPE_MODE names, {mode}"))),
        }
    }

    /// Whether real money moves.
    pub fn livemode(&self) -> bool {
        self.stripe.livemode()
    }

    pub fn stripe(&self) -> &Stripe {
        &self.stripe
    }

    /// The name of this deployment, which everything it creates in Stripe carries.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// Credits a payment to its owner. `seen_in` names the event or route that told of it.
    pub async fn fulfil(
        &self,
        payment: &Payment,
        seen_in: &str,
        now: Time,
    ) -> Result<Fulfilled, SettleError> {
        if payment.envelope.stack.as_ref().is_some_and(|stack| *stack != self.stack) {
            return Ok(Fulfilled::AnotherStack);
        }
        let user = match self.owner(payment).await? {
            Owner::User(user) => user,
            Owner::Nobody => return self.unclaimed(payment, "no owner", seen_in, now).await,
            Owner::AnotherStack => return Ok(Fulfilled::AnotherStack),
        };
        let (Some(version), Some(item)) = (payment.envelope.catalog, payment.envelope.item.clone()) else {
            return self.unclaimed(payment, "no item", seen_in, now).await;
        };
        let Some(published) = self.catalogs.version(version).await? else {
            return self.unclaimed(payment, "unknown catalog version", seen_in, now).await;
        };
        let act = Act::Purchase { payment: payment.clone(), item, catalog: version };
        let command = Command { cause: Cause::Payment(payment.id.clone()), request: None, act };
        match self.store.apply(&user, &command, &published.catalog, now).await? {
            Applied::Done(entry) => Ok(Fulfilled::Credited(entry)),
            Applied::Before(entry) => {
                expect_same(&entry, payment);
                Ok(Fulfilled::Before(entry))
            }
            Applied::Refused(Refusal::UnknownItem(_)) => {
                self.unclaimed(payment, "unknown item", seen_in, now).await
            }
            Applied::Refused(_) | Applied::KeyReused => {
                self.unclaimed(payment, "not creditable", seen_in, now).await
            }
        }
    }

    /// In order: the object's metadata, our pointer of its customer, the customer's own metadata.
    async fn owner(&self, payment: &Payment) -> Result<Owner, SettleError> {
        let pointed = match &payment.customer {
            Some(customer) => self.store.customer_owner(customer).await?,
            None => None,
        };
        if let Some(user) = &payment.envelope.user {
            if pointed.as_ref().is_some_and(|pointed| pointed != user) {
                tracing::warn!(payment = %payment.id, "metadata and customer name different users; metadata wins");
            }
            return Ok(Owner::User(user.clone()));
        }
        let customer = match (pointed, &payment.customer) {
            (Some(user), _) => return Ok(Owner::User(user)),
            (None, None) => return Ok(Owner::Nobody),
            (None, Some(customer)) => customer,
        };
        let envelope = self.stripe.customer_owner(customer).await?.unwrap_or_default();
        Ok(match (envelope.stack, envelope.user) {
            (Some(stack), _) if stack != self.stack => Owner::AnotherStack,
            (Some(_), Some(user)) => Owner::User(user),
            _ => Owner::Nobody,
        })
    }

    async fn unclaimed(
        &self,
        payment: &Payment,
        reason: &'static str,
        seen_in: &str,
        now: Time,
    ) -> Result<Fulfilled, SettleError> {
        let object = payment.id.to_string();
        let unclaimed = Unclaimed { object, event: seen_in.to_owned(), reason, at: now };
        if self.store.put_unclaimed(&unclaimed).await? {
            tracing::error!(payment = %payment.id, reason, "a payment is unclaimed");
        }
        Ok(Fulfilled::Unclaimed(reason))
    }
}

/// The same payment told differently is a fact worth an alarm; the first telling stands.
fn expect_same(entry: &Entry, payment: &Payment) {
    let told = &payment.envelope;
    let same = match &entry.detail {
        Detail::Purchase { item, catalog, paid, customer } => {
            told.user.as_ref().is_none_or(|user| *user == entry.user)
                && (told.item.as_ref(), told.catalog) == (Some(item), Some(*catalog))
                && (paid, customer) == (&payment.paid, &payment.customer)
        }
        _ => false,
    };
    if !same {
        tracing::error!(payment = %payment.id, seq = entry.seq, "this payment was booked with other contents");
    }
}
