//! Whose an object of Stripe's is.

use domain::ids::{CustomerId, UserId};
use domain::payment::Envelope;

use crate::{Settle, SettleError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    User(UserId),
    Nobody,
    AnotherStack,
}

impl Settle {
    /// In order: the object's metadata, our pointer of its customer, the customer's own metadata.
    pub(crate) async fn owner(
        &self,
        object: &str,
        envelope: &Envelope,
        customer: Option<&CustomerId>,
    ) -> Result<Owner, SettleError> {
        if envelope.stack.as_ref().is_some_and(|stack| *stack != self.stack) {
            return Ok(Owner::AnotherStack);
        }
        let pointed = match customer {
            Some(customer) => self.store.customer_owner(customer).await?,
            None => None,
        };
        if let Some(user) = &envelope.user {
            if pointed.as_ref().is_some_and(|pointed| pointed != user) {
                tracing::warn!(object, "metadata and customer name different users; metadata wins");
            }
            return Ok(Owner::User(user.clone()));
        }
        let customer = match (pointed, customer) {
            (Some(user), _) => return Ok(Owner::User(user)),
            (None, None) => return Ok(Owner::Nobody),
            (None, Some(customer)) => customer,
        };
        let envelope = self.stripe.customer_owner(customer).await?.unwrap_or_default();
        Ok(match (envelope.stack, envelope.user) {
            (Some(stack), _) if stack != self.stack => Owner::AnotherStack,
            (Some(_), Some(user)) => Owner::User(user),
            _ => Owner::Nobody,
        })
    }
}
