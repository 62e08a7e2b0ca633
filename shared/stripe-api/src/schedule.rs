//! Schedules: changes of a subscription that Stripe makes when its period ends.

use std::collections::HashMap;

use domain::ids::PriceId;
use domain::item::{Interval, Item};
use domain::payment::Envelope;
use domain::time::Time;
use stripe::StripeRequest;
use stripe_billing::subscription_schedule::{
    CreateSubscriptionSchedule, ReleaseSubscriptionSchedule, UpdateSubscriptionSchedule,
    UpdateSubscriptionSchedulePhases, UpdateSubscriptionSchedulePhasesDuration,
    UpdateSubscriptionSchedulePhasesDurationInterval, UpdateSubscriptionSchedulePhasesEndDate,
    UpdateSubscriptionSchedulePhasesItems, UpdateSubscriptionSchedulePhasesProrationBehavior,
    UpdateSubscriptionSchedulePhasesStartDate,
};
use stripe_shared::{
    SubscriptionSchedule, SubscriptionScheduleEndBehavior, SubscriptionSchedulePhaseConfiguration,
};
use stripe_types::Expandable;

use crate::change::{ChangeOrder, plan_item};
use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::subscription::{read, unreadable};
use crate::{Stripe, Subscription, metadata, phase};

const SCHEDULE: &str = "subscription_schedule";
/// Where a subscription names its schedule.
pub(crate) const EXPANDED: &str = "schedule";

/// What a subscription is going to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    pub price: PriceId,
    pub quantity: u32,
    pub at: Time,
    /// What it will be for, as far as that is written down.
    pub envelope: Envelope,
    /// Which request of ours asked for it.
    pub request: Option<String>,
}

impl Stripe {
    /// Has it change when its period ends, instead of any change that was still to come, and of an end that was.
    /// Nothing is prorated: there is nothing unused then. `None` if there is no such subscription.
    pub async fn change_at_period_end(
        &self,
        order: &ChangeOrder,
        key: &str,
    ) -> Result<Option<Subscription>, StripeError> {
        let Some(mut found) = self.retrieved(&order.subscription, &[EXPANDED]).await? else {
            return Ok(None);
        };
        let seen = read(found.clone())?;
        if order.is_planned_by(&seen) {
            return Ok(Some(seen));
        }
        let schedule = match found.schedule.take().and_then(Expandable::into_object) {
            Some(schedule) => schedule,
            None => {
                if seen.cancel_at.is_some() {
                    self.stay(&seen.id, found.cancel_at_period_end, key).await?;
                }
                self.schedule_of(&seen, key).await?
            }
        };
        let schedule = match self.plan_change(order, &seen, &schedule, key).await {
            Ok(schedule) => schedule,
            // Sent before, when the subscription was another: perhaps it was carried out then.
            Err(error) if error.is_key_reused() => {
                let now = self.subscription(&seen.id).await?;
                return now.filter(|now| order.is_planned_by(now)).map(Some).ok_or(error);
            }
            Err(error) => return Err(error),
        };
        found.schedule = Some(Expandable::Object(Box::new(schedule)));
        (found.cancel_at, found.cancel_at_period_end) = (None, false);
        read(found).map(Some)
    }

    /// Leaves the subscription to itself. Nothing is done to one that no schedule has the say over any more.
    pub(crate) async fn release_schedule(&self, found: &Subscription, key: &str) -> Result<(), StripeError> {
        let Some(schedule) = &found.schedule else { return Ok(()) };
        let released = ReleaseSubscriptionSchedule::new(schedule.as_str())
            .customize()
            .request_strategy(keyed(self.stack(), "release", &[schedule, key]))
            .send(&self.call(SCHEDULE))
            .await;
        let refusal = match released {
            Ok(_) => return Ok(()),
            Err(refusal @ StripeError::Refused(_)) => refusal,
            Err(error) => return Err(error.about(SCHEDULE)),
        };
        // Somebody else released it, or it came to its own end.
        match self.subscription(&found.id).await? {
            Some(now) if now.schedule == found.schedule => Err(refusal),
            _ => Ok(()),
        }
    }

    /// A schedule that says what the subscription is anyway.
    async fn schedule_of(
        &self,
        found: &Subscription,
        key: &str,
    ) -> Result<SubscriptionSchedule, StripeError> {
        let made = CreateSubscriptionSchedule::new()
            .from_subscription(found.id.as_str())
            .customize()
            .request_strategy(keyed(self.stack(), "schedule", &[found.id.as_str(), key]))
            .send(&self.call(SCHEDULE))
            .await;
        made.map_err(|error| error.about(SCHEDULE))
    }

    async fn plan_change(
        &self,
        order: &ChangeOrder,
        found: &Subscription,
        schedule: &SubscriptionSchedule,
        key: &str,
    ) -> Result<SubscriptionSchedule, StripeError> {
        let id = schedule.id.as_str();
        let planned = UpdateSubscriptionSchedule::new(id)
            .phases(order.phases(found, schedule, self)?)
            .end_behavior(SubscriptionScheduleEndBehavior::Release)
            .customize()
            .request_strategy(keyed(self.stack(), "phases", &[id, key]))
            .send(&self.call(SCHEDULE))
            .await;
        planned.map_err(|error| error.about(SCHEDULE))
    }
}

impl ChangeOrder {
    fn is_planned_by(&self, found: &Subscription) -> bool {
        let planned = found.next.as_ref().and_then(|next| next.request.as_ref());
        planned.or(found.request.as_ref()) == Some(&self.request)
    }

    /// What is, until the period ends; then what is ordered, for one period, after which nothing is left to schedule.
    fn phases(
        &self,
        found: &Subscription,
        schedule: &SubscriptionSchedule,
        stripe: &Stripe,
    ) -> Result<Vec<UpdateSubscriptionSchedulePhases>, StripeError> {
        let running = running(schedule).ok_or_else(|| unreadable("its schedule has no current phase"))?;
        let plan = plan_item(found)?;
        let mut now = phase::same(running)?;
        now.start_date = Some(UpdateSubscriptionSchedulePhasesStartDate::Timestamp(running.start_date));
        now.end_date = Some(UpdateSubscriptionSchedulePhasesEndDate::Timestamp(plan.period_end.seconds()));
        now.metadata = running.metadata.clone().filter(|metadata| !metadata.is_empty());

        let mut then = phase::same(running)?;
        let mut ordered = UpdateSubscriptionSchedulePhasesItems::new();
        ordered.price = Some(self.price.to_string());
        ordered.quantity = Some(self.quantity.into());
        let planned =
            |item: &UpdateSubscriptionSchedulePhasesItems| item.price.as_deref() == Some(plan.price.as_str());
        match then.items.iter_mut().find(|item| planned(item)) {
            Some(item) => *item = ordered,
            None => then.items = vec![ordered],
        }
        then.trial_end = None;
        then.duration = self.duration();
        then.proration_behavior = Some(UpdateSubscriptionSchedulePhasesProrationBehavior::None);
        then.metadata = Some(stripe.metadata(&self.envelope, &self.request));
        Ok(vec![now, then])
    }

    fn duration(&self) -> Option<UpdateSubscriptionSchedulePhasesDuration> {
        use UpdateSubscriptionSchedulePhasesDurationInterval::{Month, Week, Year};
        let Some(Item::Plan { interval, .. }) = &self.envelope.item else { return None };
        let mut duration = UpdateSubscriptionSchedulePhasesDuration::new(match interval {
            Interval::Week => Week,
            Interval::Month => Month,
            Interval::Year => Year,
        });
        duration.interval_count = Some(1);
        Some(duration)
    }
}

/// The first phase to come that is of another price or quantity than the running one.
pub(crate) fn next(schedule: &SubscriptionSchedule) -> Option<Next> {
    let sold = |phase: &SubscriptionSchedulePhaseConfiguration| {
        let item = phase.items.first()?;
        let quantity = item.quantity.map_or(1, |quantity| u32::try_from(quantity).unwrap_or(u32::MAX));
        Some((PriceId::parse(item.price.id().as_str()).ok()?, quantity))
    };
    let running = running(schedule)?;
    let now = sold(running);
    let to_come = schedule.phases.iter().filter(|phase| phase.start_date >= running.end_date);
    let (phase, (price, quantity)) = to_come
        .map(|phase| Some((phase, sold(phase)?)))
        .find(|sold| sold.as_ref().map(|(_, sold)| sold) != now.as_ref())??;
    let empty = HashMap::new();
    let written = phase.metadata.as_ref().unwrap_or(&empty);
    Some(Next {
        price,
        quantity,
        at: Time::from_seconds(phase.start_date),
        envelope: metadata::envelope(written),
        request: written.get(metadata::REQUEST).cloned(),
    })
}

/// `None` where the schedule has not begun, or is over.
fn running(schedule: &SubscriptionSchedule) -> Option<&SubscriptionSchedulePhaseConfiguration> {
    let current = schedule.current_phase.as_ref()?;
    schedule.phases.iter().find(|phase| phase.start_date == current.start_date)
}
