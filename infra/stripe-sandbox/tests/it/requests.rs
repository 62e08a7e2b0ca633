//! What every endpoint has in common: keys, errors, idempotency, pages.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use crate::stand::{HOUR_MS, KEY, Stand, id};

#[tokio::test]
async fn a_request_needs_the_secret_key() {
    let stand = Stand::start().await;
    let none = stand.send("GET", "/v1/customers", &[], "").await;
    assert_eq!(none.status, 401);
    assert_eq!(none.error()["type"], "invalid_request_error");
    let wrong =
        stand.send("GET", "/v1/customers", &[("authorization", "Bearer sk_test_other_key")], "").await;
    assert_eq!(wrong.status, 401);
    assert!(!wrong.text.contains("sk_test_other_key"), "a key is never shown");
    let basic =
        format!("Basic {}", base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{KEY}:")));
    let basic = stand.send("GET", "/v1/customers", &[("authorization", &basic)], "").await;
    assert_eq!(basic.status, 200);
}

#[tokio::test]
async fn only_loopback_names_are_answered() {
    let stand = Stand::start().await;
    for (host, status) in [
        ("evil.test", 403),
        ("127.0.0.1.evil.test:80", 403),
        ("localhost:9001", 200),
        ("[::1]:1", 200),
        ("[::1]", 200),
        ("host.docker.internal:9001", 200),
        ("host.docker.internal.evil.test", 403),
    ] {
        let answer = stand.send("GET", "/", &[("host", host)], "").await;
        assert_eq!(answer.status, status, "{host}");
    }
}

#[tokio::test]
async fn errors_have_stripes_shape() {
    let stand = Stand::start().await;
    let missing = stand.try_get("/v1/customers/cus_none").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.error()["code"], "resource_missing");
    assert!(missing.header("request-id").starts_with("req_"));

    let unknown = stand.try_post("/v1/customers", "shoe_size=42", &[]).await;
    assert_eq!(unknown.status, 400);
    assert_eq!(
        (&unknown.error()["code"], &unknown.error()["param"]),
        (&json!("parameter_unknown"), &json!("shoe_size"))
    );

    let incomplete = stand.try_post("/v1/products", "", &[]).await;
    assert_eq!(
        (&incomplete.error()["code"], &incomplete.error()["param"]),
        (&json!("parameter_missing"), &json!("name"))
    );

    let nowhere = stand.try_get("/v1/nothing").await;
    assert_eq!(nowhere.status, 404);
    assert_eq!(nowhere.error()["type"], "invalid_request_error");

    let json_body = [("content-type", "application/json")];
    let mut headers = vec![("authorization", crate::stand::bearer())];
    headers.extend(json_body.map(|(name, value)| (name, value.to_owned())));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(stand.send("POST", "/v1/customers", &headers, "{}").await.status, 400);
}

#[tokio::test]
async fn a_refused_request_leaves_nothing_behind() {
    let stand = Stand::start().await;
    let form = "mode=payment&success_url=https://a.test&line_items[0][quantity]=1&shoe_size=42\
                &line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=100\
                &line_items[0][price_data][product_data][name]=Tip";
    assert_eq!(stand.try_post("/v1/checkout/sessions", form, &[]).await.error()["param"], "shoe_size");
    for list in ["products", "prices", "events"] {
        assert_eq!(stand.get(&format!("/v1/{list}")).await["data"], json!([]), "{list}");
    }
}

#[tokio::test]
async fn the_version_asked_for_is_echoed() {
    let stand = Stand::start().await;
    let answer = stand.try_post("/v1/customers", "", &[("stripe-version", "2025-09-30.clover")]).await;
    assert_eq!(answer.header("stripe-version"), "2025-09-30.clover");
    assert_eq!(stand.try_get("/v1/customers").await.header("stripe-version"), "2026-09-30.endive");
}

#[tokio::test]
async fn the_same_idempotency_key_returns_the_first_answer() {
    let stand = Stand::start().await;
    let key = [("idempotency-key", "k-1")];
    let first = stand.try_post("/v1/customers", "name=Ada&email=a@b.test", &key).await;
    let again = stand.try_post("/v1/customers", "email=a@b.test&name=Ada", &key).await;
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("original-request"), first.header("request-id"));
    assert_eq!(first.header("idempotent-replayed"), "");

    for (path, form) in [("/v1/customers", "name=Bob"), ("/v1/products", "name=Ada&email=a@b.test")] {
        let other = stand.try_post(path, form, &key).await;
        assert_eq!(other.status, 400);
        assert_eq!(other.error()["type"], "idempotency_error");
    }
    assert_eq!(stand.get("/v1/customers").await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_remembers_a_refusal_by_state_but_not_a_malformed_request() {
    let stand = Stand::start().await;
    let key = [("idempotency-key", "k-1")];
    assert_eq!(stand.try_post("/v1/products", "shoe_size=42", &key).await.status, 400);
    assert_eq!(
        stand.try_post("/v1/products", "id=a&name=A", &key).await.status,
        200,
        "the key was still free"
    );

    let key = [("idempotency-key", "k-2")];
    let taken = stand.try_post("/v1/products", "id=a&name=A", &key).await;
    assert_eq!(taken.error()["code"], "resource_already_exists");
    assert_eq!(stand.delete("/v1/products/a").await.status, 200);
    let again = stand.try_post("/v1/products", "id=a&name=A", &key).await;
    assert_eq!(again.text, taken.text);
    assert_eq!(again.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let stand = Stand::start().await;
    let key = [("idempotency-key", "k-1")];
    let first = stand.try_post("/v1/customers", "", &key).await.json();
    stand.advance(24 * HOUR_MS);
    let within = stand.try_post("/v1/customers", "", &key).await.json();
    stand.advance(1);
    let after = stand.try_post("/v1/customers", "", &key).await.json();
    assert_eq!(within["id"], first["id"]);
    assert_ne!(after["id"], first["id"]);
}

#[tokio::test]
async fn a_key_that_is_forgotten_remembers_what_is_refused_under_it_then() {
    let stand = Stand::start().await;
    let key = [("idempotency-key", "k-1")];
    assert_eq!(stand.try_post("/v1/products", "id=a&name=A", &key).await.status, 200);
    stand.advance(24 * HOUR_MS + 1);
    let refused = stand.try_post("/v1/products", "id=a&name=A", &key).await;
    assert_eq!(refused.error()["code"], "resource_already_exists");
    let again = stand.try_post("/v1/products", "id=a&name=A", &key).await;
    assert_eq!((again.text.as_str(), again.header("idempotent-replayed")), (refused.text.as_str(), "true"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_creates_with_one_key_make_one_object() {
    let stand = Arc::new(Stand::start().await);
    let mut creates = JoinSet::new();
    for _ in 0..16 {
        let stand = stand.clone();
        creates.spawn(async move {
            loop {
                let answer = stand.try_post("/v1/customers", "name=Ada", &[("idempotency-key", "k")]).await;
                if answer.status != 409 {
                    return id(&answer.json()).to_owned();
                }
                assert_eq!(answer.error()["code"], "idempotency_key_in_use");
                assert_eq!(answer.header("stripe-should-retry"), "true");
            }
        });
    }
    let ids: HashSet<String> = creates.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(stand.get("/v1/customers").await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_can_be_walked_in_both_directions() {
    let stand = Stand::start().await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(id(&stand.post("/v1/customers", &format!("name={number}")).await).to_owned());
    }
    made.reverse();
    let ids = |page: &serde_json::Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|object| id(object).to_owned()).collect()
    };
    let first = stand.get("/v1/customers?limit=2").await;
    assert_eq!((ids(&first), &first["has_more"]), (made[..2].to_vec(), &json!(true)));
    let rest = stand.get(&format!("/v1/customers?limit=3&starting_after={}", made[1])).await;
    assert_eq!((ids(&rest), &rest["has_more"]), (made[2..].to_vec(), &json!(false)));
    let back = stand.get(&format!("/v1/customers?limit=2&ending_before={}", made[4])).await;
    assert_eq!((ids(&back), &back["has_more"]), (made[2..4].to_vec(), &json!(true)));
    for query in ["limit=0", "limit=101", "starting_after=cus_none"] {
        assert_eq!(stand.try_get(&format!("/v1/customers?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn what_cannot_be_expanded_is_refused() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let whole = stand.get(&format!("/v1/prices/{price}?expand[]=product")).await;
    assert_eq!(whole["product"]["name"], "Small");
    let listed = stand.get("/v1/prices?expand[]=data.product").await;
    assert_eq!(listed["data"][0]["product"]["name"], "Small");
    assert_eq!(stand.try_get(&format!("/v1/prices/{price}?expand[]=currency")).await.status, 400);
}
