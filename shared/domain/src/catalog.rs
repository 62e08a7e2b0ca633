//! The catalog: what one product sells, allows and costs. Read from TOML, checked as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ActionId, FeatureId, PackageId, PlanId};
use crate::item::{Interval, Item};
use crate::money::{Currency, Money, Tokens};

mod amounts;
mod checkout;
mod had;
mod methods;
mod mistakes;
mod origin;
mod plans;
mod policy;
mod read;
mod shelf;
mod subscriptions;
mod suggest;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;
mod usage;

pub use mistakes::{Mistake, Mistakes};
pub use policy::{Downgrade, Proration, SecondPaid, SubscriptionPolicy, Trial, Upgrade, When};
pub use shelf::{PlanSold, Published, Shelf};

/// One product's catalog. A value of this type is complete and consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    pub product: Product,
    pub checkout: CheckoutPolicy,
    pub subscriptions: SubscriptionPolicy,
    pub features: BTreeMap<FeatureId, Feature>,
    pub actions: BTreeMap<ActionId, Action>,
    pub plans: BTreeMap<PlanId, Plan>,
    pub packages: BTreeMap<PackageId, Package>,
    /// What a user without a subscription is on.
    pub default_plan: PlanId,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub id: String,
    pub name: String,
    pub currency: Currency,
    pub support: Option<String>,
}

/// Where a buyer comes from and goes back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutPolicy {
    /// Origins such as `https://app.example` that a return URL may have, in lower case.
    pub return_origins: Vec<String>,
    pub success_url: String,
    pub cancel_url: String,
    /// Stripe's words for them, such as `sepa_debit`. None are those that the Stripe account offers.
    pub payment_methods: Vec<String>,
    /// Whether buyers are asked for their address, and tax is added to prices by it.
    pub automatic_tax: bool,
    /// Whether buyers are asked for their address.
    pub collect_address: bool,
    /// Whether buyers may type in a code.
    pub promotion_codes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    pub name: String,
    pub kind: FeatureKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureKind {
    /// On or off.
    Flag,
    /// How many at a time; the app counts them.
    Gauge,
    /// How many per window; Tollgate counts them.
    Meter(Window),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    Day,
    Week,
    Month,
    Billing,
}

/// Something that costs tokens each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    pub name: String,
    pub cost: Cost,
    /// The feature a plan must have for it.
    pub requires: Option<FeatureId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    Fixed(Tokens),
    /// The caller says how many, within these bounds.
    Range {
        min: Tokens,
        max: Tokens,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub name: String,
    pub description: Option<String>,
    /// Names and descriptions by language: `fr` → ….
    pub texts: BTreeMap<String, Text>,
    /// A higher level is a better plan.
    pub level: u32,
    /// Of one group a user has one subscription.
    pub group: String,
    pub prices: Vec<PlanPrice>,
    /// Every feature of the catalog, with what this plan allows of it.
    pub features: BTreeMap<FeatureId, Allows>,
    pub tokens: Option<Allowance>,
    pub on_refund: OnRefund,
    pub trial: Option<Trial>,
    /// How many seats may be had of it, where it is sold by the seat: price and tokens are each one's.
    pub seats: Option<u32>,
    /// Whom to ask for a plan that is not sold here: a mail or web address.
    pub contact: Option<String>,
}

/// What becomes of a subscription when its latest invoice is refunded in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRefund {
    /// It ends at once: what is not paid for is not had.
    #[default]
    Cancel,
    /// It goes on, and renews.
    Keep,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub name: Option<String>,
    pub description: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanPrice {
    pub interval: Interval,
    pub price: Money,
}

/// What a plan allows of a feature, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allows {
    Flag(bool),
    AtMost(u64),
    Unlimited,
}

/// Tokens that come with a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowance {
    Unlimited,
    Tokens {
        count: Tokens,
        every: Window,
        /// How many unused ones stay beyond the slot, until they are spent or the subscription ends.
        #[serde(default, skip_serializing_if = "Tokens::is_zero")]
        rollover: Tokens,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub tokens: Tokens,
    pub bonus: Tokens,
    pub price: Money,
}

impl Catalog {
    /// Reads a catalog, or names every mistake in it with its line and what to write instead.
    pub fn parse(text: &str) -> Result<Catalog, Mistakes> {
        read::catalog(text)
    }

    /// Every plan that can be subscribed to, by each of its intervals.
    pub fn plan_items(&self) -> impl Iterator<Item = Item> + '_ {
        self.plans.iter().flat_map(|(id, plan)| {
            plan.prices.iter().map(|price| Item::Plan { id: id.clone(), interval: price.interval })
        })
    }

    /// The packages that cover a shortfall, cheapest first.
    pub fn packages_covering(&self, shortfall: Tokens) -> Vec<&PackageId> {
        let mut covering: Vec<_> = self
            .packages
            .iter()
            .filter(|(_, package)| {
                package.tokens.checked_add(package.bonus).is_some_and(|sum| sum >= shortfall)
            })
            .collect();
        covering.sort_by_key(|(id, package)| (package.price.amount_minor, *id));
        covering.into_iter().map(|(id, _)| id).collect()
    }
}

impl CheckoutPolicy {
    /// An origin as it is compared, or what is wrong with it and how to mend it.
    pub fn origin(text: &str) -> Result<String, String> {
        match origin::split(text) {
            Ok((origin, "" | "/")) => Ok(origin),
            Ok(_) => Err(format!("{text:?} has a path; write only its origin, such as https://app.example")),
            Err(bad) => Err(format!("{text:?} {}; {}", bad.problem, bad.fix)),
        }
    }

    /// The front page of the app that buyers end up in.
    pub fn home(&self) -> String {
        match origin::split(&self.success_url) {
            Ok((origin, _)) => format!("{origin}/"),
            Err(_) => self.success_url.clone(),
        }
    }

    /// Whether a buyer may be sent to this URL: its origin must be one of the listed.
    pub fn allows(&self, url: &str) -> bool {
        origin::split(url).is_ok_and(|(origin, _)| self.return_origins.contains(&origin))
    }
}

impl Allowance {
    /// The other, where both come with invoices and it brings more.
    pub fn or_more(self, other: Allowance) -> Allowance {
        match (self, other) {
            (
                Allowance::Tokens { count, every: Window::Billing, .. },
                Allowance::Tokens { count: others, every: Window::Billing, .. },
            ) if others > count => other,
            _ => self,
        }
    }

    /// What so many seats bring.
    pub fn times(self, seats: u32) -> Allowance {
        match self {
            Allowance::Unlimited => Allowance::Unlimited,
            Allowance::Tokens { count, every, rollover } => {
                let of_all = |tokens: Tokens| tokens.saturating_mul(u64::from(seats));
                Allowance::Tokens { count: of_all(count), every, rollover: of_all(rollover) }
            }
        }
    }
}

impl Window {
    pub const ALL: [Window; 4] = [Window::Day, Window::Week, Window::Month, Window::Billing];

    pub const fn name(self) -> &'static str {
        match self {
            Window::Day => "day",
            Window::Week => "week",
            Window::Month => "month",
            Window::Billing => "billing",
        }
    }
}

impl FeatureKind {
    pub const fn name(self) -> &'static str {
        match self {
            FeatureKind::Flag => "flag",
            FeatureKind::Gauge => "gauge",
            FeatureKind::Meter(_) => "meter",
        }
    }

    /// What a plan that does not name the feature allows of it.
    pub const fn nothing(self) -> Allows {
        match self {
            FeatureKind::Flag => Allows::Flag(false),
            FeatureKind::Gauge | FeatureKind::Meter(_) => Allows::AtMost(0),
        }
    }
}

impl Allows {
    pub const fn is_nothing(self) -> bool {
        matches!(self, Allows::Flag(false) | Allows::AtMost(0))
    }
}
