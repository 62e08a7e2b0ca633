//! What a request says about a payment: for whom, with what, and what is told of it.

use serde_json::{Value, json};

use crate::failure::{Answer, Failure};
use crate::means;
use crate::methods::{self, given};
use crate::params::Params;
use crate::payments;
use crate::tx::Tx;

/// What may be paid with: the types named, or those that Stripe chooses.
pub fn types(params: &mut Params, currency: &str) -> Answer<(Value, Value)> {
    let by = if params.has(means::ALLOWED) { means::ALLOWED } else { means::LISTED };
    let named = means::offered(params, currency)?;
    let automatic = automatic(params, named.is_none())?;
    if named.is_some() && !automatic.is_null() {
        return Err(Failure::one_of(&["automatic_payment_methods", by]));
    }
    Ok(match named {
        Some(named) => (json!(named), Value::Null),
        None if automatic.is_null() => (json!(["card"]), Value::Null),
        None => (json!(means::AUTOMATIC), automatic),
    })
}

/// Stripe chooses unless it is told not to.
pub fn automatic(params: &mut Params, usually: bool) -> Answer<Value> {
    let chosen = |redirects: Option<String>| json!({"allow_redirects": redirects.as_deref().unwrap_or("always"), "enabled": true});
    let Some(mut section) = params.section("automatic_payment_methods")? else {
        return Ok(if usually { chosen(None) } else { Value::Null });
    };
    let redirects = section.one_of("allow_redirects", &["always", "never"])?;
    let name = section.full_name("enabled");
    let enabled = section.boolean("enabled")?.ok_or_else(|| Failure::missing_param(&name))?;
    section.finish()?;
    Ok(if enabled { chosen(redirects) } else { Value::Null })
}

pub fn change_types(intent: &mut Value, params: &mut Params) -> Answer<()> {
    if let Some(named) = means::offered(params, intent["currency"].as_str().unwrap_or_default())? {
        intent["automatic_payment_methods"] = Value::Null;
        intent["payment_method_types"] = json!(named);
        intent["payment_method_options"] = payments::method_options(&intent["payment_method_types"]);
    }
    Ok(())
}

pub fn check_currency_is(params: &mut Params, intent: &Value) -> Answer<()> {
    match params.currency("currency")? {
        Some(other) if intent["currency"] != json!(other) => {
            let message = "The Stripe sandbox does not change the currency of a PaymentIntent; make another.";
            Err(Failure::invalid(message).param("currency"))
        }
        _ => Ok(()),
    }
}

/// All that is not about how it is paid.
pub fn apply(tx: &Tx, intent: &mut Value, params: &mut Params) -> Answer<()> {
    if let Some(customer) = params.clearable("customer")? {
        if let Some(customer) = &customer {
            tx.reference("customer", customer, "customer")?;
        }
        intent["customer"] = json!(customer);
    }
    for name in ["description", "statement_descriptor", "statement_descriptor_suffix"] {
        if let Some(text) = params.clearable(name)? {
            intent[name] = json!(text);
        }
    }
    intent["metadata"] = params.metadata(intent["metadata"].take())?;
    apply_on_confirmation(intent, params)
}

/// What can still be said when it is paid.
pub fn apply_on_confirmation(intent: &mut Value, params: &mut Params) -> Answer<()> {
    if let Some(email) = params.clearable("receipt_email")? {
        intent["receipt_email"] = json!(email);
    }
    if params.is_cleared("setup_future_usage") {
        params.accept(&["setup_future_usage"]);
        intent["setup_future_usage"] = Value::Null;
    }
    if let Some(usage) = params.one_of("setup_future_usage", &["off_session", "on_session"])? {
        intent["setup_future_usage"] = json!(usage);
    }
    apply_shipping(intent, params)?;
    apply_options(intent, params)
}

fn apply_shipping(intent: &mut Value, params: &mut Params) -> Answer<()> {
    if params.is_cleared("shipping") {
        params.accept(&["shipping"]);
        intent["shipping"] = Value::Null;
    }
    let Some(mut shipping) = params.section("shipping")? else { return Ok(()) };
    intent["shipping"] = json!({
        "address": given::address(&mut shipping, &Value::Null)?,
        "carrier": shipping.text("carrier")?,
        "name": shipping.required("name")?,
        "phone": shipping.text("phone")?,
        "tracking_number": shipping.text("tracking_number")?,
    });
    shipping.finish()
}

/// Of all the options, those that the sandbox acts on or that change nothing.
fn apply_options(intent: &mut Value, params: &mut Params) -> Answer<()> {
    let Some(mut options) = params.section("payment_method_options")? else { return Ok(()) };
    if let Some(mut card) = options.section("card")? {
        if let Some(wanted) = card.one_of("request_three_d_secure", &["any", "automatic", "challenge"])? {
            intent["payment_method_options"]["card"]["request_three_d_secure"] = json!(wanted);
        }
        card.finish()?;
    }
    if let Some(mut account) = options.section("us_bank_account")? {
        account.one_of("verification_method", &["automatic", "instant"])?;
        account.finish()?;
    }
    options.finish()
}

/// Puts the method that is named or described into the intent; whether there was one.
pub fn choose_method(tx: &Tx, intent: &mut Value, params: &mut Params) -> Answer<bool> {
    let named = params.text("payment_method")?;
    let method = match (named, params.section("payment_method_data")?) {
        (Some(_), Some(_)) => {
            let message =
                "You may only specify one of these parameters: payment_method, payment_method_data.";
            return Err(Failure::invalid(message));
        }
        (Some(id), None) => methods::to_pay_with(tx, &id, &intent["customer"], "payment_method")?,
        (None, Some(mut data)) => {
            let method = given::make(tx, &mut data)?;
            data.finish()?;
            method
        }
        (None, None) => return Ok(false),
    };
    check_type(intent, &method)?;
    intent["payment_method"] = method["id"].clone();
    intent["status"] = json!("requires_confirmation");
    Ok(true)
}

/// Whether an intent may be paid with a method of this type.
fn check_type(intent: &Value, method: &Value) -> Answer<()> {
    let types: Vec<&str> =
        intent["payment_method_types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let wanted = method["type"].as_str().unwrap_or_default();
    if types.contains(&wanted) {
        return Ok(());
    }
    let message = format!(
        "The PaymentMethod provided ({wanted}) is not allowed for this PaymentIntent. Please attach a \
         PaymentMethod of one of the following types: {}.",
        types.join(", ")
    );
    Err(Failure::invalid(message).param("payment_method"))
}

/// What says how it is confirmed is out of place where it is not.
pub fn refuse_unconfirmed(params: &Params) -> Answer<()> {
    let of_confirmation = ["mandate_data", "off_session", "return_url"];
    match of_confirmation.into_iter().find(|name| params.has(name)) {
        Some(name) => {
            let message = format!("The parameter `{name}` can only be passed when `confirm` is true.");
            Err(Failure::invalid(message).param(name))
        }
        None => Ok(()),
    }
}
