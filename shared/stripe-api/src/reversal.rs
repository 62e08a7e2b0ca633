//! Refunds and disputes: how much of a payment is taken back, and giving it back.

use std::collections::HashMap;

use domain::ids::PaymentId;
use domain::money::{Currency, Money};
use domain::payment::Envelope;
use stripe::StripeRequest;
use stripe_core::dispute::ListDispute;
use stripe_core::refund::{CreateRefund, CreateRefundReason, ListRefund};
use stripe_shared::{Dispute, DisputeStatus};

use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::{Stripe, metadata, money, paging};

const REFUND: &str = "refund";
const DISPUTE: &str = "dispute";
const PAGE: i64 = 100;

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
    /// All that is left of it, unless said.
    pub amount_minor: Option<i64>,
    pub reason: Option<RefundReason>,
    /// Who decided it.
    pub operator: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundReason {
    Duplicate,
    Fraudulent,
    RequestedByCustomer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Stripe's `re_…`.
    pub id: String,
    pub amount: Money,
    /// In Stripe's word: `succeeded`, or `pending` where the bank takes its time. Either may still fail.
    pub status: String,
}

impl Reversed {
    /// Of what was paid, and never more than that.
    pub fn of(self, paid_minor: i64) -> i64 {
        self.refunded_minor.saturating_add(self.disputed_minor).min(paid_minor)
    }
}

impl RefundReason {
    pub const ALL: [RefundReason; 3] =
        [RefundReason::Duplicate, RefundReason::Fraudulent, RefundReason::RequestedByCustomer];

    pub const fn name(self) -> &'static str {
        match self {
            RefundReason::Duplicate => "duplicate",
            RefundReason::Fraudulent => "fraudulent",
            RefundReason::RequestedByCustomer => "requested_by_customer",
        }
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

    pub async fn refund(&self, order: &RefundOrder, key: &str) -> Result<Refund, StripeError> {
        let envelope = Envelope { stack: Some(self.stack().to_owned()), ..Envelope::default() };
        let mut metadata: HashMap<String, String> = metadata::pairs(&envelope);
        metadata.insert(metadata::OPERATOR.to_owned(), order.operator.clone());
        let mut request = CreateRefund::new().payment_intent(order.payment.as_str()).metadata(metadata);
        if let Some(amount) = order.amount_minor {
            request = request.amount(amount);
        }
        if let Some(reason) = order.reason {
            request = request.reason(reason.in_stripe());
        }
        let made = request
            .customize()
            .request_strategy(keyed(self.stack(), REFUND, &[key]))
            .send(&self.call(REFUND))
            .await
            .map_err(|error| error.about(REFUND))?;
        let unreadable = |problem: String| StripeError::malformed(REFUND, problem);
        Ok(Refund {
            id: made.id.to_string(),
            amount: money::read(made.amount, &made.currency).map_err(|bad| unreadable(bad.to_string()))?,
            status: made.status.unwrap_or_else(|| "pending".to_owned()),
        })
    }

    /// A refund that is still under way counts: it rarely fails, and is given back if it does.
    async fn refunded(&self, payment: &PaymentId, currency: Currency) -> Result<i64, StripeError> {
        let list = ListRefund::new().payment_intent(payment.as_str()).limit(PAGE);
        let refunds = paging::all(list.paginate(), self.call(REFUND)).await?;
        let good = refunds
            .iter()
            .filter(|refund| !matches!(refund.status.as_deref(), Some("failed" | "canceled")))
            .map(|refund| (refund.amount, &refund.currency));
        sum(REFUND, good, currency)
    }

    async fn disputed(&self, payment: &PaymentId, currency: Currency) -> Result<i64, StripeError> {
        let list = ListDispute::new().payment_intent(payment.as_str()).limit(PAGE);
        let disputes = paging::all(list.paginate(), self.call(DISPUTE)).await?;
        let taking = disputes.iter().filter(|dispute| takes_money(dispute));
        sum(DISPUTE, taking.map(|dispute| (dispute.amount, &dispute.currency)), currency)
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

/// Stripe keeps both in the currency that was paid; amounts of another would be added up to nonsense.
fn sum<'a>(
    object: &'static str,
    amounts: impl Iterator<Item = (i64, &'a stripe_types::Currency)>,
    paid_in: Currency,
) -> Result<i64, StripeError> {
    let mut sum: i64 = 0;
    for (amount, currency) in amounts {
        let money = money::read(amount, currency);
        let money = money.map_err(|bad| StripeError::malformed(object, bad.to_string()))?;
        if money.currency != paid_in {
            let problem = format!("it is in {}, of a payment in {paid_in}", money.currency);
            return Err(StripeError::malformed(object, problem));
        }
        sum = sum.saturating_add(amount);
    }
    Ok(sum)
}

impl RefundReason {
    fn in_stripe(self) -> CreateRefundReason {
        match self {
            RefundReason::Duplicate => CreateRefundReason::Duplicate,
            RefundReason::Fraudulent => CreateRefundReason::Fraudulent,
            RefundReason::RequestedByCustomer => CreateRefundReason::RequestedByCustomer,
        }
    }
}
