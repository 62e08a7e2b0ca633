//! Stripe's own page on which a customer minds cards, invoices and subscriptions.

use domain::ids::{CustomerId, SubscriptionId};
use stripe::StripeRequest;
use stripe_billing::billing_portal_session::{
    CreateBillingPortalSession, CreateBillingPortalSessionFlowData,
    CreateBillingPortalSessionFlowDataSubscriptionCancel,
    CreateBillingPortalSessionFlowDataSubscriptionUpdate, CreateBillingPortalSessionFlowDataType,
};

use crate::Stripe;
use crate::error::StripeError;
use crate::idempotency::keyed_once;

const PORTAL: &str = "billing_portal.session";

/// The one thing to be done there, instead of all that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortalFlow {
    ChangeMethod,
    Cancel(SubscriptionId),
    ChangePlan(SubscriptionId),
}

impl Stripe {
    /// Where the customer is let in. Whoever has the address is, for some minutes: it is for one click and for no log,
    /// and every call makes another. Without a configuration it offers what the Stripe account's own says.
    pub async fn open_portal(
        &self,
        customer: &CustomerId,
        return_url: &str,
        configuration: Option<&str>,
        flow: Option<&PortalFlow>,
    ) -> Result<String, StripeError> {
        let mut request =
            CreateBillingPortalSession::new().customer(customer.as_str()).return_url(return_url);
        if let Some(configuration) = configuration {
            request = request.configuration(configuration);
        }
        if let Some(flow) = flow {
            request = request.flow_data(flow.in_stripe());
        }
        let opened = request
            .customize()
            .request_strategy(keyed_once(self.stack(), "portal"))
            .send(&self.call(PORTAL))
            .await;
        opened.map(|session| session.url).map_err(|error| error.about(PORTAL))
    }
}

impl PortalFlow {
    fn in_stripe(&self) -> CreateBillingPortalSessionFlowData {
        use CreateBillingPortalSessionFlowDataType::{
            PaymentMethodUpdate, SubscriptionCancel, SubscriptionUpdate,
        };
        match self {
            PortalFlow::ChangeMethod => CreateBillingPortalSessionFlowData::new(PaymentMethodUpdate),
            PortalFlow::Cancel(id) => {
                let mut flow = CreateBillingPortalSessionFlowData::new(SubscriptionCancel);
                let which = CreateBillingPortalSessionFlowDataSubscriptionCancel::new(id.as_str());
                flow.subscription_cancel = Some(which);
                flow
            }
            PortalFlow::ChangePlan(id) => {
                let mut flow = CreateBillingPortalSessionFlowData::new(SubscriptionUpdate);
                let which = CreateBillingPortalSessionFlowDataSubscriptionUpdate::new(id.as_str());
                flow.subscription_update = Some(which);
                flow
            }
        }
    }
}
