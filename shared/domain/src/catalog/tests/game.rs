//! Game's numbers are promises to its players: they are pinned here.

use super::{allowed, features, read, sold};
use crate::catalog::Catalog;

fn game() -> Catalog {
    read(include_str!("../../../../../infra/catalogs/game.toml"))
}

#[test]
fn three_tiers_have_one_price_each() {
    let catalog = game();
    let expected =
        ["0 free: ", "1 basic: 4.99 usd a month", "2 premium: 9.99 usd a month", "3 vip: 19.99 usd a month"];
    assert_eq!(sold(&catalog), expected);
    assert_eq!(catalog.default_plan.as_str(), "free");
}

#[test]
fn each_tier_has_limits_and_the_free_one_has_the_lowest() {
    let catalog = game();
    assert_eq!(allowed(&catalog, "free"), "characters 1, matches 5");
    assert_eq!(allowed(&catalog, "basic"), "characters 3, matches 25");
    assert_eq!(allowed(&catalog, "premium"), "characters 10, matches 100, ranked_matches");
    assert_eq!(
        allowed(&catalog, "vip"),
        "characters unlimited, matches unlimited, ranked_matches, tournaments"
    );
    assert_eq!(
        features(&catalog),
        ["characters gauge", "matches meter day", "ranked_matches flag", "tournaments flag"]
    );
}

#[test]
fn players_pay_by_card_may_type_a_code_in_and_return_to_the_game() {
    let checkout = game().checkout;
    assert_eq!(checkout.payment_methods, ["card"]);
    assert!(checkout.promotion_codes && !checkout.automatic_tax && !checkout.collect_address);
    assert_eq!(checkout.success_url, "https://game.com/success?session_id={CHECKOUT_SESSION_ID}");
    assert_eq!(checkout.cancel_url, "https://game.com/cancel");
}
