//! Charges: what an attempt to pay collected, and how much of that was given back.

use serde_json::{Value, json};

use crate::banks::Scheme;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
use crate::mandates;
use crate::tx::{Tx, id_of};

pub const KIND: &str = "charge";
const URL: &str = "/v1/charges";

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of(KIND);
    query.customer(call.tx, &mut params)?;
    query.equal("payment_intent", params.text("payment_intent")?);
    query.created(&mut params)?;
    query.page(call.tx, params, URL)
}

/// The charge that paid an intent.
pub fn that_paid(tx: &Tx, intent: &Value) -> Answer<Value> {
    match intent["latest_charge"].as_str() {
        Some(charge) if intent["status"] == json!("succeeded") => tx.get(KIND, charge),
        _ => {
            let message =
                format!("This PaymentIntent ({}) does not have a successful charge.", id_of(intent));
            Err(Failure::conflict(message))
        }
    }
}

pub fn amount_of(charge: &Value) -> i64 {
    charge["amount"].as_i64().unwrap_or(0)
}

pub fn amount_refunded(charge: &Value) -> i64 {
    charge["amount_refunded"].as_i64().unwrap_or(0)
}

pub fn set_amount_refunded(charge: &mut Value, amount: i64) {
    charge["refunded"] = json!(amount >= amount_of(charge));
    charge["amount_refunded"] = json!(amount);
}

/// What has become of a charge.
pub enum State {
    Paid,
    /// A bank account's holder or bank may still say no.
    Pending,
    Failed {
        code: &'static str,
        reason: &'static str,
        message: &'static str,
    },
}

/// A new charge, not yet stored.
pub fn made(tx: &Tx, intent: &Value, method: &Value, state: &State) -> Answer<Value> {
    let method_type = method["type"].as_str().unwrap_or_default();
    // Stripe calls what is not a card's a payment.
    let id = ids::fresh(if method_type == "card" { "ch" } else { "py" });
    let mut charge = json!({
        "object": KIND,
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "SANDBOX",
        "captured": false,
        "created": tx.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": false,
        "failure_balance_transaction": null,
        "failure_code": null,
        "failure_message": null,
        "fraud_details": {},
        "livemode": false,
        "metadata": intent["metadata"],
        "on_behalf_of": null,
        "outcome": null,
        "paid": false,
        "payment_intent": id_of(intent),
        "payment_method": method["id"],
        "payment_method_details": {method_type: charged(tx, method, intent)?, "type": method_type},
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": null,
        "receipt_url": null,
        "refunded": false,
        "review": null,
        "shipping": intent["shipping"],
        "source": null,
        "source_transfer": null,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "transfer_data": null,
        "transfer_group": null,
        "id": id,
    });
    enter(tx, &mut charge, state);
    Ok(charge)
}

/// Brings a charge into a state.
pub fn enter(tx: &Tx, charge: &mut Value, state: &State) {
    let paid = matches!(state, State::Paid);
    charge["outcome"] = outcome(state);
    charge["paid"] = json!(paid);
    charge["receipt_url"] = json!(paid.then(|| format!("{}/r/{}", tx.public_url, id_of(charge))));
    charge["status"] = json!(match state {
        State::Paid => "succeeded",
        State::Pending => "pending",
        State::Failed { .. } => "failed",
    });
    match state {
        State::Failed { code, message, .. } => {
            charge["failure_code"] = json!(code);
            charge["failure_message"] = json!(message);
        }
        State::Paid | State::Pending => {
            charge["captured"] = json!(true);
            charge["amount_captured"] = charge["amount"].clone();
        }
    }
}

fn outcome(state: &State) -> Value {
    match state {
        State::Failed { reason, .. } => json!({
            "advice_code": "try_again_later", "network_advice_code": null, "network_decline_code": "01",
            "network_status": "declined_by_network", "reason": reason, "risk_level": "normal", "risk_score": 10,
            "seller_message": "The bank declined the payment.", "type": "issuer_declined",
        }),
        State::Paid | State::Pending => json!({
            "advice_code": null, "network_advice_code": null, "network_decline_code": null,
            "network_status": "approved_by_network", "reason": null, "risk_level": "normal", "risk_score": 10,
            "seller_message": "Payment complete.", "type": "authorized",
        }),
    }
}

fn charged(tx: &Tx, method: &Value, intent: &Value) -> Answer<Value> {
    let Some(scheme) = Scheme::named(method["type"].as_str().unwrap_or_default()) else {
        return Ok(charged_card(method, intent));
    };
    let mut account = method[scheme.method_type()].clone();
    for name in ["financial_connections_account", "generated_from", "networks", "status_details"] {
        if let Some(fields) = account.as_object_mut() {
            fields.remove(name);
        }
    }
    account["expected_debit_date"] = Value::Null;
    account["mandate"] = json!(mandates::of(tx, method)?);
    if scheme == Scheme::Ach {
        account["payment_reference"] = Value::Null;
    }
    Ok(account)
}

fn charged_card(method: &Value, intent: &Value) -> Value {
    let card = &method["card"];
    json!({
        "amount_authorized": intent["amount"],
        "brand": card["brand"],
        "checks": card["checks"],
        "country": card["country"],
        "exp_month": card["exp_month"],
        "exp_year": card["exp_year"],
        "fingerprint": card["fingerprint"],
        "funding": card["funding"],
        "installments": null,
        "last4": card["last4"],
        "mandate": null,
        "network": card["brand"],
        "network_token": {"used": false},
        "network_transaction_id": null,
        "regulated_status": card["regulated_status"],
        "three_d_secure": null,
        "wallet": null,
    })
}
