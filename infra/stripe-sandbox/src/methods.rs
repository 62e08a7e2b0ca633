//! Payment methods: the cards that customers pay with, now and later.

use serde_json::{Value, json};

use crate::call::Call;
use crate::cards::{self, Card};
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
use crate::tx::{Tx, id_of};

pub const KIND: &str = "payment_method";

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

pub fn list_of_customer(call: Call) -> Answer<Value> {
    let mut params = call.params;
    call.tx.get_alive("customer", call.id)?;
    let mut query = Query::of(KIND);
    query.equal("customer", Some(call.id.to_owned()));
    query.equal("type", params.text("type")?);
    query.page(call.tx, params, &format!("/v1/customers/{}/payment_methods", call.id))
}

/// Stripe's test names (`pm_card_visa`) make a new method each time.
pub fn attach(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let customer = params.required("customer")?;
    params.finish()?;
    tx.reference("customer", &customer, "customer")?;
    let method = match cards::named(call.id) {
        Some(card) => insert(tx, card, &Value::Null, &Value::Null)?,
        None => tx.get(KIND, call.id)?,
    };
    match method["customer"].as_str() {
        Some(owner) if owner == customer => return Ok(method),
        Some(_) => {
            return Err(Failure::conflict("This payment method is attached to a customer already."));
        }
        None => {}
    }
    if let Some(refusal) = cards::of(&method)?.refusal_to_be_saved() {
        return Err(refusal);
    }
    let method = keep(tx, method, &json!(customer))?;
    tx.emit("payment_method.attached", &method)?;
    Ok(method)
}

pub fn insert(tx: &Tx, card: &Card, customer: &Value, billing: &Value) -> Answer<Value> {
    let method = json!({
        "id": ids::fresh("pm"),
        "object": KIND,
        "allow_redisplay": "limited",
        "billing_details": billing_details(billing),
        "card": card.details(tx.now()),
        "created": tx.now(),
        "customer": customer,
        "customer_account": null,
        "livemode": false,
        "metadata": {},
        "type": "card",
    });
    tx.insert(&method, &Value::Null)?;
    Ok(method)
}

/// Makes it the customer's, to be charged again.
pub fn keep(tx: &Tx, mut method: Value, customer: &Value) -> Answer<Value> {
    method["customer"] = customer.clone();
    tx.save(&method)?;
    Ok(method)
}

/// The method a parameter names, if it is this customer's.
pub fn of_customer(tx: &Tx, id: &str, customer: &str, param: &str) -> Answer<Value> {
    let method = tx.reference(KIND, id, param)?;
    if method["customer"] == json!(customer) {
        return Ok(method);
    }
    let message = format!(
        "The customer does not have a payment method with the ID {}. It must be attached to the customer.",
        id_of(&method)
    );
    Err(Failure::invalid(message).code("resource_missing").param(param))
}

fn billing_details(from: &Value) -> Value {
    json!({
        "address": {
            "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null,
        },
        "email": from["email"],
        "name": from["name"],
        "phone": from["phone"],
        "tax_id": null,
    })
}
