//! Charges: what an attempt to pay collected, and how much of that was given back.

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
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

/// A new charge, not yet stored; `failure` is what its card was declined with.
pub fn made(tx: &Tx, intent: &Value, method: &Value, outcome: &Value, failure: Option<&str>) -> Value {
    let (id, paid) = (ids::fresh("ch"), failure.is_none());
    json!({
        "object": KIND,
        "amount": intent["amount"],
        "amount_captured": if paid { intent["amount"].clone() } else { json!(0) },
        "amount_refunded": 0,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "SANDBOX",
        "captured": paid,
        "created": tx.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": false,
        "failure_balance_transaction": null,
        "failure_code": failure.map(|_| "card_declined"),
        "failure_message": failure,
        "fraud_details": {},
        "livemode": false,
        "metadata": intent["metadata"],
        "on_behalf_of": null,
        "outcome": outcome,
        "paid": paid,
        "payment_intent": id_of(intent),
        "payment_method": method["id"],
        "payment_method_details": {"card": charged_card(method, intent), "type": "card"},
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": null,
        "receipt_url": paid.then(|| format!("{}/r/{id}", tx.public_url)),
        "refunded": false,
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": if paid { "succeeded" } else { "failed" },
        "transfer_data": null,
        "transfer_group": null,
        "id": id,
    })
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
        "network": "visa",
        "network_token": {"used": false},
        "network_transaction_id": null,
        "regulated_status": card["regulated_status"],
        "three_d_secure": null,
        "wallet": null,
    })
}
