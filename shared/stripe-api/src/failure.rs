//! One attempt's failure: what it proves, whether to try again, and what to call it in the end.

use std::time::Duration;

use bytes::Bytes;
use domain::ids::PaymentId;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::error::{Refusal, StripeError};

/// Stripe's messages are a sentence; what is longer was not written by Stripe.
const MESSAGE_LIMIT: usize = 500;

#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    pub status: Option<u16>,
    pub request_id: Option<String>,
    pub retry_after: Option<Duration>,
    /// Stripe's own word on whether to try again.
    should_retry: Option<bool>,
}

#[derive(Debug)]
enum Kind {
    /// No connection: Stripe never saw it.
    Unsent(String),
    /// Sent, then silence.
    Unanswered(String),
    /// Turned away before anything was done.
    Busy,
    /// A 5xx: Stripe's own advice is to treat the outcome as open.
    Broken,
    Refused(Box<Refusal>),
    /// Answered with something we will not read.
    Unreadable(String),
}

impl Failure {
    pub fn unsent(why: String) -> Failure {
        Failure::without_answer(Kind::Unsent(why))
    }

    pub fn unanswered(why: impl Into<String>) -> Failure {
        Failure::without_answer(Kind::Unanswered(why.into()))
    }

    pub fn unreadable(why: impl Into<String>) -> Failure {
        Failure::without_answer(Kind::Unreadable(why.into()))
    }

    fn without_answer(kind: Kind) -> Failure {
        Failure { kind, status: None, request_id: None, retry_after: None, should_retry: None }
    }

    /// An answer whose status is not a success.
    pub fn answered(head: &Parts, body: &Bytes) -> Failure {
        let request_id = text(&head.headers, "request-id").map(str::to_owned);
        let kind = match head.status {
            StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => Kind::Busy,
            status if status.is_server_error() => Kind::Broken,
            status => Kind::Refused(Box::new(refusal(status, body, request_id.clone()))),
        };
        Failure {
            kind,
            status: Some(head.status.as_u16()),
            request_id,
            retry_after: text(&head.headers, "retry-after")
                .and_then(|after| after.parse().ok())
                .map(Duration::from_secs),
            should_retry: text(&head.headers, "stripe-should-retry").and_then(|word| word.parse().ok()),
        }
    }

    /// Whether this attempt may have been carried out all the same.
    pub fn leaves_doubt(&self) -> bool {
        matches!(self.kind, Kind::Unanswered(_) | Kind::Broken)
    }

    pub fn is_transient(&self) -> bool {
        let by_kind = !matches!(self.kind, Kind::Refused(_) | Kind::Unreadable(_));
        self.should_retry.unwrap_or(by_kind)
    }

    /// The call's error when this was its last attempt. `in_doubt`: some attempt may have been carried out.
    pub fn into_error(self, in_doubt: bool) -> StripeError {
        let Failure { kind, status, request_id, retry_after, .. } = self;
        let why = match kind {
            // Turned away at the door, so it says nothing about an earlier attempt.
            Kind::Refused(refusal) if in_doubt && matches!(refusal.status, 401 | 403) => refusal.to_string(),
            Kind::Refused(refusal) => return StripeError::Refused(refusal),
            Kind::Unreadable(why) => return StripeError::malformed("answer", why),
            Kind::Unsent(why) | Kind::Unanswered(why) => why,
            Kind::Busy | Kind::Broken => format!("status {}", status.unwrap_or_default()),
        };
        match in_doubt {
            true => StripeError::Unknown { why, request_id },
            false => StripeError::Unavailable { why, retry_after, request_id },
        }
    }
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Deserialize, Default)]
struct ErrorDetail {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    param: Option<String>,
    message: Option<String>,
    #[serde(default)]
    payment_intent: serde_json::Value,
}

/// Read leniently: whatever the body is, the status alone is a refusal.
fn refusal(status: StatusCode, body: &Bytes, request_id: Option<String>) -> Refusal {
    let detail = serde_json::from_slice(body).map(|body: ErrorBody| body.error).unwrap_or_default();
    Refusal {
        status: status.as_u16(),
        kind: detail.kind,
        code: detail.code,
        decline_code: detail.decline_code,
        param: detail.param,
        payment: detail.payment_intent["id"].as_str().and_then(|id| PaymentId::parse(id).ok()),
        message: detail.message.map(|message| message.chars().take(MESSAGE_LIMIT).collect()),
        request_id,
    }
}
