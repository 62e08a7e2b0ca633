//! A subscription's life after it began, against a Stripe that keeps state.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::catalog::{Proration, When};
use domain::ids::{PriceId, SubscriptionId};
use domain::item::Interval;
use domain::payment::Envelope;
use domain::subscription::Status;
use domain::time::{DAY_MS, HOUR_MS, Time};
use stripe_api::{ChangeOrder, Price, Product, ProductId};

use crate::against_sandbox::{ada, now, sandbox_at, stripe};
use crate::plans_in_sandbox::{buy, euros};
use crate::{Stripe, Subscription, proxy};

/// A subscriber of a plan for 9.99 a month, and a clock that can be moved.
struct Subscriber {
    clock: Arc<AtomicI64>,
    url: String,
    stripe: Stripe,
    id: SubscriptionId,
}

impl Subscriber {
    async fn new() -> Subscriber {
        let clock = Arc::new(AtomicI64::new(now().millis()));
        let url = sandbox_at(Arc::clone(&clock));
        let stripe = stripe("main", &url);
        let (_, id) = buy(&stripe, &url).await;
        Subscriber { clock, url, stripe, id }
    }

    fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    fn now(&self) -> Time {
        Time::from_seconds(Time::from_millis(self.clock.load(Ordering::Relaxed)).seconds())
    }

    async fn found(&self) -> Subscription {
        self.stripe.subscription(&self.id).await.unwrap().unwrap()
    }

    /// What the latest paid invoice came to.
    async fn paid(&self) -> i64 {
        self.stripe.paid_invoices(&self.id).await.unwrap().last().unwrap().paid.amount_minor
    }

    async fn order(&self, plan: &str, minor: i64, interval: Interval) -> ChangeOrder {
        let price = price(&self.stripe, plan, minor, interval).await;
        ChangeOrder {
            subscription: self.id.clone(),
            price,
            quantity: 1,
            proration: Proration::AtOnce,
            counted_from: self.now(),
            envelope: Envelope {
                user: Some(ada()),
                catalog: Some(2),
                item: format!("plan:{plan}:{}", interval.name()).parse().ok(),
                ..Envelope::default()
            },
            request: format!("req:ada:change:{plan}"),
        }
    }

    async fn elite(&self) -> ChangeOrder {
        self.order("elite", 1999, Interval::Month).await
    }

    fn swap_card(&self, card: &str) {
        let body = format!(r#"{{"card":"{card}"}}"#);
        proxy::person(&self.url, &format!("subscriptions/{}/card", self.id), &body);
    }
}

async fn price(stripe: &Stripe, plan: &str, minor: i64, interval: Interval) -> PriceId {
    let product = ProductId::parse(format!("main_{plan}")).unwrap();
    let sold = Product { id: product.clone(), name: plan.to_owned(), envelope: Envelope::default() };
    stripe.ensure_product(&sold).await.unwrap();
    let lookup_key = format!("main:plan:{plan}:{}", interval.name());
    let (money, envelope) = (euros(minor), Envelope::default());
    stripe
        .ensure_price(&Price { product, lookup_key, money, interval: Some(interval), envelope })
        .await
        .unwrap()
}

#[tokio::test]
async fn an_upgrade_costs_what_its_preview_said_however_late_it_is_asked_for() {
    let subscriber = Subscriber::new().await;
    subscriber.pass(10 * DAY_MS);
    let order = subscriber.elite().await;
    let before = subscriber.found().await;
    let preview = subscriber.stripe.preview_change(&order, When::Now).await.unwrap().unwrap();
    assert_eq!(subscriber.found().await, before, "to look changes nothing");
    assert!((400..=1000).contains(&preview.due_now.amount_minor), "{preview:?}");
    assert_eq!((preview.due_next, preview.next_at), (euros(1999), before.items[0].period_end));
    let sum: i64 = preview.lines.iter().map(|line| line.amount.amount_minor).sum();
    assert_eq!(sum + preview.tax.amount_minor, preview.due_now.amount_minor);
    assert!(preview.lines.iter().all(|line| line.proration && line.period.start == order.counted_from));

    subscriber.pass(20 * 60_000);
    let changed = subscriber.stripe.change_now(&order, "key").await.unwrap().unwrap();
    assert_eq!(changed.items[0].price, order.price);
    assert_eq!(changed.items[0].id, before.items[0].id, "it is the same item");
    assert_eq!((changed.envelope.catalog, &changed.envelope.item), (Some(2), &order.envelope.item));
    assert_eq!(changed.envelope.user, Some(ada()));
    assert_eq!(subscriber.paid().await, preview.due_now.amount_minor);

    assert_eq!(subscriber.stripe.change_now(&order, "key").await.unwrap().unwrap(), changed);
    assert_eq!(subscriber.stripe.change_now(&order, "later").await.unwrap().unwrap(), changed);
    assert_eq!(subscriber.stripe.paid_invoices(&subscriber.id).await.unwrap().len(), 2, "it was paid once");
    subscriber.pass(31 * DAY_MS);
    assert_eq!(subscriber.found().await.status, Status::Active);
    assert_eq!(subscriber.paid().await, 1999);
}

#[tokio::test]
async fn seats_are_changed_like_plans_and_invoices_say_how_many() {
    let subscriber = Subscriber::new().await;
    subscriber.pass(3 * DAY_MS);
    let price = subscriber.found().await.items[0].price.clone();
    let order = ChangeOrder { price, quantity: 5, ..subscriber.elite().await };
    let preview = subscriber.stripe.preview_change(&order, When::Now).await.unwrap().unwrap();
    let changed = subscriber.stripe.change_now(&order, "key").await.unwrap().unwrap();
    assert_eq!(changed.items[0].quantity, 5);
    assert_eq!(preview.due_next, euros(5 * 999));
    let invoices = subscriber.stripe.paid_invoices(&subscriber.id).await.unwrap();
    assert_eq!(invoices[1].paid, preview.due_now);
    assert_eq!(invoices[1].lines.iter().map(|line| line.quantity).collect::<Vec<_>>(), [5]);
    assert_eq!(invoices[0].lines[0].quantity, 1);
}

#[tokio::test]
async fn another_interval_begins_at_once_and_what_is_unused_is_given_back() {
    let subscriber = Subscriber::new().await;
    subscriber.pass(5 * DAY_MS);
    let yearly = subscriber.order("yearly", 9990, Interval::Year).await;
    let preview = subscriber.stripe.preview_change(&yearly, When::Now).await.unwrap().unwrap();
    assert!((9000..9990).contains(&preview.due_now.amount_minor), "{preview:?}");
    assert_eq!(preview.due_next, euros(9990));
    let changed = subscriber.stripe.change_now(&yearly, "key").await.unwrap().unwrap();
    assert_eq!(subscriber.paid().await, preview.due_now.amount_minor);
    let item = &changed.items[0];
    assert_eq!(item.period_end, item.period_start.plus_months(12));
    let off_ms = item.period_end.millis() - preview.next_at.millis();
    assert!((0..60_000).contains(&off_ms), "the year begins when it is asked for: {off_ms}");
}

#[tokio::test]
async fn a_change_that_cannot_be_paid_changes_nothing_and_says_why() {
    let subscriber = Subscriber::new().await;
    subscriber.pass(5 * DAY_MS);
    subscriber.swap_card("4000000000000341");
    let before = subscriber.found().await;
    let order = subscriber.elite().await;
    let error = subscriber.stripe.change_now(&order, "key").await.unwrap_err();
    assert_eq!(error.decline(), Some("generic_decline"), "{error}");
    assert_eq!(subscriber.found().await, before);
    subscriber.swap_card("4242424242424242");
    let again = subscriber.stripe.change_now(&order, "key").await.unwrap_err();
    assert!(again.decline().is_some(), "under its key it stays refused: {again}");
    let changed = subscriber.stripe.change_now(&order, "another").await.unwrap().unwrap();
    assert_eq!(changed.items[0].price, order.price);
}

#[tokio::test]
async fn a_change_at_the_periods_end_waits_for_it_and_bills_it_whole() {
    let subscriber = Subscriber::new().await;
    subscriber.pass(5 * DAY_MS);
    let order = subscriber.order("basic", 499, Interval::Month).await;
    let preview = subscriber.stripe.preview_change(&order, When::PeriodEnd).await.unwrap().unwrap();
    let before = subscriber.found().await;
    let end = before.items[0].period_end;
    assert_eq!((preview.due_now, preview.due_next, preview.next_at), (euros(0), euros(499), end));

    let changing = subscriber.stripe.change_at_period_end(&order, "key").await.unwrap().unwrap();
    let next = changing.next.clone().unwrap();
    assert_eq!((&next.price, next.quantity, next.at), (&order.price, 1, end));
    assert_eq!((next.envelope.catalog, &next.envelope.item), (Some(2), &order.envelope.item));
    assert_eq!(changing.items, before.items, "until then it is what it was");
    assert_eq!(changing.envelope, before.envelope);
    assert_eq!(subscriber.found().await, changing);
    for key in ["key", "later"] {
        assert_eq!(subscriber.stripe.change_at_period_end(&order, key).await.unwrap().unwrap(), changing);
    }

    subscriber.pass(27 * DAY_MS);
    let changed = subscriber.found().await;
    assert_eq!((&changed.items[0].price, changed.next), (&order.price, None));
    assert_eq!(changed.request, Some(order.request));
    assert_eq!((changed.envelope.catalog, changed.envelope.item), (Some(2), order.envelope.item));
    assert_eq!((changed.status, subscriber.paid().await), (Status::Active, 499));
    assert_eq!(changed.method, before.method, "it is charged to what it was charged to");
    subscriber.pass(31 * DAY_MS);
    assert_eq!(subscriber.found().await.schedule, None, "nothing is left to schedule");
    assert_eq!(subscriber.paid().await, 499);
}

#[tokio::test]
async fn another_interval_at_the_periods_end_begins_then() {
    let subscriber = Subscriber::new().await;
    let yearly = subscriber.order("yearly", 9990, Interval::Year).await;
    let end = subscriber.found().await.items[0].period_end;
    subscriber.stripe.change_at_period_end(&yearly, "key").await.unwrap();
    subscriber.pass(32 * DAY_MS);
    let changed = subscriber.found().await;
    assert_eq!((changed.items[0].period_start, changed.items[0].period_end), (end, end.plus_months(12)));
    assert_eq!(subscriber.paid().await, 9990);
}

#[tokio::test]
async fn the_last_of_several_changes_to_come_is_the_one_that_comes() {
    let subscriber = Subscriber::new().await;
    for (plan, minor) in [("basic", 499), ("elite", 1999), ("basic2", 599)] {
        let order = subscriber.order(plan, minor, Interval::Month).await;
        let changing = subscriber.stripe.change_at_period_end(&order, plan).await.unwrap().unwrap();
        assert_eq!(changing.next.unwrap().price, order.price);
    }
    subscriber.pass(32 * DAY_MS);
    subscriber.found().await;
    assert_eq!(subscriber.paid().await, 599);
}

#[tokio::test]
async fn a_change_now_an_end_and_a_resumption_each_give_up_what_was_to_come() {
    let subscriber = Subscriber::new().await;
    let basic = subscriber.order("basic", 499, Interval::Month).await;
    let (stripe, id) = (&subscriber.stripe, &subscriber.id);

    stripe.change_at_period_end(&basic, "1").await.unwrap();
    let resumed = stripe.resume(id, "2").await.unwrap().unwrap();
    assert_eq!((resumed.schedule.clone(), resumed.next.clone()), (None, None));
    assert_eq!(subscriber.found().await, resumed);

    stripe.change_at_period_end(&basic, "3").await.unwrap();
    let elite = subscriber.elite().await;
    let changed = stripe.change_now(&elite, "4").await.unwrap().unwrap();
    assert_eq!((&changed.items[0].price, changed.next), (&elite.price, None));

    stripe.change_at_period_end(&basic, "5").await.unwrap();
    let leaving = stripe.cancel_at_period_end(id, "6").await.unwrap().unwrap();
    assert_eq!((leaving.cancel_at, leaving.next.clone()), (Some(leaving.items[0].period_end), None));
    assert_eq!(stripe.cancel_at_period_end(id, "6").await.unwrap().unwrap(), leaving, "and again");

    let staying = stripe.change_at_period_end(&basic, "7").await.unwrap().unwrap();
    assert_eq!((staying.cancel_at, staying.next.is_some()), (None, true));
    assert_eq!(subscriber.found().await, staying);

    stripe.cancel_subscription(id, "8").await.unwrap();
    let ended = subscriber.found().await;
    assert_eq!((ended.status, ended.next), (Status::Canceled, None));
    for answer in [stripe.cancel_at_period_end(id, "9").await, stripe.resume(id, "10").await] {
        assert_eq!(answer.unwrap().unwrap().status, Status::Canceled);
    }
}

#[tokio::test]
async fn an_end_is_taken_back_however_it_was_planned() {
    let subscriber = Subscriber::new().await;
    let (stripe, id) = (&subscriber.stripe, &subscriber.id);
    stripe.cancel_at_period_end(id, "1").await.unwrap();
    assert_eq!(stripe.resume(id, "2").await.unwrap().unwrap().cancel_at, None);
    let date = subscriber.now().plus_ms(9 * DAY_MS).seconds();
    proxy::send(&subscriber.url, &format!("/v1/subscriptions/{id}"), &format!("cancel_at={date}"));
    assert_eq!(subscriber.found().await.cancel_at, Some(Time::from_seconds(date)));
    assert_eq!(stripe.resume(id, "3").await.unwrap().unwrap().cancel_at, None);
    assert_eq!(subscriber.found().await.cancel_at, None);
}

#[tokio::test]
async fn a_customers_subscriptions_are_listed_with_what_is_to_come_of_them() {
    let subscriber = Subscriber::new().await;
    let basic = subscriber.order("basic", 499, Interval::Month).await;
    let changing = subscriber.stripe.change_at_period_end(&basic, "key").await.unwrap().unwrap();
    let customer = changing.customer.clone().unwrap();
    let all = subscriber.stripe.customer_subscriptions(&customer, None).await.unwrap();
    assert_eq!(all, std::slice::from_ref(&changing));
    subscriber.stripe.cancel_subscription(&subscriber.id, "key").await.unwrap();
    let since = subscriber.now().plus_ms(-DAY_MS);
    let all = subscriber.stripe.customer_subscriptions(&customer, Some(since)).await.unwrap();
    assert_eq!(all.iter().map(|found| found.status).collect::<Vec<_>>(), [Status::Canceled]);
    let later = subscriber.now().plus_ms(HOUR_MS);
    assert_eq!(subscriber.stripe.customer_subscriptions(&customer, Some(later)).await.unwrap(), []);
}

#[tokio::test]
async fn a_change_whose_reply_was_lost_is_made_once() {
    let subscriber = Subscriber::new().await;
    subscriber.pass(5 * DAY_MS);
    let order = subscriber.elite().await;
    let forgetful = stripe("main", &proxy::losing_the_first_reply(&subscriber.url));
    forgetful.change_now(&order, "key").await.unwrap();
    assert_eq!(subscriber.stripe.paid_invoices(&subscriber.id).await.unwrap().len(), 2);
}
