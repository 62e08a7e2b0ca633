//! `GET /v1/admin/payments`: payments by what an operator knows of them.

use domain::ids::{CustomerId, PaymentId, UserId};
use domain::payment::PaymentStatus;
use domain::time::Time;
use domain::view::PaymentView;
use edge::request::{page_size, query};
use edge::{Problem, Reply};
use lambda_http::Request;
use serde::Serialize;
use settle::{SettleError, settle_problem};
use store::{Month, PaymentCursor, PaymentFilter, PaymentPage};

use crate::{Admin, invalid};

#[derive(Serialize)]
struct Payments {
    payments: Vec<PaymentView>,
    next: Option<String>,
}

/// `?payment=pi_…`, `?customer=cus_…` or `?user=…`, each with `status` and `month` as filters; or these alone:
/// then the month is the present one unless it is named.
struct Search {
    of: Of,
    status: Option<PaymentStatus>,
    month: Option<Month>,
    after: Option<PaymentCursor>,
    limit: u16,
}

/// Which payment, or whose.
enum Of {
    Payment(PaymentId),
    Customer(CustomerId),
    User(UserId),
    Everybody,
}

impl Admin {
    pub(crate) async fn search_payments(&self, request: &Request, now: Time) -> Result<Reply, Problem> {
        let page = self.found(Search::wanted(request)?, now).await.map_err(settle_problem)?;
        let payments = page.payments.iter().map(PaymentView::for_operator).collect();
        Reply::ok(&Payments { payments, next: page.next.map(|next| next.to_string()) })
    }

    async fn found(&self, search: Search, now: Time) -> Result<PaymentPage, SettleError> {
        let Search { of, status, month, after, limit } = search;
        let filter = PaymentFilter { status, month, customer: None };
        let (user, filter) = match of {
            Of::Everybody => {
                let month = filter.month.unwrap_or_else(|| Month::of(now));
                return Ok(self.store.payments_with(status, &month, after.as_ref(), limit).await?);
            }
            Of::Payment(payment) => return self.payment(payment, &filter).await,
            Of::User(user) => (Some(user), filter),
            Of::Customer(customer) => {
                let user = self.store.customer_owner(&customer).await?;
                (user, PaymentFilter { customer: Some(customer), ..filter })
            }
        };
        let Some(user) = user else { return Ok(PaymentPage::default()) };
        Ok(self.store.payments(&user, &filter, after.as_ref(), limit).await?)
    }

    async fn payment(&self, payment: PaymentId, filter: &PaymentFilter) -> Result<PaymentPage, SettleError> {
        let Some(user) = self.settle.payer(&payment).await? else { return Ok(PaymentPage::default()) };
        let mut payments = self.store.records(&[(user, payment)]).await?;
        payments.retain(|record| filter.admits(record));
        Ok(PaymentPage { payments, next: None })
    }
}

impl Search {
    fn wanted(request: &Request) -> Result<Search, Problem> {
        let of = match (query(request, "payment")?, query(request, "customer")?, query(request, "user")?) {
            (Some(payment), None, None) => Of::Payment(payment),
            (None, Some(customer), None) => Of::Customer(customer),
            (None, None, Some(user)) => Of::User(user),
            (None, None, None) => Of::Everybody,
            _ => return Err(invalid("name one of `payment`, `customer` and `user`, or none")),
        };
        Ok(Search {
            of,
            status: query(request, "status")?,
            month: query(request, "month")?,
            after: query(request, "cursor")?,
            limit: page_size(request)?,
        })
    }
}
