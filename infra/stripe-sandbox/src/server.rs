//! Serving: the API, what a shopper does, and the pages, on loopback only.

use std::io;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::disputes::course::{self, Claim};
use crate::failure::{Answer, Failure};
use crate::intents::{self, settlement};
use crate::portal::configurations;
use crate::tx::{Cause, Reply, Tx};
use crate::{
    Sandbox, api, checkout, events, invoices, outage, pages, pay, refunds, settings, setups, subscriptions,
};

impl Sandbox {
    /// Serves until `shutdown` ends, and delivers events meanwhile.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let deliveries = tokio::spawn(self.clone().keep_delivering());
        let served = axum::serve(listener, router(self)).with_graceful_shutdown(shutdown).await;
        deliveries.abort();
        if let Err(cause) = deliveries.await
            && !cause.is_cancelled()
        {
            tracing::error!(%cause, "the delivery of webhooks had stopped");
        }
        served
    }

    /// Everything that it answers, for a server of the caller's own.
    pub fn router(self) -> Router {
        router(self)
    }
}

fn router(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/", get(pages::index))
        .route("/v1/{*path}", any(v1))
        .route("/c/pay/{id}", get(pages::show).post(pages::submit))
        .route("/c/pay/{id}/authenticate", post(pages::authenticate))
        .route("/c/pay/{id}/promotion", post(pages::promotion::submit))
        .route("/c/pay/{id}/address", post(pages::address::submit))
        .route("/_sandbox/checkout/{id}/address", post(shopper_says_where))
        .route("/_sandbox/checkout/{id}/promotion", post(shopper_enters_code))
        .route("/_sandbox/checkout/{id}/pay", post(shopper_pays))
        .route("/_sandbox/checkout/{id}/authenticate", post(shopper_authenticates))
        .route("/i/{id}", get(pages::invoice::show).post(pages::invoice::submit))
        .route("/i/{id}/pdf", get(pages::invoice_pdf::show))
        .route("/3ds/{id}", get(pages::authentication::show).post(pages::authentication::submit))
        .route("/r/{id}", get(pages::receipt))
        .route("/_sandbox/subscriptions/{id}/card", post(person_swaps_card))
        .route("/_sandbox/subscriptions/{id}/cancel", post(person_cancels))
        .route("/_sandbox/refunds/{id}/fail", post(bank_fails_refund))
        .route("/_sandbox/payments/{id}/dispute", post(bank_disputes))
        .route("/_sandbox/invoices/{id}/pay", post(customer_pays_invoice))
        .route("/_sandbox/payments/{id}/settle", post(bank_settles))
        .route("/_sandbox/payment_intents/{id}/authenticate", post(payer_authenticates))
        .route("/_sandbox/setup_intents/{id}/authenticate", post(saver_authenticates))
        .route("/_sandbox/disputes/{id}/resolve", post(bank_decides))
        .route("/p/session/{id}", get(pages::portal::show))
        .route("/p/session/{id}/{deed}", get(pages::portal::propose).post(pages::portal::submit))
        .route("/o/{kind}/{id}", get(pages::object))
        .route("/_sandbox/customers/{id}/portal", post(pages::enter_portal))
        .route("/_sandbox/portal/default", post(configurations::save_default))
        .route("/_sandbox/outage", get(outage::show).post(outage::set))
        .route("/_sandbox/events/{id}/resend", post(events::resend))
        .route("/_sandbox/settings", get(settings::show).post(settings::choose))
        .layer(from_fn(loopback_only))
        .with_state(sandbox)
}

/// A page of another site cannot reach the sandbox by pointing its own name at this machine.
async fn loopback_only(request: Request, next: Next) -> Response {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if !matches!(name, "127.0.0.1" | "localhost" | "[::1]" | "host.docker.internal") {
        return (StatusCode::FORBIDDEN, "The Stripe sandbox answers on loopback only.\n").into_response();
    }
    next.run(request).await
}

async fn v1(
    State(sandbox): State<Sandbox>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = api::answer(&sandbox, method, &uri, &headers, &body);
    let mut response = json_response(answer.status, answer.body);
    for (name, value) in answer.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn json_response(status: u16, body: String) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("cache-control", "no-cache, no-store")
        .body(Body::from(body))
        .expect("statuses and headers are this crate's own")
}

#[derive(Default, Deserialize)]
struct Authentication {
    outcome: Option<Outcome>,
}

impl Authentication {
    fn passed(&self) -> bool {
        !matches!(self.outcome, Some(Outcome::Fail))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Success,
    Fail,
}

async fn shopper_pays(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    shopper_reply(
        read_json::<pay::Payment>(&body)
            .and_then(|payment| sandbox.transact(Cause::default(), |tx| pay::pay(tx, &id, &payment))),
    )
}

#[derive(Default, Deserialize)]
struct Promotion {
    #[serde(default)]
    code: String,
}

async fn shopper_enters_code(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    shopper_reply(read_json::<Promotion>(&body).and_then(|promotion| {
        let entered = |tx: &Tx| checkout::amounts::enter_code(tx, &id, &promotion.code);
        sandbox.transact(Cause::default(), entered)
    }))
}

#[derive(Default, Deserialize)]
struct Home {
    #[serde(default)]
    country: String,
}

async fn shopper_says_where(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    shopper_reply(read_json::<Home>(&body).and_then(|home| {
        let entered = |tx: &Tx| checkout::address::enter(tx, &id, &home.country);
        sandbox.transact(Cause::default(), entered)
    }))
}

async fn shopper_authenticates(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    shopper_reply(read_json::<Authentication>(&body).and_then(|authentication| {
        let passed = authentication.passed();
        sandbox.transact(Cause::default(), |tx| pay::authenticate(tx, &id, passed))
    }))
}

#[derive(Default, Deserialize)]
struct Cancellation {
    #[serde(default)]
    at_period_end: bool,
}

async fn person_swaps_card(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    shopper_reply(read_json::<pay::Payment>(&body).and_then(|new| {
        let swapped = |tx: &Tx| subscriptions::change::swap_card(tx, &id, new.means()?);
        sandbox.transact(Cause::default(), swapped).map(Reply::from)
    }))
}

async fn person_cancels(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    shopper_reply(read_json::<Cancellation>(&body).and_then(|asked| {
        let canceled = |tx: &Tx| subscriptions::change::cancel_by_hand(tx, &id, asked.at_period_end);
        sandbox.transact(Cause::default(), canceled).map(Reply::from)
    }))
}

async fn customer_pays_invoice(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    shopper_reply(read_json::<pay::Payment>(&body).and_then(|payment| {
        sandbox.transact(Cause::default(), |tx| invoices::pay_by_hand(tx, &id, &payment))
    }))
}

async fn payer_authenticates(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    shopper_reply(read_json::<Authentication>(&body).and_then(|authentication| {
        let passed = authentication.passed();
        sandbox.transact(Cause::default(), |tx| intents::course::authenticate(tx, &id, passed))
    }))
}

async fn saver_authenticates(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    shopper_reply(read_json::<Authentication>(&body).and_then(|authentication| {
        let passed = authentication.passed();
        sandbox.transact(Cause::default(), |tx| setups::course::authenticate(tx, &id, passed))
    }))
}

#[derive(Default, Deserialize)]
struct Settlement {
    outcome: Option<settlement::Wanted>,
}

async fn bank_settles(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    shopper_reply(read_json::<Settlement>(&body).and_then(|wanted| {
        let settled = |tx: &Tx| settlement::by_hand(tx, &id, wanted.outcome);
        sandbox.transact(Cause::default(), settled).map(Reply::from)
    }))
}

async fn bank_fails_refund(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    let failed = |tx: &Tx| refunds::fail(tx, &id);
    shopper_reply(sandbox.transact(Cause::default(), failed).map(Reply::from))
}

async fn bank_disputes(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    shopper_reply(read_json::<Claim>(&body).and_then(|claim| {
        let begun = |tx: &Tx| course::begin_by_hand(tx, &id, &claim);
        sandbox.transact(Cause::default(), begun).map(Reply::from)
    }))
}

#[derive(Default, Deserialize)]
struct Decision {
    outcome: Option<course::Outcome>,
}

async fn bank_decides(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    shopper_reply(read_json::<Decision>(&body).and_then(|decision| {
        let outcome = decision.outcome.ok_or_else(|| Failure::missing_param("outcome"))?;
        let decided = |tx: &Tx| course::resolve_by_hand(tx, &id, outcome);
        sandbox.transact(Cause::default(), decided).map(Reply::from)
    }))
}

pub fn read_json<T: Default + for<'a> Deserialize<'a>>(body: &[u8]) -> Answer<T> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body)
        .map_err(|cause| Failure::invalid(format!("The body is not as expected: {cause}")))
}

pub fn shopper_reply(reply: Answer<Reply>) -> Response {
    match reply {
        Ok(reply) => json_response(reply.status, format!("{:#}", reply.body)),
        Err(failure) => json_response(failure.status, format!("{:#}", failure.body())),
    }
}
