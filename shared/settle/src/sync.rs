//! Subscriptions: an event only says where to look. What is there moves the books, whatever was heard before.

use domain::catalog::PlanSold;
use domain::cause::Cause;
use domain::decide::{Act, Command};
use domain::ids::{PriceId, SubscriptionId, UserId};
use domain::item::Item;
use domain::money::Money;
use domain::subscription::{PaidInvoice, Seen};
use domain::time::Time;
use store::{Applied, Look, Observed, StoreError};
use stripe_api::{Subscription, SubscriptionItem};

use crate::owner::Owner;
use crate::{Settle, SettleError};

/// What came of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Synced {
    /// The books say what Stripe says, and have every paid invoice. `news` counts the entries that took.
    Settled { user: UserId, news: u32 },
    /// It is nobody's, or for nothing we know: kept until an operator attaches it.
    Unclaimed(&'static str),
    /// Another deployment's, which hears of it too.
    AnotherStack,
    /// Stripe has no such subscription.
    Missing,
}

/// Why a look found nothing for the account it was meant for.
enum Stop {
    Aside(Synced),
    /// It is this user's instead.
    Owner(UserId),
    Failed(SettleError),
}

impl<E: Into<SettleError>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

impl Settle {
    /// Brings a subscription and its paid invoices into the books. `hint` names the user that it is probably of:
    /// an account has to be read before Stripe is asked, or an older look could overwrite a newer one.
    pub async fn sync(
        &self,
        id: &SubscriptionId,
        hint: Option<UserId>,
        seen_in: &str,
        now: Time,
    ) -> Result<Synced, SettleError> {
        match self.follow(id, hint, now).await {
            Err(Stop::Aside(Synced::Unclaimed(reason))) => {
                self.unclaimed(id.as_str(), reason, seen_in, now).await?;
                Ok(Synced::Unclaimed(reason))
            }
            Ok(synced) | Err(Stop::Aside(synced)) => Ok(synced),
            Err(Stop::Owner(_)) => {
                Err(StoreError::Busy("the subscription's owner keeps changing".to_owned()).into())
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn follow(&self, id: &SubscriptionId, hint: Option<UserId>, now: Time) -> Result<Synced, Stop> {
        let user = match hint {
            Some(user) => user,
            None => self.find(id).await?.1,
        };
        match self.sync_of(&user, id, now).await {
            // The hint was wrong; Stripe's own word for it is what counts.
            Err(Stop::Owner(owner)) => self.sync_of(&owner, id, now).await,
            synced => synced,
        }
    }

    async fn sync_of(&self, user: &UserId, id: &SubscriptionId, now: Time) -> Result<Synced, Stop> {
        let look = || self.look(id, user, now);
        let Observed { look, news } = self.store.observe(user, look, now).await?;
        let mut entries = u32::from(news.is_some());
        let invoices = self.stripe.paid_invoices(id).await?;
        let causes: Vec<Cause> = invoices.iter().map(|invoice| Cause::Invoice(invoice.id.clone())).collect();
        let unbooked = self.store.unbooked(&causes).await?;
        for (invoice, cause) in
            invoices.into_iter().zip(&causes).filter(|(_, cause)| unbooked.contains(cause))
        {
            entries += u32::from(self.book(user, invoice, cause, &look.seen, now).await?);
        }
        Ok(Synced::Settled { user: user.clone(), news: entries })
    }

    /// Asks Stripe what a user's subscription is now.
    async fn look(&self, id: &SubscriptionId, user: &UserId, now: Time) -> Result<Look, Stop> {
        let (found, owner) = self.find(id).await?;
        if owner != *user {
            return Err(Stop::Owner(owner));
        }
        for item in &found.items {
            if let Some(plan) = self.plan_sold(&item.price, found.envelope.catalog, now).await? {
                let seen = seen(&found, item, plan);
                return Ok(Look { seen, customer: found.customer });
            }
        }
        Err(Stop::Aside(Synced::Unclaimed("no plan")))
    }

    /// A subscription and its owner.
    async fn find(&self, id: &SubscriptionId) -> Result<(Subscription, UserId), Stop> {
        let found = self.stripe.subscription(id).await?.ok_or(Stop::Aside(Synced::Missing))?;
        match self.owner(id.as_str(), &found.envelope, found.customer.as_ref()).await? {
            Owner::User(user) => Ok((found, user)),
            Owner::Nobody => Err(Stop::Aside(Synced::Unclaimed("no owner"))),
            Owner::AnotherStack => Err(Stop::Aside(Synced::AnotherStack)),
        }
    }

    /// Books one paid invoice, once. Says whether that was now.
    async fn book(
        &self,
        user: &UserId,
        invoice: PaidInvoice,
        cause: &Cause,
        seen: &Seen,
        now: Time,
    ) -> Result<bool, SettleError> {
        let plan = match &invoice.price {
            Some(price) => self.plan_sold(price, Some(seen.catalog), now).await?,
            None => None,
        };
        // An invoice without a line that we know is the subscription's all the same.
        let (item, catalog) = match plan {
            Some(plan) => (Item::Plan { id: plan.plan, interval: plan.interval }, plan.catalog),
            None => (Item::Plan { id: seen.plan.clone(), interval: seen.interval }, seen.catalog),
        };
        let act = Act::Invoice { invoice, item, catalog };
        let command = Command { cause: cause.clone(), request: None, act };
        match self.store.apply(user, &command, &self.catalogs, now).await? {
            Applied::Done(_) => Ok(true),
            Applied::Before(_) => Ok(false),
            Applied::Refused(refusal) => {
                Err(StoreError::Refused(format!("{cause} was refused: {refusal:?}")).into())
            }
            Applied::KeyReused => Err(StoreError::Refused(format!("{cause} is no client's key")).into()),
        }
    }

    /// The plan that a price sells: in the version that is pinned, else in today's, else in the first that sold it.
    async fn plan_sold(
        &self,
        price: &PriceId,
        pin: Option<u32>,
        now: Time,
    ) -> Result<Option<PlanSold>, StoreError> {
        let pinned = match pin {
            Some(version) => self.catalogs.version(version).await?,
            None => None,
        };
        for published in pinned.into_iter().chain([self.catalogs.current(now).await?]) {
            if let Some(sold) = published.plan_sold_as(price) {
                return Ok(Some(sold));
            }
        }
        let Some((_, first)) = self.catalogs.binding(price).await? else { return Ok(None) };
        let published = self.catalogs.version(first).await?;
        Ok(published.and_then(|published| published.plan_sold_as(price)))
    }
}

/// What Stripe says, in the catalog's words.
fn seen(found: &Subscription, item: &SubscriptionItem, plan: PlanSold) -> Seen {
    let unit = item.unit.unwrap_or(Money { amount_minor: 0, currency: plan.currency });
    let quantity = i64::try_from(item.quantity).unwrap_or(i64::MAX);
    Seen {
        id: found.id.clone(),
        plan: plan.plan,
        group: plan.group,
        catalog: plan.catalog,
        interval: plan.interval,
        price: Money { amount_minor: unit.amount_minor.saturating_mul(quantity), ..unit },
        status: found.status,
        anchor: found.anchor,
        period_start: item.period_start,
        period_end: item.period_end,
        trial_end: found.trial_end,
        cancel_at: found.cancel_at,
        ended_at: found.ended_at,
        allowance: plan.allowance,
    }
}
