//! Checkout sessions that sell something once: opened, read and searched for.

use domain::ids::{CheckoutId, CustomerId, PaymentId, PriceId};
use domain::money::{Currency, Money};
use domain::payment::{Envelope, Payment};
use domain::time::Time;
use stripe::StripeRequest;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionPaymentIntentData,
    ListCheckoutSession, RetrieveCheckoutSession,
};
use stripe_shared::{
    CheckoutSession, CheckoutSessionMode, CheckoutSessionPaymentStatus, CheckoutSessionStatus,
};
use stripe_types::RangeQueryTs;

use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::{Stripe, metadata};

const SESSION: &str = "checkout.session";
const PAGE: i64 = 100;
/// No customer opens this many pages of sessions in a day; a server that never stops is not Stripe.
const PAGES: usize = 50;

/// What is to be paid for, complete: the same order under the same key is the same session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutOrder {
    pub customer: CustomerId,
    pub price: PriceId,
    pub quantity: u32,
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
    /// The money, once it has arrived.
    pub payment: Option<Payment>,
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
        match RetrieveCheckoutSession::new(id.as_str()).send(&self.call(SESSION)).await {
            Ok(session) => read(session).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(SESSION)),
        }
    }

    /// Every session made for a customer since then, newest first.
    pub async fn customer_sessions(
        &self,
        customer: &CustomerId,
        since: Time,
    ) -> Result<Vec<Session>, StripeError> {
        let first_page = ListCheckoutSession::new()
            .customer(customer.as_str())
            .created(RangeQueryTs::gte(since.seconds()))
            .limit(PAGE);
        let mut sessions: Vec<Session> = Vec::new();
        for _ in 0..PAGES {
            let request = match sessions.last() {
                None => first_page.clone(),
                Some(last) => first_page.clone().starting_after(last.id.as_str()),
            };
            let page = request.send(&self.call(SESSION)).await.map_err(|error| error.about(SESSION))?;
            let more = page.has_more && !page.data.is_empty();
            for session in page.data {
                sessions.push(read(session)?);
            }
            if !more {
                return Ok(sessions);
            }
        }
        Err(StripeError::malformed(SESSION, "the list has no end"))
    }

    fn new_session(&self, order: &CheckoutOrder) -> CreateCheckoutSession {
        let envelope = Envelope { stack: Some(self.stack().to_owned()), ..order.envelope.clone() };
        let mut metadata = metadata::pairs(&envelope);
        metadata.insert(metadata::REQUEST.to_owned(), order.request.clone());

        let mut line = CreateCheckoutSessionLineItems::new();
        line.price = Some(order.price.to_string());
        line.quantity = Some(order.quantity.into());

        // The intent carries the same, so that whichever is heard of first tells the same story.
        let mut intent = CreateCheckoutSessionPaymentIntentData::new();
        intent.metadata = Some(metadata.clone());

        CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Payment)
            .customer(order.customer.as_str())
            .line_items(vec![line])
            .metadata(metadata)
            .payment_intent_data(intent)
            .expires_at(order.expires_at.seconds())
            .success_url(order.success_url.as_str())
            .cancel_url(order.cancel_url.as_str())
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
    Ok(Session {
        id,
        status,
        created: Time::from_seconds(session.created),
        expires_at: Time::from_seconds(session.expires_at),
        customer,
        envelope,
        request: session.metadata.and_then(|mut metadata| metadata.remove(metadata::REQUEST)),
        payment,
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

fn payment(
    session: &CheckoutSession,
    customer: Option<CustomerId>,
    envelope: Envelope,
) -> Result<Payment, StripeError> {
    let intent = session.payment_intent.as_ref().map(|intent| PaymentId::parse(intent.id().as_str()));
    let intent = intent.transpose().map_err(|bad| unreadable(bad.to_string()))?;
    let amount_minor = session.amount_total.ok_or_else(|| unreadable("no amount_total"))?;
    let currency = session.currency.as_ref().ok_or_else(|| unreadable("no currency"))?;
    let currency = Currency::parse(&currency.to_string()).map_err(|bad| unreadable(bad.to_string()))?;
    let paid = Money { amount_minor, currency };
    let id = CheckoutId::parse(session.id.as_str()).map_err(|bad| unreadable(bad.to_string()))?;
    let id = PaymentId::of_sale(&id, intent, paid).map_err(|error| unreadable(error.to_string()))?;
    Ok(Payment { id, customer, paid, envelope })
}

fn unreadable(problem: impl Into<String>) -> StripeError {
    StripeError::malformed(SESSION, problem)
}
