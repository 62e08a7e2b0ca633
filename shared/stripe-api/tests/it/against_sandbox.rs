//! The same client against a Stripe that keeps state and holds its callers to the API's rules.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use domain::ids::{CheckoutId, CustomerId, PriceId, UserId};
use domain::item::Interval;
use domain::money::{Currency, Money};
use domain::payment::Envelope;
use domain::time::{DAY_MS, HOUR_MS, Time};
use stripe_api::{Billing, BillingAddress, Price, Product, ProductId};
use stripe_sandbox::{Options, Sandbox};
use tokio::runtime::Runtime;

use crate::proxy;
use crate::wire::KEY;
use crate::{CheckoutOrder, SessionStatus, Settings, Stripe, StripeError};

pub fn now() -> Time {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Time::from_millis(since_1970.as_millis().try_into().unwrap())
}

/// Starts a sandbox on a thread of its own, and says where.
pub fn sandbox() -> String {
    sandbox_at(Arc::new(AtomicI64::new(now().millis())))
}

/// The clock, which anyone may move, ticks at each look, so that no two changes share a second.
pub fn sandbox_at(clock: Arc<AtomicI64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sandbox = Sandbox::open(Options {
        database: None,
        secret_key: KEY.to_owned(),
        webhook: None,
        clock: Arc::new(move || clock.fetch_add(1_000, Ordering::Relaxed)),
        public_url: url.clone(),
    })
    .unwrap();
    thread::spawn(move || {
        Runtime::new().unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            sandbox.serve(listener, std::future::pending()).await.unwrap();
        });
    });
    url
}

pub fn stripe(stack: &str, url: &str) -> Stripe {
    Stripe::new(Settings { api_base: Some(url.to_owned()), ..Settings::new(KEY, stack) }).unwrap()
}

pub fn ada() -> UserId {
    UserId::parse("auth0|ada").unwrap()
}

fn product(name: &str) -> Product {
    let id = ProductId::parse("main_medium").unwrap();
    Product { id, name: name.to_owned(), envelope: Envelope::default() }
}

fn price(amount_minor: i64) -> Price {
    Price {
        product: ProductId::parse("main_medium").unwrap(),
        lookup_key: "main:package:medium".to_owned(),
        money: Money { amount_minor, currency: Currency::parse("eur").unwrap() },
        interval: None,
        envelope: Envelope { catalog: Some(1), item: "package:medium".parse().ok(), ..Envelope::default() },
    }
}

pub async fn published(stripe: &Stripe) -> PriceId {
    stripe.ensure_product(&product("Medium")).await.unwrap();
    stripe.ensure_price(&price(999)).await.unwrap()
}

pub fn order(customer: CustomerId, price: PriceId) -> CheckoutOrder {
    CheckoutOrder {
        customer,
        price,
        quantity: 2,
        seats: 1,
        trial_days: 0,
        trial_needs_method: true,
        payment_methods: Vec::new(),
        automatic_tax: false,
        collect_address: false,
        promotion_codes: false,
        expires_at: Time::from_seconds(now().seconds()).plus_ms(2 * HOUR_MS),
        success_url: "https://app.example/ok?id={CHECKOUT_SESSION_ID}".to_owned(),
        cancel_url: "https://app.example/".to_owned(),
        envelope: Envelope {
            stack: None,
            user: Some(ada()),
            catalog: Some(1),
            item: "package:medium:2".parse().ok(),
            trial: None,
        },
        request: "req:ada:checkout:1".to_owned(),
    }
}

async fn ready_order(stripe: &Stripe) -> CheckoutOrder {
    let customer = stripe.create_customer(&ada()).await.unwrap();
    order(customer, published(stripe).await)
}

#[tokio::test]
async fn one_user_asked_for_twice_at_once_is_one_customer() {
    let stripe = stripe("main", &sandbox());
    let user = ada();
    let (one, other) = tokio::join!(stripe.create_customer(&user), stripe.create_customer(&user));
    let customer = one.unwrap();
    assert_eq!(customer, other.unwrap());
    let owner = stripe.customer_owner(&customer).await.unwrap().unwrap();
    assert_eq!(owner.user, Some(ada()));
    assert_eq!(owner.stack.as_deref(), Some("main"));
}

#[tokio::test]
async fn a_stranger_has_no_owner() {
    let stripe = stripe("main", &sandbox());
    let nobody = CustomerId::parse("cus_nobody").unwrap();
    assert_eq!(stripe.customer_owner(&nobody).await.unwrap(), None);
    assert_eq!(stripe.session(&CheckoutId::parse("cs_none").unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn a_checkout_is_open_until_it_is_paid() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let order = ready_order(&stripe).await;
    let opened = stripe.open_checkout(&order, "key").await.unwrap();
    assert_eq!(opened.status, SessionStatus::Open);
    assert!(opened.url.is_some());
    assert_eq!(opened.payment, None);
    assert_eq!(opened.expires_at, order.expires_at);
    assert_eq!(opened.request.as_deref(), Some("req:ada:checkout:1"));

    proxy::pay(&url, opened.id.as_str());

    let paid = stripe.session(&opened.id).await.unwrap().unwrap();
    assert_eq!(paid.status, SessionStatus::Complete);
    let payment = paid.payment.unwrap();
    assert!(payment.id.as_str().starts_with("pi_"), "{}", payment.id);
    assert_eq!(payment.paid.amount_minor, 2 * 999);
    assert_eq!(payment.customer, Some(order.customer));
    assert_eq!(payment.envelope, Envelope { stack: Some("main".to_owned()), ..order.envelope });
}

#[tokio::test]
async fn the_same_order_under_the_same_key_is_the_same_checkout() {
    let stripe = stripe("main", &sandbox());
    let order = ready_order(&stripe).await;
    let first = stripe.open_checkout(&order, "key").await.unwrap();
    for _ in 0..5 {
        assert_eq!(stripe.open_checkout(&order, "key").await.unwrap(), first);
    }
    assert_ne!(stripe.open_checkout(&order, "another").await.unwrap().id, first.id);
}

#[tokio::test]
async fn another_order_under_the_same_key_is_refused() {
    let stripe = stripe("main", &sandbox());
    let order = ready_order(&stripe).await;
    stripe.open_checkout(&order, "key").await.unwrap();
    match stripe.open_checkout(&CheckoutOrder { quantity: 3, ..order }, "key").await {
        Err(StripeError::Refused(refusal)) => assert_eq!(refusal.kind.as_deref(), Some("idempotency_error")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_order_for_an_unknown_price_is_refused() {
    let stripe = stripe("main", &sandbox());
    let customer = stripe.create_customer(&ada()).await.unwrap();
    let unknown = order(customer, PriceId::parse("price_unknown").unwrap());
    let error = stripe.open_checkout(&unknown, "key").await.unwrap_err();
    assert_eq!(error.code(), Some("resource_missing"));
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_checkout_whose_reply_was_lost_is_found_by_its_key() {
    let url = sandbox();
    let order = ready_order(&stripe("main", &url)).await;
    let forgetful = stripe("main", &proxy::losing_the_first_reply(&url));
    let opened = forgetful.open_checkout(&order, "key").await.unwrap();
    let sessions = forgetful.customer_sessions(&order.customer, now().plus_ms(-DAY_MS)).await.unwrap();
    assert_eq!(sessions, [opened]);
}

#[tokio::test]
async fn a_customers_checkouts_are_listed_newest_first() {
    let stripe = stripe("main", &sandbox());
    let order = ready_order(&stripe).await;
    let mut opened = Vec::new();
    for key in ["1", "2", "3"] {
        opened.insert(0, stripe.open_checkout(&order, key).await.unwrap());
    }
    assert_eq!(stripe.customer_sessions(&order.customer, now().plus_ms(-DAY_MS)).await.unwrap(), opened);
    assert_eq!(stripe.customer_sessions(&order.customer, now().plus_ms(HOUR_MS)).await.unwrap(), []);
}

#[tokio::test]
async fn another_stacks_checkout_is_read_with_its_own_envelope() {
    let url = sandbox();
    let theirs = stripe("theirs", &url);
    let order = ready_order(&theirs).await;
    let opened = theirs.open_checkout(&order, "key").await.unwrap();
    let seen = stripe("ours", &url).session(&opened.id).await.unwrap().unwrap();
    assert_eq!(seen.envelope.stack.as_deref(), Some("theirs"));
    assert_eq!(seen.envelope.user, Some(ada()));
}

#[tokio::test]
async fn a_published_price_is_made_once() {
    let stripe = stripe("main", &sandbox());
    let made = published(&stripe).await;
    assert_eq!(published(&stripe).await, made);
    let later = Price { envelope: Envelope { catalog: Some(2), ..price(999).envelope }, ..price(999) };
    assert_eq!(stripe.ensure_price(&later).await.unwrap(), made, "a new catalog version needs no new price");
}

#[tokio::test]
async fn two_publishers_at_once_make_one_price() {
    let stripe = stripe("main", &sandbox());
    stripe.ensure_product(&product("Medium")).await.unwrap();
    let price = price(999);
    let (one, other) = tokio::join!(stripe.ensure_price(&price), stripe.ensure_price(&price));
    assert_eq!(one.unwrap(), other.unwrap());
}

#[tokio::test]
async fn a_changed_price_takes_the_lookup_key_over_there_and_back() {
    let stripe = stripe("main", &sandbox());
    let mut made = vec![published(&stripe).await];
    for amount in [1099, 999, 1099] {
        let next = stripe.ensure_price(&price(amount)).await.unwrap();
        assert!(!made.contains(&next), "{amount}");
        assert_eq!(stripe.ensure_price(&price(amount)).await.unwrap(), next, "{amount}");
        made.push(next);
    }
}

#[tokio::test]
async fn a_replaced_price_can_still_be_paid() {
    let stripe = stripe("main", &sandbox());
    let frozen = ready_order(&stripe).await;
    stripe.ensure_price(&price(1099)).await.unwrap();
    assert!(stripe.open_checkout(&frozen, "key").await.is_ok());
}

#[tokio::test]
async fn currency_and_interval_are_part_of_a_price() {
    let stripe = stripe("main", &sandbox());
    let once = published(&stripe).await;
    let monthly = Price { interval: Some(Interval::Month), ..price(999) };
    let month = stripe.ensure_price(&monthly).await.unwrap();
    assert_ne!(month, once);
    assert_eq!(stripe.ensure_price(&monthly).await.unwrap(), month);
    let usd = Money { amount_minor: 999, currency: Currency::parse("usd").unwrap() };
    assert_ne!(stripe.ensure_price(&Price { money: usd, ..monthly }).await.unwrap(), month);
}

#[tokio::test]
async fn a_product_can_be_renamed_there_and_back() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    for name in ["Medium", "Middle", "Medium", "Middle", "Medium"] {
        stripe.ensure_product(&product(name)).await.unwrap();
        assert_eq!(proxy::get(&url, "/v1/products/main_medium")["name"], name);
    }
}

#[tokio::test]
async fn a_deleted_customer_is_nobodys_and_can_be_deleted_again() {
    let stripe = stripe("main", &sandbox());
    let customer = stripe.create_customer(&ada()).await.unwrap();
    for _ in 0..2 {
        stripe.delete_customer(&customer).await.unwrap();
        assert_eq!(stripe.customer_owner(&customer).await.unwrap(), None);
    }
    stripe.delete_customer(&CustomerId::parse("cus_never").unwrap()).await.unwrap();
}

#[tokio::test]
async fn billing_details_are_kept_until_they_are_taken_away() {
    let stripe = stripe("main", &sandbox());
    let customer = stripe.create_customer(&ada()).await.unwrap();
    assert_eq!(stripe.billing(&customer).await.unwrap(), Some(Billing::default()));
    let billing = Billing {
        name: Some("Ada Lovelace".to_owned()),
        email: Some("ada@example.com".to_owned()),
        phone: None,
        address: Some(BillingAddress {
            line1: Some("12 Rue Monge".to_owned()),
            postal_code: Some("75005".to_owned()),
            country: Some("FR".to_owned()),
            ..BillingAddress::default()
        }),
    };
    for (key, billing) in [("1", &billing), ("2", &Billing::default()), ("3", &billing)] {
        let set = stripe.set_billing(&customer, billing, key).await.unwrap();
        assert_eq!(set.as_ref(), Some(billing));
        assert_eq!(stripe.billing(&customer).await.unwrap().as_ref(), Some(billing));
    }
    stripe.delete_customer(&customer).await.unwrap();
    assert_eq!(stripe.billing(&customer).await.unwrap(), None);
    assert_eq!(stripe.set_billing(&customer, &billing, "4").await.unwrap(), None);
}
