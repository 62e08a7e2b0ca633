//! What only a local stack has.

use hyper::{Method, StatusCode};
use serde_json::json;

use crate::harness::World;

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
