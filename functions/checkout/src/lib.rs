//! Selling: opening a checkout, or subscribing and paying directly, changing what is subscribed to, and settling at
//! once what is paid when its success page asks.

mod alter;
mod billing;
mod customer;
mod invoices;
mod made;
mod methods;
mod order;
mod payment;
mod portal;
mod preview;
mod sale;
mod session;
mod setups;
mod subscription;

use domain::catalog::CheckoutPolicy;
use domain::ids::{SubscriptionId, UserId};
use domain::privacy::PrivacyKeys;
use domain::time::Time;
use edge::request::{answer, no_such_route, route_for_user};
use edge::{BadSetting, Callers, Env, Problem, Reply, StartError};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use lambda_http::{Body, Request, Response};
use settle::{Settle, Synced, in_time, settle_problem};
use store::{Catalogs, HTTP_BUDGET, Store};

type Routed<'a> = BoxFuture<'a, Result<Reply, Problem>>;

pub struct Checkout {
    store: Store,
    catalogs: Catalogs,
    settle: Settle,
    callers: Callers,
    keys: PrivacyKeys,
    /// Origins that this stage allows beside the catalog's, such as a developer's own machine.
    origins: Vec<String>,
}

impl Checkout {
    pub async fn from_env(env: &Env) -> Result<Checkout, StartError> {
        let keys = env.required_privacy_keys()?;
        let (aws, endpoint, table) = edge::aws::table(env).await?;
        let store = Store::open(&aws, endpoint, &table, HTTP_BUDGET);
        let catalogs = Catalogs::start(store.clone(), edge::now()).await?;
        let settle = Settle::from_env(env, store.clone(), catalogs.clone())?;
        let origins = env.list("RETURN_ORIGINS");
        let origins: Result<Vec<String>, String> =
            origins.iter().map(|origin| CheckoutPolicy::origin(origin)).collect();
        let origins = origins.map_err(|problem| BadSetting::Wrong { name: "RETURN_ORIGINS", problem })?;
        let callers = Callers::from_env(env)?;
        Ok(Checkout { origins, ..Checkout::new(store, catalogs, settle, callers, keys) })
    }

    /// Without origins of the stage's own.
    pub fn new(
        store: Store,
        catalogs: Catalogs,
        settle: Settle,
        callers: Callers,
        keys: PrivacyKeys,
    ) -> Checkout {
        Checkout { store, catalogs, settle, callers, keys, origins: Vec::new() }
    }

    pub async fn handle(&self, request: Request, now: Time) -> Response<Body> {
        let reply = in_time(async {
            let user = self.callers.subject(&request)?;
            self.routed(&request, &user, now).await
        });
        answer(&request, reply).await
    }

    /// Each trip in a box of its own: in one future they would need room for all at once, and the stack is not endless.
    fn routed<'a>(&'a self, request: &'a Request, user: &'a UserId, now: Time) -> Routed<'a> {
        match route_for_user(request).as_str() {
            "POST /v1/me/checkout" => self.open_session(request, user, now).boxed(),
            "GET /v1/me/checkout/{id}" => self.show_session(request, user, now).boxed(),

            "POST /v1/me/subscriptions" => self.subscribe(request, user, now).boxed(),
            "GET /v1/me/subscriptions/{id}" => self.show_subscription(request, user, now).boxed(),
            "POST /v1/me/subscriptions/{id}/preview" => self.preview(request, user, now).boxed(),
            "POST /v1/me/subscriptions/{id}/change" => self.change(request, user, now).boxed(),
            "POST /v1/me/subscriptions/{id}/cancel" => self.cancel(request, user, now).boxed(),
            "POST /v1/me/subscriptions/{id}/resume" => self.resume(request, user, now).boxed(),

            "POST /v1/me/payments" => self.pay(request, user, now).boxed(),
            "GET /v1/me/payments/{id}" => self.show_payment(request, user, now).boxed(),
            "POST /v1/me/payments/{id}/confirm" => self.confirm_payment(request, user, now).boxed(),
            "POST /v1/me/payments/{id}/cancel" => self.cancel_payment(request, user, now).boxed(),

            "POST /v1/me/portal" => self.open_portal(request, user, now).boxed(),
            "GET /v1/me/invoices" => self.invoices(request, user).boxed(),
            "POST /v1/me/setups" => self.open_setup(request, user, now).boxed(),
            "GET /v1/me/setups/{id}" => self.show_setup(request, user).boxed(),
            "GET /v1/me/payment-methods" => self.payment_methods(user).boxed(),
            "POST /v1/me/payment-methods/{id}/default" => self.make_default(request, user).boxed(),
            "DELETE /v1/me/payment-methods/{id}" => self.remove_method(request, user).boxed(),
            "GET /v1/me/billing" => self.show_billing(user).boxed(),
            "PUT /v1/me/billing" => self.set_billing(request, user).boxed(),

            _ => ready(Err(no_such_route(request))).boxed(),
        }
    }

    async fn sync(&self, id: &SubscriptionId, user: &UserId, now: Time) -> Result<Synced, Problem> {
        self.settle.sync(id, Some(user.clone()), "checkout", now).await.map_err(settle_problem)
    }
}
