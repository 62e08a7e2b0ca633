//! Subscriptions as Stripe tells of them now.

use domain::ids::{CustomerId, PriceId, SubscriptionId};
use domain::item::Interval;
use domain::money::Money;
use domain::payment::Envelope;
use domain::subscription::Status;
use domain::time::Time;
use stripe::StripeRequest;
use stripe_billing::subscription::{CancelSubscription, RetrieveSubscription};

use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::{Stripe, metadata, money};

const SUBSCRIPTION: &str = "subscription";

/// A subscription as Stripe tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub customer: Option<CustomerId>,
    pub envelope: Envelope,
    pub status: Status,
    pub items: Vec<SubscriptionItem>,
    /// When it began, which a backdated one did before it was created.
    pub anchor: Time,
    pub trial_end: Option<Time>,
    /// When it is going to end, however that was said.
    pub cancel_at: Option<Time>,
    pub ended_at: Option<Time>,
}

/// One price that a subscription charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionItem {
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
        match RetrieveSubscription::new(id.as_str()).send(&self.call(SUBSCRIPTION)).await {
            Ok(subscription) => read(subscription).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(SUBSCRIPTION)),
        }
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
}

fn read(found: stripe_shared::Subscription) -> Result<Subscription, StripeError> {
    // A price with a name from before `price_…` that no binding can hold is nobody's plan, and not an error.
    let items: Vec<SubscriptionItem> = found.items.data.iter().filter_map(item).collect();
    let cancel_at = found.cancel_at.map(Time::from_seconds);
    let period_end = items.iter().map(|item| item.period_end).max();
    Ok(Subscription {
        id: SubscriptionId::parse(found.id.as_str()).map_err(|bad| unreadable(bad.to_string()))?,
        customer: CustomerId::parse(found.customer.id().as_str()).ok(),
        envelope: metadata::envelope(&found.metadata),
        status: Status::parse(found.status.as_str()),
        anchor: Time::from_seconds(found.start_date),
        trial_end: found.trial_end.map(Time::from_seconds),
        cancel_at: cancel_at.or(period_end.filter(|_| found.cancel_at_period_end)),
        ended_at: found.ended_at.map(Time::from_seconds),
        items,
    })
}

fn item(found: &stripe_shared::SubscriptionItem) -> Option<SubscriptionItem> {
    let price = &found.price;
    let every = price.recurring.as_ref().filter(|recurring| recurring.interval_count == 1);
    Some(SubscriptionItem {
        price: PriceId::parse(price.id.as_str()).ok()?,
        interval: every.and_then(|recurring| Interval::parse(recurring.interval.as_str())),
        unit: price.unit_amount.and_then(|amount| money::read(amount, &price.currency).ok()),
        // A metered price has none: its quantity is what was used.
        quantity: found.quantity.unwrap_or(1),
        period_start: Time::from_seconds(found.current_period_start),
        period_end: Time::from_seconds(found.current_period_end),
    })
}

fn unreadable(problem: String) -> StripeError {
    StripeError::malformed(SUBSCRIPTION, problem)
}
