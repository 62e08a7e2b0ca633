//! The gateway as a client and as a function see it, over loopback.

use std::time::Duration;

use axum::routing::get;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use lambda_http::request::RequestContext;
use lambda_http::{RequestExt, Response as FunctionResponse};
use tokio::net::TcpListener;

use super::*;

const APP: &str = "https://app.example";

struct Served {
    url: String,
    tokens: Tokens,
}

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: String,
}

async fn serve(invoke: Invoke) -> Served {
    let tokens = Tokens::new(b"key");
    let origins = vec![APP.to_owned()];
    let gateway = Gateway::new(&Template::embedded().unwrap(), origins, tokens.clone(), invoke);
    let router = gateway.router(Router::new().route("/", get(async || "page")));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    Served { url, tokens }
}

/// A function that tells what it saw.
fn mirror() -> Invoke {
    Arc::new(|name, request| {
        Box::pin(async move {
            let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else { panic!() };
            let seen = json!({
                "function": name,
                "method": request.method().as_str(),
                "path": request.raw_http_path(),
                "user": request.path_parameters().first("user"),
                "q": request.query_string_parameters().all("q"),
                "cookie": request.headers().get("cookie").map(|value| value.to_str().unwrap()),
                "x-many": request.headers().get("x-many").map(|value| value.to_str().unwrap()),
                "context": context,
                "text": matches!(request.body(), Body::Text(_)),
                "body": request.body().as_ref() as &[u8],
            });
            FunctionResponse::builder()
                .status(201)
                .header("x-made", "yes")
                .header("access-control-allow-origin", "*")
                .body(seen.to_string().into())
                .unwrap()
        })
    })
}

impl Served {
    fn bearer(&self) -> String {
        format!(
            "Bearer {}",
            self.tokens.mint("auth0|1", Some("a@b.c"), Some("admin"), Duration::from_secs(60))
        )
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = axum::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let response = client.request(request.body(Full::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, Vec::new()).await
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[tokio::test]
async fn a_function_sees_what_aws_would_send_it() {
    let served = serve(mirror()).await;
    let bearer = served.bearer();
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json; charset=utf-8"),
        ("cookie", "a=1; b=2"),
        ("x-many", "one"),
        ("x-many", "two"),
        ("x-forwarded-proto", "https"),
    ];
    let path = "/v1/users/auth0%7C2/consume?q=a%20b&q=c";
    let answer = served.send("POST", path, &headers, b"{}".to_vec()).await;
    assert_eq!((answer.status, answer.headers["x-made"].to_str().unwrap()), (201, "yes"));

    let seen = answer.json();
    assert_eq!(seen["function"], "wallet");
    assert_eq!((&seen["method"], &seen["path"]), (&json!("POST"), &json!("/v1/users/auth0|2/consume")));
    assert_eq!((&seen["user"], &seen["q"]), (&json!("auth0|2"), &json!(["a b", "c"])));
    assert_eq!((&seen["cookie"], &seen["x-many"]), (&json!("a=1; b=2"), &json!("one,two")));
    assert_eq!((&seen["text"], &seen["body"]), (&json!(true), &json!([b'{', b'}'])));
    let context = &seen["context"];
    assert_eq!(context["routeKey"], "POST /v1/users/{user}/consume");
    assert_eq!(context["requestId"], answer.headers["apigw-requestid"].to_str().unwrap());
    assert_eq!((&context["stage"], &context["http"]["method"]), (&json!("$default"), &json!("POST")));
    let claims = &context["authorizer"]["jwt"]["claims"];
    assert_eq!((&claims["sub"], &claims["scope"]), (&json!("auth0|1"), &json!("admin")));
    assert_eq!(claims["email_verified"], "true");
    assert!(claims["exp"].is_string(), "every claim is a text");
}

#[tokio::test]
async fn bytes_arrive_as_they_were_sent() {
    let served = serve(mirror()).await;
    let bearer = served.bearer();
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/octet-stream")];
    let seen = served.send("POST", "/v1/me/consume", &headers, vec![0, 255, 128]).await.json();
    assert_eq!((&seen["text"], &seen["body"]), (&json!(false), &json!([0, 255, 128])));
}

#[tokio::test]
async fn requests_without_a_good_token_are_answered_as_by_aws() {
    let served = serve(mirror()).await;
    let answer = served.get("/v1/me", &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (401, r#"{"message":"Unauthorized"}"#));
    assert_eq!(answer.headers["www-authenticate"], "Bearer");

    let expired = served.tokens.mint("u", None, None, Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let expired = served.get("/v1/me", &[("authorization", &format!("Bearer {expired}"))]).await;
    let forged = Tokens::new(b"other").mint("u", None, None, Duration::from_secs(60));
    let forged = served.get("/v1/me", &[("authorization", &forged)]).await;
    for (answer, problem) in [(expired, "the token has expired"), (forged, "the token is not valid")] {
        assert_eq!((answer.status, answer.body.as_str()), (401, r#"{"message":"Unauthorized"}"#));
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        assert_eq!(
            challenge,
            format!(r#"Bearer scope="" error="invalid_token" error_description="{problem}""#)
        );
    }
}

#[tokio::test]
async fn public_routes_need_no_token_and_get_no_claims() {
    let served = serve(mirror()).await;
    let seen = served.get("/v1/packages", &[("authorization", "Bearer nonsense")]).await.json();
    assert_eq!(seen["function"], "entitlements");
    assert!(seen["context"].get("authorizer").is_none(), "{seen}");
}

#[tokio::test]
async fn unknown_routes_are_not_found_before_any_token_is_asked_for() {
    let served = serve(mirror()).await;
    for (method, path) in [("GET", "/v1/nothing"), ("DELETE", "/v1/me"), ("GET", "/lambda-url/credit/")] {
        let answer = served.send(method, path, &[], Vec::new()).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (404, r#"{"message":"Not Found"}"#),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_function_url_takes_any_method_and_path_without_a_token() {
    let served = serve(mirror()).await;
    let headers = [("content-type", "application/json")];
    let seen = served.send("POST", "/lambda-url/webhook", &headers, b"{}".to_vec()).await.json();
    assert_eq!((&seen["function"], &seen["path"]), (&json!("webhook"), &json!("/")));
    let context = &seen["context"];
    assert_eq!((&context["routeKey"], &context["accountId"]), (&json!("$default"), &json!("anonymous")));
    assert!(context["domainName"].as_str().unwrap().contains("lambda-url"));
    let seen = served.get("/lambda-url/webhook/a%20b", &[]).await.json();
    assert_eq!(seen["path"], "/a%20b");
}

#[tokio::test]
async fn bodies_over_the_limit_are_too_large() {
    let served = serve(mirror()).await;
    let six_megabytes = 6 * 1024 * 1024;
    let at_limit = served.send("POST", "/lambda-url/webhook", &[], vec![b'x'; six_megabytes]).await;
    assert_eq!(at_limit.status, 201);
    let bearer = served.bearer();
    let headers = [("authorization", bearer.as_str())];
    let over = served.send("POST", "/v1/me/consume", &headers, vec![b'x'; LARGEST_API_BODY + 1]).await;
    assert_eq!((over.status, over.body.as_str()), (413, r#"{"message":"Request Entity Too Large"}"#));
}

#[tokio::test]
async fn a_panic_in_a_function_is_aws_s_500_and_the_next_request_is_answered() {
    let invoke: Invoke = Arc::new(|_, request| {
        Box::pin(async move {
            assert!(request.headers().get("x-panic").is_none(), "as asked");
            FunctionResponse::new(Body::Empty)
        })
    });
    let served = serve(invoke).await;
    let answer = served.get("/v1/plans", &[("x-panic", "1")]).await;
    assert_eq!((answer.status, answer.body.as_str()), (500, r#"{"message":"Internal Server Error"}"#));
    assert_eq!(served.get("/lambda-url/webhook", &[("x-panic", "1")]).await.status, 502);
    assert_eq!(served.get("/v1/plans", &[]).await.status, 200);
}

#[tokio::test]
async fn the_stacks_own_routes_come_first_and_foreign_hosts_reach_nothing() {
    let served = serve(mirror()).await;
    assert_eq!(served.get("/", &[]).await.body, "page");
    for path in ["/", "/v1/plans", "/lambda-url/webhook"] {
        assert_eq!(served.get(path, &[("host", "evil.example")]).await.status, 403, "{path}");
    }
    let port = served.url.rsplit_once(':').unwrap().1;
    assert_eq!(served.get("/v1/plans", &[("host", &format!("localhost:{port}"))]).await.status, 201);
}

const ALLOWED: [(&str, &str); 4] = [
    ("access-control-allow-origin", APP),
    ("access-control-allow-methods", "DELETE,GET,POST,PUT"),
    ("access-control-allow-headers", "authorization,content-type,idempotency-key"),
    ("access-control-max-age", "3600"),
];

/// All that an answer says of CORS.
fn cors(answer: &Answer) -> Vec<(&str, &str)> {
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    headers.filter(|(name, _)| name.starts_with("access-control-")).collect()
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_token_and_without_a_function() {
    let served = serve(Arc::new(|_, _| panic!("no function is asked"))).await;
    let asks = [("origin", APP), ("access-control-request-method", "POST")];
    for path in ["/v1/me/consume", "/v1/nothing"] {
        let answer = served.send("OPTIONS", path, &asks, Vec::new()).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{path}");
        assert_eq!(cors(&answer), ALLOWED, "{path}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_permitted_nothing() {
    let served = serve(mirror()).await;
    for origin in ["https://evil.example", "http://app.example", "https://app.example:8443", "null"] {
        let asks = [("origin", origin), ("access-control-request-method", "GET")];
        let preflight = served.send("OPTIONS", "/v1/plans", &asks, Vec::new()).await;
        assert_eq!((preflight.status, cors(&preflight)), (204, vec![]), "{origin}");
        let answer = served.get("/v1/plans", &asks[..1]).await;
        assert_eq!((answer.status, cors(&answer)), (201, vec![]), "{origin}");
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_reads_what_a_function_answers() {
    let served = serve(mirror()).await;
    let answer = served.get("/v1/plans", &[("origin", APP)]).await;
    let exposed = ("access-control-expose-headers", "idempotency-key,retry-after");
    assert_eq!(cors(&answer), [("access-control-allow-origin", APP), exposed]);
    assert_eq!(cors(&served.get("/v1/me", &[("origin", APP)]).await), [], "no function answered");
    assert_eq!(cors(&served.get("/v1/plans", &[]).await), [], "no page asked");
}

#[tokio::test]
async fn a_function_url_leaves_cors_to_its_function() {
    let served = serve(mirror()).await;
    let answer = served.send("OPTIONS", "/lambda-url/webhook", &[("origin", APP)], Vec::new()).await;
    assert_eq!((answer.status, cors(&answer)), (201, vec![("access-control-allow-origin", "*")]));
}
