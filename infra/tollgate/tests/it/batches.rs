//! What one batch asks of Stripe: each thing that its events lead to once, whatever else is in it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use credit::Credit;
use domain::ids::EventId;
use http_body_util::{BodyExt, Full};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use stripe_event::Message;
use tollgate::keys::LocalStack;
use tollgate::stack::settings;

use crate::harness::{Caller, PAID, World};
use crate::subscribe::subscribe;

/// The function, with somebody between it and Stripe who notes what is asked.
struct Watched<'a> {
    world: &'a World,
    credit: Credit,
    wire: Wire,
}

#[derive(Clone)]
struct Wire {
    stripe: String,
    client: Client<HttpConnector, Full<Bytes>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// What is about this Stripe refuses.
    refused: Arc<Mutex<Option<String>>>,
}

impl Watched<'_> {
    async fn new(world: &World) -> Watched<'_> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let (asked, refused) = Default::default();
        let wire = Wire { stripe: world.local().stripe.clone(), client, asked, refused };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stripe = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(pass).with_state(wire.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let local = LocalStack { stripe, ..world.local().clone() };
        let credit = Credit::from_env(&settings(&local, "WebhookQueue", None)).await.unwrap();
        Watched { world, credit, wire }
    }

    /// Handles a batch. The messages that failed, by their place in it.
    async fn handle(&self, events: &[Value]) -> BTreeSet<usize> {
        let now = self.world.now().await;
        let record = |(place, event): (usize, &Value)| {
            let mut record = SqsMessage::default();
            record.message_id = Some(place.to_string());
            let id = EventId::parse(event["id"].as_str().unwrap()).unwrap();
            let message = Message::StripeV1 { event: id, received_at: now, body: event.to_string() };
            record.body = Some(message.to_json());
            record
        };
        let mut batch = SqsEvent::default();
        batch.records = events.iter().enumerate().map(record).collect();
        let failures = self.credit.handle(batch, now).await.batch_item_failures;
        failures.into_iter().map(|failure| failure.item_identifier.parse().unwrap()).collect()
    }

    /// What Stripe was asked since this was last called.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.wire.asked.lock().unwrap())
    }

    fn refuse(&self, about: Option<&str>) {
        *self.wire.refused.lock().unwrap() = about.map(str::to_owned);
    }

    async fn told(&self, events: &[Value]) -> Vec<String> {
        let mut outcomes = Vec::new();
        for event in events {
            let audit = self.world.item("W#", event["id"].as_str().unwrap()).await.expect("an audit record");
            outcomes.push(audit["outcome"].as_s().unwrap().clone());
        }
        outcomes
    }
}

async fn pass(State(wire): State<Wire>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().unwrap().as_str().to_owned();
    wire.asked.lock().unwrap().push(format!("{} {path}", head.method));
    let about = wire.refused.lock().unwrap().clone();
    if about.is_some_and(|about| path.contains(&about)) {
        let error = json!({ "error": { "type": "invalid_request_error", "message": "refused by the test" } });
        return answer(StatusCode::BAD_REQUEST, Body::from(error.to_string()));
    }
    let mut forwarded = hyper::Request::new(Full::new(to_bytes(body, 1 << 20).await.unwrap()));
    *forwarded.method_mut() = head.method;
    *forwarded.uri_mut() = format!("{}{path}", wire.stripe).parse().unwrap();
    *forwarded.headers_mut() = head.headers;
    forwarded.headers_mut().remove("host");
    let (head, body) = wire.client.request(forwarded).await.unwrap().into_parts();
    answer(head.status, Body::from(body.collect().await.unwrap().to_bytes()))
}

fn answer(status: StatusCode, body: Body) -> Response {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
}

/// The same event under as many ids.
fn repeated(event: &Value, name: &str, count: usize) -> Vec<Value> {
    let another = |number| {
        let mut event = event.clone();
        event["id"] = json!(format!("evt_{name}{number}"));
        event["type"] = json!("customer.subscription.updated");
        event
    };
    (0..count).map(another).collect()
}

/// The event that a plan's subscription began, of which nobody has heard yet.
async fn subscribed(world: &World, user: &str) -> Value {
    subscribe(world, &world.user(user), "premium").await;
    world.event("customer.subscription.created").await
}

fn id_of(event: &Value) -> String {
    event["data"]["object"]["id"].as_str().unwrap().to_owned()
}

fn about_subscriptions(asked: &[String]) -> usize {
    asked.iter().filter(|asked| asked.starts_with("GET /v1/subscriptions/sub_")).count()
}

async fn sold(world: &World, user: &Caller<'_>) -> (String, Vec<Value>) {
    let session = user.opens("medium").await;
    assert_eq!(world.pay(&session, PAID).await.status, StatusCode::OK);
    let (sale, intent) = ("checkout.session.completed", "payment_intent.succeeded");
    (session, vec![world.event(intent).await, world.event(sale).await])
}

#[tokio::test]
async fn ten_events_of_one_subscription_in_one_batch_ask_stripe_once() {
    let world = World::without_webhooks().await;
    let created = subscribed(&world, "ada").await;
    let watched = Watched::new(&world).await;
    let first = repeated(&created, "first", 10);
    assert_eq!(watched.handle(&first).await, BTreeSet::new());
    let asked = watched.asked();
    assert_eq!(about_subscriptions(&asked), 1, "{asked:#?}");
    assert_eq!(watched.told(&first).await, ["synced"; 10]);
    assert_eq!(world.user("ada").available().await, 500);

    let again = repeated(&created, "again", 10);
    assert_eq!(watched.handle(&again).await, BTreeSet::new());
    let for_ten = watched.asked();
    assert_eq!(watched.handle(&repeated(&created, "one", 1)).await, BTreeSet::new());
    assert_eq!(for_ten, watched.asked(), "ten cost as much as one");
    assert_eq!(watched.told(&again).await, ["known before"; 10]);
}

#[tokio::test]
async fn ten_events_of_ten_subscriptions_in_one_batch_ask_ten_times() {
    let world = World::without_webhooks().await;
    let mut events = Vec::new();
    for number in 0..10 {
        events.push(subscribed(&world, &format!("user-{number}")).await);
    }
    let watched = Watched::new(&world).await;
    assert_eq!(watched.handle(&events).await, BTreeSet::new());
    let asked = watched.asked();
    assert_eq!(about_subscriptions(&asked), 10, "{asked:#?}");
    assert_eq!(watched.told(&events).await, ["synced"; 10]);
}

#[tokio::test]
async fn an_event_that_hints_at_nobody_uses_what_another_of_its_batch_hints_at() {
    let world = World::without_webhooks().await;
    let created = subscribed(&world, "ada").await;
    let thin = json!({
        "id": "evt_thin", "object": "v2.core.event", "created": "2026-11-02T06:13:22.481Z", "livemode": false,
        "related_object": { "id": id_of(&created), "type": "subscription" },
        "type": "v1.customer.subscription.created",
    });
    let watched = Watched::new(&world).await;
    assert_eq!(watched.handle(&[thin, created]).await, BTreeSet::new());
    let asked = watched.asked();
    assert_eq!(about_subscriptions(&asked), 1, "{asked:#?}");
}

#[tokio::test]
async fn everything_that_is_told_of_a_new_subscription_looks_at_it_once() {
    let world = World::without_webhooks().await;
    let mut events = vec![subscribed(&world, "ada").await];
    for kind in
        ["invoice_payment.paid", "invoice.paid", "checkout.session.completed", "invoice.payment_succeeded"]
    {
        events.push(world.event(kind).await);
    }
    let watched = Watched::new(&world).await;
    assert_eq!(watched.handle(&events).await, BTreeSet::new());
    let asked = watched.asked();
    assert_eq!(about_subscriptions(&asked), 1, "{asked:#?}");
    assert_eq!(watched.told(&events).await, ["synced"; 5]);
    assert_eq!(world.user("ada").available().await, 500);
}

#[tokio::test]
async fn session_and_intent_of_one_sale_in_one_batch_credit_it_once_and_are_told_the_same() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let (session, events) = sold(&world, &ada).await;
    let watched = Watched::new(&world).await;
    assert_eq!(watched.handle(&events).await, BTreeSet::new());
    assert_eq!(watched.asked(), [] as [String; 0], "a sale is a fact");
    assert_eq!(watched.told(&events).await, ["credited"; 2]);
    assert_eq!(ada.available().await, 275);
    let payments = ada.get("/v1/me/payments").await.json;
    assert_eq!(payments["payments"][0]["checkout"], session);
}

#[tokio::test]
async fn refunds_and_disputes_of_one_payment_in_one_batch_look_at_it_once() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let (_, sale) = sold(&world, &ada).await;
    let watched = Watched::new(&world).await;
    assert_eq!(watched.handle(&sale).await, BTreeSet::new());
    let intent = id_of(&sale[0]);
    for amount in [100, 200] {
        world.stripe_update("/v1/refunds", &format!("payment_intent={intent}&amount={amount}")).await;
    }
    let refunds = world.stripe("/v1/events?type=refund.created&limit=2").await;
    let mut events = refunds["data"].as_array().unwrap().clone();
    events.push(world.event("charge.refunded").await);
    assert_eq!(watched.handle(&events).await, BTreeSet::new());
    let asked = watched.asked();
    let refunds = asked.iter().filter(|asked| asked.starts_with("GET /v1/refunds")).count();
    assert_eq!(refunds, 1, "{asked:#?}");
    assert_eq!(watched.told(&events).await, ["taken back"; 3]);
    assert_eq!(ada.available().await, 275 - 275 * 300 / 999);
}

#[tokio::test]
async fn what_fails_fails_for_every_event_that_led_there_and_for_no_other() {
    let world = World::without_webhooks().await;
    let (adas, bobs) = (subscribed(&world, "ada").await, subscribed(&world, "bob").await);
    let watched = Watched::new(&world).await;
    let mut events = repeated(&adas, "ada", 3);
    events.extend(repeated(&bobs, "bob", 2));
    events.push(json!({ "id": "evt_bad", "type": "charge.refunded", "livemode": false, "created": 1 }));
    let adas = id_of(&adas);
    watched.refuse(Some(&adas));
    assert_eq!(watched.handle(&events).await, BTreeSet::from([0, 1, 2, 5]));
    assert_eq!(watched.told(&events[..5]).await, ["failed", "failed", "failed", "synced", "synced"]);
    assert_eq!((world.user("ada").available().await, world.user("bob").available().await), (0, 500));
    watched.refuse(None);
    assert_eq!(watched.handle(&events[..3]).await, BTreeSet::new());
    assert_eq!(world.user("ada").available().await, 500);
}
