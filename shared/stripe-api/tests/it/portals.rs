//! What the portal offers: one configuration for each catalog of a stack, and nobody else's is touched.

use domain::catalog::{Proration, When};
use domain::ids::{CustomerId, PriceId};
use serde_json::{Value, json};
use stripe_api::{PortalChanges, PortalConfiguration, PortalPlan, ProductId};

use crate::against_sandbox::{sandbox, stripe};
use crate::plans_in_sandbox::plan_order;
use crate::proxy;
use crate::subscriptions::list;
use crate::wire::{Seen, Step, Wire};
use crate::{Stripe, changes};

const CONFIGURATIONS: &str = "/v1/billing_portal/configurations";

fn plan(name: &str, prices: &[&str], seats: Option<u32>) -> PortalPlan {
    PortalPlan {
        product: ProductId::parse(format!("main-plan-{name}")).unwrap(),
        prices: prices.iter().map(|price| PriceId::parse(*price).unwrap()).collect(),
        seats,
    }
}

fn wanted(changes: Option<PortalChanges>) -> PortalConfiguration {
    PortalConfiguration {
        catalog: "companion".to_owned(),
        headline: "Companion".to_owned(),
        return_url: "https://app.example/".to_owned(),
        changes,
    }
}

fn two_plans() -> PortalChanges {
    PortalChanges {
        plans: vec![plan("one", &["price_m", "price_y"], None), plan("team", &["price_t"], Some(50))],
        proration: Proration::AtOnce,
        downgrade: When::PeriodEnd,
        keeps_trials: true,
    }
}

fn configuration(id: &str, created: i64, metadata: Value) -> Value {
    json!({
        "id": id, "object": "billing_portal.configuration", "active": true, "application": null,
        "business_profile": {"headline": null, "privacy_policy_url": null, "terms_of_service_url": null},
        "created": created, "default_return_url": null, "is_default": false, "livemode": false,
        "login_page": {"enabled": false, "url": null}, "metadata": metadata, "name": null, "updated": created,
        "features": {
            "customer_update": {"allowed_updates": [], "enabled": false},
            "invoice_history": {"enabled": true},
            "payment_method_update": {"enabled": false, "payment_method_configuration": null},
            "subscription_cancel": {
                "cancellation_reason": {"enabled": false, "feedback_options": null, "options": []},
                "enabled": false, "mode": "at_period_end", "proration_behavior": "none",
            },
            "subscription_update": {
                "billing_cycle_anchor": null, "default_allowed_updates": [], "enabled": false,
                "proration_behavior": "none", "schedule_at_period_end": {"conditions": []},
                "trial_update_behavior": "end_trial",
            },
        },
    })
}

fn ours() -> Value {
    json!({"tollgate_stack": "main", "tollgate_catalog": "companion"})
}

fn page(more: bool, data: Value) -> Step {
    Step::ok(list(CONFIGURATIONS, more, data).to_string())
}

fn one(id: &str) -> Step {
    Step::ok(configuration(id, 1, ours()).to_string())
}

/// What an update says of a feature.
fn said<'s>(fields: &'s [(String, String)], feature: &str) -> Vec<(&'s str, &'s str)> {
    let prefix = format!("features[{feature}]");
    let of_it = fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?, value.as_str())));
    of_it.collect()
}

fn fields(seen: &Seen) -> Vec<(String, String)> {
    seen.fields().into_iter().collect()
}

#[tokio::test]
async fn the_portal_offers_what_a_catalog_allows_and_the_rest_as_always() {
    let wire = Wire::play([page(false, json!([configuration("bpc_1", 1, ours())])), one("bpc_1")]);
    let id = changes::stripe(&wire).ensure_portal(&wanted(Some(two_plans()))).await.unwrap();
    assert_eq!(id, "bpc_1");
    let seen = wire.seen();
    assert_eq!(seen[0].call(), format!("GET {CONFIGURATIONS}?active=true&limit=100"));
    assert_eq!(seen[1].call(), format!("POST {CONFIGURATIONS}/bpc_1"));
    let fields = fields(&seen[1]);
    let plain: Vec<_> = fields.iter().filter(|(name, _)| !name.starts_with("features[")).collect();
    let expected = [
        ("active", "true"),
        ("business_profile[headline]", "Companion"),
        ("default_return_url", "https://app.example/"),
    ];
    assert_eq!(
        plain,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).iter().collect::<Vec<_>>()
    );
    for feature in ["invoice_history", "payment_method_update"] {
        assert_eq!(said(&fields, feature), [("[enabled]", "true")]);
    }
    assert_eq!(
        said(&fields, "customer_update"),
        [
            ("[allowed_updates][0]", "address"),
            ("[allowed_updates][1]", "email"),
            ("[allowed_updates][2]", "name"),
            ("[allowed_updates][3]", "phone"),
            ("[enabled]", "true"),
        ]
    );
    assert_eq!(
        said(&fields, "subscription_cancel"),
        [("[enabled]", "true"), ("[mode]", "at_period_end"), ("[proration_behavior]", "none")]
    );
    assert_eq!(
        said(&fields, "subscription_update"),
        [
            ("[default_allowed_updates][0]", "price"),
            ("[default_allowed_updates][1]", "quantity"),
            ("[enabled]", "true"),
            ("[products][0][adjustable_quantity][enabled]", "false"),
            ("[products][0][prices][0]", "price_m"),
            ("[products][0][prices][1]", "price_y"),
            ("[products][0][product]", "main-plan-one"),
            ("[products][1][adjustable_quantity][enabled]", "true"),
            ("[products][1][adjustable_quantity][maximum]", "50"),
            ("[products][1][adjustable_quantity][minimum]", "1"),
            ("[products][1][prices][0]", "price_t"),
            ("[products][1][product]", "main-plan-team"),
            ("[proration_behavior]", "always_invoice"),
            ("[schedule_at_period_end][conditions][0][type]", "decreasing_item_amount"),
            ("[schedule_at_period_end][conditions][1][type]", "shortening_interval"),
            ("[trial_update_behavior]", "continue_trial"),
        ]
    );
}

#[tokio::test]
async fn what_a_catalog_no_longer_allows_is_taken_away() {
    let one_plan = || vec![plan("one", &["price_m"], None)];
    for (proration, in_stripe) in [(Proration::NextInvoice, "create_prorations"), (Proration::None, "none")] {
        let wire = Wire::play([page(false, json!([configuration("bpc_1", 1, ours())])), one("bpc_1")]);
        let changes =
            PortalChanges { plans: one_plan(), proration, downgrade: When::Now, keeps_trials: false };
        let long = PortalConfiguration { headline: "é".repeat(61), ..wanted(Some(changes)) };
        changes::stripe(&wire).ensure_portal(&long).await.unwrap();
        let fields = fields(&wire.seen()[1]);
        let update = said(&fields, "subscription_update");
        assert!(update.contains(&("[proration_behavior]", in_stripe)), "{update:?}");
        assert!(update.contains(&("[schedule_at_period_end][conditions]", "")), "{update:?}");
        assert!(update.contains(&("[trial_update_behavior]", "end_trial")), "{update:?}");
        assert!(!update.iter().any(|(_, value)| *value == "quantity"), "{update:?}");
        assert!(fields.contains(&("business_profile[headline]".to_owned(), "é".repeat(60))), "{fields:?}");
    }
    let wire = Wire::play([page(false, json!([configuration("bpc_1", 1, ours())])), one("bpc_1")]);
    changes::stripe(&wire).ensure_portal(&wanted(None)).await.unwrap();
    assert_eq!(said(&fields(&wire.seen()[1]), "subscription_update"), [("[enabled]", "false")]);
}

#[tokio::test]
async fn ours_is_found_among_others_however_many_there_are() {
    let others = json!([
        configuration("bpc_plain", 1, json!({})),
        configuration("bpc_stack", 1, json!({"tollgate_stack": "other", "tollgate_catalog": "companion"})),
        configuration("bpc_catalog", 1, json!({"tollgate_stack": "main", "tollgate_catalog": "game"})),
        configuration("bpc_half", 1, json!({"tollgate_stack": "main"})),
    ]);
    let last = json!([configuration("bpc_newer", 8, ours()), configuration("bpc_older", 7, ours())]);
    let wire = Wire::play([page(true, others), page(false, last), one("bpc_older")]);
    let found = changes::stripe(&wire).ensure_portal(&wanted(None)).await.unwrap();
    assert_eq!(found, "bpc_older");
    let calls = wire.calls();
    assert!(calls[1].contains("starting_after=bpc_half"), "{calls:?}");
    assert_eq!(calls[2], format!("POST {CONFIGURATIONS}/bpc_older"));
}

#[tokio::test]
async fn it_is_created_under_one_key_and_updated_under_another_each_time() {
    let wire = Wire::play((0..2).flat_map(|_| [page(false, json!([])), one("bpc_1"), one("bpc_1")]));
    let stripe = changes::stripe(&wire);
    for _ in 0..2 {
        stripe.ensure_portal(&wanted(None)).await.unwrap();
    }
    let seen = wire.seen();
    let created = seen[1].fields();
    assert_eq!(seen[1].call(), format!("POST {CONFIGURATIONS}"));
    assert_eq!(
        (created["metadata[tollgate_stack]"].as_str(), created["metadata[tollgate_catalog]"].as_str()),
        ("main", "companion")
    );
    assert_eq!((seen[1].key(), created), (seen[4].key(), seen[4].fields()));
    assert_ne!(seen[2].key(), seen[5].key(), "what was true then must not be answered now");
}

#[tokio::test]
async fn a_visit_is_by_the_configuration_that_it_names() {
    let session = json!({"id": "bps_1", "object": "billing_portal.session", "configuration": "bpc_1", "created": 1,
        "customer": "cus_1", "livemode": false, "url": "https://billing.example/p/session/1"});
    let wire = Wire::play([Step::ok(session.to_string())]);
    let ada = CustomerId::parse("cus_1").unwrap();
    changes::stripe(&wire).open_portal(&ada, "https://app.example/", Some("bpc_1"), None).await.unwrap();
    assert_eq!(wire.seen()[0].fields()["configuration"], "bpc_1");
}

/// A sandbox with one plan, which its portal is to offer.
async fn selling() -> (String, Stripe, PortalConfiguration) {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let price = plan_order(&stripe).await.price;
    let product = proxy::get(&url, &format!("/v1/prices/{price}"))["product"].as_str().unwrap().to_owned();
    let plan = PortalPlan { product: ProductId::parse(product).unwrap(), prices: vec![price], seats: None };
    let changes = PortalChanges { plans: vec![plan], ..two_plans() };
    (url, stripe, wanted(Some(changes)))
}

fn all(url: &str) -> Vec<Value> {
    proxy::get(url, &format!("{CONFIGURATIONS}?limit=100"))["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn another_push_updates_it_and_makes_no_second() {
    let (url, stripe, mut wanted) = selling().await;
    let id = stripe.ensure_portal(&wanted).await.unwrap();
    wanted.headline = "Companion Two".to_owned();
    wanted.changes.as_mut().unwrap().downgrade = When::Now;
    assert_eq!(stripe.ensure_portal(&wanted).await.unwrap(), id);
    let [found] = &all(&url)[..] else { panic!("one configuration") };
    assert_eq!((&found["id"], &found["business_profile"]["headline"]), (&json!(id), &json!("Companion Two")));
    let update = &found["features"]["subscription_update"];
    assert_eq!(
        (&update["enabled"], &update["schedule_at_period_end"]["conditions"]),
        (&json!(true), &json!([]))
    );
}

#[tokio::test]
async fn who_pushes_at_the_same_moment_makes_one() {
    let (url, stripe, wanted) = selling().await;
    let (one, other) = tokio::join!(stripe.ensure_portal(&wanted), stripe.ensure_portal(&wanted));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(all(&url).len(), 1);
}

#[tokio::test]
async fn what_is_not_ours_stays_as_it_is() {
    let (url, stripe, wanted) = selling().await;
    proxy::person(&url, "portal/default", "{}");
    let form = "features[invoice_history][enabled]=true&metadata[tollgate_stack]=main";
    proxy::send(&url, CONFIGURATIONS, form);
    let theirs = crate::against_sandbox::stripe("other", &url).ensure_portal(&wanted).await.unwrap();
    let before = all(&url);
    let ours = stripe.ensure_portal(&wanted).await.unwrap();
    assert_ne!(ours, theirs);
    let after: Vec<_> = all(&url).into_iter().filter(|found| found["id"] != json!(ours)).collect();
    assert_eq!((after, before.len()), (before, 3));
}

#[tokio::test]
async fn one_that_was_put_out_of_use_is_not_what_customers_are_sent_to() {
    let (url, stripe, wanted) = selling().await;
    let id = stripe.ensure_portal(&wanted).await.unwrap();
    proxy::send(&url, &format!("{CONFIGURATIONS}/{id}"), "active=false");
    let id = stripe.ensure_portal(&wanted).await.unwrap();
    let found = proxy::get(&url, &format!("{CONFIGURATIONS}/{id}"));
    assert_eq!(
        (&found["active"], &found["features"]["subscription_update"]["enabled"]),
        (&json!(true), &json!(true))
    );
}
