//! Refunds that an operator asks for while Stripe can hardly be reached, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use admin::Admin;
use axum::extract::{Request, State};
use axum::response::Response;
use hyper::Method;
use serde_json::{Value, json};
use tollgate::keys::LocalStack;
use tollgate::stack::settings;

use super::operator::{REFUNDS, ask, refunded, refunds};
use super::plans::{passed_on, unavailable};
use super::{balance, bought, deliver, events_of, journal, refund};
use crate::harness::{Http, World};

/// What happens to a refund on its way to Stripe.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// Stripe never hears of it.
    Lost,
    /// Stripe makes it, and nobody hears.
    AnswerLost,
}

/// Before Stripe, for an operator whose line is bad. Counts the refunds that were sent.
#[derive(Clone)]
struct BadLine {
    http: Http,
    stripe: String,
    way: Way,
    sent: Arc<AtomicUsize>,
}

/// The admin function on a bad line.
async fn on_a_bad_line(world: &World, way: Way) -> (Admin, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let line =
        BadLine { http: world.http.clone(), stripe: world.local().stripe.clone(), way, sent: sent.clone() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(pass).with_state(line);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (at(world, url).await, sent)
}

async fn pass(State(line): State<BadLine>, request: Request) -> Response {
    if request.method() != Method::POST {
        return passed_on(&line.http, &line.stripe, request).await;
    }
    line.sent.fetch_add(1, Ordering::SeqCst);
    if line.way == Way::AnswerLost {
        passed_on(&line.http, &line.stripe, request).await;
    }
    unavailable()
}

/// The admin function, with a Stripe of its own.
async fn at(world: &World, stripe: String) -> Admin {
    let stack = LocalStack { stripe, ..world.local().clone() };
    Admin::from_env(&settings(&stack, "WebhookQueue", None)).await.unwrap()
}

/// What such a function answers: the status, and the problem or reply.
async fn asked(world: &World, admin: &Admin, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let mut event: Value = serde_json::from_str(include_str!("../../../../../events/admin.json")).unwrap();
    event["requestContext"]["routeKey"] = json!(format!("POST {path}"));
    event["headers"]["idempotency-key"] = json!(key);
    event["body"] = json!(body.to_string());
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    let answer = admin.handle(request, world.now().await).await;
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

#[tokio::test]
async fn a_refund_of_unknown_outcome_is_known_once_it_is_sent_again() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let waits = ["1m", "21h", "25h"];
    for (way, wait) in [Way::Lost, Way::AnswerLost].into_iter().flat_map(|way| waits.map(|wait| (way, wait)))
    {
        let intent = bought(&world, &ada, "medium").await;
        let body = json!({ "payment": intent, "amount_minor": 300 });
        let (admin, sent) = on_a_bad_line(&world, way).await;
        let (status, problem) = asked(&world, &admin, REFUNDS, &intent, &body).await;
        assert_eq!((status, &problem["code"]), (503, &json!("stripe_unavailable")), "{way:?}: {problem}");
        assert_eq!(sent.load(Ordering::SeqCst), 1, "{way:?}");
        world.advance(wait).await;
        let made = refunded(&world, &intent, body.clone()).await;
        let [only] = &refunds(&world, &intent).await[..] else { panic!("not one refund: {way:?}, {wait}") };
        assert_eq!(made["refund"]["id"], only["id"]);
        assert_eq!(refunded(&world, &intent, body).await["refund"], made["refund"]);
    }
}

#[tokio::test]
async fn a_refund_that_stripe_refuses_after_it_was_written_down_takes_nothing() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    let body = json!({ "payment": intent, "amount_minor": 600 });
    let (admin, _) = on_a_bad_line(&world, Way::Lost).await;
    assert_eq!(asked(&world, &admin, REFUNDS, "k", &body).await.0, 503);
    refund(&world, &intent, Some(500)).await;
    ask(&world, "k", body).await.expect_problem(502, "stripe_refused");
    deliver(&world, &events_of(&world, &intent).await).await;
    // ⌊275 × 500 / 999⌋ = 137, for the refund that was made.
    assert_eq!((balance(&ada).await, refunds(&world, &intent).await.len()), ((138, 0), 1));
}

#[tokio::test]
async fn operators_give_tokens_while_stripe_is_away() {
    let world = World::without_webhooks().await;
    let away = at(&world, "http://127.0.0.1:1".to_owned()).await;
    let grant = json!({ "user": "ada", "tokens": 50 });
    let (status, given) = asked(&world, &away, "/v1/admin/grants", "g", &grant).await;
    assert_eq!((status, &given["wallet"]["available"]), (201, &json!(50)), "{given}");
    let (status, problem) = asked(&world, &away, REFUNDS, "r", &json!({ "payment": "pi_1" })).await;
    assert_eq!((status, &problem["code"]), (503, &json!("stripe_unavailable")), "{problem}");
    assert_eq!(journal(&world.user("ada")).await, ["grant"]);
}
