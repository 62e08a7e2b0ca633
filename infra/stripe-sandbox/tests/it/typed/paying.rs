//! Payments without Checkout, what is saved to pay with, and bank debits, in every state that they come to.

use stripe_client_core::{RequestBuilder, StripeMethod};
use stripe_core::payment_intent::{
    CancelPaymentIntent, ConfirmPaymentIntent, CreatePaymentIntent, RetrievePaymentIntent,
    UpdatePaymentIntent,
};
use stripe_shared::{
    Charge, Dispute, Mandate, PaymentIntentStatus, PaymentMethod, Refund, SetupIntent, SetupIntentStatus,
};
use stripe_types::{Currency, List};

use super::{assert_known, fetch, parse_deliveries};
use crate::stand::{DAY_MS, HOUR_MS, Stand, id};

#[tokio::test]
async fn every_state_of_an_intent_parses() {
    let stand = Stand::start().await;
    let made = CreatePaymentIntent::new(999, Currency::EUR).description("Tokens").send(&stand).await.unwrap();
    assert_known(&made);
    assert!(made.client_secret.is_some());
    let ready = UpdatePaymentIntent::new(made.id.clone()).payment_method("pm_card_authenticationRequired");
    assert_eq!(ready.send(&stand).await.unwrap().status, PaymentIntentStatus::RequiresConfirmation);
    let asking = ConfirmPaymentIntent::new(made.id.clone()).return_url("https://shop.test/back");
    let asking = asking.send(&stand).await.unwrap();
    assert_known(&asking);
    assert!(asking.next_action.unwrap().redirect_to_url.unwrap().url.is_some());
    stand
        .shopper(&format!("/_sandbox/payment_intents/{}/authenticate", made.id), r#"{"outcome":"fail"}"#)
        .await;
    let failed = RetrievePaymentIntent::new(made.id.clone()).send(&stand).await.unwrap();
    assert_known(&failed);
    assert_eq!(failed.status, PaymentIntentStatus::RequiresPaymentMethod);
    let paid = ConfirmPaymentIntent::new(made.id.clone())
        .payment_method("pm_card_amex")
        .return_url("https://shop.test/back")
        .expand(["latest_charge".to_owned()]);
    let paid = paid.send(&stand).await.unwrap();
    assert_known(&paid);
    let card = paid.latest_charge.as_ref().unwrap().as_object().unwrap().payment_method_details.as_ref();
    assert_eq!(card.unwrap().card.as_ref().unwrap().brand.as_deref(), Some("amex"));
    let other = CreatePaymentIntent::new(999, Currency::EUR).send(&stand).await.unwrap();
    let canceled = CancelPaymentIntent::new(other.id).send(&stand).await.unwrap();
    assert_eq!(canceled.status, PaymentIntentStatus::Canceled);
    parse_deliveries(&stand).await;
}

const SEPA: &str = "type=sepa_debit&sepa_debit[iban]=DE35370400440532013002&billing_details[name]=Ada\
                    &billing_details[email]=a@b.test";

#[tokio::test]
async fn bank_debits_parse_with_all_they_lead_to() {
    let stand = Stand::start().await;
    let method = stand.post("/v1/payment_methods", SEPA).await;
    let parsed = fetch!(&stand, format!("/payment_methods/{}", id(&method)), PaymentMethod);
    assert_known(&parsed);
    assert_eq!(parsed.sepa_debit.unwrap().last4.as_deref(), Some("3002"));
    for (method, currency, kind) in [
        (id(&method), "eur", "sepa_debit"),
        ("pm_usBankAccount_accountClosed", "usd", "us_bank_account"),
        ("pm_usBankAccount_success", "usd", "us_bank_account"),
    ] {
        let form = format!(
            "amount=999&currency={currency}&payment_method_types[]={kind}&payment_method={method}&confirm=true\
             &mandate_data[customer_acceptance][type]=offline"
        );
        let asked = stand.post("/v1/payment_intents", &form).await;
        let asked = RetrievePaymentIntent::new(id(&asked)).expand(["payment_method".to_owned()]);
        let asked = asked.send(&stand).await.unwrap();
        assert_known(&asked);
        assert_eq!(asked.status, PaymentIntentStatus::Processing);
    }
    let charge = fetch!(&stand, "/charges", List<Charge>).data.remove(0);
    assert_known(&charge);
    let details = charge.payment_method_details.unwrap().us_bank_account.unwrap();
    let mandate = fetch!(&stand, format!("/mandates/{}", details.mandate.unwrap().id()), Mandate);
    assert_known(&mandate);
    stand.live(4 * DAY_MS).await;
    let dispute = fetch!(&stand, "/disputes", List<Dispute>).data.remove(0);
    assert_known(&dispute);
    let refund = stand.post("/v1/refunds", &format!("charge={}", charge.id)).await;
    let refund = fetch!(&stand, format!("/refunds/{}", id(&refund)), Refund);
    assert_eq!(refund.destination_details.unwrap().type_, "us_bank_account");
    stand.live(HOUR_MS).await;
    parse_deliveries(&stand).await;
}

#[tokio::test]
async fn every_state_of_a_setup_intent_parses() {
    let stand = Stand::start().await;
    let customer = stand.post("/v1/customers", "").await;
    let form = format!("customer={}&payment_method_types[]=card", id(&customer));
    let made = stand.post("/v1/setup_intents", &form).await;
    let path = format!("/setup_intents/{}", id(&made));
    let status = async || {
        let intent = fetch!(&stand, &path, SetupIntent);
        assert_known(&intent);
        intent.status
    };
    assert_eq!(status().await, SetupIntentStatus::RequiresPaymentMethod);
    let confirm = format!("/v1{path}/confirm");
    stand.try_post(&confirm, "payment_method=pm_card_visa_chargeDeclined", &[]).await;
    let asking = "payment_method=pm_card_authenticationRequired&return_url=https://shop.test";
    stand.post(&confirm, asking).await;
    assert_eq!(status().await, SetupIntentStatus::RequiresAction);
    stand.shopper(&format!("/_sandbox{path}/authenticate"), "").await;
    assert_eq!(status().await, SetupIntentStatus::Succeeded);
    let listed = fetch!(&stand, "/setup_intents?expand[]=data.payment_method", List<SetupIntent>);
    assert!(listed.data[0].payment_method.as_ref().unwrap().as_object().unwrap().card.is_some());
    let other = stand.post("/v1/setup_intents", &form).await;
    stand.post(&format!("/v1/setup_intents/{}/cancel", id(&other)), "").await;
    let session =
        stand.post("/v1/checkout/sessions", "mode=setup&currency=eur&success_url=https://a.test").await;
    stand.shopper(&format!("/_sandbox/checkout/{}/pay", id(&session)), "").await;
    parse_deliveries(&stand).await;
}
