//! Companion's numbers are promises to its users: they are pinned here.

use super::COMPANION;
use crate::catalog::{Allowance, Allows, Catalog, Cost, FeatureKind, Window};
use crate::ids::{ActionId, FeatureId, PackageId, PlanId};
use crate::item::Interval;
use crate::money::Tokens;

fn companion() -> Catalog {
    Catalog::parse(COMPANION).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn tokens(count: u64) -> Tokens {
    Tokens::new(count).unwrap()
}

/// What a plan allows, without what it does not.
fn allowed(catalog: &Catalog, plan: &str) -> Vec<(String, Allows)> {
    let features = &catalog.plans[&PlanId::parse(plan).unwrap()].features;
    assert_eq!(features.keys().collect::<Vec<_>>(), catalog.features.keys().collect::<Vec<_>>());
    let some = features.iter().filter(|(_, allows)| !allows.is_nothing());
    some.map(|(id, allows)| (id.to_string(), *allows)).collect()
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
    let packages: Vec<_> = companion()
        .packages
        .into_iter()
        .map(|(id, package)| {
            let price = format!("{} {}", package.price.decimal(), package.price.currency);
            (id.to_string(), package.tokens.get(), package.bonus.get(), price)
        })
        .collect();
    let expected = [
        ("large", 600, 100, "19.99 eur"),
        ("medium", 250, 25, "9.99 eur"),
        ("mega", 1500, 300, "39.99 eur"),
        ("small", 100, 0, "4.99 eur"),
    ];
    assert_eq!(packages, expected.map(|(id, tokens, bonus, price)| (id.into(), tokens, bonus, price.into())));
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
    let weekly = Allowance::Tokens { count: tokens(500), every: Window::Week, rollover: Tokens::ZERO };
    let expected = [
        ("free", 0, vec![], None),
        ("premium", 1, vec![(Interval::Month, 999)], Some(weekly)),
        ("elite", 2, vec![(Interval::Month, 1999)], Some(Allowance::Unlimited)),
    ];
    assert_eq!(catalog.default_plan.as_str(), "free");
    assert_eq!(catalog.plans.len(), expected.len());
    for (id, level, prices, tokens) in expected {
        let plan = &catalog.plans[&PlanId::parse(id).unwrap()];
        let read: Vec<_> =
            plan.prices.iter().map(|price| (price.interval, price.price.amount_minor)).collect();
        assert_eq!((plan.level, read, plan.tokens), (level, prices, tokens), "{id}");
        assert!(plan.prices.iter().all(|price| price.price.currency == catalog.product.currency), "{id}");
        assert_eq!(plan.group, "main", "{id}");
    }
}

#[test]
fn each_plan_allows_what_was_announced() {
    let catalog = companion();
    let on = |names: &[&str]| -> Vec<(String, Allows)> {
        names.iter().map(|name| (name.to_string(), Allows::Flag(true))).collect()
    };
    let premium = ["hd_photos", "in_app_support", "no_ads", "priority_generation", "voice_messages"];
    let elite = ["beta_features", "custom_companion", "elite_badge", "priority_support", "video_generation"];
    let with = |companions, messages, flags: Vec<&str>| {
        let mut all = on(&flags);
        all.extend([("active_companions".into(), companions), ("messages".into(), messages)]);
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    };
    let unlimited = Allows::Unlimited;
    assert_eq!(allowed(&catalog, "free"), with(Allows::AtMost(1), Allows::AtMost(50), vec![]));
    assert_eq!(allowed(&catalog, "premium"), with(Allows::AtMost(3), unlimited, premium.to_vec()));
    assert_eq!(allowed(&catalog, "elite"), with(unlimited, unlimited, [premium, elite].concat()));
}

#[test]
fn messages_are_counted_by_the_day_and_companions_by_the_app() {
    let features = companion().features;
    assert_eq!(features[&FeatureId::parse("messages").unwrap()].kind, FeatureKind::Meter(Window::Day));
    assert_eq!(features[&FeatureId::parse("active_companions").unwrap()].kind, FeatureKind::Gauge);
}

#[test]
fn plans_speak_english_and_french() {
    let catalog = companion();
    for (id, name, description, french_name, french_description) in [
        ("free", "Free", "Meet your first companion", "Gratuit", "Rencontrez votre premier compagnon"),
        ("premium", "Premium", "Premium tier subscription", "Premium", "Abonnement Premium"),
        ("elite", "Elite", "Elite tier subscription", "Élite", "Abonnement Élite"),
    ] {
        let plan = &catalog.plans[&PlanId::parse(id).unwrap()];
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
    let free = &catalog.plans[&catalog.default_plan];
    let may = |action: &str| {
        let requires = &catalog.actions[&ActionId::parse(action).unwrap()].requires;
        requires.as_ref().is_none_or(|feature| !free.features[feature].is_nothing())
    };
    assert!(may("photo") && may("skip_level") && may("unlock_premium_scenario"));
    assert!(!may("video"));
}
