//! Tokens set aside: captured, released or over, and each of them once.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::consume::rich;
use crate::harness::{Answer, Caller, PAID, World};

impl Caller<'_> {
    /// An open hold, and what it was answered.
    async fn holds(&self, key: &str, wanted: Value) -> (String, Answer) {
        let answer = self.post_once("/v1/me/holds", key, wanted).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        (answer.json["id"].as_str().unwrap().to_owned(), answer)
    }

    async fn captures(&self, hold: &str, key: &str, wanted: Value) -> Answer {
        self.until_known(&format!("/v1/me/holds/{hold}/capture"), key, wanted).await
    }

    async fn releases(&self, hold: &str, key: &str) -> Answer {
        self.until_known(&format!("/v1/me/holds/{hold}/release"), key, json!({})).await
    }

    /// Sent again with the same key for as long as the answer says so.
    async fn until_known(&self, path: &str, key: &str, body: Value) -> Answer {
        loop {
            let answer = self.post_once(path, key, body.clone()).await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
            assert!(answer.headers.contains_key("retry-after"), "{}", answer.text);
        }
    }
}

fn wallet(available: u64, held: u64) -> Value {
    json!({ "available": available, "held": held, "debt": 0 })
}

fn taken(answer: &Answer) -> Vec<u64> {
    let lots = answer.json["lots"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    lots.iter().map(|lot| lot["taken"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_part_of_a_hold_is_captured_and_the_rest_comes_back() {
    let world = World::new().await;
    rich(&world, "ada", "medium", 275).await;
    let ada = world.user("ada");
    let (hold, held) = ada.holds("h", json!({ "action": "photo", "amount": 6 })).await;
    assert_eq!((&held.json["tokens"], &held.json["wallet"]), (&json!(30), &wallet(245, 30)));
    assert_eq!((&held.json["entry"], taken(&held)), (&json!("req:ada:hold:h"), vec![25, 5]));
    let short = ada.post_once("/v1/me/consume", "k", json!({ "tokens": 246 })).await;
    short.expect_problem(402, "insufficient_tokens");

    let ended = ada.captures(&hold, "c", json!({ "tokens": 28 })).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.text);
    assert_eq!((&ended.json["captured"], &ended.json["returned"]), (&json!(28), &json!(2)));
    assert_eq!((&ended.json["wallet"], taken(&ended)), (&wallet(247, 0), vec![25, 3]));
    assert_eq!(ended.json["entry"], format!("hold:{hold}:end"));
    assert_eq!(ended.json["hold"], hold);
    let lots = ada.get("/v1/me/wallet").await.json["lots"].clone();
    assert_eq!((&lots[0]["source"], &lots[0]["remaining"]), (&json!("purchase"), &json!(247)));
}

#[tokio::test]
async fn a_hold_is_captured_whole_unless_told_otherwise_and_a_released_one_took_nothing() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    let (hold, _) = ada.holds("h1", json!({ "tokens": 30 })).await;
    let ended = ada.captures(&hold, "c", json!({})).await;
    assert_eq!((&ended.json["captured"], &ended.json["wallet"]), (&json!(30), &wallet(70, 0)));
    let (hold, _) = ada.holds("h2", json!({ "tokens": 70 })).await;
    let ended = ada.releases(&hold, "r").await;
    assert_eq!((&ended.json["captured"], &ended.json["returned"]), (&json!(0), &json!(70)));
    assert_eq!((&ended.json["wallet"], taken(&ended)), (&wallet(70, 0), vec![]));
}

#[tokio::test]
async fn a_wallet_lists_its_open_holds_and_the_one_that_ends_first_comes_first() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    let (long, later) = ada.holds("h1", json!({ "tokens": 30, "ttl": "7d" })).await;
    let (usual, sooner) = ada.holds("h2", json!({ "tokens": 20 })).await;
    let me = ada.get("/v1/me").await.json;
    let expected = json!([
        { "id": usual, "tokens": 20, "expires_at": sooner.json["expires_at"] },
        { "id": long, "tokens": 30, "expires_at": later.json["expires_at"] },
    ]);
    assert_eq!(me["wallet"]["holds"], expected);
    assert_eq!(ada.get("/v1/me/wallet").await.json, me["wallet"]);
    ada.releases(&usual, "r").await;
    assert_eq!(ada.get("/v1/me/wallet").await.json["holds"][0]["id"], long);
}

#[tokio::test]
async fn a_hold_that_nobody_ends_comes_back_by_itself() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    let (hold, held) = ada.holds("h", json!({ "tokens": 60 })).await;
    world.advance("14m").await;
    assert_eq!(ada.available().await, 40);
    world.advance("1m").await;
    let wallet = ada.get("/v1/me/wallet").await.json;
    assert_eq!((&wallet["available"], &wallet["holds"]), (&json!(100), &json!([])));
    ada.captures(&hold, "c", json!({})).await.expect_problem(404, "not_found");
    ada.releases(&hold, "r").await.expect_problem(404, "not_found");
    assert_eq!(ada.holds("h", json!({ "tokens": 60 })).await.1.text, held.text, "a repeat opens no other");

    // The next write journals it, dated when it happened.
    let spent = ada.post_once("/v1/me/consume", "k", json!({ "tokens": 100 })).await;
    assert_eq!(spent.json["wallet"]["available"], 0, "{}", spent.text);
    let returned = &ada.get("/v1/me/wallet/entries?limit=1").await.json["entries"][0]["postings"][0];
    assert_eq!((&returned["from"], &returned["to"]), (&json!("held"), &json!("lot")));
    assert_eq!((&returned["amount"], &returned["at"]), (&json!(60), &held.json["expires_at"]));
}

#[tokio::test]
async fn what_another_hold_gave_back_meanwhile_is_not_counted_with_this_one() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    ada.holds("h1", json!({ "tokens": 50, "ttl": "1m" })).await;
    let (hold, _) = ada.holds("h2", json!({ "tokens": 30 })).await;
    world.advance("2m").await;
    let ended = ada.captures(&hold, "c", json!({ "tokens": 10 })).await;
    assert_eq!((&ended.json["captured"], &ended.json["returned"]), (&json!(10), &json!(20)));
    assert_eq!((&ended.json["wallet"], taken(&ended)), (&wallet(90, 0), vec![10]));
}

#[tokio::test]
async fn a_retry_with_the_same_key_gets_the_same_bytes() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    let (hold, held) = ada.holds("k", json!({ "tokens": 60 })).await;
    let (other, _) = ada.holds("k2", json!({ "tokens": 40 })).await;
    // The same key, as ends of holds have keys of their own.
    let captured = ada.captures(&hold, "k", json!({ "tokens": 10 })).await;
    let released = ada.releases(&other, "k").await;
    ada.post_once("/v1/me/consume", "k", json!({ "tokens": 90 })).await;
    world.advance("1d").await;
    for _ in 0..2 {
        assert_eq!(ada.holds("k", json!({ "tokens": 60 })).await.1.text, held.text);
        assert_eq!(ada.captures(&hold, "k", json!({ "tokens": 10 })).await.text, captured.text);
        assert_eq!(ada.releases(&other, "k").await.text, released.text);
    }
    // Nothing says as much as `{}`.
    let path = format!("/v1/me/holds/{other}/release");
    assert_eq!(ada.send(Method::POST, &path, Some("k"), String::new()).await.text, released.text);
}

#[tokio::test]
async fn a_key_means_one_request() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    let (hold, _) = ada.holds("k", json!({ "tokens": 60 })).await;
    for other in [json!({ "tokens": 61 }), json!({ "tokens": 60, "ttl": "15m" })] {
        let reused = ada.post_once("/v1/me/holds", "k", other).await;
        reused.expect_problem(422, "idempotency_key_reused");
    }
    assert_eq!(ada.captures(&hold, "k", json!({ "tokens": 60 })).await.status, StatusCode::OK);
    for other in [json!({}), json!({ "tokens": 59 }), json!({ "tokens": 61 })] {
        ada.captures(&hold, "k", other).await.expect_problem(422, "idempotency_key_reused");
    }
    ada.releases(&hold, "k").await.expect_problem(422, "idempotency_key_reused");
    assert_eq!(ada.available().await, 40);
}

#[tokio::test]
async fn whoever_comes_second_is_told_what_became_of_the_hold() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    let (hold, _) = ada.holds("h1", json!({ "tokens": 60 })).await;
    ada.captures(&hold, "first", json!({ "tokens": 25 })).await;
    // The very same body, a whole capture, too much and a release: another key is another request.
    for wanted in [json!({ "tokens": 25 }), json!({}), json!({ "tokens": 61 })] {
        let late = ada.captures(&hold, "second", wanted).await;
        late.expect_problem(409, "already_resolved");
        assert_eq!(late.json["captured"], 25);
        assert_eq!(late.json["entry"], format!("hold:{hold}:end"));
    }
    ada.releases(&hold, "second").await.expect_problem(409, "already_resolved");

    let (hold, _) = ada.holds("h2", json!({ "tokens": 60 })).await;
    ada.releases(&hold, "first").await;
    let late = ada.captures(&hold, "second", json!({})).await;
    late.expect_problem(409, "already_resolved");
    assert_eq!(late.json["captured"], 0);
    assert_eq!(ada.available().await, 75);
}

#[tokio::test]
async fn of_another_users_hold_nothing_is_revealed() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let (open, _) = ada.holds("h1", json!({ "tokens": 10 })).await;
    let (ended, _) = ada.holds("h2", json!({ "tokens": 10 })).await;
    ada.captures(&ended, "c", json!({})).await;
    let told = async |hold: &str, verb: &str, key: &str| {
        let mut words = Vec::new();
        for (caller, user) in [(&bob, "me"), (&world.service(), "users/bob")] {
            let path = format!("/v1/{user}/holds/{hold}/{verb}");
            let answer = caller.post_once(&path, key, json!({})).await;
            answer.expect_problem(404, "not_found");
            let mut problem = answer.json;
            problem["request_id"].take();
            words.push(problem.to_string().replace(hold, "it"));
        }
        words
    };
    let unknown = told("hold_nobodys", "capture", "c").await;
    for hold in [&open, &ended] {
        for (verb, key) in [("capture", "c"), ("capture", "other"), ("release", "c")] {
            assert_eq!(told(hold, verb, key).await, unknown, "{verb}");
        }
    }
    let by_path = bob.post_once(&format!("/v1/users/ada/holds/{open}/release"), "r", json!({})).await;
    by_path.expect_problem(403, "forbidden");
    bob.releases("no-hold", "r").await.expect_problem(404, "not_found");
    let wallet = ada.get("/v1/me/wallet").await.json;
    assert_eq!((&wallet["available"], &wallet["holds"][0]["id"]), (&json!(80), &json!(open)));
}

#[tokio::test]
async fn a_seventeenth_hold_has_to_wait_for_another_to_end() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    let mut last = String::new();
    for number in 0..16 {
        last = ada.holds(&format!("h{number}"), json!({ "tokens": 1, "ttl": "1h" })).await.0;
    }
    let refused = ada.post_once("/v1/me/holds", "h16", json!({ "tokens": 1 })).await;
    refused.expect_problem(429, "too_many_holds");
    ada.releases(&last, "r").await;
    ada.holds("h16", json!({ "tokens": 1 })).await;
    ada.post_once("/v1/me/holds", "h17", json!({ "tokens": 1 })).await.expect_problem(429, "too_many_holds");
    world.advance("1h").await;
    ada.holds("h17", json!({ "tokens": 1 })).await;
}

#[tokio::test]
async fn under_a_plan_with_unlimited_tokens_a_hold_touches_no_lot() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    let session = ada.opens_plan("elite").await;
    world.pay(&session, PAID).await;
    ada.get(&format!("/v1/me/checkout/{session}")).await;
    let (hold, held) = ada.holds("h1", json!({ "tokens": 1_000 })).await;
    assert_eq!((&held.json["wallet"], taken(&held)), (&wallet(100, 1_000), vec![]));
    let ended = ada.captures(&hold, "c", json!({ "tokens": 400 })).await;
    assert_eq!((&ended.json["captured"], &ended.json["returned"]), (&json!(400), &json!(600)));
    assert_eq!((&ended.json["wallet"], taken(&ended)), (&wallet(100, 0), vec![]));
    ada.holds("h2", json!({ "tokens": 1_000 })).await;
    world.advance("15m").await;
    assert_eq!(ada.get("/v1/me/wallet").await.json["held"], 0);
    assert_eq!(ada.available().await, 100);
}

#[tokio::test]
async fn a_service_holds_for_a_user_by_either_road() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let (ada, backend) = (world.user("ada"), world.service());
    let held = backend.post_once("/v1/users/ada/holds", "h", json!({ "tokens": 60 })).await;
    assert_eq!(held.status, StatusCode::CREATED, "{}", held.text);
    let (hold, again) = ada.holds("h", json!({ "tokens": 60 })).await;
    assert_eq!(again.text, held.text);
    let path = format!("/v1/users/ada/holds/{hold}/capture");
    let captured = backend.post_once(&path, "c", json!({ "tokens": 20 })).await;
    assert_eq!(captured.json["wallet"], wallet(80, 0), "{}", captured.text);
    assert_eq!(ada.captures(&hold, "c", json!({ "tokens": 20 })).await.text, captured.text);
    let path = format!("/v1/users/ada/holds/{hold}/release");
    backend.post_once(&path, "r", json!({})).await.expect_problem(409, "already_resolved");
    ada.post_once("/v1/users/ada/holds", "h", json!({ "tokens": 1 })).await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn what_cannot_be_held_or_captured_is_told_why() {
    let world = World::new().await;
    rich(&world, "ada", "small", 100).await;
    let ada = world.user("ada");
    let wrong = [
        json!({}),
        json!({ "tokens": 0 }),
        json!({ "action": "photo", "amount": 0 }),
        json!({ "tokens": 5, "ttl": "0s" }),
        json!({ "tokens": 5, "ttl": "8d" }),
        json!({ "tokens": 5, "ttl": 60 }),
        json!({ "tokens": 5, "user": "bob" }),
    ];
    for body in wrong {
        ada.post_once("/v1/me/holds", "k", body).await.expect_problem(400, "invalid_request");
    }
    let refused = ada.post_once("/v1/me/holds", "k", json!({ "tokens": 101 })).await;
    refused.expect_problem(402, "insufficient_tokens");
    assert_eq!(refused.json["shortfall"], 1);
    let refused = ada.post_once("/v1/me/holds", "k", json!({ "action": "video" })).await;
    refused.expect_problem(403, "feature_not_included");
    ada.post("/v1/me/holds", json!({ "tokens": 5 })).await.expect_problem(400, "missing_idempotency_key");

    let (hold, _) = ada.holds("k", json!({ "tokens": 30 })).await;
    for body in [json!({ "tokens": 0 }), json!({ "tokens": 1.5 }), json!({ "action": "photo" })] {
        ada.captures(&hold, "c", body).await.expect_problem(400, "invalid_request");
    }
    let refused = ada.captures(&hold, "c", json!({ "tokens": 31 })).await;
    refused.expect_problem(422, "beyond_hold");
    assert_eq!(refused.json["held"], 30);
    for verb in ["capture", "release"] {
        let path = format!("/v1/me/holds/{hold}/{verb}");
        ada.post(&path, json!({})).await.expect_problem(400, "missing_idempotency_key");
    }
    ada.captures(&hold, "c", json!({ "tokens": 30 })).await;
    assert_eq!(ada.available().await, 70);
}

const RACERS: usize = 8;
const HOLDS_EACH: usize = 125;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_workers_who_end_a_hold_at_once_one_wins_a_thousand_times() {
    let world = Arc::new(World::new().await);
    let mut racing = JoinSet::new();
    for number in 0..RACERS {
        let (world, user) = (Arc::clone(&world), format!("user-{number}"));
        rich(&world, &user, "large", 700).await;
        racing.spawn(async move {
            let mut captured = 0;
            for number in 0..HOLDS_EACH {
                captured += race(&world.user(&user), number).await;
            }
            let wallet = world.user(&user).get("/v1/me/wallet").await.json;
            assert_eq!((&wallet["held"], &wallet["holds"]), (&json!(0), &json!([])));
            assert_eq!(wallet["available"], 700 - captured);
            captured
        });
    }
    let captured: u64 = racing.join_all().await.iter().sum();
    assert!(captured > 0 && captured < 1_000, "{captured} captured: only one of the two ever wins");
}

/// Opens one hold and sets two workers on it; tells how many tokens were spent.
async fn race(user: &Caller<'_>, number: usize) -> u64 {
    let opened = user.until_known("/v1/me/holds", &format!("h{number}"), json!({ "tokens": 1 })).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text);
    let hold = opened.json["id"].as_str().unwrap();
    let (capture, release) = if number.is_multiple_of(2) {
        tokio::join!(user.captures(hold, "c", json!({})), user.releases(hold, "r"))
    } else {
        let (release, capture) = tokio::join!(user.releases(hold, "r"), user.captures(hold, "c", json!({})));
        (capture, release)
    };
    let (won, lost) = if capture.status == StatusCode::OK { (capture, release) } else { (release, capture) };
    assert_eq!(won.status, StatusCode::OK, "{} {}", won.text, lost.text);
    lost.expect_problem(409, "already_resolved");
    assert_eq!((&lost.json["captured"], &lost.json["entry"]), (&won.json["captured"], &won.json["entry"]));
    won.json["captured"].as_u64().unwrap()
}
