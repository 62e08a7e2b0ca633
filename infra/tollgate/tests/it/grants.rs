//! Operators give tokens: to users, and to emails that users prove to be theirs.

mod bulk;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use hyper::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::harness::{Answer, Caller, World};

const EMAIL: &str = "ada@app.example";
const GRANTS: &str = "/v1/admin/grants";
const HOUR: Duration = Duration::from_secs(3600);

fn operator(world: &World) -> Caller<'_> {
    scoped(world, "grace", "admin")
}

fn scoped<'a>(world: &'a World, user: &str, scope: &str) -> Caller<'a> {
    let token = world.local().tokens().mint(user, None, Some(scope), HOUR);
    with_token(world, token)
}

/// Somebody whose email the identity provider has verified.
fn verified<'a>(world: &'a World, user: &str, email: &str) -> Caller<'a> {
    with_token(world, world.local().tokens().mint(user, Some(email), None, HOUR))
}

fn with_token(world: &World, token: String) -> Caller<'_> {
    let mut caller = world.user("nobody");
    caller.token = token;
    caller
}

/// Somebody who says that an email is theirs.
fn unverified<'a>(world: &'a World, user: &str, email_verified: Value) -> Caller<'a> {
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + HOUR;
    let claims = json!({
        "iss": "tollgate-local", "aud": "tollgate", "sub": user, "exp": expires.as_secs(),
        "email": EMAIL, "email_verified": email_verified,
    });
    let key = EncodingKey::from_secret(world.local().key.as_bytes());
    with_token(world, jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap())
}

/// A grant that must be accepted.
async fn given(operator: &Caller<'_>, key: &str, body: Value) -> Value {
    let answer = operator.post_once(GRANTS, key, body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    answer.json
}

/// A write that is refused or not, but claims; sent again for as long as it is told to.
async fn spends(caller: &Caller<'_>, key: &str, tokens: u64) -> Answer {
    loop {
        let answer = caller.post_once("/v1/me/consume", key, json!({ "tokens": tokens })).await;
        if answer.status != StatusCode::SERVICE_UNAVAILABLE {
            return answer;
        }
    }
}

async fn grants_of(caller: &Caller<'_>) -> usize {
    let entries = caller.get("/v1/me/wallet/entries?limit=100").await.json;
    entries["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "grant").count()
}

#[tokio::test]
async fn a_grant_to_a_user_is_in_their_wallet_at_once_and_ends_when_it_says() {
    let world = World::new().await;
    let ada = world.user("ada");
    let end = world.now().await.plus_ms(3 * 24 * 3_600_000).rfc3339();
    let body = json!({ "user": "ada", "tokens": 50, "note": "sorry", "expires_at": end });
    let answer = given(&operator(&world), "k1", body).await;
    let wallet = json!({ "available": 50, "held": 0, "debt": 0 });
    assert_eq!(
        answer,
        json!({ "entry": "req:grace:grant:k1", "user": "ada", "tokens": 50, "wallet": wallet })
    );
    let lot = &ada.get("/v1/me/wallet").await.json["lots"][0];
    assert_eq!(
        (&lot["source"], &lot["remaining"], &lot["expires_at"]),
        (&json!("grant"), &json!(50), &json!(end))
    );
    world.advance("3d").await;
    assert_eq!(ada.available().await, 0);
}

#[tokio::test]
async fn only_an_operator_gives() {
    let world = World::new().await;
    let wanted = json!({ "user": "ada", "tokens": 50 });
    for caller in [world.user("ada"), world.service(), scoped(&world, "eve", "administrator")] {
        for path in [GRANTS, "/v1/admin/grants:bulk", "/v1/admin/grants:bulk/job_1/continue"] {
            caller.post_once(path, "k", wanted.clone()).await.expect_problem(403, "forbidden");
        }
        caller.get("/v1/admin/grants:bulk/job_1").await.expect_problem(403, "forbidden");
    }
    assert_eq!(world.user("ada").available().await, 0);
}

#[tokio::test]
async fn a_repeated_grant_is_answered_as_the_first_and_given_once() {
    let world = World::new().await;
    let grace = operator(&world);
    let to_user = json!({ "user": "ada", "tokens": 50 });
    let first = given(&grace, "k1", to_user.clone()).await;
    spends(&world.user("ada"), "c", 20).await;
    assert_eq!(given(&grace, "k1", to_user).await, first);
    let to_email = json!({ "email": EMAIL, "tokens": 7 });
    let first = given(&grace, "k2", to_email.clone()).await;
    assert_eq!(first, json!({ "entry": "req:grace:grant:k2", "pending": true, "tokens": 7 }));
    assert_eq!(given(&grace, "k2", to_email.clone()).await, first);
    let ada = verified(&world, "ada", EMAIL);
    spends(&ada, "c2", 1).await;
    assert_eq!(ada.available().await, 36);
    // It has been claimed since, and the answer is still the first.
    assert_eq!(given(&grace, "k2", to_email).await, first);
    spends(&ada, "c3", 1).await;
    assert_eq!((ada.available().await, grants_of(&ada).await), (35, 2));
}

#[tokio::test]
async fn a_key_used_for_another_grant_is_refused() {
    let world = World::new().await;
    let grace = operator(&world);
    given(&grace, "k1", json!({ "user": "ada", "tokens": 50 })).await;
    given(&grace, "k2", json!({ "email": EMAIL, "tokens": 50 })).await;
    for key in ["k1", "k2"] {
        for body in [
            json!({ "user": "ada", "tokens": 51 }),
            json!({ "user": "bob", "tokens": 50 }),
            json!({ "email": "bob@app.example", "tokens": 50 }),
        ] {
            grace.post_once(GRANTS, key, body).await.expect_problem(422, "idempotency_key_reused");
        }
    }
    assert_eq!(world.user("bob").available().await, 0);
    // Keys are each operator's own.
    given(&scoped(&world, "linus", "admin"), "k1", json!({ "user": "bob", "tokens": 5 })).await;
    assert_eq!(world.user("bob").available().await, 5);
}

#[tokio::test]
async fn a_grant_that_says_nothing_sensible_is_refused() {
    let world = World::new().await;
    let grace = operator(&world);
    for wrong in [
        json!({ "tokens": 5 }),
        json!({ "user": "ada" }),
        json!({ "user": "ada", "email": EMAIL, "tokens": 5 }),
        json!({ "user": "ada", "tokens": 0 }),
        json!({ "user": "ada", "tokens": -1 }),
        json!({ "email": "ada", "tokens": 5 }),
        json!({ "user": "ada", "tokens": 5, "expires_at": "tomorrow" }),
        json!({ "user": "ada", "tokens": 5, "expires_at": "2020-01-01T00:00:00Z" }),
        json!({ "user": "ada", "tokens": 5, "note": "x".repeat(1001) }),
        json!({ "user": "ada", "tokens": 5, "for": "fun" }),
    ] {
        grace.post_once(GRANTS, "k", wrong).await.expect_problem(400, "invalid_request");
    }
    let answer = grace.post(GRANTS, json!({ "user": "ada", "tokens": 5 })).await;
    answer.expect_problem(400, "missing_idempotency_key");
    assert_eq!(world.user("ada").available().await, 0);
}

#[tokio::test]
async fn a_grant_to_an_email_waits_for_its_users_first_write() {
    let world = World::new().await;
    let grace = operator(&world);
    given(&grace, "k1", json!({ "email": " Ada@App.Example ", "tokens": 30 })).await;
    let end = world.now().await.plus_ms(3_600_000).rfc3339();
    given(&grace, "k2", json!({ "email": EMAIL, "tokens": 12, "expires_at": end })).await;
    let ada = verified(&world, "ada", "ADA@app.example");
    let me = ada.get("/v1/me").await.json;
    let mut pending = me["pending_grants"].as_array().unwrap().clone();
    pending.sort_by_key(|grant| grant["tokens"].as_u64());
    assert_eq!(
        json!(pending),
        json!([{ "tokens": 12, "expires_at": end }, { "tokens": 30, "expires_at": null }])
    );
    assert_eq!((&me["wallet"]["available"], &me["version"]), (&json!(0), &json!(0)));
    // Looking claims nothing; the first write spends what it claims.
    let spent = spends(&ada, "c1", 42).await;
    assert_eq!(
        (spent.status, &spent.json["wallet"]["available"]),
        (StatusCode::OK, &json!(0)),
        "{}",
        spent.text
    );
    assert_eq!(ada.get("/v1/me").await.json["pending_grants"], json!([]));
    // From now on the email is known to be ada's.
    let answer = given(&grace, "k3", json!({ "email": EMAIL, "tokens": 5 })).await;
    assert_eq!((&answer["user"], &answer["wallet"]["available"]), (&json!("ada"), &json!(5)));
}

#[tokio::test]
async fn a_checkout_claims_as_a_spending_does() {
    let world = World::new().await;
    given(&operator(&world), "k1", json!({ "email": EMAIL, "tokens": 30 })).await;
    let ada = verified(&world, "ada", EMAIL);
    ada.opens("medium").await;
    assert_eq!(ada.available().await, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_first_calls_at_once_claim_each_grant_once() {
    let world = World::new().await;
    let grace = operator(&world);
    for key in ["k1", "k2", "k3"] {
        given(&grace, key, json!({ "email": EMAIL, "tokens": 100 })).await;
    }
    let ada = verified(&world, "ada", EMAIL);
    let keys: Vec<String> = (0..20).map(|call| format!("c{call}")).collect();
    let answers = join_all(keys.iter().map(|key| spends(&ada, key, 15))).await;
    let refused = answers.iter().find(|answer| answer.status != StatusCode::OK);
    assert!(refused.is_none(), "{}", refused.unwrap().text);
    assert_eq!((ada.available().await, grants_of(&ada).await), (0, 3));
}

#[tokio::test]
async fn an_email_that_is_not_verified_claims_nothing() {
    let world = World::new().await;
    let grace = operator(&world);
    given(&grace, "k1", json!({ "email": EMAIL, "tokens": 30 })).await;
    for email_verified in [json!(false), json!("no"), json!(1), Value::Null] {
        let mallory = unverified(&world, "mallory", email_verified);
        spends(&mallory, "c", 1).await.expect_problem(402, "insufficient_tokens");
        assert_eq!(mallory.get("/v1/me").await.json.get("pending_grants"), None);
    }
    // A backend's own email says nothing about the users it acts for.
    let token = world.local().tokens().mint("backend", Some(EMAIL), Some("service"), HOUR);
    let backend = with_token(&world, token);
    let answer = backend.post_once("/v1/users/mallory/consume", "c2", json!({ "tokens": 1 })).await;
    answer.expect_problem(402, "insufficient_tokens");
    let ada = verified(&world, "ada", EMAIL);
    assert_eq!(spends(&ada, "c", 30).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_email_is_its_first_users_for_good() {
    let world = World::new().await;
    let grace = operator(&world);
    let (ada, twin) = (verified(&world, "ada", EMAIL), verified(&world, "twin", EMAIL));
    spends(&ada, "c1", 1).await.expect_problem(402, "insufficient_tokens");
    assert_eq!(given(&grace, "k1", json!({ "email": EMAIL, "tokens": 30 })).await["user"], "ada");
    spends(&twin, "c1", 1).await.expect_problem(402, "insufficient_tokens");
    assert_eq!((ada.available().await, twin.available().await), (30, 0));
}

#[tokio::test]
async fn a_grant_that_ended_while_it_waited_brings_nothing() {
    let world = World::new().await;
    let end = world.now().await.plus_ms(3_600_000).rfc3339();
    given(&operator(&world), "k1", json!({ "email": EMAIL, "tokens": 30, "expires_at": end })).await;
    world.advance("2h").await;
    let ada = verified(&world, "ada", EMAIL);
    assert_eq!(ada.get("/v1/me").await.json["pending_grants"], json!([]));
    spends(&ada, "c1", 1).await.expect_problem(402, "insufficient_tokens");
    assert_eq!(grants_of(&ada).await, 0);
}

#[tokio::test]
async fn an_operator_gives_so_much_a_day_and_a_retry_counts_once() {
    let world = World::new().await;
    let grace = operator(&world);
    let most = json!({ "user": "ada", "tokens": 999_990 });
    for _ in 0..3 {
        given(&grace, "k1", most.clone()).await;
    }
    for body in [json!({ "user": "ada", "tokens": 11 }), json!({ "email": EMAIL, "tokens": 11 })] {
        let refused = grace.post_once(GRANTS, "k2", body).await;
        refused.expect_problem(429, "grant_cap_reached");
        assert_eq!((&refused.json["left"], &refused.json["cap"]), (&json!(10), &json!(1_000_000)));
        let resets_at = refused.json["resets_at"].as_str().unwrap();
        assert!(
            resets_at.ends_with("T00:00:00Z") && *resets_at > *world.now().await.rfc3339(),
            "{resets_at}"
        );
    }
    let waits = json!({ "email": EMAIL, "tokens": 10 });
    for _ in 0..3 {
        given(&grace, "k3", waits.clone()).await;
    }
    let refused = grace.post_once(GRANTS, "k4", json!({ "user": "ada", "tokens": 1 })).await;
    refused.expect_problem(429, "grant_cap_reached");
    given(&scoped(&world, "linus", "admin"), "k4", json!({ "user": "ada", "tokens": 1 })).await;
    let beyond = grace.post_once(GRANTS, "k5", json!({ "user": "ada", "tokens": 1_000_001 })).await;
    beyond.expect_problem(429, "grant_cap_reached");
    world.advance("1d").await;
    given(&grace, "k4", json!({ "user": "ada", "tokens": 1 })).await;
    assert_eq!(world.user("ada").available().await, 999_992);
}

#[tokio::test]
async fn notes_and_emails_stand_beside_the_books_and_never_in_them() {
    let world = World::new().await;
    let grace = operator(&world);
    const NOTE: &str = "broke her arm";
    given(&grace, "k1", json!({ "user": "ada", "tokens": 1, "note": NOTE })).await;
    given(&grace, "k2", json!({ "email": EMAIL, "tokens": 2, "note": NOTE })).await;
    let ada = verified(&world, "ada", EMAIL);
    spends(&ada, "c1", 3).await;
    given(&grace, "k3", json!({ "email": EMAIL, "tokens": 3 })).await;
    let items =
        world.table().await.scan().table_name(tollgate::stack::TABLE).send().await.unwrap().items.unwrap();
    let mut kept = Vec::new();
    for item in &items {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str);
        match (text("PK"), text("SK")) {
            ("U#ada", sk) if sk.starts_with("N#") => kept.push((text("note"), text("email"))),
            (pk, sk) => {
                let shown = format!("{item:?}");
                assert!(!shown.contains(NOTE) && !shown.contains(EMAIL), "{pk} / {sk}");
            }
        }
    }
    kept.sort_unstable();
    assert_eq!(kept, [("", EMAIL), (NOTE, ""), (NOTE, EMAIL)]);
    let journal =
        items.iter().filter(|item| item.get("kind") == Some(&AttributeValue::S("grant".to_owned())));
    let bodies: Vec<Value> =
        journal.map(|entry| serde_json::from_str(entry["body"].as_s().unwrap()).unwrap()).collect();
    assert_eq!(bodies.len(), 3);
    for body in bodies {
        assert_eq!(body["operator"], "grace");
        let noted = body["note"].as_str().is_some_and(|hash| hash.starts_with("1:"));
        assert_eq!(noted, body["cause"] != "req:grace:grant:k3", "{body}");
    }
}
