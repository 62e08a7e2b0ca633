//! A service by the week in dollars: paid by bank debit as well as by card, and taxed where its buyer lives.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::catalog::selling;
use crate::harness::{Caller, PAID, World};
use crate::states::{RETAINER, card, subscribes, until};

#[tokio::test]
async fn probe() {
    let world = selling(RETAINER).await;
    let ada = world.user("ada");
    let opened = ada.post("/v1/me/checkout", json!({ "plan": "basic", "trial_days": 0 })).await;
    println!("{}", opened.text);
    let id = opened.json["id"].as_str().unwrap();
    println!("{:#}", world.stripe(&format!("/v1/checkout/sessions/{id}")).await["payment_method_types"]);
    let paid = world.sandbox(&format!("checkout/{id}/pay"), json!({ "account": "000123456789", "country": "FR" })).await;
    println!("{}", paid.text);
    println!("{}", ada.get(&format!("/v1/me/checkout/{id}")).await.text);
    println!("{}", ada.get("/v1/me").await.text);
    world.advance("97h").await;
    println!("{}", ada.get(&format!("/v1/me/checkout/{id}")).await.text);
    println!("{}", ada.get("/v1/me").await.text);
    println!("{}", ada.get("/v1/me/invoices").await.text);
    println!("{}", ada.get("/v1/me/billing").await.text);

    let bob = world.user("bob");
    let opened = bob.post("/v1/me/checkout", json!({ "plan": "basic", "trial_days": 0 })).await;
    let id = opened.json["id"].as_str().unwrap();
    world.sandbox(&format!("checkout/{id}/pay"), json!({ "account": "000111111113" })).await;
    println!("BOB {}", bob.get(&format!("/v1/me/checkout/{id}")).await.text);
    world.advance("97h").await;
    println!("BOB {}", bob.get(&format!("/v1/me/checkout/{id}")).await.text);
    println!("BOB {}", bob.get("/v1/me").await.text);
    println!("BOB {}", bob.get("/v1/me/invoices").await.text);
    world.advance("25d").await;
    println!("BOB {}", bob.get(&format!("/v1/me/checkout/{id}")).await.text);
    println!("BOB {}", bob.get("/v1/me").await.text);

    let eve = world.user("eve");
    let made = eve.post("/v1/me/subscriptions", json!({ "plan": "basic", "trial_days": 0 })).await;
    println!("EVE {} {}", made.status, made.text);
    let home = json!({ "address": { "line1": "1 Rue de la Paix", "country": "FR" } });
    eve.send(Method::PUT, "/v1/me/billing", None, home.to_string()).await;
    let made = eve.post("/v1/me/subscriptions", json!({ "plan": "basic", "trial_days": 0 })).await;
    println!("EVE {} {}", made.status, made.text);
    let secret = made.json["client_secret"].as_str().unwrap().split("_secret").next().unwrap();
    println!("EVE {}", world.stripe(&format!("/v1/payment_intents/{secret}")).await);
    let _: (Caller<'_>, StatusCode, &str) = (world.user("x"), StatusCode::OK, PAID);
    let _ = (card(&world, PAID).await, Value::Null);
    let _ = subscribes;
    let _ = async |a: &Caller<'_>| until(a, |x| x.clone(), json!(1)).await;
    let _: Option<World> = None;
}
