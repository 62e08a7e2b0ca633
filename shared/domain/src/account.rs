//! The one aggregate: everything that decides what a user may do.

use std::collections::BTreeMap;
use std::iter;

use crate::catalog::{Allowance, Allows, Catalog, Feature, Plan, Shelf};
use crate::hash::Hash;
use crate::hold::Hold;
use crate::ids::{CustomerId, FeatureId, PlanId, SubscriptionId, UserId};
use crate::lot::{Balances, Lot};
use crate::money::Tokens;
use crate::mutants::Mutant;
use crate::privacy::EmailMark;
use crate::subscription::{Opening, Subscription};
use crate::time::Time;

/// All that decides what one user may do, as of the last entry in their journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user: UserId,
    /// How many entries the journal has. Together with `obs` it fences every write.
    pub seq: u64,
    /// How many times Stripe was looked at, whether or not that changed anything.
    pub obs: u64,
    /// When the last entry was written.
    pub at: Time,
    /// The hash of the last entry.
    pub head: Hash,
    pub customer: Option<CustomerId>,
    pub subscriptions: Vec<Subscription>,
    /// Checkouts for plans that may have been paid or may still be, one per group.
    pub openings: Vec<Opening>,
    pub lots: Vec<Lot>,
    pub holds: Vec<Hold>,
    /// What was taken back after it had been spent. The next credit pays it first.
    pub debt: Tokens,
    /// The email whose waiting grants it has claimed. Like `obs` the memory of a look: no entry tells of it.
    pub claimed: Option<EmailMark>,
    /// The subscription that was tried for nothing: nobody has two trials.
    pub tried: Option<SubscriptionId>,
    /// When its user was erased. What was paid and is given back is still booked; nothing else happens to it.
    pub closed: Option<Time>,
}

impl Account {
    /// What a user has before anything happened. It exists in the table only after the first write.
    pub fn new(user: UserId) -> Account {
        let at = Time::from_millis(0);
        Account {
            user,
            seq: 0,
            obs: 0,
            at,
            head: Hash::START,
            customer: None,
            subscriptions: Vec::new(),
            openings: Vec::new(),
            lots: Vec::new(),
            holds: Vec::new(),
            debt: Tokens::ZERO,
            claimed: None,
            tried: None,
            closed: None,
        }
    }

    /// Whether the table has it.
    pub fn is_stored(&self) -> bool {
        (self.seq, self.obs) != (0, 0)
    }

    pub fn balances(&self) -> Balances {
        // Every credit is checked against the bound, so a sum beyond it means a corrupt account.
        let available = Tokens::checked_sum(self.lots.iter().map(|lot| lot.remaining));
        let available = available.expect("lots never sum beyond the bound");
        let held = Tokens::checked_sum(self.holds.iter().map(Hold::tokens));
        let held = held.expect("holds never sum beyond the bound");
        Balances { available, held, debt: self.debt }
    }

    /// The plan in force: the best that a subscription gives access to, else the catalog's default. What is had beside
    /// it, in other groups than the default's, is the plan only where there is no other.
    pub fn plan<'a>(&'a self, shelf: &'a Shelf) -> InForce<'a> {
        let best = self.opened(shelf).max_by_key(|opened| (opened.is_main(shelf), opened.plan.level));
        best.unwrap_or_else(|| InForce::by_default(shelf))
    }

    /// The catalog's features, and what they allow: the plan in force together with all that is had beside it, so of
    /// each the most that any of them allows.
    pub fn features<'a>(&'a self, shelf: &'a Shelf) -> BTreeMap<&'a FeatureId, (&'a Feature, Allows)> {
        let mut features = BTreeMap::new();
        let has_main = self.opened(shelf).any(|opened| opened.is_main(shelf));
        let given = (!has_main).then(|| InForce::by_default(shelf));
        for opened in iter::once(self.plan(shelf)).chain(self.opened(shelf)).chain(given) {
            for (id, allows) in &opened.plan.features {
                let Some(feature) = opened.catalog.features.get(id) else { continue };
                let (known, most) = features.entry(id).or_insert((feature, *allows));
                // An older version may have counted what is now on or off.
                if known.kind == feature.kind {
                    *most = (*most).max(*allows);
                }
            }
        }
        features
    }

    /// What every subscription that gives access is of.
    fn opened<'a>(&'a self, shelf: &'a Shelf) -> impl Iterator<Item = InForce<'a>> {
        let open = self.subscriptions.iter().filter(|held| held.seen.gives_access(self.at));
        open.filter_map(|held| {
            let catalog = shelf.version(held.seen.catalog)?;
            let (id, plan) = catalog.plans.get_key_value(&held.seen.plan)?;
            Some(InForce { id, plan, catalog, subscription: Some(held) })
        })
    }

    pub fn has_unlimited_tokens(&self, shelf: &Shelf) -> bool {
        let open = self.subscriptions.iter().filter(|held| held.seen.gives_access(self.at));
        self.plan(shelf).plan.tokens == Some(Allowance::Unlimited)
            || open.into_iter().any(|held| held.seen.allowance == Some(Allowance::Unlimited))
    }

    /// The subscription that bars another one of its group, or of the same plan should that have changed groups.
    pub fn live_subscription(&self, group: &str, plan: &PlanId) -> Option<&Subscription> {
        let is_alike = |held: &&Subscription| held.seen.group == group || held.seen.plan == *plan;
        self.subscriptions.iter().filter(is_alike).find(|held| held.seen.is_live(self.at))
    }

    /// Into the order in which lots burn.
    pub(crate) fn sort_lots(&mut self) {
        let Account { lots, subscriptions, .. } = self;
        lots.sort_by(|a, b| a.burn_order(subscriptions).cmp(&b.burn_order(subscriptions)));
        if Mutant::BurnOrderReversed.lives() {
            lots.reverse();
        }
    }
}

/// A plan, and the subscription that it comes from.
#[derive(Debug, Clone, Copy)]
pub struct InForce<'a> {
    pub id: &'a PlanId,
    pub plan: &'a Plan,
    /// The version that defines it.
    pub catalog: &'a Catalog,
    pub subscription: Option<&'a Subscription>,
}

impl<'a> InForce<'a> {
    /// What a user without a subscription is on.
    fn by_default(shelf: &'a Shelf) -> InForce<'a> {
        let catalog = shelf.current();
        let default = catalog.plans.get_key_value(&catalog.default_plan);
        let (id, plan) = default.expect("a catalog has its default plan");
        InForce { id, plan, catalog, subscription: None }
    }

    /// Whether it takes the default's place, and is not beside it.
    fn is_main(&self, shelf: &Shelf) -> bool {
        self.plan.group == InForce::by_default(shelf).plan.group
    }
}
