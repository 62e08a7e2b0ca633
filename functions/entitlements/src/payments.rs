//! What a user has paid, and what became of it.

use domain::entry::Entry;
use domain::view::{EntryView, PaymentView, payments_named};
use edge::request::{page_size, query};
use edge::{Problem, Reply};
use lambda_http::Request;
use serde::Serialize;
use store::{PaymentCursor, PaymentFilter};

use crate::Entitlements;

#[derive(Serialize)]
struct Payments {
    payments: Vec<PaymentView>,
    next: Option<String>,
}

impl Entitlements {
    /// `?status=completed&month=2026-11&cursor=…&limit=…`
    pub(crate) async fn payments(&self, request: &Request) -> Result<Reply, Problem> {
        let user = self.callers.subject(request)?;
        let filter = PaymentFilter {
            status: query(request, "status")?,
            month: query(request, "month")?,
            ..PaymentFilter::default()
        };
        let after: Option<PaymentCursor> = query(request, "cursor")?;
        let page = self.store.payments(&user, &filter, after.as_ref(), page_size(request)?).await;
        let page = page.map_err(Problem::fault)?;
        let payments = page.payments.iter().map(PaymentView::new).collect();
        Reply::ok(&Payments { payments, next: page.next.map(|next| next.to_string()) })
    }

    /// Entries with the payments that they name. These are read at once, and only if there are any.
    pub(crate) async fn joined(&self, entries: &[Entry]) -> Result<Vec<EntryView>, Problem> {
        let named = entries.iter().flat_map(|entry| {
            let payments = payments_named(entry).unwrap_or_default().into_iter();
            payments.map(|payment| (entry.user.clone(), payment.clone()))
        });
        let named: Vec<_> = named.collect();
        let known = self.store.records(&named).await.map_err(Problem::fault)?;
        Ok(entries.iter().map(|entry| EntryView::joined(entry, &known)).collect())
    }
}
