//! What API Gateway, its JWT authorizer and function URLs do, on loopback.
//!
//! A function sees the event that AWS would send it, through the parser it uses there. Answers that never
//! reach a function (401, 404, 413, 500) are AWS's own, to the byte.

mod cors;
mod event;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body as HttpBody, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use lambda_http::Body;
use serde_json::{Value, json};

use crate::keys::{BadToken, Claims, Tokens};
use crate::loopback;
use crate::template::Template;
use cors::Cors;
use event::Incoming;
use routes::Routes;

/// Calls a function by its crate's name.
pub type Invoke = Arc<
    dyn Fn(String, lambda_http::Request) -> BoxFuture<'static, lambda_http::Response<Body>> + Send + Sync,
>;

const LARGEST_API_BODY: usize = 10 * 1024 * 1024;
const LARGEST_URL_BODY: usize = 6 * 1024 * 1024;

pub struct Gateway {
    routes: Routes,
    cors: Cors,
    with_url: Vec<String>,
    tokens: Tokens,
    invoke: Invoke,
}

impl Gateway {
    /// Pages of `origins` may call the API.
    pub fn new(template: &Template, origins: Vec<String>, tokens: Tokens, invoke: Invoke) -> Gateway {
        let with_url = template.functions.iter().filter(|function| function.has_url);
        let with_url = with_url.map(|function| function.name.clone()).collect();
        let (routes, cors) = (Routes::new(template.routes()), Cors::new(&template.cors, origins));
        Gateway { routes, cors, with_url, tokens, invoke }
    }

    /// The API, function URLs at `/lambda-url/<name>`, and the stack's own routes before both.
    pub fn router(self, local: Router) -> Router {
        let gateway = Router::new().fallback(answer).with_state(Arc::new(self));
        local.fallback_service(gateway).layer(middleware::from_fn(loopback::only))
    }

    async fn api(&self, id: &str, parts: &Parts, body: HttpBody) -> Result<Response, Refusal> {
        if parts.method == Method::OPTIONS {
            return Ok(self.cors.preflight(&parts.headers));
        }
        let matched = self.routes.find(&parts.method, parts.uri.path()).ok_or(Refusal::NotFound)?;
        let claims = match matched.route.public {
            true => None,
            false => Some(self.authorize(parts)?),
        };
        let body = to_bytes(body, LARGEST_API_BODY).await.map_err(|_| Refusal::TooLarge)?;
        let event = event::of_api(&Incoming { id, parts, body: &body }, &matched, claims.as_ref());
        let mut response = self.call(&matched.route.function, event).await.ok_or(Refusal::Broken)?;
        self.cors.mark(&parts.headers, response.headers_mut());
        tracing::info!(route = matched.key(), status = response.status().as_u16(), "answered");
        Ok(response)
    }

    /// `at` is a function's name and, after a slash, the path that it sees.
    async fn function_url(
        &self,
        at: &str,
        id: &str,
        parts: &Parts,
        body: HttpBody,
    ) -> Result<Response, Refusal> {
        let (name, path) =
            at.split_once('/').map_or((at, "/".to_owned()), |(name, rest)| (name, format!("/{rest}")));
        if !self.with_url.iter().any(|with_url| with_url == name) {
            return Err(Refusal::NotFound);
        }
        let body = to_bytes(body, LARGEST_URL_BODY).await.map_err(|_| Refusal::TooLarge)?;
        let event = event::of_function_url(&Incoming { id, parts, body: &body }, name, &path);
        let response = self.call(name, event).await.ok_or(Refusal::BrokenUrl)?;
        tracing::info!(function = name, status = response.status().as_u16(), "answered");
        Ok(response)
    }

    fn authorize(&self, parts: &Parts) -> Result<Claims, Refusal> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|header| header.to_str().ok());
        let token = header.map(str::trim).filter(|header| !header.is_empty()).ok_or(Refusal::NoToken)?;
        let token = match token.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => token,
        };
        self.tokens.verify(token).map_err(Refusal::BadToken)
    }

    /// Runs a function to its end, even if the client leaves. `None` if it panicked.
    async fn call(&self, function: &str, event: Value) -> Option<Response> {
        let (invoke, name) = (self.invoke.clone(), function.to_owned());
        let running = tokio::spawn(async move {
            let request =
                lambda_http::request::from_str(&event.to_string()).expect("our events are AWS's events");
            invoke(name, request).await
        });
        match running.await {
            Ok(response) => Some(response.map(into_http)),
            Err(error) => {
                tracing::error!(function, %error, "the function did not answer");
                None
            }
        }
    }
}

async fn answer(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let id = event::fresh_request_id();
    let outcome = match parts.uri.path().strip_prefix("/lambda-url/") {
        Some(at) => gateway.function_url(at, &id, &parts, body).await,
        None => gateway.api(&id, &parts, body).await,
    };
    let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
    let id = HeaderValue::try_from(id).expect("Base64 fits in a header");
    response.headers_mut().insert("apigw-requestid", id);
    response
}

fn into_http(body: Body) -> HttpBody {
    match body {
        Body::Text(text) => HttpBody::from(text),
        Body::Binary(bytes) => HttpBody::from(Bytes::from(bytes)),
        _ => HttpBody::empty(),
    }
}

/// What AWS answers by itself.
enum Refusal {
    NoToken,
    BadToken(BadToken),
    NotFound,
    TooLarge,
    Broken,
    BrokenUrl,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Refusal::NoToken | Refusal::BadToken(_) => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Refusal::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            Refusal::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            // A function URL blames what is behind it.
            Refusal::BrokenUrl => (StatusCode::BAD_GATEWAY, "Internal Server Error"),
        };
        let body = json!({ "message": message }).to_string();
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        let challenge = match self {
            Refusal::NoToken => "Bearer".to_owned(),
            Refusal::BadToken(problem) => {
                format!(r#"Bearer scope="" error="invalid_token" error_description="{problem}""#)
            }
            _ => return response,
        };
        let challenge = HeaderValue::try_from(challenge).expect("problems are plain words");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}
