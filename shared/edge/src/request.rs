//! Reading requests and writing replies.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::cause::{Cause, Operation};
use domain::ids::{RequestKey, UserId};
use domain::mutants::Mutant;
use domain::privacy::PrivacyKeys;
use domain::request::RequestHash;
use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::problem::{Code, Problem};

/// Far more than any request of ours needs.
const LARGEST_BODY: usize = 64 * 1024;

/// Turns a handler's outcome into a response, and logs a failure: once, here.
pub async fn answer(
    request: &Request,
    outcome: impl Future<Output = Result<Reply, Problem>>,
) -> Response<Body> {
    let request_id = request_id(request);
    match outcome.await {
        Ok(reply) => reply.into_response(),
        Err(problem) => {
            problem.log(&request_id);
            problem.into_response(&request_id)
        }
    }
}

/// The route that API Gateway matched, such as `POST /v1/me/consume`.
pub fn route(request: &Request) -> &str {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.route_key.as_deref().unwrap_or_default(),
        _ => "",
    }
}

/// The same as a user calls it: what a service does for one of them is done in the same way.
pub fn route_for_user(request: &Request) -> String {
    route(request).replacen("/v1/users/{user}", "/v1/me", 1)
}

/// What a function answers to a route that template.yaml should not have sent it.
pub fn no_such_route(request: &Request) -> Problem {
    Problem::new(Code::NotFound, format!("no handler for `{}`", route(request)))
}

fn request_id(request: &Request) -> String {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

/// A path parameter as its checked type. One that cannot name anything is simply not found.
pub fn path<T: std::str::FromStr>(request: &Request, name: &str) -> Result<T, Problem> {
    let parameters = request.path_parameters_ref();
    let text = parameters.and_then(|parameters| parameters.first(name)).unwrap_or_default();
    text.parse().map_err(|_| Problem::new(Code::NotFound, format!("there is no such {name}")))
}

/// A query parameter as its type; absent or empty means `None`.
pub fn query<T: std::str::FromStr<Err: std::fmt::Display>>(
    request: &Request,
    name: &str,
) -> Result<Option<T>, Problem> {
    let parameters = request.query_string_parameters_ref();
    let text = parameters.and_then(|parameters| parameters.first(name)).filter(|text| !text.is_empty());
    let wrong = |error| Problem::new(Code::InvalidRequest, format!("the query parameter `{name}`: {error}"));
    text.map(str::parse).transpose().map_err(wrong)
}

const PAGE: u16 = 25;
const LARGEST_PAGE: u16 = 100;

/// How many a list is to show at once: `?limit=`.
pub fn page_size(request: &Request) -> Result<u16, Problem> {
    let limit = query(request, "limit")?.unwrap_or(PAGE);
    match (1..=LARGEST_PAGE).contains(&limit) {
        true => Ok(limit),
        false => Err(Problem::new(Code::InvalidRequest, format!("`limit` is from 1 to {LARGEST_PAGE}"))),
    }
}

/// The client's key, or else the gateway's own id of this request: fresh, and named in the answer.
pub fn key_or_fresh(request: &Request) -> Result<RequestKey, Problem> {
    match idempotency_key(request)? {
        Some(key) => Ok(key),
        None => RequestKey::parse(request_id(request)).map_err(Problem::internal),
    }
}

/// A JSON body as its type, beside the plain JSON that request hashes are made of.
pub fn body<T: DeserializeOwned>(request: &Request) -> Result<(T, Value), Problem> {
    body_within(LARGEST_BODY, request)
}

/// The same, where a request says for many what others say for one.
pub fn body_within<T: DeserializeOwned>(largest: usize, request: &Request) -> Result<(T, Value), Problem> {
    let bytes: &[u8] = request.body().as_ref();
    if bytes.len() > largest {
        return Err(Problem::new(Code::TooLarge, format!("a body may have {largest} bytes")));
    }
    let wrong = |error: serde_json::Error| Problem::new(Code::InvalidRequest, format!("the body: {error}"));
    let value: Value = match bytes {
        // Where everything is optional, nothing says as much as `{}`.
        [] => Value::Object(Map::new()),
        bytes => serde_json::from_slice(bytes).map_err(wrong)?,
    };
    let typed = T::deserialize(&value).map_err(wrong)?;
    Ok((typed, value))
}

/// Of a route that takes nothing: what a client says nonetheless is a mistake.
pub fn empty_body(request: &Request) -> Result<(), Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    body(request).map(|(Nothing {}, _)| ())
}

/// What makes a mutation repeatable: its cause, and the hash that tells another request under the same key.
#[derive(Debug, Clone)]
pub struct Once {
    pub cause: Cause,
    pub key: RequestKey,
    pub hash: RequestHash,
}

/// With the required `Idempotency-Key`.
pub fn once(request: &Request, user: &UserId, operation: Operation, body: &Value) -> Result<Once, Problem> {
    Ok(once_by(required_key(request)?, user, operation, body))
}

pub fn required_key(request: &Request) -> Result<RequestKey, Problem> {
    let missing =
        "send a header `Idempotency-Key` with a fresh unique value, and the same value when you retry";
    idempotency_key(request)?.ok_or_else(|| Problem::new(Code::MissingIdempotencyKey, missing))
}

pub fn once_by(mut key: RequestKey, user: &UserId, operation: Operation, body: &Value) -> Once {
    if Mutant::RetryWithNewCause.lives() {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        key = RequestKey::parse(format!("{key}-{call}")).unwrap_or(key);
    }
    let hash = RequestHash::of(operation, &[user.as_str()], body);
    Once { cause: Cause::Request { user: user.clone(), operation, key: key.clone() }, key, hash }
}

/// Fields of a body that say something about a person, at any depth.
const PERSONAL: [&str; 4] = ["email", "note", "success_url", "cancel_url"];

/// A body as it may be hashed for good: whoever guesses an email must not find it confirmed in the books, so keyed
/// hashes stand where personal words did.
pub fn concealed(body: &Value, keys: &PrivacyKeys) -> Value {
    match body {
        Value::Object(fields) => {
            let conceal = |(name, value): (&String, &Value)| match value {
                Value::String(words) if PERSONAL.contains(&name.as_str()) => {
                    (name.clone(), keys.in_request(words).to_string().into())
                }
                value => (name.clone(), concealed(value, keys)),
            };
            Value::Object(fields.iter().map(conceal).collect())
        }
        Value::Array(values) => values.iter().map(|value| concealed(value, keys)).collect(),
        plain => plain.clone(),
    }
}

pub fn idempotency_key(request: &Request) -> Result<Option<RequestKey>, Problem> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let wrong = |error: domain::ids::BadId| Problem::new(Code::InvalidRequest, error.to_string());
    RequestKey::parse(text).map(Some).map_err(wrong)
}

/// A success: status, JSON body, headers.
#[derive(Debug)]
pub struct Reply(Response<Body>);

impl Reply {
    pub fn ok(body: &impl Serialize) -> Result<Reply, Problem> {
        Reply::json(StatusCode::OK, body)
    }

    pub fn created(body: &impl Serialize) -> Result<Reply, Problem> {
        Reply::json(StatusCode::CREATED, body)
    }

    pub fn accepted(body: &impl Serialize) -> Result<Reply, Problem> {
        Reply::json(StatusCode::ACCEPTED, body)
    }

    /// Done, and nothing is left to be said.
    pub fn no_content() -> Reply {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        Reply(response)
    }

    fn json(status: StatusCode, body: &impl Serialize) -> Result<Reply, Problem> {
        let text = serde_json::to_string(body).map_err(Problem::internal)?;
        let mut response = Response::new(Body::Text(text));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Balances and prices change; nobody in between may keep them.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(Reply(response))
    }

    /// For what everybody may see: browsers and CDNs may keep it for a minute.
    pub fn public(body: &impl Serialize) -> Result<Reply, Problem> {
        let mut reply = Reply::ok(body)?;
        let minute = HeaderValue::from_static("public, max-age=60");
        reply.0.headers_mut().insert(header::CACHE_CONTROL, minute);
        Ok(reply)
    }

    /// Names the key that was used, where the client did not have to send one.
    pub fn with_key(mut self, key: &RequestKey) -> Reply {
        if let Ok(value) = HeaderValue::from_str(key.as_str()) {
            self.0.headers_mut().insert("idempotency-key", value);
        }
        self
    }

    fn into_response(self) -> Response<Body> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_key_was_used_for_is_told_as_it_always_was() {
        let (user, key) = (UserId::parse("ada").unwrap(), RequestKey::parse("k").unwrap());
        let once = once_by(key, &user, Operation::Consume, &json!({"action": "photo"}));
        assert_eq!(once.cause.to_string(), "req:ada:consume:k");
        let hash = serde_json::to_value(&once.hash).unwrap();
        assert_eq!(hash, "Jo79Tdr1-PlLN_7ZvulxE966KOHjcN9fyJhrBqIbgGc");
    }

    const FIRST: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const SECOND: &str = "2:__________________________________________8";

    /// The hash of a body under these keys.
    fn concealed_by(keys: &str, body: &Value) -> RequestHash {
        let user = UserId::parse("operator").unwrap();
        let body = concealed(body, &PrivacyKeys::parse(keys).unwrap());
        once_by(RequestKey::parse("k").unwrap(), &user, Operation::Grant, &body).hash
    }

    #[test]
    fn who_guesses_an_email_does_not_find_it_confirmed_in_the_books() {
        let plain = |body: &Value| RequestHash::of(Operation::Grant, &["operator"], body);
        for body in [
            json!({"email": "ada@app.example", "tokens": 5}),
            json!({"user": "ada", "tokens": 5, "note": "sorry"}),
            json!({"rows": [{"email": "ada@app.example", "tokens": 5}]}),
            json!({"package": "small", "success_url": "https://app.example/ada"}),
            json!({"package": "small", "cancel_url": "https://app.example/ada"}),
        ] {
            assert_ne!(concealed_by(FIRST, &body), plain(&body), "{body}");
            assert_ne!(concealed_by(FIRST, &body), concealed_by(SECOND, &body), "{body}");
        }
        let nothing_personal = json!({"user": "ada", "tokens": 5});
        assert_eq!(concealed_by(FIRST, &nothing_personal), plain(&nothing_personal));
    }

    #[test]
    fn a_concealed_request_is_told_from_another_and_known_again_under_newer_keys() {
        let to = |email: &str| json!({"rows": [{"email": email, "tokens": 5}]});
        let (ada, bob) = (to("ada@app.example"), to("bob@app.example"));
        assert_ne!(concealed_by(FIRST, &ada), concealed_by(FIRST, &bob));
        assert_eq!(concealed_by(FIRST, &ada), concealed_by(&format!("{FIRST},{SECOND}"), &ada));
    }
}
