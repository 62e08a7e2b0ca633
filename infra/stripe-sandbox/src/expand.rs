//! `expand[]=data.payment_intent`: puts objects in the place of their ids.

use serde_json::Value;

use crate::charges;
use crate::checkout;
use crate::coupons;
use crate::failure::{Answer, Failure};
use crate::invoices;
use crate::portal::configurations;
use crate::refunds;
use crate::tx::{Tx, id_of, kind_of};

pub fn expand(tx: &Tx, body: &mut Value, paths: &[String]) -> Answer<()> {
    for path in paths {
        let steps: Vec<&str> = path.split('.').collect();
        if steps.len() > 4 {
            return Err(Failure::invalid(format!("Expansion is four levels deep at most ({path}).")));
        }
        step_into(tx, body, &steps, path)?;
    }
    Ok(())
}

fn step_into(tx: &Tx, node: &mut Value, steps: &[&str], path: &str) -> Answer<()> {
    let Some((step, rest)) = steps.split_first() else { return Ok(()) };
    if *step == "line_items" && kind_of(node) == "checkout.session" && node.get("line_items").is_none() {
        node["line_items"] = checkout::line_items(tx, node)?;
    }
    if *step == "payments" && kind_of(node) == invoices::KIND && node.get("payments").is_none() {
        node["payments"] = invoices::payments::of_invoice(tx, node)?;
    }
    if *step == "refunds" && kind_of(node) == charges::KIND && node.get("refunds").is_none() {
        node["refunds"] = refunds::of_charge(tx, node)?;
    }
    if *step == "features"
        && kind_of(node) == configurations::KIND
        && rest == ["subscription_update", "products"]
    {
        node["features"]["subscription_update"]["products"] = configurations::products(tx, id_of(node))?;
        return Ok(());
    }
    if *step == "confirmation_secret" && kind_of(node) == invoices::KIND {
        node["confirmation_secret"] = invoices::payments::confirmation_secret(tx, node)?;
    }
    if *step == "applies_to" && kind_of(node) == coupons::KIND && node.get("applies_to").is_none() {
        node["applies_to"] = coupons::applies_to(tx, node)?;
    }
    let kind = kind_named(step);
    match node.get_mut(*step) {
        None => Err(not_expandable(path)),
        Some(Value::Null) => Ok(()),
        Some(Value::Array(elements)) => elements.iter_mut().try_for_each(|element| {
            if let (Some(kind), Some(id)) = (kind, element.as_str()) {
                *element = tx.find(kind, id)?.ok_or_else(|| not_expandable(path))?;
            }
            step_into(tx, element, rest, path)
        }),
        Some(object @ Value::Object(_)) => step_into(tx, object, rest, path),
        Some(leaf) => {
            let (Some(kind), Some(id)) = (kind, leaf.as_str()) else { return Err(not_expandable(path)) };
            *leaf = tx.find(kind, id)?.ok_or_else(|| not_expandable(path))?;
            step_into(tx, leaf, rest, path)
        }
    }
}

/// The kind of object a field of this name holds the id of.
fn kind_named(field: &str) -> Option<&'static str> {
    Some(match field {
        "charge" | "latest_charge" => "charge",
        "coupon" => "coupon",
        "discount" | "discounts" => "discount",
        "promotion_code" => "promotion_code",
        "configuration" => configurations::KIND,
        "customer" => "customer",
        "payment_intent" => "payment_intent",
        "invoice" | "latest_invoice" => "invoice",
        "payment_method" | "default_payment_method" => "payment_method",
        "mandate" => "mandate",
        "price" | "default_price" => "price",
        "product" => "product",
        "schedule" => "subscription_schedule",
        "setup_intent" | "pending_setup_intent" => "setup_intent",
        "subscription" => "subscription",
        _ => return None,
    })
}

fn not_expandable(path: &str) -> Failure {
    Failure::invalid(format!("This property cannot be expanded ({path}).")).param("expand")
}
