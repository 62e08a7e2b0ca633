//! What becomes of a bank debit, days after it was asked for.

use serde::Deserialize;
use serde_json::{Value, json};

use super::course;
use crate::banks::{self, Outcome};
use crate::charges::{self, State};
use crate::failure::{Answer, Failure, doc_url};
use crate::invoices::collect;
use crate::methods;
use crate::payments::{self, KIND};
use crate::tx::{Tx, id_of};

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    Succeed,
    Fail,
}

/// Its time has come.
pub fn on_time(tx: &Tx, id: &str) -> Answer<()> {
    let intent = tx.get(KIND, id)?;
    match intent["status"] == json!("processing") {
        true => settle(tx, intent, None).map(drop),
        false => Ok(()),
    }
}

/// Somebody at the bank hurries.
pub fn by_hand(tx: &Tx, id: &str, wanted: Option<Wanted>) -> Answer<Value> {
    let intent = tx.get(KIND, id)?;
    if intent["status"] != json!("processing") {
        let status = intent["status"].as_str().unwrap_or_default();
        return Err(Failure::conflict(format!("PaymentIntent {id} is not processing; it is {status}.")));
    }
    tx.clear_alarm(&intent)?;
    settle(tx, intent, wanted)
}

/// As is wanted, or else as the account has it.
fn settle(tx: &Tx, intent: Value, wanted: Option<Wanted>) -> Answer<Value> {
    let id = id_of(&intent).to_owned();
    let charge = tx.get(charges::KIND, intent["latest_charge"].as_str().unwrap_or_default())?;
    let own = banks::of(&charge["payment_method_details"])?.outcome;
    match (wanted, own) {
        (Some(Wanted::Fail), Outcome::Fails { code, message }) | (None, Outcome::Fails { code, message }) => {
            fail(tx, intent, charge, code, message)?;
        }
        (Some(Wanted::Fail), _) => {
            let message = "The payment failed: the bank could not process the debit.";
            fail(tx, intent, charge, "payment_intent_payment_attempt_failed", message)?;
        }
        _ => succeed(tx, intent, charge)?,
    }
    tx.get(KIND, &id)
}

fn succeed(tx: &Tx, intent: Value, mut charge: Value) -> Answer<()> {
    charges::enter(tx, &mut charge, &State::Paid);
    tx.save(&charge)?;
    let intent = payments::mark_succeeded(tx, intent, &charge)?;
    if let Some(invoice) = course::invoice_of(tx, &intent)?.filter(is_open) {
        collect::mark_paid(tx, invoice)?;
    }
    if let Some(mut session) = course::session_of(tx, &intent)? {
        session["payment_status"] = json!("paid");
        tx.save(&session)?;
        tx.emit("checkout.session.async_payment_succeeded", &session)?;
    }
    Ok(())
}

fn fail(tx: &Tx, intent: Value, mut charge: Value, code: &'static str, message: &'static str) -> Answer<()> {
    charges::enter(tx, &mut charge, &State::Failed { code, reason: code, message });
    tx.save(&charge)?;
    tx.emit("charge.failed", &charge)?;
    let method = tx.get(methods::KIND, charge["payment_method"].as_str().unwrap_or_default())?;
    let error = json!({
        "type": "invalid_request_error",
        "charge": charge["id"],
        "code": code,
        "doc_url": doc_url(code),
        "message": message,
        "payment_method": method,
    });
    let session = course::session_of(tx, &intent)?;
    let invoice = course::invoice_of(tx, &intent)?.filter(is_open);
    payments::fail(tx, intent, error)?;
    if let Some(invoice) = invoice {
        collect::mark_returned(tx, invoice)?;
    }
    match session {
        Some(session) => tx.emit("checkout.session.async_payment_failed", &session),
        None => Ok(()),
    }
}

fn is_open(invoice: &Value) -> bool {
    invoice["status"] == json!("open")
}
