//! What cannot be changed, and that asking for it changes nothing.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{TEAM, billed, go_on_to, having, preview, team_with, time};
use crate::catalog::{selling, tollgate};
use crate::harness::{Answer, Caller, DECLINES_LATER, PAID, World};
use crate::states::{ask, card, subscribes, until};

async fn change(user: &Caller<'_>, id: &str, wanted: Value) -> Answer {
    user.post(&format!("/v1/me/subscriptions/{id}/change"), wanted).await
}

#[tokio::test]
async fn what_is_asked_for_has_to_make_sense() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "basic" })).await;
    for (wanted, status, code, says) in [
        (json!({}), 400, "invalid_request", "say what is to change"),
        (json!({ "plan": "backup" }), 400, "invalid_request", "extras"),
        (json!({ "plan": "gold" }), 422, "unknown_plan", "plan:pro:month"),
        (json!({ "plan": "free" }), 422, "unknown_plan", "plan:pro:month"),
        (json!({ "plan": "boundless", "interval": "year" }), 422, "unknown_plan", "plan:boundless:month"),
        (json!({ "interval": "decade" }), 400, "invalid_request", "week, month, year"),
        (json!({ "quantity": 0 }), 400, "invalid_request", "from 1 to 20"),
        (json!({ "quantity": 21 }), 400, "invalid_request", "from 1 to 20"),
        (json!({ "plan": "boundless", "quantity": 2 }), 400, "invalid_request", "not sold by the seat"),
        (json!({ "quantity": 2, "when": "later" }), 400, "invalid_request", "`now` or `period_end`"),
        (json!({ "quantity": 2, "price": "price_1" }), 400, "invalid_request", "price"),
        (
            json!({ "quantity": 2, "counted_from": "yesterday" }),
            400,
            "invalid_request",
            "2026-11-21T10:00:00Z",
        ),
    ] {
        for deed in ["preview", "change"] {
            let refused = ada.post(&format!("/v1/me/subscriptions/{id}/{deed}"), wanted.clone()).await;
            refused.expect_problem(status, code);
            assert!(refused.json["detail"].as_str().unwrap().contains(says), "{wanted}: {}", refused.text);
        }
    }
    change(&ada, &id, json!({ "quantity": 1 })).await.expect_problem(409, "nothing_to_change");
    assert_eq!(billed(&world, &id).await.len(), 1);
}

#[tokio::test]
async fn a_trial_is_not_moved_to_a_plan_that_cannot_be_tried() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let method = card(&world, PAID).await;
    let wanted = json!({ "plan": "basic", "interval": "month", "payment_method": method });
    let made = subscribes(&ada, wanted).await;
    assert_eq!(made["status"], "trialing", "{made}");
    let id = made["id"].as_str().unwrap();
    let refused = change(&ada, id, json!({ "plan": "prepaid" })).await;
    refused.expect_problem(400, "invalid_request");
    assert!(refused.json["detail"].as_str().unwrap().contains("cannot be tried"), "{}", refused.text);
    until(&ada, |me| json!([me["plan"]["id"], me["plan"]["status"]]), json!(["basic", "trialing"])).await;
}

#[tokio::test]
async fn a_change_comes_no_sooner_than_the_catalog_says() {
    for (policy, from, to, refused, by_default) in [
        ("", "pro", "basic", "now", "period_end"),
        ("upgrade = \"period_end\"", "basic", "pro", "now", "period_end"),
    ] {
        let world = selling(&team_with(policy)).await;
        let ada = world.user("ada");
        let id = having(&world, &ada, json!({ "plan": from })).await;
        let wanted = |when: &str| json!({ "plan": to, "interval": "month", "when": when });
        for deed in ["preview", "change"] {
            let path = format!("/v1/me/subscriptions/{id}/{deed}");
            let no = ada.post(&path, wanted(refused)).await;
            no.expect_problem(400, "invalid_request");
            assert!(no.json["detail"].as_str().unwrap().contains("period's end"), "{}", no.text);
        }
        let said = preview(&ada, &id, json!({ "plan": to })).await;
        assert_eq!(said["when"], by_default);
        let planned = ask(&ada, &id, "change", wanted(by_default)).await;
        assert_eq!(
            (&planned["subscription"]["plan"], &planned["subscription"]["next"]["plan"]),
            (&json!(from), &json!(to))
        );
    }
}

#[tokio::test]
async fn where_the_catalog_says_so_less_comes_at_once_and_gives_back_what_is_unused() {
    let world = selling(&team_with("downgrade = \"now\"")).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "pro" })).await;
    world.advance("10d").await;
    let said = super::keeps_its_word(&world, &ada, &id, json!({ "plan": "basic" })).await;
    assert_eq!((&said["when"], &said["tokens"]["now"]), (&json!("now"), &json!(0)));
    let due = |name: &str| said["money"][name]["amount_minor"].as_i64().unwrap();
    assert_eq!((due("due_now"), due("due_next")), (0, 0), "what was paid too much pays for the next month");
}

#[tokio::test]
async fn a_preview_that_is_too_old_does_not_set_the_price() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "basic" })).await;
    world.advance("5d").await;
    let said = preview(&ada, &id, json!({ "quantity": 4 })).await;
    world.advance("61m").await;
    let late = json!({ "quantity": 4, "counted_from": said["counted_from"] });
    let refused = change(&ada, &id, late).await;
    refused.expect_problem(400, "invalid_request");
    assert!(refused.json["detail"].as_str().unwrap().contains("too old"), "{}", refused.text);
    let ahead = world.now().await.plus_ms(3_600_000).rfc3339();
    change(&ada, &id, json!({ "quantity": 4, "counted_from": ahead }))
        .await
        .expect_problem(400, "invalid_request");
}

#[tokio::test]
async fn a_subscription_that_is_not_ones_own_is_not_there() {
    let world = selling(TEAM).await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let id = having(&world, &ada, json!({ "plan": "basic" })).await;
    for (id, deed, body) in [
        (id.as_str(), "preview", json!({ "quantity": 2 })),
        (&id, "change", json!({ "quantity": 2 })),
        (&id, "cancel", json!({})),
        (&id, "resume", json!({})),
        ("sub_nowhere", "preview", json!({ "quantity": 2 })),
        ("sub_nowhere", "change", json!({ "quantity": 2 })),
        ("sub_nowhere", "cancel", json!({})),
        ("cus_1", "resume", json!({})),
    ] {
        let path = format!("/v1/me/subscriptions/{id}/{deed}");
        bob.post(&path, body).await.expect_problem(404, "not_found");
    }
    bob.get(&format!("/v1/me/subscriptions/{id}")).await.expect_problem(404, "not_found");
    let service = world.service().post(&format!("/v1/users/ada/subscriptions/{id}/cancel"), json!({})).await;
    assert_eq!(service.status, StatusCode::OK, "{}", service.text);
}

/// All of what somebody has, and what Stripe says of it.
async fn everything(world: &World, user: &Caller<'_>, id: &str) -> Value {
    let mut me = user.get("/v1/me").await.json;
    me["version"] = Value::Null;
    let found = world.stripe(&format!("/v1/subscriptions/{id}")).await;
    let item = &found["items"]["data"][0];
    json!([
        me,
        found["status"],
        found["schedule"],
        item["price"]["id"],
        item["quantity"],
        found["latest_invoice"]
    ])
}

async fn swaps(world: &World, id: &str, number: &str) {
    let swapped = world.sandbox(&format!("subscriptions/{id}/card"), json!({ "card": number })).await;
    assert_eq!(swapped.status, StatusCode::OK, "{}", swapped.text);
}

#[tokio::test]
async fn an_upgrade_whose_payment_is_declined_changes_nothing() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "basic" })).await;
    world.advance("3d").await;
    swaps(&world, &id, DECLINES_LATER).await;
    let before = everything(&world, &ada, &id).await;
    let wanted = json!({ "plan": "pro" });
    let path = format!("/v1/me/subscriptions/{id}/change");
    for _ in 0..2 {
        let declined = ada.post_once(&path, "k", wanted.clone()).await;
        declined.expect_problem(402, "payment_declined");
        assert_eq!(declined.json["reason"], "generic_decline");
        assert_eq!(everything(&world, &ada, &id).await, before);
    }
    assert_eq!(billed(&world, &id).await.len(), 1, "no invoice is left to be paid");

    swaps(&world, &id, PAID).await;
    let changed = ada.post_once(&path, "another", wanted).await;
    assert_eq!((changed.status, &changed.json["subscription"]["plan"]), (StatusCode::OK, &json!("pro")));
    assert_eq!(ada.available().await, 400);
}

#[tokio::test]
async fn a_declined_upgrade_leaves_what_was_planned_as_it_was() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "pro" })).await;
    let planned = ask(&ada, &id, "change", json!({ "plan": "basic" })).await;
    let at = time(&planned["subscription"]["next"]["at"]);
    swaps(&world, &id, DECLINES_LATER).await;
    let before = everything(&world, &ada, &id).await;
    let declined = change(&ada, &id, json!({ "plan": "prepaid" })).await;
    declined.expect_problem(402, "payment_declined");
    assert_eq!(everything(&world, &ada, &id).await, before);
    swaps(&world, &id, PAID).await;
    go_on_to(&world, at.plus_ms(4_200_000)).await;
    until(&ada, |me| me["plan"]["id"].clone(), json!("basic")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_is_not_sold_any_more_can_still_be_left() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "pro" })).await;
    let without = TEAM.replace("[plans.pro]", "[plans.expert]").replace("\"Pro\"", "\"Expert\"");
    std::fs::write(world.folder().join("without.toml"), without).unwrap();
    let pushed = tollgate(world.folder(), &["catalog", "push", "without.toml"]).await;
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    world.advance("2m").await;
    change(&ada, &id, json!({ "quantity": 2 })).await.expect_problem(422, "unknown_plan");
    let changed = ask(&ada, &id, "change", json!({ "plan": "boundless" })).await;
    assert_eq!(changed["subscription"]["plan"], "boundless", "{changed}");
}
