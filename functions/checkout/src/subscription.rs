//! Subscriptions made without a page of Stripe's, and how any of them stands.

use domain::ids::{SubscriptionId, UserId};
use domain::lot::Balances;
use domain::subscription::Seen;
use domain::time::Time;
use domain::view::SubscriptionView;
use edge::request::path;
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::Serialize;
use settle::{Synced, stripe_problem};
use store::Read;
use stripe_api::ClientSecret;

use crate::Checkout;
use crate::made::Made;
use crate::order::Form;

/// How a subscription stands, once the books say what Stripe says.
#[derive(Serialize)]
pub struct Stands {
    id: SubscriptionId,
    status: &'static str,
    /// With which the app has its user authenticate or pay, where the first payment is still to be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<ClientSecret>,
    /// How long it can be tried, whatever was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial_days: Option<u32>,
    subscription: SubscriptionView,
    wallet: Balances,
}

impl Checkout {
    pub(crate) async fn subscribe(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let sale = self.sell(request, user, Form::Subscription, now).await?;
        let Made::Subscription(made) = &sale.made else {
            return Err(Problem::internal("a subscription was made into something else"));
        };
        let stands = self.standing(&made.id, user, now).await?;
        let client_secret = self.settle.stripe().client_secret(&made.id).await.map_err(stripe_problem)?;
        let stands = Stands { client_secret, trial_days: sale.trial_days, ..stands };
        Ok(Reply::created(&stands)?.with_key(&sale.key))
    }

    /// Looks first, so that whoever comes back from the portal sees at once what they did there.
    pub(crate) async fn show_subscription(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let id: SubscriptionId = path(request, "id")?;
        Reply::ok(&self.standing(&id, user, now).await?)
    }

    pub(crate) async fn standing(
        &self,
        id: &SubscriptionId,
        user: &UserId,
        now: Time,
    ) -> Result<Stands, Problem> {
        let seen = self.look(id, user, now).await?;
        let account = self.store.account(user, Read::Consistent).await.map_err(Problem::fault)?;
        Ok(Stands {
            id: id.clone(),
            status: seen.status_at(now).name(),
            client_secret: None,
            trial_days: None,
            subscription: SubscriptionView::new(&seen, now),
            wallet: account.advance(now).account.balances(),
        })
    }

    /// A user's subscription as Stripe says it is, and the books by now.
    pub(crate) async fn look(&self, id: &SubscriptionId, user: &UserId, now: Time) -> Result<Seen, Problem> {
        match self.sync(id, user, now).await? {
            Synced::Settled { user: owner, seen, .. } if owner == *user => Ok(*seen),
            _ => Err(no_such_subscription()),
        }
    }
}

pub fn no_such_subscription() -> Problem {
    Problem::new(Code::NotFound, "you have no such subscription")
}
