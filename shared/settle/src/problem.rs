//! What a client is told when Stripe or the table failed, or took too long.

use std::time::Duration;

use edge::{Code, Problem};
use stripe_api::StripeError;

use crate::SettleError;

/// Lambda ends a function that waits for Stripe after 28 s, without a word to the client.
/// This says before what to do.
const PATIENCE: Duration = Duration::from_secs(25);

pub async fn in_time<T>(reply: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let late = |_| Problem::try_again(Code::StripeUnavailable, "it took too long");
    tokio::time::timeout(PATIENCE, reply).await.map_err(late)?
}

pub fn settle_problem(error: SettleError) -> Problem {
    match error {
        SettleError::Stripe(error) => stripe_problem(error),
        SettleError::Store(error) => Problem::fault(error),
    }
}

/// The same of a payment: one that was declined is its payer's to mend.
pub fn payment_problem(error: StripeError) -> Problem {
    match error.decline() {
        None => stripe_problem(error),
        Some(reason) => {
            let detail = "the payment was declined, and nothing was changed; try another payment method";
            Problem::new(Code::PaymentDeclined, detail).with("reason", reason)
        }
    }
}

/// A timeout is an unknown outcome: the client is told to send the same again, never that it failed.
pub fn stripe_problem(error: StripeError) -> Problem {
    match error {
        error if error.is_retryable() => Problem::try_again(Code::StripeUnavailable, error),
        StripeError::Refused(_) => {
            let detail = "Stripe refused this; its reason is in our log under the request_id";
            Problem::because(Code::StripeRefused, detail, error)
        }
        error => Problem::internal(error),
    }
}
