//! From one object of Stripe's to another: which payment or subscription something is about.

use domain::ids::{InvoiceId, PaymentId, SubscriptionId};
use stripe_billing::invoice_payment::{
    ListInvoicePayment, ListInvoicePaymentPayment, ListInvoicePaymentPaymentType,
};
use stripe_billing::subscription_schedule::RetrieveSubscriptionSchedule;
use stripe_core::dispute::RetrieveDispute;
use stripe_core::refund::RetrieveRefund;
use stripe_shared::{Invoice, InvoicePayment, PaymentIntent};
use stripe_types::Expandable;

use crate::error::StripeError;
use crate::{IntentState, Stripe, payment};

const INVOICE_PAYMENT: &str = "invoice_payment";

/// What an intent is to pay, where that is a stretch of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billed {
    pub invoice: InvoiceId,
    pub subscription: SubscriptionId,
}

impl Stripe {
    /// The invoice that an intent pays, or tries to, and its subscription. `None` where it is no invoice's, or that
    /// is of no subscription.
    pub async fn billed_by(&self, payment: &PaymentId) -> Result<Option<Billed>, StripeError> {
        let mut paid_by = ListInvoicePaymentPayment::new(ListInvoicePaymentPaymentType::PaymentIntent);
        paid_by.payment_intent = Some(payment.to_string());
        let list = ListInvoicePayment::new().payment(paid_by).expand(["data.invoice".to_owned()]);
        let found = self.invoice_payments(list).await?.into_iter().next();
        let invoice = found.and_then(|found| found.invoice.into_object());
        invoice.map(billed).transpose().map(Option::flatten)
    }

    /// The intents that paid an invoice or tried to. Others than the first are rare: it is tried again by the same.
    pub async fn intents_of(&self, invoice: &InvoiceId) -> Result<Vec<PaymentId>, StripeError> {
        let found = self.invoice_payments(ListInvoicePayment::new().invoice(invoice.as_str())).await?;
        let intents = found.into_iter().filter_map(|found| found.payment.payment_intent);
        intents.map(|intent| payment_id(&intent, INVOICE_PAYMENT)).collect()
    }

    /// What became of the money that an invoice asks for. `None` where nothing is due.
    pub(crate) async fn payment_of(&self, invoice: &InvoiceId) -> Result<Option<IntentState>, StripeError> {
        let list = ListInvoicePayment::new()
            .invoice(invoice.as_str())
            .expand(["data.payment.payment_intent".to_owned()]);
        let found = self.invoice_payments(list).await?;
        let intent = found.into_iter().find_map(|found| found.payment.payment_intent?.into_object());
        Ok(intent.map(payment::read).transpose()?.map(|intent| intent.state))
    }

    /// The payment that a refund gives back. `None` where this account has no such refund, or money was charged
    /// without an intent.
    pub async fn refunded_payment(&self, refund: &str) -> Result<Option<PaymentId>, StripeError> {
        let object = "refund";
        match RetrieveRefund::new(refund).send(&self.call(object)).await {
            Ok(refund) => refund.payment_intent.map(|intent| payment_id(&intent, object)).transpose(),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(object)),
        }
    }

    /// The same, of a dispute.
    pub async fn disputed_payment(&self, dispute: &str) -> Result<Option<PaymentId>, StripeError> {
        let object = "dispute";
        match RetrieveDispute::new(dispute).send(&self.call(object)).await {
            Ok(dispute) => dispute.payment_intent.map(|intent| payment_id(&intent, object)).transpose(),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(object)),
        }
    }

    /// The subscription that a schedule holds, or has let go of. `None` where it has none yet.
    pub async fn scheduled_subscription(
        &self,
        schedule: &str,
    ) -> Result<Option<SubscriptionId>, StripeError> {
        let object = "subscription_schedule";
        let found = match RetrieveSubscriptionSchedule::new(schedule).send(&self.call(object)).await {
            Ok(found) => found,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.about(object)),
        };
        let held = found.subscription.map(|subscription| subscription.id().to_string());
        let named = held.or(found.released_subscription).map(SubscriptionId::parse);
        named.transpose().map_err(|bad| StripeError::malformed(object, bad.to_string()))
    }

    async fn invoice_payments(&self, list: ListInvoicePayment) -> Result<Vec<InvoicePayment>, StripeError> {
        match list.send(&self.call(INVOICE_PAYMENT)).await {
            Ok(found) => Ok(found.data),
            Err(error) if error.names_nothing() => Ok(Vec::new()),
            Err(error) => Err(error.about(INVOICE_PAYMENT)),
        }
    }
}

fn billed(invoice: Invoice) -> Result<Option<Billed>, StripeError> {
    let unreadable = |bad: domain::ids::BadId| StripeError::malformed("invoice", bad.to_string());
    let details = invoice.parent.and_then(|parent| parent.subscription_details);
    let Some(details) = details else { return Ok(None) };
    let id = invoice.id.as_ref().map_or("", |id| id.as_str());
    Ok(Some(Billed {
        invoice: InvoiceId::parse(id).map_err(unreadable)?,
        subscription: SubscriptionId::parse(details.subscription.id().as_str()).map_err(unreadable)?,
    }))
}

fn payment_id(intent: &Expandable<PaymentIntent>, object: &'static str) -> Result<PaymentId, StripeError> {
    PaymentId::parse(intent.id().as_str()).map_err(|bad| StripeError::malformed(object, bad.to_string()))
}
