//! What the API answers instead of an object: Stripe's error JSON, its statuses and codes.

use serde_json::{Map, Value, json};

use crate::tx::kind_of;

pub type Answer<T> = Result<T, Failure>;

/// A refusal. The transaction it happens in is rolled back; a decline, which leaves traces, is a
/// [`crate::tx::Reply`] with status 402 instead.
#[derive(Debug)]
pub struct Failure {
    pub status: u16,
    pub message: String,
    kind: &'static str,
    code: Option<&'static str>,
    decline_code: Option<&'static str>,
    param: Option<String>,
    /// The object that it is about, under the name of its kind.
    about: Option<Box<Value>>,
    /// Whether the request had begun to execute, so that its idempotency key remembers the refusal.
    pub remembered: bool,
}

impl Failure {
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    /// The request was well formed but the state of things forbids it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self { remembered: true, ..Self::invalid(message) }
    }

    pub fn missing_param(name: &str) -> Self {
        Self::invalid(format!("Missing required param: {name}.")).code("parameter_missing").param(name)
    }

    pub fn unknown_param(name: &str) -> Self {
        Self::invalid(format!("Received unknown parameter: {name}")).code("parameter_unknown").param(name)
    }

    /// Parameters that say the same in different ways.
    pub fn one_of(names: &[&str]) -> Self {
        Self::invalid(format!("You may only specify one of these parameters: {}.", names.join(", ")))
            .param(names[0])
    }

    /// A parameter Stripe has and the sandbox does not act on: better refused than ignored.
    pub fn unsupported_param(name: &str) -> Self {
        Self::invalid(format!("The Stripe sandbox does not support the parameter {name}.")).param(name)
    }

    /// The object named by the path.
    pub fn no_such(kind: &str, id: &str) -> Self {
        let failure = Self::new(404, "invalid_request_error", format!("No such {kind}: '{id}'"));
        failure.code("resource_missing").param("id")
    }

    /// An object named by a parameter: Stripe answers 400, not 404.
    pub fn no_such_reference(kind: &str, id: &str, param: &str) -> Self {
        Self { status: 400, ..Self::no_such(kind, id) }.param(param)
    }

    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, "invalid_request_error", message)
    }

    pub fn unknown_url(method: &str, path: &str) -> Self {
        Self::new(404, "invalid_request_error", format!("Unrecognized request URL ({method}: {path})."))
    }

    pub fn key_reused(message: String) -> Self {
        Self::new(400, "idempotency_error", message)
    }

    pub fn key_in_use(key: &str) -> Self {
        let message =
            format!("Another request with the idempotency key '{key}' is still running. Try again later.");
        Self::new(409, "invalid_request_error", message).code("idempotency_key_in_use")
    }

    pub fn incorrect_number(message: impl Into<String>) -> Self {
        Self::new(402, "card_error", message).code("incorrect_number").param("card")
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "invalid_request_error", message)
    }

    /// A payment that does not go through, and of which nothing is kept.
    pub fn card(message: impl Into<String>, code: &'static str) -> Self {
        Self { remembered: true, ..Self::new(402, "card_error", message).code(code) }
    }

    /// A decline of which nothing is kept.
    pub fn declined(message: &str, decline_code: &'static str) -> Self {
        let failure = Self::new(402, "card_error", message).code("card_declined");
        Self { decline_code: Some(decline_code), remembered: true, ..failure }
    }

    pub fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    pub fn param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// Shows the object whose state is in the way.
    pub fn about(self, object: &Value) -> Self {
        Self { about: Some(Box::new(object.clone())), ..self }
    }

    /// Shows less of that object.
    pub fn with_less(mut self, hide: impl Fn(&mut Value)) -> Self {
        if let Some(object) = &mut self.about {
            hide(object);
        }
        self
    }

    /// The parameter that is refused.
    pub fn named(&self) -> Option<&str> {
        self.param.as_deref()
    }

    pub fn is_key_in_use(&self) -> bool {
        self.code == Some("idempotency_key_in_use")
    }

    pub fn body(&self) -> Value {
        let mut error = Map::new();
        error.insert("type".into(), json!(self.kind));
        error.insert("message".into(), json!(self.message));
        if let Some(code) = self.code {
            error.insert("code".into(), json!(code));
            error.insert("doc_url".into(), json!(doc_url(code)));
        }
        if let Some(code) = self.decline_code {
            error.insert("decline_code".into(), json!(code));
        }
        if let Some(param) = &self.param {
            error.insert("param".into(), json!(param));
        }
        if let Some(object) = &self.about {
            error.insert(kind_of(object).to_owned(), object.as_ref().clone());
        }
        json!({ "error": error })
    }

    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            message,
            kind,
            code: None,
            decline_code: None,
            param: None,
            about: None,
            remembered: false,
        }
    }
}

pub fn doc_url(code: &str) -> String {
    format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"))
}

impl From<rusqlite::Error> for Failure {
    fn from(cause: rusqlite::Error) -> Self {
        tracing::error!(%cause, "the sandbox's database failed");
        Self::new(500, "api_error", "The sandbox's database failed; its log says why.")
    }
}

impl From<serde_json::Error> for Failure {
    fn from(cause: serde_json::Error) -> Self {
        tracing::error!(%cause, "a stored object is not JSON");
        Self::new(500, "api_error", "A stored object is unreadable; the sandbox's log says more.")
    }
}
