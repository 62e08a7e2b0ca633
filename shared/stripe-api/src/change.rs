//! What becomes of a subscription that runs: another price or quantity, its end, or that it goes on after all.

use domain::catalog::Proration;
use domain::ids::{PriceId, SubscriptionId};
use domain::payment::Envelope;
use domain::subscription::Status;
use domain::time::Time;
use stripe::StripeRequest;
use stripe_billing::subscription::{
    ResumeSubscription, ResumeSubscriptionPaymentBehavior, UpdateSubscription, UpdateSubscriptionItems,
    UpdateSubscriptionPaymentBehavior, UpdateSubscriptionProrationBehavior,
};
use stripe_client_core::CustomizableStripeRequest;
use stripe_shared::SubscriptionsResourceBillingModeType;

use crate::clearing::Clearing;
use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::subscription::{SUBSCRIPTION, SubscriptionItem, read, unreadable};
use crate::{Stripe, Subscription, schedule};

/// What a subscription is to be, complete: the same order under the same key changes it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeOrder {
    pub subscription: SubscriptionId,
    /// Its first item is the plan's; the others stay as they are.
    pub price: PriceId,
    pub quantity: u32,
    pub proration: Proration,
    /// What is unused and what is due is counted from here, as far as this lies within the period.
    pub counted_from: Time,
    /// What the subscription is for from then on. Its stack is always written as this connection's own.
    pub envelope: Envelope,
    /// Names the request that asked for it: a subscription that carries it has been changed.
    pub request: String,
}

impl Stripe {
    /// Changes it at once, or not at all: what has to be paid for that and cannot be refuses it, and
    /// [`StripeError::decline`] says why. A change that was still to come is given up for it; a planned end is not.
    /// `None` if there is no such subscription.
    pub async fn change_now(
        &self,
        order: &ChangeOrder,
        key: &str,
    ) -> Result<Option<Subscription>, StripeError> {
        let Some(found) = self.subscription(&order.subscription).await? else { return Ok(None) };
        if order.is_met_by(&found) {
            return self.unscheduled(found, key).await.map(Some);
        }
        let request = order.update(&found, self)?.customize();
        let changed = match self.send_update(request, "change", &found.id, key).await {
            // Sent before, when the subscription was another: perhaps it was carried out then.
            Err(error) if error.is_key_reused() => {
                let now = self.subscription(&found.id).await?;
                now.filter(|now| order.is_met_by(now)).ok_or(error)?
            }
            changed => changed?,
        };
        // Only now: a decline leaves what was planned as it was.
        self.unscheduled(changed, key).await.map(Some)
    }

    async fn unscheduled(&self, found: Subscription, key: &str) -> Result<Subscription, StripeError> {
        self.release_schedule(&found, key).await?;
        Ok(Subscription { schedule: None, next: None, ..found })
    }

    /// Has it end when what is paid for does. A change that was still to come is given up for it.
    /// One that has ended already answers as it is; `None` if there is no such subscription.
    pub async fn cancel_at_period_end(
        &self,
        id: &SubscriptionId,
        key: &str,
    ) -> Result<Option<Subscription>, StripeError> {
        let leave = || expanded(UpdateSubscription::new(id.as_str()).cancel_at_period_end(true)).customize();
        match self.send_update(leave(), "leave", id, key).await {
            Ok(leaving) => return Ok(Some(leaving)),
            Err(error) if error.is_missing() => return Ok(None),
            Err(StripeError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        // It has ended, or a schedule has the say, or had it when the key was first used.
        match self.subscription(id).await? {
            Some(found) if !found.status.is_final() => {
                self.release_schedule(&found, key).await?;
                self.send_update(leave(), "leave-unscheduled", id, key).await.map(Some)
            }
            ended => Ok(ended),
        }
    }

    /// Takes back a planned end and a change that is still to come, and ends a pause: a period begins then, and is
    /// paid first. One that has ended already answers as it is; `None` if there is no such subscription.
    pub async fn resume(&self, id: &SubscriptionId, key: &str) -> Result<Option<Subscription>, StripeError> {
        let Some(found) = self.retrieved(id, &[schedule::EXPANDED]).await? else { return Ok(None) };
        let is_flexible = found.billing_mode.type_ == SubscriptionsResourceBillingModeType::Flexible;
        let at_period_end = found.cancel_at_period_end;
        let mut found = read(found)?;
        if found.status.is_final() {
            return Ok(Some(found));
        }
        found = self.unscheduled(found, key).await?;
        if found.cancel_at.is_some() {
            found = self.stay(id, at_period_end, key).await?;
        }
        if found.status == Status::Paused {
            found = self.unpause(id, is_flexible, key).await?;
        }
        Ok(Some(found))
    }

    /// Each way of planning an end has its own of taking it back.
    pub(crate) async fn stay(
        &self,
        id: &SubscriptionId,
        at_period_end: bool,
        key: &str,
    ) -> Result<Subscription, StripeError> {
        let request = UpdateSubscription::new(id.as_str());
        let request = match at_period_end {
            true => expanded(request.cancel_at_period_end(false)).customize(),
            false => expanded(request).clearing("cancel_at"),
        };
        self.send_update(request, "stay", id, key).await
    }

    /// It stays paused until the period that begins is paid. Subscriptions of the older billing mode know no such
    /// thing: Stripe resumes them by its own rules.
    async fn unpause(
        &self,
        id: &SubscriptionId,
        is_flexible: bool,
        key: &str,
    ) -> Result<Subscription, StripeError> {
        let mut request = ResumeSubscription::new(id.as_str()).expand([schedule::EXPANDED.to_owned()]);
        if is_flexible {
            request = request.payment_behavior(ResumeSubscriptionPaymentBehavior::ResumeOnPaymentSuccess);
        }
        match self.send_update(request.customize(), "resume", id, key).await {
            Err(refusal @ StripeError::Refused(_)) => match self.subscription(id).await? {
                Some(now) if now.status != Status::Paused => Ok(now),
                _ => Err(refusal),
            },
            resumed => resumed,
        }
    }

    pub(crate) async fn send_update(
        &self,
        request: CustomizableStripeRequest<stripe_shared::Subscription>,
        what: &str,
        id: &SubscriptionId,
        key: &str,
    ) -> Result<Subscription, StripeError> {
        let sent = request
            .request_strategy(keyed(self.stack(), what, &[id.as_str(), key]))
            .send(&self.call(SUBSCRIPTION))
            .await;
        read(sent.map_err(|error| error.about(SUBSCRIPTION))?)
    }
}

impl ChangeOrder {
    fn is_met_by(&self, found: &Subscription) -> bool {
        found.request.as_ref() == Some(&self.request)
    }

    fn update(&self, found: &Subscription, stripe: &Stripe) -> Result<UpdateSubscription, StripeError> {
        use UpdateSubscriptionProrationBehavior as Behavior;
        let plan = plan_item(found)?;
        let mut item = UpdateSubscriptionItems::new();
        item.id = Some(plan.id.clone());
        item.price = Some(self.price.to_string());
        item.quantity = Some(self.quantity.into());
        let request = UpdateSubscription::new(found.id.as_str())
            .items(vec![item])
            .metadata(stripe.metadata(&self.envelope, &self.request))
            .payment_behavior(UpdateSubscriptionPaymentBehavior::ErrorIfIncomplete);
        let request = match self.counted(found, plan) {
            None => request.proration_behavior(Behavior::None),
            Some((at_once, from)) => request
                .proration_behavior(if at_once {
                    Behavior::AlwaysInvoice
                } else {
                    Behavior::CreateProrations
                })
                .proration_date(from.seconds()),
        };
        Ok(expanded(request))
    }

    /// Whether what a change comes to is invoiced at once, and from when it is counted. `None` if it comes to nothing:
    /// a trial costs the same whatever is tried.
    pub(crate) fn counted(&self, found: &Subscription, plan: &SubscriptionItem) -> Option<(bool, Time)> {
        let from = self.counted_from.max(plan.period_start).min(plan.period_end);
        match self.proration {
            _ if found.status == Status::Trialing => None,
            Proration::None => None,
            Proration::AtOnce => Some((true, from)),
            Proration::NextInvoice => Some((false, from)),
        }
    }
}

pub(crate) fn plan_item(found: &Subscription) -> Result<&SubscriptionItem, StripeError> {
    found.items.first().ok_or_else(|| unreadable("it has no item"))
}

fn expanded(request: UpdateSubscription) -> UpdateSubscription {
    request.expand([schedule::EXPANDED.to_owned()])
}
