//! The one aggregate: everything that decides what a user may do.

use serde::{Deserialize, Serialize};

use crate::catalog::{Allowance, Catalog, Plan};
use crate::cause::Cause;
use crate::entry::{Hash, Place, Posting};
use crate::ids::{CustomerId, PaymentId, PlanId, UserId};
use crate::money::Tokens;
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
    pub lots: Vec<Lot>,
    /// What was taken back after it had been spent. The next credit pays it first.
    pub debt: Tokens,
}

/// Tokens of one origin and one expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lot {
    pub id: LotId,
    pub source: Source,
    pub remaining: Tokens,
    pub expires_at: Option<Time>,
    pub opened_at: Time,
}

/// Where a lot's tokens came from. At equal expiry they burn in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Allowance,
    Rollover,
    Grant,
    Bonus,
    Adjustment,
    Purchase,
}

/// Derived from the lot's cause, so that the order of events does not change it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LotId(String);

/// The sums that every entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balances {
    pub available: Tokens,
    pub held: Tokens,
    pub debt: Tokens,
}

impl Account {
    /// What a user has before anything happened. It exists in the table only after the first write.
    pub fn new(user: UserId) -> Account {
        let at = Time::from_millis(0);
        let (lots, debt) = (Vec::new(), Tokens::ZERO);
        Account { user, seq: 0, obs: 0, at, head: Hash::START, customer: None, lots, debt }
    }

    /// Whether the table has it.
    pub fn is_stored(&self) -> bool {
        (self.seq, self.obs) != (0, 0)
    }

    pub fn balances(&self) -> Balances {
        // Every credit is checked against the bound, so a sum beyond it means a corrupt account.
        let available = Tokens::checked_sum(self.lots.iter().map(|lot| lot.remaining));
        let available = available.expect("lots never sum beyond the bound");
        Balances { available, held: Tokens::ZERO, debt: self.debt }
    }

    /// What time alone did since the last write: lots that lapsed leave, each dated when it happened.
    /// Writes journal these postings first; reads show them as pending.
    pub fn advance(&self, now: Time) -> (Account, Vec<Posting>) {
        let now = now.max(self.at);
        let mut account = Account { at: now, ..self.clone() };
        let lapsed = account.lots.extract_if(.., |lot| lot.expires_at.is_some_and(|end| end <= now));
        let mut lapsed: Vec<Lot> = lapsed.collect();
        lapsed.sort_by(|a, b| a.burn_order().cmp(&b.burn_order()));
        let postings = lapsed.into_iter().map(|lot| Posting {
            from: Place::Lot,
            to: Place::Expired,
            amount: lot.remaining,
            lot: Some(lot.id),
            at: lot.expires_at,
        });
        (account, postings.collect())
    }

    /// The plan in force, and its id.
    pub fn plan<'a>(&self, catalog: &'a Catalog) -> (&'a PlanId, &'a Plan) {
        let (id, plan) =
            catalog.plans.get_key_value(&catalog.default_plan).expect("a catalog has its default plan");
        (id, plan)
    }

    pub fn has_unlimited_tokens(&self, catalog: &Catalog) -> bool {
        self.plan(catalog).1.tokens == Some(Allowance::Unlimited)
    }
}

impl Lot {
    /// Earliest expiry first, then by source, then oldest.
    pub fn burn_order(&self) -> (Time, Source, Time, &LotId) {
        (self.expires_at.unwrap_or(Time::from_millis(i64::MAX)), self.source, self.opened_at, &self.id)
    }
}

impl LotId {
    /// The lot that a payment funded: the payment's own id.
    pub fn purchase(payment: &PaymentId) -> LotId {
        LotId(payment.to_string())
    }

    /// The bonus that came with a payment.
    pub fn bonus(payment: &PaymentId) -> LotId {
        LotId(format!("{payment}+bonus"))
    }

    /// The lot that a grant opened: twelve letters of its cause's hash tell it from the user's others.
    pub fn grant(cause: &Cause) -> LotId {
        LotId(format!("grant-{}", &cause.fingerprint()[..12]))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Source {
    pub const fn name(self) -> &'static str {
        match self {
            Source::Allowance => "allowance",
            Source::Rollover => "rollover",
            Source::Grant => "grant",
            Source::Bonus => "bonus",
            Source::Adjustment => "adjustment",
            Source::Purchase => "purchase",
        }
    }
}
