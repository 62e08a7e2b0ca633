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

/// The same of a payment: what its payer can mend, they are told.
pub fn payment_problem(error: StripeError) -> Problem {
    if let Some(reason) = error.decline() {
        let detail = "the payment was declined, and nothing was changed; try another payment method";
        return Problem::new(Code::PaymentDeclined, detail).with("reason", reason);
    }
    if error.lacks_address() {
        let detail = "tax is added by the buyer's address, and Stripe knows none that will do: say it with \
                      `PUT /v1/me/billing`, then ask again with a fresh Idempotency-Key";
        return Problem::because(Code::BillingAddressNeeded, detail, error);
    }
    if error.lacks_mandate() {
        let detail = "a bank account is debited only once its holder has agreed: leave `payment_method` out and let \
                      them agree where the `client_secret` is used, or before by `POST /v1/me/setups`";
        return Problem::because(Code::MandateNeeded, detail, error);
    }
    match error.param() {
        Some("payment_method" | "default_payment_method") => unusable_method(error),
        _ => stripe_problem(error),
    }
}

/// The payment method that a client named was refused.
pub fn unusable_method(error: StripeError) -> Problem {
    let detail = "this payment method cannot be used: Stripe knows none of that id, or it is somebody else's";
    Problem::because(Code::InvalidRequest, detail, error)
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
