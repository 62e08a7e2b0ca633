//! What a client reads.

use hyper::StatusCode;
use serde_json::json;

use crate::harness::{PAID, World};

#[tokio::test]
async fn a_new_user_has_the_default_plan_and_nothing_else() {
    let world = World::new().await;
    let me = world.user("ada").get("/v1/me").await.json;
    assert_eq!((&me["user"], &me["version"]), (&json!("ada"), &json!(0)));
    let plan = json!({ "id": "free", "name": "Free", "status": "none", "level": 0, "renews_at": null,
        "cancel_at": null, "trial_ends_at": null });
    assert_eq!(me["plan"], plan);
    assert_eq!(me["subscriptions"], json!([]));
    let wallet = json!({ "available": 0, "held": 0, "debt": 0, "unlimited": false, "lots": [],
        "holds": [] });
    assert_eq!(me["wallet"], wallet);
    assert_eq!(me["features"]["hd_photos"]["allowed"], false);
    let messages = &me["features"]["messages"];
    assert_eq!((&messages["kind"], &messages["used"]), (&json!("meter"), &json!(0)));
    assert!(
        messages["limit"].is_u64() && messages["resets_at"].as_str().unwrap().ends_with("T00:00:00Z"),
        "{messages}"
    );
}

#[tokio::test]
async fn lots_say_where_tokens_came_from() {
    let world = World::new().await;
    let ada = world.user("ada");
    world.pay(&ada.opens("medium").await, PAID).await;
    ada.until_available(275).await;
    let me = ada.get("/v1/me").await.json;
    let lots = me["wallet"]["lots"].as_array().unwrap();
    let seen = lots.iter().map(|lot| (lot["source"].as_str().unwrap(), lot["remaining"].as_u64().unwrap()));
    assert_eq!(seen.collect::<Vec<_>>(), [("bonus", 25), ("purchase", 250)]);
    assert!(
        lots.iter().all(|lot| lot["expires_at"].is_null() && lot["id"].as_str().unwrap().starts_with("pi_"))
    );
    assert_eq!(world.service().get("/v1/users/ada").await.json, me);
}

#[tokio::test]
async fn the_journal_tells_the_whole_story_page_by_page() {
    let world = World::new().await;
    let ada = world.user("ada");
    world.pay(&ada.opens("medium").await, PAID).await;
    ada.until_available(275).await;
    for number in 0..3 {
        ada.post_once("/v1/me/consume", &format!("k{number}"), json!({ "action": "photo" })).await;
    }
    let (mut kinds, mut balances, mut path) =
        (Vec::new(), Vec::new(), "/v1/me/wallet/entries?limit=2".to_owned());
    loop {
        let page = ada.get(&path).await.json;
        for entry in page["entries"].as_array().unwrap() {
            kinds.push(entry["kind"].as_str().unwrap().to_owned());
            balances.push(entry["available_after"].as_u64().unwrap());
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/me/wallet/entries?limit=2&cursor={next}");
    }
    assert_eq!(kinds, ["consume", "consume", "consume", "purchase", "checkout"]);
    assert_eq!(balances, [260, 265, 270, 275, 0]);
    let newest = &ada.get("/v1/me/wallet/entries?limit=1").await.json["entries"][0];
    assert_eq!((&newest["cause"], &newest["action"]), (&json!("req:ada:consume:k2"), &json!("photo")));
    assert_eq!(
        (&newest["postings"][0]["from"], &newest["postings"][0]["to"]),
        (&json!("lot"), &json!("spent"))
    );
    for odd in ["limit=0", "limit=101", "limit=x", "cursor=x"] {
        ada.get(&format!("/v1/me/wallet/entries?{odd}")).await.expect_problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn anybody_may_read_the_price_list() {
    let world = World::new().await;
    let read = async |path: &str| {
        let url = format!("{}{path}", world.local().api);
        world.http.send(hyper::Method::GET, &url, &[], String::new()).await.json
    };
    let packages = read("/v1/packages").await;
    let seen: Vec<_> = packages["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            (
                package["id"].as_str().unwrap(),
                package["tokens"].as_u64().unwrap(),
                package["bonus"].as_u64().unwrap(),
                package["price"]["amount_minor"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("small", 100, 0, 499),
            ("medium", 250, 25, 999),
            ("large", 600, 100, 1999),
            ("mega", 1500, 300, 3999)
        ]
    );
    let plans = read("/v1/plans").await["plans"].as_array().unwrap().clone();
    let ids: Vec<_> = plans.iter().map(|plan| plan["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["free", "premium", "elite"]);
    assert_eq!(plans[1]["prices"], json!([{ "interval": "month", "amount_minor": 999, "currency": "eur" }]));
    assert_eq!(
        plans[1]["tokens"],
        json!({ "count": 500, "every": "week", "rollover": 0, "unlimited": false })
    );
    assert_eq!(plans[2]["description"], "Elite tier subscription");
}

#[tokio::test]
async fn without_a_good_token_the_gateway_answers_as_aws_does() {
    let world = World::new().await;
    let mut stranger = world.user("ada");
    stranger.token = "nonsense".to_owned();
    let answer = stranger.get("/v1/me").await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (StatusCode::UNAUTHORIZED, r#"{"message":"Unauthorized"}"#)
    );
    let answer = world.user("ada").get("/v1/nothing").await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#));
}

#[tokio::test]
async fn odd_user_ids_are_users_like_any_other() {
    let world = World::new().await;
    for user in ["auth0|5f#7%20:x", "Ünï çödé", "a/b", "%2e%2e"] {
        let caller = world.user(user);
        world.pay(&caller.opens("small").await, PAID).await;
        caller.until_available(100).await;
        assert_eq!(caller.get("/v1/me").await.json["user"], user);
    }
}

#[tokio::test]
async fn the_journal_can_be_asked_by_kind_time_and_cause() {
    let world = World::new().await;
    let ada = world.user("ada");
    world.pay(&ada.opens("medium").await, PAID).await;
    ada.until_available(275).await;
    world.advance("2d").await;
    ada.post_once("/v1/me/consume", "photo", json!({ "action": "photo" })).await;
    let kinds = async |query: &str| {
        let entries = ada.get(&format!("/v1/me/wallet/entries?{query}")).await.json;
        let entries = entries["entries"].as_array().unwrap_or_else(|| panic!("{entries}")).clone();
        entries.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds("kind=purchase").await, ["purchase"]);
    let yesterday = world.now().await.plus_ms(-domain::time::DAY_MS).rfc3339();
    assert_eq!(kinds(&format!("from={yesterday}")).await, ["consume"]);
    assert_eq!(kinds(&format!("to={yesterday}")).await, ["purchase", "checkout"]);
    assert_eq!(kinds("cause=req:ada:consume:photo").await, ["consume"]);
    assert!(
        world.user("eve").get("/v1/me/wallet/entries?cause=req:ada:consume:photo").await.text.contains("[]")
    );
    let unknown = ada.get("/v1/me/wallet/entries?kind=gift").await;
    unknown.expect_problem(400, "invalid_request");
    assert!(unknown.json["detail"].as_str().unwrap().contains("purchase, grant"), "{}", unknown.text);
    ada.get("/v1/me/wallet/entries?from=yesterday").await.expect_problem(400, "invalid_request");
}
