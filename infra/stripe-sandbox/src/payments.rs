//! PaymentIntents: what is to be paid, and the attempts to pay it, each of which leaves a charge.

use serde_json::{Value, json};

use crate::banks::Outcome;
use crate::call::Call;
use crate::cards::Decline;
use crate::charges::{self, State};
use crate::disputes;
use crate::failure::{Answer, doc_url};
use crate::ids;
use crate::list::{Query, search as search_objects};
use crate::means::{self, Means, Presence};
use crate::methods;
use crate::params::Params;
use crate::tx::{Tx, id_of};

pub const KIND: &str = "payment_intent";

/// What became of an attempt to pay.
pub enum Attempt {
    /// Nothing is recorded yet: what has to be told before the payment is told first, then [`take`].
    Approved {
        intent: Value,
        method: Value,
    },
    /// Stripe's `error` object.
    Failed(Value),
    AsksForAuthentication(Value),
}

impl Attempt {
    pub fn intent(&self) -> &Value {
        match self {
            Self::Approved { intent, .. } | Self::AsksForAuthentication(intent) => intent,
            Self::Failed(error) => &error[KIND],
        }
    }
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
    let intent = blank(tx, purpose);
    tx.insert(&intent, &json!({}))?;
    tx.emit("payment_intent.created", &intent)?;
    Ok(intent)
}

/// A new intent, not yet stored.
pub fn blank(tx: &Tx, purpose: &Purpose) -> Value {
    let data = purpose.data;
    let id = ids::fresh("pi");
    json!({
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
        "payment_method_options": method_options(purpose.method_types),
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
    })
}

/// What Stripe shows of each type that may be paid with.
pub fn method_options(types: &Value) -> Value {
    let mut options = json!({});
    for name in types.as_array().into_iter().flatten().filter_map(Value::as_str) {
        options[name] = match name {
            "card" => json!({
                "installments": null, "mandate_options": null, "network": null,
                "request_three_d_secure": "automatic",
            }),
            "link" => json!({"persistent_token": null}),
            "us_bank_account" => json!({"verification_method": "automatic"}),
            _ => json!({}),
        };
    }
    options
}

/// Tries to pay an intent with a payment method, as confirming it does. A bank account is debited without
/// anybody's knowing yet what will come of it.
pub fn attempt(tx: &Tx, intent: Value, method: Value, presence: Presence) -> Answer<Attempt> {
    let Means::Card(card) = means::of(&method)? else { return Ok(Attempt::Approved { intent, method }) };
    let asks = means::asks(tx, card, &method, presence)?;
    let challenged = presence == Presence::OnSession && wants_challenge(&intent);
    match (asks || challenged, presence) {
        (true, Presence::OffSession) => {
            decline(tx, intent, &method, &Decline::AUTHENTICATION_REQUIRED).map(Attempt::Failed)
        }
        (true, _) => ask(tx, intent, &method).map(Attempt::AsksForAuthentication),
        (false, _) => decide(tx, intent, method, card.decline),
    }
}

fn decide(tx: &Tx, intent: Value, method: Value, declined: Option<Decline>) -> Answer<Attempt> {
    match declined {
        Some(declined) => decline(tx, intent, &method, &declined).map(Attempt::Failed),
        None => Ok(Attempt::Approved { intent, method }),
    }
}

/// Whether the shop wants every card to be authenticated.
fn wants_challenge(intent: &Value) -> bool {
    let wanted = intent["payment_method_options"]["card"]["request_three_d_secure"].as_str();
    matches!(wanted, Some("any" | "challenge"))
}

/// Ends the authentication that a card asked for.
pub fn authenticate(tx: &Tx, mut intent: Value, passed: bool) -> Answer<Attempt> {
    let method = tx.get(methods::KIND, intent["payment_method"].as_str().unwrap_or_default())?;
    intent["next_action"] = Value::Null;
    if passed {
        if intent["setup_future_usage"] == json!("off_session") {
            methods::set_up(tx, &method)?;
        }
        let declined = match means::of(&method)? {
            Means::Card(card) => card.decline,
            Means::Account(_) => None,
        };
        return decide(tx, intent, method, declined);
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

/// The session that an intent belongs to ended unpaid.
pub fn cancel(tx: &Tx, id: &str) -> Answer<()> {
    give_up(tx, id, None).map(drop)
}

/// A payment that banks are at cannot be stopped any more.
pub fn give_up(tx: &Tx, id: &str, reason: Option<&str>) -> Answer<Value> {
    let mut intent = tx.get(KIND, id)?;
    if !matches!(intent["status"].as_str(), Some("succeeded" | "processing")) {
        intent["status"] = json!("canceled");
        intent["canceled_at"] = json!(tx.now());
        intent["cancellation_reason"] = json!(reason);
        intent["next_action"] = Value::Null;
        tx.save(&intent)?;
        tx.emit("payment_intent.canceled", &intent)?;
    }
    Ok(intent)
}

/// Takes the money: at once from a card, in some days from a bank account.
pub fn take(tx: &Tx, mut intent: Value, method: &Value) -> Answer<Value> {
    intent["last_payment_error"] = Value::Null;
    intent["next_action"] = Value::Null;
    intent["payment_method"] = method["id"].clone();
    match means::of(method)? {
        Means::Card(_) => succeed(tx, intent, method),
        Means::Account(account) => {
            let intent = process(tx, intent, method)?;
            if !matches!(account.outcome, Outcome::Silent) {
                tx.set_alarm(&intent, (tx.now() + account.scheme.settles_after()) * 1000)?;
            }
            Ok(intent)
        }
    }
}

fn succeed(tx: &Tx, mut intent: Value, method: &Value) -> Answer<Value> {
    let charge = charges::made(tx, &intent, method, &State::Paid)?;
    tx.insert(&charge, &Value::Null)?;
    intent["latest_charge"] = charge["id"].clone();
    mark_succeeded(tx, intent, &charge)
}

/// What its charge has brought is there.
pub fn mark_succeeded(tx: &Tx, mut intent: Value, charge: &Value) -> Answer<Value> {
    intent["amount_received"] = intent["amount"].clone();
    intent["status"] = json!("succeeded");
    tx.save(&intent)?;
    tx.emit("payment_intent.succeeded", &intent)?;
    tx.emit("charge.succeeded", charge)?;
    disputes::course::expect(tx, charge)?;
    Ok(intent)
}

fn process(tx: &Tx, mut intent: Value, method: &Value) -> Answer<Value> {
    let charge = charges::made(tx, &intent, method, &State::Pending)?;
    tx.insert(&charge, &Value::Null)?;
    tx.emit("charge.pending", &charge)?;
    intent["latest_charge"] = charge["id"].clone();
    intent["status"] = json!("processing");
    tx.save(&intent)?;
    tx.emit("payment_intent.processing", &intent)?;
    Ok(intent)
}

fn decline(tx: &Tx, mut intent: Value, method: &Value, decline: &Decline) -> Answer<Value> {
    let state = State::Failed { code: decline.code, reason: decline.decline_code, message: decline.message };
    let charge = charges::made(tx, &intent, method, &state)?;
    tx.insert(&charge, &Value::Null)?;
    tx.emit("charge.failed", &charge)?;
    intent["latest_charge"] = charge["id"].clone();
    let mut error = json!({
        "type": "card_error",
        "advice_code": "try_again_later",
        "charge": charge["id"],
        "code": decline.code,
        "decline_code": decline.decline_code,
        "doc_url": doc_url(decline.code),
        "message": decline.message,
        "payment_method": method,
    });
    if let Some(param) = decline.param {
        error["param"] = json!(param);
    }
    fail(tx, intent, error)
}

/// The answer's error also names the intent; the intent's own copy of it does not.
pub fn fail(tx: &Tx, mut intent: Value, mut error: Value) -> Answer<Value> {
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
    let return_url = tx.hidden(KIND, id_of(&intent))?["return_url"].take();
    intent["next_action"] = next_action(tx, &intent, &return_url);
    tx.save(&intent)?;
    tx.emit("payment_intent.requires_action", &intent)?;
    Ok(intent)
}

/// How somebody is asked: by the page that confirms, or by one that leads back to the shop's.
pub fn next_action(tx: &Tx, intent: &Value, return_url: &Value) -> Value {
    if return_url.is_null() {
        return json!({"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}});
    }
    let url = format!("{}/3ds/{}", tx.public_url, id_of(intent));
    json!({"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}})
}
