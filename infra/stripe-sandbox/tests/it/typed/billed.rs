//! What is scheduled, previewed, paused, taken off and taxed.

use stripe_billing::invoice::{
    CreatePreviewInvoice, CreatePreviewInvoiceSubscriptionDetails,
    CreatePreviewInvoiceSubscriptionDetailsItems,
    CreatePreviewInvoiceSubscriptionDetailsProrationBehavior as PreviewProration,
};
use stripe_billing::subscription::{
    CreateSubscription, CreateSubscriptionItems, CreateSubscriptionTrialSettings,
    CreateSubscriptionTrialSettingsEndBehavior,
    CreateSubscriptionTrialSettingsEndBehaviorMissingPaymentMethod as Missing, ResumeSubscription,
    ResumeSubscriptionBillingCycleAnchor, ResumeSubscriptionBillingCycleAnchorType,
    ResumeSubscriptionPaymentBehavior, RetrieveSubscription, UpdateSubscription,
    UpdateSubscriptionPauseCollection, UpdateSubscriptionPauseCollectionBehavior, UpdateSubscriptionTrialEnd,
};
use stripe_billing::subscription_schedule::{
    CancelSubscriptionSchedule, CreateSubscriptionSchedule, ListSubscriptionSchedule,
    ReleaseSubscriptionSchedule, RetrieveSubscriptionSchedule, UpdateSubscriptionSchedule,
    UpdateSubscriptionSchedulePhases, UpdateSubscriptionSchedulePhasesDuration,
    UpdateSubscriptionSchedulePhasesDurationInterval, UpdateSubscriptionSchedulePhasesEndDate,
    UpdateSubscriptionSchedulePhasesItems, UpdateSubscriptionSchedulePhasesStartDate,
};
use stripe_client_core::{RequestBuilder, StripeMethod};
use stripe_shared::{
    Coupon, Discount, Invoice, PromotionCode, SubscriptionScheduleEndBehavior, SubscriptionScheduleStatus,
    SubscriptionStatus,
};
use stripe_types::List;

use super::{assert_known, fetch, parse_deliveries};
use crate::stand::{DAY_MS, HOUR_MS, PAYS, Stand, id, period};

fn phase_of(price: &str) -> UpdateSubscriptionSchedulePhases {
    let item = UpdateSubscriptionSchedulePhasesItems {
        price: Some(price.to_owned()),
        quantity: Some(1),
        ..UpdateSubscriptionSchedulePhasesItems::new()
    };
    UpdateSubscriptionSchedulePhases::new([item])
}

#[tokio::test]
async fn a_schedule_parses_in_every_state() {
    let stand = Stand::start().await;
    let (large, small) = (stand.plan("L", 1400, "week").await, stand.plan("S", 700, "week").await);
    let bought = stand.subscribe(&large, "").await;
    let (start, end) = period(&bought);
    let made = CreateSubscriptionSchedule::new().from_subscription(id(&bought)).send(&stand).await.unwrap();
    assert_known(&made);
    let current = UpdateSubscriptionSchedulePhases {
        start_date: Some(UpdateSubscriptionSchedulePhasesStartDate::Timestamp(start)),
        end_date: Some(UpdateSubscriptionSchedulePhasesEndDate::Timestamp(end)),
        ..phase_of(&large)
    };
    let duration =
        UpdateSubscriptionSchedulePhasesDuration::new(UpdateSubscriptionSchedulePhasesDurationInterval::Week);
    let next = UpdateSubscriptionSchedulePhases { duration: Some(duration), ..phase_of(&small) };
    let planned = UpdateSubscriptionSchedule::new(made.id.clone())
        .phases([current, next])
        .end_behavior(SubscriptionScheduleEndBehavior::Release);
    let planned = planned.send(&stand).await.unwrap();
    assert_known(&planned);
    assert_eq!(planned.phases[1].start_date, end);
    let whole = RetrieveSubscription::new(id(&bought)).expand(["schedule".to_owned()]);
    let whole = whole.send(&stand).await.unwrap();
    assert_eq!(whole.schedule.unwrap().as_object().unwrap().id, made.id);
    let listed = ListSubscriptionSchedule::new().customer(bought["customer"].as_str().unwrap());
    assert_eq!(listed.send(&stand).await.unwrap().data.len(), 1);

    let released = ReleaseSubscriptionSchedule::new(made.id.clone()).send(&stand).await.unwrap();
    assert_eq!(released.status, SubscriptionScheduleStatus::Released);
    assert!(released.current_phase.is_none() && released.released_subscription.is_some());
    let again = CreateSubscriptionSchedule::new().from_subscription(id(&bought)).send(&stand).await.unwrap();
    let canceled = CancelSubscriptionSchedule::new(again.id.clone()).send(&stand).await.unwrap();
    assert_eq!(canceled.status, SubscriptionScheduleStatus::Canceled);
    assert_known(&RetrieveSubscriptionSchedule::new(again.id).send(&stand).await.unwrap());
    parse_deliveries(&stand).await;
}

#[tokio::test]
async fn previews_parse_as_invoices() {
    let stand = Stand::start().await;
    let (small, large) = (stand.plan("S", 700, "week").await, stand.plan("L", 1400, "week").await);
    let bought = stand.subscribe(&small, "").await;
    stand.live(2 * DAY_MS).await;
    let item = CreatePreviewInvoiceSubscriptionDetailsItems {
        id: Some(id(&bought["items"]["data"][0]).to_owned()),
        price: Some(large),
        ..CreatePreviewInvoiceSubscriptionDetailsItems::new()
    };
    let details = CreatePreviewInvoiceSubscriptionDetails {
        items: Some(vec![item]),
        proration_behavior: Some(PreviewProration::AlwaysInvoice),
        proration_date: Some(stand.now()),
        ..CreatePreviewInvoiceSubscriptionDetails::new()
    };
    let preview = CreatePreviewInvoice::new().subscription(id(&bought)).subscription_details(details);
    let preview = preview.send(&stand).await.unwrap();
    assert_known(&preview);
    assert_eq!(preview.amount_due, 500);
    let plain = CreatePreviewInvoice::new().subscription(id(&bought)).send(&stand).await.unwrap();
    assert_known(&plain);
    assert_eq!(plain.amount_due, 700);
}

#[tokio::test]
async fn trials_and_pauses_parse() {
    let stand = Stand::start().await;
    let price = stand.plan("S", 700, "week").await;
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let item = CreateSubscriptionItems { price: Some(price), ..CreateSubscriptionItems::new() };
    let pauses = CreateSubscriptionTrialSettingsEndBehavior {
        missing_payment_method: Some(Missing::Pause),
        ..CreateSubscriptionTrialSettingsEndBehavior::new()
    };
    let made = CreateSubscription::new()
        .customer(customer.as_str())
        .items([item])
        .trial_period_days(5_u32)
        .trial_settings(CreateSubscriptionTrialSettings::new(pauses))
        .expand(["pending_setup_intent".to_owned()]);
    let made = made.send(&stand).await.unwrap();
    assert_known(&made);
    assert!(made.pending_setup_intent.as_ref().and_then(|intent| intent.as_object()).is_some());
    let later = UpdateSubscription::new(made.id.clone())
        .trial_end(UpdateSubscriptionTrialEnd::Timestamp(stand.now() + 6 * 86_400))
        .pause_collection(UpdateSubscriptionPauseCollection::new(
            UpdateSubscriptionPauseCollectionBehavior::KeepAsDraft,
        ));
    let later = later.send(&stand).await.unwrap();
    assert_known(&later);
    assert!(later.pause_collection.is_some());
    stand.live(6 * DAY_MS).await;
    let paused = RetrieveSubscription::new(made.id.clone()).send(&stand).await.unwrap();
    assert_known(&paused);
    assert_eq!(paused.status, SubscriptionStatus::Paused);
    assert!(paused.status_details.is_some());
    stand.post(&format!("/v1/subscriptions/{}", made.id), "pause_collection=").await;
    stand.swap_card(made.id.as_str(), PAYS).await;
    let anchor = ResumeSubscriptionBillingCycleAnchor::new(ResumeSubscriptionBillingCycleAnchorType::Now);
    let resumed = ResumeSubscription::new(made.id.clone())
        .billing_cycle_anchor(anchor)
        .payment_behavior(ResumeSubscriptionPaymentBehavior::ResumeOnPaymentSuccess);
    assert_eq!(resumed.send(&stand).await.unwrap().status, SubscriptionStatus::Active);
    stand
        .post(&format!("/v1/subscriptions/{}", made.id), "pause_collection[behavior]=mark_uncollectible")
        .await;
    stand.live(8 * DAY_MS).await;
    parse_deliveries(&stand).await;
}

#[tokio::test]
async fn coupons_promotion_codes_and_discounts_parse() {
    let stand = Stand::start().await;
    let price = stand.plan("S", 700, "week").await;
    let product = stand.get(&format!("/v1/prices/{price}")).await["product"].as_str().unwrap().to_owned();
    let form = format!(
        "id=HALF&percent_off=50.5&duration=repeating&duration_in_months=1&applies_to[products][]={product}\
         &redeem_by={}&max_redemptions=9",
        stand.now() + 999
    );
    stand.post("/v1/coupons", &form).await;
    let coupon = fetch!(&stand, "/coupons/HALF?expand[]=applies_to", Coupon);
    assert_known(&coupon);
    assert!(coupon.applies_to.is_some() && coupon.percent_off.is_some());
    stand.post("/v1/coupons", "amount_off=100&currency=eur").await;
    assert_eq!(fetch!(&stand, "/coupons", List<Coupon>).data.len(), 2);
    let form = "promotion[type]=coupon&promotion[coupon]=HALF&code=HALF&restrictions[minimum_amount]=5\
                &restrictions[minimum_amount_currency]=eur&restrictions[first_time_transaction]=true";
    let code = stand.post("/v1/promotion_codes", form).await;
    let path = format!("/promotion_codes/{}?expand[]=promotion.coupon", id(&code));
    assert_known(&fetch!(&stand, path, PromotionCode));
    assert_eq!(fetch!(&stand, "/promotion_codes?code=half", List<PromotionCode>).data.len(), 1);

    let customer = stand.post("/v1/customers", "address[country]=DE").await;
    let more = format!(
        "&customer={}&automatic_tax[enabled]=true&discounts[0][promotion_code]={}",
        id(&customer),
        id(&code)
    );
    let bought = stand.subscribe(&price, &more).await;
    let whole = ["discounts.source.coupon", "latest_invoice.total_discount_amounts.discount"];
    let whole = RetrieveSubscription::new(id(&bought)).expand(whole.map(str::to_owned)).send(&stand).await;
    let whole = whole.unwrap();
    assert_known(&whole);
    let discount: &Discount = whole.discounts[0].as_object().unwrap();
    assert!(discount.promotion_code.is_some() && discount.end.is_some());
    let invoice: &Invoice = whole.latest_invoice.as_ref().unwrap().as_object().unwrap();
    assert_eq!(invoice.total_discount_amounts.as_ref().unwrap()[0].amount, 354);
    assert_eq!(invoice.total_taxes.as_ref().unwrap()[0].amount, 66);
    stand.live(32 * DAY_MS + HOUR_MS).await;
    stand.delete("/v1/coupons/HALF").await;
    parse_deliveries(&stand).await;
}
