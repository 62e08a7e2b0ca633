//! `/v1/payment_methods`: the cards and bank accounts that customers pay with, now and later. How a request
//! describes a new one is in `given`.

pub mod given;

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
use crate::means::{self, Means};
use crate::params::Params;
use crate::subscriptions;
use crate::tx::{Tx, id_of};

pub const KIND: &str = "payment_method";
const URL: &str = "/v1/payment_methods";

pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&["customer", "customer_account", "payment_method"])?;
    let method = given::make(tx, &mut params)?;
    params.finish()?;
    Ok(method)
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

/// Only what is saved to somebody is worth changing.
pub fn update(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let before = tx.get(KIND, call.id)?;
    if before["customer"].is_null() {
        let message = "You must save this PaymentMethod to a customer before you can update it.";
        return Err(Failure::conflict(message));
    }
    let mut after = before.clone();
    given::change(&mut after, &mut params)?;
    params.finish()?;
    tx.update(&before, &after, "payment_method.updated")?;
    Ok(after)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let customer = params.required("customer")?;
    call.tx.reference("customer", &customer, "customer")?;
    page(call.tx, params, customer, URL)
}

pub fn list_of_customer(call: Call) -> Answer<Value> {
    call.tx.get_alive("customer", call.id)?;
    let url = format!("/v1/customers/{}/payment_methods", call.id);
    page(call.tx, call.params, call.id.to_owned(), &url)
}

fn page(tx: &Tx, mut params: Params, customer: String, url: &str) -> Answer<Value> {
    let mut query = Query::of(KIND);
    query.equal("customer", Some(customer));
    query.equal("type", params.text("type")?);
    query.equal("allow_redisplay", params.text("allow_redisplay")?);
    query.page(tx, params, url)
}

pub fn retrieve_of_customer(call: Call, method: &str) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get_alive("customer", call.id)?;
    let found = call.tx.get(KIND, method)?;
    Some(found).filter(|it| it["customer"] == json!(call.id)).ok_or_else(|| Failure::no_such(KIND, method))
}

/// Stripe's test names (`pm_card_visa`) make a new method each time.
pub fn attach(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let customer = params.required("customer")?;
    params.finish()?;
    tx.reference("customer", &customer, "customer")?;
    let method = match means::named(call.id) {
        Some(means) => insert(tx, means, &Value::Null, &Value::Null)?,
        None => tx.get(KIND, call.id)?,
    };
    attach_to(tx, method, &customer)
}

pub fn attach_to(tx: &Tx, method: Value, customer: &str) -> Answer<Value> {
    match method["customer"].as_str() {
        Some(owner) if owner == customer => return Ok(method),
        Some(_) => {
            let message = "The payment method you provided has already been attached to a customer.";
            return Err(Failure::conflict(message));
        }
        None => check_unused(tx, &method)?,
    }
    if let Means::Card(card) = means::of(&method)?
        && let Some(refusal) = card.refusal_to_be_saved()
    {
        return Err(refusal);
    }
    let method = keep(tx, method, &json!(customer))?;
    tx.emit("payment_method.attached", &method)?;
    Ok(method)
}

/// Whatever named it as a default has none any more.
pub fn detach(call: Call) -> Answer<Value> {
    let (tx, params) = (call.tx, call.params);
    params.finish()?;
    let before = tx.get(KIND, call.id)?;
    let Some(customer) = before["customer"].as_str() else {
        let message = "The payment method you provided is not attached to a customer so detachment is \
                       impossible.";
        return Err(Failure::conflict(message));
    };
    let mut after = before.clone();
    after["customer"] = Value::Null;
    tx.update(&before, &after, "payment_method.detached")?;
    note(tx, &after, "is_used_up", &json!(true))?;
    forget_default_of_customer(tx, customer, call.id)?;
    forget_default_of_subscriptions(tx, customer, call.id)?;
    Ok(after)
}

fn forget_default_of_customer(tx: &Tx, customer: &str, method: &str) -> Answer<()> {
    let Some(before) = tx.find("customer", customer)? else { return Ok(()) };
    if before["invoice_settings"]["default_payment_method"] != json!(method) {
        return Ok(());
    }
    let mut after = before.clone();
    after["invoice_settings"]["default_payment_method"] = Value::Null;
    tx.update(&before, &after, "customer.updated")
}

fn forget_default_of_subscriptions(tx: &Tx, customer: &str, method: &str) -> Answer<()> {
    let mut query = Query::of(subscriptions::KIND);
    query.equal("customer", Some(customer.to_owned()));
    query.equal("default_payment_method", Some(method.to_owned()));
    for before in query.all(tx)? {
        let mut after = before.clone();
        after["default_payment_method"] = Value::Null;
        subscriptions::update(tx, &before, &after)?;
    }
    Ok(())
}

/// What a customer saves at once, a person has set up for being charged later.
pub fn insert(tx: &Tx, means: Means, customer: &Value, billing: &Value) -> Answer<Value> {
    let details = match means {
        Means::Card(card) => card.details(tx.now()),
        Means::Account(account) => account.details("individual", "checking"),
    };
    let mut method = blank(tx, means.method_type(), details);
    method["customer"] = customer.clone();
    for name in ["email", "name", "phone"] {
        method["billing_details"][name] = billing[name].clone();
    }
    if billing["address"].is_object() {
        method["billing_details"]["address"] = billing["address"].clone();
    }
    tx.insert(&method, &json!({"is_set_up": customer.is_string()}))?;
    Ok(method)
}

fn blank(tx: &Tx, method_type: &str, details: Value) -> Value {
    json!({
        "id": ids::fresh("pm"),
        "object": KIND,
        "allow_redisplay": "limited",
        "billing_details": {
            "address": {
                "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null,
            },
            "email": null,
            "name": null,
            "phone": null,
            "tax_id": null,
        },
        "created": tx.now(),
        "customer": null,
        "customer_account": null,
        "livemode": false,
        "metadata": {},
        "type": method_type,
        method_type: details,
    })
}

/// Makes it the customer's, to be charged again.
pub fn keep(tx: &Tx, mut method: Value, customer: &Value) -> Answer<Value> {
    method["customer"] = customer.clone();
    tx.save(&method)?;
    Ok(method)
}

/// That, told of, unless it is somebody's already.
pub fn keep_and_tell(tx: &Tx, method: Value, customer: &Value) -> Answer<Value> {
    if !method["customer"].is_null() || customer.is_null() {
        return Ok(method);
    }
    let method = keep(tx, method, customer)?;
    tx.emit("payment_method.attached", &method)?;
    Ok(method)
}

/// The method a parameter names, if it is this customer's.
pub fn of_customer(tx: &Tx, id: &str, customer: &str, param: &str) -> Answer<Value> {
    let method = tx.reference(KIND, id, param)?;
    if method["customer"] == json!(customer) {
        return Ok(method);
    }
    let message = format!(
        "The customer does not have a payment method with the ID {}. The payment method must be attached to the \
         customer.",
        id_of(&method)
    );
    Err(Failure::invalid(message).code("resource_missing").param(param))
}

/// The method that a parameter names for one payment of this customer, who may be nobody.
pub fn to_pay_with(tx: &Tx, id: &str, customer: &Value, param: &str) -> Answer<Value> {
    if let Some(means) = means::named(id) {
        return insert(tx, means, &Value::Null, &Value::Null);
    }
    let method = tx.reference(KIND, id, param)?;
    match (method["customer"].as_str(), customer.as_str()) {
        (None, _) => check_unused(tx, &method)?,
        (Some(owner), Some(customer)) if owner == customer => {}
        (Some(_), Some(customer)) => return of_customer(tx, id, customer, param),
        (Some(_), None) => {
            let message = format!(
                "The PaymentMethod you provided ({id}) is attached to a Customer so for security purposes you \
                 must provide the customer in the request."
            );
            return Err(Failure::invalid(message).param(param));
        }
    }
    Ok(method)
}

/// Nobody's method is good for one payment; and what was detached, for none.
fn check_unused(tx: &Tx, method: &Value) -> Answer<()> {
    if tx.hidden(KIND, id_of(method))?["is_used_up"] != json!(true) {
        return Ok(());
    }
    let message = "The provided PaymentMethod was previously used with a PaymentIntent without Customer \
                   attachment, shared with a connected account without Customer attachment, or was detached \
                   from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must \
                   attach it to a Customer first.";
    Err(Failure::conflict(message))
}

pub fn use_up(tx: &Tx, method: &Value) -> Answer<()> {
    match method["customer"].is_null() {
        true => note(tx, method, "is_used_up", &json!(true)),
        false => Ok(()),
    }
}

/// Whether its holder has agreed, and proved it if asked, that it is charged in absence.
pub fn is_set_up(tx: &Tx, method: &Value) -> Answer<bool> {
    Ok(tx.hidden(KIND, id_of(method))?["is_set_up"] == json!(true))
}

pub fn set_up(tx: &Tx, method: &Value) -> Answer<()> {
    note(tx, method, "is_set_up", &json!(true))
}

/// What Stripe knows of it and does not show.
pub fn note(tx: &Tx, method: &Value, name: &str, value: &Value) -> Answer<()> {
    let mut hidden = tx.hidden(KIND, id_of(method))?;
    hidden[name] = value.clone();
    tx.save_hidden(method, &hidden)
}
