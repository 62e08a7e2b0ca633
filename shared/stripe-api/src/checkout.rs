//! Checkout sessions that sell something once or as a subscription: opened, read, searched for and expired.

use domain::ids::{CheckoutId, CustomerId, InvoiceId, PaymentId, PriceId, SubscriptionId};
use domain::item::Item;
use domain::payment::{AttemptOutcome, Envelope, Payment};
use domain::time::Time;
use stripe::StripeRequest;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionAutomaticTax, CreateCheckoutSessionCustomerUpdate,
    CreateCheckoutSessionCustomerUpdateAddress, CreateCheckoutSessionCustomerUpdateName,
    CreateCheckoutSessionLineItems, CreateCheckoutSessionPaymentIntentData,
    CreateCheckoutSessionPaymentMethodCollection, CreateCheckoutSessionSubscriptionData,
    CreateCheckoutSessionSubscriptionDataTrialSettings,
    CreateCheckoutSessionSubscriptionDataTrialSettingsEndBehavior,
    CreateCheckoutSessionSubscriptionDataTrialSettingsEndBehaviorMissingPaymentMethod, ExpireCheckoutSession,
    ListCheckoutSession, RetrieveCheckoutSession,
};
use stripe_shared::{
    CheckoutSession, CheckoutSessionBillingAddressCollection, CheckoutSessionMode,
    CheckoutSessionPaymentStatus, CheckoutSessionStatus,
};
use stripe_types::RangeQueryTs;

use crate::error::StripeError;
use crate::idempotency::{keyed, keyed_once};
use crate::{IntentState, Stripe, metadata, money, paging, payment, words};

const SESSION: &str = "checkout.session";
const PAGE: i64 = 100;

/// What is to be paid for, complete: the same order under the same key is the same session.
/// An order whose envelope names a plan opens a subscription; any other is paid once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutOrder {
    pub customer: CustomerId,
    pub price: PriceId,
    /// Of a package.
    pub quantity: u32,
    /// Of a plan.
    pub seats: u32,
    /// How long a plan may be tried; none at all where it is zero.
    pub trial_days: u32,
    /// Whether a way to pay has to be left for a trial. One that ends without any is paused.
    pub trial_needs_method: bool,
    /// In Stripe's words, such as `sepa_debit`; what the account offers where there are none.
    pub payment_methods: Vec<String>,
    pub automatic_tax: bool,
    /// The buyer's billing address, kept with the customer.
    pub collect_address: bool,
    pub promotion_codes: bool,
    pub expires_at: Time,
    pub success_url: String,
    pub cancel_url: String,
    /// Its stack is always written as this connection's own.
    pub envelope: Envelope,
    /// Names the request that asked for it, so that the session can be found again without its id.
    pub request: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: CheckoutId,
    /// Where the buyer pays, while it is open.
    pub url: Option<String>,
    pub status: SessionStatus,
    pub created: Time,
    pub expires_at: Time,
    pub customer: Option<CustomerId>,
    pub envelope: Envelope,
    pub request: Option<String>,
    /// The money of a one-off sale, once it has arrived. What a subscription cost its invoices tell.
    pub payment: Option<Payment>,
    /// Why the money that was under way did not arrive. Told of a session that is looked at by itself.
    pub failure: Option<String>,
    /// What a sold plan became, once the buyer is done.
    pub subscription: Option<SubscriptionId>,
    /// A sold plan's first invoice.
    pub invoice: Option<InvoiceId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    Open,
    /// The buyer is done; the money is still under way.
    Processing,
    Complete,
    Expired,
}

impl Stripe {
    pub async fn open_checkout(&self, order: &CheckoutOrder, key: &str) -> Result<Session, StripeError> {
        let opened = self
            .new_session(order)
            .customize()
            .request_strategy(keyed(self.stack(), "checkout", &[key]))
            .send(&self.call(SESSION))
            .await;
        read(opened.map_err(|error| error.about(SESSION))?)
    }

    /// `None` if this account has no such session.
    pub async fn session(&self, id: &CheckoutId) -> Result<Option<Session>, StripeError> {
        // A session that is paid by a bank never says that the bank refused; its intent does.
        let request = RetrieveCheckoutSession::new(id.as_str()).expand(["payment_intent".to_owned()]);
        let session = match request.send(&self.call(SESSION)).await {
            Ok(session) => read(session)?,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.about(SESSION)),
        };
        match session.invoice.clone().filter(|_| session.status == SessionStatus::Processing) {
            Some(invoice) => self.with_news(session, &invoice).await.map(Some),
            None => Ok(Some(session)),
        }
    }

    /// A plan's session names no intent, and does not hear of what its invoice is paid with later.
    async fn with_news(&self, session: Session, invoice: &InvoiceId) -> Result<Session, StripeError> {
        Ok(match self.payment_of(invoice).await? {
            Some(IntentState::Succeeded(_)) => Session { status: SessionStatus::Complete, ..session },
            Some(IntentState::Unpaid(AttemptOutcome::Failed(why))) => {
                Session { failure: Some(why), ..session }
            }
            _ => session,
        })
    }

    /// Every session made for a customer since then, newest first.
    pub async fn customer_sessions(
        &self,
        customer: &CustomerId,
        since: Time,
    ) -> Result<Vec<Session>, StripeError> {
        let list = ListCheckoutSession::new()
            .customer(customer.as_str())
            .created(RangeQueryTs::gte(since.seconds()))
            .limit(PAGE);
        let sessions = paging::all(list.paginate(), self.call(SESSION)).await?;
        sessions.into_iter().map(read).collect()
    }

    /// Closes a session, so that nobody pays it any more. One that is closed already answers as it is.
    pub async fn expire_checkout(&self, id: &CheckoutId) -> Result<Session, StripeError> {
        // What was refused while the buyer was paying may be granted once that failed.
        let expired = ExpireCheckoutSession::new(id.as_str())
            .customize()
            .request_strategy(keyed_once(self.stack(), "expire"))
            .send(&self.call(SESSION))
            .await;
        let refusal = match expired {
            Ok(session) => return read(session),
            Err(refusal @ StripeError::Refused(_)) => refusal,
            Err(error) => return Err(error.about(SESSION)),
        };
        // Stripe has no code for "not open"; the session itself says whether that was the reason.
        match self.session(id).await? {
            Some(session) if session.status != SessionStatus::Open => Ok(session),
            _ => Err(refusal),
        }
    }

    fn new_session(&self, order: &CheckoutOrder) -> CreateCheckoutSession {
        let metadata = self.metadata(&order.envelope, &order.request);
        let is_plan = matches!(order.envelope.item, Some(Item::Plan { .. }));
        let mut line = CreateCheckoutSessionLineItems::new();
        line.price = Some(order.price.to_string());
        line.quantity = Some(if is_plan { order.seats } else { order.quantity }.into());

        let request = CreateCheckoutSession::new()
            .customer(order.customer.as_str())
            .line_items(vec![line])
            .metadata(metadata.clone())
            .expires_at(order.expires_at.seconds())
            .success_url(order.success_url.as_str())
            .cancel_url(order.cancel_url.as_str());
        let request = order.collecting(request);

        // What the session makes carries the same, so that whichever is heard of first tells the same story.
        if is_plan {
            let mut subscription = CreateCheckoutSessionSubscriptionData::new();
            subscription.metadata = Some(metadata);
            order.trying(request.mode(CheckoutSessionMode::Subscription), subscription)
        } else {
            let mut intent = CreateCheckoutSessionPaymentIntentData::new();
            intent.metadata = Some(metadata);
            request.mode(CheckoutSessionMode::Payment).payment_intent_data(intent)
        }
    }
}

/// Whatever an order does not ask for is not sent, so that it goes on to be the request that it was.
impl CheckoutOrder {
    /// What the page asks of the buyer beside the money.
    fn collecting(&self, mut request: CreateCheckoutSession) -> CreateCheckoutSession {
        if !self.payment_methods.is_empty() {
            request = request.allowed_payment_method_types(words::read(&self.payment_methods));
        }
        if self.automatic_tax {
            request = request.automatic_tax(CreateCheckoutSessionAutomaticTax::new(true));
        }
        if self.collect_address {
            request = request.billing_address_collection(CheckoutSessionBillingAddressCollection::Required);
        }
        if self.automatic_tax || self.collect_address {
            let mut kept = CreateCheckoutSessionCustomerUpdate::new();
            kept.address = Some(CreateCheckoutSessionCustomerUpdateAddress::Auto);
            kept.name = Some(CreateCheckoutSessionCustomerUpdateName::Auto);
            request = request.customer_update(kept);
        }
        if self.promotion_codes {
            request = request.allow_promotion_codes(true);
        }
        request
    }

    fn trying(
        &self,
        request: CreateCheckoutSession,
        mut subscription: CreateCheckoutSessionSubscriptionData,
    ) -> CreateCheckoutSession {
        use CreateCheckoutSessionSubscriptionDataTrialSettings as Settings;
        use CreateCheckoutSessionSubscriptionDataTrialSettingsEndBehavior as End;
        use CreateCheckoutSessionSubscriptionDataTrialSettingsEndBehaviorMissingPaymentMethod as Missing;
        if self.trial_days == 0 {
            return request.subscription_data(subscription);
        }
        subscription.trial_period_days = Some(self.trial_days);
        if self.trial_needs_method {
            return request.subscription_data(subscription);
        }
        subscription.trial_settings = Some(Settings::new(End::new(Missing::Pause)));
        request
            .subscription_data(subscription)
            .payment_method_collection(CreateCheckoutSessionPaymentMethodCollection::IfRequired)
    }
}

fn read(session: CheckoutSession) -> Result<Session, StripeError> {
    let id = CheckoutId::parse(session.id.as_str()).map_err(|bad| unreadable(bad.to_string()))?;
    let status = status(&session)?;
    let envelope = metadata::envelope(session.metadata.as_ref().unwrap_or(&Default::default()));
    let customer =
        session.customer.as_ref().and_then(|customer| CustomerId::parse(customer.id().as_str()).ok());
    let payment = match (&session.mode, status) {
        (CheckoutSessionMode::Payment, SessionStatus::Complete) => {
            Some(payment(&session, customer.clone(), envelope.clone())?)
        }
        _ => None,
    };
    let failure = failure(&session, status);
    let subscription = session.subscription.as_ref().map(|made| SubscriptionId::parse(made.id().as_str()));
    let invoice =
        session.invoice.as_ref().and_then(|made| InvoiceId::parse(made.id().as_ref()?.as_str()).ok());
    Ok(Session {
        id,
        status,
        created: Time::from_seconds(session.created),
        expires_at: Time::from_seconds(session.expires_at),
        customer,
        envelope,
        request: session.metadata.and_then(|mut metadata| metadata.remove(metadata::REQUEST)),
        payment,
        failure,
        subscription: subscription.transpose().map_err(|bad| unreadable(bad.to_string()))?,
        invoice,
        url: session.url,
    })
}

/// A free session is "no payment required" from its first minute, so only a complete one has been paid.
/// A status unknown to us is an error: guessing would either credit or drop a sale.
fn status(session: &CheckoutSession) -> Result<SessionStatus, StripeError> {
    use CheckoutSessionPaymentStatus::{NoPaymentRequired, Paid, Unpaid};
    match (&session.status, &session.payment_status) {
        (Some(CheckoutSessionStatus::Open), _) => Ok(SessionStatus::Open),
        (Some(CheckoutSessionStatus::Expired), _) => Ok(SessionStatus::Expired),
        (Some(CheckoutSessionStatus::Complete), Paid | NoPaymentRequired) => Ok(SessionStatus::Complete),
        (Some(CheckoutSessionStatus::Complete), Unpaid) => Ok(SessionStatus::Processing),
        (status, paid) => {
            let status = status.as_ref().map_or("none", |status| status.as_str());
            Err(unreadable(format!("status {status}, payment_status {}", paid.as_str())))
        }
    }
}

/// Of a session whose money was under way, and of which the intent is at hand.
fn failure(session: &CheckoutSession, status: SessionStatus) -> Option<String> {
    let intent = session.payment_intent.as_ref()?.as_object()?;
    match payment::outcome(intent) {
        AttemptOutcome::Failed(reason) if status == SessionStatus::Processing => Some(reason),
        _ => None,
    }
}

fn payment(
    session: &CheckoutSession,
    customer: Option<CustomerId>,
    envelope: Envelope,
) -> Result<Payment, StripeError> {
    let intent = session.payment_intent.as_ref().map(|intent| PaymentId::parse(intent.id().as_str()));
    let intent = intent.transpose().map_err(|bad| unreadable(bad.to_string()))?;
    let amount_minor = session.amount_total.ok_or_else(|| unreadable("no amount_total"))?;
    let currency = session.currency.as_ref().ok_or_else(|| unreadable("no currency"))?;
    let paid = money::read(amount_minor, currency).map_err(|bad| unreadable(bad.to_string()))?;
    let id = CheckoutId::parse(session.id.as_str()).map_err(|bad| unreadable(bad.to_string()))?;
    let id = PaymentId::of_sale(&id, intent, paid).map_err(|error| unreadable(error.to_string()))?;
    Ok(Payment { id, customer, paid, envelope })
}

fn unreadable(problem: impl Into<String>) -> StripeError {
    StripeError::malformed(SESSION, problem)
}
