//! What the portal offers: the catalog's plans, on the catalog's terms.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{portal, press};
use crate::catalog::{LINGUA, selling, tollgate};
use crate::harness::{COMPANION, Caller, World, eventually};
use crate::subscribe::{subscribe, subscribed_to, subscription, until_plan};

const CONFIGURATIONS: &str = "/v1/billing_portal/configurations?limit=100\
                              &expand[]=data.features.subscription_update.products";

async fn configurations(world: &World) -> Vec<Value> {
    world.stripe(CONFIGURATIONS).await["data"].as_array().unwrap().clone()
}

/// The price of a plan's month, as Stripe knows it.
async fn price(world: &World, sold: &str) -> String {
    let found = world.stripe(&format!("/v1/prices?lookup_keys[]=local:{sold}")).await;
    found["data"][0]["id"].as_str().unwrap_or_else(|| panic!("{found}")).to_owned()
}

async fn change_to(world: &World, user: &Caller<'_>, sold: &str) {
    let (url, _) = portal(world, user, json!({})).await;
    let id = subscription(user).await;
    let fields = format!("subscription={id}&price={}", price(world, sold).await);
    press(world, &url, "switch", &fields).await;
    // What an app asks when somebody comes back from there.
    assert_eq!(user.get(&format!("/v1/me/subscriptions/{id}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_portal_offers_the_plans_of_the_catalog_from_the_first_minute() {
    let world = World::new().await;
    let ada = world.user("ada");
    subscribed_to(&world, &ada, "premium").await;
    let (_, page) = portal(&world, &ada, json!({})).await;
    for told in ["<h1>Companion</h1>", "Premium", "9.99 EUR", "Elite", "19.99 EUR", "Invoices"] {
        assert!(page.contains(told), "no {told} in {page}");
    }
    assert!(!page.contains("250 tokens"), "a package is no plan: {page}");

    change_to(&world, &ada, "companion:plan:elite:month:eur").await;
    until_plan(&ada, "elite", "active").await;
    let bill = &ada.get("/v1/me/invoices").await.json["invoices"][0];
    assert_eq!(bill["status"], "paid", "the rest of the period is paid for at once: {bill}");

    change_to(&world, &ada, "companion:plan:premium:month:eur").await;
    let next = async || ada.get("/v1/me").await.json["subscriptions"][0]["next"]["plan"].clone();
    eventually("a planned change", async || next().await == "premium").await;
    until_plan(&ada, "elite", "active").await;
    world.advance("32d").await;
    until_plan(&ada, "premium", "active").await;
}

#[tokio::test]
async fn a_trial_goes_on_whatever_plan_is_chosen_in_the_portal() {
    let world = selling(LINGUA).await;
    let ada = world.user("ada");
    subscribe(&world, &ada, "premium").await;
    until_plan(&ada, "premium", "trialing").await;
    let trial_ends_at = ada.get("/v1/me").await.json["plan"]["trial_ends_at"].clone();
    change_to(&world, &ada, "lingua:plan:plus:month:usd").await;
    until_plan(&ada, "plus", "trialing").await;
    assert_eq!(ada.get("/v1/me").await.json["plan"]["trial_ends_at"], trial_ends_at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_push_changes_what_the_portal_offers_and_makes_no_second() {
    let world = World::new().await;
    let ada = world.user("ada");
    subscribe(&world, &ada, "premium").await;
    let before = configurations(&world).await;
    let dearer = COMPANION.replacen("price = \"19.99\" }", "price = \"24.99\" }", 1);
    std::fs::write(world.folder().join("dearer.toml"), dearer).unwrap();
    let pushed = tollgate(world.folder(), &["catalog", "push", "dearer.toml"]).await;
    assert!(
        pushed.status.success() && pushed.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&pushed.stderr)
    );

    let after = configurations(&world).await;
    assert_eq!((before.len(), after.len()), (1, 1), "{after:?}");
    assert_eq!(before[0]["id"], after[0]["id"]);
    assert_eq!(after[0]["metadata"], json!({ "tollgate_stack": "local", "tollgate_catalog": "companion" }));
    let (_, page) = portal(&world, &ada, json!({})).await;
    assert!(page.contains("24.99 EUR") && !page.contains("19.99 EUR"), "{page}");
}

#[tokio::test]
async fn seats_are_chosen_in_the_portal_where_a_plan_has_them() {
    let world = selling(&LINGUA.replacen("[plans.plus]\n", "[plans.plus]\nseats = 50\n", 1)).await;
    let found = configurations(&world).await;
    let update = &found[0]["features"]["subscription_update"];
    assert_eq!(update["default_allowed_updates"], json!(["price", "quantity"]));
    let quantities: Vec<_> = update["products"].as_array().unwrap().iter().collect();
    let of = |plan: &str| {
        let product = json!(format!("local-lingua-plan-{plan}"));
        let found = quantities.iter().find(|listed| listed["product"] == product);
        found.unwrap_or_else(|| panic!("no {plan}"))["adjustable_quantity"].clone()
    };
    assert_eq!(of("plus"), json!({ "enabled": true, "minimum": 1, "maximum": 50 }));
    assert_eq!(of("premium")["enabled"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_says_what_the_portal_cannot_offer() {
    let world = World::new().await;
    let waiting =
        COMPANION.replacen("[features.", "[subscriptions]\nupgrade = \"period_end\"\n\n[features.", 1);
    std::fs::write(world.folder().join("waiting.toml"), waiting).unwrap();
    let pushed = tollgate(world.folder(), &["catalog", "push", "waiting.toml"]).await;
    let told = String::from_utf8_lossy(&pushed.stderr);
    assert!(pushed.status.success() && told.contains("waiting.toml: upgrades wait"), "{told}");
    let found = configurations(&world).await;
    let features = &found[0]["features"];
    assert_eq!((found.len(), &features["subscription_update"]["enabled"]), (1, &json!(false)));
    assert_eq!(features["subscription_cancel"]["enabled"], true);
}
