//! Refunds and disputes: how much of a payment is taken back, and giving it back.

use domain::ids::PaymentId;
use domain::money::{Currency, Money};
use domain::payment::{Envelope, RefundReason};
use stripe::StripeRequest;
use stripe_core::dispute::ListDispute;
use stripe_core::refund::{CreateRefund, CreateRefundReason, ListRefund, RetrieveRefund};
use stripe_shared::{Dispute, DisputeStatus};

use crate::error::StripeError;
use crate::idempotency::{keyed, keyed_once};
use crate::{Stripe, metadata, money, paging};

const REFUND: &str = "refund";
const DISPUTE: &str = "dispute";
const PAGE: i64 = 100;
/// Stripe's code for a payment of which nothing is left.
const ALREADY_REFUNDED: &str = "charge_already_refunded";

/// How much of a payment is taken back. The two may overlap, and come to more than was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reversed {
    pub refunded_minor: i64,
    pub disputed_minor: i64,
}

/// Money to be given back. The same order under the same key is the same refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundOrder {
    pub payment: PaymentId,
    pub amount_minor: i64,
    pub reason: Option<RefundReason>,
    /// Who decided it.
    pub operator: String,
    /// Names the request that asked for it, so that the refund can be found again without its id.
    pub request: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Stripe's `re_…`.
    pub id: String,
    pub amount: Money,
    /// In Stripe's word: `succeeded`, or `pending` where the bank takes its time. Either may still fail.
    pub status: String,
    pub request: Option<String>,
}

impl Reversed {
    /// Of what was paid, and never more than that.
    pub fn of(self, paid_minor: i64) -> i64 {
        self.refunded_minor.saturating_add(self.disputed_minor).min(paid_minor)
    }
}

impl Stripe {
    /// What is refunded and disputed of a payment now; `None` if this account has no such payment.
    pub async fn reversed(
        &self,
        payment: &PaymentId,
        currency: Currency,
    ) -> Result<Option<Reversed>, StripeError> {
        // A free sale is named by its session: no money came, and none can go back.
        if !payment.as_str().starts_with("pi_") {
            return Ok(Some(Reversed::default()));
        }
        let refunded = match self.refunded(payment, currency).await {
            Ok(refunded) => refunded,
            Err(error) if error.names_nothing() => return Ok(None),
            Err(error) => return Err(error),
        };
        let disputed_minor = self.disputed(payment, currency).await?;
        Ok(Some(Reversed { refunded_minor: refunded, disputed_minor }))
    }

    pub async fn create_refund(&self, order: &RefundOrder, key: &str) -> Result<Refund, StripeError> {
        let mut metadata = self.metadata(&Envelope::default(), &order.request);
        metadata.insert(metadata::OPERATOR.to_owned(), order.operator.clone());
        let mut request = CreateRefund::new()
            .payment_intent(order.payment.as_str())
            .amount(order.amount_minor)
            .metadata(metadata);
        if let Some(reason) = order.reason {
            request = request.reason(in_stripe(reason));
        }
        let made = request
            .customize()
            .request_strategy(keyed(self.stack(), REFUND, &[key]))
            .send(&self.call(REFUND))
            .await;
        read(made.map_err(|error| error.about(REFUND))?)
    }

    /// Gives back what is left of a payment. That nothing is left is fine, and so is that it was for free: asked twice,
    /// it is given back once.
    pub async fn refund_whole(&self, payment: &PaymentId) -> Result<(), StripeError> {
        if !payment.as_str().starts_with("pi_") {
            return Ok(());
        }
        let made = CreateRefund::new()
            .payment_intent(payment.as_str())
            .metadata(metadata::pairs(&self.ours(&Envelope::default())))
            .customize()
            .request_strategy(keyed_once(self.stack(), "refund-whole"))
            .send(&self.call(REFUND))
            .await;
        match made {
            Err(error) if error.code() == Some(ALREADY_REFUNDED) => Ok(()),
            made => made.map(drop).map_err(|error| error.about(REFUND)),
        }
    }

    /// `None` if this account has no such refund.
    pub async fn refund(&self, id: &str) -> Result<Option<Refund>, StripeError> {
        match RetrieveRefund::new(id).send(&self.call(REFUND)).await {
            Ok(refund) => read(refund).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(REFUND)),
        }
    }

    /// Every refund of a payment, whatever became of it, newest first.
    pub async fn refunds(&self, payment: &PaymentId) -> Result<Vec<Refund>, StripeError> {
        let list = ListRefund::new().payment_intent(payment.as_str()).limit(PAGE);
        let refunds = paging::all(list.paginate(), self.call(REFUND)).await?;
        refunds.into_iter().map(read).collect()
    }

    /// A refund that is still under way counts: it rarely fails, and is given back if it does.
    async fn refunded(&self, payment: &PaymentId, currency: Currency) -> Result<i64, StripeError> {
        let refunds = self.refunds(payment).await?;
        let good = refunds.iter().filter(|refund| !matches!(refund.status.as_str(), "failed" | "canceled"));
        sum(REFUND, good.map(|refund| Ok(refund.amount)), currency)
    }

    async fn disputed(&self, payment: &PaymentId, currency: Currency) -> Result<i64, StripeError> {
        let list = ListDispute::new().payment_intent(payment.as_str()).limit(PAGE);
        let disputes = paging::all(list.paginate(), self.call(DISPUTE)).await?;
        let taking = disputes.iter().filter(|dispute| takes_money(dispute));
        sum(DISPUTE, taking.map(|dispute| amount(DISPUTE, dispute.amount, &dispute.currency)), currency)
    }
}

/// While it is open and when it is lost. An inquiry only asks, and what was won or prevented is over.
fn takes_money(dispute: &Dispute) -> bool {
    use DisputeStatus::{
        Lost, NeedsResponse, Prevented, UnderReview, WarningClosed, WarningNeedsResponse, WarningUnderReview,
        Won,
    };
    match &dispute.status {
        NeedsResponse | UnderReview | Lost => true,
        Won | Prevented | WarningNeedsResponse | WarningUnderReview | WarningClosed => false,
        _ => has_taken_money(dispute),
    }
}

/// What a state unknown to us means, the money says: it was withdrawn, and not reinstated.
/// To guess would freeze the tokens of an honest buyer, or leave those of a thief.
fn has_taken_money(dispute: &Dispute) -> bool {
    let moves = &dispute.balance_transactions;
    let withdrawn = moves.iter().filter(|moved| moved.amount < 0).count();
    let reinstated = moves.iter().filter(|moved| moved.amount > 0).count();
    withdrawn > reinstated
}

fn read(refund: stripe_shared::Refund) -> Result<Refund, StripeError> {
    Ok(Refund {
        id: refund.id.to_string(),
        amount: amount(REFUND, refund.amount, &refund.currency)?,
        status: refund.status.unwrap_or_else(|| "pending".to_owned()),
        request: refund.metadata.and_then(|mut metadata| metadata.remove(metadata::REQUEST)),
    })
}

fn amount(
    object: &'static str,
    amount_minor: i64,
    currency: &stripe_types::Currency,
) -> Result<Money, StripeError> {
    money::read(amount_minor, currency).map_err(|bad| StripeError::malformed(object, bad.to_string()))
}

/// Stripe keeps both in the currency that was paid; amounts of another would be added up to nonsense.
fn sum(
    object: &'static str,
    amounts: impl Iterator<Item = Result<Money, StripeError>>,
    paid_in: Currency,
) -> Result<i64, StripeError> {
    let mut sum: i64 = 0;
    for amount in amounts {
        let Money { amount_minor, currency } = amount?;
        if currency != paid_in {
            let problem = format!("it is in {currency}, of a payment in {paid_in}");
            return Err(StripeError::malformed(object, problem));
        }
        sum = sum.saturating_add(amount_minor);
    }
    Ok(sum)
}

fn in_stripe(reason: RefundReason) -> CreateRefundReason {
    match reason {
        RefundReason::Duplicate => CreateRefundReason::Duplicate,
        RefundReason::Fraudulent => CreateRefundReason::Fraudulent,
        RefundReason::RequestedByCustomer => CreateRefundReason::RequestedByCustomer,
    }
}
