//! `/v1/customers`.

use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::{Query, search as search_objects};
use crate::methods::{self, given};
use crate::params::Params;
use crate::subscriptions;
use crate::tx::{Tx, id_of};

const TEXTS: [&str; 6] = ["business_name", "description", "email", "individual_name", "name", "phone"];
const IGNORED: [&str; 2] = ["tax", "validate"];
const UNSUPPORTED: [&str; 5] = ["cash_balance", "default_source", "source", "tax_id_data", "test_clock"];

pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let mut customer = json!({
        "id": ids::fresh("cus"),
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": tx.now(),
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": null,
        "discount": null,
        "email": null,
        "invoice_prefix": ids::random(8).to_ascii_uppercase(),
        "invoice_settings": {
            "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null,
        },
        "livemode": false,
        "metadata": {},
        "name": null,
        "next_invoice_sequence": 1,
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    });
    apply(&mut customer, &mut params)?;
    let method = first_method(tx, &mut customer, &mut params)?;
    params.finish()?;
    tx.insert(&customer, &Value::Null)?;
    tx.emit("customer.created", &customer)?;
    if let Some(method) = method {
        methods::attach_to(tx, method, id_of(&customer))?;
    }
    Ok(customer)
}

/// `payment_method`, which a new customer may have as the default at once.
fn first_method(tx: &Tx, customer: &mut Value, params: &mut Params) -> Answer<Option<Value>> {
    let named = params.text("payment_method")?;
    let method = named.as_deref().map(|id| methods::to_pay_with(tx, id, &Value::Null, "payment_method"));
    let method = method.transpose()?;
    let Some(mut settings) = params.section("invoice_settings")? else { return Ok(method) };
    let name = settings.full_name("default_payment_method");
    if let Some(default) = settings.text("default_payment_method")? {
        let Some(method) =
            method.as_ref().filter(|method| named == Some(default.clone()) || id_of(method) == default)
        else {
            let message = format!("No such PaymentMethod of this customer: '{default}'.");
            return Err(Failure::invalid(message).code("resource_missing").param(name));
        };
        customer["invoice_settings"]["default_payment_method"] = method["id"].clone();
    }
    settings.finish()?;
    Ok(method)
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get("customer", call.id)
}

pub fn update(call: Call) -> Answer<Value> {
    let before = call.tx.get_alive("customer", call.id)?;
    let mut customer = before.clone();
    let mut params = call.params;
    apply(&mut customer, &mut params)?;
    apply_default_method(call.tx, &mut customer, &mut params)?;
    params.finish()?;
    call.tx.update(&before, &customer, "customer.updated")?;
    Ok(customer)
}

/// What is left is a stub that still answers.
pub fn delete(call: Call) -> Answer<Value> {
    call.params.finish()?;
    let customer = call.tx.get_alive("customer", call.id)?;
    let stub = json!({"id": call.id, "object": "customer", "deleted": true});
    call.tx.save(&stub)?;
    subscriptions::end_all_of(call.tx, call.id)?;
    call.tx.emit("customer.deleted", &customer)?;
    Ok(stub)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of("customer");
    query.equal("email", params.text("email")?);
    query.created(&mut params)?;
    query.page(call.tx, params, "/v1/customers")
}

pub fn search(call: Call) -> Answer<Value> {
    search_objects(call.tx, call.params, "customer", "/v1/customers/search", &["email", "name", "phone"])
}

/// A customer that Checkout makes by itself for a shopper it did not know.
pub fn create_for_checkout(tx: &Tx, email: &Value) -> Answer<Value> {
    let mut fields = Map::new();
    if email.is_string() {
        fields.insert("email".into(), email.clone());
    }
    create(Call { tx, id: "", params: Params::new(fields) })
}

/// What can be said of a customer at any time.
fn apply(customer: &mut Value, params: &mut Params) -> Answer<()> {
    params.refuse(&UNSUPPORTED)?;
    params.accept(&IGNORED);
    for name in TEXTS {
        if let Some(text) = params.clearable(name)? {
            customer[name] = json!(text);
        }
    }
    if let Some(email) = customer["email"].as_str().filter(|email| !email.contains('@')) {
        let failure = Failure::invalid(format!("Invalid email address: {email}")).code("email_invalid");
        return Err(failure.param("email"));
    }
    if let Some(balance) = params.integer("balance")? {
        customer["balance"] = json!(balance);
    }
    if let Some(locales) = params.texts("preferred_locales")? {
        customer["preferred_locales"] = json!(locales);
    }
    if let Some(exempt) = params.one_of("tax_exempt", &["exempt", "none", "reverse"])? {
        customer["tax_exempt"] = json!(exempt);
    }
    if let Some(prefix) = params.text("invoice_prefix")? {
        customer["invoice_prefix"] = json!(prefix);
    }
    if let Some(number) = params.integer_from("next_invoice_sequence", 1)? {
        customer["next_invoice_sequence"] = json!(number);
    }
    apply_addresses(customer, params)?;
    customer["metadata"] = params.metadata(customer["metadata"].take())?;
    Ok(())
}

/// What is charged where neither the invoice nor the subscription names another.
fn apply_default_method(tx: &Tx, customer: &mut Value, params: &mut Params) -> Answer<()> {
    let Some(mut settings) = params.section("invoice_settings")? else { return Ok(()) };
    let name = settings.full_name("default_payment_method");
    if let Some(id) = settings.clearable("default_payment_method")? {
        if let Some(id) = &id {
            methods::of_customer(tx, id, id_of(customer), &name)?;
        }
        customer["invoice_settings"]["default_payment_method"] = json!(id);
    }
    settings.finish()
}

/// What is named of an address changes, and the rest of it stays; an empty one is taken away.
fn apply_addresses(customer: &mut Value, params: &mut Params) -> Answer<()> {
    for name in ["address", "shipping"] {
        if params.is_cleared(name) {
            params.accept(&[name]);
            customer[name] = Value::Null;
        }
    }
    if let Some(address) = given::address(params, &customer["address"])? {
        customer["address"] = address;
    }
    let Some(mut shipping) = params.section("shipping")? else { return Ok(()) };
    let before = customer["shipping"].take();
    let name = match (shipping.text("name")?, before["name"].as_str()) {
        (Some(name), _) => name,
        (None, Some(name)) => name.to_owned(),
        (None, None) => return Err(Failure::missing_param("shipping[name]")),
    };
    let address = given::address(&mut shipping, &before["address"])?.unwrap_or(before["address"].clone());
    if address.is_null() {
        return Err(Failure::missing_param("shipping[address]"));
    }
    let phone = shipping.clearable("phone")?.map_or_else(|| before["phone"].clone(), |phone| json!(phone));
    shipping.finish()?;
    customer["shipping"] = json!({"address": address, "name": name, "phone": phone});
    Ok(())
}
