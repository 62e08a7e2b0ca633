//! Invoices: what was paid for which stretch of a subscription.

use domain::ids::{CustomerId, InvoiceId, PaymentId, PriceId, SubscriptionId};
use domain::subscription::{InvoiceLine, PaidInvoice, Period};
use domain::time::Time;
use stripe_billing::invoice::{ListInvoice, RetrieveInvoice};
use stripe_billing::invoice_payment::{
    ListInvoicePayment, ListInvoicePaymentPayment, ListInvoicePaymentPaymentType, ListInvoicePaymentStatus,
};
use stripe_client_core::PaginationExt;
use stripe_shared::{Invoice, InvoiceLineItem, InvoicePayment, InvoiceStatus};

use crate::error::StripeError;
use crate::{Stripe, money, paging};

pub(crate) const INVOICE: &str = "invoice";
const INVOICE_PAYMENT: &str = "invoice_payment";
/// Each invoice brings its lines along, so a full page of a hundred could outgrow what we read.
const PAGE: i64 = 50;

impl Stripe {
    /// Every paid invoice of a subscription, oldest first. Each brings its first ten payments along;
    /// nobody has paid one in more parts.
    pub async fn paid_invoices(&self, id: &SubscriptionId) -> Result<Vec<PaidInvoice>, StripeError> {
        let list = ListInvoice::new()
            .subscription(id.as_str())
            .status(InvoiceStatus::Paid)
            .expand(["data.payments".to_owned()])
            .limit(PAGE);
        let found = match paging::all(list.paginate(), self.call(INVOICE)).await {
            // There is no such subscription.
            Err(error) if error.names_nothing() => return Ok(Vec::new()),
            found => found?,
        };
        let mut invoices = Vec::new();
        for invoice in found {
            invoices.push(self.paid_invoice(invoice, id).await?);
        }
        invoices.reverse();
        Ok(invoices)
    }

    /// The subscription that an invoice is of, if it is of one.
    pub async fn subscription_of(&self, invoice: &InvoiceId) -> Result<Option<SubscriptionId>, StripeError> {
        let found = match RetrieveInvoice::new(invoice.as_str()).send(&self.call(INVOICE)).await {
            Ok(found) => found,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.about(INVOICE)),
        };
        subscription_of(&found)
    }

    /// The invoice that an intent paid, or a part of it, if it is an invoice's.
    pub async fn invoice_paid_by(&self, payment: &PaymentId) -> Result<Option<InvoiceId>, StripeError> {
        let mut paid_by = ListInvoicePaymentPayment::new(ListInvoicePaymentPaymentType::PaymentIntent);
        paid_by.payment_intent = Some(payment.to_string());
        let list = ListInvoicePayment::new().payment(paid_by).status(ListInvoicePaymentStatus::Paid);
        let found = match list.send(&self.call(INVOICE_PAYMENT)).await {
            Ok(found) => found.data.into_iter().next(),
            Err(error) if error.names_nothing() => None,
            Err(error) => return Err(error.about(INVOICE_PAYMENT)),
        };
        let invoice = found.map(|found| match found.invoice.id() {
            Some(id) => InvoiceId::parse(id.as_str()).map_err(unreadable),
            None => Err(unreadable("no id")),
        });
        invoice.transpose()
    }

    async fn paid_invoice(
        &self,
        invoice: Invoice,
        subscription: &SubscriptionId,
    ) -> Result<PaidInvoice, StripeError> {
        let id = InvoiceId::parse(invoice.id.as_ref().map_or("", |id| id.as_str())).map_err(unreadable)?;
        // Credits and charges for changes come first in them, so the period itself may be beyond the inline ones.
        let lines = paging::all(invoice.lines.into_paginator(), self.call(INVOICE)).await?;
        let billed = lines.iter().filter(|line| is_billed(line, subscription));
        let payments = invoice.payments.map(|payments| payments.data).unwrap_or_default();
        Ok(PaidInvoice {
            id,
            subscription: subscription.clone(),
            customer: invoice.customer.and_then(|customer| CustomerId::parse(customer.id().as_str()).ok()),
            paid: money::read(invoice.amount_paid, &invoice.currency).map_err(unreadable)?,
            payments: by_intent(&payments),
            lines: billed.map(line).collect(),
        })
    }
}

pub(crate) fn subscription_of(invoice: &Invoice) -> Result<Option<SubscriptionId>, StripeError> {
    let details = invoice.parent.as_ref().and_then(|parent| parent.subscription_details.as_ref());
    let subscription = details.map(|details| SubscriptionId::parse(details.subscription.id().as_str()));
    subscription.transpose().map_err(unreadable)
}

/// Whether a line charges for a stretch of the subscription. A credit for unused time does not:
/// the end of what was given back would pass for the end of what was paid.
fn is_billed(line: &InvoiceLineItem, subscription: &SubscriptionId) -> bool {
    let parent = line.parent.as_ref();
    let Some(details) = parent.and_then(|parent| parent.subscription_item_details.as_ref()) else {
        return false;
    };
    let is_of = details.subscription.as_deref().is_none_or(|named| named == subscription.as_str());
    let is_credit = line.amount < 0 || details.proration && line.amount == 0;
    is_of && !is_credit
}

fn line(line: &InvoiceLineItem) -> InvoiceLine {
    let pricing = line.pricing.as_ref().and_then(|pricing| pricing.price_details.as_ref());
    InvoiceLine {
        price: pricing.and_then(|details| PriceId::parse(details.price.id().as_str()).ok()),
        // A fraction of something metered has no whole number of it.
        quantity: line.quantity.map_or(1, |quantity| u32::try_from(quantity).unwrap_or(u32::MAX)),
        period: period(line),
        proration: is_proration(line),
    }
}

pub(crate) fn period(line: &InvoiceLineItem) -> Period {
    let at = Time::from_seconds;
    Period { start: at(line.period.start), end: at(line.period.end) }
}

/// Whether a line comes of a change in mid-period. One that waited for its invoice says so as an item of it.
pub(crate) fn is_proration(line: &InvoiceLineItem) -> bool {
    let Some(parent) = &line.parent else { return false };
    parent.subscription_item_details.as_ref().is_some_and(|details| details.proration)
        || parent.invoice_item_details.as_ref().is_some_and(|details| details.proration)
}

/// How much each intent paid, should one have paid in parts.
fn by_intent(payments: &[InvoicePayment]) -> Vec<(PaymentId, i64)> {
    let mut paid: Vec<(PaymentId, i64)> = Vec::new();
    for (intent, amount_minor) in payments.iter().filter_map(intent) {
        match paid.iter_mut().find(|(known, _)| *known == intent) {
            Some((_, sum)) => *sum = sum.saturating_add(amount_minor),
            None => paid.push((intent, amount_minor)),
        }
    }
    paid
}

/// The intent that paid a part of an invoice. Money that came outside of Stripe has none.
fn intent(payment: &InvoicePayment) -> Option<(PaymentId, i64)> {
    let intent = payment.payment.payment_intent.as_ref().filter(|_| payment.status == "paid")?;
    Some((PaymentId::parse(intent.id().as_str()).ok()?, payment.amount_paid?))
}

fn unreadable(bad: impl ToString) -> StripeError {
    StripeError::malformed(INVOICE, bad.to_string())
}
