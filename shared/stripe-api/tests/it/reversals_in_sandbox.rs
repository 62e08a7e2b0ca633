//! Money that goes back, against a Stripe that keeps state.

use domain::ids::{InvoiceId, PaymentId, SubscriptionId};
use domain::money::{Currency, Money};
use domain::payment::{Envelope, RefundReason};
use domain::subscription::Status;
use stripe_api::{RefundOrder, Reversed};

use crate::against_sandbox::{ada, published, sandbox, stripe};
use crate::plans_in_sandbox::buy;
use crate::{CheckoutOrder, Stripe, StripeError, against_sandbox, proxy};

fn eur() -> Currency {
    Currency::parse("eur").unwrap()
}

/// Two packs for 9.99 each, paid.
async fn bought(stripe: &Stripe, url: &str) -> (CheckoutOrder, PaymentId) {
    let customer = stripe.create_customer(&ada()).await.unwrap();
    let order = against_sandbox::order(customer, published(stripe).await);
    let opened = stripe.open_checkout(&order, "key").await.unwrap();
    proxy::pay(url, opened.id.as_str());
    let session = stripe.session(&opened.id).await.unwrap().unwrap();
    (order, session.payment.unwrap().id)
}

fn order(payment: &PaymentId, amount_minor: i64) -> RefundOrder {
    RefundOrder {
        payment: payment.clone(),
        amount_minor,
        reason: Some(RefundReason::Duplicate),
        operator: "op".to_owned(),
        request: format!("print_{amount_minor}"),
    }
}

async fn reversed(stripe: &Stripe, payment: &PaymentId) -> (i64, i64) {
    let Reversed { refunded_minor, disputed_minor } = stripe.reversed(payment, eur()).await.unwrap().unwrap();
    (refunded_minor, disputed_minor)
}

#[tokio::test]
async fn a_payment_is_given_back_in_parts_once_per_key_until_nothing_is_left() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let (_, payment) = bought(&stripe, &url).await;
    assert_eq!(reversed(&stripe, &payment).await, (0, 0));
    let part = stripe.create_refund(&order(&payment, 500), "part").await.unwrap();
    assert_eq!(part.amount, Money { amount_minor: 500, currency: eur() });
    assert_eq!(stripe.create_refund(&order(&payment, 500), "part").await.unwrap(), part);
    assert_eq!(reversed(&stripe, &payment).await, (500, 0));
    let too_much = stripe.create_refund(&order(&payment, 1499), "more").await.unwrap_err();
    assert!(matches!(too_much, StripeError::Refused(_)), "{too_much}");
    let rest = stripe.create_refund(&order(&payment, 1498), "rest").await.unwrap();
    assert_eq!((rest.amount.amount_minor, rest.status.as_str()), (1498, "succeeded"));
    assert_eq!(reversed(&stripe, &payment).await, (1998, 0));
    let refused = stripe.create_refund(&order(&payment, 1), "again").await.unwrap_err();
    assert_eq!(refused.code(), Some("charge_already_refunded"));

    assert_eq!(stripe.refund(&part.id).await.unwrap().as_ref(), Some(&part));
    let found = stripe.refunds(&payment).await.unwrap();
    assert_eq!(found, [rest, part.clone()]);
    assert_eq!(part.request.as_deref(), Some("print_500"));
    let refund = proxy::get(&url, &format!("/v1/refunds/{}", part.id));
    assert_eq!(refund["metadata"]["tollgate_operator"], "op");
    assert_eq!(refund["metadata"]["tollgate_stack"], "main");
    proxy::person(&url, &format!("refunds/{}/fail", part.id), "{}");
    assert_eq!(reversed(&stripe, &payment).await, (1498, 0));
}

#[tokio::test]
async fn a_refund_whose_reply_was_lost_is_made_once() {
    let url = sandbox();
    let (_, payment) = bought(&stripe("main", &url), &url).await;
    let forgetful = stripe("main", &proxy::losing_the_first_reply(&url));
    forgetful.create_refund(&order(&payment, 500), "part").await.unwrap();
    assert_eq!(reversed(&forgetful, &payment).await, (500, 0));
}

#[tokio::test]
async fn a_dispute_is_heard_of_from_its_beginning_to_its_end() {
    for (outcome, expected) in [("won", (0, 0)), ("lost", (0, 1998))] {
        let url = sandbox();
        let stripe = stripe("main", &url);
        let (_, payment) = bought(&stripe, &url).await;
        let dispute = proxy::person(&url, &format!("payments/{payment}/dispute"), "{}");
        assert_eq!(reversed(&stripe, &payment).await, (0, 1998));
        let end = format!(r#"{{"outcome":"{outcome}"}}"#);
        proxy::person(&url, &format!("disputes/{}/resolve", dispute["id"].as_str().unwrap()), &end);
        assert_eq!(reversed(&stripe, &payment).await, expected, "{outcome}");
    }
}

#[tokio::test]
async fn an_inquiry_takes_nothing() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let (_, payment) = bought(&stripe, &url).await;
    proxy::person(&url, &format!("payments/{payment}/dispute"), r#"{"inquiry":true}"#);
    assert_eq!(reversed(&stripe, &payment).await, (0, 0));
}

#[tokio::test]
async fn an_intent_tells_the_same_payment_as_its_session() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let (order, id) = bought(&stripe, &url).await;
    let payment = stripe.payment(&id).await.unwrap().unwrap();
    assert_eq!(payment.id, id);
    assert_eq!(payment.customer, Some(order.customer));
    assert_eq!(payment.paid, Money { amount_minor: 1998, currency: eur() });
    assert_eq!(payment.envelope, Envelope { stack: Some("main".to_owned()), ..order.envelope });
    assert_eq!(stripe.invoice_paid_by(&id).await.unwrap(), None);
    stripe.create_refund(&self::order(&id, 1998), "all").await.unwrap();
    assert_eq!(stripe.payment(&id).await.unwrap().unwrap(), payment, "it was paid all the same");
}

#[tokio::test]
async fn an_invoices_intent_leads_to_its_invoice_and_is_no_payment_of_its_own() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let (_, subscription) = buy(&stripe, &url).await;
    let invoice = stripe.paid_invoices(&subscription).await.unwrap().remove(0);
    let (intent, _) = &invoice.payments[0];
    assert_eq!(stripe.invoice_paid_by(intent).await.unwrap(), Some(invoice.id));
    assert_eq!(stripe.payment(intent).await.unwrap(), None);
}

#[tokio::test]
async fn what_stripe_does_not_have_is_none() {
    let stripe = stripe("main", &sandbox());
    let nothing = PaymentId::parse("pi_none").unwrap();
    assert_eq!(stripe.payment(&nothing).await.unwrap(), None);
    assert_eq!(stripe.reversed(&nothing, eur()).await.unwrap(), None);
    assert_eq!(stripe.refund("re_none").await.unwrap(), None);
    assert_eq!(stripe.invoice_paid_by(&nothing).await.unwrap(), None);
    assert_eq!(stripe.subscription_of(&InvoiceId::parse("in_none").unwrap()).await.unwrap(), None);
    let nothing = SubscriptionId::parse("sub_none").unwrap();
    assert_eq!(stripe.cancel_subscription(&nothing, "key").await.unwrap(), None);
}

#[tokio::test]
async fn a_subscription_is_canceled_at_once_and_stays_so_however_often_it_is_asked() {
    let url = sandbox();
    let stripe = stripe("main", &url);
    let (_, id) = buy(&stripe, &url).await;
    let mut answers = Vec::new();
    for key in ["key", "key", "another"] {
        answers.push(stripe.cancel_subscription(&id, key).await.unwrap().unwrap());
    }
    assert_eq!(answers[0].status, Status::Canceled);
    assert!(answers[0].ended_at.is_some());
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_cancellation_whose_reply_was_lost_is_told_as_done() {
    let url = sandbox();
    let (_, id) = buy(&stripe("main", &url), &url).await;
    let forgetful = stripe("main", &proxy::losing_the_first_reply(&url));
    let canceled = forgetful.cancel_subscription(&id, "key").await.unwrap().unwrap();
    assert_eq!(canceled.status, Status::Canceled);
}
