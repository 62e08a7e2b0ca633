//! Payment intents: what was paid with them, or why not.

use domain::ids::{CustomerId, PaymentId};
use domain::money::Money;
use domain::payment::{AttemptOutcome, Envelope, Payment};
use domain::time::Time;
use stripe_core::payment_intent::RetrievePaymentIntent;
use stripe_shared::{ApiErrors, PaymentIntent, PaymentIntentStatus};

use crate::error::StripeError;
use crate::{Stripe, metadata, money};

const INTENT: &str = "payment_intent";

/// What is to be paid, and what became of that so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub id: PaymentId,
    pub envelope: Envelope,
    pub customer: Option<CustomerId>,
    /// To be paid.
    pub amount: Money,
    pub created: Time,
    pub state: IntentState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentState {
    Succeeded(Payment),
    Unpaid(AttemptOutcome),
}

impl Stripe {
    /// An intent as it is now; `None` if this account has none of that id.
    pub async fn intent(&self, id: &PaymentId) -> Result<Option<Intent>, StripeError> {
        match RetrievePaymentIntent::new(id.as_str()).send(&self.call(INTENT)).await {
            Ok(found) => read(id, found).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(INTENT)),
        }
    }

    /// What an intent paid for, as its own event tells it. `None` unless it succeeded and carries an envelope;
    /// one without is an invoice's, or another application's.
    pub async fn payment(&self, id: &PaymentId) -> Result<Option<Payment>, StripeError> {
        let intent = self.intent(id).await?.filter(|intent| intent.envelope.stack.is_some());
        Ok(intent.and_then(|intent| match intent.state {
            IntentState::Succeeded(payment) => Some(payment),
            IntentState::Unpaid(_) => None,
        }))
    }
}

fn read(id: &PaymentId, found: PaymentIntent) -> Result<Intent, StripeError> {
    let money = |amount_minor| {
        let read = money::read(amount_minor, &found.currency);
        read.map_err(|bad| StripeError::malformed(INTENT, bad.to_string()))
    };
    let envelope = metadata::envelope(&found.metadata);
    let customer =
        found.customer.as_ref().and_then(|customer| CustomerId::parse(customer.id().as_str()).ok());
    let state = match found.status {
        PaymentIntentStatus::Succeeded => IntentState::Succeeded(Payment {
            id: id.clone(),
            customer: customer.clone(),
            paid: money(found.amount_received)?,
            envelope: envelope.clone(),
        }),
        _ => IntentState::Unpaid(outcome(&found)),
    };
    let (amount, created) = (money(found.amount)?, Time::from_seconds(found.created));
    Ok(Intent { id: id.clone(), envelope, customer, amount, created, state })
}

/// Of an intent that has not succeeded. Whatever waits for somebody may still be paid.
fn outcome(found: &PaymentIntent) -> AttemptOutcome {
    match (&found.status, &found.last_payment_error) {
        (PaymentIntentStatus::Canceled, _) => {
            let reason = found.cancellation_reason.as_ref().map_or("canceled", |reason| reason.as_str());
            AttemptOutcome::Failed(reason.to_owned())
        }
        (PaymentIntentStatus::RequiresPaymentMethod, Some(error)) => {
            AttemptOutcome::Failed(reason(error).to_owned())
        }
        _ => AttemptOutcome::Pending,
    }
}

/// The bank's word, else Stripe's.
fn reason(error: &ApiErrors) -> &str {
    let code = || error.code.as_ref().map(|code| code.as_str());
    error.decline_code.as_deref().or_else(code).unwrap_or(error.type_.as_str())
}
