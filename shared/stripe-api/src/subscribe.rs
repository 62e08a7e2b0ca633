//! Subscriptions without a page of Stripe's: the app itself collects what they are paid with.

use domain::ids::{CustomerId, PaymentMethodId, PriceId, SubscriptionId};
use domain::payment::Envelope;
use stripe::StripeRequest;
use stripe_billing::subscription::{
    CreateSubscription, CreateSubscriptionAutomaticTax, CreateSubscriptionItems,
    CreateSubscriptionPaymentBehavior, CreateSubscriptionPaymentSettings,
    CreateSubscriptionPaymentSettingsSaveDefaultPaymentMethod, CreateSubscriptionTrialSettings,
    CreateSubscriptionTrialSettingsEndBehavior,
    CreateSubscriptionTrialSettingsEndBehaviorMissingPaymentMethod,
};
use stripe_shared::InvoiceStatus;

use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::subscription::{SUBSCRIPTION, read};
use crate::{ClientSecret, PaymentMethod, Stripe, Subscription, methods, schedule, words};

/// Where a subscription holds what the app confirms.
const SECRETS: [&str; 2] = ["latest_invoice.confirmation_secret", "pending_setup_intent"];

/// What is to be subscribed to, complete: the same order under the same key is the same subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionOrder {
    pub customer: CustomerId,
    pub price: PriceId,
    pub quantity: u32,
    /// How long it may be tried; none at all where it is zero. A trial that ends without a way to pay is paused.
    pub trial_days: u32,
    /// One of the customer's. Absent where the app is yet to collect it, with the secret that it is answered with.
    pub method: Option<PaymentMethodId>,
    /// In Stripe's words, such as `sepa_debit`; what the account offers where there are none.
    pub payment_methods: Vec<String>,
    pub automatic_tax: bool,
    /// Its stack is always written as this connection's own.
    pub envelope: Envelope,
    /// Names the request that asked for it, so that the subscription can be found again without its id.
    pub request: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedSubscription {
    pub subscription: Subscription,
    /// What the app has to confirm, if anything: a payment, or a way to pay once a trial has ended.
    pub client_secret: Option<ClientSecret>,
}

impl Stripe {
    /// A first payment that fails leaves it `incomplete`, to be paid within a day; it is no error.
    pub async fn open_subscription(
        &self,
        order: &SubscriptionOrder,
        key: &str,
    ) -> Result<OpenedSubscription, StripeError> {
        let opened = self
            .new_subscription(order)
            .customize()
            .request_strategy(keyed(self.stack(), "subscribe", &[key]))
            .send(&self.call(SUBSCRIPTION))
            .await
            .map_err(|error| error.about(SUBSCRIPTION))?;
        let client_secret = secret(&opened);
        Ok(OpenedSubscription { subscription: read(opened)?, client_secret })
    }

    /// What the app has to confirm for a subscription now: the payment that is due, else a way to pay later.
    /// `None` if nothing waits for it, or there is no such subscription.
    pub async fn client_secret(&self, id: &SubscriptionId) -> Result<Option<ClientSecret>, StripeError> {
        Ok(self.retrieved(id, &SECRETS).await?.as_ref().and_then(secret))
    }

    /// What a subscription is charged to: its own way to pay, else its customer's.
    pub async fn subscription_method(
        &self,
        id: &SubscriptionId,
    ) -> Result<Option<PaymentMethod>, StripeError> {
        let wanted = ["default_payment_method", "customer.invoice_settings.default_payment_method"];
        let Some(found) = self.retrieved(id, &wanted).await? else { return Ok(None) };
        let own = found.default_payment_method.and_then(|method| method.into_object());
        let customer = found.customer.as_object();
        let settings = customer.and_then(|customer| customer.invoice_settings.as_ref());
        let default = settings.and_then(|settings| settings.default_payment_method.as_ref());
        let method = own.as_ref().or_else(|| default?.as_object());
        method.map(|method| methods::read(method, default.map(|default| default.id().as_str()))).transpose()
    }

    fn new_subscription(&self, order: &SubscriptionOrder) -> CreateSubscription {
        use CreateSubscriptionPaymentBehavior::{AllowIncomplete, DefaultIncomplete};
        use CreateSubscriptionTrialSettingsEndBehaviorMissingPaymentMethod::Pause;
        let mut item = CreateSubscriptionItems::new();
        item.price = Some(order.price.to_string());
        item.quantity = Some(order.quantity.into());
        let mut settings = CreateSubscriptionPaymentSettings::new();
        settings.save_default_payment_method =
            Some(CreateSubscriptionPaymentSettingsSaveDefaultPaymentMethod::OnSubscription);
        settings.payment_method_types =
            Some(words::read(&order.payment_methods)).filter(|types: &Vec<_>| !types.is_empty());
        let expanded = SECRETS.into_iter().chain([schedule::EXPANDED]).map(str::to_owned);

        let mut request = CreateSubscription::new()
            .customer(order.customer.as_str())
            .items(vec![item])
            .metadata(self.metadata(&order.envelope, &order.request))
            .payment_behavior(if order.method.is_some() { AllowIncomplete } else { DefaultIncomplete })
            .payment_settings(settings)
            .expand(expanded.collect::<Vec<_>>());
        if let Some(method) = &order.method {
            request = request.default_payment_method(method.as_str());
        }
        if order.automatic_tax {
            request = request.automatic_tax(CreateSubscriptionAutomaticTax::new(true));
        }
        if order.trial_days > 0 {
            let mut end = CreateSubscriptionTrialSettingsEndBehavior::new();
            end.missing_payment_method = Some(Pause);
            request = request
                .trial_period_days(order.trial_days)
                .trial_settings(CreateSubscriptionTrialSettings::new(end));
        }
        request
    }
}

fn secret(found: &stripe_shared::Subscription) -> Option<ClientSecret> {
    let invoice = found.latest_invoice.as_ref().and_then(|invoice| invoice.as_object());
    let due = invoice.filter(|invoice| invoice.status == Some(InvoiceStatus::Open));
    let payment = due.and_then(|invoice| invoice.confirmation_secret.as_ref());
    let setup = found.pending_setup_intent.as_ref().and_then(|setup| setup.as_object());
    let secret = payment.map(|secret| secret.client_secret.clone());
    secret.or_else(|| setup?.client_secret.clone()).map(ClientSecret::new)
}
