//! Payments: facts, credited once.

use domain::cause::Cause;
use domain::decide::{Act, Command, Refusal};
use domain::entry::{Detail, Entry};
use domain::ids::PaymentId;
use domain::mutants::Mutant;
use domain::payment::Payment;
use domain::time::Time;
use store::Applied;

use crate::owner::Owner;
use crate::{Settle, SettleError};

/// What came of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fulfilled {
    Credited(Entry),
    /// Somebody was faster; this is the entry that credited it.
    Before(Entry),
    /// Paid, but nobody's, or for nothing we know: kept until an operator attaches it.
    Unclaimed(&'static str),
    /// Another deployment's, which hears of it too.
    AnotherStack,
}

impl Settle {
    /// Credits a payment to its owner. `seen_in` names the event or route that told of it.
    pub async fn fulfil(
        &self,
        payment: &Payment,
        seen_in: &str,
        now: Time,
    ) -> Result<Fulfilled, SettleError> {
        let owner = self.owner(payment.id.as_str(), &payment.envelope, payment.customer.as_ref()).await?;
        let user = match owner {
            Owner::User(user) => user,
            Owner::Nobody => return self.unclaimed_payment(payment, "no owner", seen_in, now).await,
            Owner::AnotherStack => return Ok(Fulfilled::AnotherStack),
        };
        let (Some(version), Some(item)) = (payment.envelope.catalog, payment.envelope.item.clone()) else {
            return self.unclaimed_payment(payment, "no item", seen_in, now).await;
        };
        if self.catalogs.version(version).await?.is_none() {
            return self.unclaimed_payment(payment, "unknown catalog version", seen_in, now).await;
        }
        let act = Act::Purchase { payment: payment.clone(), item, catalog: version };
        let mut cause = Cause::Payment(payment.id.clone());
        if Mutant::DedupeByEventId.lives() {
            cause = PaymentId::parse(format!("pi_{seen_in}")).map_or(cause, Cause::Payment);
        }
        let command = Command { cause, request: None, act };
        match self.store.apply(&user, &command, &self.catalogs, now).await? {
            Applied::Done(entry) => Ok(Fulfilled::Credited(entry)),
            Applied::Before(entry) => {
                expect_same(&entry, payment);
                Ok(Fulfilled::Before(entry))
            }
            Applied::Refused(Refusal::UnknownItem(_)) => {
                self.unclaimed_payment(payment, "unknown item", seen_in, now).await
            }
            Applied::Refused(_) | Applied::KeyReused => {
                self.unclaimed_payment(payment, "not creditable", seen_in, now).await
            }
        }
    }

    async fn unclaimed_payment(
        &self,
        payment: &Payment,
        reason: &'static str,
        seen_in: &str,
        now: Time,
    ) -> Result<Fulfilled, SettleError> {
        self.unclaimed(payment.id.as_str(), reason, seen_in, now).await?;
        Ok(Fulfilled::Unclaimed(reason))
    }
}

/// The same payment told differently is a fact worth an alarm; the first telling stands.
fn expect_same(entry: &Entry, payment: &Payment) {
    let told = &payment.envelope;
    let same = match &entry.detail {
        Detail::Purchase { item, catalog, paid, customer, .. } => {
            told.user.as_ref().is_none_or(|user| *user == entry.user)
                && (told.item.as_ref(), told.catalog) == (Some(item), Some(*catalog))
                && (paid, customer) == (&payment.paid, &payment.customer)
        }
        _ => false,
    };
    if !same {
        tracing::error!(payment = %payment.id, seq = entry.seq, "this payment was booked with other contents");
    }
}
