//! How an invoice is paid, or fails to be, and what that means for its subscription.

use serde_json::{Value, json};

use super::{payments, subscription_id};
use crate::failure::Answer;
use crate::methods;
use crate::payments::{self as intents, Attempt, Presence};
use crate::periods::DAY;
use crate::subscriptions::{self, standing};
use crate::tx::Tx;

/// The gap before each automatic retry, from the attempt before it.
const RETRY_GAPS: [i64; 4] = [DAY, 3 * DAY, 5 * DAY, 7 * DAY];

#[derive(Clone, Copy, PartialEq)]
pub enum Asked {
    /// By the schedule of attempts, which goes on by this.
    OnSchedule,
    ByRequest,
}

/// Charges an open invoice; `Some` is Stripe's error object for what went wrong.
pub fn charge(tx: &Tx, invoice: Value, method: Option<Value>, asked: Asked) -> Answer<Option<Value>> {
    let Some(method) = method else {
        mark_failed(tx, invoice, asked)?;
        let message = "The customer has no payment method to charge.";
        return Ok(Some(json!({"type": "invalid_request_error", "message": message})));
    };
    let intent = payments::intent_of(tx, &invoice)?;
    match intents::attempt(tx, intent, method, Presence::OffSession)? {
        Attempt::Approved { intent, method } => {
            intents::succeed(tx, intent, &method)?;
            mark_paid(tx, count_attempt(invoice, asked))?;
            Ok(None)
        }
        Attempt::Failed(error) => {
            mark_failed(tx, invoice, asked)?;
            Ok(Some(error))
        }
        // An absent cardholder is never asked; were they, the invoice would wait as it is.
        Attempt::AsksForAuthentication(_) => Ok(None),
    }
}

/// What an invoice is charged to unless somebody says otherwise.
pub fn method_for(tx: &Tx, invoice: &Value) -> Answer<Option<Value>> {
    let subscription = tx.get(subscriptions::KIND, subscription_id(invoice))?;
    let own = invoice["default_payment_method"].as_str();
    match own.or(subscription["default_payment_method"].as_str()) {
        Some(id) => tx.find(methods::KIND, id),
        None => default_of_customer(tx, &invoice["customer"]),
    }
}

pub fn default_of_customer(tx: &Tx, customer: &Value) -> Answer<Option<Value>> {
    let customer = tx.get("customer", customer.as_str().unwrap_or_default())?;
    match customer["invoice_settings"]["default_payment_method"].as_str() {
        Some(id) => tx.find(methods::KIND, id),
        None => Ok(None),
    }
}

pub fn mark_paid(tx: &Tx, mut invoice: Value) -> Answer<Value> {
    invoice["amount_paid"] = invoice["amount_due"].clone();
    invoice["amount_remaining"] = json!(0);
    invoice["attempted"] = json!(true);
    invoice["auto_advance"] = json!(false);
    invoice["next_payment_attempt"] = Value::Null;
    invoice["status"] = json!("paid");
    invoice["status_transitions"]["paid_at"] = json!(tx.now());
    tx.save(&invoice)?;
    tx.clear_alarm(&invoice)?;
    tx.emit("invoice.paid", &invoice)?;
    tx.emit("invoice.payment_succeeded", &invoice)?;
    payments::mark_paid(tx, &invoice)?;
    standing::invoice_paid(tx, &invoice)?;
    Ok(invoice)
}

/// Checkout has had it paid before it was made.
pub fn mark_paid_at_checkout(tx: &Tx, invoice: Value) -> Answer<Value> {
    mark_paid(tx, count_attempt(invoice, Asked::ByRequest))
}

fn mark_failed(tx: &Tx, invoice: Value, asked: Asked) -> Answer<()> {
    let mut invoice = count_attempt(invoice, asked);
    invoice["attempted"] = json!(true);
    let renews = invoice["billing_reason"] != json!("subscription_create");
    let mut exhausted = false;
    if renews && asked == Asked::OnSchedule {
        let attempts = invoice["attempt_count"].as_u64().and_then(|count| usize::try_from(count).ok());
        let gap = attempts.and_then(|count| RETRY_GAPS.get(count.saturating_sub(1)));
        invoice["next_payment_attempt"] = json!(gap.map(|gap| tx.now() + gap));
        exhausted = gap.is_none();
        invoice["auto_advance"] = json!(!exhausted);
    }
    tx.save(&invoice)?;
    if let Some(at) = invoice["next_payment_attempt"].as_i64() {
        tx.set_alarm(&invoice, at * 1000)?;
    }
    tx.emit("invoice.payment_failed", &invoice)?;
    standing::invoice_failed(tx, &invoice, exhausted)
}

/// The first attempt counts whoever asks for it; after that only the schedule's own do.
fn count_attempt(mut invoice: Value, asked: Asked) -> Value {
    let count = invoice["attempt_count"].as_u64().unwrap_or(0);
    if asked == Asked::OnSchedule || count == 0 {
        invoice["attempt_count"] = json!(count + 1);
    }
    invoice
}
