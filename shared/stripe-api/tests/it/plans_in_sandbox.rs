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

pub fn euros(amount_minor: i64) -> Money {
    Money { amount_minor, currency: Currency::parse("eur").unwrap() }
}

pub async fn plan_order(stripe: &Stripe) -> CheckoutOrder {
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
    let [SubscriptionItem { id, period_start, period_end, .. }] = &found.items[..] else {
        panic!("{found:?}")
    };
    let (period_start, period_end) = (*period_start, *period_end);
    let item = SubscriptionItem {
        id: id.clone(),
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
        request: Some(order.request),
        status: Status::Active,
        items: vec![item],
        created: period_start,
        anchor: period_start,
        trial_start: None,
        trial_end: None,
        cancel_at: None,
        ended_at: None,
        schedule: None,
        next: None,
        method: found.method.clone(),
        ended_for: None,
    };
    assert!(found.method.is_some(), "it goes on with what it was paid with");
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
        let line = InvoiceLine { price: Some(order.price.clone()), quantity: 1, period, proration: false };
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

/// Buys what is ordered, with a card if one is asked for.
async fn bought(stripe: &Stripe, url: &str, order: &CheckoutOrder) -> Subscription {
    let opened = stripe.open_checkout(order, "key").await.unwrap();
    proxy::pay(url, opened.id.as_str());
    let session = stripe.session(&opened.id).await.unwrap().unwrap();
    stripe.subscription(&session.subscription.unwrap()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_plan_is_had_for_as_many_seats_as_are_ordered() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let order = CheckoutOrder { seats: 4, ..plan_order(&stripe).await };
    let team = bought(&stripe, &url, &order).await;
    assert_eq!(team.items[0].quantity, 4);
    let invoice = stripe.paid_invoices(&team.id).await.unwrap().remove(0);
    assert_eq!((invoice.paid, invoice.lines[0].quantity), (euros(4 * 999), 4));
}

#[tokio::test]
async fn a_plan_is_tried_before_it_is_paid_and_pauses_where_no_card_was_left() {
    for (needs_method, after) in [(true, Status::Active), (false, Status::Paused)] {
        let clock = Arc::new(AtomicI64::new(now().millis()));
        let url = sandbox_at(Arc::clone(&clock));
        let stripe = stripe("main", &url);
        let order = plan_order(&stripe).await;
        let order = CheckoutOrder { trial_days: 7, trial_needs_method: needs_method, ..order };
        let tried = bought(&stripe, &url, &order).await;
        assert_eq!(tried.status, Status::Trialing);
        let (start, end) = (tried.trial_start.unwrap(), tried.trial_end.unwrap());
        assert_eq!(end.millis() - start.millis(), 7 * DAY_MS);
        assert_eq!(tried.method.is_some(), needs_method, "a card is asked for only where it is needed");
        clock.fetch_add(7 * DAY_MS + 2 * HOUR_MS, Ordering::Relaxed);
        assert_eq!(stripe.subscription(&tried.id).await.unwrap().unwrap().status, after);
    }
}

#[tokio::test]
async fn a_plan_paid_by_debit_is_under_way_until_the_bank_answers_and_after_its_no_until_it_is_paid() {
    for (iban, failure) in
        [("DE89370400440532013000", None), ("DE65370400440002222227", Some("insufficient_funds"))]
    {
        let clock = Arc::new(AtomicI64::new(now().millis()));
        let url = sandbox_at(Arc::clone(&clock));
        let stripe = stripe("main", &url);
        let payment_methods = vec!["card".to_owned(), "sepa_debit".to_owned()];
        let order = CheckoutOrder { payment_methods, ..plan_order(&stripe).await };
        let opened = stripe.open_checkout(&order, "key").await.unwrap();
        proxy::person(&url, &format!("checkout/{}/pay", opened.id), &format!(r#"{{"iban":"{iban}"}}"#));
        let told = async || stripe.session(&opened.id).await.unwrap().unwrap();
        let under_way = told().await;
        assert_eq!((under_way.status, &under_way.failure), (SessionStatus::Processing, &None));
        clock.fetch_add(3 * DAY_MS + HOUR_MS, Ordering::Relaxed);
        let answered = told().await;
        assert_eq!(answered.failure.as_deref(), failure);
        let Some(invoice) = answered.invoice.filter(|_| failure.is_some()) else {
            assert_eq!(answered.status, SessionStatus::Complete);
            continue;
        };
        proxy::person(&url, &format!("invoices/{invoice}/pay"), r#"{"card":"4242424242424242"}"#);
        let paid = told().await;
        assert_eq!((paid.status, paid.failure), (SessionStatus::Complete, None));
    }
}

#[tokio::test]
async fn taxes_addresses_and_codes_are_asked_for_on_the_page() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let order = CheckoutOrder {
        automatic_tax: true,
        collect_address: true,
        promotion_codes: true,
        ..plan_order(&stripe).await
    };
    let opened = stripe.open_checkout(&order, "key").await.unwrap();
    let shown = proxy::get(&url, &format!("/v1/checkout/sessions/{}", opened.id));
    assert_eq!(shown["automatic_tax"]["enabled"], true);
    assert_eq!(shown["billing_address_collection"], "required");
    assert_eq!(shown["allow_promotion_codes"], true);
}
