//! Whose a payment is. Looks, and writes nothing.

use domain::cause::Cause;
use domain::ids::{PaymentId, UserId};

use crate::owner::Owner;
use crate::{Settle, SettleError};

impl Settle {
    /// Whose payment it is: to the books, or else by what Stripe has of it. `None` where it is nobody's that we
    /// know, or not this deployment's.
    pub async fn payer(&self, payment: &PaymentId) -> Result<Option<UserId>, SettleError> {
        if let Some(entry) = self.store.entry(&Cause::Payment(payment.clone())).await? {
            return Ok(Some(entry.user));
        }
        let Some(intent) = self.stripe.intent(payment).await? else { return Ok(None) };
        if intent.envelope.stack.is_some() {
            let owner = self.owner(payment.as_str(), &intent.envelope, intent.customer.as_ref()).await?;
            return Ok(match owner {
                Owner::User(user) => Some(user),
                Owner::Nobody | Owner::AnotherStack => None,
            });
        }
        let Some(invoice) = self.stripe.invoice_paid_by(payment).await? else { return Ok(None) };
        let entry = self.store.entry(&Cause::Invoice(invoice)).await?;
        Ok(entry.map(|entry| entry.user))
    }
}
