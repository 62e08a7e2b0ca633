//! Money that goes back: refunds, disputes, and what they take of an account.

mod bad_line;
mod operator;
mod orders;
mod plans;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Caller, PAID, World, eventually};

/// Pays, and a refund of it fails an hour later.
const REFUND_FAILS: &str = "4000 0000 0000 5126";
/// Pays, and a refund of it is under way for an hour.
const REFUND_WAITS: &str = "4000 0000 0000 7726";
/// Pays, and disputes that at once.
const DISPUTES: &str = "4000 0000 0000 0259";

/// The intent of a pack that was bought, with whatever card.
async fn bought_with(world: &World, user: &Caller<'_>, package: &str, card: &str) -> String {
    let session = user.opens(package).await;
    assert_eq!(world.pay(&session, card).await.status, StatusCode::OK);
    let session = world.stripe(&format!("/v1/checkout/sessions/{session}")).await;
    session["payment_intent"].as_str().unwrap().to_owned()
}

async fn bought(world: &World, user: &Caller<'_>, package: &str) -> String {
    bought_with(world, user, package, PAID).await
}

/// Asks Stripe for a refund, as an operator does in its dashboard. Stripe may refuse.
async fn try_refund(world: &World, intent: &str, amount: Option<i64>) -> Answer {
    let amount = amount.map(|amount| format!("&amount={amount}")).unwrap_or_default();
    let bearer = format!("Bearer {}", world.local().stripe_secret_key);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let url = format!("{}/v1/refunds", world.local().stripe);
    world.http.send(Method::POST, &url, &headers, format!("payment_intent={intent}{amount}")).await
}

/// The id of a refund that was made.
async fn refund(world: &World, intent: &str, amount: Option<i64>) -> String {
    let made = try_refund(world, intent, amount).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    made.json["id"].as_str().unwrap().to_owned()
}

/// The bank gives a refund back.
async fn fail(world: &World, refund: &str) {
    let failed = world.sandbox(&format!("refunds/{refund}/fail"), json!({})).await;
    assert_eq!(failed.status, StatusCode::OK, "{}", failed.text);
}

/// The id of a dispute that a cardholder began.
async fn dispute(world: &World, intent: &str, claim: Value) -> String {
    let begun = world.sandbox(&format!("payments/{intent}/dispute"), claim).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.text);
    begun.json["id"].as_str().unwrap().to_owned()
}

async fn resolve(world: &World, dispute: &str, outcome: &str) {
    let path = format!("disputes/{dispute}/resolve");
    let resolved = world.sandbox(&path, json!({ "outcome": outcome })).await;
    assert_eq!(resolved.status, StatusCode::OK, "{}", resolved.text);
}

/// What is there, and what is owed.
async fn balance(user: &Caller<'_>) -> (u64, u64) {
    let wallet = user.get("/v1/me/wallet").await;
    let count = |field: &str| wallet.json[field].as_u64().unwrap_or_else(|| panic!("{}", wallet.text));
    (count("available"), count("debt"))
}

async fn until_balance(user: &Caller<'_>, available: u64, debt: u64) {
    let what = format!("{available} tokens and a debt of {debt}");
    eventually(&what, async || balance(user).await == (available, debt)).await;
}

async fn spend(user: &Caller<'_>, tokens: u64, key: &str) -> StatusCode {
    user.post_once("/v1/me/consume", key, json!({ "tokens": tokens })).await.status
}

/// The kinds of a user's entries, oldest first.
async fn journal(user: &Caller<'_>) -> Vec<String> {
    let entries = user.get("/v1/me/wallet/entries?limit=100").await.json;
    let kind = |entry: &Value| entry["kind"].as_str().unwrap().to_owned();
    let mut kinds: Vec<String> = entries["entries"].as_array().unwrap().iter().map(kind).collect();
    kinds.reverse();
    kinds
}

/// Every message is handled, and none was given up.
async fn handled(world: &World) {
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    assert_eq!(world.waiting("WebhookDeadLetters").await, 0);
}

async fn deliver(world: &World, events: &[Value]) {
    for event in events {
        assert_eq!(world.deliver(event).await.status, StatusCode::OK);
    }
    handled(world).await;
}

async fn audited(world: &World, event: &Value) -> String {
    let audit = world.item("W#", event["id"].as_str().unwrap()).await.expect("an audit record");
    audit["outcome"].as_s().unwrap().clone()
}

/// What Stripe would send about one payment, oldest first.
async fn events_of(world: &World, intent: &str) -> Vec<Value> {
    let events = world.stripe("/v1/events?limit=100").await;
    let is_about = |event: &&Value| {
        let object = &event["data"]["object"];
        object["payment_intent"] == intent || object["id"] == intent
    };
    let mut events: Vec<Value> =
        events["data"].as_array().unwrap().iter().filter(is_about).cloned().collect();
    events.reverse();
    events
}

#[tokio::test]
async fn a_full_refund_takes_back_a_pack_with_its_bonus() {
    let world = World::new().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    ada.until_available(275).await;
    refund(&world, &intent, None).await;
    until_balance(&ada, 0, 0).await;
    handled(&world).await;
    assert_eq!(journal(&ada).await, ["checkout", "purchase", "reversal"]);
    let kept = ada.get("/v1/me/wallet").await.json;
    assert_eq!(kept["lots"], json!([]));
}

#[tokio::test]
async fn partial_refunds_take_back_their_share_of_the_whole_and_the_last_takes_the_rest() {
    let world = World::new().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    ada.until_available(275).await;
    // ⌊275 × 333 / 999⌋, then ⌊275 × 666 / 999⌋ in all: of the total, so that no rounding adds up.
    for (amount, left) in [(333, 184), (333, 92), (333, 0)] {
        refund(&world, &intent, Some(amount)).await;
        until_balance(&ada, left, 0).await;
    }
}

#[tokio::test]
async fn a_refund_that_fails_is_given_back() {
    let world = World::new().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    ada.until_available(275).await;
    let all = refund(&world, &intent, None).await;
    until_balance(&ada, 0, 0).await;
    fail(&world, &all).await;
    until_balance(&ada, 275, 0).await;
    let lots = ada.get("/v1/me/wallet").await.json["lots"].clone();
    let lots: Vec<_> =
        lots.as_array().unwrap().iter().map(|lot| json!([lot["source"], lot["remaining"]])).collect();
    assert_eq!(lots, [json!(["bonus", 25]), json!(["purchase", 250])]);
}

#[tokio::test]
async fn a_refund_counts_while_the_bank_takes_its_time_and_until_it_fails() {
    let world = World::new().await;
    for (card, in_the_end) in [(REFUND_WAITS, 0), (REFUND_FAILS, 275)] {
        let user = world.user(card);
        let intent = bought_with(&world, &user, "medium", card).await;
        user.until_available(275).await;
        refund(&world, &intent, None).await;
        until_balance(&user, 0, 0).await;
        world.advance("2h").await;
        until_balance(&user, in_the_end, 0).await;
    }
}

#[tokio::test]
async fn a_dispute_takes_the_tokens_until_it_is_won() {
    let world = World::new().await;
    for (outcome, left) in [("won", 275), ("lost", 0), ("prevented", 275)] {
        let user = world.user(outcome);
        let intent = bought(&world, &user, "medium").await;
        user.until_available(275).await;
        let dispute = dispute(&world, &intent, json!({})).await;
        until_balance(&user, 0, 0).await;
        resolve(&world, &dispute, outcome).await;
        handled(&world).await;
        until_balance(&user, left, 0).await;
    }
}

#[tokio::test]
async fn an_inquiry_takes_nothing_unless_it_becomes_a_dispute() {
    let world = World::new().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    ada.until_available(275).await;
    let asked = dispute(&world, &intent, json!({ "inquiry": true })).await;
    eventually("the event", async || !events_of(&world, &intent).await.is_empty()).await;
    handled(&world).await;
    assert_eq!(balance(&ada).await, (275, 0));
    resolve(&world, &asked, "escalated").await;
    until_balance(&ada, 0, 0).await;
}

#[tokio::test]
async fn a_card_that_disputes_at_once_leaves_nothing() {
    let world = World::new().await;
    let ada = world.user("ada");
    bought_with(&world, &ada, "medium", DISPUTES).await;
    eventually("a reversal", async || journal(&ada).await.contains(&"reversal".to_owned())).await;
    until_balance(&ada, 0, 0).await;
}

#[tokio::test]
async fn a_refund_and_a_dispute_together_take_no_more_than_there_was() {
    let world = World::new().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    ada.until_available(275).await;
    refund(&world, &intent, Some(600)).await;
    // ⌊275 × 600 / 999⌋ = 165.
    until_balance(&ada, 110, 0).await;
    let dispute = dispute(&world, &intent, json!({ "amount": 999 })).await;
    until_balance(&ada, 0, 0).await;
    resolve(&world, &dispute, "won").await;
    until_balance(&ada, 110, 0).await;
}

#[tokio::test]
async fn what_was_spent_before_is_owed_and_the_next_purchase_pays_it() {
    let world = World::new().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    ada.until_available(275).await;
    assert_eq!(spend(&ada, 200, "spent").await, StatusCode::OK);
    refund(&world, &intent, None).await;
    until_balance(&ada, 0, 200).await;
    assert_eq!(spend(&ada, 1, "more").await, StatusCode::PAYMENT_REQUIRED);
    bought(&world, &ada, "medium").await;
    until_balance(&ada, 75, 0).await;
}

#[tokio::test]
async fn an_event_that_outruns_its_payment_has_it_credited_first() {
    let world = World::without_webhooks().await;
    for kind in ["refund.created", "charge.refunded"] {
        let user = world.user(kind);
        let intent = bought(&world, &user, "medium").await;
        refund(&world, &intent, Some(333)).await;
        let event = world.event(kind).await;
        deliver(&world, std::slice::from_ref(&event)).await;
        assert_eq!((balance(&user).await, audited(&world, &event).await.as_str()), ((184, 0), "taken back"));
        // Whatever was late, or comes again, finds it done.
        let events = events_of(&world, &intent).await;
        deliver(&world, &events).await;
        assert_eq!(balance(&user).await, (184, 0), "{kind}");
        assert_eq!(journal(&user).await, ["checkout", "purchase", "reversal"], "{kind}");
        assert_eq!(audited(&world, &event).await, "known before");
    }
    let user = world.user("disputed");
    let intent = bought(&world, &user, "medium").await;
    dispute(&world, &intent, json!({})).await;
    deliver(&world, &[world.event("charge.dispute.created").await]).await;
    assert_eq!(journal(&user).await, ["checkout", "purchase", "reversal"]);
    assert_eq!(balance(&user).await, (0, 0));
}

#[tokio::test]
async fn what_a_refund_took_and_a_failure_gave_back_is_told_in_the_audit() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    let all = refund(&world, &intent, None).await;
    let taken = world.event("charge.refunded").await;
    deliver(&world, std::slice::from_ref(&taken)).await;
    fail(&world, &all).await;
    let failed = world.event("refund.failed").await;
    deliver(&world, std::slice::from_ref(&failed)).await;
    // What is late tells of a state that is over.
    let late = world.event("refund.created").await;
    deliver(&world, std::slice::from_ref(&late)).await;
    let mut told = Vec::new();
    for event in [&taken, &failed, &late] {
        told.push(audited(&world, event).await);
    }
    assert_eq!(told, ["taken back", "given back", "known before"]);
    assert_eq!(balance(&ada).await, (275, 0));
}

/// The intent of a pack that was sold without us, with such metadata.
pub async fn sold_elsewhere(world: &World, metadata: &[(&str, &str)]) -> String {
    let prices = world.stripe("/v1/prices?lookup_keys[]=local:companion:package:medium:eur").await;
    let price = prices["data"][0]["id"].as_str().unwrap();
    let metadata: String = metadata
        .iter()
        .map(|(name, value)| format!("&payment_intent_data[metadata][{name}]={value}"))
        .collect();
    let form = format!(
        "mode=payment&success_url=https://app.example/&line_items[0][price]={price}\
         &line_items[0][quantity]=1{metadata}"
    );
    world.stripe_update("/v1/checkout/sessions", &form).await;
    let sessions = world.stripe("/v1/checkout/sessions?limit=1").await;
    let session = sessions["data"][0]["id"].as_str().unwrap();
    assert_eq!(world.pay(session, PAID).await.status, StatusCode::OK);
    let session = world.stripe(&format!("/v1/checkout/sessions/{session}")).await;
    session["payment_intent"].as_str().unwrap().to_owned()
}

const ADAS: (&str, &str) = ("tollgate_user", "ada");
pub const OURS: (&str, &str) = ("tollgate_stack", "local");
const ANOTHERS: (&str, &str) = ("tollgate_stack", "staging");

#[tokio::test]
async fn another_stacks_payment_and_a_strangers_are_left_alone() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    for (metadata, outcome) in [(&[ADAS, ANOTHERS][..], "another stack's"), (&[ADAS], "not ours")] {
        let intent = sold_elsewhere(&world, metadata).await;
        refund(&world, &intent, None).await;
        let event = world.event("charge.refunded").await;
        deliver(&world, std::slice::from_ref(&event)).await;
        assert_eq!(audited(&world, &event).await, outcome);
        assert!(world.item("Z#", &intent).await.is_none(), "{outcome}");
    }
    assert_eq!((balance(&ada).await, journal(&ada).await), ((0, 0), Vec::new()));
}

#[tokio::test]
async fn a_payment_that_names_nobody_stays_unclaimed_when_it_is_refunded() {
    let world = World::without_webhooks().await;
    let intent = sold_elsewhere(&world, &[OURS]).await;
    refund(&world, &intent, None).await;
    let event = world.event("charge.refunded").await;
    deliver(&world, std::slice::from_ref(&event)).await;
    assert_eq!(audited(&world, &event).await, "unclaimed");
    assert!(world.item("Z#", &intent).await.is_some());
}

#[tokio::test]
async fn a_payment_that_stripe_does_not_have_is_acknowledged_and_gives_nothing_back() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    let mut paid = world.event("checkout.session.completed").await;
    refund(&world, &intent, None).await;
    let mut event = world.event("charge.refunded").await;
    event["data"]["object"]["payment_intent"] = json!("pi_unheard_of");
    deliver(&world, std::slice::from_ref(&event)).await;
    assert_eq!(audited(&world, &event).await, "not ours");
    paid["data"]["object"]["payment_intent"] = json!("pi_unheard_of");
    deliver(&world, &[paid, event.clone()]).await;
    deliver(&world, std::slice::from_ref(&event)).await;
    assert_eq!((audited(&world, &event).await.as_str(), balance(&ada).await), ("not in Stripe", (275, 0)));
}

#[tokio::test]
async fn a_payment_that_was_never_booked_is_kept_for_an_operator() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = bought(&world, &ada, "medium").await;
    deliver(&world, &events_of(&world, &intent).await).await;
    world.forget("U#", "ada", &format!("P#{intent}")).await;
    refund(&world, &intent, None).await;
    let event = world.event("charge.refunded").await;
    deliver(&world, std::slice::from_ref(&event)).await;
    assert_eq!((audited(&world, &event).await.as_str(), balance(&ada).await), ("unclaimed", (275, 0)));
    let unclaimed = world.item("Z#", &intent).await.unwrap();
    assert_eq!(unclaimed["reason"].as_s().unwrap(), "reversed, but never booked");
}
