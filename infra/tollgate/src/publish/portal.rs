//! What Stripe's portal offers of a catalog.

use std::collections::BTreeMap;

use domain::catalog::{Catalog, Plan, PlanPrice, When};
use domain::ids::{PlanId, PriceId};
use domain::item::{Item, Sold};
use stripe_api::{BadProductId, PortalChanges, PortalConfiguration, PortalPlan};

use super::{plan_listing, product_id};

pub(super) struct Offer {
    pub configuration: PortalConfiguration,
    /// What the portal should offer by the catalog, and cannot.
    pub warnings: Vec<String>,
}

/// `prices` are all of the catalog's, as they stand in Stripe.
pub(super) fn offer(
    stack: &str,
    catalog: &Catalog,
    prices: &BTreeMap<String, PriceId>,
) -> Result<Offer, BadProductId> {
    let mut plans: Vec<_> = catalog.plans.iter().filter(|(_, plan)| !plan.prices.is_empty()).collect();
    plans.sort_by_key(|(_, plan)| plan.level);
    let policy = &catalog.subscriptions;
    let mut warnings = Vec::new();
    // There every change is made at once, or waits for being one to less.
    let upgrades_wait = policy.upgrade.when == When::PeriodEnd;
    if upgrades_wait && !plans.is_empty() {
        let why = "upgrades wait for the period's end, which Stripe's portal cannot do: it changes no plans";
        warnings.push(why.to_owned());
        plans.clear();
    }
    let left_out = plans.split_off(plans.len().min(PortalChanges::MOST_PLANS));
    if !left_out.is_empty() {
        warnings.push(no_room_for(&left_out));
    }
    // One word for all plans: where any is not for trying, no trial may be taken to it.
    let keeps_trials = plans.iter().all(|(_, plan)| plan.trial.is_some());
    let plans = plans.iter().map(|(id, plan)| portal_plan(stack, catalog, prices, id, plan));
    let plans: Vec<_> = plans.collect::<Result<_, _>>()?;
    let (proration, downgrade) = (policy.proration, policy.downgrade.when);
    let changes = PortalChanges { plans, proration, downgrade, keeps_trials };
    let configuration = PortalConfiguration {
        catalog: catalog.product.id.clone(),
        headline: catalog.product.name.clone(),
        return_url: catalog.checkout.home(),
        changes: Some(changes).filter(|changes| !changes.plans.is_empty()),
    };
    Ok(Offer { configuration, warnings })
}

fn no_room_for(plans: &[(&PlanId, &Plan)]) -> String {
    let ids: Vec<_> = plans.iter().map(|(id, _)| format!("`{id}`")).collect();
    format!(
        "Stripe's portal changes to {} plans at most: not to {}",
        PortalChanges::MOST_PLANS,
        ids.join(", ")
    )
}

fn portal_plan(
    stack: &str,
    catalog: &Catalog,
    prices: &BTreeMap<String, PriceId>,
    id: &PlanId,
    plan: &Plan,
) -> Result<PortalPlan, BadProductId> {
    let sold = |price: &PlanPrice| {
        let item = Item::Plan { id: id.clone(), interval: price.interval };
        prices.get(&Sold { item, currency: price.price.currency }.to_string()).cloned()
    };
    Ok(PortalPlan {
        product: product_id(stack, catalog, &plan_listing(id))?,
        prices: plan.prices.iter().filter_map(sold).collect(),
        seats: plan.seats,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGUA: &str = include_str!("../../../catalogs/lingua.toml");

    /// Lingua with other words in it.
    fn offer_of(old: &str, new: &str) -> Offer {
        let text = LINGUA.replacen(old, new, 1);
        let catalog = Catalog::parse(&text).unwrap();
        let prices = catalog.plan_items().map(|item| {
            let sold = Sold { item, currency: catalog.product.currency }.to_string();
            let price = PriceId::parse(format!("price_{}", sold.replace(':', "_"))).unwrap();
            (sold, price)
        });
        offer("live", &catalog, &prices.collect()).unwrap()
    }

    fn changes(offer: &Offer) -> &PortalChanges {
        offer.configuration.changes.as_ref().expect("plans are changed there")
    }

    fn products(offer: &Offer) -> Vec<&str> {
        changes(offer).plans.iter().map(|plan| plan.product.as_str()).collect()
    }

    #[test]
    fn every_plan_that_is_sold_is_offered_on_the_catalogs_terms() {
        let with_years =
            "prices = [{ interval = \"month\", price = \"9.99\" }, { interval = \"year\", price = \"99\" }]";
        let offer = offer_of("prices = [{ interval = \"month\", price = \"9.99\" }]", with_years);
        let lingua = &offer.configuration;
        assert_eq!((lingua.catalog.as_str(), lingua.headline.as_str()), ("lingua", "Lingua"));
        assert_eq!(lingua.return_url, "http://localhost:3000/");
        assert_eq!(products(&offer), ["live-lingua-plan-premium", "live-lingua-plan-plus"]);
        let prices: Vec<_> = changes(&offer).plans[0].prices.iter().map(PriceId::as_str).collect();
        assert_eq!(prices, ["price_plan_premium_month_usd", "price_plan_premium_year_usd"]);
        assert_eq!(changes(&offer).downgrade, When::PeriodEnd);
        assert!(offer.warnings.is_empty(), "{:?}", offer.warnings);
    }

    #[test]
    fn of_more_plans_than_there_is_room_for_the_lowest_are_offered_and_the_others_named() {
        let more: String = (0..9)
            .map(|number| {
                let level = 20 - number;
                format!(
                    "[plans.more{number}]\nname = \"More\"\nlevel = {level}\n\
                     prices = [{{ interval = \"month\", price = \"50\" }}]\n"
                )
            })
            .collect();
        let offer = offer_of("[plans.plus]\n", &format!("{more}[plans.plus]\n"));
        let offered = products(&offer);
        assert_eq!(offered.len(), PortalChanges::MOST_PLANS);
        assert_eq!((offered[0], offered[2]), ("live-lingua-plan-premium", "live-lingua-plan-more8"));
        assert!(!offered.contains(&"live-lingua-plan-more0"));
        assert_eq!(offer.warnings, ["Stripe's portal changes to 10 plans at most: not to `more0`"]);
    }

    #[test]
    fn a_trial_goes_on_in_the_portal_where_every_plan_can_be_tried() {
        assert!(changes(&offer_of("", "")).keeps_trials);
        assert!(!changes(&offer_of("trial = { days = 14 }\n", "")).keeps_trials);
    }

    #[test]
    fn where_upgrades_wait_no_plan_is_changed_in_the_portal() {
        let waiting = "[subscriptions]\nupgrade = \"period_end\"\n\n[features.ai_minutes]\n";
        let offer = offer_of("[features.ai_minutes]\n", waiting);
        assert_eq!(offer.configuration.changes, None);
        assert!(
            matches!(&offer.warnings[..], [why] if why.contains("upgrades wait")),
            "{:?}",
            offer.warnings
        );
    }
}
