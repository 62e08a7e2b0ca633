//! `/v1/refunds`: money given back, in full or in part, and refunds that fail after all.

use serde_json::{Value, json};

use crate::call::Call;
use crate::cards::Aftermath;
use crate::charges;
use crate::disputes;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
use crate::means;
use crate::pages::money;
use crate::params::Params;
use crate::payments;
use crate::periods::HOUR;
use crate::tx::{Tx, id_of};

pub const KIND: &str = "refund";
const URL: &str = "/v1/refunds";

/// How long the banks of some cards take to make up their minds.
const BANK_TAKES: i64 = HOUR;

/// They are about other ways to pay, or other people's accounts.
const UNSUPPORTED: [&str; 6] =
    ["currency", "customer", "instructions_email", "origin", "refund_application_fee", "reverse_transfer"];

pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&UNSUPPORTED)?;
    let before = charge_to_refund(tx, &mut params)?;
    let asked = params.integer_from("amount", 1)?;
    let reason = params.one_of("reason", &["duplicate", "fraudulent", "requested_by_customer"])?;
    let metadata = params.metadata(Value::Null)?;
    params.finish()?;
    let amount = refundable(tx, &before, asked)?;
    let aftermath = means::of(&before["payment_method_details"])?.aftermath();
    let mut refund = blank(tx, &before, amount, aftermath);
    refund["reason"] = json!(reason);
    refund["metadata"] = metadata;
    tx.insert(&refund, &Value::Null)?;
    if matches!(aftermath, Aftermath::RefundsFail | Aftermath::RefundsWait) {
        tx.set_alarm(&refund, (tx.now() + BANK_TAKES) * 1000)?;
    }
    tx.emit("refund.created", &refund)?;
    let mut charge = before.clone();
    charges::set_amount_refunded(&mut charge, charges::amount_refunded(&before) + amount);
    tx.update(&before, &charge, "charge.refunded")?;
    disputes::course::follow_refunds(tx, &charge)?;
    Ok(refund)
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let query = of_payment(call.tx, KIND, &mut params)?;
    query.page(call.tx, params, URL)
}

pub fn update(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let before = call.tx.get(KIND, call.id)?;
    let mut after = before.clone();
    after["metadata"] = params.metadata(before["metadata"].clone())?;
    params.finish()?;
    tell_of_change(call.tx, &before, &after)?;
    Ok(after)
}

/// Stripe cancels refunds that still require an action of the customer; those here never do.
pub fn cancel(call: Call) -> Answer<Value> {
    call.params.finish()?;
    let refund = call.tx.get(KIND, call.id)?;
    let status = refund["status"].as_str().unwrap_or_default();
    let message = format!(
        "Refund {} cannot be canceled: it has a status of {status}, and only refunds with a status of \
         requires_action can be.",
        call.id
    );
    Err(Failure::conflict(message))
}

/// What a charge shows as `refunds` when it is asked to, newest first.
pub fn of_charge(tx: &Tx, charge: &Value) -> Answer<Value> {
    let mut query = Query::of(KIND);
    query.equal("charge", Some(id_of(charge).to_owned()));
    let url = format!("/v1/charges/{}/refunds", id_of(charge));
    Ok(json!({"object": "list", "data": query.all(tx)?, "has_more": false, "url": url}))
}

/// The refunds or disputes of one charge or intent, or of a time.
pub fn of_payment(tx: &Tx, kind: &'static str, params: &mut Params) -> Answer<Query> {
    let mut query = Query::of(kind);
    for parent in [charges::KIND, payments::KIND] {
        if let Some(id) = params.text(parent)? {
            tx.reference(parent, &id, parent)?;
            query.equal(parent, Some(id));
        }
    }
    query.created(params)?;
    Ok(query)
}

/// The bank has made up its mind.
pub fn go_on(tx: &Tx, id: &str) -> Answer<()> {
    let before = tx.get(KIND, id)?;
    match before["status"].as_str() {
        Some("pending") => {
            let mut after = before.clone();
            after["status"] = json!("succeeded");
            forget_pending_reason(&mut after);
            tell_of_change(tx, &before, &after)
        }
        Some("succeeded") => fail(tx, id).map(drop),
        _ => Ok(()),
    }
}

/// The money comes back, and the charge counts it as never refunded.
pub fn fail(tx: &Tx, id: &str) -> Answer<Value> {
    let before = tx.get(KIND, id)?;
    if before["status"] == json!("failed") {
        return Err(Failure::conflict(format!("Refund {id} has failed already.")));
    }
    let mut charge = tx.get(charges::KIND, before["charge"].as_str().unwrap_or_default())?;
    let amount = before["amount"].as_i64().unwrap_or(0);
    let refunded = charges::amount_refunded(&charge) - amount;
    charges::set_amount_refunded(&mut charge, refunded);
    tx.save(&charge)?;
    let mut after = before.clone();
    after["failure_balance_transaction"] = Value::Null;
    after["failure_reason"] = json!("expired_or_canceled_card");
    after["status"] = json!("failed");
    forget_pending_reason(&mut after);
    tx.clear_alarm(&after)?;
    tell_of_change(tx, &before, &after)?;
    tx.emit("refund.failed", &after)?;
    disputes::course::follow_refunds(tx, &charge)?;
    Ok(after)
}

/// Since there is `refund.updated`, Stripe tells of a card's refund under both names.
fn tell_of_change(tx: &Tx, before: &Value, after: &Value) -> Answer<()> {
    tx.update(before, after, "refund.updated")?;
    tx.update(before, after, "charge.refund.updated")
}

/// It is there only while a refund is pending.
fn forget_pending_reason(refund: &mut Value) {
    if let Some(fields) = refund.as_object_mut() {
        fields.remove("pending_reason");
    }
}

fn charge_to_refund(tx: &Tx, params: &mut Params) -> Answer<Value> {
    let charge = match (params.text("charge")?, params.text("payment_intent")?) {
        (Some(id), None) => tx.reference(charges::KIND, &id, "charge")?,
        (None, Some(id)) => charges::that_paid(tx, &tx.reference(payments::KIND, &id, "payment_intent")?)?,
        (None, None) => {
            let message = "One of the following params should be provided: payment_intent or charge.";
            return Err(Failure::invalid(message).code("parameter_missing"));
        }
        (Some(_), Some(_)) => {
            return Err(Failure::invalid("Pass only one of payment_intent and charge."));
        }
    };
    if charge["paid"] == json!(true) {
        return Ok(charge);
    }
    let message = format!("Charge {} has failed; there is nothing to refund.", id_of(&charge));
    Err(Failure::conflict(message))
}

/// Where the money goes; Stripe tells no more of a bank account than its type.
fn destination(charge: &Value) -> Value {
    match charge["payment_method_details"]["type"].as_str() {
        Some("card") => json!({
            "card": {
                "reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund",
            },
            "type": "card",
        }),
        other => json!({"type": other}),
    }
}

/// How much of a charge is given back: what is asked for, or else all that is left.
fn refundable(tx: &Tx, charge: &Value, asked: Option<i64>) -> Answer<i64> {
    let id = id_of(charge);
    if disputes::course::takes_charge(tx, charge)? {
        let message = format!("Charge {id} has been charged back; cannot issue a refund.");
        return Err(Failure::conflict(message).code("charge_disputed"));
    }
    let left = charges::amount_of(charge) - charges::amount_refunded(charge);
    if left == 0 {
        let message = format!("Charge {id} has already been refunded.");
        return Err(Failure::conflict(message).code("charge_already_refunded"));
    }
    let amount = asked.unwrap_or(left);
    if amount <= left {
        return Ok(amount);
    }
    let currency = charge["currency"].as_str().unwrap_or_default();
    let message = format!(
        "Refund amount ({}) is greater than unrefunded amount on charge ({})",
        money(amount, currency),
        money(left, currency)
    );
    Err(Failure::conflict(message).param("amount"))
}

fn blank(tx: &Tx, charge: &Value, amount: i64, aftermath: Aftermath) -> Value {
    let waits = matches!(aftermath, Aftermath::RefundsWait);
    let mut refund = json!({
        "id": ids::fresh("re"),
        "object": KIND,
        "amount": amount,
        "balance_transaction": null,
        "charge": charge["id"],
        "created": tx.now(),
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": null,
        "destination_details": destination(charge),
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": null,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": if waits { "pending" } else { "succeeded" },
        "transfer_reversal": null,
    });
    if waits {
        refund["pending_reason"] = json!("processing");
    }
    refund
}
