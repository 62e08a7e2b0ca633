//! Lingua's numbers are promises to its users: they are pinned here.

use super::{allowed, features, plan, read, sold};
use crate::catalog::Catalog;

fn lingua() -> Catalog {
    read(include_str!("../../../../../infra/catalogs/lingua.toml"))
}

#[test]
fn two_plans_are_sold_by_the_month_and_the_third_has_to_be_asked_for() {
    let catalog = lingua();
    let expected = [
        "0 free: ",
        "1 premium: 9.99 usd a month, trial of 14 to 14 days",
        "2 plus: 19.99 usd a month, trial of 14 to 14 days",
        "3 enterprise: ask sales@lingua.example",
    ];
    assert_eq!(sold(&catalog), expected);
    assert_eq!(catalog.default_plan.as_str(), "free");
    let sold: Vec<_> = catalog.plan_items().map(|item| item.to_string()).collect();
    assert_eq!(sold, ["plan:plus:month", "plan:premium:month"]);
    assert!(catalog.packages.is_empty() && catalog.actions.is_empty());
}

#[test]
fn a_trial_is_as_long_as_asked_for_up_to_fourteen_days() {
    let trial = plan(&lingua(), "premium").trial.unwrap();
    assert_eq!([None, Some(7), Some(14), Some(90)].map(|days| trial.clamped(days)), [14, 7, 14, 14]);
}

#[test]
fn free_users_have_thirty_minutes_a_day_and_five_scenarios_a_week() {
    let catalog = lingua();
    assert_eq!(allowed(&catalog, "free"), "ai_minutes 30, scenarios 5");
    let counted = ["ai_minutes meter day", "scenarios meter week"];
    assert!(counted.iter().all(|feature| features(&catalog).contains(&feature.to_string())));
}

#[test]
fn each_paid_plan_has_all_of_the_one_before_it_and_more() {
    let catalog = lingua();
    assert_eq!(allowed(&catalog, "premium"), "ai_minutes unlimited, all_features, scenarios unlimited");
    assert_eq!(
        allowed(&catalog, "plus"),
        "ai_minutes unlimited, all_features, business_german, custom_ai, scenarios unlimited"
    );
    assert_eq!(
        allowed(&catalog, "enterprise"),
        "ai_minutes unlimited, all_features, business_german, custom_ai, scenarios unlimited, self_hosted, \
         white_label"
    );
}

#[test]
fn buyers_return_to_the_app_on_its_own_port() {
    let checkout = lingua().checkout;
    assert_eq!(checkout.return_origins, ["http://localhost:3000"]);
    let success = "http://localhost:3000/checkout/success?session_id={CHECKOUT_SESSION_ID}";
    assert_eq!(
        (checkout.success_url.as_str(), checkout.cancel_url.as_str()),
        (success, "http://localhost:3000/checkout/cancel")
    );
    assert!(checkout.allows("http://localhost:3000/dashboard"));
    assert!(checkout.payment_methods.is_empty(), "whatever the Stripe account offers");
}
