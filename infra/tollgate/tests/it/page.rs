//! What only a local stack has.

use std::collections::HashSet;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Caller, DECLINES_LATER, PAID, World};

const PAGE: &str = include_str!("../../pages/index.html");

#[tokio::test]
async fn the_page_is_served_to_this_machine_and_to_no_other_name() {
    let world = World::new().await;
    let api = &world.local().api;
    let page = world.http.send(Method::GET, &format!("{api}/"), &[], String::new()).await;
    assert!(page.status.is_success() && page.text.contains("<html"), "{}", page.text);
    for path in ["/", "/_local/session", "/v1/packages"] {
        let url = format!("{api}{path}");
        let foreign = world.http.send(Method::GET, &url, &[("host", "evil.example")], String::new()).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn the_clock_moves_ahead_by_what_is_asked_and_says_how_to_ask() {
    let world = World::new().await;
    let before = world.now().await;
    world.advance("7d").await;
    assert!(world.now().await >= before.plus_ms(7 * domain::time::DAY_MS));
    let url = format!("{}/_local/clock", world.local().api);
    for wrong in [json!({}), json!({ "advance": "soon" }), json!({ "advance": "-1d" })] {
        let refused = world.http.send(Method::POST, &url, &[], wrong.to_string()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.text.contains("7d"), "{}", refused.text);
    }
}

#[tokio::test]
async fn the_pages_session_acts_as_the_demo_user_and_names_what_costs_tokens() {
    let world = World::new().await;
    let session = session(&world).await;
    assert_eq!(session["sandbox"], world.local().stripe.as_str());
    let page = demo(&world, &session);
    world.pay(&page.opens("medium").await, PAID).await;
    page.until_available(275).await;
    let actions = session["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 4, "{session}");
    for action in actions {
        let id = action["id"].as_str().unwrap();
        let body = match action["ranges"] == true {
            true => json!({ "action": id, "tokens": action["tokens"] }),
            false => json!({ "action": id }),
        };
        let before = page.available().await;
        let used = page.post_once("/v1/me/consume", id, body).await;
        if id == "video" {
            used.expect_problem(403, "feature_not_included");
            continue;
        }
        assert_eq!(used.status, StatusCode::OK, "{}", used.text);
        assert_eq!(before - page.available().await, action["tokens"].as_u64().unwrap(), "{id}");
    }
}

/// A page may send this to another origin without asking it first, and cannot read the answer.
async fn from_the_page(world: &World, path: &str, body: Value) -> Answer {
    let headers = [("content-type", "text/plain;charset=UTF-8"), ("origin", world.local().api.as_str())];
    let url = format!("{}/_sandbox/{path}", world.local().stripe);
    world.http.send(Method::POST, &url, &headers, body.to_string()).await
}

#[tokio::test]
async fn moving_the_clock_by_nothing_shows_what_the_page_did_at_stripe() {
    let world = World::new().await;
    let page = demo(&world, &session(&world).await);
    let checkout = page.opens_plan("premium").await;
    world.pay(&checkout, PAID).await;
    page.get(&format!("/v1/me/checkout/{checkout}")).await;
    let held = page.get("/v1/me").await.json["subscriptions"][0].clone();
    let at_stripe = format!("subscriptions/{}", held["id"].as_str().unwrap_or_else(|| panic!("{held}")));

    from_the_page(&world, &format!("{at_stripe}/cancel"), json!({ "at_period_end": true })).await;
    world.advance("0s").await;
    assert_eq!(page.get("/v1/me").await.json["plan"]["cancel_at"], held["renews_at"]);

    from_the_page(&world, &format!("{at_stripe}/cancel"), json!({ "at_period_end": false })).await;
    world.advance("0s").await;
    assert_eq!(page.get("/v1/me").await.json["plan"]["id"], "free");
}

#[tokio::test]
async fn the_page_can_let_a_renewal_fail_and_mend_it() {
    let world = World::new().await;
    let page = demo(&world, &session(&world).await);
    let checkout = page.opens_plan("premium").await;
    world.pay(&checkout, PAID).await;
    page.get(&format!("/v1/me/checkout/{checkout}")).await;
    let id = page.get("/v1/me").await.json["subscriptions"][0]["id"].as_str().unwrap().to_owned();
    for (card, time, status) in [(DECLINES_LATER, "31d", "past_due"), (PAID, "7d", "active")] {
        from_the_page(&world, &format!("subscriptions/{id}/card"), json!({ "card": card })).await;
        world.advance(time).await;
        assert_eq!(page.get("/v1/me").await.json["plan"]["status"], status);
    }
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    assert!(PAGE.contains("default-src 'none'"));
    for foreign in ["https://", "src=", "@import", "url("] {
        assert!(!PAGE.contains(foreign), "{foreign}");
    }
}

#[test]
fn the_pages_script_names_only_elements_that_are_there() {
    let named: HashSet<&str> = between(PAGE, "byId(\"", "\")").collect();
    let there: HashSet<&str> = between(PAGE, " id=\"", "\"").collect();
    assert!(named.len() > 20, "{named:?}");
    assert_eq!(named.difference(&there).collect::<Vec<_>>(), Vec::<&&str>::new());
}

fn between<'a>(text: &'a str, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).filter_map(move |rest| rest.split(end).next())
}

async fn session(world: &World) -> Value {
    let url = format!("{}/_local/session", world.local().api);
    world.http.send(Method::GET, &url, &[], String::new()).await.json
}

/// The page's own token, not one that the test made.
fn demo<'a>(world: &'a World, session: &Value) -> Caller<'a> {
    let mut demo = world.user("demo");
    demo.token = session["token"].as_str().unwrap().to_owned();
    demo
}
