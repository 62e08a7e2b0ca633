//! One seed's world: a table, a Stripe, the functions between them, and a clock that only the simulation moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use admin::Admin;
use axum::Router;
use axum::body::Body as AxumBody;
use checkout::Checkout;
use credit::Credit;
use domain::catalog::Catalog;
use domain::ids::UserId;
use domain::time::Time;
use edge::{Callers, Env};
use entitlements::Entitlements;
use http_body_util::BodyExt;
use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};
use settle::Settle;
use store::{Catalogs, HTTP_BUDGET, Store};
use stripe_api::{Settings, Stripe};
use stripe_sandbox::Sandbox;
use tollgate::publish::publish_with;
use tollgate::template::Template;
use tower_service::Service;
use wallet::Wallet;

use crate::faults::Faults;
use crate::table::Table;
use crate::wire;

pub const CATALOG: &str = include_str!("catalog.toml");
const STACK: &str = "simulated";
const SECRET_KEY: &str = "sk_test_simulated";
const TABLE: &str = "simulated";
const PRIVACY_KEYS: &str = "1:c2ltdWxhdGVkLXNpbXVsYXRlZC1zaW11bGF0ZWQtc2k";
/// A Monday.
const BEGINNING_MS: i64 = 1_790_553_600_000;
pub const USERS: usize = 6;

pub type Failure = Box<dyn std::error::Error>;

/// Clones share the clock.
#[derive(Clone)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    pub fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }

    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

pub struct World {
    pub clock: Clock,
    pub faults: Faults,
    pub catalog: Catalog,
    pub users: Vec<UserId>,
    /// What is true, looked at without any fault.
    pub truth: Store,
    stripe: Router,
    admin: Admin,
    checkout: Checkout,
    credit: Credit,
    entitlements: Entitlements,
    wallet: Wallet,
}

impl World {
    pub async fn begin(seed: u64) -> Result<World, Failure> {
        let clock = Clock(Arc::new(AtomicI64::new(BEGINNING_MS)));
        let faults = Faults::new(seed);
        let table = Table::new(faults.clone())?;
        let calm = table.without_faults().config().await;
        let client = aws_sdk_dynamodb::Client::new(&calm);
        let shape = tollgate::template::Table { stream_view: None, ..Template::embedded()?.table };
        shape.create(&client, TABLE).await?;
        let truth = Store::open(&calm, None, TABLE, HTTP_BUDGET);

        let sandbox = sandbox(&clock)?;
        let quiet = Settings {
            in_process: Some(wire::to(&sandbox, Faults::none())),
            api_base: Some("http://127.0.0.1".to_owned()),
            ..Settings::new(SECRET_KEY, STACK)
        };
        let catalog = Catalog::parse(CATALOG).map_err(|mistakes| mistakes.to_string())?;
        let (books, stripe) = (Catalogs::new(truth.clone()), Stripe::new(quiet.clone())?);
        publish_with(&stripe, &books, STACK, CATALOG, &catalog, clock.now()).await?;

        let store = Store::open(&table.config().await, None, TABLE, HTTP_BUDGET);
        // Versions never change, and the head is asked for once a minute: read here, they cost no call of the seed's.
        let catalogs = Catalogs::start(store.clone(), clock.now()).await;
        let catalogs = match catalogs {
            Ok(catalogs) => catalogs,
            Err(_) => Catalogs::new(store.clone()),
        };
        let stripe = Stripe::new(Settings { in_process: Some(wire::to(&sandbox, faults.clone())), ..quiet })?;
        let settle = Settle::new(store.clone(), catalogs.clone(), stripe, STACK.to_owned());
        let env = Env::given([("PRIVACY_KEYS", PRIVACY_KEYS.to_owned())]);
        let (callers, keys) = (Callers::from_env(&env)?, env.required_privacy_keys()?);
        let parts = || (store.clone(), catalogs.clone(), settle.clone(), callers.clone(), keys.clone());
        let ((s1, c1, t1, l1, k1), (s2, c2, t2, l2, k2)) = (parts(), parts());
        Ok(World {
            clock,
            faults,
            catalog,
            users: (0..USERS)
                .map(|number| UserId::parse(format!("user{number}")))
                .collect::<Result<_, _>>()?,
            truth,
            stripe: sandbox.router(),
            admin: Admin::new(s1, c1, t1, l1, k1),
            checkout: Checkout::new(s2, c2, t2, l2, k2),
            credit: Credit::new(store.clone(), settle.clone()),
            entitlements: Entitlements::new(store.clone(), catalogs.clone(), callers.clone()),
            wallet: Wallet::new(store, catalogs, callers),
        })
    }

    /// Calls the function that has a route. `now` is that invocation's own clock.
    pub async fn call(&self, function: Function, request: Request, now: Time) -> (u16, Value) {
        let response = match function {
            Function::Admin => self.admin.handle(request, now).await,
            Function::Checkout => self.checkout.handle(request, now).await,
            Function::Entitlements => self.entitlements.handle(request, now).await,
            Function::Wallet => self.wallet.handle(request, now).await,
        };
        read(response)
    }

    pub fn credit(&self) -> &Credit {
        &self.credit
    }

    /// Asks Stripe something, or does there what a person does; nothing fails that.
    pub async fn stripe(&self, method: &str, path: &str, body: Value) -> Result<Value, Value> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1")
            .header("authorization", format!("Bearer {SECRET_KEY}"));
        let request = match body {
            // Stripe's own API takes forms.
            Value::String(form) => {
                request.header("content-type", "application/x-www-form-urlencoded").body(AxumBody::from(form))
            }
            Value::Null => request.body(AxumBody::empty()),
            json => request.header("content-type", "application/json").body(AxumBody::from(json.to_string())),
        };
        let request = request.expect("the request is this program's own");
        let Ok(response) = self.stripe.clone().call(request).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body in memory").to_bytes();
        let answer = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() { Ok(answer) } else { Err(answer) }
    }

    /// Everything that a list of Stripe's has, oldest first.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let page = self.stripe("GET", &format!("{path}{join}limit=100{after}"), Value::Null).await;
            let page = page.expect("Stripe lists what it has");
            let objects = page["data"].as_array().cloned().unwrap_or_default();
            let last = objects.last().and_then(|object| object["id"].as_str()).map(str::to_owned);
            found.extend(objects);
            match last {
                Some(last) if page["has_more"] == true => after = format!("&starting_after={last}"),
                _ => break,
            }
        }
        found.reverse();
        found
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    Admin,
    Checkout,
    Entitlements,
    Wallet,
}

/// An event as API Gateway would send it.
pub fn request(route: &str, parts: Parts) -> Request {
    let (method, path) = route.split_once(' ').expect("a route is a method and a path");
    let mut event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": { "content-type": "application/json", "host": "api.example" },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "api",
            "authorizer": { "jwt": { "claims": parts.claims, "scopes": null } },
            "domainName": "api.example",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "simulation",
            },
            "requestId": parts.id,
            "routeKey": route,
            "stage": "$default",
            "time": "02/Nov/2026:06:13:23 +0000",
            "timeEpoch": 0,
        },
        "pathParameters": parts.path,
        "isBase64Encoded": false,
    });
    if let Some(key) = parts.key {
        event["headers"]["idempotency-key"] = json!(key);
    }
    if !parts.body.is_null() {
        event["body"] = json!(parts.body.to_string());
    }
    lambda_http::request::from_str(&event.to_string()).expect("the event is API Gateway's")
}

/// What differs from request to request.
#[derive(Debug, Default)]
pub struct Parts {
    pub id: String,
    pub key: Option<String>,
    /// What the caller's token says.
    pub claims: Value,
    pub path: Value,
    pub body: Value,
}

fn read(response: Response<Body>) -> (u16, Value) {
    let (head, body) = response.into_parts();
    let json = serde_json::from_slice(body.as_ref()).unwrap_or(Value::Null);
    (head.status.as_u16(), json)
}

fn sandbox(clock: &Clock) -> Result<Sandbox, Failure> {
    let clock = clock.clone();
    Ok(Sandbox::open(stripe_sandbox::Options {
        database: None,
        secret_key: SECRET_KEY.to_owned(),
        webhook: None,
        clock: Arc::new(move || clock.now().millis()),
        public_url: "http://127.0.0.1".to_owned(),
    })?)
}
