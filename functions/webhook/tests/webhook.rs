//! Stripe's events through the function's own door, to a queue behind a real socket.

mod sqs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::time::Time;
use edge::Env;
use lambda_http::Request;
use serde_json::{Value, json};
use sqs::{Mood, Sqs};
use stripe_event::{LARGEST_BODY, Message, sign};
use webhook::Webhook;

const SALE: &str = include_str!("../../../events/stripe/checkout.session.completed.paid.2026-09-30.json");
const UNHEARD_OF: &str =
    r#"{"id":"evt_9","livemode":false,"type":"moon.landed","new":["é\u00e9 \"\\", 1e400]}"#;
const SECRET: &str = "whsec_first";
const OTHER_SECRET: &str = "whsec_second";

fn now() -> Time {
    Time::from_seconds(1_793_600_003)
}

fn settings(sqs: &Sqs) -> Vec<(&'static str, String)> {
    [
        ("STRIPE_WEBHOOK_SECRET", SECRET),
        ("STRIPE_MODE", "test"),
        ("QUEUE_URL", "http://sqs.example/000000000000/events"),
        ("AWS_ENDPOINT_URL_SQS", sqs.endpoint.as_str()),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

async fn webhook_with(sqs: &Sqs, name: &'static str, value: &str) -> Webhook {
    let env = Env::given(settings(sqs).into_iter().chain([(name, value.to_owned())]));
    Webhook::from_env(&env).await.unwrap()
}

async fn started() -> (Webhook, Sqs) {
    let sqs = Sqs::start().await;
    (webhook_with(&sqs, "STRIPE_MODE", "test").await, sqs)
}

/// The function URL's event, as it is in `events/`.
fn example() -> Value {
    serde_json::from_str(include_str!("../../../events/webhook.json")).unwrap()
}

fn request(event: &Value) -> Request {
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

fn delivery(body: &str, signature: &str) -> Request {
    let mut event = example();
    event["body"] = json!(body);
    event["headers"]["stripe-signature"] = json!(signature);
    request(&event)
}

fn signed(body: &str) -> Request {
    delivery(body, &sign(SECRET, body.as_bytes(), now()).unwrap())
}

/// Status and JSON of the answer.
async fn answer(webhook: &Webhook, request: Request) -> (u16, Value) {
    let response = webhook.handle(request, now()).await;
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

async fn assert_refused(
    webhook: &Webhook,
    sqs: &Sqs,
    request: Request,
    status: u16,
    code: &str,
    detail: &str,
) {
    let (was, problem) = answer(webhook, request).await;
    assert_eq!((was, problem["code"].as_str()), (status, Some(code)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
    assert!(!problem.to_string().contains("buyer@app.example"), "the body is echoed");
    assert!(sqs.messages().is_empty(), "it was queued");
}

#[tokio::test]
async fn a_signed_event_is_queued_and_acknowledged() {
    let (webhook, sqs) = started().await;
    let (status, reply) = answer(&webhook, signed(SALE)).await;
    assert_eq!((status, reply), (200, json!({ "received": true, "event": "evt_1Tm7c52eZvKYlo2C3uKa" })));
    assert_eq!(sqs.messages().len(), 1);
}

#[tokio::test]
async fn the_message_holds_the_body_byte_for_byte() {
    let (webhook, sqs) = started().await;
    for body in
        [SALE, UNHEARD_OF, "{\r\n\t\"id\":\"evt_8\",\"livemode\" : false,\"odd\":\"\u{ffff}\u{10ffff}\"} \n"]
    {
        assert_eq!(answer(&webhook, signed(body)).await.0, 200);
        let Message::StripeV1 { body: arrived, received_at, .. } =
            Message::parse(sqs.messages().last().unwrap()).unwrap();
        assert_eq!((arrived.as_str(), received_at), (body, now()));
    }
}

#[tokio::test]
async fn a_type_nobody_has_heard_of_is_queued_too() {
    let (webhook, sqs) = started().await;
    assert_eq!(answer(&webhook, signed(UNHEARD_OF)).await.0, 200);
    assert_eq!(sqs.messages().len(), 1);
}

#[tokio::test]
async fn a_body_in_base64_verifies_as_what_it_decodes_to() {
    let (webhook, sqs) = started().await;
    let mut event = example();
    event["body"] = json!(STANDARD.encode(SALE));
    event["isBase64Encoded"] = json!(true);
    event["headers"]["stripe-signature"] = json!(sign(SECRET, SALE.as_bytes(), now()).unwrap());
    assert_eq!(answer(&webhook, request(&event)).await.0, 200);
    let Message::StripeV1 { body, .. } = Message::parse(&sqs.messages()[0]).unwrap();
    assert_eq!(body, SALE);
}

#[tokio::test]
async fn the_event_for_local_invocation_parses_and_is_too_old() {
    let (webhook, sqs) = started().await;
    let (status, problem) = answer(&webhook, request(&example())).await;
    assert_eq!((status, &problem["request_id"]), (400, &example()["requestContext"]["requestId"]));
    // By the wall clock, as it is when somebody invokes it: the example is from before this was written.
    let response = webhook.handle(request(&example()), edge::now()).await;
    let problem: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!((response.status().as_u16(), problem["code"].as_str()), (400, Some("invalid_signature")));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("s old; at most 300 s are allowed"), "{detail}");
    assert!(sqs.messages().is_empty());
}

#[tokio::test]
async fn what_stripe_did_not_sign_just_now_is_refused_and_not_queued() {
    let (webhook, sqs) = started().await;
    let good = sign(SECRET, SALE.as_bytes(), now()).unwrap();
    let at = |seconds: i64| sign(SECRET, SALE.as_bytes(), now().plus_ms(1000 * seconds)).unwrap();
    let wrong_secret = sign(OTHER_SECRET, SALE.as_bytes(), now()).unwrap();
    let refused = [
        (delivery(&SALE.replace("999", "9"), &good), "no `v1` matches"),
        (delivery(SALE, &good[..good.len() - 2]), "no `v1` matches"),
        (delivery(SALE, &wrong_secret), "no `v1` matches"),
        (delivery(SALE, &at(-301)), "301 s old; at most 300 s are allowed"),
        (delivery(SALE, &at(301)), "301 s in the future; at most 300 s are allowed"),
        (delivery(SALE, "t=1793600003"), "must hold one `t="),
        (delivery(SALE, "\u{fffd}"), "must hold one `t="),
    ];
    for (request, detail) in refused {
        assert_refused(&webhook, &sqs, request, 400, "invalid_signature", detail).await;
    }
}

#[tokio::test]
async fn an_unsigned_request_is_told_which_header_it_lacks() {
    let (webhook, sqs) = started().await;
    let mut event = example();
    event["headers"].as_object_mut().unwrap().remove("stripe-signature");
    let detail = "`Stripe-Signature` is missing";
    assert_refused(&webhook, &sqs, request(&event), 400, "invalid_signature", detail).await;
}

#[tokio::test]
async fn a_signed_body_that_is_no_event_is_refused() {
    let (webhook, sqs) = started().await;
    for body in ["", "{}", "buyer@app.example", r#"{"id":"evt_1"}"#] {
        assert_refused(&webhook, &sqs, signed(body), 400, "invalid_request", "`livemode`").await;
    }
}

#[tokio::test]
async fn during_a_rotation_either_signature_and_either_secret_will_do() {
    let (webhook, sqs) = started().await;
    let header = |secret| sign(secret, SALE.as_bytes(), now()).unwrap();
    let hash = |secret| header(secret).split_once(",").unwrap().1.to_owned();
    for (first, second) in [(SECRET, OTHER_SECRET), (OTHER_SECRET, SECRET)] {
        let both = format!("{},{}", header(first), hash(second));
        assert_eq!(answer(&webhook, delivery(SALE, &both)).await.0, 200);
    }
    for secrets in ["whsec_first,whsec_second", " whsec_second , whsec_first "] {
        let webhook = webhook_with(&sqs, "STRIPE_WEBHOOK_SECRET", secrets).await;
        for secret in [SECRET, OTHER_SECRET] {
            assert_eq!(answer(&webhook, delivery(SALE, &header(secret))).await.0, 200);
        }
    }
    assert_eq!(sqs.messages().len(), 6);
}

#[tokio::test]
async fn too_large_a_body_is_refused_though_it_is_signed() {
    let (webhook, sqs) = started().await;
    let body = format!("{}{UNHEARD_OF}", " ".repeat(LARGEST_BODY + 1 - UNHEARD_OF.len()));
    assert_refused(&webhook, &sqs, signed(&body), 413, "too_large", "262144 bytes").await;
    assert_eq!(answer(&webhook, signed(&body[1..])).await.0, 200);
}

#[tokio::test]
async fn test_and_live_mode_do_not_mix() {
    let (test, sqs) = started().await;
    let live = webhook_with(&sqs, "STRIPE_MODE", "live").await;
    let live_sale = SALE.replace("\"livemode\": false", "\"livemode\": true");
    assert_refused(&live, &sqs, signed(SALE), 400, "wrong_mode", "live mode and the event is of test mode")
        .await;
    assert_refused(&test, &sqs, signed(&live_sale), 400, "wrong_mode", "test mode and the event is of live")
        .await;
    assert_eq!(answer(&live, signed(&live_sale)).await.0, 200);
}

#[tokio::test]
async fn only_post_finds_anything() {
    let (webhook, sqs) = started().await;
    let mut event = example();
    for method in ["GET", "PUT", "OPTIONS"] {
        event["requestContext"]["http"]["method"] = json!(method);
        assert_refused(&webhook, &sqs, request(&event), 404, "not_found", "POST").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_could_not_be_queued_is_asked_for_again_before_stripe_hangs_up() {
    let (webhook, sqs) = started().await;
    for mood in [Mood::Refusing, Mood::Overloaded, Mood::Silent] {
        sqs.turns(mood);
        let start = tokio::time::Instant::now();
        assert_refused(&webhook, &sqs, signed(SALE), 503, "busy", "deliver it again").await;
        assert!(start.elapsed().as_secs() < 10, "Stripe would not have waited");
    }
    tokio::time::resume();
    sqs.turns(Mood::Well);
    assert_eq!(answer(&webhook, signed(SALE)).await.0, 200);
}

#[tokio::test]
async fn a_queue_that_is_away_at_the_start_may_come_back() {
    let sqs = Sqs::start().await;
    sqs.turns(Mood::Refusing);
    let webhook = webhook_with(&sqs, "STRIPE_MODE", "test").await;
    sqs.turns(Mood::Well);
    assert_eq!(answer(&webhook, signed(SALE)).await.0, 200);
}

#[tokio::test]
async fn a_missing_or_useless_setting_stops_the_start_and_is_named() {
    let sqs = Sqs::start().await;
    let wrong = [
        ("STRIPE_WEBHOOK_SECRET", ["", " ", ",", "whsec_", "whsec_first,whsec_"].as_slice()),
        ("STRIPE_MODE", &["", "prod", "Live"]),
        ("QUEUE_URL", &["", " "]),
    ];
    for (name, values) in wrong {
        for value in values {
            let env = Env::given(settings(&sqs).into_iter().chain([(name, (*value).to_owned())]));
            let error = Webhook::from_env(&env).await.err().expect("it must not start").to_string();
            assert!(error.contains(name) && !error.contains("whsec_first"), "{error}");
        }
    }
}
