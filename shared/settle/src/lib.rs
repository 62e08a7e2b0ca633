//! Where Stripe meets the books. Whoever hears of a payment calls [`Settle::fulfil`], of a refund or a dispute
//! [`Settle::reverse`], that one was begun or failed [`Settle::attempt`], and whoever hears that a subscription may
//! have changed calls [`Settle::sync`]: a webhook, a success page, a repetition, in any order.

mod attach;
mod attempt;
mod erase;
mod fulfil;
mod guard;
mod owner;
mod payer;
mod problem;
mod reverse;
mod sync;

use std::time::Duration;

use domain::fault::Fault;
use domain::time::Time;
use edge::{BadSetting, Env};
use store::{Catalogs, Store, StoreError, Unclaimed};
use stripe_api::{Settings, Stripe, StripeError};

pub use attach::Attached;
pub use attempt::Attempted;
pub use fulfil::Fulfilled;
pub use problem::{in_time, payment_problem, settle_problem, stripe_problem, unusable_method};
pub use reverse::{Reversal, Standing};
pub use sync::Synced;

/// Brings facts from Stripe into the books, exactly once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Settle {
    store: Store,
    catalogs: Catalogs,
    stripe: Stripe,
    stack: String,
}

/// One call's; a request may make several, and bounds them all together.
const STRIPE_BUDGET: Duration = Duration::from_secs(9);

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
            ("test", false) | ("live", true) => Ok(Settle::new(store, catalogs, stripe, stack)),
            _ => Err(wrong(format!("it is not a key of the mode that STRIPE_MODE names, {mode}"))),
        }
    }

    pub fn new(store: Store, catalogs: Catalogs, stripe: Stripe, stack: String) -> Settle {
        Settle { store, catalogs, stripe, stack }
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

    /// Keeps what nobody can be credited with, for an operator to attach.
    async fn unclaimed(
        &self,
        object: &str,
        reason: &'static str,
        seen_in: &str,
        now: Time,
    ) -> Result<(), StoreError> {
        let (object, event) = (object.to_owned(), seen_in.to_owned());
        let unclaimed = Unclaimed { object, event, reason: reason.to_owned(), at: now };
        if self.store.put_unclaimed(&unclaimed).await? {
            tracing::error!(object = unclaimed.object, reason, "an object of Stripe's is unclaimed");
        }
        Ok(())
    }
}
