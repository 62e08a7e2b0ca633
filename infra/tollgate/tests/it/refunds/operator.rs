//! Refunds that an operator asks for by our own route.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::cause::{Cause, Operation};
use futures_util::future::join_all;
use hyper::StatusCode;
use serde_json::{Value, json};
use tollgate::stack::{Options, TABLE};

use super::plans::{latest_intent, monthly, status_in_stripe};
use super::{
    ADAS, ANOTHERS, OURS, REFUND_FAILS, REFUND_WAITS, balance, bought, bought_with, deliver, dispute,
    events_of, handled, journal, refund, resolve, sold_elsewhere, spend, until_balance,
};
use crate::harness::{Answer, Caller, World};
use crate::subscribe::{plan, subscribed_to};

pub const REFUNDS: &str = "/v1/admin/refunds";

/// A refund as an operator sends it, and sends it again for as long as it is told to.
pub async fn ask(world: &World, key: &str, body: Value) -> Answer {
    let grace = world.operator();
    loop {
        let answer = grace.post_once(REFUNDS, key, body.clone()).await;
        if answer.status != StatusCode::SERVICE_UNAVAILABLE {
            return answer;
        }
    }
}

/// A refund that must be made.
pub async fn refunded(world: &World, key: &str, body: Value) -> Value {
    let answer = ask(world, key, body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    answer.json
}

/// A refund that must be refused, with so much left.
async fn not_refundable(world: &World, body: Value, left_minor: i64, why: &str) {
    let answer = ask(world, "refused", body).await;
    answer.expect_problem(409, "not_refundable");
    let told = (&answer.json["refundable_minor"], &answer.json["currency"]);
    assert_eq!(told, (&json!(left_minor), &json!("eur")), "{}", answer.text);
    assert!(answer.json["detail"].as_str().unwrap().contains(why), "{}", answer.text);
}

/// A payment's refunds in Stripe, newest first.
pub async fn refunds(world: &World, intent: &str) -> Vec<Value> {
    let listed = world.stripe(&format!("/v1/refunds?payment_intent={intent}&limit=100")).await;
    listed["data"].as_array().unwrap().clone()
}

/// What an answer says in figures: given back, reversed, taken, then available and owed.
fn figures(answer: &Value) -> [i64; 5] {
    let (refund, payment, wallet) = (&answer["refund"], &answer["payment"], &answer["wallet"]);
    let figures = [
        &refund["amount"]["amount_minor"],
        &payment["reversed_minor"],
        &payment["taken"],
        &wallet["available"],
        &wallet["debt"],
    ];
    figures.map(|figure| figure.as_i64().unwrap_or_else(|| panic!("{answer}")))
}

fn count(kinds: &[String], kind: &str) -> usize {
    kinds.iter().filter(|each| *each == kind).count()
}

#[tokio::test]
async fn a_full_refund_answers_what_was_given_back_and_taken() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    let body = json!({ "payment": intent, "reason": "requested_by_customer", "note": "Bought by mistake" });
    let answer = refunded(&world, "k", body).await;
    let paid = json!({ "amount_minor": 999, "currency": "eur" });
    assert_eq!(
        answer,
        json!({
            "refund": { "id": answer["refund"]["id"], "amount": paid, "status": "succeeded" },
            "entry": "req:grace:refund:k",
            "payment": {
                "id": intent, "user": "ada", "paid": paid, "reversed_minor": 999, "granted": 275, "taken": 275,
                "status": "refunded",
            },
            "wallet": { "available": 0, "held": 0, "debt": 0 },
        })
    );
    // No event has told of the payment, so it was credited first.
    assert_eq!(journal(&ada).await, ["checkout", "purchase", "refund", "reversal"]);

    let [made] = &refunds(&world, &intent).await[..] else { panic!("not one refund") };
    assert_eq!((&made["id"], &made["amount"]), (&answer["refund"]["id"], &json!(999)));
    assert_eq!(made["reason"], "requested_by_customer");
    let metadata = &made["metadata"];
    assert_eq!(
        (&metadata["tollgate_stack"], &metadata["tollgate_operator"]),
        (&json!("local"), &json!("grace"))
    );
    deliver(&world, &events_of(&world, &intent).await).await;
    assert_eq!((balance(&ada).await, count(&journal(&ada).await, "reversal")), ((0, 0), 1));
}

#[tokio::test]
async fn refunds_in_parts_take_their_share_and_the_last_takes_what_is_left() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    let part = json!({ "payment": intent, "amount_minor": 333 });
    // ⌊275 × 333 / 999⌋ = 91, then ⌊275 × 666 / 999⌋ = 183 in all.
    assert_eq!(figures(&refunded(&world, "k1", part.clone()).await), [333, 333, 91, 184, 0]);
    let second = refunded(&world, "k2", part).await;
    assert_eq!(
        (figures(&second), &second["payment"]["status"]),
        ([333, 666, 183, 92, 0], &json!("completed"))
    );
    let rest = refunded(&world, "k3", json!({ "payment": intent })).await;
    assert_eq!((figures(&rest), &rest["payment"]["status"]), ([333, 999, 275, 0, 0], &json!("refunded")));
    // What was left was frozen as a number, so the last is that one still.
    assert_eq!(refunded(&world, "k3", json!({ "payment": intent })).await, rest);
    assert_eq!(refunds(&world, &intent).await.len(), 3);
}

#[tokio::test]
async fn the_same_key_is_the_same_refund_and_another_request_under_it_is_refused() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    let body = json!({ "payment": intent, "amount_minor": 333, "note": "sorry" });
    let first = refunded(&world, "k", body.clone()).await;
    spend(&ada, 84, "c").await;
    let again = refunded(&world, "k", body).await;
    assert_eq!((&again["refund"], &again["entry"]), (&first["refund"], &first["entry"]));
    assert_eq!(figures(&again), [333, 333, 91, 100, 0], "the wallet as it is now");
    for other in [
        json!({ "payment": intent, "amount_minor": 334, "note": "sorry" }),
        json!({ "payment": intent, "amount_minor": 333, "note": "sorry!" }),
        json!({ "payment": intent, "amount_minor": -1 }),
        json!({ "payment": "pi_none" }),
    ] {
        ask(&world, "k", other).await.expect_problem(422, "idempotency_key_reused");
    }
    assert_eq!(refunds(&world, &intent).await.len(), 1);
    assert_eq!(count(&journal(&ada).await, "refund"), 1);
}

#[tokio::test]
async fn the_same_request_sent_many_times_at_once_is_one_refund() {
    let world = World::new().await;
    for (name, amount) in [("all", None), ("part", Some(333))] {
        let user = world.user(name);
        let intent = bought(&world, &user, "medium").await;
        let body = match amount {
            Some(amount) => json!({ "payment": intent, "amount_minor": amount }),
            None => json!({ "payment": intent }),
        };
        let answers = join_all((0..8).map(|_| refunded(&world, name, body.clone()))).await;
        let [made] = &refunds(&world, &intent).await[..] else { panic!("not one refund") };
        assert!(answers.iter().all(|answer| answer["refund"]["id"] == made["id"]), "{answers:?}");
        handled(&world).await;
        let kinds = journal(&user).await;
        assert_eq!((count(&kinds, "refund"), count(&kinds, "reversal")), (1, 1), "{kinds:?}");
        assert_eq!(balance(&user).await, (if amount.is_some() { 184 } else { 0 }, 0));
    }
}

#[tokio::test]
async fn different_requests_at_once_give_back_no_more_than_was_paid() {
    let world = World::new().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    let body = json!({ "payment": intent, "amount_minor": 600 });
    let keys = ["k1", "k2", "k3", "k4"];
    let answers = join_all(keys.map(|key| ask(&world, key, body.clone()))).await;
    let made = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    assert_eq!((made, refunds(&world, &intent).await.len()), (1, 1), "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != StatusCode::CREATED) {
        let code = refused.json["code"].as_str().unwrap();
        assert!(matches!(code, "not_refundable" | "stripe_refused"), "{}", refused.text);
    }
    handled(&world).await;
    assert_eq!(balance(&ada).await, (110, 0));
}

#[tokio::test]
async fn a_refund_that_was_cut_off_before_its_result_was_kept_is_the_same_when_asked_again() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    let body = json!({ "payment": intent, "amount_minor": 333 });
    let first = refunded(&world, "k", body.clone()).await;
    // Within a day by its key; later, as Stripe has forgotten that, by what the refund says of itself.
    for wait in ["1h", "20h", "25h"] {
        world.forget_answer("grace", Operation::Refund, "k").await;
        world.advance(wait).await;
        assert_eq!(refunded(&world, "k", body.clone()).await, first, "after {wait}");
        assert_eq!(refunds(&world, &intent).await.len(), 1, "after {wait}");
    }
}

#[tokio::test]
async fn what_cannot_be_given_back_is_refused_before_anything_is_written() {
    let world = World::new().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    ada.until_available(275).await;
    let before = journal(&ada).await;
    not_refundable(&world, json!({ "payment": intent, "amount_minor": 1000 }), 999, "9.99 eur").await;
    assert_eq!(journal(&ada).await, before);
    refund(&world, &intent, Some(400)).await;
    not_refundable(&world, json!({ "payment": intent, "amount_minor": 600 }), 599, "5.99 eur").await;
    let dispute = dispute(&world, &intent, json!({})).await;
    for body in [json!({ "payment": intent }), json!({ "payment": intent, "amount_minor": 1 })] {
        not_refundable(&world, body, 0, "disputed").await;
    }
    resolve(&world, &dispute, "won").await;
    refund(&world, &intent, None).await;
    not_refundable(&world, json!({ "payment": intent }), 0, "refunded already").await;
    until_balance(&ada, 0, 0).await;
    assert_eq!(count(&journal(&ada).await, "refund"), 0);
    assert_eq!(refunds(&world, &intent).await.len(), 2);
}

#[tokio::test]
async fn a_payment_that_is_nobodys_is_not_found() {
    let world = World::without_webhooks().await;
    for metadata in [&[][..], &[ADAS], &[ADAS, ANOTHERS], &[OURS]] {
        let intent = sold_elsewhere(&world, metadata).await;
        ask(&world, "k", json!({ "payment": intent })).await.expect_problem(404, "not_found");
        assert_eq!(refunds(&world, &intent).await.len(), 0, "{metadata:?}");
    }
    for unheard_of in ["pi_none", "cs_none"] {
        ask(&world, "k", json!({ "payment": unheard_of })).await.expect_problem(404, "not_found");
    }
    assert_eq!(journal(&world.user("ada")).await, Vec::<String>::new());
}

#[tokio::test]
async fn only_an_operator_refunds_and_only_with_a_key_and_a_request_that_makes_sense() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    let body = json!({ "payment": intent });
    for caller in [&ada, &world.service()] {
        caller.post_once(REFUNDS, "k", body.clone()).await.expect_problem(403, "forbidden");
    }
    world.operator().post(REFUNDS, body).await.expect_problem(400, "missing_idempotency_key");
    for body in [
        json!({}),
        json!({ "payment": "in_1" }),
        json!({ "payment": intent, "amount_minor": 0 }),
        json!({ "payment": intent, "amount_minor": -5 }),
        json!({ "payment": intent, "amount_minor": 0.5 }),
        json!({ "payment": intent, "reason": "mood" }),
        json!({ "payment": intent, "note": "x".repeat(1001) }),
        json!({ "payment": intent, "user": "ada" }),
    ] {
        ask(&world, "k", body).await.expect_problem(400, "invalid_request");
    }
    assert_eq!(refunds(&world, &intent).await.len(), 0);
}

#[tokio::test]
async fn a_full_refund_of_a_plans_invoice_ends_the_plan_at_once() {
    let world = World::with(|options| Options { deliver_webhooks: false, ..monthly(options) }).await;
    let ada = world.user("ada");
    let id = subscribed_to(&world, &ada, "premium").await;
    let intent = latest_intent(&world, &id).await;
    let part = refunded(&world, "part", json!({ "payment": intent, "amount_minor": 333 })).await;
    assert_eq!((figures(&part), plan(&ada).await.0.as_str()), ([333, 333, 166, 334, 0], "premium"));
    let rest = refunded(&world, "rest", json!({ "payment": intent })).await;
    assert_eq!(figures(&rest), [666, 999, 500, 0, 0]);
    assert_eq!(status_in_stripe(&world, &id).await, "canceled");
    assert_eq!(plan(&ada).await, ("free".to_owned(), "none".to_owned()));
}

#[tokio::test]
async fn a_refund_is_answered_by_what_became_of_it() {
    let world = World::new().await;
    for (card, at_first, in_the_end, left) in
        [(REFUND_WAITS, "pending", "succeeded", 0), (REFUND_FAILS, "succeeded", "failed", 275)]
    {
        let user = world.user(card);
        let intent = bought_with(&world, &user, "medium", card).await;
        let body = json!({ "payment": intent });
        let first = refunded(&world, at_first, body.clone()).await;
        assert_eq!((&first["refund"]["status"], figures(&first)), (&json!(at_first), [999, 999, 275, 0, 0]));
        world.advance("2h").await;
        let later = refunded(&world, at_first, body).await;
        assert_eq!(
            (&later["refund"]["id"], &later["refund"]["status"]),
            (&first["refund"]["id"], &json!(in_the_end))
        );
        let taken = 275 - left;
        let reversed = if left == 0 { 999 } else { 0 };
        assert_eq!(figures(&later), [999, reversed, taken, left, 0], "{in_the_end}");
    }
}

#[tokio::test]
async fn the_webhooks_that_race_a_refund_take_nothing_twice() {
    let world = World::new().await;
    let names: Vec<String> = (0..6).map(|number| format!("user-{number}")).collect();
    let trips = names.iter().map(async |name| {
        let user = world.user(name);
        let intent = bought(&world, &user, "medium").await;
        let part = json!({ "payment": intent, "amount_minor": 600 });
        let answer = refunded(&world, name, part).await;
        assert_eq!(figures(&answer), [600, 600, 165, 110, 0], "{name}");
        user
    });
    let users: Vec<Caller<'_>> = join_all(trips).await;
    handled(&world).await;
    for user in users {
        let kinds = journal(&user).await;
        assert_eq!((balance(&user).await, count(&kinds, "reversal")), ((110, 0), 1), "{kinds:?}");
    }
}

#[tokio::test]
async fn what_was_spent_already_is_owed() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    deliver(&world, &events_of(&world, &intent).await).await;
    assert_eq!(spend(&ada, 275, "all").await, StatusCode::OK);
    assert_eq!(figures(&refunded(&world, "k", json!({ "payment": intent })).await), [999, 999, 275, 0, 275]);
}

#[tokio::test]
async fn the_words_of_a_note_stand_beside_the_books_and_not_in_them() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    let words = "Her cat stepped on the keyboard";
    refunded(&world, "k", json!({ "payment": intent, "note": words })).await;
    let cause: Cause = "req:grace:refund:k".parse().unwrap();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let item = async |pk: &str, sk: &str| {
        let get = world.table().await.get_item().table_name(TABLE).key("PK", text(pk)).key("SK", text(sk));
        get.send().await.unwrap().item.unwrap()
    };
    let note = item("U#ada", &format!("N#{}", cause.fingerprint())).await;
    assert_eq!(note["note"], text(words));
    let entry = item(&format!("E#{cause}"), "E").await;
    assert!(!format!("{entry:?}").contains("keyboard"), "{entry:?}");
    assert!(!refunds(&world, &intent).await[0].to_string().contains("keyboard"));
}
