//! What Stripe makes of a frozen request: a session, a subscription or a payment intent, always the same one.

use domain::catalog::Published;
use domain::entry::{CheckoutRequest, Detail, Entry};
use domain::ids::{CheckoutId, PaymentId, PaymentMethodId, SubscriptionId};
use domain::item::Item;
use domain::money::Currency;
use domain::payment::Envelope;
use domain::time::{MINUTE_MS, Time};
use edge::{Code, Problem};
use settle::{payment_problem, stripe_problem};
use store::Words;
use stripe_api::{
    CheckoutOrder, Intent, PaymentOrder, Session, Stripe, StripeError, Subscription, SubscriptionOrder,
};

use crate::Checkout;

/// What a frozen request became.
pub enum Made {
    Session(Session),
    Subscription(Subscription),
    Payment(Intent),
}

/// The frozen request in Stripe's terms: always the same for the same entry.
enum Order {
    Session(CheckoutOrder),
    Subscription(SubscriptionOrder),
    Payment(PaymentOrder),
}

/// Stripe refuses a session that expires in less than thirty minutes.
const SHORTEST_MS: i64 = 31 * MINUTE_MS;
/// With less than this left, a request that was under way at the last moment has been refused too.
const TOO_LATE_MS: i64 = 29 * MINUTE_MS;
/// A function that sent a request is over after that long.
const UNDER_WAY_MS: i64 = MINUTE_MS;
/// Stripe dates what it makes by its own clock. What is searched for is matched exactly, so this may be generous.
const CLOCKS_DIFFER_MS: i64 = 60 * MINUTE_MS;

impl Checkout {
    /// What a frozen request led to, or leads to now. `None` if it never did, and is too old to be sent.
    pub(crate) async fn made(&self, entry: &Entry, now: Time) -> Result<Option<Made>, Problem> {
        let frozen = frozen(entry)?;
        if let Some(id) = self.store.result(&entry.cause).await.map_err(Problem::fault)? {
            let made = Made::find(self.settle.stripe(), &id).await?;
            return made.map(Some).ok_or_else(|| Problem::internal(format!("stripe no longer has {id}")));
        }
        let Some(order) = self.order_of(entry).await? else { return Ok(None) };
        let Some(made) = self.send(&order, entry, frozen, now).await? else { return Ok(None) };
        self.store.put_result(&entry.cause, made.id()).await.map_err(Problem::fault)?;
        Ok(Some(made))
    }

    /// What a frozen request led to, without sending it. `None` if that is nothing.
    pub(crate) async fn found(&self, entry: &Entry, now: Time) -> Result<Option<Made>, Problem> {
        if let Some(id) = self.store.result(&entry.cause).await.map_err(Problem::fault)? {
            return Made::find(self.settle.stripe(), &id).await;
        }
        if now.millis() - entry.at.millis() < UNDER_WAY_MS {
            return Err(Problem::try_again(Code::Busy, "the first request may still be under way"));
        }
        let Some(order) = self.order_of(entry).await? else { return Ok(None) };
        order.find(self.settle.stripe(), entry.at.plus_ms(-CLOCKS_DIFFER_MS)).await
    }

    /// `None` where it cannot be told any more.
    async fn order_of(&self, entry: &Entry) -> Result<Option<Order>, Problem> {
        let frozen = frozen(entry)?;
        let published = self.catalogs.version(frozen.catalog).await.map_err(Problem::fault)?;
        let published = published.ok_or_else(|| Problem::internal("the frozen catalog version is gone"))?;
        // Erased: without them it would be another request under the same key.
        let Some(urls) = self.urls(entry, frozen).await? else { return Ok(None) };
        Order::of(entry, frozen, urls, &published, self.settle.stack()).map(Some)
    }

    /// The entry of the request that was sent: another's, where this one joined it.
    pub(crate) async fn origin(&self, mut entry: Entry) -> Result<Entry, Problem> {
        while let Some(joined) = &frozen(&entry)?.joins {
            let joined = self.store.entry(joined).await.map_err(Problem::fault)?;
            entry = joined.ok_or_else(|| Problem::internal("the joined checkout has no entry"))?;
        }
        Ok(entry)
    }

    async fn send(
        &self,
        order: &Order,
        entry: &Entry,
        frozen: &CheckoutRequest,
        now: Time,
    ) -> Result<Option<Made>, Problem> {
        let (stripe, since) = (self.settle.stripe(), entry.at.plus_ms(-CLOCKS_DIFFER_MS));
        let left_ms = frozen.expires_at.millis() - now.millis();
        if left_ms >= SHORTEST_MS {
            return match order.send(stripe, &entry.cause.to_string()).await {
                Ok(made) => Ok(Some(made)),
                // The same request in another wire form, as an older version of this function sent it.
                Err(error) if error.is_key_reused() => {
                    let found = order.find(stripe, since).await?;
                    found.map(Some).ok_or_else(|| stripe_problem(error))
                }
                Err(error) => Err(payment_problem(error)),
            };
        }
        // Too late to send the request again: perhaps it was heard the first time.
        match order.find(stripe, since).await? {
            Some(made) => Ok(Some(made)),
            None if left_ms < TOO_LATE_MS => Ok(None),
            None => Err(Problem::try_again(Code::Busy, "the first request may still be under way")),
        }
    }

    /// Where the buyer of a frozen request returns to; `None` if that is not known any more.
    async fn urls(&self, entry: &Entry, frozen: &CheckoutRequest) -> Result<Option<Words>, Problem> {
        match frozen.urls {
            None => Ok(Some(Words::default())),
            Some(_) => self.store.words(&entry.user, &entry.cause).await.map_err(Problem::fault),
        }
    }
}

/// Whether Stripe said no to what was sent, and so will say no to it for ever.
pub fn is_refusal(problem: &Problem) -> bool {
    matches!(
        problem.code,
        Code::StripeRefused
            | Code::PaymentDeclined
            | Code::BillingAddressNeeded
            | Code::MandateNeeded
            | Code::InvalidRequest
    )
}

pub fn frozen(entry: &Entry) -> Result<&CheckoutRequest, Problem> {
    match &entry.detail {
        Detail::Checkout(frozen) => Ok(frozen),
        _ => Err(Problem::internal(format!("entry {} of this cause is no checkout", entry.seq))),
    }
}

impl Made {
    async fn find(stripe: &Stripe, id: &str) -> Result<Option<Made>, Problem> {
        if let Ok(id) = SubscriptionId::parse(id) {
            return Ok(stripe.subscription(&id).await.map_err(stripe_problem)?.map(Made::Subscription));
        }
        if let Ok(id) = CheckoutId::parse(id) {
            return Ok(stripe.session(&id).await.map_err(stripe_problem)?.map(Made::Session));
        }
        let id = PaymentId::parse(id).map_err(Problem::internal)?;
        Ok(stripe.intent(&id).await.map_err(stripe_problem)?.map(Made::Payment))
    }

    fn id(&self) -> &str {
        match self {
            Made::Session(session) => session.id.as_str(),
            Made::Subscription(subscription) => subscription.id.as_str(),
            Made::Payment(intent) => intent.id.as_str(),
        }
    }
}

impl Order {
    fn of(
        entry: &Entry,
        frozen: &CheckoutRequest,
        urls: Words,
        published: &Published,
        stack: &str,
    ) -> Result<Order, Problem> {
        let envelope = Envelope {
            stack: Some(stack.to_owned()),
            user: Some(entry.user.clone()),
            catalog: Some(frozen.catalog),
            item: Some(frozen.item.clone()),
            trial: frozen.trial.as_ref().and_then(|trial| trial.email),
        };
        let request = entry.cause.fingerprint();
        let method = frozen.direct.as_ref().and_then(|direct| direct.method.clone());
        Ok(match (&frozen.direct, &frozen.item) {
            (None, _) => Order::Session(session(frozen, urls, published, envelope, request)),
            (Some(_), Item::Plan { .. }) => {
                Order::Subscription(subscription(frozen, method, published, envelope, request))
            }
            (Some(_), Item::Package { id, quantity }) => {
                let gone = || Problem::internal(format!("the frozen version has no package {id}"));
                let price = published.catalog.packages.get(id).ok_or_else(gone)?.price;
                let amount = price.checked_mul(*quantity);
                let amount = amount.ok_or_else(|| Problem::internal("more money than can be counted"))?;
                Order::Payment(PaymentOrder {
                    customer: frozen.customer.clone(),
                    amount,
                    method,
                    payment_methods: methods(published, price.currency),
                    envelope,
                    request,
                })
            }
        })
    }

    async fn send(&self, stripe: &Stripe, key: &str) -> Result<Made, StripeError> {
        Ok(match self {
            Order::Session(order) => Made::Session(stripe.open_checkout(order, key).await?),
            Order::Subscription(order) => {
                Made::Subscription(stripe.open_subscription(order, key).await?.subscription)
            }
            Order::Payment(order) => Made::Payment(stripe.open_payment(order, key).await?),
        })
    }

    /// What was made for this order, looked for without its key.
    async fn find(&self, stripe: &Stripe, since: Time) -> Result<Option<Made>, Problem> {
        let is = |request: &Option<String>, wanted: &String| request.as_ref() == Some(wanted);
        let found = match self {
            Order::Session(order) => {
                let made = stripe.customer_sessions(&order.customer, since).await.map_err(stripe_problem)?;
                made.into_iter().find(|made| is(&made.request, &order.request)).map(Made::Session)
            }
            Order::Subscription(order) => {
                let made = stripe.customer_subscriptions(&order.customer, Some(since)).await;
                let mut made = made.map_err(stripe_problem)?.into_iter();
                made.find(|made| is(&made.request, &order.request)).map(Made::Subscription)
            }
            Order::Payment(order) => {
                let made = stripe.customer_payments(&order.customer, since).await.map_err(stripe_problem)?;
                made.into_iter().find(|made| is(&made.request, &order.request)).map(Made::Payment)
            }
        };
        Ok(found)
    }
}

fn session(
    frozen: &CheckoutRequest,
    urls: Words,
    published: &Published,
    envelope: Envelope,
    request: String,
) -> CheckoutOrder {
    let quantity = match frozen.item {
        Item::Package { quantity, .. } => quantity,
        Item::Plan { .. } => 1,
    };
    let (trial_days, trial_needs_method) = trial(frozen, published);
    let defaults = &published.catalog.checkout;
    CheckoutOrder {
        customer: frozen.customer.clone(),
        price: frozen.price.clone(),
        quantity,
        seats: frozen.seats,
        expires_at: frozen.expires_at,
        success_url: urls.success_url.unwrap_or_else(|| defaults.success_url.clone()),
        cancel_url: urls.cancel_url.unwrap_or_else(|| defaults.cancel_url.clone()),
        trial_days,
        trial_needs_method,
        payment_methods: defaults.payment_methods.clone(),
        automatic_tax: defaults.automatic_tax,
        collect_address: defaults.collect_address,
        promotion_codes: defaults.promotion_codes,
        envelope,
        request,
    }
}

fn subscription(
    frozen: &CheckoutRequest,
    method: Option<PaymentMethodId>,
    published: &Published,
    envelope: Envelope,
    request: String,
) -> SubscriptionOrder {
    let (trial_days, _) = trial(frozen, published);
    let currency = currency(frozen, published);
    SubscriptionOrder {
        customer: frozen.customer.clone(),
        price: frozen.price.clone(),
        quantity: frozen.seats,
        trial_days,
        method,
        payment_methods: methods(published, currency),
        automatic_tax: published.catalog.checkout.automatic_tax,
        envelope,
        request,
    }
}

/// How long it may be tried, and whether a way to pay has to be left for that.
fn trial(frozen: &CheckoutRequest, published: &Published) -> (u32, bool) {
    let days = frozen.trial.as_ref().map_or(0, |trial| trial.days);
    let plan = match &frozen.item {
        Item::Plan { id, .. } => published.catalog.plans.get(id),
        Item::Package { .. } => None,
    };
    (days, plan.and_then(|plan| plan.trial).is_none_or(|trial| trial.needs_method))
}

/// Those of the catalog's ways to pay that take a currency. Stripe would refuse the others' company.
fn methods(published: &Published, currency: Currency) -> Vec<String> {
    published.catalog.checkout.payment_methods_in(currency).into_iter().map(str::to_owned).collect()
}

/// What a frozen plan is paid in.
fn currency(frozen: &CheckoutRequest, published: &Published) -> Currency {
    let sold = published.plan_sold_as(&frozen.price);
    sold.map_or(published.catalog.product.currency, |sold| sold.currency)
}
