//! Failures as clients see them: `application/problem+json` with a closed set of codes.

use domain::fault::Fault;
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
    PaymentDeclined = "payment_declined", 402, "The payment was declined";
    Forbidden = "forbidden", 403, "Not allowed";
    FeatureNotIncluded = "feature_not_included", 403, "The plan does not include this";
    NotFound = "not_found", 404, "Not found";
    NotRefundable = "not_refundable", 409, "So much cannot be refunded";
    CheckoutExpired = "checkout_expired", 409, "This checkout can no longer be opened";
    AlreadySubscribed = "already_subscribed", 409, "A subscription of this kind is live";
    NothingToChange = "nothing_to_change", 409, "It is so already";
    PaymentDue = "payment_due", 409, "Something is to be paid first";
    PaymentMethodInUse = "payment_method_in_use", 409, "A subscription is paid with this";
    AlreadyOwned = "already_owned", 409, "This is somebody's already";
    AlreadyResolved = "already_resolved", 409, "This hold was captured or released before";
    AccountClosed = "account_closed", 410, "The account is closed";
    TooLarge = "too_large", 413, "The request is too large";
    UnknownAction = "unknown_action", 422, "No such action";
    UnknownPackage = "unknown_package", 422, "No such package";
    UnknownPlan = "unknown_plan", 422, "No such plan";
    BillingAddressNeeded = "billing_address_needed", 422, "Tax needs an address";
    MandateNeeded = "mandate_needed", 422, "A debit needs its holder's mandate";
    NotForSale = "not_for_sale", 422, "This has to be asked for";
    TokensOutOfRange = "tokens_out_of_range", 422, "The number of tokens does not fit";
    DuplicateSubject = "duplicate_subject", 422, "Somebody is named twice";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "This Idempotency-Key was used for another request";
    BeyondHold = "beyond_hold", 422, "More than the hold has";
    NotAttachable = "not_attachable", 422, "This cannot be attached";
    TooManyHolds = "too_many_holds", 429, "Too many holds are open";
    GrantCapReached = "grant_cap_reached", 429, "The day's grants are used up";
    Internal = "internal", 500, "Something broke on our side";
    StripeRefused = "stripe_refused", 502, "Stripe refused";
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

    /// A failure of something behind us: `cause` goes to the log only.
    pub fn because(code: Code, detail: impl Into<String>, cause: impl std::fmt::Display) -> Problem {
        Problem { cause: Some(cause.to_string()), ..Problem::new(code, detail) }
    }

    /// A failure on our side: `cause` goes to the log only.
    pub fn internal(cause: impl std::fmt::Display) -> Problem {
        Problem::because(Code::Internal, "report this with its request_id if it persists", cause)
    }

    /// What an adapter's failure means for the client.
    pub fn fault(error: impl Fault) -> Problem {
        if error.is_retryable() { Problem::try_again(Code::Busy, error) } else { Problem::internal(error) }
    }

    pub fn key_reused() -> Problem {
        let detail = "the first request under this key had another body; use a fresh key for a new request";
        Problem::new(Code::IdempotencyKeyReused, detail)
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
        *response.status_mut() =
            lambda_http::http::StatusCode::from_u16(self.code.status()).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
