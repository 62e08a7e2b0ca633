//! What a shopper does with a Checkout Session: pays, fails to, authenticates. Used by the hosted page and
//! by `/_sandbox/checkout/…`.

use serde_json::{Value, json};

use crate::cards;
use crate::checkout::{KIND, customer_details};
use crate::customers;
use crate::failure::{Answer, Failure};
use crate::payments::{self, Attempt};
use crate::tx::{Reply, Tx, id_of};

pub fn pay(tx: &Tx, id: &str, number: &str, email: Option<&str>) -> Answer<Reply> {
    let mut session = open_session(tx, id)?;
    let card = cards::find(number)?;
    if let Some(email) = email.filter(|_| session["customer_details"]["email"].is_null()) {
        let mut details = customer_details(&Value::Null);
        details["email"] = json!(email);
        session["customer_details"] = details;
    }
    if session["amount_total"] == json!(0) {
        return complete(tx, session, &Value::Null);
    }
    let intent = intent_of(tx, &mut session)?;
    let billing = session["customer_details"].clone();
    let attempt = payments::attempt(tx, intent, card, &billing)?;
    conclude(tx, session, attempt)
}

pub fn authenticate(tx: &Tx, id: &str, passed: bool) -> Answer<Reply> {
    let session = open_session(tx, id)?;
    let intent = match session["payment_intent"].as_str() {
        Some(intent) => tx.get(payments::KIND, intent)?,
        None => Value::Null,
    };
    if intent["status"] != json!("requires_action") {
        return Err(Failure::conflict("No card of this Checkout Session asks for authentication."));
    }
    let attempt = payments::authenticate(tx, intent, passed)?;
    conclude(tx, session, attempt)
}

fn open_session(tx: &Tx, id: &str) -> Answer<Value> {
    let session = tx.get(KIND, id)?;
    match session["status"].as_str() {
        Some("open") => Ok(session),
        Some("complete") => {
            Err(Failure::conflict("This Checkout Session is already complete; it was paid once."))
        }
        _ => Err(Failure::conflict("This Checkout Session has expired; it can no longer be paid.")),
    }
}

/// The first attempt makes the intent; later ones try it again.
fn intent_of(tx: &Tx, session: &mut Value) -> Answer<Value> {
    if let Some(id) = session["payment_intent"].as_str() {
        return tx.get(payments::KIND, id);
    }
    if session["customer_creation"] == json!("always") {
        let customer = customers::create_for_checkout(tx, &session["customer_details"]["email"])?;
        session["customer"] = customer["id"].clone();
    }
    let hidden = tx.hidden(KIND, id_of(session))?;
    let intent = payments::create_for_session(tx, session, &hidden["payment_intent_data"])?;
    session["payment_intent"] = intent["id"].clone();
    Ok(intent)
}

fn conclude(tx: &Tx, session: Value, attempt: Attempt) -> Answer<Reply> {
    match attempt {
        Attempt::Succeeded(intent) => complete(tx, session, &intent["id"]),
        Attempt::Failed(error) => {
            tx.save(&session)?;
            Ok(Reply { status: 402, body: json!({"error": error}) })
        }
        Attempt::AsksForAuthentication(intent) => {
            tx.save(&session)?;
            let next = format!("{}/_sandbox/checkout/{}/authenticate", tx.public_url, id_of(&session));
            Ok(Reply::from(json!({
                "status": "requires_action", "session": session["id"], "payment_intent": intent["id"], "next": next,
            })))
        }
    }
}

fn complete(tx: &Tx, mut session: Value, intent: &Value) -> Answer<Reply> {
    if session["customer_details"].is_null() {
        session["customer_details"] = customer_details(&Value::Null);
    }
    if session["automatic_tax"]["enabled"] == json!(true) {
        session["automatic_tax"]["status"] = json!("complete");
    }
    session["payment_status"] = json!(if intent.is_null() { "no_payment_required" } else { "paid" });
    session["status"] = json!("complete");
    session["url"] = Value::Null;
    tx.save(&session)?;
    tx.clear_alarm(&session)?;
    tx.emit("checkout.session.completed", &session)?;
    Ok(Reply::from(json!({
        "status": "complete",
        "session": session["id"],
        "payment_intent": intent,
        "redirect": return_url(&session),
    })))
}

/// Where a shopper goes after paying.
pub fn return_url(session: &Value) -> String {
    let url = session["success_url"].as_str().unwrap_or_default();
    url.replace("{CHECKOUT_SESSION_ID}", id_of(session))
}
