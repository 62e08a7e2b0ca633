//! What leads from one object of Stripe's to another, and what is written into those that others made, against a
//! Stripe that keeps state.

use domain::ids::{PaymentId, SubscriptionId};
use domain::payment::{Envelope, RefundReason};
use domain::subscription::Status;
use serde_json::Value;
use stripe_api::{Billed, EndedFor, RefundOrder};

use crate::against_sandbox::{ada, sandbox, stripe};
use crate::plans_in_sandbox::{buy, plan_order};
use crate::{Stripe, proxy};

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

/// A payment that was asked for without us.
async fn foreign(stripe: &Stripe, url: &str) -> PaymentId {
    let customer = stripe.create_customer(&ada()).await.unwrap();
    let form = format!(
        "amount=1998&currency=eur&customer={customer}&payment_method=pm_card_visa&confirm=true\
         &automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never\
         &metadata[theirs]=kept"
    );
    PaymentId::parse(id(&proxy::send(url, "/v1/payment_intents", &form))).unwrap()
}

#[tokio::test]
async fn what_goes_back_leads_to_the_payment_that_it_was() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let payment = foreign(&stripe, &url).await;
    let order = RefundOrder {
        payment: payment.clone(),
        amount_minor: 500,
        reason: Some(RefundReason::RequestedByCustomer),
        operator: "op".to_owned(),
        request: "some".to_owned(),
    };
    let refund = stripe.create_refund(&order, "key").await.unwrap();
    assert_eq!(stripe.refunded_payment(&refund.id).await.unwrap(), Some(payment.clone()));
    let dispute = proxy::person(&url, &format!("payments/{payment}/dispute"), "{}");
    assert_eq!(stripe.disputed_payment(id(&dispute)).await.unwrap(), Some(payment.clone()));
    assert_eq!(stripe.billed_by(&payment).await.unwrap(), None, "no invoice asked for it");
    assert_eq!(stripe.refunded_payment("re_none").await.unwrap(), None);
    assert_eq!(stripe.disputed_payment("du_none").await.unwrap(), None);
    assert_eq!(stripe.billed_by(&PaymentId::parse("pi_none").unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn an_invoice_and_its_intent_lead_to_each_other() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let (_, subscription) = buy(&stripe, &url).await;
    let invoice = stripe.paid_invoices(&subscription).await.unwrap().remove(0);
    let (intent, _) = &invoice.payments[0];
    assert_eq!(stripe.intents_of(&invoice.id).await.unwrap(), std::slice::from_ref(intent));
    let billed = Billed { invoice: invoice.id, subscription };
    assert_eq!(stripe.billed_by(intent).await.unwrap(), Some(billed));
    assert_eq!(stripe.intents_of(&"in_none".parse().unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn a_schedule_leads_to_its_subscription_also_once_it_has_let_go_of_it() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let (_, subscription) = buy(&stripe, &url).await;
    let form = format!("from_subscription={subscription}");
    let schedule = proxy::send(&url, "/v1/subscription_schedules", &form);
    assert_eq!(stripe.scheduled_subscription(id(&schedule)).await.unwrap().as_ref(), Some(&subscription));
    proxy::send(&url, &format!("/v1/subscription_schedules/{}/release", id(&schedule)), "");
    assert_eq!(stripe.scheduled_subscription(id(&schedule)).await.unwrap(), Some(subscription));
    assert_eq!(stripe.scheduled_subscription("sub_sched_none").await.unwrap(), None);
}

#[tokio::test]
async fn a_payment_made_without_us_is_somebodys_once_it_is_adopted() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let payment = foreign(&stripe, &url).await;
    assert_eq!(stripe.payment(&payment).await.unwrap(), None, "it says nothing of us");
    let envelope = Envelope {
        user: Some(ada()),
        catalog: Some(1),
        item: "package:medium:2".parse().ok(),
        ..Envelope::default()
    };
    for _ in 0..2 {
        stripe.adopt_payment(&payment, &envelope, "once").await.unwrap();
    }
    let adopted = stripe.payment(&payment).await.unwrap().unwrap();
    assert_eq!(adopted.envelope, Envelope { stack: Some("main".to_owned()), ..envelope });
    let whole = proxy::get(&url, &format!("/v1/payment_intents/{payment}"));
    assert_eq!(whole["metadata"]["theirs"], "kept");
}

#[tokio::test]
async fn a_subscription_made_without_us_is_somebodys_once_it_is_adopted_even_when_it_has_ended() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let plan = plan_order(&stripe).await;
    let form = format!(
        "customer={}&items[0][price]={}&payment_behavior=default_incomplete",
        plan.customer, plan.price
    );
    let made = proxy::send(&url, "/v1/subscriptions", &form);
    let subscription = SubscriptionId::parse(id(&made)).unwrap();
    let envelope = Envelope { user: Some(ada()), ..Envelope::default() };
    stripe.adopt_subscription(&subscription, &envelope, "once").await.unwrap();
    let ours = Envelope { stack: Some("main".to_owned()), ..envelope.clone() };
    assert_eq!(stripe.subscription(&subscription).await.unwrap().unwrap().envelope, ours);

    stripe.cancel_subscription(&subscription, "key").await.unwrap();
    let other = Envelope { user: "auth0|bob".parse().ok(), ..envelope };
    stripe.adopt_subscription(&subscription, &other, "twice").await.unwrap();
    assert_eq!(stripe.subscription(&subscription).await.unwrap().unwrap().envelope.user, other.user);
}

#[tokio::test]
async fn what_may_not_be_is_ended_once_and_says_why() {
    for why in [EndedFor::SecondOfGroup, EndedFor::SecondTrial] {
        let url = sandbox();
        let stripe = stripe("main", &url);
        let (_, subscription) = buy(&stripe, &url).await;
        for _ in 0..2 {
            stripe.end_subscription(&subscription, why).await.unwrap();
        }
        let ended = stripe.subscription(&subscription).await.unwrap().unwrap();
        assert_eq!((ended.status, ended.ended_for), (Status::Canceled, Some(why)));
        // Whoever comes late says why it would have been, and not why it was.
        stripe.end_subscription(&subscription, EndedFor::SecondOfGroup).await.unwrap();
        assert_eq!(stripe.subscription(&subscription).await.unwrap().unwrap().ended_for, Some(why));
    }
    let url = sandbox();
    let stripe = stripe("main", &url);
    // One that somebody else has ended says nothing of us.
    let (_, given_up) = buy(&stripe, &url).await;
    stripe.cancel_subscription(&given_up, "key").await.unwrap();
    stripe.end_subscription(&given_up, EndedFor::SecondTrial).await.unwrap();
    assert_eq!(stripe.subscription(&given_up).await.unwrap().unwrap().ended_for, None);
    let nothing = SubscriptionId::parse("sub_none").unwrap();
    stripe.end_subscription(&nothing, EndedFor::SecondOfGroup).await.unwrap();
}
