//! The customer portal: its configurations and sessions, whole.

use serde_json::json;
use stripe_billing::{BillingPortalConfiguration, BillingPortalSession, PortalFlowsFlowType};
use stripe_client_core::{RequestBuilder, StripeMethod};
use stripe_types::List;

use super::{Canned, assert_known, fetch, parse_deliveries};
use crate::stand::{Stand, id};

#[tokio::test]
async fn configurations_parse_with_their_products() {
    let stand = Stand::start().await;
    let price = stand.plan("Small", 700, "month").await;
    let product = stand.get(&format!("/v1/prices/{price}")).await["product"].clone();
    let product = product.as_str().unwrap();
    let update = "features[subscription_update]";
    let form = format!(
        "features[customer_update][enabled]=true&features[customer_update][allowed_updates][]=address\
         &features[customer_update][allowed_updates][]=tax_id&features[payment_method_update][enabled]=true\
         &features[subscription_cancel][enabled]=true&features[subscription_cancel][mode]=immediately\
         &features[subscription_cancel][proration_behavior]=create_prorations&{update}[enabled]=true\
         &{update}[default_allowed_updates][]=price&{update}[products][0][product]={product}\
         &{update}[products][0][prices][]={price}&{update}[billing_cycle_anchor]=unchanged\
         &{update}[schedule_at_period_end][conditions][0][type]=shortening_interval"
    );
    let made = stand.post("/v1/billing_portal/configurations", &form).await;
    stand.shopper("/_sandbox/portal/default", "").await;
    let path = format!(
        "/billing_portal/configurations/{}?expand[]=features.subscription_update.products",
        id(&made)
    );
    let shown =
        fetch!(&Canned(stand.get(&format!("/v1{path}")).await.to_string()), "", BillingPortalConfiguration);
    assert_known(&shown);
    let products = shown.features.subscription_update.products.as_ref().unwrap();
    assert_eq!(products[0].prices, [price]);
    let listed = fetch!(&stand, "/billing_portal/configurations", List<BillingPortalConfiguration>);
    assert_eq!(listed.data.len(), 2);
    parse_deliveries(&stand).await;
}

#[tokio::test]
async fn sessions_parse_with_every_flow() {
    let stand = Stand::start().await;
    stand.shopper("/_sandbox/portal/default", "").await;
    let price = stand.plan("Small", 700, "month").await;
    let subscription = stand.subscribe(&price, "").await;
    let customer = subscription["customer"].as_str().unwrap();
    let cancel = format!(
        "&flow_data[type]=subscription_cancel&flow_data[subscription_cancel][subscription]={}\
         &flow_data[after_completion][type]=redirect\
         &flow_data[after_completion][redirect][return_url]=https://shop.test/",
        id(&subscription)
    );
    let flows = [
        ("", None),
        ("&flow_data[type]=payment_method_update", Some(PortalFlowsFlowType::PaymentMethodUpdate)),
        ("&flow_data[type]=customer_update", Some(PortalFlowsFlowType::CustomerUpdate)),
        (cancel.as_str(), Some(PortalFlowsFlowType::SubscriptionCancel)),
    ];
    for (flow, kind) in flows {
        let form = format!("customer={customer}&expand[]=configuration{flow}");
        let made = stand.post("/v1/billing_portal/sessions", &form).await;
        assert_eq!(made["configuration"]["is_default"], json!(true));
        let session = fetch!(&Canned(made.to_string()), "", BillingPortalSession);
        assert_known(&session);
        assert_eq!(session.flow.map(|flow| flow.type_), kind);
    }
    parse_deliveries(&stand).await;
}
