//! What there is to buy.

use std::collections::BTreeMap;

use serde::Serialize;

use super::account::FeatureView;
use crate::catalog::{Allowance, Allows, Catalog, Feature, FeatureKind, Package, Plan, PlanPrice, Text};
use crate::ids::{FeatureId, PackageId, PlanId};
use crate::money::Money;
use crate::time::Time;

/// `GET /v1/plans`, worst first.
#[derive(Debug, Serialize)]
pub struct PlanView<'a> {
    id: &'a PlanId,
    name: &'a str,
    description: Option<&'a str>,
    texts: BTreeMap<&'a str, TextView<'a>>,
    level: u32,
    group: &'a str,
    default: bool,
    prices: Vec<PlanPriceView>,
    features: BTreeMap<&'a FeatureId, PlanFeature>,
    tokens: Option<AllowanceView>,
    trial: Option<TrialView>,
    /// How many may be bought at once, each for the price.
    seats: Option<u32>,
    /// Whom to ask for what has no price.
    contact: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct TextView<'a> {
    name: Option<&'a str>,
    description: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct PlanPriceView {
    interval: &'static str,
    #[serde(flatten)]
    price: Money,
}

#[derive(Debug, Serialize)]
struct PlanFeature {
    kind: &'static str,
    allowed: bool,
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unlimited: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct TrialView {
    days: u32,
    most_days: u32,
}

#[derive(Debug, Serialize)]
struct AllowanceView {
    count: Option<u64>,
    every: Option<&'static str>,
    /// How many unused ones may stay.
    rollover: Option<u64>,
    unlimited: bool,
}

pub fn plans(catalog: &Catalog) -> Vec<PlanView<'_>> {
    let mut plans: Vec<_> = catalog.plans.iter().collect();
    plans.sort_by_key(|(id, plan)| (plan.level, *id));
    plans.into_iter().map(|(id, plan)| plan_view(id, plan, catalog)).collect()
}

fn plan_view<'a>(id: &'a PlanId, plan: &'a Plan, catalog: &'a Catalog) -> PlanView<'a> {
    let text =
        |text: &'a Text| TextView { name: text.name.as_deref(), description: text.description.as_deref() };
    let price = |price: &PlanPrice| PlanPriceView { interval: price.interval.name(), price: price.price };
    let features = plan
        .features
        .iter()
        .filter_map(|(id, allows)| Some((id, PlanFeature::new(catalog.features.get(id)?, *allows))));
    PlanView {
        id,
        name: &plan.name,
        description: plan.description.as_deref(),
        texts: plan.texts.iter().map(|(language, words)| (language.as_str(), text(words))).collect(),
        level: plan.level,
        group: &plan.group,
        default: *id == catalog.default_plan,
        prices: plan.prices.iter().map(price).collect(),
        features: features.collect(),
        tokens: plan.tokens.map(AllowanceView::from),
        trial: plan.trial.map(|trial| TrialView { days: trial.days, most_days: trial.most_days }),
        seats: plan.seats,
        contact: plan.contact.as_deref(),
    }
}

impl From<Allowance> for AllowanceView {
    fn from(allowance: Allowance) -> AllowanceView {
        match allowance {
            Allowance::Unlimited => {
                AllowanceView { count: None, every: None, rollover: None, unlimited: true }
            }
            Allowance::Tokens { count, every, rollover } => AllowanceView {
                count: Some(count.get()),
                every: Some(every.name()),
                rollover: Some(rollover.get()),
                unlimited: false,
            },
        }
    }
}

impl PlanFeature {
    fn new(feature: &Feature, allows: Allows) -> PlanFeature {
        let whole = FeatureView::new(feature, allows, Time::from_millis(0), None);
        let window = match feature.kind {
            FeatureKind::Meter(window) => Some(window.name()),
            FeatureKind::Flag | FeatureKind::Gauge => None,
        };
        PlanFeature {
            kind: whole.kind,
            allowed: whole.allowed,
            limit: whole.limit,
            unlimited: whole.unlimited,
            window,
        }
    }
}

/// `GET /v1/packages`, cheapest first.
#[derive(Debug, Serialize)]
pub struct PackageView<'a> {
    id: &'a PackageId,
    name: &'a str,
    tokens: u64,
    bonus: u64,
    price: Money,
}

pub fn packages(catalog: &Catalog) -> Vec<PackageView<'_>> {
    let mut packages: Vec<_> = catalog.packages.iter().collect();
    packages.sort_by_key(|(id, package)| (package.price.amount_minor, *id));
    packages.into_iter().map(|(id, package)| PackageView::new(id, package)).collect()
}

impl<'a> PackageView<'a> {
    pub fn new(id: &'a PackageId, package: &'a Package) -> PackageView<'a> {
        PackageView {
            id,
            name: &package.name,
            tokens: package.tokens.get(),
            bonus: package.bonus.get(),
            price: package.price,
        }
    }
}
