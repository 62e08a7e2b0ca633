//! What a subscriber was billed, as Stripe tells of it: with the page of each invoice, and its PDF.

use domain::ids::{CustomerId, InvoiceId, SubscriptionId, UserId};
use domain::money::Currency;
use domain::subscription::Period;
use domain::time::Time;
use edge::request::{page_size, query};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::Serialize;
use settle::stripe_problem;
use stripe_api::{InvoicePage, InvoiceSummary};

use crate::Checkout;

#[derive(Serialize)]
struct Invoices {
    invoices: Vec<InvoiceView>,
    next: Option<InvoiceId>,
}

#[derive(Serialize)]
struct InvoiceView {
    id: InvoiceId,
    number: Option<String>,
    status: String,
    created: String,
    period: PeriodView,
    amount_due: i64,
    amount_paid: i64,
    total: i64,
    tax: i64,
    currency: Currency,
    subscription: Option<SubscriptionId>,
    /// How often it was tried to be charged.
    attempts: u64,
    next_attempt_at: Option<String>,
    hosted_url: Option<String>,
    pdf: Option<String>,
}

#[derive(Serialize)]
struct PeriodView {
    start: String,
    end: String,
}

impl Checkout {
    /// `?limit=10&cursor=in_…`, newest first.
    pub(crate) async fn invoices(&self, request: &Request, user: &UserId) -> Result<Reply, Problem> {
        let limit = u8::try_from(page_size(request)?).unwrap_or(u8::MAX);
        let after: Option<InvoiceId> = query(request, "cursor")?;
        let page = match self.customer_of(user).await? {
            Some(customer) => self.invoice_page(&customer, limit, after.as_ref()).await?,
            None if after.is_some() => return Err(no_such_invoice()),
            None => InvoicePage { invoices: Vec::new(), has_more: false },
        };
        let next = page.invoices.last().filter(|_| page.has_more).map(|last| last.id.clone());
        Reply::ok(&Invoices { invoices: page.invoices.into_iter().map(InvoiceView::of).collect(), next })
    }

    /// Stripe would go on after anybody's invoice.
    async fn invoice_page(
        &self,
        customer: &CustomerId,
        limit: u8,
        after: Option<&InvoiceId>,
    ) -> Result<InvoicePage, Problem> {
        let stripe = self.settle.stripe();
        if let Some(after) = after {
            let named = stripe.invoice(after).await.map_err(stripe_problem)?;
            named.filter(|named| named.customer.as_ref() == Some(customer)).ok_or_else(no_such_invoice)?;
        }
        stripe.customer_invoices(customer, limit, after).await.map_err(stripe_problem)
    }
}

fn no_such_invoice() -> Problem {
    Problem::new(Code::NotFound, "you have no such invoice")
}

impl InvoiceView {
    fn of(invoice: InvoiceSummary) -> InvoiceView {
        let Period { start, end } = invoice.period;
        InvoiceView {
            id: invoice.id,
            number: invoice.number,
            status: invoice.status,
            created: invoice.created.rfc3339(),
            period: PeriodView { start: start.rfc3339(), end: end.rfc3339() },
            amount_due: invoice.due_minor,
            amount_paid: invoice.paid_minor,
            total: invoice.total_minor,
            tax: invoice.tax_minor,
            currency: invoice.currency,
            subscription: invoice.subscription,
            attempts: invoice.attempts,
            next_attempt_at: invoice.next_attempt.map(Time::rfc3339),
            hosted_url: invoice.hosted_url,
            pdf: invoice.pdf,
        }
    }
}
