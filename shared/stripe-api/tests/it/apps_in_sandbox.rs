//! What an app does that collects for itself, against a Stripe that keeps state.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::ids::{CustomerId, PaymentId, PaymentMethodId, SubscriptionId};
use domain::payment::AttemptOutcome::Failed;
use domain::payment::Envelope;
use domain::subscription::Status;
use domain::time::DAY_MS;
use stripe_api::{
    ClientSecret, IntentState, IntentStatus, PaymentOrder, PortalFlow, SetupOrder, SetupStatus,
    SubscriptionOrder,
};

use crate::against_sandbox::{ada, now, sandbox_at, stripe};
use crate::plans_in_sandbox::{euros, plan_order};
use crate::{CheckoutOrder, Stripe, proxy};

/// An app with a customer, and a clock that can be moved.
struct App {
    clock: Arc<AtomicI64>,
    url: String,
    stripe: Stripe,
    customer: CustomerId,
}

impl App {
    async fn new() -> App {
        let clock = Arc::new(AtomicI64::new(now().millis()));
        let url = sandbox_at(Arc::clone(&clock));
        let stripe = stripe("main", &url);
        let customer = stripe.create_customer(&ada()).await.unwrap();
        App { clock, url, stripe, customer }
    }

    fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    /// One of the customer's own, by Stripe's name for it in test mode.
    async fn method(&self, name: &str) -> PaymentMethodId {
        self.stripe.attach(&pm(name), &self.customer).await.unwrap().id
    }

    async fn subscription(&self, trial_days: u32, method: Option<PaymentMethodId>) -> SubscriptionOrder {
        let plan = plan_order(&self.stripe).await;
        SubscriptionOrder {
            customer: self.customer.clone(),
            price: plan.price,
            quantity: 1,
            trial_days,
            method,
            payment_methods: Vec::new(),
            automatic_tax: false,
            envelope: plan.envelope,
            request: "req:ada:subscribe:1".to_owned(),
        }
    }

    fn payment(&self, method: Option<PaymentMethodId>) -> PaymentOrder {
        PaymentOrder {
            customer: self.customer.clone(),
            amount: euros(1998),
            method,
            payment_methods: Vec::new(),
            envelope: Envelope {
                user: Some(ada()),
                item: "package:medium:2".parse().ok(),
                ..Envelope::default()
            },
            request: "req:ada:pay:1".to_owned(),
        }
    }

    fn setup(&self) -> SetupOrder {
        SetupOrder {
            customer: self.customer.clone(),
            payment_methods: Vec::new(),
            envelope: Envelope { user: Some(ada()), ..Envelope::default() },
            request: "req:ada:setup:1".to_owned(),
        }
    }

    /// What the app does with a secret and a card.
    fn confirm(&self, secret: &ClientSecret, method: &str) {
        let kind = if secret.is_of_setup() { "setup_intents" } else { "payment_intents" };
        let (id, _) = secret.as_str().split_once("_secret").unwrap();
        let form = format!("payment_method={method}&return_url=https://app.example/");
        proxy::send(&self.url, &format!("/v1/{kind}/{id}/confirm"), &form);
    }

    async fn status(&self, id: &SubscriptionId) -> Status {
        self.stripe.subscription(id).await.unwrap().unwrap().status
    }
}

fn pm(name: &str) -> PaymentMethodId {
    PaymentMethodId::parse(name).unwrap()
}

#[tokio::test]
async fn a_subscription_waits_for_the_app_and_then_renews_by_itself() {
    let app = App::new().await;
    let order = app.subscription(0, None).await;
    let opened = app.stripe.open_subscription(&order, "key").await.unwrap();
    let id = &opened.subscription.id;
    assert_eq!(opened.subscription.status, Status::Incomplete);
    assert_eq!(opened.subscription.request.as_deref(), Some("req:ada:subscribe:1"));
    let secret = opened.client_secret.clone().unwrap();
    assert!(!secret.is_of_setup());
    assert_eq!(app.stripe.client_secret(id).await.unwrap().as_ref(), Some(&secret), "it can be had again");
    assert_eq!(app.stripe.open_subscription(&order, "key").await.unwrap(), opened);

    app.confirm(&secret, "pm_card_visa");
    let active = app.stripe.subscription(id).await.unwrap().unwrap();
    assert_eq!(active.status, Status::Active);
    assert!(active.method.is_some(), "it goes on with what it was paid with");
    assert_eq!(app.stripe.client_secret(id).await.unwrap(), None);
    app.pass(32 * DAY_MS);
    assert_eq!(app.status(id).await, Status::Active);
    assert_eq!(app.stripe.paid_invoices(id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_subscription_with_a_method_is_paid_at_once_or_waits() {
    for (card, status) in
        [("pm_card_visa", Status::Active), ("pm_card_chargeCustomerFail", Status::Incomplete)]
    {
        let app = App::new().await;
        let method = app.method(card).await;
        let order = app.subscription(0, Some(method.clone())).await;
        let opened = app.stripe.open_subscription(&order, "key").await.unwrap();
        assert_eq!(opened.subscription.status, status, "{card}");
        assert_eq!(opened.client_secret.is_some(), status == Status::Incomplete);
        assert_eq!(opened.subscription.method.as_ref(), Some(&method));
        let charged = app.stripe.subscription_method(&opened.subscription.id).await.unwrap().unwrap();
        assert_eq!(charged.id, method);
        assert!(charged.fingerprint.is_some());
    }
}

#[tokio::test]
async fn a_trial_asks_for_a_card_without_charging_it() {
    let app = App::new().await;
    let opened = app.stripe.open_subscription(&app.subscription(7, None).await, "key").await.unwrap();
    let id = &opened.subscription.id;
    assert_eq!(opened.subscription.status, Status::Trialing);
    let (start, end) = (opened.subscription.trial_start.unwrap(), opened.subscription.trial_end.unwrap());
    assert_eq!(end.millis() - start.millis(), 7 * DAY_MS);
    let secret = opened.client_secret.unwrap();
    assert!(secret.is_of_setup());
    app.confirm(&secret, "pm_card_visa");
    assert_eq!(app.stripe.client_secret(id).await.unwrap(), None);
    app.pass(8 * DAY_MS);
    assert_eq!(app.status(id).await, Status::Active);
    let paid = app.stripe.paid_invoices(id).await.unwrap();
    assert_eq!(paid.iter().map(|invoice| invoice.paid.amount_minor).collect::<Vec<_>>(), [0, 999]);
}

#[tokio::test]
async fn a_trial_without_a_card_pauses_until_there_is_one() {
    let app = App::new().await;
    let opened = app.stripe.open_subscription(&app.subscription(7, None).await, "key").await.unwrap();
    let id = &opened.subscription.id;
    app.pass(8 * DAY_MS);
    assert_eq!(app.status(id).await, Status::Paused);
    let method = app.method("pm_card_visa").await;
    app.stripe.charge_to(id, &method).await.unwrap();
    assert_eq!(app.stripe.subscription_method(id).await.unwrap().unwrap().id, method);
    let resumed = app.stripe.resume(id, "key").await.unwrap().unwrap();
    assert_eq!(resumed.status, Status::Active);
    assert_eq!(app.stripe.paid_invoices(id).await.unwrap().last().unwrap().paid, euros(999));
    assert_eq!(app.stripe.resume(id, "key").await.unwrap().unwrap().status, Status::Active, "and again");
}

#[tokio::test]
async fn a_resumption_that_is_declined_leaves_a_payment_to_be_confirmed_and_the_pause() {
    let app = App::new().await;
    let opened = app.stripe.open_subscription(&app.subscription(7, None).await, "key").await.unwrap();
    let id = &opened.subscription.id;
    app.pass(8 * DAY_MS);
    let bad = app.method("pm_card_chargeCustomerFail").await;
    app.stripe.charge_to(id, &bad).await.unwrap();
    let declined = app.stripe.resume(id, "key").await.unwrap().unwrap();
    assert_eq!(declined.status, Status::Paused);
    let secret = app.stripe.client_secret(id).await.unwrap().unwrap();
    assert!(!secret.is_of_setup());
    app.confirm(&secret, "pm_card_visa");
    assert_eq!(app.status(id).await, Status::Active);
    assert_eq!(app.stripe.paid_invoices(id).await.unwrap().last().unwrap().paid, euros(999));
}

#[tokio::test]
async fn ways_to_pay_that_are_named_are_those_that_are_offered() {
    let app = App::new().await;
    let named = || ["card", "us_bank_account", "sepa_debit"].map(str::to_owned).to_vec();
    let offered = |path: &str| proxy::get(&app.url, path)["payment_method_types"].clone();
    let in_euros = serde_json::json!(["card", "sepa_debit"]);
    let payment = PaymentOrder { payment_methods: named(), ..app.payment(None) };
    let payment = app.stripe.open_payment(&payment, "key").await.unwrap();
    assert_eq!(offered(&format!("/v1/payment_intents/{}", payment.id)), in_euros);
    let plan = CheckoutOrder { payment_methods: named(), ..plan_order(&app.stripe).await };
    let session = app.stripe.open_checkout(&plan, "key").await.unwrap();
    assert_eq!(offered(&format!("/v1/checkout/sessions/{}", session.id)), in_euros);
    let setup = SetupOrder { payment_methods: named(), ..app.setup() };
    let setup = app.stripe.open_setup(&setup, "key").await.unwrap();
    let all = serde_json::json!(named());
    assert_eq!(offered(&format!("/v1/setup_intents/{}", setup.id)), all, "no currency narrows it");

    // Stripe takes a subscription's list as it is, or not at all.
    let unfit = SubscriptionOrder { payment_methods: named(), ..app.subscription(0, None).await };
    assert!(app.stripe.open_subscription(&unfit, "unfit").await.is_err());
    let payment_methods = vec!["card".to_owned(), "sepa_debit".to_owned()];
    let fit = SubscriptionOrder { payment_methods, ..unfit };
    let opened = app.stripe.open_subscription(&fit, "fit").await.unwrap();
    let (intent, _) = opened.client_secret.as_ref().unwrap().as_str().split_once("_secret").unwrap();
    assert_eq!(offered(&format!("/v1/payment_intents/{intent}")), in_euros);
}

#[tokio::test]
async fn a_payment_is_made_at_once_with_a_card_that_is_there() {
    let app = App::new().await;
    let method = app.method("pm_card_visa").await;
    let order = app.payment(Some(method));
    let paid = app.stripe.open_payment(&order, "key").await.unwrap();
    assert_eq!(paid.status, IntentStatus::Succeeded);
    let IntentState::Succeeded(payment) = &paid.state else { panic!("{paid:?}") };
    assert_eq!((payment.paid, payment.envelope.user.clone()), (euros(1998), Some(ada())));
    assert_eq!(app.stripe.open_payment(&order, "key").await.unwrap(), paid);
    let since = now().plus_ms(-DAY_MS);
    assert_eq!(app.stripe.customer_payments(&app.customer, since).await.unwrap(), [paid]);
}

#[tokio::test]
async fn a_declined_payment_is_there_and_is_paid_by_another_card() {
    let app = App::new().await;
    let bad = app.method("pm_card_chargeCustomerFail").await;
    let order = app.payment(Some(bad));
    let failed = app.stripe.open_payment(&order, "key").await.unwrap();
    assert_eq!(failed.status, IntentStatus::RequiresMethod);
    assert!(matches!(failed.state, IntentState::Unpaid(Failed(_))), "{failed:?}");
    assert_eq!(app.stripe.open_payment(&order, "key").await.unwrap(), failed, "a retry makes no other");
    let good = app.method("pm_card_visa").await;
    let paid = app.stripe.confirm_payment(&failed.id, Some(&good), "good").await.unwrap().unwrap();
    assert_eq!(paid.status, IntentStatus::Succeeded);
    let again = app.stripe.confirm_payment(&failed.id, Some(&good), "better").await.unwrap().unwrap();
    assert_eq!(again, paid);
    assert_eq!(app.stripe.cancel_payment(&failed.id, "late").await.unwrap().unwrap(), paid);
}

#[tokio::test]
async fn a_payment_that_the_app_collects_is_confirmed_or_given_up() {
    let app = App::new().await;
    let opened = app.stripe.open_payment(&app.payment(None), "one").await.unwrap();
    assert_eq!(opened.status, IntentStatus::RequiresMethod);
    app.confirm(opened.client_secret.as_ref().unwrap(), "pm_card_visa");
    let paid = app.stripe.intent(&opened.id).await.unwrap().unwrap();
    assert_eq!(paid.status, IntentStatus::Succeeded);

    let left = app.stripe.open_payment(&app.payment(None), "two").await.unwrap();
    let canceled = app.stripe.cancel_payment(&left.id, "key").await.unwrap().unwrap();
    assert_eq!(canceled.status, IntentStatus::Canceled);
    let confirmed = app.stripe.confirm_payment(&left.id, Some(&pm("pm_card_visa")), "key").await.unwrap();
    assert_eq!(confirmed.unwrap().status, IntentStatus::Canceled);
    let nothing = PaymentId::parse("pi_none").unwrap();
    assert_eq!(app.stripe.confirm_payment(&nothing, None, "key").await.unwrap(), None);
    assert_eq!(app.stripe.cancel_payment(&nothing, "key").await.unwrap(), None);
}

#[tokio::test]
async fn a_payment_whose_reply_was_lost_is_made_once() {
    let app = App::new().await;
    let method = app.method("pm_card_visa").await;
    let forgetful = stripe("main", &proxy::losing_the_first_reply(&app.url));
    forgetful.open_payment(&app.payment(Some(method)), "key").await.unwrap();
    assert_eq!(app.stripe.customer_payments(&app.customer, now().plus_ms(-DAY_MS)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_payment_is_given_back_whole_once() {
    let app = App::new().await;
    let method = app.method("pm_card_visa").await;
    let paid = app.stripe.open_payment(&app.payment(Some(method)), "key").await.unwrap();
    for _ in 0..2 {
        app.stripe.refund_whole(&paid.id).await.unwrap();
    }
    let refunds = app.stripe.refunds(&paid.id).await.unwrap();
    assert_eq!(refunds.iter().map(|refund| refund.amount).collect::<Vec<_>>(), [euros(1998)]);
    app.stripe.refund_whole(&PaymentId::parse("cs_free").unwrap()).await.unwrap();
}

#[tokio::test]
async fn ways_to_pay_are_left_listed_chosen_and_taken_away() {
    let app = App::new().await;
    let opened = app.stripe.open_setup(&app.setup(), "key").await.unwrap();
    assert_eq!(opened.status, SetupStatus::RequiresMethod);
    assert_eq!(app.stripe.open_setup(&app.setup(), "key").await.unwrap(), opened);
    app.confirm(opened.client_secret.as_ref().unwrap(), "pm_card_visa");
    let done = app.stripe.setup(&opened.id).await.unwrap().unwrap();
    assert_eq!((done.status, done.envelope.user.clone()), (SetupStatus::Succeeded, Some(ada())));
    let first = done.method.unwrap();
    let second = app.method("pm_card_mastercard").await;

    let listed = app.stripe.payment_methods(&app.customer).await.unwrap();
    let told: Vec<_> =
        listed.iter().map(|method| (&method.id, method.brand.as_deref(), method.is_default)).collect();
    assert_eq!(told, [(&second, Some("mastercard"), false), (&first, Some("visa"), false)]);
    assert_ne!(listed[0].fingerprint, listed[1].fingerprint);
    for id in [&first, &second, &first] {
        app.stripe.make_default(&app.customer, id).await.unwrap();
        assert!(app.stripe.payment_method(id).await.unwrap().unwrap().is_default);
    }
    let defaults = app.stripe.payment_methods(&app.customer).await.unwrap();
    assert_eq!(defaults.iter().map(|method| method.is_default).collect::<Vec<_>>(), [false, true]);

    for _ in 0..2 {
        app.stripe.detach(&second).await.unwrap();
    }
    assert_eq!(app.stripe.payment_methods(&app.customer).await.unwrap().len(), 1);
    assert_eq!(app.stripe.payment_method(&second).await.unwrap().unwrap().customer, None);
    app.stripe.detach(&pm("pm_none")).await.unwrap();
}

#[tokio::test]
async fn the_same_card_has_the_same_fingerprint_whoever_leaves_it() {
    let app = App::new().await;
    let other = app.stripe.create_customer(&"auth0|bob".parse().unwrap()).await.unwrap();
    let one = app.stripe.attach(&pm("pm_card_visa"), &app.customer).await.unwrap();
    let same = app.stripe.attach(&pm("pm_card_visa"), &other).await.unwrap();
    assert_ne!(one.id, same.id);
    assert_eq!(one.fingerprint, same.fingerprint);
    assert!(app.stripe.attach(&one.id, &other).await.is_err(), "a card belongs to one customer");
    assert_eq!(app.stripe.attach(&one.id, &app.customer).await.unwrap().id, one.id);
}

#[tokio::test]
async fn invoices_are_paged_from_the_newest_to_the_oldest() {
    let app = App::new().await;
    let method = app.method("pm_card_visa").await;
    let order = app.subscription(0, Some(method)).await;
    let id = app.stripe.open_subscription(&order, "key").await.unwrap().subscription.id;
    app.pass(64 * DAY_MS);
    assert_eq!(app.status(&id).await, Status::Active);

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = app.stripe.customer_invoices(&app.customer, 2, after.as_ref()).await.unwrap();
        after = page.invoices.last().map(|invoice| invoice.id.clone());
        seen.extend(page.invoices);
        if !page.has_more {
            break;
        }
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.is_sorted_by_key(|invoice| -invoice.created.millis()), "{seen:?}");
    for invoice in &seen {
        assert_eq!((invoice.status.as_str(), invoice.paid_minor), ("paid", 999));
        assert_eq!(
            (invoice.customer.as_ref(), invoice.subscription.as_ref()),
            (Some(&app.customer), Some(&id))
        );
        assert!(invoice.number.is_some() && invoice.hosted_url.is_some() && invoice.pdf.is_some());
        assert_eq!(app.stripe.invoice(&invoice.id).await.unwrap().as_ref(), Some(invoice));
    }
}

#[tokio::test]
async fn the_portal_opens_for_a_customer_and_for_one_subscription() {
    let app = App::new().await;
    proxy::person(&app.url, "portal/default", "{}");
    let method = app.method("pm_card_visa").await;
    let order = app.subscription(0, Some(method)).await;
    let id = app.stripe.open_subscription(&order, "key").await.unwrap().subscription.id;
    let back = "https://app.example/account";
    let flows = [None, Some(PortalFlow::ChangeMethod), Some(PortalFlow::Cancel(id))];
    for flow in flows {
        let url = app.stripe.open_portal(&app.customer, back, None, flow.as_ref()).await.unwrap();
        assert!(url.starts_with(&app.url), "{url}");
    }
}
