//! Plans, from their checkout to their renewals, against a Stripe that keeps state.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::ids::{InvoiceId, SubscriptionId};
use domain::item::Interval;
use domain::money::{Currency, Money};
use domain::payment::Envelope;
use domain::subscription::{InvoiceLine, Period, Status};
use domain::time::{DAY_MS, HOUR_MS};
use stripe_api::{Price, Product, ProductId};

use crate::against_sandbox::{ada, now, order, sandbox, sandbox_at, stripe};
use crate::{CheckoutOrder, SessionStatus, Stripe, Subscription, SubscriptionItem, proxy};

fn euros(amount_minor: i64) -> Money {
    Money { amount_minor, currency: Currency::parse("eur").unwrap() }
}

async fn plan_order(stripe: &Stripe) -> CheckoutOrder {
    let product = ProductId::parse("main_premium").unwrap();
    let envelope =
        Envelope { catalog: Some(1), item: "plan:premium:month".parse().ok(), ..Envelope::default() };
    let sold = Product { id: product.clone(), name: "Premium".to_owned(), envelope: Envelope::default() };
    stripe.ensure_product(&sold).await.unwrap();
    let price = Price {
        product,
        lookup_key: "main:plan:premium:month".to_owned(),
        money: euros(999),
        interval: Some(Interval::Month),
        envelope: envelope.clone(),
    };
    let price = stripe.ensure_price(&price).await.unwrap();
    let customer = stripe.create_customer(&ada()).await.unwrap();
    let envelope = Envelope { user: Some(ada()), ..envelope };
    CheckoutOrder { envelope, quantity: 1, ..order(customer, price) }
}

/// Orders the plan and pays for it.
pub async fn buy(stripe: &Stripe, url: &str) -> (CheckoutOrder, SubscriptionId) {
    let order = plan_order(stripe).await;
    let opened = stripe.open_checkout(&order, "key").await.unwrap();
    proxy::pay(url, opened.id.as_str());
    let session = stripe.session(&opened.id).await.unwrap().unwrap();
    (order, session.subscription.unwrap())
}

#[tokio::test]
async fn a_checkout_for_a_plan_becomes_a_subscription_when_it_is_paid() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let order = plan_order(&stripe).await;
    let opened = stripe.open_checkout(&order, "key").await.unwrap();
    assert_eq!((opened.status, &opened.subscription), (SessionStatus::Open, &None));

    proxy::pay(&url, opened.id.as_str());

    let session = stripe.session(&opened.id).await.unwrap().unwrap();
    assert_eq!((session.status, &session.payment), (SessionStatus::Complete, &None));
    let since = now().plus_ms(-DAY_MS);
    assert_eq!(
        stripe.customer_sessions(&order.customer, since).await.unwrap(),
        std::slice::from_ref(&session)
    );
    let found = stripe.subscription(&session.subscription.unwrap()).await.unwrap().unwrap();
    let [SubscriptionItem { period_start, period_end, .. }] = found.items[..] else { panic!("{found:?}") };
    let item = SubscriptionItem {
        price: order.price,
        interval: Some(Interval::Month),
        unit: Some(euros(999)),
        quantity: 1,
        period_start,
        period_end,
    };
    let expected = Subscription {
        id: found.id.clone(),
        customer: Some(order.customer),
        envelope: Envelope { stack: Some("main".to_owned()), ..order.envelope },
        status: Status::Active,
        items: vec![item],
        anchor: period_start,
        trial_end: None,
        cancel_at: None,
        ended_at: None,
    };
    assert_eq!(found, expected);
    assert_eq!(period_end, period_start.plus_months(1));
}

#[tokio::test]
async fn every_period_has_its_paid_invoice_and_the_oldest_comes_first() {
    let clock = Arc::new(AtomicI64::new(now().millis()));
    let url = sandbox_at(Arc::clone(&clock));
    let stripe = stripe("main", &url);
    let (order, id) = buy(&stripe, &url).await;
    clock.fetch_add(2 * 31 * DAY_MS + 2 * HOUR_MS, Ordering::Relaxed);

    let subscription = stripe.subscription(&id).await.unwrap().unwrap();
    let invoices = stripe.paid_invoices(&id).await.unwrap();
    assert_eq!(invoices.len(), 3);
    let begins = |months: i64| subscription.anchor.plus_months(months);
    for (invoice, month) in invoices.iter().zip(0..) {
        assert_eq!(invoice.subscription, id);
        assert_eq!(invoice.customer, Some(order.customer.clone()));
        assert_eq!(invoice.paid, euros(999));
        let [(intent, 999)] = &invoice.payments[..] else { panic!("{invoice:?}") };
        assert!(intent.as_str().starts_with("pi_"), "{intent}");
        let period = Period { start: begins(month), end: begins(month + 1) };
        let line = InvoiceLine { price: Some(order.price.clone()), period, proration: false };
        assert_eq!(invoice.lines, [line]);
        assert_eq!(stripe.subscription_of(&invoice.id).await.unwrap(), Some(id.clone()));
    }
    assert_eq!(subscription.items[0].period_start, begins(2));
}

#[tokio::test]
async fn a_subscription_or_invoice_that_is_not_there_is_none() {
    let stripe = stripe("main", &sandbox());
    let nothing = SubscriptionId::parse("sub_none").unwrap();
    assert_eq!(stripe.subscription(&nothing).await.unwrap(), None);
    let nothing = InvoiceId::parse("in_none").unwrap();
    assert_eq!(stripe.subscription_of(&nothing).await.unwrap(), None);
}

#[tokio::test]
async fn an_open_checkout_is_expired_and_stays_so() {
    let stripe = stripe("main", &sandbox());
    let opened = stripe.open_checkout(&plan_order(&stripe).await, "key").await.unwrap();
    for _ in 0..2 {
        let expired = stripe.expire_checkout(&opened.id).await.unwrap();
        assert_eq!(expired.status, SessionStatus::Expired);
    }
    assert_eq!(stripe.session(&opened.id).await.unwrap().unwrap().status, SessionStatus::Expired);
}

#[tokio::test]
async fn a_checkout_that_expired_by_itself_or_was_paid_meanwhile_is_told_as_it_is() {
    let clock = Arc::new(AtomicI64::new(now().millis()));
    let url = sandbox_at(Arc::clone(&clock));
    let stripe = stripe("main", &url);
    let order = plan_order(&stripe).await;
    let paid = stripe.open_checkout(&order, "paid").await.unwrap();
    let left = stripe.open_checkout(&order, "left").await.unwrap();
    proxy::pay(&url, paid.id.as_str());
    let told = stripe.expire_checkout(&paid.id).await.unwrap();
    assert_eq!(told.status, SessionStatus::Complete);
    assert!(told.subscription.is_some());
    clock.fetch_add(3 * HOUR_MS, Ordering::Relaxed);
    assert_eq!(stripe.expire_checkout(&left.id).await.unwrap().status, SessionStatus::Expired);
}
