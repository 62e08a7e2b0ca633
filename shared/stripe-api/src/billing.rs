//! Who a customer is to a tax office. Personal data: none of it is ever printed.

use std::fmt;

use domain::ids::CustomerId;
use serde::{Deserialize, Serialize};
use stripe::StripeRequest;
use stripe_core::customer::{
    OptionalFieldsCustomerAddress, RetrieveCustomer, RetrieveCustomerReturned, UpdateCustomer,
};
use stripe_shared::{Address, Customer};

use crate::Stripe;
use crate::clearing::Clearing;
use crate::customer::CUSTOMER;
use crate::error::StripeError;
use crate::idempotency::keyed;

/// What invoices are made out to.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Billing {
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub address: Option<BillingAddress>,
}

#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BillingAddress {
    pub line1: Option<String>,
    pub line2: Option<String>,
    pub city: Option<String>,
    pub state: Option<String>,
    pub postal_code: Option<String>,
    /// Two letters.
    pub country: Option<String>,
}

impl Stripe {
    /// `None` if the customer was deleted or never was.
    pub async fn billing(&self, customer: &CustomerId) -> Result<Option<Billing>, StripeError> {
        match RetrieveCustomer::new(customer.as_str()).send(&self.call(CUSTOMER)).await {
            Ok(RetrieveCustomerReturned::Customer(found)) => Ok(Some(read(found))),
            Ok(RetrieveCustomerReturned::DeletedCustomer(_)) => Ok(None),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(CUSTOMER)),
        }
    }

    /// Says all of it anew: what is absent is taken away. `None` if there is no such customer.
    pub async fn set_billing(
        &self,
        customer: &CustomerId,
        billing: &Billing,
        key: &str,
    ) -> Result<Option<Billing>, StripeError> {
        // To Stripe an empty text is none.
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let request = UpdateCustomer::new(customer.as_str())
            .name(text(&billing.name))
            .email(text(&billing.email))
            .phone(text(&billing.phone));
        let request = match &billing.address {
            Some(address) => request.address(address.in_stripe()).customize(),
            None => request.clearing("address"),
        };
        let set = request
            .request_strategy(keyed(self.stack(), "billing", &[customer.as_str(), key]))
            .send(&self.call(CUSTOMER))
            .await;
        match set {
            Ok(found) => Ok(Some(read(found))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(CUSTOMER)),
        }
    }
}

impl BillingAddress {
    fn in_stripe(&self) -> OptionalFieldsCustomerAddress {
        let text = |text: &Option<String>| Some(text.clone().unwrap_or_default());
        let mut address = OptionalFieldsCustomerAddress::new();
        address.line1 = text(&self.line1);
        address.line2 = text(&self.line2);
        address.city = text(&self.city);
        address.state = text(&self.state);
        address.postal_code = text(&self.postal_code);
        address.country = text(&self.country);
        address
    }
}

fn read(found: Customer) -> Billing {
    Billing {
        name: some(found.name),
        email: some(found.email),
        phone: some(found.phone),
        address: found.address.map(address).filter(|address| *address != BillingAddress::default()),
    }
}

fn address(found: Address) -> BillingAddress {
    BillingAddress {
        line1: some(found.line1),
        line2: some(found.line2),
        city: some(found.city),
        state: some(found.state),
        postal_code: some(found.postal_code),
        country: some(found.country),
    }
}

fn some(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl fmt::Debug for Billing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Billing")
    }
}

impl fmt::Debug for BillingAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BillingAddress")
    }
}
