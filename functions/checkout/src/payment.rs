//! Payments that the app itself collects: a payment intent is made, confirmed or given up.

use domain::cause::Cause;
use domain::entry::Entry;
use domain::ids::{PaymentId, PaymentMethodId, UserId};
use domain::item::Item;
use domain::lot::Balances;
use domain::money::{Money, Tokens};
use domain::time::Time;
use edge::request::{body, empty_body, key_or_fresh, path};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::{Deserialize, Serialize};
use settle::{settle_problem, stripe_problem};
use stripe_api::{ClientSecret, Intent, IntentState};

use crate::Checkout;
use crate::customer::method_problem;
use crate::made::Made;
use crate::order::Form;

/// How a payment stands. `wallet` is that of its own entry, so it is never stale.
#[derive(Serialize)]
struct Paying<'a> {
    id: &'a PaymentId,
    /// Stripe's word.
    status: &'static str,
    /// With which the app's page has its user pay, while that can be.
    client_secret: Option<&'a ClientSecret>,
    item: Option<&'a Item>,
    amount: Money,
    entry: Option<&'a Cause>,
    tokens: Option<Tokens>,
    wallet: Option<Balances>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    payment_method: Option<PaymentMethodId>,
}

impl Checkout {
    pub(crate) async fn pay(&self, request: &Request, user: &UserId, now: Time) -> Result<Reply, Problem> {
        let sale = self.sell(request, user, Form::Payment, now).await?;
        let Made::Payment(intent) = &sale.made else {
            return Err(Problem::internal("a payment was made into something else"));
        };
        let entry = self.settled(intent, user, now).await?;
        Ok(Reply::created(&Paying::of(intent, entry.as_ref()))?.with_key(&sale.key))
    }

    /// Fulfils at once what is paid, so that nobody waits for the webhook.
    pub(crate) async fn show_payment(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let intent = self.own_intent(request, user).await?;
        self.shown(&intent, user, now).await
    }

    pub(crate) async fn confirm_payment(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let (Confirmation { payment_method }, _) = body(request)?;
        let key = key_or_fresh(request)?;
        let intent = self.own_intent(request, user).await?;
        if let IntentState::Succeeded(_) = intent.state {
            return self.shown(&intent, user, now).await;
        }
        self.open_account(user).await?;
        let stripe = self.settle.stripe();
        let confirmed = stripe.confirm_payment(&intent.id, payment_method.as_ref(), key.as_str()).await;
        let confirmed = confirmed.map_err(method_problem)?.ok_or_else(no_such_payment)?;
        Ok(self.shown(&confirmed, user, now).await?.with_key(&key))
    }

    pub(crate) async fn cancel_payment(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        empty_body(request)?;
        let key = key_or_fresh(request)?;
        let intent = self.own_intent(request, user).await?;
        let canceled = self.settle.stripe().cancel_payment(&intent.id, key.as_str()).await;
        let canceled = canceled.map_err(stripe_problem)?.ok_or_else(no_such_payment)?;
        Ok(self.shown(&canceled, user, now).await?.with_key(&key))
    }

    async fn own_intent(&self, request: &Request, user: &UserId) -> Result<Intent, Problem> {
        let id: PaymentId = path(request, "id")?;
        let intent = self.settle.stripe().intent(&id).await.map_err(stripe_problem)?;
        let intent = intent.filter(|intent| {
            intent.envelope.user.as_ref() == Some(user)
                && intent.envelope.stack.as_deref() == Some(self.settle.stack())
        });
        intent.ok_or_else(no_such_payment)
    }

    async fn shown(&self, intent: &Intent, user: &UserId, now: Time) -> Result<Reply, Problem> {
        let entry = self.settled(intent, user, now).await?;
        Reply::ok(&Paying::of(intent, entry.as_ref()))
    }

    /// The entry of what is paid; of what is not, a record says so.
    async fn settled(&self, intent: &Intent, user: &UserId, now: Time) -> Result<Option<Entry>, Problem> {
        if let IntentState::Succeeded(payment) = &intent.state {
            let entry = self.entry_of(payment, None, now).await?;
            // Booked to somebody else by an operator, it is that user's to see.
            return Ok(entry.filter(|entry| entry.user == *user));
        }
        self.settle.attempt(&intent.id, Some(user.clone()), "payment", now).await.map_err(settle_problem)?;
        Ok(None)
    }
}

impl<'a> Paying<'a> {
    fn of(intent: &'a Intent, entry: Option<&'a Entry>) -> Paying<'a> {
        Paying {
            id: &intent.id,
            status: intent.status.name(),
            client_secret: intent.client_secret.as_ref(),
            item: intent.envelope.item.as_ref(),
            amount: intent.amount,
            entry: entry.map(|entry| &entry.cause),
            tokens: entry.map(Entry::credited),
            wallet: entry.map(|entry| entry.after),
        }
    }
}

fn no_such_payment() -> Problem {
    Problem::new(Code::NotFound, "you have no such payment")
}
