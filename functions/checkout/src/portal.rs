//! Stripe's own page on which a subscriber minds cards, invoices and subscriptions.

use domain::ids::UserId;
use domain::time::Time;
use edge::request::body;
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::{Deserialize, Serialize};
use settle::stripe_problem;

use crate::Checkout;
use crate::order::allowed;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Visit {
    return_url: Option<String>,
}

/// For one click, and soon: whoever has the address is let in. So every call answers another, whatever its key.
#[derive(Serialize)]
struct Opened {
    url: String,
}

impl Checkout {
    pub(crate) async fn open_portal(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let (Visit { return_url }, _) = body(request)?;
        let published = self.catalogs.current(now).await.map_err(Problem::fault)?;
        let mut policy = published.catalog.checkout.clone();
        policy.return_origins.extend_from_slice(&self.origins);
        let return_url = allowed("return_url", return_url, &policy)?.unwrap_or_else(|| policy.home());
        let customer = self.customer_of(user).await?.ok_or_else(never_bought)?;
        let stripe = self.settle.stripe();
        let opened = stripe.open_portal(&customer, &return_url, published.portal.as_deref(), None).await;
        Reply::created(&Opened { url: opened.map_err(stripe_problem)? })
    }
}

fn never_bought() -> Problem {
    Problem::new(Code::NotFound, "nothing was ever bought, so there is nothing to look after yet")
}
