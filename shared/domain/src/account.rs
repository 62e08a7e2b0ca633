//! The one aggregate: everything that decides what a user may do.

use crate::catalog::{Allowance, Catalog, Plan, Shelf};
use crate::entry::Hash;
use crate::hold::Hold;
use crate::ids::{CustomerId, PlanId, SubscriptionId, UserId};
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
        let current = shelf.current();
        let main = current.plans.get(&current.default_plan).map(|plan| &plan.group);
        let open = self.subscriptions.iter().filter(|held| held.seen.gives_access(self.at));
        let plans = open.filter_map(|held| {
            let catalog = shelf.version(held.seen.catalog)?;
            let (id, plan) = catalog.plans.get_key_value(&held.seen.plan)?;
            Some(InForce { id, plan, catalog, subscription: Some(held) })
        });
        let worth = |in_force: &InForce<'_>| (Some(&in_force.plan.group) == main, in_force.plan.level);
        plans.max_by_key(worth).unwrap_or_else(|| {
            let (id, plan) =
                current.plans.get_key_value(&current.default_plan).expect("a catalog has its default plan");
            InForce { id, plan, catalog: current, subscription: None }
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
