//! What was made without us and is somebody's all the same: our envelope goes into its metadata, and from then on
//! every event of it finds its owner by the ordinary rule.

use std::collections::HashMap;

use domain::ids::{PaymentId, SubscriptionId};
use domain::payment::Envelope;
use stripe::StripeRequest;
use stripe_billing::subscription::UpdateSubscription;
use stripe_core::payment_intent::UpdatePaymentIntent;

use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::{Stripe, metadata};

impl Stripe {
    /// Writes into a payment whose it is and what it paid for. What else stands there is left.
    pub async fn adopt_payment(
        &self,
        id: &PaymentId,
        envelope: &Envelope,
        key: &str,
    ) -> Result<(), StripeError> {
        let intent = "payment_intent";
        let adopted = UpdatePaymentIntent::new(id.as_str())
            .metadata(self.marks(envelope))
            .customize()
            .request_strategy(keyed(self.stack(), "adopt", &[id.as_str(), key]))
            .send(&self.call(intent))
            .await;
        adopted.map(drop).map_err(|error| error.about(intent))
    }

    /// Writes into a subscription whose it is, also where it has ended.
    pub async fn adopt_subscription(
        &self,
        id: &SubscriptionId,
        envelope: &Envelope,
        key: &str,
    ) -> Result<(), StripeError> {
        let subscription = "subscription";
        let adopted = UpdateSubscription::new(id.as_str())
            .metadata(self.marks(envelope))
            .customize()
            .request_strategy(keyed(self.stack(), "adopt", &[id.as_str(), key]))
            .send(&self.call(subscription))
            .await;
        adopted.map(drop).map_err(|error| error.about(subscription))
    }

    fn marks(&self, envelope: &Envelope) -> HashMap<String, String> {
        metadata::pairs(&Envelope { stack: Some(self.stack().to_owned()), ..envelope.clone() })
    }
}
