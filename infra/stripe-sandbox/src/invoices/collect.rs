//! How an invoice is paid, or fails to be, and what that means for its subscription.

use serde_json::{Value, json};

use super::{payments, subscription_id};
use crate::failure::{Answer, doc_url};
use crate::mandates;
use crate::means::Presence;
use crate::methods;
use crate::payments::{self as intents, Attempt};
use crate::periods::DAY;
use crate::subscriptions::{self, paying, standing};
use crate::tx::{Tx, id_of};

/// The gap before each automatic retry, from the attempt before it.
const RETRY_GAPS: [i64; 4] = [DAY, 3 * DAY, 5 * DAY, 7 * DAY];
const ACTION_REQUIRED: &str = "invoice.payment_action_required";

#[derive(Clone, Copy, PartialEq)]
pub enum Asked {
    /// By the schedule of attempts, which goes on by this.
    OnSchedule,
    ByRequest,
    /// By the customer, who is there.
    ByPayer,
}

/// Charges an open invoice; `Some` is Stripe's error object for what went wrong.
pub fn charge(tx: &Tx, invoice: Value, method: Option<Value>, asked: Asked) -> Answer<Option<Value>> {
    let Some(method) = method else {
        mark_failed(tx, invoice, asked)?;
        let message = "The customer has no payment method to charge.";
        return Ok(Some(json!({"type": "invalid_request_error", "message": message})));
    };
    let intent = payments::intent_of(tx, &invoice)?;
    if intent["status"] == json!("processing") {
        // The bank's answer to the last attempt is awaited.
        return Ok(None);
    }
    mandates::ensure(tx, &method, &mandates::accepted_on_page(tx))?;
    let presence = if asked == Asked::ByPayer { Presence::OnSession } else { Presence::Billed };
    let attempt = intents::attempt(tx, intent, method, presence)?;
    conclude(tx, invoice, attempt, asked)
}

/// Carries out what an attempt to pay an open invoice has come to.
pub fn conclude(tx: &Tx, invoice: Value, attempt: Attempt, asked: Asked) -> Answer<Option<Value>> {
    match attempt {
        Attempt::Approved { intent, method } => {
            let method = save_for_later(tx, &invoice, &intent, method)?;
            let intent = intents::take(tx, intent, &method)?;
            methods::use_up(tx, &method)?;
            mark_taken(tx, count_attempt(invoice, asked), &intent)?;
            Ok(None)
        }
        Attempt::Failed(error) => {
            mark_failed(tx, invoice, asked)?;
            Ok(Some(error))
        }
        Attempt::AsksForAuthentication(_) if asked == Asked::ByPayer => {
            tx.emit(ACTION_REQUIRED, &invoice)?;
            Ok(None)
        }
        Attempt::AsksForAuthentication(_) => {
            tx.emit(ACTION_REQUIRED, &invoice)?;
            mark_failed(tx, invoice, asked)?;
            Ok(Some(action_required()))
        }
    }
}

fn action_required() -> Value {
    let code = "invoice_payment_intent_requires_action";
    json!({
        "type": "card_error",
        "code": code,
        "doc_url": doc_url(code),
        "message": "This payment requires additional user action before it can be completed successfully. Payment \
                    can be completed using the PaymentIntent associated with the invoice.",
    })
}

/// The method becomes the customer's if it is to be charged again, and the subscription's if that wants it.
fn save_for_later(tx: &Tx, invoice: &Value, intent: &Value, method: Value) -> Answer<Value> {
    let before = tx.find(subscriptions::KIND, subscription_id(invoice))?.unwrap_or_default();
    let becomes_default = paying::becomes_default(&before);
    if intent["setup_future_usage"].is_null() && !becomes_default {
        return Ok(method);
    }
    let method = methods::keep_and_tell(tx, method, &intent["customer"])?;
    if becomes_default && !subscriptions::has_ended(&before) {
        let mut after = before.clone();
        after["default_payment_method"] = method["id"].clone();
        subscriptions::update(tx, &before, &after)?;
    }
    Ok(method)
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

/// The money is there, or a bank has been asked for it.
pub fn mark_taken(tx: &Tx, invoice: Value, intent: &Value) -> Answer<Value> {
    match intent["status"] == json!("succeeded") {
        true => mark_paid(tx, invoice),
        false => mark_processing(tx, &invoice),
    }
}

pub fn mark_paid(tx: &Tx, invoice: Value) -> Answer<Value> {
    let invoice = close(tx, invoice)?;
    tx.emit("invoice.paid", &invoice)?;
    tx.emit("invoice.payment_succeeded", &invoice)?;
    payments::mark_paid(tx, &invoice)?;
    standing::invoice_paid(tx, &invoice)?;
    Ok(invoice)
}

/// The shop says that it was paid without Stripe.
pub fn mark_paid_elsewhere(tx: &Tx, invoice: Value) -> Answer<Value> {
    payments::cancel(tx, &invoice)?;
    let invoice = close(tx, invoice)?;
    tx.emit("invoice.paid", &invoice)?;
    standing::invoice_paid(tx, &invoice)?;
    Ok(invoice)
}

fn close(tx: &Tx, mut invoice: Value) -> Answer<Value> {
    invoice["amount_paid"] = invoice["amount_due"].clone();
    invoice["amount_remaining"] = json!(0);
    invoice["attempted"] = json!(true);
    invoice["auto_advance"] = json!(false);
    invoice["next_payment_attempt"] = Value::Null;
    invoice["status"] = json!("paid");
    invoice["status_transitions"]["paid_at"] = json!(tx.now());
    tx.save(&invoice)?;
    tx.clear_alarm(&invoice)?;
    Ok(invoice)
}

/// Checkout has had it paid, or a bank asked for it, before it was made.
pub fn mark_taken_at_checkout(tx: &Tx, invoice: Value, intent: &Value) -> Answer<Value> {
    mark_taken(tx, count_attempt(invoice, Asked::ByRequest), intent)
}

/// Until the bank answers, the invoice stays open and its subscription counts as paid for.
fn mark_processing(tx: &Tx, invoice: &Value) -> Answer<Value> {
    let before = tx.get(super::KIND, id_of(invoice))?;
    let mut after = invoice.clone();
    after["attempted"] = json!(true);
    after["next_payment_attempt"] = Value::Null;
    tx.update(&before, &after, "invoice.updated")?;
    tx.clear_alarm(&after)?;
    standing::invoice_processing(tx, &after)?;
    Ok(after)
}

/// The bank has said no, days after it was asked.
pub fn mark_returned(tx: &Tx, invoice: Value) -> Answer<()> {
    let subscription = tx.get(subscriptions::KIND, subscription_id(&invoice))?;
    schedule_retry(tx, invoice, !subscriptions::has_ended(&subscription))
}

fn mark_failed(tx: &Tx, invoice: Value, asked: Asked) -> Answer<()> {
    let mut invoice = count_attempt(invoice, asked);
    invoice["attempted"] = json!(true);
    let renews = invoice["billing_reason"] != json!("subscription_create");
    schedule_retry(tx, invoice, renews && asked == Asked::OnSchedule)
}

/// Tells of a failed attempt, after which the next is due if there is another.
fn schedule_retry(tx: &Tx, mut invoice: Value, is_retried: bool) -> Answer<()> {
    let mut exhausted = false;
    if is_retried {
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
