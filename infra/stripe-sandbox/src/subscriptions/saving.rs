//! What a subscription is charged to later, where nothing is due when it begins: a SetupIntent tries that out, and
//! the subscription names it until it is done.

use serde_json::{Value, json};

use super::shape::Order;
use super::{KIND, has_ended, paying, update};
use crate::failure::Answer;
use crate::mandates;
use crate::means::{self, Means, Presence};
use crate::methods;
use crate::setups::{self, course};
use crate::tx::{Tx, id_of};

/// `Some` is what is left to be confirmed: there is nothing to charge, or its bank wants to see its holder.
pub fn begin(tx: &Tx, customer: &Value, order: &Order, method: Option<&Value>) -> Answer<Option<Value>> {
    let types = paying::types(&order.data, &order.currency);
    let intent = setups::make(tx, customer, &types, &Value::Null, &Value::Null)?;
    match method {
        Some(method) => try_out(tx, intent, method.clone()),
        None => Ok(Some(intent)),
    }
}

/// From now on it counts for the subscription what becomes of the intent.
pub fn attach(tx: &Tx, subscription: &Value, intent: &Value) -> Answer<()> {
    let mut hidden = tx.hidden(setups::KIND, id_of(intent))?;
    hidden["subscription"] = subscription["id"].clone();
    tx.save_hidden(intent, &hidden)
}

/// Something has been saved; where it was for a subscription, that asks no more.
pub fn done(tx: &Tx, intent: &Value) -> Answer<()> {
    let hidden = tx.hidden(setups::KIND, id_of(intent))?;
    let Some(subscription) = hidden["subscription"].as_str() else { return Ok(()) };
    let before = tx.get(KIND, subscription)?;
    if before["pending_setup_intent"] != intent["id"] {
        return Ok(());
    }
    let mut after = before.clone();
    after["pending_setup_intent"] = Value::Null;
    if paying::becomes_default(&before) && !has_ended(&before) {
        after["default_payment_method"] = intent["payment_method"].clone();
    }
    update(tx, &before, &after)
}

/// What waits for a way to pay is tried with the one that the subscription has been given.
pub fn retry(tx: &Tx, before: &Value, after: Value) -> Answer<Value> {
    let given = Some(&after["default_payment_method"]).filter(|it| **it != before["default_payment_method"]);
    let (Some(method), Some(intent)) =
        (given.and_then(Value::as_str), after["pending_setup_intent"].as_str())
    else {
        return Ok(after);
    };
    let intent = tx.get(setups::KIND, intent)?;
    if intent["status"] == json!("canceled") {
        return Ok(after);
    }
    try_out(tx, intent, tx.get(methods::KIND, method)?)?;
    tx.get(KIND, id_of(&after))
}

fn try_out(tx: &Tx, intent: Value, method: Value) -> Answer<Option<Value>> {
    mandates::ensure(tx, &method, &mandates::accepted_on_page(tx))?;
    let asks = match means::of(&method)? {
        Means::Card(card) => means::asks(tx, card, &method, Presence::Billed)?,
        Means::Account(_) => false,
    };
    if !asks {
        return course::succeed(tx, intent, method).map(|_| None);
    }
    Ok(match course::attempt(tx, intent, method)? {
        course::Try::Done(_) => None,
        course::Try::AsksForAuthentication(intent) => Some(intent),
        course::Try::Failed(error) => Some(error[setups::KIND].clone()),
    })
}
