//! Subscriptions: an event only says where to look. What is there moves the books, whatever was heard before.

use domain::account::Account;
use domain::catalog::{Allowance, PlanSold};
use domain::cause::Cause;
use domain::decide::{Act, Command};
use domain::follow::observe;
use domain::ids::{PaymentId, PriceId, SubscriptionId, UserId};
use domain::item::Item;
use domain::money::Money;
use domain::subscription::{InvoiceLine, PaidFor, PaidInvoice, Period, Scheduled, Seen, Status};
use domain::time::Time;
use store::{Applied, Observed, StoreError};
use stripe_api::{Subscription, SubscriptionItem};

use crate::owner::Owner;
use crate::{Settle, SettleError};

/// What came of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Synced {
    /// The books say what Stripe says, and have every paid invoice. `news` counts the entries that took.
    Settled { user: UserId, news: u32, seen: Box<Seen> },
    /// It is nobody's, or for nothing we know: kept until an operator attaches it.
    Unclaimed(&'static str),
    /// Another deployment's, which hears of it too.
    AnotherStack,
    /// Stripe has no such subscription.
    Missing,
}

/// What Stripe says: of the invoices first, so that what is known of the subscription is never older than what
/// is booked for it.
pub(crate) struct Look {
    /// As it was before.
    pub account: Account,
    pub invoices: Vec<PaidInvoice>,
    pub seen: Seen,
    /// Absent where Stripe has it no more, or it is not this user's.
    pub found: Option<Subscription>,
}

/// A look that was written, and how many entries that took.
pub(crate) struct Brought {
    pub look: Look,
    pub entries: u32,
}

/// Why a look found nothing for the account it was meant for.
pub(crate) enum Stop {
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
        let Brought { mut look, entries } = self.bring(user, id, now).await?;
        if self.guard(user, &look, now).await? {
            look = self.bring(user, id, now).await?.look;
        }
        Ok(Synced::Settled { user: user.clone(), news: entries, seen: Box::new(look.seen) })
    }

    /// Looks, writes what is new, and books what is paid.
    pub(crate) async fn bring(&self, user: &UserId, id: &SubscriptionId, now: Time) -> Result<Brought, Stop> {
        let look = |account| self.look(id, account, now);
        let unless_it_ends = |account: &Account, look: &Look| match look.ends() {
            true => None,
            false => observe(account, &look.seen, now),
        };
        let mut observed = self.store.observe(user, look, unless_it_ends).await?;
        if observed.look.ends() {
            self.give_back_before_its_end(user, &observed.look, now).await?;
            let decide = |account: &Account, look: &Look| observe(account, &look.seen, now);
            observed = self.store.observe(user, look, decide).await?;
        }
        let Observed { look, news } = observed;
        let mut entries = u32::from(news.is_some());
        let causes: Vec<Cause> = look.invoices.iter().map(|paid| Cause::Invoice(paid.id.clone())).collect();
        let unbooked = self.store.unbooked(&causes).await?;
        for (invoice, cause) in look.invoices.iter().zip(&causes) {
            if unbooked.contains(&cause) {
                entries += u32::from(self.book(user, invoice, cause, &look, now).await?);
            }
        }
        Ok(Brought { look, entries })
    }

    /// Asks Stripe what a user's subscription is now.
    async fn look(&self, id: &SubscriptionId, account: Account, now: Time) -> Result<Look, Stop> {
        let held = account.subscriptions.iter().find(|held| held.seen.id == *id);
        let held = held.map(|held| held.seen.clone());
        let invoices = self.stripe.paid_invoices(id).await?;
        let (found, owner) = match (self.find(id).await, held.clone()) {
            // What the account has and is not, or not its own any more, has ended for it.
            (Err(Stop::Aside(Synced::Missing | Synced::AnotherStack)), Some(held)) => {
                return Ok(Look::gone(account, held, now));
            }
            (found, _) => found?,
        };
        if owner != account.user {
            return match held {
                Some(held) => Ok(Look::gone(account, held, now)),
                None => Err(Stop::Owner(owner)),
            };
        }
        let pin = found.envelope.catalog.or(held.as_ref().map(|held| held.catalog));
        for item in &found.items {
            if let Some(plan) = self.plan_sold(&item.price, pin, now).await? {
                let next = self.next_of(&found, now).await?;
                let seen = seen(&found, item, plan, next);
                return Ok(Look { account, invoices, seen, found: Some(found) });
            }
        }
        // For nothing that we know; if it was for a plan once, its status and its end still count.
        match held {
            Some(held) => {
                let seen = unmapped(&found, held);
                Ok(Look { account, invoices, seen, found: Some(found) })
            }
            None => Err(Stop::Aside(Synced::Unclaimed("no plan"))),
        }
    }

    /// The change that is scheduled, if it is to something we sell.
    async fn next_of(&self, found: &Subscription, now: Time) -> Result<Option<Scheduled>, StoreError> {
        let Some(next) = &found.next else { return Ok(None) };
        let plan = self.plan_sold(&next.price, found.envelope.catalog, now).await?;
        Ok(plan.map(|PlanSold { plan, interval, .. }| Scheduled {
            plan,
            interval,
            quantity: next.quantity,
            at: next.at,
        }))
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
        invoice: &PaidInvoice,
        cause: &Cause,
        look: &Look,
        now: Time,
    ) -> Result<bool, SettleError> {
        let mut paid_for = self.paid_for(invoice, &look.seen, now).await?;
        if !paid_for.proration && !look.seen.terms.tokens_wait {
            paid_for.allowance = self.with_changes(&paid_for, look, now).await?;
        }
        if paid_for.period.is_none() {
            tracing::warn!(%cause, subscription = %invoice.subscription, "an invoice pays for no plan");
        }
        let act = Act::Invoice { invoice: invoice.clone(), paid_for };
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

    /// What a period is worth whose own invoice is paid after a change within it was: no less than what was changed to.
    async fn with_changes(
        &self,
        whole: &PaidFor,
        look: &Look,
        now: Time,
    ) -> Result<Option<Allowance>, StoreError> {
        let (Some(Period { end, .. }), Some(mut most)) = (whole.period, whole.allowance) else {
            return Ok(whole.allowance);
        };
        let ends_then = |invoice: &&PaidInvoice| invoice.lines.iter().any(|line| line.period.end == end);
        for invoice in look.invoices.iter().filter(ends_then) {
            let change = self.paid_for(invoice, &look.seen, now).await?;
            if change.proration && change.period.is_some_and(|period| period.end == end) {
                most = change.allowance.map_or(most, |changed| most.or_more(changed));
            }
        }
        Ok(Some(most))
    }

    /// Reads an invoice's lines: the plan's own period, or else a change within one. Lines of other prices pay for
    /// other things.
    async fn paid_for(&self, invoice: &PaidInvoice, seen: &Seen, now: Time) -> Result<PaidFor, StoreError> {
        let mut plans: Vec<(&InvoiceLine, PlanSold)> = Vec::new();
        for line in &invoice.lines {
            let Some(price) = &line.price else { continue };
            if let Some(plan) = self.plan_sold(price, Some(seen.catalog), now).await? {
                plans.push((line, plan));
            }
        }
        let latest = plans.into_iter().max_by_key(|(line, _)| (!line.proration, line.period.end));
        Ok(match latest {
            Some((line, plan)) => PaidFor {
                item: Item::Plan { id: plan.plan, interval: plan.interval },
                catalog: plan.catalog,
                allowance: plan.allowance.map(|allowance| allowance.times(line.quantity)),
                period: Some(line.period).filter(|Period { start, end }| start < end),
                proration: line.proration,
            },
            None => PaidFor {
                item: Item::Plan { id: seen.plan.clone(), interval: seen.interval },
                catalog: seen.catalog,
                allowance: None,
                period: None,
                proration: false,
            },
        })
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

impl Look {
    /// Whether it is news that it has ended.
    fn ends(&self) -> bool {
        let is_held = self.account.subscriptions.iter().any(|held| held.seen.id == self.seen.id);
        is_held && self.seen.status.is_final()
    }

    /// What was paid for time that was still to come when it ended.
    pub fn paid_beyond(&self, ended: Time) -> impl Iterator<Item = (&PaymentId, Money)> {
        let runs = move |invoice: &&PaidInvoice| invoice.lines.iter().any(|line| line.period.end > ended);
        self.invoices.iter().filter(runs).flat_map(|invoice| {
            let part = |amount_minor| Money { amount_minor, ..invoice.paid };
            invoice.payments.iter().map(move |(payment, amount_minor)| (payment, part(*amount_minor)))
        })
    }

    /// As if Stripe had ended it now.
    fn gone(account: Account, held: Seen, now: Time) -> Look {
        let seen = Seen { status: Status::Canceled, ended_at: Some(now), ..held };
        Look { account, invoices: Vec::new(), seen, found: None }
    }
}

/// What is left to say of a subscription whose price sells none of our plans any more.
fn unmapped(found: &Subscription, held: Seen) -> Seen {
    let (cancel_at, ended_at, trial_end) = (found.cancel_at, found.ended_at, found.trial_end);
    Seen { status: found.status, cancel_at, ended_at, trial_end, ..held }
}

/// What Stripe says, in the catalog's words.
fn seen(found: &Subscription, item: &SubscriptionItem, plan: PlanSold, next: Option<Scheduled>) -> Seen {
    let unit = item.unit.unwrap_or(Money { amount_minor: 0, currency: plan.currency });
    let quantity = u32::try_from(item.quantity).unwrap_or(u32::MAX);
    Seen {
        id: found.id.clone(),
        plan: plan.plan,
        group: plan.group,
        catalog: plan.catalog,
        interval: plan.interval,
        price: Money { amount_minor: unit.amount_minor.saturating_mul(quantity.into()), ..unit },
        status: found.status,
        anchor: found.anchor,
        period_start: item.period_start,
        period_end: item.period_end,
        trial_end: found.trial_end,
        cancel_at: found.cancel_at,
        ended_at: found.ended_at,
        allowance: plan.allowance.map(|allowance| allowance.times(quantity)),
        quantity,
        next,
        terms: plan.terms,
    }
}
