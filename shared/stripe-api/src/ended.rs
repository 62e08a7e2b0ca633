//! Subscriptions that Tollgate ends because they may not be. Why stands in Stripe, beside the end itself.

use std::collections::HashMap;

use domain::ids::SubscriptionId;
use stripe::StripeRequest;
use stripe_billing::subscription::{
    CancelSubscription, CancelSubscriptionCancellationDetails, UpdateSubscription,
};

use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::subscription::SUBSCRIPTION;
use crate::{Stripe, Subscription, metadata};

/// Why a subscription was ended that a user never gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedFor {
    /// An earlier one of its group is live.
    SecondOfGroup,
    /// It gave no access, and another of its group is live.
    IdleOfGroup,
    /// Its user had a trial before.
    SecondTrial,
    /// Its first payment was never made, and something else is bought instead.
    Replaced,
}

impl EndedFor {
    const ALL: [EndedFor; 4] =
        [EndedFor::SecondOfGroup, EndedFor::IdleOfGroup, EndedFor::SecondTrial, EndedFor::Replaced];

    const fn word(self) -> &'static str {
        match self {
            EndedFor::SecondOfGroup => "second_of_group",
            EndedFor::IdleOfGroup => "idle_of_group",
            EndedFor::SecondTrial => "second_trial",
            EndedFor::Replaced => "replaced",
        }
    }

    /// As people read it in Stripe's dashboard.
    const fn comment(self) -> &'static str {
        match self {
            EndedFor::SecondOfGroup => "Tollgate: another subscription of this group was live",
            EndedFor::IdleOfGroup => "Tollgate: it gave no access, and another of this group was live",
            EndedFor::SecondTrial => "Tollgate: this customer had a trial before",
            EndedFor::Replaced => "Tollgate: something else was bought instead",
        }
    }

    /// Customers write comments too, and what was marked may have ended otherwise: it was us where both say so. Whoever
    /// comes too late marks it again, for what may be another reason; the comment is of the end itself.
    pub(crate) fn read(found: &stripe_shared::Subscription) -> Option<EndedFor> {
        found.ended_at?;
        let word = found.metadata.get(metadata::ENDED)?;
        let is_marked = EndedFor::ALL.into_iter().any(|why| why.word() == word);
        let comment = found.cancellation_details.as_ref()?.comment.as_deref()?;
        EndedFor::ALL.into_iter().find(|why| why.comment() == comment).filter(|_| is_marked)
    }
}

impl Stripe {
    /// Ends it at once, and says why. One that has ended already stays as it is.
    pub async fn end_subscription(&self, id: &SubscriptionId, why: EndedFor) -> Result<(), StripeError> {
        match self.mark_and_cancel(id, why).await {
            Ok(()) => Ok(()),
            Err(refusal @ StripeError::Refused(_)) => match self.subscription(id).await? {
                Some(Subscription { status, .. }) if !status.is_final() => Err(refusal),
                _ => Ok(()),
            },
            Err(error) => Err(error.about(SUBSCRIPTION)),
        }
    }

    /// In this order: an end without its reason would never be made good.
    async fn mark_and_cancel(&self, id: &SubscriptionId, why: EndedFor) -> Result<(), StripeError> {
        let word = (metadata::ENDED.to_owned(), why.word().to_owned());
        UpdateSubscription::new(id.as_str())
            .metadata(HashMap::from([word]))
            .customize()
            .request_strategy(keyed(self.stack(), "mark", &[id.as_str(), why.word()]))
            .send(&self.call(SUBSCRIPTION))
            .await?;
        let mut details = CancelSubscriptionCancellationDetails::new();
        details.comment = Some(why.comment().to_owned());
        CancelSubscription::new(id.as_str())
            .cancellation_details(details)
            .customize()
            .request_strategy(keyed(self.stack(), "end", &[id.as_str(), why.word()]))
            .send(&self.call(SUBSCRIPTION))
            .await?;
        Ok(())
    }
}
