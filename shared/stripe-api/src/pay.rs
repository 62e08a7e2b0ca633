//! Payments without a page of Stripe's: made, confirmed and given up by the app that collects what they are paid with.

use domain::ids::{CustomerId, PaymentId, PaymentMethodId};
use domain::money::Money;
use domain::payment::Envelope;
use domain::time::Time;
use stripe::StripeRequest;
use stripe_core::payment_intent::{
    CancelPaymentIntent, ConfirmPaymentIntent, CreatePaymentIntent,
    CreatePaymentIntentAutomaticPaymentMethods, CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects,
    ListPaymentIntent,
};
use stripe_types::RangeQueryTs;

use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::payment::{INTENT, read};
use crate::{Intent, Stripe, money, paging, words};

const PAGE: i64 = 100;
/// Stripe's code for an intent that is past what was asked of it.
const UNEXPECTED_STATE: &str = "payment_intent_unexpected_state";

/// What is to be paid, complete: the same order under the same key is the same intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentOrder {
    pub customer: CustomerId,
    pub amount: Money,
    /// Charged at once. Absent where the app is yet to collect it, with the secret of the intent.
    pub method: Option<PaymentMethodId>,
    /// In Stripe's words, such as `sepa_debit`; where there are none, what the account offers and the app can
    /// confirm without sending its user anywhere.
    pub payment_methods: Vec<String>,
    /// Its stack is always written as this connection's own.
    pub envelope: Envelope,
    /// Names the request that asked for it, so that the intent can be found again without its id.
    pub request: String,
}

impl Stripe {
    /// A decline is no error: the intent is there, says why it failed, and may be paid by another card.
    pub async fn open_payment(&self, order: &PaymentOrder, key: &str) -> Result<Intent, StripeError> {
        let opened = self
            .new_payment(order)
            .customize()
            .request_strategy(keyed(self.stack(), "pay", &[key]))
            .send(&self.call(INTENT))
            .await;
        let refusal = match opened {
            Ok(opened) => return read(opened),
            Err(refusal) => refusal.about(INTENT),
        };
        match declined(&refusal) {
            Some(payment) => self.intent(payment).await?.ok_or(refusal),
            None => Err(refusal),
        }
    }

    /// Charges what the intent has, or this instead. A decline is no error, and one that is past being confirmed
    /// answers as it is. `None` if this account has none of that id.
    pub async fn confirm_payment(
        &self,
        id: &PaymentId,
        method: Option<&PaymentMethodId>,
        key: &str,
    ) -> Result<Option<Intent>, StripeError> {
        let mut request = ConfirmPaymentIntent::new(id.as_str());
        if let Some(method) = method {
            request = request.payment_method(method.as_str());
        }
        let confirmed = request
            .customize()
            .request_strategy(keyed(self.stack(), "confirm", &[id.as_str(), key]))
            .send(&self.call(INTENT))
            .await;
        self.or_as_it_is(id, confirmed).await
    }

    /// Gives it up, so that nobody pays it any more. One that is paid, or is being paid, answers as it is.
    /// `None` if this account has none of that id.
    pub async fn cancel_payment(&self, id: &PaymentId, key: &str) -> Result<Option<Intent>, StripeError> {
        let canceled = CancelPaymentIntent::new(id.as_str())
            .customize()
            .request_strategy(keyed(self.stack(), "give-up", &[id.as_str(), key]))
            .send(&self.call(INTENT))
            .await;
        self.or_as_it_is(id, canceled).await
    }

    /// Every intent of a customer since then, newest first; also those of its invoices.
    pub async fn customer_payments(
        &self,
        customer: &CustomerId,
        since: Time,
    ) -> Result<Vec<Intent>, StripeError> {
        let list = ListPaymentIntent::new()
            .customer(customer.as_str())
            .created(RangeQueryTs::gte(since.seconds()))
            .limit(PAGE);
        let found = paging::all(list.paginate(), self.call(INTENT)).await?;
        found.into_iter().map(read).collect()
    }

    fn new_payment(&self, order: &PaymentOrder) -> CreatePaymentIntent {
        use CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects::Never;
        let Money { amount_minor, .. } = order.amount;
        let mut request = CreatePaymentIntent::new(amount_minor, money::currency(order.amount))
            .customer(order.customer.as_str())
            .metadata(self.metadata(&order.envelope, &order.request));
        request = if order.payment_methods.is_empty() {
            let mut offered = CreatePaymentIntentAutomaticPaymentMethods::new(true);
            offered.allow_redirects = Some(Never);
            request.automatic_payment_methods(offered)
        } else {
            request.allowed_payment_method_types(words::read(&order.payment_methods))
        };
        match &order.method {
            Some(method) => request.payment_method(method.as_str()).confirm(true),
            None => request,
        }
    }

    /// A refusal that only says what state the intent is in is answered with the intent.
    async fn or_as_it_is(
        &self,
        id: &PaymentId,
        answer: Result<stripe_shared::PaymentIntent, StripeError>,
    ) -> Result<Option<Intent>, StripeError> {
        match answer {
            Ok(found) => read(found).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) if declined(&error).is_some() || error.code() == Some(UNEXPECTED_STATE) => {
                self.intent(id).await
            }
            Err(error) => Err(error.about(INTENT)),
        }
    }
}

/// The intent that a bank, or Stripe in its place, would not pay.
fn declined(error: &StripeError) -> Option<&PaymentId> {
    match error {
        StripeError::Refused(refusal) if refusal.status == 402 => refusal.payment.as_ref(),
        _ => None,
    }
}
