//! Everything that is kept of a user, page by page.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{EMAIL, NOTE, RECEIPT, THANKS, ada, everything, lives, subscribes};
use crate::harness::World;

const EXPORT: &str = "/v1/admin/users/ada/export";

/// All texts of a document.
fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn an_export_has_all_that_is_kept_of_a_user() {
    let world = World::without_webhooks().await;
    let payment = lives(&world).await;
    let subscription = subscribes(&world).await;
    let answer = world.operator().get(EXPORT).await;
    assert_eq!((answer.status, &answer.json["next"]), (StatusCode::OK, &Value::Null), "{}", answer.text);
    let mut told = Vec::new();
    texts(&answer.json, &mut told);
    for word in [EMAIL, NOTE, THANKS, RECEIPT, payment.as_str(), subscription.as_str(), "pi_heard_of"] {
        assert!(told.contains(&word), "{word} is not in {:#}", answer.json);
    }
    // Whatever is filed under the user, or leads to them, is in it.
    for ((pk, sk), item) in everything(&world).await {
        let of_ada = item.get("user").and_then(|user| user.as_s().ok()).is_some_and(|user| user == "ada");
        let (named, what) = match (pk.split_once('#'), sk.split_once('#')) {
            (Some(("U", "ada")), Some(("N", _))) => (item["cause"].as_s().unwrap().clone(), "a note"),
            (Some(("U", "ada")), Some((_, id))) => (id.to_owned(), "a payment or a link"),
            (Some(("E", cause)), None) if of_ada => (cause.to_owned(), "an entry"),
            (Some(("E", cause)), None) if cause.starts_with("req:ada:") && sk == "R" => {
                (item["id"].as_s().unwrap().clone(), "what an entry led to")
            }
            (Some((_, id)), None) if of_ada => (id.to_owned(), "a pointer"),
            _ => continue,
        };
        assert!(told.contains(&named.as_str()), "{what}, {pk} {sk}, is not in {:#}", answer.json);
    }
    assert_eq!(answer.json["account"]["wallet"]["held"], 7);
}

#[tokio::test]
async fn an_export_goes_on_where_its_page_ended() {
    let world = World::without_webhooks().await;
    let operator = world.operator();
    for number in 0..105 {
        let body = json!({ "user": "ada", "tokens": 1 });
        let given = operator.post_once("/v1/admin/grants", &format!("g{number}"), body).await;
        assert_eq!(given.status, StatusCode::CREATED, "{}", given.text);
    }
    let first = operator.get(EXPORT).await.json;
    let second = operator.get(&format!("{EXPORT}?cursor={}", first["next"].as_str().unwrap())).await.json;
    let seqs = |page: &Value| {
        let entries = page["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["seq"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let all = [seqs(&first), seqs(&second)].concat();
    assert_eq!(all, (1..=105).rev().collect::<Vec<_>>());
    assert_eq!((&second["next"], second.get("account")), (&Value::Null, None));
    assert_eq!(first["entries"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn only_an_operator_exports_and_only_whom_there_is() {
    let world = World::without_webhooks().await;
    lives(&world).await;
    ada(&world).get(EXPORT).await.expect_problem(403, "forbidden");
    world.service().get(EXPORT).await.expect_problem(403, "forbidden");
    world.operator().get("/v1/admin/users/nobody/export").await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn of_an_erased_user_the_journal_is_exported_and_nothing_else() {
    let world = World::without_webhooks().await;
    lives(&world).await;
    super::erased(&world).await;
    let export = world.operator().get(EXPORT).await.json;
    for kind in ["notes", "emails", "customers", "references"] {
        assert_eq!(export[kind], json!([]), "{export:#}");
    }
    assert_eq!(export["entries"][0]["kind"], "closing");
    assert_eq!(export["payments"][0]["customer"], Value::Null);
}
