//! Companion's numbers are promises to its users: they are pinned here.

use super::{allowed, features, packages, plan, read, sold};
use crate::catalog::{Catalog, Cost};
use crate::ids::{ActionId, PackageId};
use crate::money::Tokens;

const COMPANION: &str = include_str!("../../../../../infra/catalogs/companion.toml");

fn companion() -> Catalog {
    read(COMPANION)
}

fn tokens(count: u64) -> Tokens {
    Tokens::new(count).unwrap()
}

#[test]
fn the_product_sells_in_euros_and_names_its_support() {
    let product = companion().product;
    assert_eq!((product.id.as_str(), product.name.as_str()), ("companion", "Companion"));
    assert_eq!(product.currency.as_str(), "eur");
    assert_eq!(product.support.as_deref(), Some("support@dreamaigirl.com"));
}

#[test]
fn packages_hold_and_cost_what_was_announced() {
    let expected = [
        "large: 600 + 100 for 19.99 eur",
        "medium: 250 + 25 for 9.99 eur",
        "mega: 1500 + 300 for 39.99 eur",
        "small: 100 for 4.99 eur",
    ];
    assert_eq!(packages(&companion()), expected);
}

#[test]
fn actions_cost_what_was_announced_and_only_video_needs_a_plan() {
    let actions: Vec<_> = companion()
        .actions
        .into_iter()
        .map(|(id, action)| (id.to_string(), action.cost, action.requires.map(|id| id.to_string())))
        .collect();
    let expected = [
        ("photo", Cost::Fixed(tokens(5)), None),
        ("skip_level", Cost::Range { min: tokens(10), max: tokens(50) }, None),
        ("unlock_premium_scenario", Cost::Fixed(tokens(20)), None),
        ("video", Cost::Fixed(tokens(15)), Some("video_generation".to_owned())),
    ];
    assert_eq!(actions, expected.map(|(id, cost, requires)| (id.into(), cost, requires)));
}

#[test]
fn plans_cost_what_was_announced_and_bring_their_tokens() {
    let catalog = companion();
    let expected = [
        "0 free: ",
        "1 premium: 9.99 eur a month, 500 tokens a week",
        "2 elite: 19.99 eur a month, unlimited tokens",
    ];
    assert_eq!(sold(&catalog), expected);
    assert_eq!(catalog.default_plan.as_str(), "free");
}

#[test]
fn each_plan_allows_what_was_announced() {
    let catalog = companion();
    assert_eq!(allowed(&catalog, "free"), "active_companions 1, messages 50");
    assert_eq!(
        allowed(&catalog, "premium"),
        "active_companions 3, hd_photos, in_app_support, messages unlimited, no_ads, priority_generation, \
         voice_messages"
    );
    assert_eq!(
        allowed(&catalog, "elite"),
        "active_companions unlimited, beta_features, custom_companion, elite_badge, hd_photos, in_app_support, \
         messages unlimited, no_ads, priority_generation, priority_support, video_generation, voice_messages"
    );
}

#[test]
fn messages_are_counted_by_the_day_and_companions_by_the_app() {
    let features = features(&companion());
    let counted: Vec<_> = features.iter().filter(|feature| !feature.ends_with(" flag")).collect();
    assert_eq!(counted, ["active_companions gauge", "messages meter day"]);
}

#[test]
fn plans_speak_english_and_french() {
    let catalog = companion();
    for (id, name, description, french_name, french_description) in [
        ("free", "Free", "Meet your first companion", "Gratuit", "Rencontrez votre premier compagnon"),
        ("premium", "Premium", "Premium tier subscription", "Premium", "Abonnement Premium"),
        ("elite", "Elite", "Elite tier subscription", "Élite", "Abonnement Élite"),
    ] {
        let plan = plan(&catalog, id);
        let french = &plan.texts["fr"];
        assert_eq!((plan.name.as_str(), plan.description.as_deref()), (name, Some(description)));
        assert_eq!(french.name.as_deref(), Some(french_name));
        assert_eq!(french.description.as_deref(), Some(french_description));
    }
}

#[test]
fn a_shortfall_is_covered_by_the_cheapest_package_first() {
    let catalog = companion();
    let covering = |shortfall| {
        let ids = catalog.packages_covering(tokens(shortfall));
        ids.into_iter().map(PackageId::as_str).collect::<Vec<_>>()
    };
    assert_eq!(covering(0), ["small", "medium", "large", "mega"]);
    assert_eq!(covering(100), ["small", "medium", "large", "mega"]);
    assert_eq!(covering(101), ["medium", "large", "mega"]);
    assert_eq!(covering(275), ["medium", "large", "mega"], "the bonus counts");
    assert_eq!(covering(1800), ["mega"]);
    assert_eq!(covering(1801), [] as [&str; 0]);
}

#[test]
fn buyers_return_to_listed_origins_only() {
    let checkout = companion().checkout;
    for url in [&checkout.success_url, &checkout.cancel_url, "http://localhost:3000/any?page#here"] {
        assert!(checkout.allows(url), "{url}");
    }
    for url in [
        "https://app.dreamaigirl.com.evil.example/",
        "https://app.dreamaigirl.com@evil.example/",
        "https://app.dreamaigirl.com:444/",
        "http://app.dreamaigirl.com/",
        "http://localhost:3001/",
        "//app.dreamaigirl.com/",
        "https://dreamaigirl.com/",
        "",
    ] {
        assert!(!checkout.allows(url), "{url}");
    }
}

#[test]
fn without_video_generation_a_free_user_still_buys_photos() {
    let catalog = companion();
    let free = plan(&catalog, catalog.default_plan.as_str());
    let may = |action: &str| {
        let requires = &catalog.actions[&ActionId::parse(action).unwrap()].requires;
        requires.as_ref().is_none_or(|feature| !free.features[feature].is_nothing())
    };
    assert!(may("photo") && may("skip_level") && may("unlock_premium_scenario"));
    assert!(!may("video"));
}
