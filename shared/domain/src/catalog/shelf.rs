//! Catalogs as they were published, and those that decide about one account.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Allowance, Catalog};
use crate::ids::{PlanId, PriceId};
use crate::item::{Interval, Item, Sold};
use crate::money::{Currency, Tokens};
use crate::subscription::Terms;

/// One version of the catalog, ready to sell from. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub version: u32,
    pub catalog: Catalog,
    /// The Stripe price of everything that is sold, by [`Sold`]'s text.
    pub prices: BTreeMap<String, PriceId>,
    /// Stripe's id of what its portal offers. `None` in versions that were published without: Stripe's own then.
    pub portal: Option<String>,
}

/// What a plan's price stands for, by the catalog version that defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSold {
    pub catalog: u32,
    pub plan: PlanId,
    pub interval: Interval,
    pub currency: Currency,
    pub group: String,
    /// One seat's.
    pub allowance: Option<Allowance>,
    pub terms: Terms,
}

/// The catalog that is sold from now, and those that an account's subscriptions were bought under.
#[derive(Debug, Clone)]
pub struct Shelf {
    current: Arc<Published>,
    pinned: Vec<Arc<Published>>,
}

impl Published {
    pub fn price(&self, sold: &Sold) -> Option<&PriceId> {
        self.prices.get(&sold.to_string())
    }

    /// What a price sells in this version, if that is a plan.
    pub fn plan_sold_as(&self, price: &PriceId) -> Option<PlanSold> {
        let (text, _) = self.prices.iter().find(|(_, known)| *known == price)?;
        let Sold { item: Item::Plan { id, interval }, currency } = text.parse().ok()? else { return None };
        let plan = self.catalog.plans.get(&id)?;
        let (group, allowance) = (plan.group.clone(), plan.tokens);
        let policy = &self.catalog.subscriptions;
        let terms = Terms {
            access: policy.access,
            trial_tokens: plan.trial.map_or(Tokens::ZERO, |trial| trial.tokens),
            tokens_wait: policy.upgrade.tokens_wait,
        };
        Some(PlanSold { catalog: self.version, plan: id, interval, currency, group, allowance, terms })
    }
}

impl Shelf {
    pub fn new(current: Arc<Published>, pinned: Vec<Arc<Published>>) -> Shelf {
        Shelf { current, pinned }
    }

    /// The same with one more.
    pub fn with(mut self, published: Option<Arc<Published>>) -> Shelf {
        self.pinned.extend(published);
        self
    }

    pub fn current(&self) -> &Catalog {
        &self.current.catalog
    }

    pub fn version(&self, version: u32) -> Option<&Catalog> {
        let known = std::iter::once(&self.current).chain(&self.pinned);
        known.into_iter().find(|published| published.version == version).map(|published| &published.catalog)
    }
}
