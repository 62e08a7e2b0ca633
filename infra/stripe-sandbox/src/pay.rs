//! What a shopper does with a Checkout Session: pays, fails to, authenticates. Used by the hosted page and
//! by `/_sandbox/checkout/…`.

use serde_json::{Value, json};

use crate::cards::{self, Behaviour, Card};
use crate::checkout::{self, KIND, customer_details};
use crate::customers;
use crate::failure::{Answer, Failure, doc_url};
use crate::invoices::issue;
use crate::methods;
use crate::payments::{self, Attempt, Presence, Purpose};
use crate::subscriptions;
use crate::tx::{Reply, Tx, id_of};

/// Where a session keeps the card that asks for authentication without a payment.
const ASKING: &str = "card_to_authenticate";

pub fn pay(tx: &Tx, id: &str, number: &str, email: Option<&str>) -> Answer<Reply> {
    let mut session = open_session(tx, id)?;
    let card = cards::find(number)?;
    if let Some(email) = email.filter(|_| session["customer_details"]["email"].is_null()) {
        let mut details = customer_details(&Value::Null);
        details["email"] = json!(email);
        session["customer_details"] = details;
    }
    if session["amount_total"] == json!(0) {
        return match checkout::is_subscription(&session) {
            true => save_card(tx, session, card),
            false => complete(tx, session, &Value::Null),
        };
    }
    let intent = intent_of(tx, &mut session)?;
    let kept_for = match intent["setup_future_usage"].is_null() || checkout::is_subscription(&session) {
        true => &Value::Null,
        false => &intent["customer"],
    };
    let method = methods::insert(tx, card, kept_for, &session["customer_details"])?;
    let attempt = payments::attempt(tx, intent, method, Presence::OnSession)?;
    conclude(tx, session, attempt)
}

pub fn authenticate(tx: &Tx, id: &str, passed: bool) -> Answer<Reply> {
    let session = open_session(tx, id)?;
    if let Some(method) = card_to_authenticate(tx, &session)? {
        return authenticate_card(tx, session, method, passed);
    }
    let intent = match checkout::intent_id(tx, &session)? {
        Some(intent) => tx.get(payments::KIND, &intent)?,
        None => Value::Null,
    };
    if intent["status"] != json!("requires_action") {
        return Err(Failure::conflict("No card of this Checkout Session asks for authentication."));
    }
    let attempt = payments::authenticate(tx, intent, passed)?;
    conclude(tx, session, attempt)
}

/// Nothing is due yet, so the card is only saved; that too can be declined, or ask for authentication.
fn save_card(tx: &Tx, mut session: Value, card: &'static Card) -> Answer<Reply> {
    if let Some(refusal) = card.refusal_to_be_saved() {
        return Err(refusal);
    }
    ensure_customer(tx, &mut session)?;
    let method = methods::insert(tx, card, &Value::Null, &session["customer_details"])?;
    if !matches!(card.behaviour, Behaviour::Asks) {
        return subscribe(tx, session, method, None);
    }
    set_hidden(tx, &session, ASKING, &method["id"])?;
    tx.save(&session)?;
    Ok(asks(tx, &session, &Value::Null))
}

/// The saved card whose authentication is awaited, while no intent is.
pub fn card_to_authenticate(tx: &Tx, session: &Value) -> Answer<Option<Value>> {
    let hidden = tx.hidden(KIND, id_of(session))?;
    hidden[ASKING].as_str().map(|id| tx.get(methods::KIND, id)).transpose()
}

fn authenticate_card(tx: &Tx, session: Value, method: Value, passed: bool) -> Answer<Reply> {
    set_hidden(tx, &session, ASKING, &Value::Null)?;
    if passed {
        return subscribe(tx, session, method, None);
    }
    let code = "setup_intent_authentication_failure";
    let error = json!({
        "type": "invalid_request_error",
        "code": code,
        "doc_url": doc_url(code),
        "message": "The authentication of this payment method failed.",
        "payment_method": method,
    });
    Ok(Reply { status: 402, body: json!({"error": error}) })
}

fn open_session(tx: &Tx, id: &str) -> Answer<Value> {
    let session = tx.get(KIND, id)?;
    match session["status"].as_str() {
        Some("open") => {
            if let Some(customer) = session["customer"].as_str() {
                tx.reference("customer", customer, "customer")?;
            }
            Ok(session)
        }
        Some("complete") => {
            Err(Failure::conflict("This Checkout Session is already complete; it was paid once."))
        }
        _ => Err(Failure::conflict("This Checkout Session has expired; it can no longer be paid.")),
    }
}

/// The first attempt makes the intent; later ones try it again.
fn intent_of(tx: &Tx, session: &mut Value) -> Answer<Value> {
    if let Some(id) = checkout::intent_id(tx, session)? {
        return tx.get(payments::KIND, &id);
    }
    ensure_customer(tx, session)?;
    let hidden = tx.hidden(KIND, id_of(session))?;
    let subscribes = checkout::is_subscription(session);
    let data = match subscribes {
        true => issue::intent_data(&json!("subscription_create")),
        false => hidden["payment_intent_data"].clone(),
    };
    let purpose = Purpose {
        amount: &session["amount_total"],
        currency: &session["currency"],
        customer: &session["customer"],
        method_types: &session["payment_method_types"],
        data: &data,
    };
    let intent = payments::create(tx, &purpose)?;
    match subscribes {
        true => set_hidden(tx, session, "payment_intent", &intent["id"])?,
        false => session["payment_intent"] = intent["id"].clone(),
    }
    Ok(intent)
}

fn ensure_customer(tx: &Tx, session: &mut Value) -> Answer<()> {
    if session["customer"].is_null() && session["customer_creation"] == json!("always") {
        let customer = customers::create_for_checkout(tx, &session["customer_details"]["email"])?;
        session["customer"] = customer["id"].clone();
    }
    Ok(())
}

fn set_hidden(tx: &Tx, session: &Value, name: &str, value: &Value) -> Answer<()> {
    let mut hidden = tx.hidden(KIND, id_of(session))?;
    hidden[name] = value.clone();
    tx.save_hidden(session, &hidden)
}

fn conclude(tx: &Tx, session: Value, attempt: Attempt) -> Answer<Reply> {
    match attempt {
        Attempt::Approved { intent, method } if checkout::is_subscription(&session) => {
            subscribe(tx, session, method, Some(intent))
        }
        Attempt::Approved { intent, method } => {
            let intent = payments::succeed(tx, intent, &method)?;
            complete(tx, session, &intent["id"])
        }
        Attempt::Failed(error) => {
            tx.save(&session)?;
            Ok(Reply { status: 402, body: json!({"error": error}) })
        }
        Attempt::AsksForAuthentication(intent) => {
            tx.save(&session)?;
            Ok(asks(tx, &session, &intent["id"]))
        }
    }
}

fn asks(tx: &Tx, session: &Value, intent: &Value) -> Reply {
    let next = format!("{}/_sandbox/checkout/{}/authenticate", tx.public_url, id_of(session));
    Reply::from(json!({
        "status": "requires_action", "session": session["id"], "payment_intent": intent, "next": next,
    }))
}

/// The payment is certain: only now there is a subscription.
fn subscribe(tx: &Tx, mut session: Value, method: Value, intent: Option<Value>) -> Answer<Reply> {
    let intent_id = intent.as_ref().map_or(Value::Null, |intent| intent["id"].clone());
    let (subscription, invoice) = subscriptions::create::at_checkout(tx, &session, method, intent)?;
    session["invoice"] = invoice["id"].clone();
    session["subscription"] = subscription["id"].clone();
    let mut reply = complete(tx, session, &intent_id)?;
    reply.body["invoice"] = invoice["id"].clone();
    reply.body["subscription"] = subscription["id"].clone();
    Ok(reply)
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
