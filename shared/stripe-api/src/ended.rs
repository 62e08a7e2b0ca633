//! Subscriptions that Tollgate ends because they may not be. Why stands in Stripe, beside the end itself.

use domain::ids::SubscriptionId;
use stripe::StripeRequest;
use stripe_billing::subscription::{CancelSubscription, CancelSubscriptionCancellationDetails};

use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::subscription::SUBSCRIPTION;
use crate::{Stripe, Subscription};

/// Why a subscription was ended that a user never gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedFor {
    /// Another of its group is live.
    SecondOfGroup,
    /// Its user had a trial before.
    SecondTrial,
}

impl EndedFor {
    const ALL: [EndedFor; 2] = [EndedFor::SecondOfGroup, EndedFor::SecondTrial];

    /// As people read it in Stripe's dashboard, and this reads it back.
    const fn comment(self) -> &'static str {
        match self {
            EndedFor::SecondOfGroup => "Tollgate: another subscription of this group was live",
            EndedFor::SecondTrial => "Tollgate: this customer had a trial before",
        }
    }

    pub(crate) fn read(found: &stripe_shared::Subscription) -> Option<EndedFor> {
        let comment = found.cancellation_details.as_ref()?.comment.as_deref()?;
        EndedFor::ALL.into_iter().find(|why| why.comment() == comment)
    }
}

impl Stripe {
    /// Ends it at once, and says why. One that has ended already stays as it is.
    pub async fn end_subscription(&self, id: &SubscriptionId, why: EndedFor) -> Result<(), StripeError> {
        let mut details = CancelSubscriptionCancellationDetails::new();
        details.comment = Some(why.comment().to_owned());
        let ended = CancelSubscription::new(id.as_str())
            .cancellation_details(details)
            .customize()
            .request_strategy(keyed(self.stack(), "end", &[id.as_str()]))
            .send(&self.call(SUBSCRIPTION))
            .await;
        match ended {
            Ok(_) => Ok(()),
            Err(refusal @ StripeError::Refused(_)) => match self.subscription(id).await? {
                Some(Subscription { status, .. }) if !status.is_final() => Err(refusal),
                _ => Ok(()),
            },
            Err(error) => Err(error.about(SUBSCRIPTION)),
        }
    }
}
