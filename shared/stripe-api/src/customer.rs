//! Customers: made once per user, and asked whose they are.

use domain::ids::{CustomerId, UserId};
use domain::payment::Envelope;
use stripe::StripeRequest;
use stripe_core::customer::{CreateCustomer, DeleteCustomer, RetrieveCustomer, RetrieveCustomerReturned};

use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::{Stripe, metadata};

pub(crate) const CUSTOMER: &str = "customer";

impl Stripe {
    /// Makes the user's customer. Sends metadata only: name and email are Checkout's to ask for.
    /// Asked again within Stripe's memory of a key (a day at least), it answers with the same one.
    pub async fn create_customer(&self, user: &UserId) -> Result<CustomerId, StripeError> {
        let envelope = Envelope {
            stack: Some(self.stack().to_owned()),
            user: Some(user.clone()),
            ..Envelope::default()
        };
        let customer = CreateCustomer::new()
            .metadata(metadata::pairs(&envelope))
            .customize()
            .request_strategy(keyed(self.stack(), CUSTOMER, &[user.as_str()]))
            .send(&self.call(CUSTOMER))
            .await
            .map_err(|error| error.about(CUSTOMER))?;
        CustomerId::parse(customer.id.as_str())
            .map_err(|bad| StripeError::malformed(CUSTOMER, bad.to_string()))
    }

    /// Deletes a customer for good, and with it what it would still be charged for. One that is gone is fine.
    pub async fn delete_customer(&self, customer: &CustomerId) -> Result<(), StripeError> {
        let deleted = DeleteCustomer::new(customer.as_str())
            .customize()
            .request_strategy(keyed(self.stack(), "delete", &[customer.as_str()]))
            .send(&self.call(CUSTOMER))
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => Err(error.about(CUSTOMER)),
        }
    }

    /// Whose customer it is; `None` if it was deleted or never was.
    pub async fn customer_owner(&self, customer: &CustomerId) -> Result<Option<Envelope>, StripeError> {
        match RetrieveCustomer::new(customer.as_str()).send(&self.call(CUSTOMER)).await {
            Ok(RetrieveCustomerReturned::Customer(found)) => {
                Ok(Some(metadata::envelope(&found.metadata.unwrap_or_default())))
            }
            Ok(RetrieveCustomerReturned::DeletedCustomer(_)) => Ok(None),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(CUSTOMER)),
        }
    }
}
