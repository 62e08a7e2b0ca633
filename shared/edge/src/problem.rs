//! Failures as clients see them: `application/problem+json` with a closed set of codes.

use lambda_http::http::{HeaderValue, header};
use lambda_http::{Body, Response};
use serde_json::{Map, Value, json};

macro_rules! codes {
    ($($code:ident = $text:literal, $status:literal, $title:literal;)*) => {
        /// Every way in which a request can fail. Clients may match on the code's text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($code),* }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$code),*];

            pub const fn text(self) -> &'static str {
                match self { $(Code::$code => $text),* }
            }

            pub const fn status(self) -> u16 {
                match self { $(Code::$code => $status),* }
            }

            pub const fn title(self) -> &'static str {
                match self { $(Code::$code => $title),* }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", 400, "The request is not valid";
    MissingIdempotencyKey = "missing_idempotency_key", 400, "An Idempotency-Key is needed";
    InvalidSignature = "invalid_signature", 400, "The signature does not verify";
    WrongMode = "wrong_mode", 400, "Test and live mode do not mix";
    Unauthenticated = "unauthenticated", 401, "Who is calling is not known";
    InsufficientTokens = "insufficient_tokens", 402, "Not enough tokens";
    PaymentRefused = "payment_refused", 402, "Stripe refused";
    Forbidden = "forbidden", 403, "Not allowed";
    FeatureNotIncluded = "feature_not_included", 403, "The plan does not include this";
    NotFound = "not_found", 404, "Not found";
    CheckoutExpired = "checkout_expired", 409, "This checkout can no longer be opened";
    TooLarge = "too_large", 413, "The request is too large";
    UnknownAction = "unknown_action", 422, "No such action";
    UnknownPackage = "unknown_package", 422, "No such package";
    TokensOutOfRange = "tokens_out_of_range", 422, "The number of tokens does not fit";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "This Idempotency-Key was used for another request";
    Internal = "internal", 500, "Something broke on our side";
    StripeUnavailable = "stripe_unavailable", 503, "Stripe cannot be reached";
    Busy = "busy", 503, "Too busy";
}

/// One failure: what is wrong and how to mend it. The cause inside is logged, never shown.
#[derive(Debug)]
pub struct Problem {
    pub code: Code,
    pub detail: String,
    /// More fields that help the client, such as `shortfall`.
    pub more: Map<String, Value>,
    pub retry_after_seconds: Option<u32>,
    cause: Option<String>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem { code, detail: detail.into(), more: Map::new(), retry_after_seconds: None, cause: None }
    }

    /// A failure on our side: `cause` goes to the log only.
    pub fn internal(cause: impl std::fmt::Display) -> Problem {
        let detail = "nothing is lost; report this with the request_id if it persists";
        Problem { cause: Some(cause.to_string()), ..Problem::new(Code::Internal, detail) }
    }

    /// Contention or an outage: the same request with the same key may be sent again.
    pub fn try_again(code: Code, cause: impl std::fmt::Display) -> Problem {
        let detail = "send the same request again, with the same Idempotency-Key";
        let problem = Problem::new(code, detail);
        Problem { cause: Some(cause.to_string()), retry_after_seconds: Some(1), ..problem }
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Problem {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn log(&self, request_id: &str) {
        let (code, status) = (self.code.text(), self.code.status());
        match &self.cause {
            Some(cause) => tracing::error!(request_id, code, status, cause, "failed"),
            None => tracing::info!(request_id, code, status, "refused"),
        }
    }

    pub(crate) fn into_response(self, request_id: &str) -> Response<Body> {
        let mut body = json!({
            "type": format!("/docs#{}", self.code.text()),
            "title": self.code.title(),
            "status": self.code.status(),
            "detail": self.detail,
            "code": self.code.text(),
            "request_id": request_id,
        });
        if let Value::Object(fields) = &mut body {
            fields.extend(self.more);
        }
        let mut response = Response::new(Body::Text(body.to_string()));
        *response.status_mut() = lambda_http::http::StatusCode::from_u16(self.code.status()).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
