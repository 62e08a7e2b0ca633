//! Refunds of what a subscription cost.

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use credit::Credit;
use domain::catalog::Catalog;
use fastrand::Rng;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use serde_json::json;
use tollgate::keys::LocalStack;
use tollgate::stack::{Options, settings};

use super::{balance, bought, deliver, dispute, handled, journal, refund, until_balance};
use crate::harness::{COMPANION, Http, World, eventually};
use crate::subscribe::{customer, events_of, plan, subscribe, subscribed_to, until_plan};

/// Where Premium brings its tokens with the invoice, not week by week, so that its payment answers for them.
pub fn monthly(options: Options) -> Options {
    with_catalog(options, &COMPANION.replace("every = \"week\"", "every = \"billing\""))
}

fn with_catalog(options: Options, text: &str) -> Options {
    Options { text: text.to_owned(), catalog: Catalog::parse(text).unwrap(), ..options }
}

/// The intent that paid a subscription's latest invoice.
pub async fn latest_intent(world: &World, subscription: &str) -> String {
    let path = format!("/v1/invoices?subscription={subscription}&status=paid&limit=1&expand[]=data.payments");
    let invoices = world.stripe(&path).await;
    let payment = &invoices["data"][0]["payments"]["data"][0]["payment"];
    payment["payment_intent"].as_str().unwrap_or_else(|| panic!("{invoices}")).to_owned()
}

pub async fn status_in_stripe(world: &World, subscription: &str) -> String {
    let found = world.stripe(&format!("/v1/subscriptions/{subscription}")).await;
    found["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_full_refund_of_the_latest_invoice_ends_the_plan_and_leaves_what_was_bought() {
    let world = World::new().await;
    let ada = world.user("ada");
    let id = subscribed_to(&world, &ada, "premium").await;
    bought(&world, &ada, "medium").await;
    ada.until_available(775).await;
    refund(&world, &latest_intent(&world, &id).await, None).await;
    until_plan(&ada, "free", "none").await;
    until_balance(&ada, 275, 0).await;
    assert_eq!(status_in_stripe(&world, &id).await, "canceled");
    handled(&world).await;
    let ends = world.stripe("/v1/events?type=customer.subscription.deleted").await;
    assert_eq!(ends["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn one_event_is_enough_even_if_the_books_know_nothing_of_the_subscription() {
    let world = World::without_webhooks().await;
    for kind in ["refund.created", "charge.refunded"] {
        let user = world.user(kind);
        subscribe(&world, &user, "premium").await;
        let customer = customer(&world, kind).await;
        let subscriptions = world.stripe(&format!("/v1/subscriptions?customer={customer}")).await;
        let id = subscriptions["data"][0]["id"].as_str().unwrap();
        refund(&world, &latest_intent(&world, id).await, None).await;
        deliver(&world, &[world.event(kind).await]).await;
        assert_eq!(status_in_stripe(&world, id).await, "canceled");
        assert_eq!((plan(&user).await.0.as_str(), balance(&user).await), ("free", (0, 0)));
        let kinds = journal(&user).await;
        assert_eq!(kinds, ["checkout", "subscription", "invoice", "reversal", "subscription"]);
    }
}

#[tokio::test]
async fn a_partial_refund_and_a_dispute_take_tokens_and_leave_the_plan() {
    let world = World::with(monthly).await;
    for kind in ["refund", "dispute"] {
        let user = world.user(kind);
        let id = subscribed_to(&world, &user, "premium").await;
        let intent = latest_intent(&world, &id).await;
        if kind == "refund" {
            refund(&world, &intent, Some(333)).await;
            // ⌊500 × 333 / 999⌋ = 166.
            until_balance(&user, 334, 0).await;
        } else {
            dispute(&world, &intent, json!({})).await;
            until_balance(&user, 0, 0).await;
        }
        handled(&world).await;
        assert_eq!(plan(&user).await, ("premium".to_owned(), "active".to_owned()));
    }
}

#[tokio::test]
async fn what_a_week_brought_is_not_the_payments_to_take_back() {
    let world = World::new().await;
    let ada = world.user("ada");
    let id = subscribed_to(&world, &ada, "premium").await;
    refund(&world, &latest_intent(&world, &id).await, Some(333)).await;
    eventually("a reversal", async || journal(&ada).await.contains(&"reversal".to_owned())).await;
    handled(&world).await;
    assert_eq!(balance(&ada).await, (500, 0));
    assert_eq!(plan(&ada).await, ("premium".to_owned(), "active".to_owned()));
}

#[tokio::test]
async fn a_refund_in_parts_ends_the_plan_once_nothing_is_left() {
    let world = World::with(monthly).await;
    let ada = world.user("ada");
    let id = subscribed_to(&world, &ada, "premium").await;
    let intent = latest_intent(&world, &id).await;
    for (amount, left) in [(333, 334), (333, 167)] {
        refund(&world, &intent, Some(amount)).await;
        until_balance(&ada, left, 0).await;
        assert_eq!(plan(&ada).await.0, "premium");
    }
    refund(&world, &intent, None).await;
    until_plan(&ada, "free", "none").await;
}

#[tokio::test]
async fn a_full_refund_of_an_earlier_invoice_leaves_the_plan() {
    let world = World::new().await;
    let ada = world.user("ada");
    let id = subscribed_to(&world, &ada, "premium").await;
    let first = latest_intent(&world, &id).await;
    world.advance("32d").await;
    eventually("a renewal", async || latest_intent(&world, &id).await != first).await;
    refund(&world, &first, None).await;
    eventually("a reversal", async || journal(&ada).await.contains(&"reversal".to_owned())).await;
    handled(&world).await;
    assert_eq!(status_in_stripe(&world, &id).await, "active");
    assert_eq!(plan(&ada).await, ("premium".to_owned(), "active".to_owned()));
}

#[tokio::test]
async fn what_was_refunded_before_a_change_for_nothing_leaves_the_plan() {
    let world = World::new().await;
    let ada = world.user("ada");
    let id = subscribed_to(&world, &ada, "premium").await;
    let first = latest_intent(&world, &id).await;
    let found = world.stripe(&format!("/v1/subscriptions/{id}")).await;
    let item = &found["items"]["data"][0];
    let product = item["price"]["product"].as_str().unwrap();
    let cheaper = format!(
        "items[0][id]={}&items[0][price_data][currency]=eur&items[0][price_data][product]={product}\
         &items[0][price_data][unit_amount]=1&items[0][price_data][recurring][interval]=month\
         &proration_behavior=always_invoice",
        item["id"].as_str().unwrap()
    );
    world.stripe_update(&format!("/v1/subscriptions/{id}"), &cheaper).await;
    let invoices = world.stripe(&format!("/v1/invoices?subscription={id}&status=paid")).await;
    assert_eq!(
        (&invoices["data"][0]["amount_paid"], invoices["data"].as_array().unwrap().len()),
        (&json!(0), 2)
    );
    refund(&world, &first, None).await;
    eventually("a reversal", async || journal(&ada).await.contains(&"reversal".to_owned())).await;
    handled(&world).await;
    assert_eq!(status_in_stripe(&world, &id).await, "active");
}

#[tokio::test]
async fn a_plan_that_says_keep_outlives_a_full_refund() {
    let kept = |options| {
        let monthly = monthly(options);
        let text = monthly.text.replace("level = 1\n", "level = 1\non_refund = \"keep\"\n");
        with_catalog(monthly, &text)
    };
    let world = World::with(kept).await;
    let ada = world.user("ada");
    let id = subscribed_to(&world, &ada, "premium").await;
    refund(&world, &latest_intent(&world, &id).await, None).await;
    until_balance(&ada, 0, 0).await;
    handled(&world).await;
    assert_eq!(status_in_stripe(&world, &id).await, "active");
    assert_eq!(plan(&ada).await, ("premium".to_owned(), "active".to_owned()));
}

#[tokio::test]
async fn every_order_of_the_events_of_a_refunded_subscription_ends_it_alike() {
    let world = World::without_webhooks().await;
    for round in 0..12 {
        let name = format!("user-{round}");
        let user = world.user(&name);
        subscribe(&world, &user, "premium").await;
        let customer = customer(&world, &name).await;
        let subscriptions = world.stripe(&format!("/v1/subscriptions?customer={customer}")).await;
        let id = subscriptions["data"][0]["id"].as_str().unwrap();
        refund(&world, &latest_intent(&world, id).await, None).await;
        let mut events = events_of(&world, &customer).await;
        assert!(events.len() >= 9, "{}", events.len());
        events.extend(events.clone().into_iter().take(round));
        Rng::with_seed(round as u64).shuffle(&mut events);
        deliver(&world, &events).await;
        assert_eq!((plan(&user).await.0.as_str(), balance(&user).await), ("free", (0, 0)), "round {round}");
        assert_eq!(status_in_stripe(&world, id).await, "canceled", "round {round}");
        let mut kinds = journal(&user).await;
        kinds.sort();
        assert_eq!(
            kinds,
            ["checkout", "invoice", "reversal", "subscription", "subscription"],
            "round {round}"
        );
    }
}

/// Before Stripe, for a function that is cut off: passes everything on but cancellations.
async fn cut_off(world: &World) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router =
        axum::Router::new().fallback(pass).with_state((world.http.clone(), world.local().stripe.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn pass(State((http, stripe)): State<(Http, String)>, request: Request) -> Response {
    if request.method() == Method::DELETE { unavailable() } else { passed_on(&http, &stripe, request).await }
}

/// An answer that leaves open what was done, and that nobody should wait for another after.
pub fn unavailable() -> Response {
    let unavailable = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
    unavailable.header("stripe-should-retry", "false").body(Body::empty()).unwrap()
}

/// What Stripe itself answers.
pub async fn passed_on(http: &Http, stripe: &str, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let headers = ["authorization", "content-type", "idempotency-key", "stripe-version"];
    let headers: Vec<(&str, &str)> = headers
        .into_iter()
        .filter_map(|name| Some((name, head.headers.get(name)?.to_str().unwrap())))
        .collect();
    let answer = http.send(head.method, &format!("{stripe}{}", head.uri), &headers, body).await;
    Response::builder().status(answer.status).body(Body::from(answer.text)).unwrap()
}

#[tokio::test]
async fn a_crash_between_taking_back_and_canceling_is_made_up_by_the_repeated_message() {
    let world = World::with(|options| Options { deliver_webhooks: false, ..monthly(options) }).await;
    let ada = world.user("ada");
    let id = subscribed_to(&world, &ada, "premium").await;
    refund(&world, &latest_intent(&world, &id).await, None).await;
    let event = world.event("charge.refunded").await;

    let without_an_end = LocalStack { stripe: cut_off(&world).await, ..world.local().clone() };
    let credit = Credit::from_env(&settings(&without_an_end, "WebhookQueue", None)).await.unwrap();
    let body =
        json!({ "kind": "stripe.v1", "event": event["id"], "received_at": 0, "body": event.to_string() });
    let mut message = SqsMessage::default();
    (message.message_id, message.body) = (Some("1".to_owned()), Some(body.to_string()));
    let mut batch = SqsEvent::default();
    batch.records.push(message);
    let answer = credit.handle(batch, world.now().await).await;
    assert_eq!(answer.batch_item_failures.len(), 1, "it goes back onto the queue");
    assert_eq!((balance(&ada).await, status_in_stripe(&world, &id).await.as_str()), ((0, 0), "active"));

    deliver(&world, &[event]).await;
    assert_eq!(status_in_stripe(&world, &id).await, "canceled");
    assert_eq!(plan(&ada).await.0, "free");
    let reversals = journal(&ada).await.iter().filter(|kind| *kind == "reversal").count();
    assert_eq!(reversals, 1);
}
