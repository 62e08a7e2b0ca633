//! Portal sessions that are for one deed.

use serde_json::json;

use super::{Desk, alert};
use crate::stand::id;

#[tokio::test]
async fn a_flow_is_one_deed_and_ends_as_it_says() {
    let desk = Desk::open("").await;
    let subscription = id(&desk.subscription);
    let flow = format!(
        "&flow_data[type]=subscription_cancel&flow_data[subscription_cancel][subscription]={subscription}\
         &flow_data[after_completion][type]=redirect\
         &flow_data[after_completion][redirect][return_url]=https://shop.test/bye"
    );
    let session = desk.session(&flow).await;
    assert_eq!(session["flow"]["subscription_cancel"]["subscription"], subscription);
    let shown = desk.show(&session).await.text;
    assert!(shown.contains("Cancel on ") && !shown.contains("Change plan") && !shown.contains("Invoices"));
    let done = desk.press(&session, "cancel", "").await;
    assert_eq!(done.header("location"), "https://shop.test/bye");
    assert!(desk.show(&session).await.text.contains("Invoices"), "after it the whole portal is there");

    let form = format!("customer={}&configuration={}{flow}", desk.customer(), id(&desk.configuration));
    let again = desk.stand.try_post("/v1/billing_portal/sessions", &form, &[]).await.error();
    assert!(again["message"].as_str().unwrap().contains("already set to be canceled"));
}

#[tokio::test]
async fn a_proposed_change_is_confirmed_with_one_press() {
    let desk = Desk::open("").await;
    let item = id(&desk.subscription["items"]["data"][0]);
    let confirm = "flow_data[subscription_update_confirm]";
    let flow = format!(
        "&flow_data[type]=subscription_update_confirm&{confirm}[subscription]={}&{confirm}[items][0][id]={item}\
         &{confirm}[items][0][price]={}&flow_data[after_completion][type]=hosted_confirmation\
         &flow_data[after_completion][hosted_confirmation][custom_message]=Thanks",
        id(&desk.subscription),
        desk.large,
    );
    let session = desk.session(&flow).await;
    let shown = desk.show(&session).await.text;
    assert!(shown.contains("<h3>Large</h3>") && shown.contains("Charged now"), "{shown}");
    let done = desk.press(&session, "switch", &format!("price={}&quantity=1", desk.large)).await;
    assert_eq!(done.status, 303, "{:?}", alert(&done.text));
    assert!(desk.show(&session).await.text.contains("Thanks"));
    let changed = desk.stand.subscription(id(&desk.subscription)).await;
    assert_eq!(changed["items"]["data"][0]["price"]["id"], json!(desk.large));
}

#[tokio::test]
async fn flows_that_cannot_be_gone_through_are_refused() {
    let desk = Desk::open("").await;
    let other = desk.stand.plan("Other", 100, "month").await;
    let item = id(&desk.subscription["items"]["data"][0]);
    let confirm = "flow_data[subscription_update_confirm]";
    let own = id(&desk.subscription);
    let flows = [
        "flow_data[type]=subscription_cancel".to_owned(),
        "flow_data[type]=subscription_cancel&flow_data[subscription_cancel][subscription]=sub_none".into(),
        format!(
            "flow_data[type]=subscription_cancel&flow_data[subscription_cancel][subscription]={own}\
             &flow_data[subscription_cancel][retention][type]=coupon_offer"
        ),
        "flow_data[type]=dance".into(),
        format!("flow_data[type]=payment_method_update&flow_data[subscription_cancel][subscription]={own}"),
        format!(
            "flow_data[type]=subscription_update_confirm&{confirm}[subscription]={own}\
             &{confirm}[items][0][id]={item}&{confirm}[items][0][price]={other}"
        ),
        "after_expiration[type]=customer_login".into(),
    ];
    for flow in flows {
        let form = format!("customer={}&configuration={}&{flow}", desk.customer(), id(&desk.configuration));
        let refused = desk.stand.try_post("/v1/billing_portal/sessions", &form, &[]).await;
        assert_eq!(refused.status, 400, "{flow}");
    }
}
