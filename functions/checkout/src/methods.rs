//! What a user has left to pay with: listed, chosen and taken away.

use domain::ids::{CustomerId, PaymentMethodId, SubscriptionId, UserId};
use domain::subscription::Status;
use edge::request::{empty_body, path};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::Serialize;
use settle::stripe_problem;
use stripe_api::{PaymentMethod, Stripe, Subscription};

use crate::Checkout;

#[derive(Serialize)]
struct PaymentMethods<'a> {
    payment_methods: Vec<MethodView<'a>>,
}

#[derive(Serialize)]
struct MethodView<'a> {
    id: &'a PaymentMethodId,
    /// Stripe's word, such as `card` or `sepa_debit`.
    r#type: &'a str,
    brand: Option<&'a str>,
    last4: Option<&'a str>,
    expires: Option<Expiry>,
    bank: Option<&'a str>,
    default: bool,
    /// What renews and is charged to it.
    subscriptions: Vec<&'a SubscriptionId>,
}

#[derive(Serialize)]
struct Expiry {
    month: i64,
    year: i64,
}

/// All that a customer has left, and all that is charged to it.
struct Means {
    methods: Vec<PaymentMethod>,
    renewing: Vec<Subscription>,
}

impl Checkout {
    pub(crate) async fn payment_methods(&self, user: &UserId) -> Result<Reply, Problem> {
        let means = match self.customer_of(user).await? {
            Some(customer) => Means::of(self.settle.stripe(), &customer).await?,
            None => Means { methods: Vec::new(), renewing: Vec::new() },
        };
        let shown = means.methods.iter().map(|method| means.shown(method));
        Reply::ok(&PaymentMethods { payment_methods: shown.collect() })
    }

    /// What renews was perhaps made with a method of its own; that goes over to this one too.
    pub(crate) async fn make_default(&self, request: &Request, user: &UserId) -> Result<Reply, Problem> {
        empty_body(request)?;
        let (customer, mut means, id) = self.own_method(request, user).await?;
        let stripe = self.settle.stripe();
        stripe.make_default(&customer, &id).await.map_err(stripe_problem)?;
        for subscription in means.renewing.iter_mut().filter(|held| held.method.is_some()) {
            if subscription.method.as_ref() != Some(&id) {
                stripe.charge_to(&subscription.id, &id).await.map_err(stripe_problem)?;
                subscription.method = Some(id.clone());
            }
        }
        for method in &mut means.methods {
            method.is_default = method.id == id;
        }
        let made = means.methods.iter().find(|method| method.id == id).ok_or_else(no_such_method)?;
        Reply::ok(&means.shown(made))
    }

    /// Never leaves what renews with nothing to be charged to.
    pub(crate) async fn remove_method(&self, request: &Request, user: &UserId) -> Result<Reply, Problem> {
        let (_, means, id) = self.own_method(request, user).await?;
        let stripe = self.settle.stripe();
        let default = means.default().filter(|default| **default != id);
        for subscription in means.waiting_for(&id) {
            let default = default.ok_or_else(|| means.in_use(&subscription.id))?;
            if subscription.method.is_some() {
                stripe.charge_to(&subscription.id, default).await.map_err(stripe_problem)?;
            }
        }
        stripe.detach(&id).await.map_err(stripe_problem)?;
        Ok(Reply::no_content())
    }

    /// The method that a request names, if it is the user's.
    async fn own_method(
        &self,
        request: &Request,
        user: &UserId,
    ) -> Result<(CustomerId, Means, PaymentMethodId), Problem> {
        let id: PaymentMethodId = path(request, "id")?;
        let customer = self.customer_of(user).await?.ok_or_else(no_such_method)?;
        let means = Means::of(self.settle.stripe(), &customer).await?;
        match means.methods.iter().any(|method| method.id == id) {
            true => Ok((customer, means, id)),
            false => Err(no_such_method()),
        }
    }
}

impl Means {
    async fn of(stripe: &Stripe, customer: &CustomerId) -> Result<Means, Problem> {
        let asked =
            tokio::try_join!(stripe.payment_methods(customer), stripe.customer_subscriptions(customer, None));
        let (methods, mut renewing) = asked.map_err(stripe_problem)?;
        renewing.retain(renews);
        Ok(Means { methods, renewing })
    }

    fn default(&self) -> Option<&PaymentMethodId> {
        self.methods.iter().find(|method| method.is_default).map(|method| &method.id)
    }

    fn charged_for<'a>(&'a self, held: &'a Subscription) -> Option<&'a PaymentMethodId> {
        held.method.as_ref().or_else(|| self.default())
    }

    /// What would have to be charged to something else without this one. Where nothing was chosen, the only one there
    /// is may be what somebody counts on.
    fn waiting_for(&self, id: &PaymentMethodId) -> Vec<&Subscription> {
        let only = self.methods.first().filter(|_| self.methods.len() == 1).map(|method| &method.id);
        let is_charged = |held: &&Subscription| self.charged_for(held).or(only) == Some(id);
        self.renewing.iter().filter(is_charged).collect()
    }

    fn in_use(&self, subscription: &SubscriptionId) -> Problem {
        let first = match self.methods.len() {
            1 => "leave another way to pay and make it the default first",
            _ => "make another one the default first",
        };
        let detail = format!("{subscription} is paid with this; {first}, or cancel the subscription");
        Problem::new(Code::PaymentMethodInUse, detail).with("subscription", subscription.as_str())
    }

    fn shown<'a>(&'a self, method: &'a PaymentMethod) -> MethodView<'a> {
        let expires = method.exp_month.zip(method.exp_year);
        let charged = self.renewing.iter().filter(|held| self.charged_for(held) == Some(&method.id));
        MethodView {
            id: &method.id,
            r#type: &method.kind,
            brand: method.brand.as_deref(),
            last4: method.last4.as_deref(),
            expires: expires.map(|(month, year)| Expiry { month, year }),
            bank: method.bank.as_deref(),
            default: method.is_default,
            subscriptions: charged.map(|held| &held.id).collect(),
        }
    }
}

/// Whether more of it is going to be charged.
fn renews(held: &Subscription) -> bool {
    !held.status.is_final() && held.status != Status::Incomplete && held.cancel_at.is_none()
}

fn no_such_method() -> Problem {
    Problem::new(Code::NotFound, "you have no such payment method")
}
