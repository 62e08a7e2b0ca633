//! `features` of a portal configuration: what its customers may do.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::tx::Tx;

const CUSTOMER_UPDATES: [&str; 6] = ["address", "email", "name", "phone", "shipping", "tax_id"];
const REASONS: [&str; 8] = [
    "customer_service",
    "low_quality",
    "missing_features",
    "other",
    "switched_service",
    "too_complex",
    "too_expensive",
    "unused",
];
const SUBSCRIPTION_UPDATES: [&str; 3] = ["price", "promotion_code", "quantity"];
const PRORATIONS: [&str; 3] = ["always_invoice", "create_prorations", "none"];
const CONDITIONS: [&str; 2] = ["decreasing_item_amount", "shortening_interval"];
const MOST_PRODUCTS: usize = 10;

/// Everything is off until it is turned on.
pub fn none() -> Value {
    json!({
        "customer_update": {"allowed_updates": [], "enabled": false},
        "invoice_history": {"enabled": false},
        "payment_method_update": {"enabled": false, "payment_method_configuration": null},
        "subscription_cancel": {
            "cancellation_reason": {
                "enabled": false,
                "feedback_options": null,
                "options": ["too_expensive", "missing_features", "switched_service", "unused", "other"],
            },
            "enabled": false,
            "mode": "at_period_end",
            "proration_behavior": "none",
        },
        "subscription_update": {
            "billing_cycle_anchor": null,
            "default_allowed_updates": [],
            "enabled": false,
            "proration_behavior": "none",
            "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "end_trial",
        },
    })
}

/// Applies what is given to what there is. `products` are kept apart, as they are only shown when expanded.
pub fn apply(
    tx: &Tx,
    features: &mut Value,
    products: &mut Value,
    params: Params,
    is_new: bool,
) -> Answer<()> {
    let mut params = params;
    if let Some(section) = params.section("customer_update")? {
        customer_update(&mut features["customer_update"], section, is_new)?;
    }
    if let Some(mut section) = params.section("invoice_history")? {
        enable(&mut features["invoice_history"], &mut section, true)?;
        section.finish()?;
    }
    if let Some(mut section) = params.section("payment_method_update")? {
        section.refuse(&["payment_method_configuration"])?;
        enable(&mut features["payment_method_update"], &mut section, true)?;
        section.finish()?;
    }
    if let Some(section) = params.section("subscription_cancel")? {
        subscription_cancel(&mut features["subscription_cancel"], section, is_new)?;
    }
    if let Some(section) = params.section("subscription_update")? {
        subscription_update(tx, &mut features["subscription_update"], products, section, is_new)?;
    }
    params.finish()
}

fn enable(feature: &mut Value, params: &mut Params, required: bool) -> Answer<()> {
    match params.boolean("enabled")? {
        Some(enabled) => feature["enabled"] = json!(enabled),
        None if required => return Err(Failure::missing_param(&params.full_name("enabled"))),
        None => {}
    }
    Ok(())
}

fn customer_update(feature: &mut Value, mut params: Params, is_new: bool) -> Answer<()> {
    enable(feature, &mut params, is_new)?;
    if let Some(updates) = some_of(&mut params, "allowed_updates", &CUSTOMER_UPDATES)? {
        feature["allowed_updates"] = json!(updates);
    }
    params.finish()
}

fn subscription_cancel(feature: &mut Value, mut params: Params, is_new: bool) -> Answer<()> {
    enable(feature, &mut params, is_new)?;
    if let Some(mode) = params.one_of("mode", &["at_period_end", "immediately"])? {
        feature["mode"] = json!(mode);
    }
    let proration_name = params.full_name("proration_behavior");
    // `always_invoice` is a value that Stripe names here, and refuses.
    if let Some(behavior) = params.one_of("proration_behavior", &["create_prorations", "none"])? {
        feature["proration_behavior"] = json!(behavior);
    }
    if feature["mode"] == json!("at_period_end") && feature["proration_behavior"] != json!("none") {
        let message = "The proration_behavior `create_prorations` goes with `mode=immediately` only.";
        return Err(Failure::invalid(message).param(proration_name));
    }
    if let Some(mut reason) = params.section("cancellation_reason")? {
        reason.refuse(&["feedback_options"])?;
        enable(&mut feature["cancellation_reason"], &mut reason, true)?;
        let name = reason.full_name("options");
        match some_of(&mut reason, "options", &REASONS)? {
            Some(options) => feature["cancellation_reason"]["options"] = json!(options),
            None if is_new => return Err(Failure::missing_param(&name)),
            None => {}
        }
        reason.finish()?;
    }
    params.finish()
}

fn subscription_update(
    tx: &Tx,
    feature: &mut Value,
    products: &mut Value,
    mut params: Params,
    is_new: bool,
) -> Answer<()> {
    enable(feature, &mut params, is_new)?;
    let anchor_name = params.full_name("billing_cycle_anchor");
    if let Some(anchor) = params.one_of("billing_cycle_anchor", &["now", "unchanged"])? {
        if anchor == "now" {
            return Err(Failure::unsupported_param(&anchor_name));
        }
        feature["billing_cycle_anchor"] = json!(anchor);
    }
    if let Some(updates) = some_of(&mut params, "default_allowed_updates", &SUBSCRIPTION_UPDATES)? {
        feature["default_allowed_updates"] = json!(updates);
    }
    if let Some(behavior) = params.one_of("proration_behavior", &PRORATIONS)? {
        feature["proration_behavior"] = json!(behavior);
    }
    if let Some(behavior) = params.one_of("trial_update_behavior", &["continue_trial", "end_trial"])? {
        feature["trial_update_behavior"] = json!(behavior);
    }
    if let Some(mut schedule) = params.section("schedule_at_period_end")? {
        feature["schedule_at_period_end"]["conditions"] = conditions(&mut schedule)?;
        schedule.finish()?;
    }
    let updates_name = params.full_name("default_allowed_updates");
    let products_name = params.full_name("products");
    if let Some(sections) = params.sections("products")? {
        *products = offered(tx, sections, &feature["default_allowed_updates"], &products_name)?;
    }
    if feature["enabled"] == json!(true) {
        let lacks = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
        let missing = [(&feature["default_allowed_updates"], updates_name), (&*products, products_name)];
        if let Some((_, name)) = missing.iter().find(|(list, _)| lacks(list)) {
            return Err(Failure::missing_param(name));
        }
    }
    params.finish()
}

fn conditions(params: &mut Params) -> Answer<Value> {
    let mut conditions = Vec::new();
    for mut section in params.sections("conditions")?.unwrap_or_default() {
        let name = section.full_name("type");
        let kind = section.one_of("type", &CONDITIONS)?.ok_or_else(|| Failure::missing_param(&name))?;
        section.finish()?;
        conditions.push(json!({"type": kind}));
    }
    Ok(json!(conditions))
}

/// The products that can be changed to, each with its prices.
fn offered(tx: &Tx, sections: Vec<Params>, allowed: &Value, name: &str) -> Answer<Value> {
    if sections.len() > MOST_PRODUCTS {
        let message = format!("The portal offers up to {MOST_PRODUCTS} products.");
        return Err(Failure::invalid(message).param(name));
    }
    let by_default = allowed.as_array().is_some_and(|allowed| allowed.contains(&json!("quantity")));
    let mut products = Vec::new();
    for mut section in sections {
        let product_name = section.full_name("product");
        let product = section.required("product")?;
        tx.reference("product", &product, &product_name)?;
        let prices_name = section.full_name("prices");
        let prices = section.texts("prices")?.ok_or_else(|| Failure::missing_param(&prices_name))?;
        check_prices(tx, &product, &prices, &prices_name)?;
        let quantity = adjustable_quantity(&mut section, by_default)?;
        section.finish()?;
        products.push(json!({"adjustable_quantity": quantity, "prices": prices, "product": product}));
    }
    Ok(json!(products))
}

/// A customer chooses among the prices of a product by how often they are paid, so these must differ.
fn check_prices(tx: &Tx, product: &str, prices: &[String], name: &str) -> Answer<()> {
    let mut intervals = HashSet::new();
    for id in prices {
        let price = tx.reference("price", id, name)?;
        let recurring = &price["recurring"];
        let wrong = if price["product"] != json!(product) {
            format!("The price {id} is not one of the product {product}.")
        } else if recurring.is_null() || price["active"] != json!(true) {
            format!("The price {id} must be recurring and active to be offered in the portal.")
        } else if !intervals.insert(format!("{recurring}{}", price["currency"])) {
            format!("The product {product} has two prices with the interval and currency of {id}.")
        } else {
            continue;
        };
        return Err(Failure::invalid(wrong).param(name));
    }
    Ok(())
}

fn adjustable_quantity(params: &mut Params, by_default: bool) -> Answer<Value> {
    let Some(mut section) = params.section("adjustable_quantity")? else {
        return Ok(json!({"enabled": by_default, "maximum": null, "minimum": 1}));
    };
    let mut quantity = json!({
        "maximum": section.integer_from("maximum", 1)?,
        "minimum": section.integer_from("minimum", 1)?.unwrap_or(1),
    });
    enable(&mut quantity, &mut section, true)?;
    section.finish()?;
    Ok(quantity)
}

/// A list of these words; an empty one clears it.
fn some_of(params: &mut Params, name: &str, allowed: &[&str]) -> Answer<Option<Vec<String>>> {
    let full = params.full_name(name);
    let words = params.texts(name)?;
    match words.iter().flatten().find(|word| !allowed.contains(&word.as_str())) {
        Some(word) => {
            let message = format!("Invalid {full}: `{word}` is not one of {}", allowed.join(", "));
            Err(Failure::invalid(message).param(full))
        }
        None => Ok(words),
    }
}
