//! What subscribers do by themselves: the portal, invoices, and who is billed. Cards are in
//! `methods`, what the portal offers in `offers`.

mod methods;
mod offers;

use std::fs::File;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tollgate::stack::TABLE;

use crate::harness::{Answer, Caller, Http, World, eventually};
use crate::killed::Program;
use crate::subscribe::{customer, subscribe, subscribed_to, subscription, until_plan};

/// Every route, with what it may be sent.
const ROUTES: [(&str, &str, &str); 9] = [
    ("POST", "/portal", "{}"),
    ("GET", "/invoices", ""),
    ("POST", "/setups", "{}"),
    ("GET", "/setups/seti_1", ""),
    ("GET", "/payment-methods", ""),
    ("POST", "/payment-methods/pm_1/default", "{}"),
    ("DELETE", "/payment-methods/pm_1", ""),
    ("GET", "/billing", ""),
    ("PUT", "/billing", "{}"),
];

const STREET: &str = "12 Rue des Martyrs";
const PERSONAL: [&str; 4] = [STREET, "Lovelace", "ada@app.example", "75009"];

fn address() -> Value {
    json!({
        "name": "Ada Lovelace",
        "email": "ada@app.example",
        "phone": "+33 1 23 45 67 89",
        "address": {
            "line1": STREET, "line2": null, "city": "Paris", "state": null, "postal_code": "75009", "country": "fr",
        },
    })
}

async fn put(user: &Caller<'_>, path: &str, body: Value) -> Answer {
    user.send(Method::PUT, path, None, body.to_string()).await
}

fn expect(answer: &Answer, status: StatusCode) -> &Value {
    assert_eq!(answer.status, status, "{}", answer.text);
    &answer.json
}

#[tokio::test]
async fn whoever_bought_nothing_reads_that_there_is_nothing_and_stripe_never_hears_of_them() {
    let world = World::new().await;
    let ada = world.user("ada");
    assert_eq!(ada.get("/v1/me/invoices").await.json, json!({ "invoices": [], "next": null }));
    assert_eq!(ada.get("/v1/me/payment-methods").await.json, json!({ "payment_methods": [] }));
    let nobody = json!({ "name": null, "email": null, "phone": null, "address": null });
    assert_eq!(ada.get("/v1/me/billing").await.json, nobody);
    assert_eq!(expect(&put(&ada, "/v1/me/billing", json!({})).await, StatusCode::OK), &nobody);
    ada.post("/v1/me/portal", json!({})).await.expect_problem(404, "not_found");
    ada.get("/v1/me/setups/seti_1").await.expect_problem(404, "not_found");
    ada.get("/v1/me/invoices?cursor=in_1").await.expect_problem(404, "not_found");
    assert_eq!(world.stripe("/v1/customers").await["data"], json!([]));
}

#[tokio::test]
async fn who_was_erased_has_no_billing_any_more() {
    let world = World::new().await;
    let ada = world.user("ada");
    expect(&put(&ada, "/v1/me/billing", address()).await, StatusCode::OK);
    let erased = world.operator().post_once("/v1/admin/users/ada/erase", "k", json!({})).await;
    expect(&erased, StatusCode::OK);
    for (method, path, body) in ROUTES {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = ada.send(method, &format!("/v1/me{path}"), None, body.to_owned()).await;
        answer.expect_problem(410, "account_closed");
    }
    assert_eq!(world.stripe("/v1/customers").await["data"], json!([]), "nothing was made for her again");
}

async fn everything_stored(world: &World) -> String {
    let scan = world.table().await.scan().table_name(TABLE).consistent_read(true).send().await.unwrap();
    assert!(scan.last_evaluated_key().is_none(), "it was read to its end");
    format!("{:?}", scan.items())
}

#[tokio::test]
async fn an_address_is_told_to_stripe_and_stands_nowhere_here() {
    let world = World::new().await;
    let ada = world.user("ada");
    let mut told = address();
    told["address"]["country"] = json!("FR");
    assert_eq!(expect(&put(&ada, "/v1/me/billing", address()).await, StatusCode::OK), &told);
    assert_eq!(ada.get("/v1/me/billing").await.json, told);
    let id = customer(&world, "ada").await;
    let found = world.stripe(&format!("/v1/customers/{id}")).await;
    assert_eq!((&found["address"]["line1"], &found["address"]["country"]), (&json!(STREET), &json!("FR")));
    assert_eq!((&found["name"], &found["email"]), (&told["name"], &told["email"]));

    world.deliver(&world.event("customer.updated").await).await;
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    let stored = everything_stored(&world).await;
    assert!(stored.contains(&id), "the customer is known");
    for words in PERSONAL {
        assert!(!stored.contains(words), "{words} is stored");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_never_logged_whether_it_is_taken_or_refused() {
    let (folder, http) = (tempfile::tempdir().unwrap(), Http::new());
    let log = folder.path().join("log");
    let program = Program::logging(folder.path(), File::create(&log).unwrap());
    let mut refused = address();
    refused["address"]["country"] = json!(STREET);
    for told in [address(), refused, json!({ "address": STREET })] {
        program.api(&http, Method::PUT, "/v1/me/billing", told).await;
    }
    // By then whatever Stripe told of it is handled.
    let clock = format!("{}/_local/clock", program.stack.api);
    let moved = http.send(Method::POST, &clock, &[], json!({ "advance": "1h" }).to_string()).await;
    expect(&moved, StatusCode::OK);
    program.kill();
    let log = std::fs::read_to_string(log).unwrap();
    for told in ["PUT /v1/me/billing", "asked stripe", "customer.updated"] {
        assert!(log.contains(told), "no {told} in {log}");
    }
    for words in PERSONAL {
        assert!(!log.contains(words), "{words} in {log}");
    }
}

#[tokio::test]
async fn what_is_left_out_of_an_address_is_taken_away() {
    let world = World::new().await;
    let ada = world.user("ada");
    expect(&put(&ada, "/v1/me/billing", address()).await, StatusCode::OK);
    let moved = json!({ "name": " Ada ", "address": { "line1": "", "city": "Lyon" } });
    let moved = put(&ada, "/v1/me/billing", moved).await;
    let moved = expect(&moved, StatusCode::OK);
    assert_eq!(
        (&moved["name"], &moved["email"], &moved["phone"]),
        (&json!("Ada"), &Value::Null, &Value::Null)
    );
    assert_eq!((&moved["address"]["line1"], &moved["address"]["city"]), (&Value::Null, &json!("Lyon")));
    assert_eq!(moved["address"]["country"], Value::Null);
    assert_eq!(ada.get("/v1/me/billing").await.json, *moved);
    let none = put(&ada, "/v1/me/billing", json!({ "name": "Ada", "address": null })).await;
    assert_eq!(expect(&none, StatusCode::OK)["address"], Value::Null);
    let found = world.stripe(&format!("/v1/customers/{}", customer(&world, "ada").await)).await;
    assert_eq!((&found["address"], &found["email"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn what_is_no_address_is_refused_by_its_field() {
    let world = World::new().await;
    let ada = world.user("ada");
    for (wrong, field) in [
        (json!({ "address": { "country": "France" } }), "country"),
        (json!({ "address": { "country": "F1" } }), "country"),
        (json!({ "address": { "line1": "a".repeat(251) } }), "line1"),
        (json!({ "name": "two\nlines" }), "name"),
        (json!({ "email": "nobody" }), "email"),
        (json!({ "vat": "FR1" }), "vat"),
        (json!({ "address": { "street": STREET } }), "street"),
    ] {
        let refused = put(&ada, "/v1/me/billing", wrong).await;
        refused.expect_problem(400, "invalid_request");
        assert!(refused.json["detail"].as_str().unwrap().contains(field), "{}", refused.text);
    }
    assert_eq!(world.stripe("/v1/customers").await["data"], json!([]), "nothing was made in Stripe");
}

#[tokio::test]
async fn the_same_key_says_the_same_address_and_no_other() {
    let world = World::new().await;
    let ada = world.user("ada");
    let send = async |body: Value| ada.send(Method::PUT, "/v1/me/billing", Some("k"), body.to_string()).await;
    let first = send(address()).await;
    expect(&first, StatusCode::OK);
    assert_eq!(send(address()).await.text, first.text);
    send(json!({ "name": "Ada" })).await.expect_problem(422, "idempotency_key_reused");
    assert_eq!(ada.get("/v1/me/billing").await.json, first.json);
}

#[tokio::test]
async fn who_gave_an_address_first_buys_as_that_customer_long_after() {
    let world = World::new().await;
    let ada = world.user("ada");
    expect(&put(&ada, "/v1/me/billing", address()).await, StatusCode::OK);
    // Stripe forgets in a day under which key it made her.
    world.advance("2d").await;
    ada.opens("small").await;
    assert_eq!(ada.get("/v1/me/billing").await.json["name"], "Ada Lovelace");
    let customers = world.stripe("/v1/customers").await;
    assert_eq!(customers["data"].as_array().unwrap().len(), 1, "{customers}");
}

/// A page of the portal, and what somebody does there.
async fn portal(world: &World, user: &Caller<'_>, wanted: Value) -> (String, String) {
    let opened = user.post("/v1/me/portal", wanted).await;
    let url = expect(&opened, StatusCode::CREATED)["url"].as_str().unwrap().to_owned();
    let page = world.http.send(Method::GET, &url, &[], String::new()).await;
    expect(&page, StatusCode::OK);
    (url, page.text)
}

async fn press(world: &World, url: &str, deed: &str, fields: &str) {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = world.http.send(Method::POST, &format!("{url}/{deed}"), &form, fields.to_owned()).await;
    assert!(answer.status.is_success() || answer.status.is_redirection(), "{}", answer.text);
}

#[tokio::test]
async fn what_is_canceled_in_the_portal_is_seen_however_stripe_says_so() {
    for form in ["cancel_at", "cancel_at_period_end"] {
        let world = World::new().await;
        let ada = world.user("ada");
        world.sandbox("settings", json!({ "portal_cancels_with": form })).await;
        subscribed_to(&world, &ada, "premium").await;
        let renews_at = ada.get("/v1/me").await.json["plan"]["renews_at"].clone();
        let (url, _) = portal(&world, &ada, json!({})).await;
        let fields = format!("subscription={}", subscription(&ada).await);

        press(&world, &url, "cancel", &fields).await;
        let plan = async || ada.get("/v1/me").await.json["plan"].clone();
        eventually("a planned end", async || plan().await["cancel_at"] == renews_at).await;
        assert_eq!(plan().await["renews_at"], Value::Null, "{form}");

        press(&world, &url, "renew", &fields).await;
        eventually("no end", async || plan().await["cancel_at"].is_null()).await;
        assert_eq!(plan().await["renews_at"], renews_at, "{form}");

        press(&world, &url, "cancel", &fields).await;
        eventually("a planned end", async || plan().await["cancel_at"] == renews_at).await;
        world.advance("32d").await;
        until_plan(&ada, "free", "none").await;
    }
}

#[tokio::test]
async fn the_portal_leads_back_to_the_app_and_to_nobody_else() {
    let world = World::new().await;
    let ada = world.user("ada");
    ada.opens("small").await;
    let (_, page) = portal(&world, &ada, json!({})).await;
    assert!(page.contains(r#"href="https://app.dreamaigirl.com/""#), "{page}");
    let (_, page) = portal(&world, &ada, json!({ "return_url": "http://localhost:3000/account" })).await;
    assert!(page.contains(r#"href="http://localhost:3000/account""#), "{page}");
    for elsewhere in ["https://evil.example/", "javascript:alert(1)", ""] {
        let refused = ada.post("/v1/me/portal", json!({ "return_url": elsewhere })).await;
        refused.expect_problem(400, "invalid_request");
    }
    ada.post("/v1/me/portal", json!({ "customer": "cus_1" })).await.expect_problem(400, "invalid_request");
}

async fn invoices(user: &Caller<'_>, query: &str) -> Value {
    let answer = user.get(&format!("/v1/me/invoices{query}")).await;
    expect(&answer, StatusCode::OK).clone()
}

#[tokio::test]
async fn invoices_come_newest_first_page_by_page_each_with_its_page_and_its_pdf() {
    let world = World::new().await;
    let ada = world.user("ada");
    subscribed_to(&world, &ada, "premium").await;
    world.advance("32d").await;
    world.advance("31d").await;

    let all = invoices(&ada, "").await;
    let all = all["invoices"].as_array().unwrap();
    assert_eq!(all.len(), 3, "{all:?}");
    let of_sub = subscription(&ada).await;
    for invoice in all {
        assert_eq!((&invoice["status"], &invoice["subscription"]), (&json!("paid"), &json!(of_sub)));
        assert_eq!((&invoice["amount_due"], &invoice["amount_paid"]), (&json!(999), &json!(999)));
        assert_eq!((&invoice["currency"], &invoice["attempts"]), (&json!("eur"), &json!(1)), "{invoice}");
        assert!(invoice["number"].is_string() && invoice["next_attempt_at"].is_null(), "{invoice}");
        for address in ["hosted_url", "pdf"] {
            let url = invoice[address].as_str().unwrap();
            let served = world.http.send(Method::GET, url, &[], String::new()).await;
            assert_eq!(served.status, StatusCode::OK, "{address} {url}");
        }
    }
    let created: Vec<&str> = all.iter().map(|invoice| invoice["created"].as_str().unwrap()).collect();
    assert!(created.is_sorted_by(|newer, older| newer > older), "{created:?}");
    // Each is for the time that it charges, up to when the next one comes.
    assert_eq!(all[0]["period"]["end"], ada.get("/v1/me").await.json["plan"]["renews_at"]);
    for pair in all.windows(2) {
        assert_eq!(pair[0]["period"]["start"], pair[1]["period"]["end"]);
    }

    let first = invoices(&ada, "?limit=2").await;
    assert_eq!(first["invoices"].as_array().unwrap()[..], all[..2]);
    let next = first["next"].as_str().unwrap();
    let rest = invoices(&ada, &format!("?limit=2&cursor={next}")).await;
    assert_eq!((&rest["invoices"], &rest["next"]), (&json!(all[2..]), &Value::Null));
}

#[tokio::test]
async fn nobody_pages_through_the_invoices_of_another() {
    let world = World::new().await;
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    subscribe(&world, &ada, "premium").await;
    subscribe(&world, &bob, "premium").await;
    let of_ada = invoices(&ada, "").await["invoices"][0]["id"].as_str().unwrap().to_owned();
    bob.get(&format!("/v1/me/invoices?cursor={of_ada}")).await.expect_problem(404, "not_found");
    bob.get("/v1/me/invoices?cursor=in_none").await.expect_problem(404, "not_found");
    for wrong in ["cursor=cus_1", "limit=0", "limit=101", "limit=ten"] {
        bob.get(&format!("/v1/me/invoices?{wrong}")).await.expect_problem(400, "invalid_request");
    }
    let service = world.service().get("/v1/users/ada/invoices").await;
    assert_eq!(service.json["invoices"][0]["id"], json!(of_ada));
    bob.get("/v1/users/ada/invoices").await.expect_problem(403, "forbidden");
}
