//! A phase of a schedule as it is read, in the words that it is written in. What is not written again is lost.

use stripe_billing::subscription_schedule::{
    UpdateSubscriptionSchedulePhases, UpdateSubscriptionSchedulePhasesAutomaticTax,
    UpdateSubscriptionSchedulePhasesCollectionMethod, UpdateSubscriptionSchedulePhasesDiscounts,
    UpdateSubscriptionSchedulePhasesItems, UpdateSubscriptionSchedulePhasesTrialEnd,
};
use stripe_shared::{
    StackableDiscountWithDiscountSettingsAndDiscountEnd, SubscriptionScheduleConfigurationItem,
    SubscriptionSchedulePhaseConfiguration, TaxRate,
};

use crate::error::StripeError;

/// All that says what is charged and to what, without its dates and its metadata. Of accounts that charge for others
/// it says nothing: we do not.
pub(crate) fn same(
    phase: &SubscriptionSchedulePhaseConfiguration,
) -> Result<UpdateSubscriptionSchedulePhases, StripeError> {
    let items: Vec<_> = phase.items.iter().map(item).collect::<Result<_, _>>()?;
    let mut same = UpdateSubscriptionSchedulePhases::new(items);
    if phase.automatic_tax.as_ref().is_some_and(|tax| tax.enabled) {
        same.automatic_tax = Some(UpdateSubscriptionSchedulePhasesAutomaticTax::new(true));
    }
    same.collection_method = phase.collection_method.as_ref().map(|method| {
        let Ok(method) = method.as_str().parse::<UpdateSubscriptionSchedulePhasesCollectionMethod>();
        method
    });
    same.default_payment_method = phase.default_payment_method.as_ref().map(|method| method.id().to_string());
    same.default_tax_rates = phase.default_tax_rates.as_deref().and_then(rates);
    same.description = phase.description.clone();
    same.discounts = some(phase.discounts.iter().map(discount).collect());
    same.trial_end = phase.trial_end.map(UpdateSubscriptionSchedulePhasesTrialEnd::Timestamp);
    Ok(same)
}

/// The typed builders cannot nest what an item has of its own, and panic: only discounts and taxes of the whole
/// subscription go on. An item's metadata stays as it is, unless it is written.
fn item(
    item: &SubscriptionScheduleConfigurationItem,
) -> Result<UpdateSubscriptionSchedulePhasesItems, StripeError> {
    if !item.discounts.is_empty() || item.tax_rates.as_ref().is_some_and(|rates| !rates.is_empty()) {
        let problem = "an item has a discount or a tax rate of its own, which cannot be written again";
        return Err(StripeError::malformed("subscription_schedule", problem));
    }
    let mut same = UpdateSubscriptionSchedulePhasesItems::new();
    same.price = Some(item.price.id().to_string());
    same.quantity = item.quantity;
    Ok(same)
}

/// A discount that runs already goes on, instead of being given anew.
fn discount(
    found: &StackableDiscountWithDiscountSettingsAndDiscountEnd,
) -> UpdateSubscriptionSchedulePhasesDiscounts {
    let mut same = UpdateSubscriptionSchedulePhasesDiscounts::new();
    match (&found.discount, &found.promotion_code, &found.coupon) {
        (Some(discount), _, _) => same.discount = Some(discount.id().to_string()),
        (None, Some(code), _) => same.promotion_code = Some(code.id().to_string()),
        (None, None, coupon) => same.coupon = coupon.as_ref().map(|coupon| coupon.id().to_string()),
    }
    same
}

fn rates(rates: &[TaxRate]) -> Option<Vec<String>> {
    some(rates.iter().map(|rate| rate.id.to_string()).collect())
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}
