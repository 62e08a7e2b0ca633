//! Where a shopper lives: a session asks for it where the shop wants to know, or has to for its tax.

use serde_json::{Value, json};

use super::{KIND, amounts, customer_details, is_setup};
use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::tx::{Reply, Tx, id_of};

/// Where people live who do not say.
const USUAL: &str = "US";

/// `customer_update`: whether a customer who was there before keeps what is entered here.
pub fn taken(session: &Value, params: &mut Params) -> Answer<bool> {
    let mut keeps = false;
    let param = "customer_update";
    if let Some(mut section) = params.section(param)? {
        if session["customer"].is_null() {
            return Err(Failure::invalid("`customer_update` can only be used with `customer`.").param(param));
        }
        let words = ["auto", "never"];
        keeps = section.one_of("address", &words)?.as_deref() == Some("auto");
        section.one_of("name", &words)?;
        section.one_of("shipping", &words)?;
        section.finish()?;
    }
    let is_taxed = session["automatic_tax"]["enabled"] == json!(true);
    if is_taxed && session["customer"].is_string() && country(session).is_none() && !keeps {
        let message = "Automatic tax calculation in Checkout requires a valid address on the Customer. Add one, or \
                       set `customer_update[address]` to `auto` to save the address that is entered in Checkout.";
        return Err(Failure::invalid(message).code("customer_tax_location_invalid"));
    }
    Ok(keeps)
}

pub fn is_asked(session: &Value) -> bool {
    session["automatic_tax"]["enabled"] == json!(true)
        || session["billing_address_collection"] == json!("required")
}

pub fn country(session: &Value) -> Option<&str> {
    session["customer_details"]["address"]["country"].as_str()
}

/// What is still to be entered for a shopper who pays and says this, or nothing.
pub fn missing<'a>(session: &Value, said: Option<&'a str>) -> Option<&'a str> {
    said.or((is_asked(session) && country(session).is_none()).then_some(USUAL))
}

/// The shopper says where they live, and what there is to pay may change.
pub fn enter(tx: &Tx, id: &str, country: &str) -> Answer<Reply> {
    let mut session = tx.get(KIND, id)?;
    if session["status"] != json!("open") || !is_asked(&session) {
        return Err(Failure::conflict("This Checkout Session asks for no address.").param("country"));
    }
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(Failure::invalid("A country has two letters.").param("country"));
    }
    if session["customer_details"].is_null() {
        session["customer_details"] = customer_details(&Value::Null);
    }
    session["customer_details"]["address"] = json!({
        "city": null, "country": country.to_ascii_uppercase(), "line1": null, "line2": null, "postal_code": null,
        "state": null,
    });
    if is_setup(&session) {
        tx.save(&session)?;
        return Ok(Reply::from(session));
    }
    let redemptions = amounts::redemptions(tx, &session)?;
    amounts::reprice(tx, session, &redemptions)
}

/// Who pays, as the tax of a session sees them: where they say here that they live.
pub fn payer(tx: &Tx, session: &Value) -> Answer<Value> {
    let known = tx.find("customer", session["customer"].as_str().unwrap_or_default())?;
    let mut payer = known.unwrap_or_else(|| json!({}));
    if country(session).is_some() {
        payer["address"] = session["customer_details"]["address"].clone();
    }
    Ok(payer)
}

/// Whoever pays keeps the address that was entered, where that is wanted or Checkout has made the customer.
pub fn keep(tx: &Tx, session: &Value) -> Answer<()> {
    let Some(customer) = session["customer"].as_str().filter(|_| is_asked(session)) else { return Ok(()) };
    let keeps = tx.hidden(KIND, id_of(session))?["keeps_address"] == json!(true);
    let is_new = !session["customer_creation"].is_null();
    if country(session).is_none() || !(keeps || is_new) {
        return Ok(());
    }
    let before = tx.get("customer", customer)?;
    let mut after = before.clone();
    after["address"] = session["customer_details"]["address"].clone();
    tx.update(&before, &after, "customer.updated")
}
