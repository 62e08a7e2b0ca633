//! PaymentIntents: what is to be paid, and the attempts to pay it, each of which leaves a charge.

use serde_json::{Value, json};

use crate::call::Call;
use crate::cards::{self, Behaviour};
use crate::charges;
use crate::disputes;
use crate::failure::{Answer, Failure, doc_url};
use crate::ids;
use crate::list::{Query, search as search_objects};
use crate::params::Params;
use crate::tx::Tx;

pub const KIND: &str = "payment_intent";

/// What became of an attempt to pay.
pub enum Attempt {
    /// Nothing is recorded yet: what has to be told before the payment is told first, then [`succeed`].
    Approved {
        intent: Value,
        method: Value,
    },
    /// Stripe's `error` object.
    Failed(Value),
    AsksForAuthentication(Value),
}

pub fn retrieve(call: Call) -> Answer<Value> {
    let mut params = call.params;
    params.accept(&["client_secret"]);
    params.finish()?;
    call.tx.get(KIND, call.id)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of(KIND);
    query.customer(call.tx, &mut params)?;
    query.created(&mut params)?;
    query.page(call.tx, params, "/v1/payment_intents")
}

pub fn search(call: Call) -> Answer<Value> {
    let fields = ["customer", "status", "currency"];
    search_objects(call.tx, call.params, KIND, "/v1/payment_intents/search", &fields)
}

/// Every intent here belongs to a Checkout Session or to an invoice, and Stripe wants those ended instead.
pub fn cancel_by_request(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let reasons = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"];
    params.one_of("cancellation_reason", &reasons)?;
    params.finish()?;
    let intent = call.tx.get(KIND, call.id)?;
    if let Some(status @ ("succeeded" | "canceled")) = intent["status"].as_str() {
        let message = format!("You cannot cancel this PaymentIntent because it has a status of {status}.");
        return Err(Failure::conflict(message).code("payment_intent_unexpected_state"));
    }
    let message = "You cannot cancel this PaymentIntent by itself: expire the Checkout Session or void the \
                   invoice that it pays.";
    Err(Failure::conflict(message))
}

/// Whether the cardholder is there to be asked. A saved card has been authenticated before.
#[derive(Clone, Copy, PartialEq)]
pub enum Presence {
    OnSession,
    OffSession,
}

/// What an intent is made for.
pub struct Purpose<'a> {
    pub amount: &'a Value,
    pub currency: &'a Value,
    pub customer: &'a Value,
    pub method_types: &'a Value,
    /// As [`intent_data`] gives it.
    pub data: &'a Value,
}

/// `payment_intent_data` of a session: what its intent will carry.
pub fn intent_data(params: &mut Params) -> Answer<Value> {
    let Some(mut section) = params.section("payment_intent_data")? else { return Ok(json!({})) };
    section.refuse(&[
        "application_fee_amount",
        "on_behalf_of",
        "shipping",
        "transfer_data",
        "transfer_group",
    ])?;
    section.one_of("capture_method", &["automatic", "automatic_async"])?;
    let data = json!({
        "description": section.text("description")?,
        "metadata": section.metadata(Value::Null)?,
        "receipt_email": section.text("receipt_email")?,
        "setup_future_usage": section.one_of("setup_future_usage", &["off_session", "on_session"])?,
        "statement_descriptor": section.text("statement_descriptor")?,
        "statement_descriptor_suffix": section.text("statement_descriptor_suffix")?,
    });
    section.finish()?;
    Ok(data)
}

pub fn create(tx: &Tx, purpose: &Purpose) -> Answer<Value> {
    let data = purpose.data;
    let id = ids::fresh("pi");
    let intent = json!({
        "object": KIND,
        "amount": purpose.amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": null,
        "cancellation_reason": null,
        "capture_method": "automatic_async",
        "client_secret": format!("{id}_secret_{}", ids::random(24)),
        "confirmation_method": "automatic",
        "created": tx.now(),
        "currency": purpose.currency,
        "customer": purpose.customer,
        "customer_account": null,
        "description": data["description"],
        "last_payment_error": null,
        "latest_charge": null,
        "livemode": false,
        "metadata": if data["metadata"].is_object() { data["metadata"].clone() } else { json!({}) },
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": null,
        "payment_method_configuration_details": null,
        "payment_method_options": {"card": {
            "installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic",
        }},
        "payment_method_types": purpose.method_types,
        "processing": null,
        "receipt_email": data["receipt_email"],
        "review": null,
        "setup_future_usage": data["setup_future_usage"],
        "shipping": null,
        "source": null,
        "statement_descriptor": data["statement_descriptor"],
        "statement_descriptor_suffix": data["statement_descriptor_suffix"],
        "status": "requires_payment_method",
        "transfer_data": null,
        "transfer_group": null,
        "id": id,
    });
    tx.insert(&intent, &Value::Null)?;
    tx.emit("payment_intent.created", &intent)?;
    Ok(intent)
}

/// Tries to pay an intent with a payment method, as confirming it does.
pub fn attempt(tx: &Tx, intent: Value, method: Value, presence: Presence) -> Answer<Attempt> {
    match cards::of(&method)?.behaviour {
        Behaviour::Asks if presence == Presence::OnSession => {
            ask(tx, intent, &method).map(Attempt::AsksForAuthentication)
        }
        Behaviour::Pays | Behaviour::Asks => Ok(Attempt::Approved { intent, method }),
        Behaviour::Declines { decline_code, message } => {
            decline(tx, intent, &method, decline_code, message).map(Attempt::Failed)
        }
    }
}

/// Ends the authentication that a card asked for.
pub fn authenticate(tx: &Tx, mut intent: Value, passed: bool) -> Answer<Attempt> {
    let method_id = intent["payment_method"].as_str().unwrap_or_default();
    let method = tx.get("payment_method", method_id)?;
    intent["next_action"] = Value::Null;
    if passed {
        return Ok(Attempt::Approved { intent, method });
    }
    let code = "payment_intent_authentication_failure";
    let error = json!({
        "type": "invalid_request_error",
        "code": code,
        "doc_url": doc_url(code),
        "message": "The authentication of this payment method failed.",
        "payment_method": method,
    });
    fail(tx, intent, error).map(Attempt::Failed)
}

/// The session an intent belongs to ended unpaid.
pub fn cancel(tx: &Tx, id: &str) -> Answer<()> {
    let mut intent = tx.get(KIND, id)?;
    if intent["status"] != json!("succeeded") {
        intent["status"] = json!("canceled");
        intent["canceled_at"] = json!(tx.now());
        intent["next_action"] = Value::Null;
        tx.save(&intent)?;
        tx.emit("payment_intent.canceled", &intent)?;
    }
    Ok(())
}

pub fn succeed(tx: &Tx, mut intent: Value, method: &Value) -> Answer<Value> {
    let outcome = json!({
        "advice_code": null, "network_advice_code": null, "network_decline_code": null,
        "network_status": "approved_by_network", "reason": null, "risk_level": "normal", "risk_score": 10,
        "seller_message": "Payment complete.", "type": "authorized",
    });
    let charge = charges::made(tx, &intent, method, &outcome, None);
    tx.insert(&charge, &Value::Null)?;
    intent["amount_received"] = intent["amount"].clone();
    intent["last_payment_error"] = Value::Null;
    intent["latest_charge"] = charge["id"].clone();
    intent["next_action"] = Value::Null;
    intent["payment_method"] = method["id"].clone();
    intent["status"] = json!("succeeded");
    tx.save(&intent)?;
    tx.emit("payment_intent.succeeded", &intent)?;
    tx.emit("charge.succeeded", &charge)?;
    disputes::course::expect(tx, &charge)?;
    Ok(intent)
}

fn decline(tx: &Tx, mut intent: Value, method: &Value, reason: &str, message: &str) -> Answer<Value> {
    let outcome = json!({
        "advice_code": "try_again_later", "network_advice_code": null, "network_decline_code": "01",
        "network_status": "declined_by_network", "reason": reason, "risk_level": "normal", "risk_score": 10,
        "seller_message": "The bank declined the payment.", "type": "issuer_declined",
    });
    let charge = charges::made(tx, &intent, method, &outcome, Some(message));
    tx.insert(&charge, &Value::Null)?;
    tx.emit("charge.failed", &charge)?;
    intent["latest_charge"] = charge["id"].clone();
    let error = json!({
        "type": "card_error",
        "advice_code": "try_again_later",
        "charge": charge["id"],
        "code": "card_declined",
        "decline_code": reason,
        "doc_url": doc_url("card_declined"),
        "message": message,
        "payment_method": method,
    });
    fail(tx, intent, error)
}

/// The answer's error also names the intent; the intent's own copy of it does not.
fn fail(tx: &Tx, mut intent: Value, mut error: Value) -> Answer<Value> {
    intent["last_payment_error"] = error.clone();
    intent["next_action"] = Value::Null;
    intent["payment_method"] = Value::Null;
    intent["status"] = json!("requires_payment_method");
    tx.save(&intent)?;
    tx.emit("payment_intent.payment_failed", &intent)?;
    error["payment_intent"] = intent;
    Ok(error)
}

fn ask(tx: &Tx, mut intent: Value, method: &Value) -> Answer<Value> {
    intent["payment_method"] = method["id"].clone();
    intent["status"] = json!("requires_action");
    intent["next_action"] =
        json!({"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}});
    tx.save(&intent)?;
    tx.emit("payment_intent.requires_action", &intent)?;
    Ok(intent)
}
