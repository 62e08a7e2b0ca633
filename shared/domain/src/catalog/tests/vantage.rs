//! Vantage's numbers are promises to its users: they are pinned here.

use super::{packages, read, sold};
use crate::catalog::{Catalog, Proration, When};

fn vantage() -> Catalog {
    read(include_str!("../../../../../infra/catalogs/vantage.toml"))
}

#[test]
fn packs_have_prices_of_their_own() {
    let expected =
        ["enterprise: 150 for 99.99 usd", "professional: 50 for 39.99 usd", "starter: 10 for 9.99 usd"];
    assert_eq!(packages(&vantage()), expected);
}

#[test]
fn plans_bring_their_tokens_with_each_paid_invoice() {
    let catalog = vantage();
    let expected = [
        "0 free: ",
        "1 monthly_basic: 19.99 usd a month, 25 tokens a billing",
        "2 monthly_pro: 59.99 usd a month, 100 tokens a billing",
    ];
    assert_eq!(sold(&catalog), expected);
    assert_eq!(catalog.default_plan.as_str(), "free");
    assert!(catalog.features.is_empty() && catalog.actions.is_empty());
}

#[test]
fn a_better_plan_is_had_and_paid_for_at_once() {
    let subscriptions = vantage().subscriptions;
    assert_eq!((subscriptions.upgrade.when, subscriptions.proration), (When::Now, Proration::AtOnce));
    assert!(!subscriptions.upgrade.tokens_wait);
}
