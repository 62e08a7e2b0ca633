//! Subscriptions as Stripe tells of them now.

use domain::ids::{CustomerId, PaymentMethodId, PriceId, SubscriptionId};
use domain::item::Interval;
use domain::money::Money;
use domain::payment::Envelope;
use domain::subscription::Status;
use domain::time::Time;
use stripe::StripeRequest;
use stripe_billing::subscription::{
    CancelSubscription, ListSubscription, ListSubscriptionStatus, RetrieveSubscription,
};
use stripe_types::RangeQueryTs;

use crate::ended::EndedFor;
use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::schedule::{self, Next};
use crate::{Stripe, metadata, money, paging};

pub(crate) const SUBSCRIPTION: &str = "subscription";
/// Each brings its items and its schedule along, so a page of a hundred could outgrow what we read.
const PAGE: i64 = 50;

/// A subscription as Stripe tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub customer: Option<CustomerId>,
    pub envelope: Envelope,
    /// Which request of ours made it, or changed it last.
    pub request: Option<String>,
    pub status: Status,
    pub items: Vec<SubscriptionItem>,
    pub created: Time,
    /// When it began, which a backdated one did before it was created.
    pub anchor: Time,
    pub trial_start: Option<Time>,
    pub trial_end: Option<Time>,
    /// When it is going to end, however that was said.
    pub cancel_at: Option<Time>,
    pub ended_at: Option<Time>,
    /// Stripe's `sub_sched_…`, which decides what it is going to be.
    pub schedule: Option<String>,
    /// What that is, if it is another price or quantity than now.
    pub next: Option<Next>,
    /// What it is charged to, if that is not the customer's default.
    pub method: Option<PaymentMethodId>,
    /// Why we ended it, if it was us.
    pub ended_for: Option<EndedFor>,
}

/// One price that a subscription charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionItem {
    /// Stripe's `si_…`.
    pub id: String,
    pub price: PriceId,
    /// `None` for one that no plan has, such as every day or every third month.
    pub interval: Option<Interval>,
    /// `None` where it depends on the quantity, or is a fraction of the smallest coin.
    pub unit: Option<Money>,
    pub quantity: u64,
    pub period_start: Time,
    pub period_end: Time,
}

impl Stripe {
    /// `None` if this account has no such subscription.
    pub async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, StripeError> {
        self.retrieved(id, &[schedule::EXPANDED]).await?.map(read).transpose()
    }

    /// Every subscription of a customer, whatever became of it, newest first.
    pub async fn customer_subscriptions(
        &self,
        customer: &CustomerId,
        since: Option<Time>,
    ) -> Result<Vec<Subscription>, StripeError> {
        let mut list = ListSubscription::new()
            .customer(customer.as_str())
            .status(ListSubscriptionStatus::All)
            .expand([format!("data.{}", schedule::EXPANDED)])
            .limit(PAGE);
        if let Some(since) = since {
            list = list.created(RangeQueryTs::gte(since.seconds()));
        }
        let found = paging::all(list.paginate(), self.call(SUBSCRIPTION)).await?;
        found.into_iter().map(read).collect()
    }

    /// Ends it at once. One that has ended already answers as it is; `None` if there is no such subscription.
    pub async fn cancel_subscription(
        &self,
        id: &SubscriptionId,
        key: &str,
    ) -> Result<Option<Subscription>, StripeError> {
        let canceled = CancelSubscription::new(id.as_str())
            .customize()
            .request_strategy(keyed(self.stack(), "cancel", &[id.as_str(), key]))
            .send(&self.call(SUBSCRIPTION))
            .await;
        let refusal = match canceled {
            Ok(canceled) => return read(canceled).map(Some),
            Err(refusal @ StripeError::Refused(_)) => refusal,
            Err(error) => return Err(error.about(SUBSCRIPTION)),
        };
        // To Stripe one that has ended is missing here; only a look tells it from one that never was.
        match self.subscription(id).await? {
            Some(found) if !found.status.is_final() => Err(refusal),
            ended => Ok(ended),
        }
    }

    pub(crate) async fn retrieved(
        &self,
        id: &SubscriptionId,
        expanded: &[&str],
    ) -> Result<Option<stripe_shared::Subscription>, StripeError> {
        let expanded: Vec<String> = expanded.iter().map(|&path| path.to_owned()).collect();
        let request = RetrieveSubscription::new(id.as_str()).expand(expanded);
        match request.send(&self.call(SUBSCRIPTION)).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(SUBSCRIPTION)),
        }
    }
}

pub(crate) fn read(found: stripe_shared::Subscription) -> Result<Subscription, StripeError> {
    // A price with a name from before `price_…` that no binding can hold is nobody's plan, and not an error.
    let items: Vec<SubscriptionItem> = found.items.data.iter().filter_map(item).collect();
    let cancel_at = found.cancel_at.map(Time::from_seconds);
    let period_end = items.iter().map(|item| item.period_end).max();
    let schedule = found.schedule.as_ref();
    let method = found.default_payment_method.as_ref();
    let ended_for = EndedFor::read(&found);
    Ok(Subscription {
        id: SubscriptionId::parse(found.id.as_str()).map_err(|bad| unreadable(bad.to_string()))?,
        customer: CustomerId::parse(found.customer.id().as_str()).ok(),
        envelope: metadata::envelope(&found.metadata),
        request: found.metadata.get(metadata::REQUEST).cloned(),
        status: Status::parse(found.status.as_str()),
        created: Time::from_seconds(found.created),
        anchor: Time::from_seconds(found.start_date),
        trial_start: found.trial_start.map(Time::from_seconds),
        trial_end: found.trial_end.map(Time::from_seconds),
        cancel_at: cancel_at.or(period_end.filter(|_| found.cancel_at_period_end)),
        ended_at: found.ended_at.map(Time::from_seconds),
        schedule: schedule.map(|schedule| schedule.id().to_string()),
        next: schedule.and_then(|schedule| schedule::next(schedule.as_object()?)),
        ended_for,
        method: method.and_then(|method| PaymentMethodId::parse(method.id().as_str()).ok()),
        items,
    })
}

fn item(found: &stripe_shared::SubscriptionItem) -> Option<SubscriptionItem> {
    let price = &found.price;
    let every = price.recurring.as_ref().filter(|recurring| recurring.interval_count == 1);
    Some(SubscriptionItem {
        id: found.id.to_string(),
        price: PriceId::parse(price.id.as_str()).ok()?,
        interval: every.and_then(|recurring| Interval::parse(recurring.interval.as_str())),
        unit: price.unit_amount.and_then(|amount| money::read(amount, &price.currency).ok()),
        // A metered price has none: its quantity is what was used.
        quantity: found.quantity.unwrap_or(1),
        period_start: Time::from_seconds(found.current_period_start),
        period_end: Time::from_seconds(found.current_period_end),
    })
}

pub(crate) fn unreadable(problem: impl Into<String>) -> StripeError {
    StripeError::malformed(SUBSCRIPTION, problem)
}
