//! Ways to pay that a customer has left.

use std::fmt;

use domain::ids::{CustomerId, PaymentMethodId, SubscriptionId};
use domain::time::Time;
use serde::Serialize;
use stripe::StripeRequest;
use stripe_billing::subscription::UpdateSubscription;
use stripe_core::customer::{UpdateCustomer, UpdateCustomerInvoiceSettings};
use stripe_payment::payment_method::{
    AttachPaymentMethod, DetachPaymentMethod, ListPaymentMethod, RetrievePaymentMethod,
};

use crate::customer::CUSTOMER;
use crate::error::StripeError;
use crate::idempotency::keyed_once;
use crate::subscription::SUBSCRIPTION;
use crate::{Stripe, paging};

const METHOD: &str = "payment_method";
const PAGE: i64 = 50;

/// A card, a bank account or whatever else is charged: enough of it for its owner to know it by.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct PaymentMethod {
    pub id: PaymentMethodId,
    #[serde(skip)]
    pub customer: Option<CustomerId>,
    /// In Stripe's word: `card`, `sepa_debit`, …
    pub kind: String,
    pub brand: Option<String>,
    pub last4: Option<String>,
    pub exp_month: Option<i64>,
    pub exp_year: Option<i64>,
    /// Its name or its code.
    pub bank: Option<String>,
    /// The same for the same card or account, whoever leaves it. Not for the outside.
    #[serde(skip)]
    pub fingerprint: Option<String>,
    /// Whether its customer is charged by it where nothing else is said.
    pub is_default: bool,
    #[serde(skip)]
    pub created: Time,
}

impl Stripe {
    /// All that a customer has left, newest first.
    pub async fn payment_methods(&self, customer: &CustomerId) -> Result<Vec<PaymentMethod>, StripeError> {
        // Each with its customer, who knows which is the default: one request instead of two.
        let list = ListPaymentMethod::new()
            .customer(customer.as_str())
            .expand(["data.customer".to_owned()])
            .limit(PAGE);
        let found = paging::all(list.paginate(), self.call(METHOD)).await?;
        found.iter().map(of_itself).collect()
    }

    /// `None` if this account has none of that id. Whose it is has to be looked at.
    pub async fn payment_method(&self, id: &PaymentMethodId) -> Result<Option<PaymentMethod>, StripeError> {
        let request = RetrievePaymentMethod::new(id.as_str()).expand([CUSTOMER.to_owned()]);
        match request.send(&self.call(METHOD)).await {
            Ok(found) => of_itself(&found).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(METHOD)),
        }
    }

    /// Has a customer charged by this where nothing else is said. A subscription may say something else.
    pub async fn make_default(
        &self,
        customer: &CustomerId,
        method: &PaymentMethodId,
    ) -> Result<(), StripeError> {
        let mut settings = UpdateCustomerInvoiceSettings::new();
        settings.default_payment_method = Some(method.to_string());
        let made = UpdateCustomer::new(customer.as_str())
            .invoice_settings(settings)
            .customize()
            .request_strategy(keyed_once(self.stack(), "default"))
            .send(&self.call(CUSTOMER))
            .await;
        made.map(|_| ()).map_err(|error| error.about(CUSTOMER))
    }

    /// Has one subscription charged by this, whatever is its customer's default.
    pub async fn charge_to(
        &self,
        subscription: &SubscriptionId,
        method: &PaymentMethodId,
    ) -> Result<(), StripeError> {
        let charged = UpdateSubscription::new(subscription.as_str())
            .default_payment_method(method.as_str())
            .customize()
            .request_strategy(keyed_once(self.stack(), "charge"))
            .send(&self.call(SUBSCRIPTION))
            .await;
        charged.map(drop).map_err(|error| error.about(SUBSCRIPTION))
    }

    /// Gives it to a customer. The bank may decline that. One that the customer has already stays as it is.
    pub async fn attach(
        &self,
        method: &PaymentMethodId,
        customer: &CustomerId,
    ) -> Result<PaymentMethod, StripeError> {
        let attached = AttachPaymentMethod::new(method.as_str())
            .customer(customer.as_str())
            .expand([CUSTOMER.to_owned()])
            .customize()
            .request_strategy(keyed_once(self.stack(), "attach"))
            .send(&self.call(METHOD))
            .await;
        let refusal = match attached {
            Ok(attached) => return of_itself(&attached),
            Err(refusal @ StripeError::Refused(_)) => refusal,
            Err(error) => return Err(error.about(METHOD)),
        };
        match self.payment_method(method).await? {
            Some(found) if found.customer.as_ref() == Some(customer) => Ok(found),
            _ => Err(refusal),
        }
    }

    /// Takes it from its customer for good. One that is nobody's, or is not there, is fine.
    pub async fn detach(&self, method: &PaymentMethodId) -> Result<(), StripeError> {
        let detached = DetachPaymentMethod::new(method.as_str())
            .customize()
            .request_strategy(keyed_once(self.stack(), "detach"))
            .send(&self.call(METHOD))
            .await;
        let refusal = match detached {
            Ok(_) => return Ok(()),
            Err(refusal @ StripeError::Refused(_)) => refusal,
            Err(error) => return Err(error.about(METHOD)),
        };
        match self.payment_method(method).await? {
            Some(found) if found.customer.is_some() => Err(refusal),
            _ => Ok(()),
        }
    }
}

/// One whose customer is at hand.
fn of_itself(found: &stripe_shared::PaymentMethod) -> Result<PaymentMethod, StripeError> {
    let customer = found.customer.as_ref().and_then(|customer| customer.as_object());
    let settings = customer.and_then(|customer| customer.invoice_settings.as_ref());
    let default = settings.and_then(|settings| settings.default_payment_method.as_ref());
    read(found, default.map(|default| default.id().as_str()))
}

pub(crate) fn read(
    found: &stripe_shared::PaymentMethod,
    default: Option<&str>,
) -> Result<PaymentMethod, StripeError> {
    let id = PaymentMethodId::parse(found.id.as_str());
    let mut method = PaymentMethod {
        id: id.map_err(|bad| StripeError::malformed(METHOD, bad.to_string()))?,
        customer: found.customer.as_ref().and_then(|owner| CustomerId::parse(owner.id().as_str()).ok()),
        kind: found.type_.as_str().to_owned(),
        brand: None,
        last4: None,
        exp_month: None,
        exp_year: None,
        bank: None,
        fingerprint: None,
        is_default: default == Some(found.id.as_str()),
        created: Time::from_seconds(found.created),
    };
    if let Some(card) = &found.card {
        method.brand = Some(card.brand.clone());
        method.last4 = Some(card.last4.clone());
        (method.exp_month, method.exp_year) = (Some(card.exp_month), Some(card.exp_year));
        method.fingerprint = card.fingerprint.clone();
    } else if let Some(sepa) = &found.sepa_debit {
        (method.bank, method.last4) = (sepa.bank_code.clone(), sepa.last4.clone());
        method.fingerprint = sepa.fingerprint.clone();
    } else if let Some(account) = &found.us_bank_account {
        (method.bank, method.last4) = (account.bank_name.clone(), account.last4.clone());
        method.fingerprint = account.fingerprint.clone();
    }
    Ok(method)
}

/// Neither whose it is nor how it is known.
impl fmt::Debug for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentMethod")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("is_default", &self.is_default)
            .finish_non_exhaustive()
    }
}
