//! What customers may do on Stripe's own page. A stack has one configuration for each of its catalogs, which is
//! found by its metadata: others may stand in the same Stripe account, and are nobody's business here.

use std::collections::HashMap;

use domain::catalog::{Proration, When};
use domain::ids::PriceId;
use domain::payment::Envelope;
use stripe::StripeRequest;
use stripe_billing::BillingPortalConfiguration;
use stripe_billing::billing_portal_configuration::{
    CreateBillingPortalConfiguration, CreateBillingPortalConfigurationFeatures, InvoiceListParam,
    ListBillingPortalConfiguration, PaymentMethodUpdateParam,
    SubscriptionUpdateProductAdjustableQuantityParam as AdjustableQuantity, SubscriptionUpdateProductParam,
    UpdateBillingPortalConfiguration, UpdateBillingPortalConfigurationBusinessProfile as BusinessProfile,
    UpdateBillingPortalConfigurationFeatures as Features,
    UpdateBillingPortalConfigurationFeaturesCustomerUpdate as CustomerUpdate,
    UpdateBillingPortalConfigurationFeaturesCustomerUpdateAllowedUpdates as Detail,
    UpdateBillingPortalConfigurationFeaturesSubscriptionCancel as SubscriptionCancel,
    UpdateBillingPortalConfigurationFeaturesSubscriptionCancelMode as CancelMode,
    UpdateBillingPortalConfigurationFeaturesSubscriptionCancelProrationBehavior as CancelProration,
    UpdateBillingPortalConfigurationFeaturesSubscriptionUpdate as SubscriptionUpdate,
    UpdateBillingPortalConfigurationFeaturesSubscriptionUpdateDefaultAllowedUpdates as AllowedUpdate,
    UpdateBillingPortalConfigurationFeaturesSubscriptionUpdateProrationBehavior as UpdateProration,
    UpdateBillingPortalConfigurationFeaturesSubscriptionUpdateScheduleAtPeriodEnd as ScheduleAtPeriodEnd,
    UpdateBillingPortalConfigurationFeaturesSubscriptionUpdateScheduleAtPeriodEndConditions as Condition,
    UpdateBillingPortalConfigurationFeaturesSubscriptionUpdateScheduleAtPeriodEndConditionsType as ConditionType,
    UpdateBillingPortalConfigurationFeaturesSubscriptionUpdateTrialUpdateBehavior as TrialUpdate,
};

use crate::error::StripeError;
use crate::idempotency::{keyed, keyed_once};
use crate::{ProductId, Stripe, paging};

const CONFIGURATION: &str = "billing_portal.configuration";
const LONGEST_HEADLINE: usize = 60;

/// What a catalog's customers may do in the portal. To change how is paid and who is billed, to look at invoices, to
/// cancel when the period ends and to take that back, they always may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalConfiguration {
    /// The catalog's own name: there is one configuration of it in this stack, whatever its version.
    pub catalog: String,
    pub headline: String,
    /// Where they go back to, unless a visit says otherwise.
    pub return_url: String,
    /// `None` where no plan is changed there.
    pub changes: Option<PortalChanges>,
}

/// How subscriptions are changed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalChanges {
    /// At least one, and up to [`PortalChanges::MOST_PLANS`].
    pub plans: Vec<PortalPlan>,
    pub proration: Proration,
    /// When what comes to less, or is paid more often, begins. Everything else begins at once.
    pub downgrade: When,
    /// Whether a trial goes on with the plan that is changed to, instead of ending and being paid for.
    pub keeps_trials: bool,
}

/// A plan that can be changed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalPlan {
    pub product: ProductId,
    /// One for each interval and currency.
    pub prices: Vec<PriceId>,
    /// How many seats may be had of it, where it is sold by the seat.
    pub seats: Option<u32>,
}

impl PortalChanges {
    /// Stripe's page has no room for more.
    pub const MOST_PLANS: usize = 10;
}

impl Stripe {
    /// Has the catalog's configuration be this one, and answers its id.
    pub async fn ensure_portal(&self, wanted: &PortalConfiguration) -> Result<String, StripeError> {
        let id = match self.find_portal(&wanted.catalog).await? {
            Some(id) => id,
            None => self.create_portal(&wanted.catalog).await?,
        };
        let mut profile = BusinessProfile::new();
        profile.headline = Some(wanted.headline.chars().take(LONGEST_HEADLINE).collect());
        let updated = UpdateBillingPortalConfiguration::new(id.as_str())
            .active(true)
            .business_profile(profile)
            .default_return_url(wanted.return_url.as_str())
            .features(wanted.features())
            .customize()
            .request_strategy(keyed_once(self.stack(), "portal-update"))
            .send(&self.call(CONFIGURATION))
            .await;
        updated.map(|_| id).map_err(|error| error.about(CONFIGURATION))
    }

    /// The oldest, should somebody have made more of them.
    async fn find_portal(&self, catalog: &str) -> Result<Option<String>, StripeError> {
        let ours = self.portal_metadata(catalog);
        let is_ours = |found: &BillingPortalConfiguration| {
            let carried = found.metadata.as_ref();
            ours.iter().all(|(name, value)| carried.and_then(|carried| carried.get(name)) == Some(value))
        };
        let list = ListBillingPortalConfiguration::new().active(true).limit(100);
        let found = paging::all(list.paginate(), self.call(CONFIGURATION)).await?;
        let oldest = found.into_iter().filter(is_ours).min_by_key(|found| found.created);
        Ok(oldest.map(|found| found.id.to_string()))
    }

    /// With hardly anything in it: the update that follows says what it offers. Whoever else creates it at this
    /// moment is answered the same one.
    async fn create_portal(&self, catalog: &str) -> Result<String, StripeError> {
        let mut features = CreateBillingPortalConfigurationFeatures::new();
        features.invoice_history = Some(InvoiceListParam::new(true));
        let created = CreateBillingPortalConfiguration::new(features)
            .metadata(self.portal_metadata(catalog))
            .customize()
            .request_strategy(keyed(self.stack(), "portal-configuration", &[catalog]))
            .send(&self.call(CONFIGURATION))
            .await;
        created.map(|created| created.id.to_string()).map_err(|error| error.about(CONFIGURATION))
    }

    fn portal_metadata(&self, catalog: &str) -> HashMap<String, String> {
        [(Envelope::STACK, self.stack()), (Envelope::CATALOG, catalog)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }
}

impl PortalConfiguration {
    fn features(&self) -> Features {
        let mut details = CustomerUpdate::new();
        details.enabled = Some(true);
        details.allowed_updates = Some(vec![Detail::Address, Detail::Email, Detail::Name, Detail::Phone]);
        let mut cancel = SubscriptionCancel::new();
        cancel.enabled = Some(true);
        cancel.mode = Some(CancelMode::AtPeriodEnd);
        cancel.proration_behavior = Some(CancelProration::None);
        let update = match &self.changes {
            Some(changes) => changes.in_stripe(),
            None => SubscriptionUpdate { enabled: Some(false), ..SubscriptionUpdate::new() },
        };
        Features {
            customer_update: Some(details),
            invoice_history: Some(InvoiceListParam::new(true)),
            payment_method_update: Some(PaymentMethodUpdateParam::new(true)),
            subscription_cancel: Some(cancel),
            subscription_update: Some(update),
        }
    }
}

impl PortalChanges {
    fn in_stripe(&self) -> SubscriptionUpdate {
        let mut allowed = vec![AllowedUpdate::Price];
        if self.plans.iter().any(|plan| plan.seats.is_some()) {
            allowed.push(AllowedUpdate::Quantity);
        }
        // An empty list takes away the conditions that there were.
        let conditions = match self.downgrade {
            When::Now => Vec::new(),
            When::PeriodEnd => {
                vec![ConditionType::DecreasingItemAmount, ConditionType::ShorteningInterval]
            }
        };
        let conditions = conditions.into_iter().map(Condition::new).collect();
        SubscriptionUpdate {
            billing_cycle_anchor: None,
            default_allowed_updates: Some(allowed),
            enabled: Some(true),
            products: Some(self.plans.iter().map(PortalPlan::in_stripe).collect()),
            proration_behavior: Some(match self.proration {
                Proration::AtOnce => UpdateProration::AlwaysInvoice,
                Proration::NextInvoice => UpdateProration::CreateProrations,
                Proration::None => UpdateProration::None,
            }),
            schedule_at_period_end: Some(ScheduleAtPeriodEnd { conditions: Some(conditions) }),
            trial_update_behavior: Some(match self.keeps_trials {
                true => TrialUpdate::ContinueTrial,
                false => TrialUpdate::EndTrial,
            }),
        }
    }
}

impl PortalPlan {
    fn in_stripe(&self) -> SubscriptionUpdateProductParam {
        let prices: Vec<String> = self.prices.iter().map(PriceId::to_string).collect();
        let mut product = SubscriptionUpdateProductParam::new(prices, self.product.as_str());
        let mut quantity = AdjustableQuantity::new(self.seats.is_some());
        if let Some(seats) = self.seats {
            (quantity.minimum, quantity.maximum) = (Some(1), Some(seats.into()));
        }
        product.adjustable_quantity = Some(quantity);
        product
    }
}
