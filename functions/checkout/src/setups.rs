//! Leaving a way to pay without paying: the app's page confirms a setup, and what it leaves is the user's.

use domain::cause::escaped;
use domain::ids::{PaymentMethodId, SetupId, UserId};
use domain::payment::Envelope;
use domain::time::Time;
use edge::request::{empty_body, key_or_fresh, path};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::Serialize;
use settle::stripe_problem;
use stripe_api::{ClientSecret, Setup, SetupOrder};

use crate::Checkout;

#[derive(Serialize)]
struct SetupView<'a> {
    id: &'a SetupId,
    /// Stripe's word.
    status: &'static str,
    /// With which the app's page has its user leave a card or an account.
    client_secret: Option<&'a ClientSecret>,
    /// What was left, once it has succeeded.
    payment_method: Option<&'a PaymentMethodId>,
    /// Why the last try failed.
    failure: Option<&'a str>,
}

impl Checkout {
    pub(crate) async fn open_setup(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        empty_body(request)?;
        let key = key_or_fresh(request)?;
        let published = self.catalogs.current(now).await.map_err(Problem::fault)?;
        let account = self.open_account(user).await?;
        let order = SetupOrder {
            customer: self.customer(&account).await?,
            payment_methods: published.catalog.checkout.payment_methods.clone(),
            envelope: Envelope { user: Some(user.clone()), ..Envelope::default() },
            request: key.to_string(),
        };
        let keyed = format!("{}:{key}", escaped(user.as_str()));
        let opened = self.settle.stripe().open_setup(&order, &keyed).await;
        Ok(Reply::created(&SetupView::of(&opened.map_err(stripe_problem)?))?.with_key(&key))
    }

    pub(crate) async fn show_setup(&self, request: &Request, user: &UserId) -> Result<Reply, Problem> {
        let id: SetupId = path(request, "id")?;
        let customer = self.customer_of(user).await?.ok_or_else(no_such_setup)?;
        let setup = self.settle.stripe().setup(&id).await.map_err(stripe_problem)?;
        let setup = setup.filter(|setup| setup.customer == Some(customer)).ok_or_else(no_such_setup)?;
        Reply::ok(&SetupView::of(&setup))
    }
}

fn no_such_setup() -> Problem {
    Problem::new(Code::NotFound, "you have no such setup")
}

impl<'a> SetupView<'a> {
    fn of(setup: &'a Setup) -> SetupView<'a> {
        SetupView {
            id: &setup.id,
            status: setup.status.name(),
            client_secret: setup.client_secret.as_ref(),
            payment_method: setup.method.as_ref(),
            failure: setup.failure.as_deref(),
        }
    }
}
