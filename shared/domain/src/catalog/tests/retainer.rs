//! Retainer's numbers are promises to its users: they are pinned here.

use super::{allowed, features, read, sold};
use crate::catalog::{Catalog, SubscriptionPolicy};
use crate::money::Currency;

fn retainer() -> Catalog {
    read(include_str!("../../../../../infra/catalogs/retainer.toml"))
}

#[test]
fn tiers_are_paid_by_the_week_and_tried_for_seven_to_fourteen_days() {
    let catalog = retainer();
    let expected = [
        "0 none: ",
        "1 basic: 150.00 usd a week, trial of 7 to 14 days",
        "2 premium: 250.00 usd a week, trial of 10 to 14 days",
        "3 enterprise: 500.00 usd a week, trial of 14 to 14 days",
    ];
    assert_eq!(sold(&catalog), expected);
    assert_eq!(catalog.default_plan.as_str(), "none");
    assert_eq!((catalog.product.id.as_str(), catalog.product.name.as_str()), ("retainer", "Retainer"));
    assert!(catalog.packages.is_empty() && catalog.actions.is_empty());
}

#[test]
fn each_tier_has_its_own_limits_and_features() {
    let catalog = retainer();
    assert_eq!(allowed(&catalog, "none"), "");
    assert_eq!(allowed(&catalog, "basic"), "projects 1, requests 25, team_members 1, telegram_updates");
    assert_eq!(
        allowed(&catalog, "premium"),
        "api_access, projects 5, requests 100, team_members 5, telegram_updates, weekly_report"
    );
    assert_eq!(
        allowed(&catalog, "enterprise"),
        "account_manager, api_access, priority_queue, projects unlimited, requests 500, team_members unlimited, \
         telegram_updates, weekly_report"
    );
    let counted = ["projects gauge", "requests meter week", "team_members gauge"];
    assert!(counted.iter().all(|feature| features(&catalog).contains(&feature.to_string())));
}

#[test]
fn buyers_pay_by_card_or_bank_debit_and_are_asked_where_they_live_and_taxed() {
    let checkout = retainer().checkout;
    assert_eq!(checkout.payment_methods, ["card", "us_bank_account", "sepa_debit"]);
    assert!(checkout.automatic_tax && checkout.collect_address && !checkout.promotion_codes);
}

#[test]
fn a_price_in_dollars_is_not_paid_by_sepa_nor_one_in_euros_by_ach() {
    let checkout = retainer().checkout;
    let methods = |currency| checkout.payment_methods_in(Currency::parse(currency).unwrap());
    assert_eq!(methods("usd"), ["card", "us_bank_account"]);
    assert_eq!(methods("eur"), ["card", "sepa_debit"]);
}

#[test]
fn its_subscriptions_change_as_all_do_whose_catalog_says_nothing() {
    assert_eq!(retainer().subscriptions, SubscriptionPolicy::default());
}
