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
    let listed = plans.len().min(PortalChanges::MOST_PLANS);
    if let Some(left_out) = left_out(&plans[listed..]) {
        warnings.push(format!("Stripe's portal changes to {listed} plans at most: not to {left_out}"));
    }
    let plans = plans[..listed].iter().map(|(id, plan)| portal_plan(stack, catalog, prices, id, plan));
    let plans: Vec<_> = plans.collect::<Result<_, _>>()?;
    let changes = PortalChanges { plans, proration: policy.proration, downgrade: policy.downgrade.when };
    let configuration = PortalConfiguration {
        catalog: catalog.product.id.clone(),
        headline: catalog.product.name.clone(),
        return_url: catalog.checkout.home(),
        changes: Some(changes).filter(|changes| !changes.plans.is_empty()),
    };
    Ok(Offer { configuration, warnings })
}

fn left_out(plans: &[(&PlanId, &Plan)]) -> Option<String> {
    let ids: Vec<_> = plans.iter().map(|(id, _)| format!("`{id}`")).collect();
    Some(ids.join(", ")).filter(|ids| !ids.is_empty())
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
