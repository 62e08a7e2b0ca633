//! Payment intents: what was paid with them, or why not.

use domain::ids::{CustomerId, PaymentId};
use domain::money::Money;
use domain::payment::{AttemptOutcome, Envelope, Payment};
use domain::time::Time;
use stripe_core::payment_intent::RetrievePaymentIntent;
use stripe_shared::{ApiErrors, PaymentIntent, PaymentIntentStatus};

use crate::error::StripeError;
use crate::{ClientSecret, Stripe, metadata, money};

pub(crate) const INTENT: &str = "payment_intent";

/// What is to be paid, and what became of that so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub id: PaymentId,
    pub envelope: Envelope,
    /// Which request of ours made it.
    pub request: Option<String>,
    pub customer: Option<CustomerId>,
    /// To be paid.
    pub amount: Money,
    pub created: Time,
    pub status: IntentStatus,
    /// What that comes to.
    pub state: IntentState,
    /// What the app confirms it with.
    pub client_secret: Option<ClientSecret>,
}

/// Stripe's status, or that it is one invented after this was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentStatus {
    RequiresMethod,
    RequiresConfirmation,
    /// Its buyer has to do something, such as to answer their bank.
    RequiresAction,
    RequiresCapture,
    /// The bank takes its time.
    Processing,
    Succeeded,
    Canceled,
    Unknown,
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
            Ok(found) => read(found).map(Some),
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

pub(crate) fn read(found: PaymentIntent) -> Result<Intent, StripeError> {
    let malformed = |problem: String| StripeError::malformed(INTENT, problem);
    let money =
        |amount_minor| money::read(amount_minor, &found.currency).map_err(|bad| malformed(bad.to_string()));
    let id = PaymentId::parse(found.id.as_str()).map_err(|bad| malformed(bad.to_string()))?;
    let envelope = metadata::envelope(&found.metadata);
    let customer =
        found.customer.as_ref().and_then(|customer| CustomerId::parse(customer.id().as_str()).ok());
    let status = IntentStatus::of(&found.status);
    let state = match status {
        IntentStatus::Succeeded => IntentState::Succeeded(Payment {
            id: id.clone(),
            customer: customer.clone(),
            paid: money(found.amount_received)?,
            envelope: envelope.clone(),
        }),
        _ => IntentState::Unpaid(outcome(&found)),
    };
    Ok(Intent {
        id,
        envelope,
        request: found.metadata.get(metadata::REQUEST).cloned(),
        customer,
        amount: money(found.amount)?,
        created: Time::from_seconds(found.created),
        status,
        state,
        client_secret: found.client_secret.map(ClientSecret::new),
    })
}

impl IntentStatus {
    fn of(found: &PaymentIntentStatus) -> IntentStatus {
        match found {
            PaymentIntentStatus::RequiresPaymentMethod => IntentStatus::RequiresMethod,
            PaymentIntentStatus::RequiresConfirmation => IntentStatus::RequiresConfirmation,
            PaymentIntentStatus::RequiresAction => IntentStatus::RequiresAction,
            PaymentIntentStatus::RequiresCapture => IntentStatus::RequiresCapture,
            PaymentIntentStatus::Processing => IntentStatus::Processing,
            PaymentIntentStatus::Succeeded => IntentStatus::Succeeded,
            PaymentIntentStatus::Canceled => IntentStatus::Canceled,
            _ => IntentStatus::Unknown,
        }
    }

    /// In Stripe's word.
    pub const fn name(self) -> &'static str {
        match self {
            IntentStatus::RequiresMethod => "requires_payment_method",
            IntentStatus::RequiresConfirmation => "requires_confirmation",
            IntentStatus::RequiresAction => "requires_action",
            IntentStatus::RequiresCapture => "requires_capture",
            IntentStatus::Processing => "processing",
            IntentStatus::Succeeded => "succeeded",
            IntentStatus::Canceled => "canceled",
            IntentStatus::Unknown => "unknown",
        }
    }
}

/// Of an intent that has not succeeded. Whatever waits for somebody may still be paid.
pub(crate) fn outcome(found: &PaymentIntent) -> AttemptOutcome {
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
pub(crate) fn reason(error: &ApiErrors) -> &str {
    let code = || error.code.as_ref().map(|code| code.as_str());
    error.decline_code.as_deref().or_else(code).unwrap_or(error.type_.as_str())
}
