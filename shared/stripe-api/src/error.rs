//! How a call to Stripe can fail, told apart by what the caller may believe afterwards.

use std::fmt;
use std::time::Duration;

use domain::ids::PaymentId;
use stripe_client_core::StripeClientErr;

#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// Stripe read the request and said no: it was not done, and the same request will be refused again.
    #[error("stripe refused: {0}")]
    Refused(Box<Refusal>),
    /// Known not to have been done; worth trying again later, with the same key.
    #[error("stripe is unavailable: {why} (request {})", request_id.as_deref().unwrap_or("-"))]
    Unavailable { why: String, retry_after: Option<Duration>, request_id: Option<String> },
    /// Sent, and no answer tells whether it was done. The same key will tell.
    #[error("stripe's answer is unknown: {why} (request {})", request_id.as_deref().unwrap_or("-"))]
    Unknown { why: String, request_id: Option<String> },
    /// An answer that cannot be read as what was asked for.
    #[error("stripe's {object} cannot be read: {problem}")]
    Malformed { object: &'static str, problem: String },
}

/// What Stripe said with a 4xx. For logs and decisions, never for an end user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// `card_error`, `invalid_request_error`, `idempotency_error`, …
    pub kind: Option<String>,
    /// `resource_missing`, `card_declined`, …
    pub code: Option<String>,
    pub decline_code: Option<String>,
    pub param: Option<String>,
    pub message: Option<String>,
    /// The intent that could not be paid: it exists all the same.
    pub payment: Option<PaymentId>,
    pub request_id: Option<String>,
}

impl StripeError {
    /// Whether the same call with the same key may still succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StripeError::Unavailable { .. } | StripeError::Unknown { .. })
    }

    /// Stripe's code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            StripeError::Refused(refusal) => refusal.code.as_deref(),
            _ => None,
        }
    }

    /// Why a payment was declined, in the bank's word, else in Stripe's. `None` for any other error.
    pub fn decline(&self) -> Option<&str> {
        match self {
            StripeError::Refused(refusal) if refusal.status == 402 => {
                refusal.decline_code.as_deref().or(refusal.code.as_deref())
            }
            _ => None,
        }
    }

    /// Tax is to be added, and where its payer lives is not known.
    pub fn lacks_address(&self) -> bool {
        self.code() == Some("customer_tax_location_invalid")
    }

    /// A bank account is to be debited, and its holder has not agreed to that.
    pub fn lacks_mandate(&self) -> bool {
        self.param() == Some("mandate_data")
    }

    /// The request's parameter that was refused.
    pub fn param(&self) -> Option<&str> {
        match self {
            StripeError::Refused(refusal) => refusal.param.as_deref(),
            _ => None,
        }
    }

    /// The idempotency key was first used with a request that was not exactly this one.
    pub fn is_key_reused(&self) -> bool {
        match self {
            StripeError::Refused(refusal) => refusal.kind.as_deref() == Some("idempotency_error"),
            _ => false,
        }
    }

    /// The object itself does not exist. A 404 for any other reason, such as a wrong address, is not that.
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            StripeError::Refused(refusal) => {
                refusal.status == 404 && refusal.code.as_deref() == Some("resource_missing")
            }
            _ => false,
        }
    }

    /// What the request was about does not exist. Stripe answers so with a 400 where a parameter names it.
    pub(crate) fn names_nothing(&self) -> bool {
        self.code() == Some("resource_missing")
    }

    pub(crate) fn malformed(object: &'static str, problem: impl Into<String>) -> StripeError {
        StripeError::Malformed { object, problem: problem.into() }
    }

    /// async-stripe's parse errors name no type; this puts it in.
    pub(crate) fn about(mut self, name: &'static str) -> StripeError {
        if let StripeError::Malformed { object, .. } = &mut self {
            *object = name;
        }
        self
    }
}

impl StripeClientErr for StripeError {
    fn deserialize_err(problem: impl fmt::Display) -> StripeError {
        StripeError::malformed("answer", problem.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        write!(f, "{} {}", self.status, or_dash(&self.code.clone().or(self.kind.clone())))?;
        if let Some(decline) = &self.decline_code {
            write!(f, "/{decline}")?;
        }
        if let Some(param) = &self.param {
            write!(f, " at {param}")?;
        }
        write!(f, " (request {}): {}", or_dash(&self.request_id), or_dash(&self.message))
    }
}
