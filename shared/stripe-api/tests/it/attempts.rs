//! When a call is tried again, when it is not, and what the caller is told.

use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::ids::{CustomerId, UserId};

use crate::wire::{KEY, Step, Wire};
use crate::{Settings, Stripe, StripeError};

const CUSTOMER: &str = r#"{"id":"cus_1","object":"customer","created":1,"livemode":false,"metadata":{}}"#;

fn stripe(wire: &Wire) -> Stripe {
    Stripe::new(wire.settings()).unwrap()
}

fn user() -> UserId {
    UserId::parse("auth0|ada").unwrap()
}

fn customer() -> CustomerId {
    CustomerId::parse("cus_1").unwrap()
}

async fn create(wire: &Wire) -> Result<CustomerId, StripeError> {
    stripe(wire).create_customer(&user()).await
}

/// The key each request carried, in order.
fn keys(wire: &Wire) -> Vec<String> {
    wire.seen().iter().map(|seen| seen.headers["idempotency-key"].clone()).collect()
}

#[tokio::test]
async fn one_connection_serves_many_calls() {
    let wire = Wire::play(vec![Step::ok(CUSTOMER); 20]);
    let stripe = stripe(&wire);
    for _ in 0..10 {
        stripe.create_customer(&user()).await.unwrap();
        stripe.clone().customer_owner(&customer()).await.unwrap();
    }
    assert_eq!(wire.seen().len(), 20);
    assert!(wire.seen().iter().all(|seen| seen.connection == 0));
}

#[tokio::test]
async fn every_request_says_who_asks_and_in_which_version() {
    let wire = Wire::play([Step::ok(CUSTOMER)]);
    create(&wire).await.unwrap();
    let headers = wire.seen().remove(0).headers;
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(headers["stripe-version"], "2026-09-30.endive");
    assert!(headers["user-agent"].starts_with("tollgate/"));
}

#[tokio::test]
async fn a_failure_at_stripe_is_retried_with_the_same_key() {
    for passing in [500, 503, 409, 429] {
        let wire = Wire::play([Step::status(passing), Step::ok(CUSTOMER)]);
        assert_eq!(create(&wire).await.unwrap(), customer(), "{passing}");
        let keys = keys(&wire);
        assert_eq!(keys.len(), 2, "{passing}");
        assert_eq!(keys[0], keys[1]);
    }
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_with_the_same_key() {
    for lost in [Step::Hangup, Step::Silence] {
        let wire = Wire::play([lost, Step::ok(CUSTOMER)]);
        assert_eq!(create(&wire).await.unwrap(), customer());
        let keys = keys(&wire);
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0], keys[1]);
    }
}

#[tokio::test]
async fn attempts_are_bounded() {
    let wire = Wire::play(vec![Step::status(500); 9]);
    assert!(matches!(create(&wire).await, Err(StripeError::Unknown { .. })));
    assert_eq!(wire.seen().len(), 4);
}

#[tokio::test]
async fn stripe_may_forbid_a_retry() {
    let wire = Wire::play([Step::status(500).header("stripe-should-retry", "false"), Step::ok(CUSTOMER)]);
    assert!(matches!(create(&wire).await, Err(StripeError::Unknown { .. })));
    assert_eq!(wire.seen().len(), 1);
}

#[tokio::test]
async fn stripe_may_ask_for_a_retry() {
    let wire = Wire::play([Step::status(400).header("stripe-should-retry", "true"), Step::ok(CUSTOMER)]);
    assert_eq!(create(&wire).await.unwrap(), customer());
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let wire = Wire::play([Step::status(429).header("retry-after", "1"), Step::ok(CUSTOMER)]);
    let started = Instant::now();
    create(&wire).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_wait_beyond_the_budget_is_left_to_the_caller() {
    let wire = Wire::play([Step::status(429).header("retry-after", "60"), Step::ok(CUSTOMER)]);
    let started = Instant::now();
    match create(&wire).await {
        Err(StripeError::Unavailable { retry_after, .. }) => {
            assert_eq!(retry_after, Some(Duration::from_secs(60)));
        }
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn silence_after_sending_leaves_the_outcome_unknown() {
    let wire = Wire::play(vec![Step::Silence; 9]);
    let mut settings = wire.settings();
    settings.attempts = 2;
    let error = Stripe::new(settings).unwrap().create_customer(&user()).await.unwrap_err();
    assert!(matches!(error, StripeError::Unknown { .. }), "{error:?}");
    assert!(error.is_retryable());
    assert_eq!(wire.seen().len(), 2);
}

#[tokio::test]
async fn the_budget_bounds_all_attempts_together() {
    let wire = Wire::play(vec![Step::Silence; 9]);
    let mut settings = wire.settings();
    (settings.budget, settings.attempts) = (Duration::from_millis(900), 100);
    let started = Instant::now();
    Stripe::new(settings).unwrap().create_customer(&user()).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn reading_leaves_nothing_unknown() {
    let wire = Wire::play(vec![Step::Silence; 9]);
    let mut settings = wire.settings();
    settings.attempts = 2;
    let error = Stripe::new(settings).unwrap().customer_owner(&customer()).await.unwrap_err();
    assert!(matches!(error, StripeError::Unavailable { .. }), "{error:?}");
    assert_eq!(wire.seen().len(), 2, "a read needs no key to be repeated");
}

#[tokio::test]
async fn what_was_never_sent_was_never_done() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut settings = Settings::new(KEY, "main");
    settings.api_base = Some(format!("http://{closed}"));
    let error = Stripe::new(settings).unwrap().create_customer(&user()).await.unwrap_err();
    assert!(matches!(error, StripeError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_proves_no_name() {
    let wire = Wire::play([]);
    let mut settings = wire.settings();
    settings.api_base = settings.api_base.map(|base| base.replace("http://", "https://"));
    settings.attempts = 1;
    let error = Stripe::new(settings).unwrap().create_customer(&user()).await.unwrap_err();
    assert!(matches!(error, StripeError::Unavailable { .. }), "{error:?}");
    assert_eq!(wire.seen().len(), 0);
}

#[tokio::test]
async fn doubt_once_raised_is_not_forgotten() {
    for later in [429, 401, 403] {
        let mut steps = vec![Step::Hangup];
        steps.extend(vec![Step::status(later); 9]);
        let error = create(&Wire::play(steps)).await.unwrap_err();
        assert!(matches!(error, StripeError::Unknown { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_says_why() {
    let body = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds",
        "message":"Your card was declined.","param":"payment_method","charge":"ch_1"}}"#;
    for status in [400, 402] {
        let wire =
            Wire::play([Step::status(status).header("request-id", "req_7").body(body), Step::ok(CUSTOMER)]);
        let error = create(&wire).await.unwrap_err();
        assert!(!error.is_retryable());
        assert_eq!(error.code(), Some("card_declined"));
        let StripeError::Refused(refusal) = &error else { panic!("{error:?}") };
        assert_eq!(refusal.status, status);
        assert_eq!(refusal.decline_code.as_deref(), Some("insufficient_funds"));
        assert_eq!(refusal.request_id.as_deref(), Some("req_7"));
        assert!(error.to_string().contains("Your card was declined."), "{error}");
        assert_eq!(wire.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_of_the_repeated_call_refuses_the_first_too() {
    let error = create(&Wire::play([Step::Hangup, Step::status(400)])).await.unwrap_err();
    assert!(matches!(error, StripeError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn a_refusal_without_a_readable_body_is_still_a_refusal() {
    let wire = Wire::play([Step::status(403).body("<html>")]);
    let error = create(&wire).await.unwrap_err();
    assert!(matches!(&error, StripeError::Refused(refusal) if refusal.status == 403), "{error:?}");
}

#[tokio::test]
async fn two_users_and_two_stacks_have_different_keys() {
    let wire = Wire::play(vec![Step::ok(CUSTOMER); 3]);
    let mut elsewhere = wire.settings();
    elsewhere.stack = "staging".to_owned();
    stripe(&wire).create_customer(&user()).await.unwrap();
    stripe(&wire).create_customer(&UserId::parse("bob").unwrap()).await.unwrap();
    Stripe::new(elsewhere).unwrap().create_customer(&user()).await.unwrap();
    let keys = keys(&wire);
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2], "{keys:?}");
}

#[test]
fn a_connection_knows_whether_real_money_moves() {
    assert!(Stripe::new(Settings::new("rk_live_1", "main")).unwrap().livemode());
    assert!(!Stripe::new(Settings::new("sk_test_1", "main")).unwrap().livemode());
}

#[test]
fn debug_hides_the_key() {
    let wire = Wire::play([]);
    let shown = format!("{:?} {:?}", wire.settings(), stripe(&wire));
    assert!(shown.contains("main") && !shown.contains("never_to_be_seen"), "{shown}");
}

#[tokio::test]
async fn logs_show_neither_key_nor_body() {
    let written = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer({
            let written = written.clone();
            move || written.clone()
        })
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let wire = Wire::play([Step::status(500), Step::ok(CUSTOMER).header("request-id", "req_9")]);
    create(&wire).await.unwrap();
    drop(guard);
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("attempt=2") && log.contains("req_9"), "{log}");
    for secret in ["never_to_be_seen", "ada", "cus_1", "tollgate_user"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
