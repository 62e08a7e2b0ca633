//! Setups: a way to pay that is left without a payment.

use domain::ids::{CustomerId, PaymentMethodId, SetupId};
use domain::payment::Envelope;
use stripe::StripeRequest;
use stripe_core::setup_intent::{CreateSetupIntent, CreateSetupIntentUsage, RetrieveSetupIntent};
use stripe_shared::{SetupIntent, SetupIntentStatus};

use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::{ClientSecret, Stripe, metadata, payment, words};

const SETUP: &str = "setup_intent";

/// A way to pay to be left, complete: the same order under the same key is the same setup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupOrder {
    pub customer: CustomerId,
    /// In Stripe's words, such as `sepa_debit`; what the account offers where there are none.
    pub payment_methods: Vec<String>,
    /// Its stack is always written as this connection's own.
    pub envelope: Envelope,
    /// Names the request that asked for it.
    pub request: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    pub id: SetupId,
    pub customer: Option<CustomerId>,
    pub envelope: Envelope,
    /// Which request of ours made it.
    pub request: Option<String>,
    pub status: SetupStatus,
    /// Why the last try failed, where it did.
    pub failure: Option<String>,
    /// What it leaves, which is the customer's once it has succeeded.
    pub method: Option<PaymentMethodId>,
    /// What the app confirms it with.
    pub client_secret: Option<ClientSecret>,
}

/// Stripe's status, or that it is one invented after this was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupStatus {
    RequiresMethod,
    RequiresConfirmation,
    /// Its customer has to do something, such as to answer their bank.
    RequiresAction,
    /// The bank takes its time.
    Processing,
    Succeeded,
    Canceled,
    Unknown,
}

impl Stripe {
    /// Nothing is charged. What is left may be charged later, also while its owner is away.
    pub async fn open_setup(&self, order: &SetupOrder, key: &str) -> Result<Setup, StripeError> {
        let mut request = CreateSetupIntent::new()
            .customer(order.customer.as_str())
            .usage(CreateSetupIntentUsage::OffSession)
            .metadata(self.metadata(&order.envelope, &order.request));
        if !order.payment_methods.is_empty() {
            request = request.allowed_payment_method_types(words::read(&order.payment_methods));
        }
        let opened = request
            .customize()
            .request_strategy(keyed(self.stack(), "setup", &[key]))
            .send(&self.call(SETUP))
            .await;
        read(opened.map_err(|error| error.about(SETUP))?)
    }

    /// `None` if this account has none of that id.
    pub async fn setup(&self, id: &SetupId) -> Result<Option<Setup>, StripeError> {
        match RetrieveSetupIntent::new(id.as_str()).send(&self.call(SETUP)).await {
            Ok(found) => read(found).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.about(SETUP)),
        }
    }
}

fn read(found: SetupIntent) -> Result<Setup, StripeError> {
    let written = found.metadata.unwrap_or_default();
    let customer = found.customer.as_ref();
    let method = found.payment_method.as_ref();
    Ok(Setup {
        id: SetupId::parse(found.id.as_str())
            .map_err(|bad| StripeError::malformed(SETUP, bad.to_string()))?,
        customer: customer.and_then(|customer| CustomerId::parse(customer.id().as_str()).ok()),
        envelope: metadata::envelope(&written),
        request: written.get(metadata::REQUEST).cloned(),
        status: SetupStatus::of(&found.status),
        failure: found.last_setup_error.as_deref().map(|error| payment::reason(error).to_owned()),
        method: method.and_then(|method| PaymentMethodId::parse(method.id().as_str()).ok()),
        client_secret: found.client_secret.map(ClientSecret::new),
    })
}

impl SetupStatus {
    fn of(found: &SetupIntentStatus) -> SetupStatus {
        match found {
            SetupIntentStatus::RequiresPaymentMethod => SetupStatus::RequiresMethod,
            SetupIntentStatus::RequiresConfirmation => SetupStatus::RequiresConfirmation,
            SetupIntentStatus::RequiresAction => SetupStatus::RequiresAction,
            SetupIntentStatus::Processing => SetupStatus::Processing,
            SetupIntentStatus::Succeeded => SetupStatus::Succeeded,
            SetupIntentStatus::Canceled => SetupStatus::Canceled,
            _ => SetupStatus::Unknown,
        }
    }

    /// In Stripe's word.
    pub const fn name(self) -> &'static str {
        match self {
            SetupStatus::RequiresMethod => "requires_payment_method",
            SetupStatus::RequiresConfirmation => "requires_confirmation",
            SetupStatus::RequiresAction => "requires_action",
            SetupStatus::Processing => "processing",
            SetupStatus::Succeeded => "succeeded",
            SetupStatus::Canceled => "canceled",
            SetupStatus::Unknown => "unknown",
        }
    }
}
