//! `payment_settings`: what a subscription's invoices may be paid with, and whether that is kept.

use serde_json::{Value, json};

use crate::failure::Answer;
use crate::means;
use crate::params::Params;

pub fn unset() -> Value {
    json!({
        "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off",
    })
}

/// The settings as they become, from what they were.
pub fn settings(params: &mut Params, before: &Value, currency: &Value) -> Answer<Value> {
    let mut after = before.clone();
    let Some(mut section) = params.section("payment_settings")? else { return Ok(after) };
    section.refuse(&["payment_method_options"])?;
    if let Some(saves) = section.one_of("save_default_payment_method", &["off", "on_subscription"])? {
        after["save_default_payment_method"] = json!(saves);
    }
    if section.is_cleared("payment_method_types") {
        section.accept(&["payment_method_types"]);
        after["payment_method_types"] = Value::Null;
    }
    let name = section.full_name("payment_method_types");
    if let Some(types) = section.texts("payment_method_types")?.filter(|types| !types.is_empty()) {
        means::check_types(&types, currency.as_str().unwrap_or_default(), &name)?;
        after["payment_method_types"] = json!(types);
    }
    section.finish()?;
    Ok(after)
}

/// Whether what it is paid with is kept to be charged again.
pub fn becomes_default(subscription: &Value) -> bool {
    subscription["payment_settings"]["save_default_payment_method"] == json!("on_subscription")
}

/// What an intent for one of its invoices may be paid with.
pub fn types(subscription: &Value, currency: &Value) -> Value {
    match &subscription["payment_settings"]["payment_method_types"] {
        Value::Null => json!(means::types_of_invoices(currency.as_str().unwrap_or_default())),
        chosen => chosen.clone(),
    }
}
