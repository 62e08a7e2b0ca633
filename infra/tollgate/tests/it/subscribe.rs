//! Subscribing: plans, weekly tokens, renewals, declines and ends, from a checkout to the last day.

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{ASKS_FOR_3DS, Answer, Caller, DECLINED, DECLINES_LATER, PAID, World, eventually};

/// Ada's plan and its status.
pub async fn plan(user: &Caller<'_>) -> (String, String) {
    let me = user.get("/v1/me").await.json;
    let word = |field: &str| me["plan"][field].as_str().unwrap_or_else(|| panic!("{me}")).to_owned();
    (word("id"), word("status"))
}

pub async fn until_plan(user: &Caller<'_>, id: &str, status: &str) {
    let expected = (id.to_owned(), status.to_owned());
    eventually(&format!("{id}, {status}"), async || plan(user).await == expected).await;
}

/// Subscribed and paid for; Stripe's events may or may not have arrived.
pub async fn subscribe(world: &World, user: &Caller<'_>, plan: &str) -> String {
    let session = user.opens_plan(plan).await;
    let paid = world.pay(&session, PAID).await;
    assert_eq!(paid.status, StatusCode::OK, "{}", paid.text);
    session
}

/// The same, and its id, with all that was paid for in the account, whether or not events arrive.
pub async fn subscribed_to(world: &World, user: &Caller<'_>, plan: &str) -> String {
    let session = subscribe(world, user, plan).await;
    let page = user.get(&format!("/v1/me/checkout/{session}")).await;
    assert_eq!(page.json["status"], "complete", "{}", page.text);
    subscription(user).await
}

pub async fn subscription(user: &Caller<'_>) -> String {
    let me = user.get("/v1/me").await.json;
    me["subscriptions"][0]["id"].as_str().unwrap_or_else(|| panic!("{me}")).to_owned()
}

async fn spend(user: &Caller<'_>, tokens: u64, key: &str) -> Answer {
    user.post_once("/v1/me/consume", key, json!({ "tokens": tokens })).await
}

/// What a person does in Stripe's dashboard.
async fn dashboard(world: &World, path: &str, body: Value) {
    let answer = world.sandbox(path, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn a_subscriber_gets_tokens_every_week_beside_what_was_bought_until_the_end() {
    let world = World::new().await;
    let ada = world.user("ada");
    world.pay(&ada.opens("medium").await, PAID).await;
    ada.until_available(275).await;
    subscribe(&world, &ada, "premium").await;
    ada.until_available(775).await;
    let me = ada.get("/v1/me").await.json;
    assert_eq!(
        (&me["plan"]["id"], &me["plan"]["status"], &me["plan"]["level"]),
        (&json!("premium"), &json!("active"), &json!(1))
    );
    assert_eq!(me["features"]["hd_photos"]["allowed"], true);
    assert_eq!(me["features"]["messages"]["unlimited"], true);
    assert_eq!(me["subscriptions"][0]["price"], json!({"amount_minor": 999, "currency": "eur"}));

    assert_eq!(spend(&ada, 400, "spent").await.status, StatusCode::OK);
    assert_eq!(ada.available().await, 375);
    world.advance("7d").await;
    assert_eq!(ada.available().await, 775);

    world.advance("31d").await;
    assert_eq!((ada.available().await, plan(&ada).await.1), (775, "active".to_owned()));
    let invoices = ada.get("/v1/me/wallet/entries?limit=100").await.json;
    let paid = invoices["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "invoice");
    assert_eq!(paid.count(), 2, "the first month and its renewal");

    let id = subscription(&ada).await;
    dashboard(&world, &format!("subscriptions/{id}/card"), json!({ "card": DECLINES_LATER })).await;
    world.advance("31d").await;
    until_plan(&ada, "premium", "past_due").await;

    dashboard(&world, &format!("subscriptions/{id}/cancel"), json!({})).await;
    until_plan(&ada, "free", "none").await;
    assert_eq!(ada.available().await, 275, "what was bought remains");
    assert_eq!(ada.get("/v1/me").await.json["subscriptions"], json!([]));
}

#[tokio::test]
async fn without_a_single_event_the_success_page_gives_plan_and_tokens() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let session = subscribe(&world, &ada, "premium").await;
    assert_eq!(plan(&ada).await, ("free".to_owned(), "none".to_owned()));
    let shown = ada.get(&format!("/v1/me/checkout/{session}")).await;
    assert_eq!(
        (&shown.json["status"], &shown.json["tokens"], &shown.json["wallet"]["available"]),
        (&json!("complete"), &json!(500), &json!(500)),
        "{}",
        shown.text
    );
    assert_eq!(shown.json["item"], "plan:premium:month");
    assert_eq!(plan(&ada).await, ("premium".to_owned(), "active".to_owned()));
    let again = ada.get(&format!("/v1/me/checkout/{session}")).await;
    assert_eq!(again.text, shown.text);
}

/// What Stripe would send about one customer, oldest first.
pub async fn events_of(world: &World, customer: &str) -> Vec<Value> {
    let events = world.stripe("/v1/events?limit=100").await;
    let mut events: Vec<Value> = events["data"].as_array().unwrap().clone();
    events.retain(|event| event["data"]["object"]["customer"] == customer);
    events.reverse();
    events
}

pub async fn customer(world: &World, user: &str) -> String {
    let customers = world.stripe("/v1/customers?limit=100").await;
    let customers = customers["data"].as_array().unwrap();
    let is_theirs = |customer: &&Value| customer["metadata"]["tollgate_user"] == user;
    customers.iter().find(is_theirs).unwrap()["id"].as_str().unwrap().to_owned()
}

/// The account as far as events decide it: nothing that counts writes or names this user's own objects.
async fn meaning(user: &Caller<'_>) -> Value {
    let me = user.get("/v1/me").await.json;
    let lots: Vec<_> = me["wallet"]["lots"].as_array().unwrap().iter().collect();
    let lots: Vec<_> = lots.iter().map(|lot| json!([lot["source"], lot["remaining"]])).collect();
    let mut totals = std::collections::BTreeMap::<String, i64>::new();
    let entries = user.get("/v1/me/wallet/entries?limit=100").await.json;
    for posting in
        entries["entries"].as_array().unwrap().iter().flat_map(|entry| entry["postings"].as_array().unwrap())
    {
        let amount = posting["amount"].as_i64().unwrap();
        *totals.entry(posting["from"].as_str().unwrap().to_owned()).or_default() -= amount;
        *totals.entry(posting["to"].as_str().unwrap().to_owned()).or_default() += amount;
    }
    json!([me["plan"]["id"], me["plan"]["status"], me["plan"]["cancel_at"].is_null(), lots, totals])
}

#[tokio::test]
async fn events_in_any_order_and_repeated_end_in_the_same_account() {
    let world = World::without_webhooks().await;
    let mut meanings = Vec::new();
    for round in 0..12 {
        let name = format!("user-{round}");
        let user = world.user(&name);
        subscribe(&world, &user, "premium").await;
        let mut events = events_of(&world, &customer(&world, &name).await).await;
        assert!(events.len() >= 7, "{events:?}");
        let repeated = events.clone();
        events.extend(repeated.into_iter().take(round));
        fastrand::Rng::with_seed(round as u64).shuffle(&mut events);
        for event in &events {
            assert_eq!(world.deliver(event).await.status, StatusCode::OK);
        }
        eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
        meanings.push(meaning(&user).await);
    }
    assert_eq!(meanings[0][3], json!([["allowance", 500]]));
    for meaning in &meanings {
        assert_eq!(meaning, &meanings[0]);
    }
}

#[tokio::test]
async fn any_one_event_of_a_subscription_is_enough() {
    let world = World::without_webhooks().await;
    for kind in [
        "customer.subscription.created",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
        "checkout.session.completed",
    ] {
        let user = world.user(kind);
        subscribe(&world, &user, "premium").await;
        assert_eq!(world.deliver(&world.event(kind).await).await.status, StatusCode::OK);
        until_plan(&user, "premium", "active").await;
        user.until_available(500).await;
    }
}

#[tokio::test]
async fn invoice_paid_and_invoice_payment_succeeded_are_one_cause() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    subscribe(&world, &ada, "premium").await;
    for kind in ["invoice.paid", "invoice.payment_succeeded", "invoice.paid"] {
        world.deliver(&world.event(kind).await).await;
    }
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    let entries = ada.get("/v1/me/wallet/entries").await.json;
    let invoices: Vec<_> =
        entries["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "invoice").collect();
    assert_eq!(invoices.len(), 1, "{entries}");
    assert!(invoices[0]["cause"].as_str().unwrap().starts_with("inv:in_"));
    assert_eq!(ada.available().await, 500);
}

#[tokio::test]
async fn a_subscription_that_ended_before_its_events_arrived_gives_nothing() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    subscribe(&world, &ada, "premium").await;
    let created = world.event("customer.subscription.created").await;
    let id = created["data"]["object"]["id"].as_str().unwrap();
    dashboard(&world, &format!("subscriptions/{id}/cancel"), json!({})).await;
    for event in [&world.event("customer.subscription.deleted").await, &created] {
        world.deliver(event).await;
    }
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    assert_eq!((plan(&ada).await.0, ada.available().await), ("free".to_owned(), 0));
}

#[tokio::test]
async fn elite_spends_without_a_limit() {
    let world = World::new().await;
    let ada = world.user("ada");
    subscribed_to(&world, &ada, "elite").await;
    assert_eq!(ada.get("/v1/me/wallet").await.json["unlimited"], true);
    let spent = spend(&ada, 1_000_000, "much").await;
    assert_eq!((spent.status, &spent.json["lots"]), (StatusCode::OK, &json!([])), "{}", spent.text);
    let video = ada.post_once("/v1/me/consume", "video", json!({ "action": "video" })).await;
    assert_eq!(video.status, StatusCode::OK, "{}", video.text);
}

#[tokio::test]
async fn flipping_between_plans_ten_times_grants_no_token_twice() {
    let world = World::new().await;
    let ada = world.user("ada");
    subscribe(&world, &ada, "premium").await;
    ada.until_available(500).await;
    assert_eq!(spend(&ada, 480, "spent").await.status, StatusCode::OK);
    let id = subscription(&ada).await;
    let subscribed = world.stripe(&format!("/v1/subscriptions/{id}")).await;
    let item = subscribed["items"]["data"][0]["id"].as_str().unwrap();
    for plan in ["elite", "premium"].repeat(10) {
        let key = format!("local:companion:plan:{plan}:month:eur");
        let prices = world.stripe(&format!("/v1/prices?lookup_keys[]={key}")).await;
        let price = prices["data"][0]["id"].as_str().unwrap_or_else(|| panic!("{prices}"));
        let change = format!("items[0][id]={item}&items[0][price]={price}&proration_behavior=always_invoice");
        world.stripe_update(&format!("/v1/subscriptions/{id}"), &change).await;
        until_plan(&ada, plan, "active").await;
    }
    assert_eq!(ada.available().await, 20);
    world.advance("7d").await;
    assert_eq!(ada.available().await, 500);
}

#[tokio::test]
async fn a_renewal_invoice_in_draft_cuts_nobody_off() {
    let world = World::new().await;
    let ada = world.user("ada");
    subscribe(&world, &ada, "premium").await;
    ada.until_available(500).await;
    let renews_at = ada.get("/v1/me").await.json["plan"]["renews_at"].as_str().unwrap().to_owned();
    let renews_at = domain::time::Time::parse_rfc3339(&renews_at).unwrap();
    let left_ms = renews_at.millis() - world.now().await.millis();
    world.advance(&format!("{}s", left_ms / 1000 + 1800)).await;
    let id = subscription(&ada).await;
    let drafts = world.stripe(&format!("/v1/invoices?subscription={id}&status=draft")).await;
    assert_eq!(drafts["data"].as_array().unwrap().len(), 1, "{drafts}");
    assert_eq!((plan(&ada).await.1, ada.available().await), ("active".to_owned(), 500));
    assert_eq!(spend(&ada, 5, "photo").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_declined_renewal_that_is_paid_after_all_catches_up() {
    let world = World::new().await;
    let ada = world.user("ada");
    subscribe(&world, &ada, "premium").await;
    ada.until_available(500).await;
    let id = subscription(&ada).await;
    dashboard(&world, &format!("subscriptions/{id}/card"), json!({ "card": DECLINES_LATER })).await;
    world.advance("36d").await;
    until_plan(&ada, "premium", "past_due").await;
    assert_eq!(ada.available().await, 0, "tokens stop at what was paid for, access does not");
    assert_eq!(ada.get("/v1/me").await.json["plan"]["renews_at"], Value::Null);
    dashboard(&world, &format!("subscriptions/{id}/card"), json!({ "card": PAID })).await;
    world.advance("7d").await;
    until_plan(&ada, "premium", "active").await;
    ada.until_available(500).await;
}

#[tokio::test]
async fn canceling_at_the_periods_end_is_shown_and_comes_by_itself() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let session = subscribe(&world, &ada, "premium").await;
    ada.get(&format!("/v1/me/checkout/{session}")).await;
    let id = subscription(&ada).await;
    dashboard(&world, &format!("subscriptions/{id}/cancel"), json!({ "at_period_end": true })).await;
    world.deliver(&world.event("customer.subscription.updated").await).await;
    eventually("a planned end", async || ada.get("/v1/me").await.json["plan"]["cancel_at"].is_string()).await;
    assert_eq!(ada.get("/v1/me").await.json["plan"]["renews_at"], Value::Null);
    assert_eq!(plan(&ada).await.0, "premium");
    // Nobody tells that it has ended.
    world.advance("31d").await;
    assert_eq!((plan(&ada).await.0, ada.available().await), ("free".to_owned(), 0));
}

#[tokio::test]
async fn a_card_that_asks_for_authentication_subscribes_after_it() {
    let world = World::new().await;
    let ada = world.user("ada");
    let session = ada.opens_plan("premium").await;
    let asked = world.pay(&session, ASKS_FOR_3DS).await;
    assert_eq!(asked.json["status"], "requires_action", "{}", asked.text);
    assert_eq!(plan(&ada).await.0, "free");
    let authenticated =
        world.sandbox(&format!("checkout/{session}/authenticate"), json!({ "outcome": "success" })).await;
    assert_eq!(authenticated.status, StatusCode::OK, "{}", authenticated.text);
    until_plan(&ada, "premium", "active").await;
    ada.until_available(500).await;
}

#[tokio::test]
async fn a_declined_first_payment_gives_nothing_and_can_be_tried_again() {
    let world = World::new().await;
    let ada = world.user("ada");
    let session = ada.opens_plan("premium").await;
    assert_eq!(world.pay(&session, DECLINED).await.status, StatusCode::PAYMENT_REQUIRED);
    let shown = ada.get(&format!("/v1/me/checkout/{session}")).await;
    assert_eq!((&shown.json["status"], plan(&ada).await.0.as_str()), (&json!("open"), "free"));
    assert_eq!(world.pay(&session, PAID).await.status, StatusCode::OK);
    until_plan(&ada, "premium", "active").await;
}

#[tokio::test]
async fn a_second_subscription_of_the_same_group_is_refused() {
    let world = World::new().await;
    let ada = world.user("ada");
    subscribed_to(&world, &ada, "premium").await;
    for plan in ["premium", "elite"] {
        let refused = ada.post("/v1/me/checkout", json!({ "plan": plan })).await;
        refused.expect_problem(409, "already_subscribed");
        assert_eq!(refused.json["subscription"]["plan"], "premium");
    }
    let packs = ada.post("/v1/me/checkout", json!({ "package": "small" })).await;
    assert_eq!(packs.status, StatusCode::CREATED, "packs are sold on every plan");
}

#[tokio::test]
async fn a_subscription_whose_events_were_lost_still_bars_a_second_one() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    subscribe(&world, &ada, "premium").await;
    // The checkout's own time is over, but it was paid before.
    world.advance("3h").await;
    ada.post("/v1/me/checkout", json!({ "plan": "elite" })).await.expect_problem(409, "already_subscribed");
    assert_eq!(plan(&ada).await.0, "premium", "asking was enough to learn of it");
}

#[tokio::test]
async fn a_subscription_whose_end_was_lost_does_not_bar_a_new_one() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let session = subscribe(&world, &ada, "premium").await;
    ada.get(&format!("/v1/me/checkout/{session}")).await;
    dashboard(&world, &format!("subscriptions/{}/cancel", subscription(&ada).await), json!({})).await;
    ada.opens_plan("elite").await;
    assert_eq!(plan(&ada).await.0, "free");
}

#[tokio::test]
async fn an_open_checkout_for_the_same_plan_is_used_again_and_for_another_is_closed() {
    let world = World::new().await;
    let ada = world.user("ada");
    let first = ada.opens_plan("premium").await;
    assert_eq!(ada.opens_plan("premium").await, first);
    let second = ada.opens_plan("elite").await;
    assert_ne!(second, first);
    assert_eq!(world.stripe(&format!("/v1/checkout/sessions/{first}")).await["status"], "expired");
    assert_ne!(world.pay(&first, PAID).await.status, StatusCode::OK);
    assert_eq!(world.pay(&second, PAID).await.status, StatusCode::OK);
    until_plan(&ada, "elite", "active").await;
}

#[tokio::test]
async fn a_second_key_for_the_same_plan_keeps_its_answer_when_the_first_is_paid() {
    let world = World::new().await;
    let ada = world.user("ada");
    let first = ada.post_once("/v1/me/checkout", "one", json!({ "plan": "premium" })).await;
    let second = ada.post_once("/v1/me/checkout", "two", json!({ "plan": "premium" })).await;
    assert_eq!((second.status, &second.json["id"]), (StatusCode::CREATED, &first.json["id"]));
    world.pay(first.json["id"].as_str().unwrap(), PAID).await;
    until_plan(&ada, "premium", "active").await;
    let again = ada.post_once("/v1/me/checkout", "two", json!({ "plan": "premium" })).await;
    assert_eq!((&again.json["id"], &again.json["status"]), (&first.json["id"], &json!("complete")));
    let other = ada.post_once("/v1/me/checkout", "two", json!({ "plan": "elite" })).await;
    other.expect_problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_subscription_moved_to_a_price_that_is_no_plans_still_falls_behind_and_ends() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let session = subscribe(&world, &ada, "premium").await;
    ada.get(&format!("/v1/me/checkout/{session}")).await;
    let id = subscription(&ada).await;
    let subscribed = world.stripe(&format!("/v1/subscriptions/{id}")).await;
    let item = &subscribed["items"]["data"][0];
    let price = format!(
        "product={}&currency=eur&unit_amount=777&recurring[interval]=month&lookup_key=odd",
        item["price"]["product"].as_str().unwrap()
    );
    world.stripe_update("/v1/prices", &price).await;
    let odd = world.stripe("/v1/prices?lookup_keys[]=odd").await;
    let odd = odd["data"][0]["id"].as_str().unwrap();
    let change = format!(
        "items[0][id]={}&items[0][price]={odd}&cancel_at_period_end=true",
        item["id"].as_str().unwrap()
    );
    world.stripe_update(&format!("/v1/subscriptions/{id}"), &change).await;
    world.deliver(&world.event("customer.subscription.updated").await).await;
    eventually("a planned end", async || ada.get("/v1/me").await.json["plan"]["cancel_at"].is_string()).await;
    assert_eq!(plan(&ada).await, ("premium".to_owned(), "active".to_owned()));
    dashboard(&world, &format!("subscriptions/{id}/cancel"), json!({})).await;
    world.deliver(&world.event("customer.subscription.deleted").await).await;
    until_plan(&ada, "free", "none").await;
}

#[tokio::test]
async fn checkouts_for_two_plans_at_once_leave_one_that_can_be_paid() {
    let world = World::new().await;
    for round in 0..10 {
        let name = format!("user-{round}");
        let token = world.user(&name).token;
        let mut opening = JoinSet::new();
        for plan in ["premium", "elite", "premium", "elite"] {
            let (http, url) = (world.http.clone(), format!("{}/v1/me/checkout", world.local().api));
            let bearer = format!("Bearer {token}");
            let key = format!("{plan}-{}", opening.len());
            opening.spawn(async move {
                let headers = [("authorization", bearer.as_str()), ("idempotency-key", key.as_str())];
                loop {
                    let body = json!({ "plan": plan }).to_string();
                    let answer = http.send(hyper::Method::POST, &url, &headers, body).await;
                    if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                        return answer;
                    }
                }
            });
        }
        for opened in opening.join_all().await {
            assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text);
        }
        let customer = customer(&world, &name).await;
        let open = world.stripe(&format!("/v1/checkout/sessions?customer={customer}&status=open")).await;
        assert_eq!(open["data"].as_array().unwrap().len(), 1, "{open}");
    }
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_is_said_and_how_to_mend_it() {
    let world = World::new().await;
    let ada = world.user("ada");
    for (body, code, says) in [
        (json!({ "plan": "gold" }), "unknown_plan", "plan:premium:month"),
        (json!({ "plan": "free" }), "unknown_plan", "plan:elite:month"),
        (json!({ "plan": "premium", "interval": "year" }), "unknown_plan", "plan:premium:month"),
        (json!({ "plan": "premium", "interval": "fortnight" }), "invalid_request", "week, month, year"),
        (json!({ "plan": "premium", "package": "small" }), "invalid_request", "one `package` or one `plan`"),
        (json!({ "plan": "premium", "quantity": 2 }), "invalid_request", "by the seat"),
        (json!({}), "invalid_request", "one `package` or one `plan`"),
    ] {
        let refused = ada.post("/v1/me/checkout", body.clone()).await;
        refused.expect_problem(if code == "unknown_plan" { 422 } else { 400 }, code);
        assert!(refused.json["detail"].as_str().unwrap().contains(says), "{body}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_subscription_without_an_owner_is_kept_for_an_operator() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    subscribe(&world, &ada, "premium").await;
    let mut event = world.event("customer.subscription.created").await;
    let id = event["data"]["object"]["id"].as_str().unwrap().to_owned();
    let customer = event["data"]["object"]["customer"].as_str().unwrap().to_owned();
    // As if it had been made in the dashboard, for a customer that is nobody's.
    let bare = "metadata[tollgate_user]=&metadata[tollgate_stack]=";
    world.stripe_update(&format!("/v1/subscriptions/{id}"), bare).await;
    world.stripe_update(&format!("/v1/customers/{customer}"), bare).await;
    world.forget("C#", &customer, "P").await;
    event["data"]["object"]["metadata"] = json!({});
    world.deliver(&event).await;
    eventually("an unclaimed record", async || world.item("Z#", &id).await.is_some()).await;
    assert_eq!(plan(&ada).await.0, "free");
}
