//! Payment intents: what was paid with them.

use domain::ids::{CustomerId, PaymentId};
use domain::payment::Payment;
use stripe_core::payment_intent::RetrievePaymentIntent;
use stripe_shared::PaymentIntentStatus;

use crate::error::StripeError;
use crate::{Stripe, metadata, money};

const INTENT: &str = "payment_intent";

impl Stripe {
    /// What an intent paid for, as its own event tells it. `None` unless it succeeded and carries an envelope;
    /// one without is an invoice's, or another application's.
    pub async fn payment(&self, id: &PaymentId) -> Result<Option<Payment>, StripeError> {
        let found = match RetrievePaymentIntent::new(id.as_str()).send(&self.call(INTENT)).await {
            Ok(found) => found,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.about(INTENT)),
        };
        let envelope = metadata::envelope(&found.metadata);
        if envelope.stack.is_none() || found.status != PaymentIntentStatus::Succeeded {
            return Ok(None);
        }
        let paid = money::read(found.amount_received, &found.currency)
            .map_err(|bad| StripeError::malformed(INTENT, bad.to_string()))?;
        let customer = found.customer.and_then(|customer| CustomerId::parse(customer.id().as_str()).ok());
        Ok(Some(Payment { id: id.clone(), customer, paid, envelope }))
    }
}
