//! Whose customer a user is in Stripe.

use domain::account::Account;
use domain::ids::{CustomerId, PaymentMethodId, UserId};
use edge::Problem;
use settle::{payment_problem, stripe_problem, unusable_method};
use store::Pointed;
use stripe_api::{PaymentMethod, StripeError};

use crate::Checkout;
use crate::sale::closed;

impl Checkout {
    /// The user's one Stripe customer. Stripe itself makes concurrent creations one: they share a key.
    pub(crate) async fn customer(&self, account: &Account) -> Result<CustomerId, Problem> {
        if let Some(customer) = self.known_customer(account).await? {
            return Ok(customer);
        }
        let customer = self.settle.stripe().create_customer(&account.user).await.map_err(stripe_problem)?;
        match self.store.point_customer(&customer, &account.user).await.map_err(Problem::fault)? {
            Pointed::Now | Pointed::Before => Ok(customer),
            // Erased meanwhile. Nobody else would find this customer.
            Pointed::Never => {
                self.settle.stripe().delete_customer(&customer).await.map_err(stripe_problem)?;
                Err(closed())
            }
        }
    }

    /// `None` for a user of whom Stripe knows nothing.
    pub(crate) async fn known_customer(&self, account: &Account) -> Result<Option<CustomerId>, Problem> {
        match &account.customer {
            Some(customer) => Ok(Some(customer.clone())),
            None => self.store.linked_customer(&account.user).await.map_err(Problem::fault),
        }
    }

    /// The same for a user by name, unless they were erased.
    pub(crate) async fn customer_of(&self, user: &UserId) -> Result<Option<CustomerId>, Problem> {
        let account = self.open_account(user).await?;
        self.known_customer(&account).await
    }

    /// Only what belongs to a customer can be charged again.
    pub(crate) async fn attached(
        &self,
        method: &PaymentMethodId,
        customer: &CustomerId,
    ) -> Result<PaymentMethod, Problem> {
        self.settle.stripe().attach(method, customer).await.map_err(method_problem)
    }
}

/// Why a payment method that the client named was refused.
pub fn method_problem(error: StripeError) -> Problem {
    match error {
        error if error.is_key_reused() => Problem::key_reused(),
        error @ StripeError::Refused(_) if error.decline().is_none() && !error.lacks_mandate() => {
            unusable_method(error)
        }
        error => payment_problem(error),
    }
}
