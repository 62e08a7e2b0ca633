//! Reading requests and writing replies.

use std::future::Future;

use domain::cause::{Cause, Operation};
use domain::ids::{RequestKey, UserId};
use domain::request::RequestHash;
use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
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
pub fn query<T: std::str::FromStr>(request: &Request, name: &str) -> Result<Option<T>, Problem> {
    let parameters = request.query_string_parameters_ref();
    match parameters.and_then(|parameters| parameters.first(name)).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => {
                Err(Problem::new(Code::InvalidRequest, format!("the query parameter `{name}` is not valid")))
            }
        },
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

pub fn once_by(key: RequestKey, user: &UserId, operation: Operation, body: &Value) -> Once {
    let hash = RequestHash::of(operation, &[user.as_str()], body);
    Once { cause: Cause::Request { user: user.clone(), operation, key: key.clone() }, key, hash }
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
}
