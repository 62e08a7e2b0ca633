//! A stack of its own for each test, and an HTTP client that speaks to it.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::catalog::Catalog;
use domain::cause::{Cause, Operation};
use domain::ids::{RequestKey, UserId};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tollgate::keys::LocalStack;
use tollgate::stack::{Options, Stack};

pub const COMPANION: &str = include_str!("../../../catalogs/companion.toml");
pub const PAID: &str = "4242 4242 4242 4242";
pub const DECLINED: &str = "4000 0000 0000 0002";
pub const ASKS_FOR_3DS: &str = "4000 0025 0000 3155";
/// Can be attached, and is declined whenever it is charged.
pub const DECLINES_LATER: &str = "4000 0000 0000 0341";

/// A running stack in memory; its folder holds only the keys.
pub struct World {
    pub stack: Stack,
    pub http: Http,
    folder: tempfile::TempDir,
}

impl World {
    pub async fn new() -> World {
        World::with(|options| options).await
    }

    /// Stripe's events wait to be delivered by the test itself.
    pub async fn without_webhooks() -> World {
        World::with(|options| Options { deliver_webhooks: false, ..options }).await
    }

    pub async fn with(change: impl FnOnce(Options) -> Options) -> World {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            text: COMPANION.to_owned(),
            catalog: Catalog::parse(COMPANION).unwrap(),
            port: 0,
            folder: folder.path().to_owned(),
            memory: true,
            real_stripe: None,
            deliver_webhooks: true,
            first_retry: Duration::from_millis(5),
        };
        let stack = Stack::start(change(options)).await.unwrap();
        World { stack, http: Http::new(), folder }
    }

    /// Where the stack was started.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn local(&self) -> &LocalStack {
        &self.stack.local
    }

    pub fn user(&self, user: &str) -> Caller<'_> {
        self.caller(user, None)
    }

    pub fn service(&self) -> Caller<'_> {
        self.caller("backend", Some("service"))
    }

    pub fn operator(&self) -> Caller<'_> {
        self.caller("grace", Some("admin"))
    }

    fn caller(&self, user: &str, scope: Option<&str>) -> Caller<'_> {
        let token = self.local().tokens().mint(user, None, scope, Duration::from_secs(3600));
        Caller { http: &self.http, api: self.local().api.clone(), token }
    }

    /// What a person does on the hosted page.
    pub async fn pay(&self, session: &str, card: &str) -> Answer {
        self.sandbox(&format!("checkout/{session}/pay"), json!({ "card": card })).await
    }

    /// What a person does, on a page of Stripe's or in its dashboard.
    pub async fn sandbox(&self, path: &str, body: Value) -> Answer {
        let url = format!("{}/_sandbox/{path}", self.local().stripe);
        self.http.send(Method::POST, &url, &[], body.to_string()).await
    }

    /// Takes an item out of the table, as if it had never been written.
    pub async fn forget(&self, prefix: &str, id: &str, sk: &str) {
        let (pk, sk) = (AttributeValue::S(format!("{prefix}{id}")), AttributeValue::S(sk.to_owned()));
        let delete = self.table().await.delete_item().table_name(tollgate::stack::TABLE);
        delete.key("PK", pk).key("SK", sk).send().await.unwrap();
    }

    /// As if a function had died before it wrote down what Stripe had answered.
    pub async fn forget_answer(&self, user: &str, operation: Operation, key: &str) {
        let (user, key) = (UserId::parse(user).unwrap(), RequestKey::parse(key).unwrap());
        let result = store::schema::result(&Cause::Request { user, operation, key });
        self.forget("", &result.pk, &result.sk).await;
    }

    /// How often Stripe charged anybody.
    pub async fn charges(&self) -> usize {
        let charges = self.stripe("/v1/charges?limit=100").await;
        assert_eq!(charges["has_more"], false);
        charges["data"].as_array().unwrap().len()
    }

    /// Something that Stripe's API answers to its owner.
    pub async fn stripe(&self, path: &str) -> Value {
        let bearer = format!("Bearer {}", self.local().stripe_secret_key);
        let url = format!("{}{path}", self.local().stripe);
        self.http.send(Method::GET, &url, &[("authorization", &bearer)], String::new()).await.json
    }

    /// Deletes an object, as a person might in Stripe's dashboard.
    pub async fn stripe_delete(&self, path: &str) {
        let bearer = format!("Bearer {}", self.local().stripe_secret_key);
        let url = format!("{}{path}", self.local().stripe);
        let answer = self.http.send(Method::DELETE, &url, &[("authorization", &bearer)], String::new()).await;
        assert!(answer.status.is_success(), "{}", answer.text);
    }

    /// A form sent to Stripe's API.
    pub async fn stripe_update(&self, path: &str, form: &str) {
        let bearer = format!("Bearer {}", self.local().stripe_secret_key);
        let headers =
            [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let url = format!("{}{path}", self.local().stripe);
        let answer = self.http.send(Method::POST, &url, &headers, form.to_owned()).await;
        assert!(answer.status.is_success(), "{}", answer.text);
    }

    /// The latest event of a type, as Stripe would send it.
    pub async fn event(&self, kind: &str) -> Value {
        let events = self.stripe(&format!("/v1/events?type={kind}&limit=1")).await;
        let event = &events["data"][0];
        assert!(event.is_object(), "no {kind}: {events}");
        event.clone()
    }

    /// Delivers an event, signed as Stripe signs.
    pub async fn deliver(&self, event: &Value) -> Answer {
        let body = event.to_string();
        let signature = self.sign(&body).await;
        self.webhook(Some(&signature), body).await
    }

    /// A `Stripe-Signature` by the stack's own secret and clock.
    pub async fn sign(&self, body: &str) -> String {
        signed(&self.local().webhook_secret, body, self.now().await)
    }

    pub async fn webhook(&self, signature: Option<&str>, body: String) -> Answer {
        let url = format!("{}/lambda-url/webhook", self.local().api);
        let headers: Vec<_> = signature.iter().map(|signature| ("stripe-signature", *signature)).collect();
        self.http.send(Method::POST, &url, &headers, body).await
    }

    pub async fn now(&self) -> domain::time::Time {
        let url = format!("{}/_local/clock", self.local().api);
        let answer = self.http.send(Method::GET, &url, &[], String::new()).await;
        domain::time::Time::parse_rfc3339(answer.json["now"].as_str().unwrap()).unwrap()
    }

    pub async fn advance(&self, by: &str) {
        let url = format!("{}/_local/clock", self.local().api);
        let answer = self.http.send(Method::POST, &url, &[], json!({ "advance": by }).to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }

    /// The table, without the ledger in between.
    pub async fn table(&self) -> aws_sdk_dynamodb::Client {
        let aws = self.aws().await;
        let config = aws_sdk_dynamodb::config::Builder::from(&aws).endpoint_url(&self.local().dynamodb);
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// An item beside the ledger: `Z#<object>`, `W#<event>`.
    pub async fn item(&self, prefix: &str, id: &str) -> Option<HashMap<String, AttributeValue>> {
        let (pk, sk) = (format!("{prefix}{id}"), prefix.trim_end_matches('#').to_owned());
        let get = self.table().await.get_item().table_name(tollgate::stack::TABLE).consistent_read(true);
        get.key("PK", AttributeValue::S(pk)).key("SK", AttributeValue::S(sk)).send().await.unwrap().item
    }

    pub async fn queue(&self) -> aws_sdk_sqs::Client {
        let aws = self.aws().await;
        let config = aws_sdk_sqs::config::Builder::from(&aws).endpoint_url(&self.local().sqs);
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// How many messages wait in a queue or are being handled.
    pub async fn waiting(&self, queue: &str) -> u64 {
        use aws_sdk_sqs::types::QueueAttributeName as Name;
        let request = self.queue().await.get_queue_attributes().queue_url(self.queue_url(queue));
        let names = [Name::ApproximateNumberOfMessages, Name::ApproximateNumberOfMessagesNotVisible];
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await.unwrap();
        answer.attributes.unwrap().values().map(|count| count.parse::<u64>().unwrap()).sum()
    }

    pub fn queue_url(&self, queue: &str) -> String {
        format!("{}/{}/{queue}", self.local().sqs, tollgate::queue::ACCOUNT)
    }

    async fn aws(&self) -> aws_config::SdkConfig {
        let pairs =
            [("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local"), ("AWS_REGION", "us-east-1")];
        let env = edge::Env::given(pairs.map(|(name, value)| (name, value.to_owned())));
        edge::aws::config(&env).await.unwrap()
    }
}

/// Somebody with a token.
pub struct Caller<'a> {
    http: &'a Http,
    api: String,
    pub token: String,
}

impl Caller<'_> {
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, String::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, None, body.to_string()).await
    }

    pub async fn post_once(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(key), body.to_string()).await
    }

    pub async fn send(&self, method: Method, path: &str, key: Option<&str>, body: String) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        self.http.send(method, &format!("{}{path}", self.api), &headers, body).await
    }

    pub async fn available(&self) -> u64 {
        let wallet = self.get("/v1/me/wallet").await;
        wallet.json["available"].as_u64().unwrap_or_else(|| panic!("{}", wallet.text))
    }

    /// Waits for a balance, as an app's page would by asking again.
    pub async fn until_available(&self, expected: u64) {
        eventually(&format!("{expected} tokens"), async || self.available().await == expected).await;
    }

    /// A checkout of a package, opened.
    pub async fn opens(&self, package: &str) -> String {
        self.opens_checkout(json!({ "package": package })).await
    }

    /// A checkout of a plan, opened.
    pub async fn opens_plan(&self, plan: &str) -> String {
        self.opens_checkout(json!({ "plan": plan })).await
    }

    async fn opens_checkout(&self, wanted: Value) -> String {
        let opened = self.post("/v1/me/checkout", wanted).await;
        assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text);
        opened.json["id"].as_str().unwrap().to_owned()
    }
}

pub fn signed(secret: &str, body: &str, at: domain::time::Time) -> String {
    stripe_event::sign(secret, body.as_bytes(), at).unwrap()
}

/// Asks again until it is so. The limit only bounds how long a failing test hangs.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[derive(Clone)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub text: String,
    /// `Null` where the body is not JSON.
    pub json: Value,
}

impl Http {
    pub fn new() -> Http {
        Http(Client::builder(TokioExecutor::new()).build_http())
    }

    pub async fn send(&self, method: Method, url: &str, headers: &[(&str, &str)], body: String) -> Answer {
        self.try_send(method, url, headers, body).await.unwrap()
    }

    pub async fn try_send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = Request::builder().method(method).uri(url);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.0.request(request.body(Full::from(body))?).await?;
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status: parts.status, headers: parts.headers, text, json })
    }
}

impl Answer {
    /// A problem with this status and code, complete.
    pub fn expect_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.json["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        for field in ["type", "title", "detail", "request_id"] {
            assert!(
                self.json[field].as_str().is_some_and(|text| !text.is_empty()),
                "no {field}: {}",
                self.text
            );
        }
        assert_eq!(self.json["status"], status);
    }
}
