//! Changing plans: what a preview says is what it costs and brings, when it happens, and what retries and declines do.

mod flips;
mod planned;
mod refused;
mod retried;

use domain::time::{DAY_MS, MINUTE_MS, Time};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::catalog::selling;
use crate::harness::{COMPANION, Caller, PAID, World};
use crate::states::{VANTAGE, ask, card, subscribes, until};

/// Plans whose tokens come by the week, with seats, by the year and without a limit; and some by paid invoices.
pub const TEAM: &str = r#"
[product]
id = "team"
name = "Team"
currency = "usd"

[checkout]
return_origins = ["https://team.example"]
success_url = "https://team.example/thanks?session_id={CHECKOUT_SESSION_ID}"
cancel_url = "https://team.example/plans"

[plans.free]
name = "Free"
level = 0
default = true

[plans.basic]
name = "Basic"
level = 1
prices = [{ interval = "month", price = "10.00" }, { interval = "year", price = "100.00" }]
tokens = { count = 100, every = "week" }
trial = { days = 10, most_days = 30, tokens = 40 }
seats = 20

[plans.pro]
name = "Pro"
level = 2
prices = [{ interval = "month", price = "30.00" }, { interval = "year", price = "300.00" }]
tokens = { count = 400, every = "week" }
trial = { days = 10, most_days = 30, tokens = 70 }

[plans.prepaid]
name = "Prepaid"
level = 3
prices = [{ interval = "month", price = "40.00" }]
tokens = { count = 2000, every = "billing" }

[plans.prepaid_year]
name = "Prepaid for a year"
level = 5
prices = [{ interval = "year", price = "400.00" }]
tokens = { count = 24000, every = "billing" }

[plans.boundless]
name = "Boundless"
level = 4
prices = [{ interval = "month", price = "90.00" }]
tokens = "unlimited"

[plans.backup]
name = "Backup"
group = "extras"
level = 1
prices = [{ interval = "month", price = "5.00" }]
"#;

pub fn team_with(subscriptions: &str) -> String {
    format!("{TEAM}\n[subscriptions]\n{subscriptions}\n")
}

/// Somebody who has had a plan for some time.
pub async fn having(world: &World, user: &Caller<'_>, mut wanted: Value) -> String {
    wanted["payment_method"] = json!(card(world, PAID).await);
    wanted["trial_days"] = json!(0);
    wanted["interval"] = wanted.get("interval").cloned().unwrap_or(json!("month"));
    let made = subscribes(user, wanted).await;
    made["id"].as_str().unwrap().to_owned()
}

pub async fn preview(user: &Caller<'_>, id: &str, wanted: Value) -> Value {
    let said = user.post(&format!("/v1/me/subscriptions/{id}/preview"), wanted).await;
    assert_eq!(said.status, StatusCode::OK, "{}", said.text);
    said.json
}

/// What Stripe has billed so far, newest first.
pub async fn billed(world: &World, id: &str) -> Vec<Value> {
    let invoices = world.stripe(&format!("/v1/invoices?subscription={id}&limit=100")).await;
    invoices["data"].as_array().unwrap_or_else(|| panic!("{invoices}")).clone()
}

pub fn time(text: &Value) -> Time {
    Time::parse_rfc3339(text.as_str().unwrap_or_else(|| panic!("no time: {text}"))).unwrap()
}

/// Moves the clock on to a moment.
pub async fn go_on_to(world: &World, moment: Time) {
    let left_ms = moment.millis() - world.now().await.millis();
    assert!(left_ms >= 0, "{} is over", moment.rfc3339());
    world.advance(&format!("{}s", left_ms / 1000 + 1)).await;
}

fn amount(money: &Value) -> i64 {
    money["amount_minor"].as_i64().unwrap_or_else(|| panic!("no money: {money}"))
}

fn sum(invoices: &[Value]) -> i64 {
    invoices.iter().map(|invoice| invoice["amount_due"].as_i64().unwrap()).sum()
}

/// A renewal is a draft for an hour, and a period that begins with the change does so after its preview.
const DRAFT_MS: i64 = 90 * MINUTE_MS;

/// Previews a change, makes it some time later, and holds both together: its money and its tokens, at once and later.
async fn keeps_its_word(world: &World, user: &Caller<'_>, id: &str, wanted: Value) -> Value {
    let said = preview(user, id, wanted.clone()).await;
    assert_eq!(preview(user, id, wanted.clone()).await["money"], said["money"], "looking changes nothing");
    world.advance("20m").await;
    let (invoices, tokens) = (billed(world, id).await.len(), user.available().await);
    let mut body = wanted;
    body["counted_from"] = said["counted_from"].clone();
    let changed = ask(user, id, "change", body.clone()).await;

    let after = billed(world, id).await;
    let new = &after[..after.len() - invoices];
    assert_eq!(sum(new), amount(&said["money"]["due_now"]), "due now: {said:#} {new:#?}");
    let brought = user.available().await - tokens;
    assert_eq!(json!(brought), said["tokens"]["now"], "tokens now: {said:#}");
    assert_eq!(changed["wallet"]["available"], json!(user.available().await));
    if said["when"] == "now" {
        let lines: i64 = new.iter().map(|invoice| invoice["total"].as_i64().unwrap()).sum();
        let shown: i64 =
            said["money"]["lines"].as_array().unwrap().iter().map(|line| amount(&line["amount"])).sum();
        let tax = amount(&said["money"]["tax"]);
        assert!(new.is_empty() || lines == shown + tax, "lines: {said:#} {new:#?}");
    }
    later_too(world, user, id, &said).await;
    said
}

/// What comes from then on, and what the next renewal costs.
async fn later_too(world: &World, user: &Caller<'_>, id: &str, said: &Value) {
    let renewal = time(&said["money"]["next_at"]);
    let tokens = async |expected: &Value| {
        until(user, |me| me["wallet"]["available"].clone(), expected.clone()).await;
    };
    let then = &said["tokens"]["then"];
    if !then.is_null() && time(&then["from"]) < renewal {
        go_on_to(world, time(&then["from"])).await;
        tokens(&then["count"]).await;
    }
    go_on_to(world, renewal.plus_ms(DRAFT_MS)).await;
    let renewed = &billed(world, id).await[0];
    assert_eq!(
        renewed["amount_due"], said["money"]["due_next"]["amount_minor"],
        "due next: {said:#} {renewed:#}"
    );
    assert_eq!(renewed["status"], "paid", "{renewed:#}");
    if !then.is_null() && time(&then["from"]) >= renewal {
        let from = time(&then["from"]);
        if from > world.now().await {
            go_on_to(world, from).await;
        }
        tokens(&then["count"]).await;
    }
    let view = user.get(&format!("/v1/me/subscriptions/{id}")).await.json;
    assert_eq!((&view["status"], &view["subscription"]["next"]), (&json!("active"), &Value::Null), "{view}");
}

#[tokio::test]
async fn a_better_plan_costs_and_brings_what_its_preview_said() {
    let world = selling(VANTAGE).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "monthly_basic" })).await;
    assert_eq!(ada.available().await, 25);
    world.advance("10d").await;
    let said = keeps_its_word(&world, &ada, &id, json!({ "plan": "monthly_pro" })).await;
    assert_eq!((&said["when"], &said["tokens"]["now"]), (&json!("now"), &json!(75)));
    assert_eq!(
        (&said["tokens"]["then"]["count"], &said["tokens"]["then"]["every"]),
        (&json!(100), &json!("billing"))
    );
    assert_eq!(said["tokens"]["then"]["from"], said["money"]["next_at"]);
    let lines = said["money"]["lines"].as_array().unwrap();
    assert!(lines.len() == 2 && lines.iter().all(|line| line["proration"] == true), "{lines:?}");
    assert_eq!(said["money"]["due_next"], json!({ "amount_minor": 5999, "currency": "usd" }));
}

#[tokio::test]
async fn plans_whose_tokens_come_by_the_week_keep_their_previews_word() {
    let world = selling(TEAM).await;
    for (name, from, to, when, now) in [
        ("ada", json!({ "plan": "basic" }), json!({ "plan": "pro" }), "now", 300),
        ("bob", json!({ "plan": "pro" }), json!({ "plan": "basic" }), "period_end", 0),
        ("eve", json!({ "plan": "basic" }), json!({ "plan": "prepaid" }), "now", 1900),
        ("fay", json!({ "plan": "boundless" }), json!({ "plan": "basic" }), "period_end", 0),
        ("gus", json!({ "plan": "basic" }), json!({ "plan": "boundless" }), "now", 0),
        ("hal", json!({ "plan": "prepaid" }), json!({ "plan": "basic" }), "period_end", 0),
        ("ida", json!({ "plan": "basic" }), json!({ "plan": "pro", "when": "period_end" }), "period_end", 0),
    ] {
        let user = world.user(name);
        let id = having(&world, &user, from.clone()).await;
        world.advance("10d").await;
        let said = keeps_its_word(&world, &user, &id, to.clone()).await;
        assert_eq!(
            (&said["when"], &said["tokens"]["now"]),
            (&json!(when), &json!(now)),
            "{from} to {to}: {said:#}"
        );
        ask(&user, &id, "cancel", json!({ "when": "now" })).await;
    }
}

#[tokio::test]
async fn seats_cost_and_bring_as_many_times_as_much() {
    let world = selling(TEAM).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "basic", "quantity": 3 })).await;
    let first = &billed(&world, &id).await[0];
    assert_eq!((&first["amount_paid"], ada.available().await), (&json!(3000), 300));
    world.advance("3d").await;
    let said = keeps_its_word(&world, &ada, &id, json!({ "quantity": 5 })).await;
    assert_eq!(
        (&said["tokens"]["now"], &said["money"]["due_next"]["amount_minor"]),
        (&json!(200), &json!(5000))
    );
    assert_eq!(said["tokens"]["then"]["count"], 500);
    let held = ada.get("/v1/me").await.json["subscriptions"][0].clone();
    assert_eq!((&held["quantity"], &held["price"]["amount_minor"]), (&json!(5), &json!(5000)));

    let said = keeps_its_word(&world, &ada, &id, json!({ "quantity": 2 })).await;
    assert_eq!((&said["when"], &said["tokens"]["then"]["count"]), (&json!("period_end"), &json!(200)));
    assert_eq!(said["money"]["due_next"]["amount_minor"], 2000);
    assert_eq!(ada.get("/v1/me").await.json["subscriptions"][0]["quantity"], 2);
}

#[tokio::test]
async fn a_longer_interval_begins_a_period_of_its_own_at_once() {
    let world = selling(TEAM).await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let weekly = having(&world, &ada, json!({ "plan": "basic" })).await;
    let prepaid = having(&world, &bob, json!({ "plan": "prepaid" })).await;
    world.advance("10d").await;
    let to_year = json!({ "plan": "prepaid_year", "interval": "year" });
    for (user, id, to, tokens) in
        [(&ada, &weekly, json!({ "interval": "year" }), 0), (&bob, &prepaid, to_year, 22_000)]
    {
        let said = keeps_its_word(&world, user, id, to).await;
        assert_eq!((&said["when"], &said["tokens"]["now"]), (&json!("now"), &json!(tokens)), "{said:#}");
        let lasts_ms = time(&said["money"]["next_at"]).millis() - time(&said["at"]).millis();
        assert!((365..=366).contains(&(lasts_ms / DAY_MS)), "{said:#}");
    }
}

#[tokio::test]
async fn in_a_trial_every_change_is_free_and_at_once_and_the_trial_goes_on() {
    let world = selling(TEAM).await;
    for (name, to, now) in [
        ("ada", json!({ "plan": "pro" }), 30),
        ("bob", json!({ "plan": "pro", "interval": "year" }), 30),
        ("fay", json!({ "quantity": 4 }), 0),
        ("gus", json!({ "interval": "year" }), 0),
    ] {
        let user = world.user(name);
        let method = if name == "ada" { PAID } else { next_card(name) };
        let wanted =
            json!({ "plan": "basic", "interval": "month", "payment_method": card(&world, method).await });
        let made = subscribes(&user, wanted).await;
        assert_eq!(made["status"], "trialing", "{made}");
        let id = made["id"].as_str().unwrap();
        world.advance("3d").await;
        let trial_ends = made["subscription"]["trial_ends_at"].clone();
        let said = preview(&user, id, to.clone()).await;
        assert_eq!((&said["when"], amount(&said["money"]["due_now"])), (&json!("now"), 0), "{said:#}");
        assert_eq!(
            (&said["money"]["next_at"], &said["tokens"]["now"]),
            (&trial_ends, &json!(now)),
            "{said:#}"
        );
        keeps_its_word(&world, &user, id, to).await;
        ask(&user, id, "cancel", json!({ "when": "now" })).await;
    }
}

/// A trial is had once with each card.
fn next_card(name: &str) -> &'static str {
    match name {
        "bob" => "5555 5555 5555 4444",
        "fay" => "6011 1111 1111 1117",
        _ => "4000 0566 5566 5556",
    }
}

#[tokio::test]
async fn a_change_that_is_paid_for_with_the_next_invoice_costs_nothing_now() {
    for (proration, is_charged) in [("next_invoice", true), ("none", false)] {
        let world = selling(&team_with(&format!("proration = \"{proration}\""))).await;
        for (name, from, to, now) in
            [("ada", "basic", "pro", 300), ("bob", "prepaid", "boundless", 0), ("eve", "basic", "prepaid", 0)]
        {
            let user = world.user(name);
            let id = having(&world, &user, json!({ "plan": from })).await;
            world.advance("10d").await;
            let said = keeps_its_word(&world, &user, &id, json!({ "plan": to })).await;
            assert_eq!(
                (&said["tokens"]["now"], amount(&said["money"]["due_now"])),
                (&json!(now), 0),
                "{said:#}"
            );
            let price = monthly(to);
            assert_eq!(amount(&said["money"]["due_next"]) > price, is_charged, "{said:#}");
            ask(&user, &id, "cancel", json!({ "when": "now" })).await;
        }
    }
}

/// What a plan costs a month.
fn monthly(plan: &str) -> i64 {
    match plan {
        "pro" => 3000,
        "prepaid" => 4000,
        _ => 9000,
    }
}

#[tokio::test]
async fn where_upgrades_wait_for_their_tokens_a_preview_says_so() {
    let world = selling(&team_with("upgrade_tokens = \"wait\"")).await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let weekly = having(&world, &ada, json!({ "plan": "basic" })).await;
    let prepaid = having(&world, &bob, json!({ "plan": "prepaid" })).await;
    world.advance("10d").await;
    let said = keeps_its_word(&world, &ada, &weekly, json!({ "plan": "pro" })).await;
    assert_eq!((&said["tokens"]["now"], &said["tokens"]["then"]["count"]), (&json!(0), &json!(400)));
    let to_year = json!({ "plan": "prepaid_year", "interval": "year" });
    let said = keeps_its_word(&world, &bob, &prepaid, to_year).await;
    assert_eq!(said["tokens"]["now"], 22_000, "a year that is paid now is a period of its own: {said:#}");
}

#[tokio::test]
async fn an_upgrade_of_companion_lifts_every_limit_at_once() {
    let world = selling(COMPANION).await;
    let ada = world.user("ada");
    let id = having(&world, &ada, json!({ "plan": "premium" })).await;
    world.advance("10d").await;
    let said = keeps_its_word(&world, &ada, &id, json!({ "plan": "elite" })).await;
    assert_eq!(said["tokens"], json!({ "now": 0, "at_change": 0, "then": null, "unlimited": true }));
    let me = ada.get("/v1/me").await.json;
    assert_eq!((&me["plan"]["id"], &me["wallet"]["unlimited"]), (&json!("elite"), &json!(true)));
    assert_eq!(me["features"]["video_generation"]["allowed"], true);
}
