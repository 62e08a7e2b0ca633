//! The wire to Stripe: pooled connections, the fixed headers, and the rules of trying again.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error as HttpError, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use stripe_client_core::{CustomizedStripeRequest, RequestStrategy, StripeClient, StripeMethod};
use tokio::time::{Instant, sleep, timeout};

use crate::error::StripeError;
use crate::failure::{Failure, text};
use crate::settings::{BadSettings, Settings};

/// What async-stripe's types were generated from; Stripe answers in exactly these shapes.
const VERSION: &str = "2026-09-30.endive";
const AGENT: &str = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
const FORM: &str = "application/x-www-form-urlencoded";

const ANSWER_LIMIT: usize = 4 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Shorter than the idle timeouts on the way, so that a pooled connection is rarely a dead one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

type Form = Full<Bytes>;

pub(crate) struct Transport {
    http: Http,
    base: String,
    authorization: HeaderValue,
    attempt_timeout: Duration,
    budget: Duration,
    attempts: u32,
}

/// One call of one typed builder. `object` is what it is about, for logs.
#[derive(Clone)]
pub(crate) struct Call<'a> {
    transport: &'a Transport,
    object: &'static str,
}

impl<'a> Call<'a> {
    pub fn new(transport: &'a Transport, object: &'static str) -> Call<'a> {
        Call { transport, object }
    }

    pub fn object(&self) -> &'static str {
        self.object
    }
}

impl StripeClient for Call<'_> {
    type Err = StripeError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, StripeError> {
        let request = self.transport.request(request)?;
        // Only what Stripe recognises as the same call may be sent twice.
        let reads = request.method() == Method::GET;
        let repeatable = reads || request.headers().contains_key("idempotency-key");
        let started = Instant::now();
        let mut in_doubt = false;
        let mut attempt = 1;
        loop {
            let left = self.transport.budget.saturating_sub(started.elapsed());
            let failure = match self.transport.attempt(request.clone(), left).await {
                Ok(answer) => {
                    self.log(&request, attempt, Some(answer.status), answer.request_id.as_deref());
                    return Ok(answer.body);
                }
                Err(failure) => failure,
            };
            self.log(&request, attempt, failure.status, failure.request_id.as_deref());
            in_doubt |= !reads && failure.leaves_doubt();
            let left = self.transport.budget.saturating_sub(started.elapsed());
            match self.transport.pause_after(attempt, &failure, left).filter(|_| repeatable) {
                Some(pause) => sleep(pause).await,
                None => return Err(failure.into_error(in_doubt)),
            }
            attempt += 1;
        }
    }
}

impl Call<'_> {
    /// Never the path, a body or a header: those hold ids, addresses and the key.
    fn log(&self, request: &Request<Form>, attempt: u32, status: Option<u16>, request_id: Option<&str>) {
        let (object, method) = (self.object, request.method().as_str());
        tracing::debug!(object, method, attempt, status, request_id, "asked stripe");
    }
}

struct Answer {
    status: u16,
    request_id: Option<String>,
    body: Bytes,
}

impl Transport {
    pub fn new(settings: &Settings) -> Result<Transport, BadSettings> {
        let endpoint = settings.endpoint()?;
        let bearer = format!("Bearer {}", settings.secret_key);
        let mut authorization = HeaderValue::try_from(bearer).map_err(|_| BadSettings::NotASecretKey)?;
        authorization.set_sensitive(true);
        Ok(Transport {
            http: Http::to(settings, endpoint.plain)?,
            base: endpoint.base,
            authorization,
            attempt_timeout: settings.attempt_timeout,
            budget: settings.budget,
            attempts: settings.attempts,
        })
    }

    fn request(&self, request: CustomizedStripeRequest) -> Result<Request<Form>, StripeError> {
        let (parts, overrides) = request.into_pieces();
        let query = parts.query.filter(|query| !query.is_empty()).map(|query| format!("?{query}"));
        let mut builder = Request::builder()
            .method(match parts.method {
                StripeMethod::Get => Method::GET,
                StripeMethod::Post => Method::POST,
                StripeMethod::Delete => Method::DELETE,
            })
            .uri(format!("{}/v1{}{}", self.base, parts.path, query.unwrap_or_default()))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(USER_AGENT, AGENT)
            .header("stripe-version", VERSION);
        if let Some(key) = overrides.request_strategy.as_ref().and_then(RequestStrategy::get_key) {
            builder = builder.header("idempotency-key", key.as_str());
        }
        if parts.body.is_some() {
            builder = builder.header(CONTENT_TYPE, FORM);
        }
        builder
            .body(Full::from(parts.body.unwrap_or_default()))
            .map_err(|error| StripeError::malformed("request", error.to_string()))
    }

    async fn attempt(&self, request: Request<Form>, left: Duration) -> Result<Answer, Failure> {
        match timeout(self.attempt_timeout.min(left), self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::unanswered("no answer in time")),
        }
    }

    async fn exchange(&self, request: Request<Form>) -> Result<Answer, Failure> {
        let response = self.http.send(request).await.map_err(|error| match error.is_connect() {
            true => Failure::unsent(innermost(&error)),
            false => Failure::unanswered(innermost(&error)),
        })?;
        let (head, body) = response.into_parts();
        let body = match Limited::new(body, ANSWER_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(Failure::unreadable("larger than 4 MiB"));
            }
            Err(error) => return Err(Failure::unanswered(innermost(&*error))),
        };
        if !head.status.is_success() {
            return Err(Failure::answered(&head, &body));
        }
        let request_id = text(&head.headers, "request-id").map(str::to_owned);
        Ok(Answer { status: head.status.as_u16(), request_id, body })
    }

    /// How long to wait before the next attempt; `None` if there is to be none.
    fn pause_after(&self, attempt: u32, failure: &Failure, left: Duration) -> Option<Duration> {
        if attempt >= self.attempts || !failure.is_transient() {
            return None;
        }
        let longest = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(8)).min(LONGEST_PAUSE);
        let jittered = Duration::from_millis(fastrand::u64(0..=longest.as_millis() as u64));
        let pause = jittered.max(failure.retry_after.unwrap_or_default());
        (pause < left).then_some(pause)
    }
}

/// Plain HTTP exists for loopback alone; a connection made for TLS can speak nothing else.
enum Http {
    Plain(Client<HttpConnector, Form>),
    Tls(Client<HttpsConnector<HttpConnector>, Form>),
    InProcess(Client<crate::InProcess, Form>),
}

impl Http {
    fn to(settings: &Settings, plain: bool) -> Result<Http, BadSettings> {
        if let Some(connector) = &settings.in_process {
            return Ok(Http::InProcess(pool().build(connector.clone())));
        }
        match plain {
            true => Ok(Http::plain()),
            false => Http::tls().map_err(BadSettings::Certificates),
        }
    }

    fn plain() -> Http {
        Http::Plain(pool().build(tcp()))
    }

    fn tls() -> std::io::Result<Http> {
        let mut tcp = tcp();
        tcp.enforce_http(false);
        let tls =
            HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_http1().wrap_connector(tcp);
        Ok(Http::Tls(pool().build(tls)))
    }

    async fn send(&self, request: Request<Form>) -> Result<Response<Incoming>, HttpError> {
        match self {
            Http::Plain(client) => client.request(request).await,
            Http::Tls(client) => client.request(request).await,
            Http::InProcess(client) => client.request(request).await,
        }
    }
}

fn pool() -> hyper_util::client::legacy::Builder {
    let mut pool = Client::builder(TokioExecutor::new());
    pool.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT).pool_max_idle_per_host(16);
    pool
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp
}

/// The cause at the bottom, such as "connection refused"; what wraps it only repeats that sending failed.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

// Shared with the tests of the public API, which use all of it.
#[cfg(test)]
#[allow(dead_code)]
#[path = "../tests/it/wire.rs"]
mod wire;

#[cfg(test)]
mod tests {
    use stripe_core::customer::CreateCustomer;

    use super::wire::{Step, Wire};
    use super::*;

    #[test]
    fn the_version_asked_for_is_the_one_the_types_were_generated_from() {
        assert_eq!(VERSION, stripe_client_core::VERSION.as_str());
    }

    #[tokio::test]
    async fn a_post_without_a_key_is_never_sent_twice() {
        for step in [Step::status(500), Step::status(429).header("stripe-should-retry", "true"), Step::Hangup]
        {
            let wire = Wire::play([step, Step::status(500)]);
            let transport = Transport::new(&wire.settings()).unwrap();
            let outcome = CreateCustomer::new().send(&Call::new(&transport, "customer")).await;
            assert!(outcome.unwrap_err().is_retryable());
            assert_eq!(wire.seen().len(), 1);
        }
    }
}
