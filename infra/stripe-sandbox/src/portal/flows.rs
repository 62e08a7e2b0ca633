//! `flow_data` of a portal session: the one thing that it is opened for.

use serde_json::{Value, json};

use super::offers;
use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::subscriptions;
use crate::tx::Tx;

const TYPES: [&str; 5] = [
    "customer_update",
    "payment_method_update",
    "subscription_cancel",
    "subscription_update",
    "subscription_update_confirm",
];

pub fn flow(tx: &Tx, mut params: Params, configuration: &Value, customer: &str) -> Answer<Value> {
    let type_name = params.full_name("type");
    let kind = params.one_of("type", &TYPES)?.ok_or_else(|| Failure::missing_param(&type_name))?;
    let feature = match kind.as_str() {
        "subscription_update_confirm" => "subscription_update",
        other => other,
    };
    if configuration["features"][feature]["enabled"] != json!(true) {
        let message = format!("The feature {feature} is disabled in the portal configuration.");
        return Err(Failure::invalid(message).param(type_name));
    }
    let after = match params.section("after_completion")? {
        Some(section) => after_completion(section)?,
        None => json!({"hosted_confirmation": null, "redirect": null, "type": "portal_homepage"}),
    };
    let mut flow = json!({
        "after_completion": after,
        "customer_update": null,
        "subscription_cancel": null,
        "subscription_update": null,
        "subscription_update_confirm": null,
        "type": kind,
    });
    if let Some(foreign) = TYPES.iter().find(|name| **name != kind && params.has(name)) {
        let message = format!("You can not pass `{foreign}` where the type is `{kind}`.");
        return Err(Failure::invalid(message).param(params.full_name(foreign)));
    }
    match kind.as_str() {
        "customer_update" => flow["customer_update"] = json!({}),
        "payment_method_update" => {}
        kind => flow[kind] = about_subscription(tx, &mut params, kind, configuration, customer)?,
    }
    params.finish()?;
    Ok(flow)
}

fn after_completion(mut params: Params) -> Answer<Value> {
    let name = params.full_name("type");
    let types = ["hosted_confirmation", "portal_homepage", "redirect"];
    let kind = params.one_of("type", &types)?.ok_or_else(|| Failure::missing_param(&name))?;
    let mut after = json!({"hosted_confirmation": null, "redirect": null, "type": kind});
    if kind == "hosted_confirmation" {
        let mut message = None;
        if let Some(mut section) = params.section("hosted_confirmation")? {
            message = section.text("custom_message")?;
            section.finish()?;
        }
        after["hosted_confirmation"] = json!({"custom_message": message});
    }
    if kind == "redirect" {
        let missing = params.full_name("redirect");
        let mut section = params.section("redirect")?.ok_or_else(|| Failure::missing_param(&missing))?;
        let name = section.full_name("return_url");
        let url = section.web_address("return_url")?.ok_or_else(|| Failure::missing_param(&name))?;
        section.finish()?;
        after["redirect"] = json!({"return_url": url});
    }
    params.finish()?;
    Ok(after)
}

fn about_subscription(
    tx: &Tx,
    params: &mut Params,
    kind: &str,
    configuration: &Value,
    customer: &str,
) -> Answer<Value> {
    let missing = params.full_name(kind);
    let mut section = params.section(kind)?.ok_or_else(|| Failure::missing_param(&missing))?;
    section.refuse(&["discounts", "retention"])?;
    let name = section.full_name("subscription");
    let id = section.required("subscription")?;
    let found = tx.find(subscriptions::KIND, &id)?.filter(|it| it["customer"] == json!(customer));
    let subscription = found.ok_or_else(|| Failure::no_such_reference("subscription", &id, &name))?;
    if subscriptions::has_ended(&subscription) {
        return Err(Failure::invalid(format!("The subscription {id} has been canceled already.")).param(name));
    }
    let mut about = json!({"subscription": id});
    match kind {
        "subscription_cancel" => {
            if !subscription["cancel_at"].is_null() {
                let message = format!("The subscription {id} is already set to be canceled.");
                return Err(Failure::invalid(message).param(name));
            }
            about["retention"] = Value::Null;
        }
        "subscription_update_confirm" => {
            about["discounts"] = Value::Null;
            about["items"] = confirmed_item(tx, &mut section, configuration, &subscription)?;
        }
        _ => {}
    }
    section.finish()?;
    Ok(about)
}

/// The change that the customer is asked to confirm; it must be one that they could make by themselves.
fn confirmed_item(
    tx: &Tx,
    params: &mut Params,
    configuration: &Value,
    subscription: &Value,
) -> Answer<Value> {
    let missing = params.full_name("items");
    let mut sections = params.sections("items")?.unwrap_or_default();
    let Some(mut section) = sections.pop().filter(|_| sections.is_empty()) else {
        let message = "The items to be confirmed must be exactly one.";
        return Err(Failure::invalid(message).param(missing));
    };
    let id_name = section.full_name("id");
    let id = section.required("id")?;
    let item = offers::only_item(subscription)?;
    if item["id"] != json!(id) {
        return Err(Failure::no_such_reference("subscription_item", &id, &id_name));
    }
    let price = section.text("price")?;
    let quantity = section.integer_from("quantity", 1)?;
    section.finish()?;
    offers::choose(tx, configuration, subscription, price.as_deref(), quantity)?;
    Ok(json!([{"id": id, "price": price, "quantity": quantity}]))
}
