//! What a subscriber may ask of a subscription: another plan or more of it, its end, or that it goes on.

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::catalog::{Catalog, Plan, Proration, SubscriptionPolicy, When};
use crate::decide::Refusal;
use crate::ids::{PlanId, PriceId, SubscriptionId};
use crate::item::{Interval, Item};
use crate::subscription::{Scheduled, Seen, Status};
use crate::time::Time;

/// Everything that Stripe is asked to do with a subscription, fixed before it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alteration {
    pub subscription: SubscriptionId,
    #[serde(flatten)]
    pub deed: Deed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    Change(PlanChange),
    Cancel {
        when: When,
    },
    /// Takes back a cancellation and a change that are still to come, and ends a pause.
    Resume,
}

/// Another plan, another interval or another number of seats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanChange {
    pub to: Wanted,
    pub price: PriceId,
    /// The version that sells it.
    pub catalog: u32,
    pub when: When,
    pub proration: Proration,
    /// The moment that what is unused and what is due is counted from, so that a preview and the change agree.
    pub counted_from: Time,
}

/// What a subscription is to be of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub plan: PlanId,
    pub interval: Interval,
    pub quantity: u32,
}

impl Wanted {
    pub fn item(&self) -> Item {
        Item::Plan { id: self.plan.clone(), interval: self.interval }
    }

    pub fn is_of(&self, seen: &Seen) -> bool {
        (&self.plan, self.interval, self.quantity) == (&seen.plan, seen.interval, seen.quantity)
    }

    fn is_next(&self, next: &Scheduled) -> bool {
        (&self.plan, self.interval, self.quantity) == (&next.plan, next.interval, next.quantity)
    }
}

impl Alteration {
    /// Whether the account's subscription can be altered so. Stripe has the last word.
    pub(crate) fn check(&self, account: &Account) -> Result<(), Refusal> {
        let held = account.subscriptions.iter().find(|held| held.seen.id == self.subscription);
        let seen = held.map(|held| &held.seen).filter(|seen| !seen.status_at(account.at).is_final());
        let seen = seen.ok_or_else(|| Refusal::NoSuchSubscription(self.subscription.clone()))?;
        if self.deed != (Deed::Cancel { when: When::Now }) {
            begun(seen)?;
        }
        let changes = match &self.deed {
            Deed::Change(change) => change.to.changes(seen),
            Deed::Cancel { when: When::Now } => true,
            Deed::Cancel { when: When::PeriodEnd } => seen.end().is_none(),
            Deed::Resume => seen.end().is_some() || seen.next.is_some() || seen.status == Status::Paused,
        };
        if changes { Ok(()) } else { Err(Refusal::NothingToAlter(Box::new(seen.clone()))) }
    }
}

impl Wanted {
    /// To be what it is anyway undoes a change that is still to come.
    fn changes(&self, seen: &Seen) -> bool {
        match &seen.next {
            Some(next) => !self.is_next(next),
            None => !self.is_of(seen),
        }
    }
}

/// When a change happens: for the better at once, for the lesser at the period's end, unless the catalog says
/// otherwise. What costs nothing yet changes at once.
pub fn when(seen: &Seen, old: &Plan, wanted: &Wanted, new: &Plan, policy: &SubscriptionPolicy) -> When {
    if wanted.is_of(seen) || seen.status == Status::Trialing {
        return When::Now;
    }
    let before = (old.level, seen.interval, seen.quantity);
    let after = (new.level, wanted.interval, wanted.quantity);
    if after >= before { policy.upgrade.when } else { policy.downgrade.when }
}

/// Whether a client may have it then. Nobody gets money back by asking for it.
pub fn may_choose(asked: When, by_catalog: When) -> bool {
    asked == by_catalog || asked == When::PeriodEnd
}

/// What is paid by the first invoice is what the subscription was made for, and nothing else.
fn begun(seen: &Seen) -> Result<(), Refusal> {
    match seen.status {
        Status::Incomplete => Err(Refusal::NotBegun(seen.id.clone())),
        _ => Ok(()),
    }
}

/// The plan of a catalog that a subscription may be changed to.
pub fn target<'a>(catalog: &'a Catalog, seen: &Seen, wanted: &Wanted) -> Result<&'a Plan, Refusal> {
    let plan = catalog.plans.get(&wanted.plan).ok_or_else(|| Refusal::UnknownItem(wanted.item()))?;
    if !plan.prices.iter().any(|price| price.interval == wanted.interval) {
        return Err(Refusal::UnknownItem(wanted.item()));
    }
    begun(seen)?;
    if plan.group != seen.group {
        return Err(Refusal::AnotherGroup { has: seen.group.clone(), wanted: plan.group.clone() });
    }
    if seen.status == Status::Trialing && plan.trial.is_none() {
        return Err(Refusal::NotTried(wanted.plan.clone()));
    }
    let most = plan.seats.unwrap_or(1);
    if !(1..=most).contains(&wanted.quantity) {
        return Err(Refusal::TooManySeats { most });
    }
    Ok(plan)
}
