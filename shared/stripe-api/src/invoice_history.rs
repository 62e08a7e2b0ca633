//! A customer's invoices, for the customer to look at.

use std::fmt;

use domain::ids::{CustomerId, InvoiceId, SubscriptionId};
use domain::money::Currency;
use domain::subscription::Period;
use domain::time::Time;
use stripe_billing::invoice::{ListInvoice, RetrieveInvoice};
use stripe_shared::Invoice;

use crate::Stripe;
use crate::error::StripeError;
use crate::invoice::{INVOICE, is_proration, period, subscription_of};
use crate::money;

/// One invoice, drawn up or paid.
#[derive(Clone, PartialEq, Eq)]
pub struct InvoiceSummary {
    pub id: InvoiceId,
    pub customer: Option<CustomerId>,
    pub subscription: Option<SubscriptionId>,
    /// What people call it; a draft has none yet.
    pub number: Option<String>,
    /// In Stripe's word: `draft`, `open`, `paid`, `uncollectible` or `void`.
    pub status: String,
    pub created: Time,
    /// What it charges for: the whole period if it has one, else the rest that a change leaves of one.
    pub period: Period,
    pub currency: Currency,
    pub due_minor: i64,
    pub paid_minor: i64,
    pub total_minor: i64,
    pub tax_minor: i64,
    pub attempts: u64,
    /// When it is charged again.
    pub next_attempt: Option<Time>,
    /// Stripe's page of it. Whoever has the address can look at it, and pay.
    pub hosted_url: Option<String>,
    pub pdf: Option<String>,
}

/// Some of a customer's invoices, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoicePage {
    pub invoices: Vec<InvoiceSummary>,
    /// Whether there are older ones, after the last of these.
    pub has_more: bool,
}

impl Stripe {
    pub async fn customer_invoices(
        &self,
        customer: &CustomerId,
        limit: u8,
        after: Option<&InvoiceId>,
    ) -> Result<InvoicePage, StripeError> {
        let mut list = ListInvoice::new().customer(customer.as_str()).limit(i64::from(limit));
        if let Some(after) = after {
            list = list.starting_after(after.as_str());
        }
        let page = list.send(&self.call(INVOICE)).await.map_err(|error| error.about(INVOICE))?;
        let invoices = page.data.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(InvoicePage { invoices, has_more: page.has_more })
    }

    /// `None` if this account has none of that id. Whose it is has to be looked at.
    pub async fn invoice(&self, id: &InvoiceId) -> Result<Option<InvoiceSummary>, StripeError> {
        match RetrieveInvoice::new(id.as_str()).send(&self.call(INVOICE)).await {
            Ok(found) => read(found).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(INVOICE)),
        }
    }
}

fn read(found: Invoice) -> Result<InvoiceSummary, StripeError> {
    let unreadable = |problem: String| StripeError::malformed(INVOICE, problem);
    let id = found.id.as_ref().map_or("", |id| id.as_str());
    let customer = found.customer.as_ref();
    let taxes = found.total_taxes.iter().flatten().map(|tax| tax.amount);
    let total = money::read(found.total, &found.currency).map_err(|bad| unreadable(bad.to_string()))?;
    Ok(InvoiceSummary {
        id: InvoiceId::parse(id).map_err(|bad| unreadable(bad.to_string()))?,
        customer: customer.and_then(|customer| CustomerId::parse(customer.id().as_str()).ok()),
        subscription: subscription_of(&found)?,
        status: found.status.as_ref().map_or("draft", |status| status.as_str()).to_owned(),
        created: Time::from_seconds(found.created),
        period: charged(&found),
        currency: total.currency,
        due_minor: found.amount_due,
        paid_minor: found.amount_paid,
        total_minor: total.amount_minor,
        tax_minor: taxes.fold(0, i64::saturating_add),
        attempts: found.attempt_count,
        next_attempt: found.next_payment_attempt.map(Time::from_seconds),
        number: found.number,
        hosted_url: found.hosted_invoice_url,
        pdf: found.invoice_pdf,
    })
}

/// What Stripe calls the period of a renewal's invoice is the one before, so the lines tell.
fn charged(found: &Invoice) -> Period {
    let at = Time::from_seconds;
    let charges = found.lines.data.iter().filter(|line| line.amount >= 0);
    let charged = charges.max_by_key(|line| (!is_proration(line), period(line).end));
    charged.map_or(Period { start: at(found.period_start), end: at(found.period_end) }, period)
}

/// Without its addresses, each of which is a key.
impl fmt::Debug for InvoiceSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvoiceSummary")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("due_minor", &self.due_minor)
            .field("paid_minor", &self.paid_minor)
            .finish_non_exhaustive()
    }
}
