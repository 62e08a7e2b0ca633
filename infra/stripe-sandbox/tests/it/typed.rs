//! Every object parses with async-stripe's typed structs, which refuse an answer that lacks a required field.

mod billed;
mod desk;
mod given_back;
mod paying;

use std::fmt::Display;

use axum::body::Bytes;
use serde_json::Value;
use stripe_billing::invoice::{ListInvoice, PayInvoice, RetrieveInvoice, VoidInvoiceInvoice};
use stripe_billing::subscription::{
    CancelSubscription, CreateSubscription, CreateSubscriptionItems, ListSubscription,
    ListSubscriptionStatus, RetrieveSubscription, UpdateSubscription, UpdateSubscriptionItems,
    UpdateSubscriptionProrationBehavior,
};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionSubscriptionData,
    ExpireCheckoutSession, ListCheckoutSession, ListLineItemsCheckoutSession, RetrieveCheckoutSession,
};
use stripe_client_core::{
    CustomizedStripeRequest, RequestBuilder, StripeClient, StripeClientErr, StripeMethod,
};
use stripe_core::customer::{
    CreateCustomer, DeleteCustomer, ListCustomer, RetrieveCustomer, RetrieveCustomerReturned, SearchCustomer,
    UpdateCustomer,
};
use stripe_core::payment_intent::{ListPaymentIntent, RetrievePaymentIntent};
use stripe_product::price::{
    CreatePrice, CreatePriceRecurring, CreatePriceRecurringInterval, ListPrice, RetrievePrice, UpdatePrice,
};
use stripe_product::product::{CreateProduct, ListProduct, RetrieveProduct, UpdateProduct};
use stripe_shared::{
    Charge, CheckoutSessionMode, CheckoutSessionPaymentStatus, CheckoutSessionStatus, Dispute, Event,
    Invoice, InvoicePayment, InvoiceStatus, PaymentMethod, Refund, SetupIntent, Subscription,
    SubscriptionStatus,
};
use stripe_types::{Currency, List};

use crate::stand::{DAY_MS, FAILS_LATER, HOUR_MS, PAYS, Stand, id};

#[derive(Debug)]
#[expect(dead_code, reason = "read by unwrap's message")]
pub struct Unparsed(String);

impl StripeClientErr for Unparsed {
    fn deserialize_err(message: impl Display) -> Self {
        Self(message.to_string())
    }
}

impl StripeClient for Stand {
    type Err = Unparsed;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, Unparsed> {
        let (request, _) = request.into_pieces();
        let path = match &request.query {
            Some(query) => format!("/v1{}?{query}", request.path),
            None => format!("/v1{}", request.path),
        };
        let answer = match request.method {
            StripeMethod::Get => self.try_get(&path).await,
            StripeMethod::Post => {
                self.try_post(&path, request.body.as_deref().unwrap_or_default(), &[]).await
            }
            StripeMethod::Delete => self.delete(&path).await,
        };
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        Ok(answer.text.into())
    }
}

/// Answers anything with one body.
struct Canned(String);

impl StripeClient for Canned {
    type Err = Unparsed;

    async fn execute(&self, _: CustomizedStripeRequest) -> Result<Bytes, Unparsed> {
        Ok(self.0.clone().into())
    }
}

/// A GET for what has no builder among the features in use.
macro_rules! fetch {
    ($client:expr, $path:expr, $as:ty) => {
        RequestBuilder::new(StripeMethod::Get, $path).customize::<$as>().send($client).await.unwrap()
    };
}

pub(crate) use fetch;

#[tokio::test]
async fn customers_parse() {
    let stand = Stand::start().await;
    let metadata = [("user".to_owned(), "u-1".to_owned())];
    let made = CreateCustomer::new().email("a@b.test").metadata(metadata).send(&stand).await.unwrap();
    let updated = UpdateCustomer::new(made.id.clone()).name("Ada").send(&stand).await.unwrap();
    assert_eq!(updated.name.as_deref(), Some("Ada"));
    let got = RetrieveCustomer::new(made.id.clone()).send(&stand).await.unwrap();
    assert!(matches!(got, RetrieveCustomerReturned::Customer(customer) if customer.id == made.id));
    assert_eq!(ListCustomer::new().send(&stand).await.unwrap().data.len(), 1);
    let found = SearchCustomer::new("metadata['user']:'u-1'").send(&stand).await.unwrap();
    assert_eq!(found.data[0].id, made.id);
    DeleteCustomer::new(made.id.clone()).send(&stand).await.unwrap();
    let gone = RetrieveCustomer::new(made.id).send(&stand).await.unwrap();
    assert!(matches!(gone, RetrieveCustomerReturned::DeletedCustomer(_)));
}

#[tokio::test]
async fn products_and_prices_parse() {
    let stand = Stand::start().await;
    let product = CreateProduct::new("Small").id("small").send(&stand).await.unwrap();
    UpdateProduct::new(product.id.clone()).description("100 tokens").send(&stand).await.unwrap();
    let product = RetrieveProduct::new(product.id).send(&stand).await.unwrap();
    assert_eq!(product.description.as_deref(), Some("100 tokens"));
    assert_eq!(ListProduct::new().send(&stand).await.unwrap().data.len(), 1);

    let price = CreatePrice::new(Currency::EUR).product("small").unit_amount(499).lookup_key("small");
    let price = price.send(&stand).await.unwrap();
    let weekly = CreatePriceRecurring::new(CreatePriceRecurringInterval::Week);
    let weekly = CreatePrice::new(Currency::EUR).product("small").unit_amount(999).recurring(weekly);
    assert!(weekly.send(&stand).await.unwrap().recurring.is_some());
    UpdatePrice::new(price.id.clone()).nickname("S").send(&stand).await.unwrap();
    let price = RetrievePrice::new(price.id).expand(["product".to_owned()]).send(&stand).await.unwrap();
    assert_eq!(price.product.as_object().unwrap().name, "Small");
    let found = ListPrice::new().lookup_keys(["small".to_owned()]).send(&stand).await.unwrap();
    assert_eq!(found.data[0].id, price.id);
}

#[tokio::test]
async fn sessions_and_payments_parse() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let customer = CreateCustomer::new().email("a@b.test").send(&stand).await.unwrap();
    let line = CreateCheckoutSessionLineItems {
        price: Some(price),
        quantity: Some(2),
        ..CreateCheckoutSessionLineItems::new()
    };
    let request = CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Payment)
        .customer(customer.id.as_str())
        .allow_promotion_codes(true)
        .line_items([line])
        .success_url("https://shop.test/done");
    let session = request.send(&stand).await.unwrap();
    assert_eq!(session.amount_total, Some(998));
    let lines = ListLineItemsCheckoutSession::new(session.id.clone()).send(&stand).await.unwrap();
    assert_eq!(lines.data[0].quantity, Some(2));

    assert_eq!(stand.pay(session.id.as_str(), "4000 0000 0000 0002").await.status, 402);
    let declined = ListPaymentIntent::new().send(&stand).await.unwrap().data.remove(0);
    assert!(declined.last_payment_error.is_some());
    stand.pay(session.id.as_str(), "4000 0025 0000 3155").await;
    let asking = RetrievePaymentIntent::new(declined.id).send(&stand).await.unwrap();
    assert!(asking.next_action.is_some());
    stand.pay(session.id.as_str(), "4242 4242 4242 4242").await;

    let whole = ["customer", "line_items", "payment_intent.latest_charge", "payment_intent.payment_method"];
    let session = RetrieveCheckoutSession::new(session.id).expand(whole.map(str::to_owned));
    let session = session.send(&stand).await.unwrap();
    assert_eq!(session.payment_status, CheckoutSessionPaymentStatus::Paid);
    let intent = session.payment_intent.unwrap();
    let intent = intent.as_object().unwrap();
    assert!(intent.latest_charge.as_ref().unwrap().as_object().unwrap().paid);
    assert!(intent.payment_method.as_ref().unwrap().as_object().unwrap().card.is_some());
    let charges = fetch!(&stand, "/charges", List<Charge>);
    assert_eq!(charges.data.len(), 2);
    let charge = fetch!(&stand, format!("/charges/{}", charges.data[0].id), Charge);
    assert!(charge.payment_method_details.unwrap().card.is_some());
}

#[tokio::test]
async fn expired_sessions_and_lists_of_sessions_parse() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let open = stand.session(&price, "&automatic_tax[enabled]=true").await;
    let other = stand.session(&price, "&customer_email=a@b.test").await;
    ExpireCheckoutSession::new(id(&other)).send(&stand).await.unwrap();
    let listed = ListCheckoutSession::new().status(CheckoutSessionStatus::Open).send(&stand).await.unwrap();
    assert_eq!(listed.data.len(), 1);
    assert_eq!(listed.data[0].id.as_str(), id(&open));
    assert!(listed.data[0].automatic_tax.enabled);
}

#[tokio::test]
async fn events_parse_and_so_do_the_objects_they_carry() {
    let stand = Stand::start().await;
    let customer = stand.post("/v1/customers", "").await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    stand.pay(id(&session), "4000000000000002").await;
    stand.pay(id(&session), "4242424242424242").await;
    stand.delete(&format!("/v1/customers/{}", id(&customer))).await;

    let events = fetch!(&stand, "/events?limit=100", List<Event>);
    let event = fetch!(&stand, format!("/events/{}", events.data[0].id), Event);
    assert_eq!(event.id, events.data[0].id);
    parse_deliveries(&stand).await;
    assert_eq!(stand.hook.received().len(), events.data.len());
}

async fn parse_deliveries(stand: &Stand) {
    stand.sandbox.run_due().await;
    for received in stand.hook.received() {
        fetch!(&Canned(received.body.clone()), "", Event);
        parse_object(&received.event()["data"]["object"]).await;
    }
}

async fn parse_object(object: &Value) {
    let canned = Canned(object.to_string());
    match object["object"].as_str().unwrap() {
        "charge" => drop(fetch!(&canned, "", Charge)),
        "checkout.session" => drop(fetch!(&canned, "", stripe_shared::CheckoutSession)),
        "dispute" => assert_known(&fetch!(&canned, "", Dispute)),
        "customer" => drop(fetch!(&canned, "", stripe_shared::Customer)),
        "invoice" => assert_known(&fetch!(&canned, "", Invoice)),
        "invoice_payment" => assert_known(&fetch!(&canned, "", InvoicePayment)),
        "payment_method" => assert_known(&fetch!(&canned, "", PaymentMethod)),
        "subscription" => assert_known(&fetch!(&canned, "", Subscription)),
        "subscription_schedule" => {
            assert_known(&fetch!(&canned, "", stripe_shared::SubscriptionSchedule));
        }
        "coupon" => assert_known(&fetch!(&canned, "", stripe_shared::Coupon)),
        "discount" => assert_known(&fetch!(&canned, "", stripe_shared::Discount)),
        "promotion_code" => assert_known(&fetch!(&canned, "", stripe_shared::PromotionCode)),
        "billing_portal.configuration" => {
            assert_known(&fetch!(&canned, "", stripe_billing::BillingPortalConfiguration));
        }
        "billing_portal.session" => {
            assert_known(&fetch!(&canned, "", stripe_billing::BillingPortalSession));
        }
        "refund" => assert_known(&fetch!(&canned, "", Refund)),
        "payment_intent" => drop(fetch!(&canned, "", stripe_shared::PaymentIntent)),
        "setup_intent" => assert_known(&fetch!(&canned, "", SetupIntent)),
        "price" => drop(fetch!(&canned, "", stripe_shared::Price)),
        "product" => drop(fetch!(&canned, "", stripe_shared::Product)),
        other => panic!("no type is known for {other}"),
    }
}

/// Enums take a value they do not know for an unknown one: here that would be a value Stripe does not have.
fn assert_known(parsed: &impl std::fmt::Debug) {
    let shown = format!("{parsed:?}");
    assert!(!shown.contains("Unknown("), "{shown}");
}

#[tokio::test]
async fn a_subscription_bought_at_the_till_parses_with_all_it_leads_to() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let line = CreateCheckoutSessionLineItems {
        price: Some(price),
        quantity: Some(1),
        ..CreateCheckoutSessionLineItems::new()
    };
    let data = CreateCheckoutSessionSubscriptionData {
        metadata: Some([("user".to_owned(), "u-1".to_owned())].into()),
        ..CreateCheckoutSessionSubscriptionData::new()
    };
    let request = CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Subscription)
        .line_items([line])
        .subscription_data(data)
        .success_url("https://shop.test/done");
    let session = request.send(&stand).await.unwrap();
    stand.pay(session.id.as_str(), PAYS).await;

    let session = RetrieveCheckoutSession::new(session.id)
        .expand(["subscription.default_payment_method", "invoice.payments"].map(str::to_owned));
    let session = session.send(&stand).await.unwrap();
    assert_known(&session);
    assert_eq!(session.payment_status, CheckoutSessionPaymentStatus::Paid);
    let subscription = session.subscription.unwrap();
    let subscription = subscription.as_object().unwrap();
    assert_eq!(subscription.status, SubscriptionStatus::Active);
    assert_eq!(subscription.metadata["user"], "u-1");
    let method = subscription.default_payment_method.as_ref().unwrap().as_object().unwrap();
    let invoice = session.invoice.unwrap();
    let invoice = invoice.as_object().unwrap();
    assert_eq!(invoice.status, Some(InvoiceStatus::Paid));
    let parent = invoice.parent.as_ref().unwrap().subscription_details.as_ref().unwrap();
    assert_eq!(parent.subscription.id(), &subscription.id);
    let item = &subscription.items.data[0];
    let line = &invoice.lines.data[0];
    assert_eq!(line.period.end, item.current_period_end);
    let details = line.parent.as_ref().unwrap().subscription_item_details.as_ref().unwrap();
    assert_eq!(details.subscription_item, item.id.as_str());
    let priced = line.pricing.as_ref().unwrap().price_details.as_ref().unwrap();
    assert_eq!(priced.price.id(), &item.price.id);
    assert!(invoice.payments.as_ref().unwrap().data[0].payment.payment_intent.is_some());

    let payments = fetch!(&stand, "/invoice_payments", List<InvoicePayment>);
    assert_eq!(payments.data[0].status, "paid");
    let methods = format!("/customers/{}/payment_methods", subscription.customer.id());
    assert_eq!(fetch!(&stand, methods, List<PaymentMethod>).data[0].id, method.id);
}

#[tokio::test]
async fn every_state_of_a_subscription_and_its_invoices_parses() {
    let stand = Stand::start().await;
    let (small, large) = (stand.plan("S", 700, "week").await, stand.plan("L", 1400, "week").await);
    let customer = CreateCustomer::new().email("a@b.test").send(&stand).await.unwrap();
    let attach = format!("customer={}", customer.id);
    let method = stand.post("/v1/payment_methods/pm_card_visa/attach", &attach).await;
    let item = CreateSubscriptionItems { price: Some(small), ..CreateSubscriptionItems::new() };
    let made = CreateSubscription::new()
        .customer(customer.id.as_str())
        .items([item])
        .default_payment_method(id(&method));
    let made = made.send(&stand).await.unwrap();
    assert_known(&made);

    let item = UpdateSubscriptionItems {
        id: Some(made.items.data[0].id.to_string()),
        price: Some(large),
        ..UpdateSubscriptionItems::new()
    };
    let changed = UpdateSubscription::new(made.id.clone())
        .items([item])
        .proration_behavior(UpdateSubscriptionProrationBehavior::AlwaysInvoice)
        .expand(["latest_invoice".to_owned()]);
    let changed = changed.send(&stand).await.unwrap();
    let prorated = changed.latest_invoice.as_ref().unwrap().as_object().unwrap();
    let details = prorated.lines.data[0].parent.as_ref().unwrap().subscription_item_details.as_ref().unwrap();
    assert!(details.proration);

    stand.swap_card(made.id.as_str(), FAILS_LATER).await;
    stand.live(7 * DAY_MS + HOUR_MS).await;
    let owing = RetrieveSubscription::new(made.id.clone()).send(&stand).await.unwrap();
    assert_eq!(owing.status, SubscriptionStatus::PastDue);
    let open = ListInvoice::new().status(InvoiceStatus::Open).subscription(made.id.as_str());
    let open = open.send(&stand).await.unwrap();
    assert!(open.data[0].next_payment_attempt.is_some());
    let open = open.data[0].id.clone().unwrap();
    stand.swap_card(made.id.as_str(), PAYS).await;
    let paid = PayInvoice::new(open.clone()).send(&stand).await.unwrap();
    assert_eq!(paid.status, Some(InvoiceStatus::Paid));
    assert_known(&RetrieveInvoice::new(open).send(&stand).await.unwrap());

    stand.swap_card(made.id.as_str(), FAILS_LATER).await;
    stand.live(7 * DAY_MS).await;
    let owed = stand.subscription(made.id.as_str()).await["latest_invoice"].as_str().unwrap().to_owned();
    let void = VoidInvoiceInvoice::new(owed).send(&stand).await.unwrap();
    assert_eq!(void.status, Some(InvoiceStatus::Void));

    let leaving = UpdateSubscription::new(made.id.clone()).cancel_at_period_end(true);
    assert!(leaving.send(&stand).await.unwrap().cancel_at.is_some());
    assert!(CancelSubscription::new(made.id).send(&stand).await.unwrap().ended_at.is_some());
    let ended = ListSubscription::new().status(ListSubscriptionStatus::Ended).send(&stand).await.unwrap();
    assert_eq!(ended.data[0].status, SubscriptionStatus::Canceled);

    parse_deliveries(&stand).await;
}

#[tokio::test]
async fn the_typed_client_pages_through_a_list() {
    let stand = Stand::start().await;
    for _ in 0..5 {
        CreateCustomer::new().send(&stand).await.unwrap();
    }
    let mut pages = ListCustomer::new().limit(2).send(&stand).await.unwrap();
    let mut seen = pages.data.len();
    while pages.has_more {
        let last = pages.data[pages.data.len() - 1].id.clone();
        pages = ListCustomer::new().limit(2).starting_after(last.as_str()).send(&stand).await.unwrap();
        seen += pages.data.len();
    }
    assert_eq!(seen, 5);
}
