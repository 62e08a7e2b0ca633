//! Stripe, the table and the functions between them in this process, where nothing fails and the test moves the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use axum::Router;
use axum::body::Body as AxumBody;
use checkout::Checkout;
use credit::Credit;
use domain::catalog::Catalog;
use domain::ids::{EventId, UserId};
use domain::time::Time;
use edge::{Callers, Env};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use settle::Settle;
use simulator::faults::Faults;
use simulator::table::Table;
use simulator::wire;
use simulator::world::{Parts, request};
use store::{Catalogs, HTTP_BUDGET, Store};
use stripe_api::{Settings, Stripe};
use stripe_event::Message;
use stripe_sandbox::{Options, Sandbox};
use tollgate::publish::publish_with;
use tollgate::template::Template;
use tower_service::Service;
use wallet::Wallet;

pub const CATALOG: &str = include_str!("catalog.toml");
pub const PAID: &str = "4242424242424242";
/// Can be saved, and is declined when charged.
pub const DECLINES_LATER: &str = "4000000000000341";

const STACK: &str = "tried";
const SECRET_KEY: &str = "sk_test_tried";
pub const TABLE: &str = "tried";
const PRIVACY_KEYS: &str = "1:dHJpZWQtdHJpZWQtdHJpZWQtdHJpZWQtdHJpZWQtdHI";
/// A Monday.
const BEGINNING_MS: i64 = 1_790_553_600_000;
const BEFORE_NEXT_TRY: Duration = Duration::from_secs(1);
/// For longer than any function runs.
const MOST_TRIES: u32 = 150;

pub struct World {
    clock: Arc<AtomicI64>,
    requests: AtomicU64,
    pub store: Store,
    /// The table, without the ledger in between.
    pub table: aws_sdk_dynamodb::Client,
    stripe: Router,
    checkout: Checkout,
    credit: Credit,
    wallet: Wallet,
}

/// Somebody who calls the API.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: UserId,
    /// That their token says is verified.
    pub email: Option<String>,
}

impl Caller {
    pub fn named(user: &str) -> Caller {
        Caller { user: UserId::parse(user).unwrap(), email: None }
    }

    pub fn with_email(self, email: &str) -> Caller {
        Caller { email: Some(email.to_owned()), ..self }
    }
}

impl World {
    /// Every call is answered at once.
    pub async fn prompt(catalog: &str) -> World {
        let faults = Faults::none();
        let table = Table::new(faults.clone()).unwrap().without_faults();
        World::begin(catalog, faults, table).await
    }

    /// Every call takes its time, drawn from the seed, and others go on meanwhile. Nothing fails.
    pub async fn jostled(catalog: &str, seed: u64) -> World {
        let faults = Faults::new(seed);
        faults.cease();
        World::begin(catalog, faults.clone(), Table::new(faults).unwrap()).await
    }

    async fn begin(catalog: &str, faults: Faults, table: Table) -> World {
        let clock = Arc::new(AtomicI64::new(BEGINNING_MS));
        let calm = aws_sdk_dynamodb::Client::new(&table.without_faults().config().await);
        let shape = tollgate::template::Table { stream_view: None, ..Template::embedded().unwrap().table };
        shape.create(&calm, TABLE).await.unwrap();

        let sandbox = sandbox(&clock);
        let stripe = Stripe::new(Settings {
            in_process: Some(wire::to(&sandbox, faults)),
            api_base: Some("http://127.0.0.1".to_owned()),
            ..Settings::new(SECRET_KEY, STACK)
        });
        let stripe = stripe.unwrap();
        let store = Store::open(&table.config().await, None, TABLE, HTTP_BUDGET);
        let catalogs = Catalogs::new(store.clone());
        let (parsed, now) = (Catalog::parse(catalog).unwrap(), Time::from_millis(BEGINNING_MS));
        publish_with(&stripe, &catalogs, STACK, catalog, &parsed, now).await.unwrap();

        let settle = Settle::new(store.clone(), catalogs.clone(), stripe, STACK.to_owned());
        let env = Env::given([("PRIVACY_KEYS", PRIVACY_KEYS.to_owned())]);
        let (callers, keys) = (Callers::from_env(&env).unwrap(), env.required_privacy_keys().unwrap());
        World {
            clock,
            requests: AtomicU64::new(0),
            table: calm,
            stripe: sandbox.router(),
            checkout: Checkout::new(store.clone(), catalogs.clone(), settle.clone(), callers.clone(), keys),
            credit: Credit::new(store.clone(), settle),
            wallet: Wallet::new(store.clone(), catalogs, callers),
            store,
        }
    }

    pub fn now(&self) -> Time {
        Time::from_millis(self.clock.load(Ordering::SeqCst))
    }

    pub fn advance(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    /// Asks as an app does: with one key, again as long as the answer is to try again.
    pub async fn ask(&self, caller: &Caller, route: &str, body: Value) -> (u16, Value) {
        self.ask_about(caller, route, "", body).await
    }

    /// The same, of a route that names one thing.
    pub async fn ask_about(&self, caller: &Caller, route: &str, id: &str, body: Value) -> (u16, Value) {
        let key = format!("key-{}", self.requests.fetch_add(1, Ordering::SeqCst));
        let mut claims = json!({ "sub": caller.user, "scope": "" });
        if let Some(email) = &caller.email {
            (claims["email"], claims["email_verified"]) = (json!(email), json!("true"));
        }
        for _ in 0..MOST_TRIES {
            let (claims, path, body) = (claims.clone(), json!({ "id": id }), body.clone());
            let parts = Parts { id: key.clone(), key: Some(key.clone()), claims, path, body };
            let request = request(route, parts);
            let answer = match route {
                "POST /v1/me/consume" => Box::pin(self.wallet.handle(request, self.now())).await,
                _ => Box::pin(self.checkout.handle(request, self.now())).await,
            };
            let (head, body) = answer.into_parts();
            if head.status.as_u16() != 503 {
                let json = serde_json::from_slice(body.as_ref()).unwrap_or(Value::Null);
                return (head.status.as_u16(), json);
            }
            tokio::time::sleep(BEFORE_NEXT_TRY).await;
            self.advance(BEFORE_NEXT_TRY.as_millis() as i64);
        }
        panic!("{route} of {} is never answered", caller.user)
    }

    /// A request that has to be granted.
    pub async fn granted(&self, caller: &Caller, route: &str, body: Value) -> Value {
        let (status, answer) = self.ask(caller, route, body.clone()).await;
        assert!(matches!(status, 200 | 201), "{route} {body}: {status} {answer}");
        answer
    }

    /// Hands events to the function as one batch of its queue. Each must be settled.
    pub async fn deliver(&self, events: &[Value]) {
        let handled = self.try_to_deliver(events).await;
        assert_eq!(handled.batch_item_failures.len(), 0, "{handled:?} of {events:#?}");
    }

    pub async fn try_to_deliver(&self, events: &[Value]) -> SqsBatchResponse {
        let record = |(number, event): (usize, &Value)| {
            let id = EventId::parse(event["id"].as_str().unwrap()).unwrap();
            let queued = Message::StripeV1 { event: id, received_at: self.now(), body: event.to_string() };
            let mut record = SqsMessage::default();
            (record.message_id, record.body) = (Some(number.to_string()), Some(queued.to_json()));
            record
        };
        let mut batch = SqsEvent::default();
        batch.records = events.iter().enumerate().map(record).collect();
        // Apart from the test's own future: as one they need more stack than a test has.
        Box::pin(self.credit.handle(batch, self.now())).await
    }

    /// What a person does, on a page of Stripe's, in its dashboard or at a bank.
    pub async fn person(&self, path: &str, body: Value) -> Value {
        let done = self.try_person(path, body).await;
        done.unwrap_or_else(|refused| panic!("{path}: {refused}"))
    }

    pub async fn try_person(&self, path: &str, body: Value) -> Result<Value, Value> {
        self.send("POST", &format!("/_sandbox/{path}"), "application/json", body.to_string()).await
    }

    /// What somebody does with the account's own key.
    pub async fn post(&self, path: &str, form: &str) -> Value {
        let done = self.send("POST", path, "application/x-www-form-urlencoded", form.to_owned()).await;
        done.unwrap_or_else(|refused| panic!("{path} {form}: {refused}"))
    }

    pub async fn get(&self, path: &str) -> Value {
        let found = self.send("GET", path, "application/x-www-form-urlencoded", String::new()).await;
        found.unwrap_or_else(|refused| panic!("{path}: {refused}"))
    }

    /// What a plan costs a month, as Stripe names it.
    pub async fn price(&self, plan: &str) -> String {
        let key = format!("{STACK}:tried:plan:{plan}:month:eur");
        let found = self.get(&format!("/v1/prices?lookup_keys[]={key}")).await;
        found["data"][0]["id"].as_str().unwrap_or_else(|| panic!("no price of {plan}: {found}")).to_owned()
    }

    /// Everything that a list of Stripe's has, oldest first.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{join}limit=100{after}")).await;
            let objects = page["data"].as_array().unwrap();
            let last = objects.last().map(|object| object["id"].as_str().unwrap().to_owned());
            found.extend(objects.iter().cloned());
            match last {
                Some(last) if page["has_more"] == true => after = format!("&starting_after={last}"),
                _ => break,
            }
        }
        found.reverse();
        found
    }

    /// What Stripe has to tell since it was last asked, oldest first.
    pub async fn told_since(&self, newest: &mut Option<String>) -> Vec<Value> {
        let since = newest.as_ref().map(|newest| format!("&ending_before={newest}")).unwrap_or_default();
        let page = self.get(&format!("/v1/events?limit=100{since}")).await;
        assert_eq!(page["has_more"], false, "more than a page at once");
        let mut events = page["data"].as_array().unwrap().clone();
        if let Some(event) = events.first() {
            *newest = Some(event["id"].as_str().unwrap().to_owned());
        }
        events.reverse();
        events
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: String) -> Result<Value, Value> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1")
            .header("authorization", format!("Bearer {SECRET_KEY}"))
            .header("content-type", kind)
            .body(AxumBody::from(body));
        let Ok(response) = self.stripe.clone().call(request.unwrap()).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let answer = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() { Ok(answer) } else { Err(answer) }
    }
}

/// An event as Stripe sends it to whoever asked for thin ones.
pub fn thin(event: &Value) -> Value {
    let object = &event["data"]["object"];
    json!({
        "id": format!("{}thin", event["id"].as_str().unwrap()), "object": "v2.core.event", "context": null,
        "created": "2026-11-02T06:13:22.481Z", "livemode": false, "reason": null,
        "related_object": { "id": object["id"], "type": object["object"], "url": "/v1" },
        "type": format!("v1.{}", event["type"].as_str().unwrap()),
    })
}

fn sandbox(clock: &Arc<AtomicI64>) -> Sandbox {
    let clock = clock.clone();
    let options = Options {
        database: None,
        secret_key: SECRET_KEY.to_owned(),
        webhook: None,
        clock: Arc::new(move || clock.load(Ordering::SeqCst)),
        public_url: "http://127.0.0.1".to_owned(),
    };
    Sandbox::open(options).unwrap()
}
