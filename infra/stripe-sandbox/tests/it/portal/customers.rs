//! What customers change about themselves: their cards and details.

use serde_json::{Value, json};

use super::{Desk, alert};
use crate::stand::{id, types};

#[tokio::test]
async fn a_new_card_is_the_customers_default_or_one_subscriptions_own() {
    let desk = Desk::open("").await;
    let own = desk.subscription["default_payment_method"].clone();
    let after = desk.done("card", "card=4000+0000+0000+0341").await;
    let customer = desk.stand.get(&format!("/v1/customers/{}", desk.customer())).await;
    let default = customer["invoice_settings"]["default_payment_method"].as_str().unwrap().to_owned();
    let method = desk.stand.get(&format!("/v1/payment_methods/{default}")).await;
    assert_eq!((&method["card"]["last4"], &method["customer"]), (&json!("0341"), &customer["id"]));
    assert_eq!(after["default_payment_method"], own, "a subscription keeps a card of its own");

    let form = format!("card=4242424242424242&subscription={}", id(&desk.subscription));
    let after = desk.done("card", &form).await;
    assert_ne!(after["default_payment_method"], own);
    let declined = desk.try_to("card", "card=4000000000000002").await;
    assert_eq!(declined.status, 402);
    let events = desk.stand.events_after(0).await;
    let attached = types(&events).iter().filter(|kind| **kind == "payment_method.attached").count();
    assert_eq!(attached, 2);
}

#[tokio::test]
async fn a_card_whose_bank_asks_is_used_once_the_bank_was_answered() {
    let desk = Desk::open("").await;
    let session = desk.session("").await;
    let default = async || {
        let customer = desk.stand.get(&format!("/v1/customers/{}", desk.customer())).await;
        customer["invoice_settings"]["default_payment_method"].clone()
    };
    for (outcome, last4) in [("fail", None), ("success", Some("3155"))] {
        let asked = desk.press(&session, "card", "card=4000+0025+0000+3155").await;
        assert!(asked.header("location").contains("/3ds/seti_"), "{:?}", alert(&asked.text));
        assert_eq!(default().await, Value::Null);
        assert!(desk.show(&session).await.text.contains("Your bank asks about your new card."));
        let intent = asked.header("location").rsplit_once('/').unwrap().1;
        let path = format!("/_sandbox/setup_intents/{intent}/authenticate");
        desk.stand.shopper(&path, &format!(r#"{{"outcome":"{outcome}"}}"#)).await;
        let back = desk.show(&session).await;
        match last4 {
            None => assert!(alert(&back.text).unwrap().contains("authentication failed"), "{}", back.text),
            Some(last4) => {
                assert!(back.header("location").ends_with("?done=card"));
                let method = default().await;
                let method =
                    desk.stand.get(&format!("/v1/payment_methods/{}", method.as_str().unwrap())).await;
                assert_eq!(method["card"]["last4"], last4);
            }
        }
        assert!(!desk.show(&session).await.text.contains("Your bank asks"));
    }
}

#[tokio::test]
async fn customers_change_the_details_they_may() {
    let desk = Desk::open("").await;
    let form = "email=new@b.test&address[line1]=Am+Kai+1&address[city]=Bremen&address[country]=DE";
    desk.done("details", form).await;
    let customer = desk.stand.get(&format!("/v1/customers/{}", desk.customer())).await;
    assert_eq!((&customer["email"], &customer["address"]["city"]), (&json!("new@b.test"), &json!("Bremen")));
    desk.done("details", "address[line1]=&address[city]=&address[country]=").await;
    let customer = desk.stand.get(&format!("/v1/customers/{}", desk.customer())).await;
    assert_eq!(customer["address"], Value::Null);
    assert_eq!(desk.try_to("details", "email=nobody").await.status, 400);
}
