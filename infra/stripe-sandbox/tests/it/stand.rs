//! A served sandbox with a clock of its own, a webhook endpoint that keeps what it gets, and a client.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use stripe_sandbox::{Options, Sandbox, WebhookTarget};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const KEY: &str = "sk_test_stand";
pub const SECRET: &str = "whsec_stand";
pub const START_MS: i64 = 1_790_000_000_000;
pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;
pub const PAYS: &str = "4242 4242 4242 4242";
/// Can be saved, and is declined when charged.
pub const FAILS_LATER: &str = "4000 0000 0000 0341";

pub struct Stand {
    pub sandbox: Sandbox,
    pub hook: Hook,
    pub clock: Arc<AtomicI64>,
    shop: Shop,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

/// A client of a sandbox, wherever that runs.
#[derive(Clone)]
pub struct Shop {
    pub base: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Deref for Stand {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub fn error(&self) -> Value {
        self.json()["error"].clone()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Stand {
    pub async fn start() -> Self {
        Self::start_with(None, Hook::start().await, Arc::new(AtomicI64::new(START_MS))).await
    }

    pub async fn start_with(database: Option<PathBuf>, hook: Hook, clock: Arc<AtomicI64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let time = clock.clone();
        let sandbox = Sandbox::open(Options {
            database,
            secret_key: KEY.into(),
            webhook: Some(WebhookTarget { url: hook.url.clone(), secret: SECRET.into() }),
            clock: Arc::new(move || time.load(Ordering::SeqCst)),
            public_url: base.clone(),
        })
        .unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = sandbox.clone().serve(listener, async move {
            stopped.await.ok();
        });
        let served = tokio::spawn(async move { serving.await.unwrap() });
        Self { sandbox, hook, clock, shop: Shop::at(base), stop: Some(stop), served }
    }

    /// Stops serving and closes the database.
    pub async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.served.await.unwrap();
    }

    pub fn advance(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    /// Steps from one due moment to the next, as the local stack does.
    pub async fn live(&self, ms: i64) {
        let target = self.clock.load(Ordering::SeqCst) + ms;
        while let Some(due) = self.sandbox.next_due().filter(|due| *due <= target) {
            self.clock.fetch_max(due, Ordering::SeqCst);
            self.sandbox.run_due().await;
        }
        self.clock.store(target, Ordering::SeqCst);
        self.sandbox.run_due().await;
    }

    pub fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst) / 1000
    }
}

impl Shop {
    pub fn at(base: String) -> Self {
        Self { base, http: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, &[("authorization", &bearer())], "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub async fn try_get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("authorization", &bearer())], "").await
    }

    pub async fn post(&self, path: &str, form: &str) -> Value {
        let answer = self.try_post(path, form, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub async fn try_post(&self, path: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
        let bearer = bearer();
        let mut all =
            vec![("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.send("POST", path, &all, form).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[("authorization", &bearer())], "").await
    }

    /// What a shopper does: no key, JSON.
    pub async fn shopper(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body).await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let uri = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        self.exchange(request).await.expect("the sandbox answers")
    }

    /// `None` if the sandbox died before it had answered.
    async fn exchange(&self, request: http::Request<Full<Bytes>>) -> Option<Answer> {
        let (parts, body) = self.http.request(request).await.ok()?.into_parts();
        let text = String::from_utf8(body.collect().await.ok()?.to_bytes().to_vec()).unwrap();
        Some(Answer { status: parts.status.as_u16(), headers: parts.headers, text })
    }

    /// A product with one price, in cents.
    pub async fn price(&self, name: &str, unit_amount: i64) -> String {
        let form = format!("currency=eur&unit_amount={unit_amount}&product_data[name]={name}");
        self.post("/v1/prices", &form).await["id"].as_str().unwrap().to_owned()
    }

    /// An open session for one piece of a price.
    pub async fn session(&self, price: &str, more: &str) -> Value {
        let form = format!(
            "mode=payment&line_items[0][price]={price}&line_items[0][quantity]=1\
             &success_url=https://shop.test/done?s={{CHECKOUT_SESSION_ID}}&cancel_url=https://shop.test/cart{more}"
        );
        self.post("/v1/checkout/sessions", &form).await
    }

    /// A price that is paid every interval, in cents.
    pub async fn plan(&self, name: &str, unit_amount: i64, interval: &str) -> String {
        let form = format!(
            "currency=eur&unit_amount={unit_amount}&product_data[name]={name}&recurring[interval]={interval}"
        );
        self.post("/v1/prices", &form).await["id"].as_str().unwrap().to_owned()
    }

    /// An open session that subscribes to a price.
    pub async fn subscription_session(&self, price: &str, more: &str) -> Value {
        let form = format!(
            "mode=subscription&line_items[0][price]={price}&line_items[0][quantity]=1\
             &success_url=https://shop.test/done{more}"
        );
        self.post("/v1/checkout/sessions", &form).await
    }

    /// A subscription that has been bought and paid with the card that pays.
    pub async fn subscribe(&self, price: &str, more: &str) -> Value {
        let session = self.subscription_session(price, more).await;
        let paid = self.pay(id(&session), PAYS).await.json();
        self.subscription(paid["subscription"].as_str().unwrap()).await
    }

    pub async fn subscription(&self, id: &str) -> Value {
        self.get(&format!("/v1/subscriptions/{id}")).await
    }

    pub async fn swap_card(&self, subscription: &str, card: &str) -> Value {
        let path = format!("/_sandbox/subscriptions/{subscription}/card");
        let answer = self.shopper(&path, &format!(r#"{{"card":"{card}"}}"#)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// All invoices of a subscription, newest first.
    pub async fn invoices(&self, subscription: &str) -> Vec<Value> {
        let page = self.get(&format!("/v1/invoices?subscription={subscription}&limit=100")).await;
        page["data"].as_array().unwrap().clone()
    }

    /// All events since the first so many, oldest first.
    pub async fn events_after(&self, seen: usize) -> Vec<Value> {
        let page = self.get("/v1/events?limit=100").await;
        assert_eq!(page["has_more"], false, "more events than one page");
        let mut events = page["data"].as_array().unwrap().clone();
        events.reverse();
        events.split_off(seen)
    }

    pub async fn pay(&self, session: &str, card: &str) -> Answer {
        self.shopper(&format!("/_sandbox/checkout/{session}/pay"), &format!(r#"{{"card":"{card}"}}"#)).await
    }

    /// The intent of one piece at 9.99, bought and paid.
    pub async fn bought(&self, card: &str) -> String {
        let price = self.price("Medium", 999).await;
        let session = self.session(&price, "").await;
        let paid = self.pay(id(&session), card).await.json();
        paid["payment_intent"].as_str().unwrap().to_owned()
    }

    /// The charge that paid an intent.
    pub async fn charge_of(&self, intent: &str) -> Value {
        let path = format!("/v1/payment_intents/{intent}?expand[]=latest_charge");
        self.get(&path).await["latest_charge"].clone()
    }

    pub async fn try_pay(&self, session: &str) -> Option<Answer> {
        let uri = format!("{}/_sandbox/checkout/{session}/pay", self.base);
        self.exchange(http::Request::post(uri).body(Full::default()).unwrap()).await
    }

    /// The types of all events so far, oldest first.
    pub async fn event_types(&self) -> Vec<String> {
        let page = self.get("/v1/events?limit=100").await;
        let newest_first = page["data"].as_array().unwrap().iter();
        newest_first.rev().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }
}

pub fn bearer() -> String {
    format!("Bearer {KEY}")
}

pub fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

pub fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Start and end of the period a subscription is in.
pub fn period(subscription: &Value) -> (i64, i64) {
    let item = &subscription["items"]["data"][0];
    (item["current_period_start"].as_i64().unwrap(), item["current_period_end"].as_i64().unwrap())
}

pub fn seconds(date: &str) -> i64 {
    date.parse::<jiff::Timestamp>().unwrap().as_second()
}

/// A webhook endpoint.
#[derive(Clone)]
pub struct Hook {
    pub url: String,
    status: Arc<AtomicU16>,
    received: Arc<Mutex<Vec<Received>>>,
}

#[derive(Clone, Debug)]
pub struct Received {
    pub signature: String,
    pub body: String,
}

impl Received {
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Hook {
    /// Somebody else's endpoint.
    pub fn at(url: String) -> Self {
        Self { url, status: Arc::new(AtomicU16::new(200)), received: Arc::default() }
    }

    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let hook = Self::at(url);
        let router = Router::new().route("/webhook", post(receive)).with_state(hook.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        hook
    }

    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn received_of(&self, kind: &str) -> Vec<Received> {
        self.received().into_iter().filter(|received| received.event()["type"] == *kind).collect()
    }
}

async fn receive(State(hook): State<Hook>, headers: HeaderMap, body: String) -> StatusCode {
    let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
    hook.received.lock().unwrap().push(Received { signature, body });
    StatusCode::from_u16(hook.status.load(Ordering::SeqCst)).unwrap()
}
