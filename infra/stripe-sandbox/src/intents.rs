//! `/v1/payment_intents`, as a shop asks for payments, and as a page with a client secret carries them out.
//! What an intent shows and how it is tried is in `payments`; what comes of a try in `course`; what the banks
//! say days later in `settlement`.

pub mod course;
pub mod settlement;
pub mod terms;

use serde_json::{Value, json};

use self::course::Confirmation;
use crate::call::Call;
use crate::cart;
use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::payments::{self, KIND, Purpose};
use crate::tx::{Reply, Tx};

const MOST: i64 = 99_999_999;
/// They would change what is paid, or to whom, or make another way to confirm.
const UNSUPPORTED: [&str; 17] = [
    "amount_details",
    "application_fee_amount",
    "confirmation_token",
    "customer_account",
    "error_on_requires_action",
    "excluded_payment_method_types",
    "hooks",
    "mandate",
    "managed_payments",
    "on_behalf_of",
    "payment_details",
    "payment_method_configuration",
    "radar_options",
    "secret_key_confirmation",
    "transfer_data",
    "transfer_group",
    "moto",
];
/// What can be changed whatever has become of an intent.
const ALWAYS_OPEN: [&str; 4] = ["client_secret", "description", "metadata", "receipt_email"];

pub fn create(call: Call) -> Answer<Reply> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&UNSUPPORTED)?;
    check_plain(&mut params)?;
    let confirms = params.boolean("confirm")? == Some(true);
    let amount = params.integer_from("amount", 1)?.ok_or_else(|| Failure::missing_param("amount"))?;
    let currency = params.currency("currency")?.ok_or_else(|| Failure::missing_param("currency"))?;
    check_amount(amount, &currency)?;
    let (types, automatic) = terms::types(&mut params, &currency)?;
    let mut intent = payments::blank(
        tx,
        &Purpose {
            amount: &json!(amount),
            currency: &json!(currency),
            customer: &Value::Null,
            method_types: &types,
            data: &Value::Null,
        },
    );
    intent["automatic_payment_methods"] = automatic;
    terms::apply(tx, &mut intent, &mut params)?;
    terms::choose_method(tx, &mut intent, &mut params)?;
    let confirmation = confirms.then(|| Confirmation::by_shop(tx, &mut params)).transpose()?;
    if confirmation.is_none() {
        terms::refuse_unconfirmed(&params)?;
    }
    params.finish()?;
    tx.insert(&intent, &json!({}))?;
    tx.emit("payment_intent.created", &intent)?;
    match confirmation {
        Some(confirmation) => course::confirm(tx, intent, confirmation),
        None => Ok(Reply::from(intent)),
    }
}

pub fn update(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&UNSUPPORTED)?;
    let mut intent = tx.get(KIND, call.id)?;
    if let Err(failure) = params.only(&ALWAYS_OPEN) {
        check_changeable(tx, &intent, failure)?;
    }
    params.accept(&["client_secret"]);
    terms::check_currency_is(&mut params, &intent)?;
    if let Some(amount) = params.integer_from("amount", 1)? {
        check_amount(amount, intent["currency"].as_str().unwrap_or_default())?;
        intent["amount"] = json!(amount);
    }
    terms::change_types(&mut intent, &mut params)?;
    terms::apply(tx, &mut intent, &mut params)?;
    if terms::choose_method(tx, &mut intent, &mut params)? {
        intent["next_action"] = Value::Null;
    }
    params.finish()?;
    tx.save(&intent)?;
    Ok(intent)
}

pub fn confirm(call: Call) -> Answer<Reply> {
    confirm_as(call, Confirmation::by_shop)
}

/// By somebody who has the client secret, and is there.
pub fn confirm_on_page(call: Call) -> Answer<Reply> {
    confirm_as(call, Confirmation::by_page)
}

fn confirm_as(call: Call, read: impl FnOnce(&Tx, &mut Params) -> Answer<Confirmation>) -> Answer<Reply> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&UNSUPPORTED)?;
    check_plain(&mut params)?;
    params.accept(&["client_secret", "expected_payment_method_type"]);
    let mut intent = tx.get(KIND, call.id)?;
    course::check_confirmable(tx, &intent)?;
    terms::change_types(&mut intent, &mut params)?;
    terms::apply_on_confirmation(&mut intent, &mut params)?;
    terms::choose_method(tx, &mut intent, &mut params)?;
    let confirmation = read(tx, &mut params)?;
    params.finish()?;
    course::confirm(tx, intent, confirmation)
}

pub fn cancel(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let reasons = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"];
    let reason = params.one_of("cancellation_reason", &reasons)?;
    params.finish()?;
    let intent = tx.get(KIND, call.id)?;
    if let Some(status @ ("succeeded" | "canceled" | "processing")) = intent["status"].as_str() {
        let message = format!(
            "You cannot cancel this PaymentIntent because it has a status of {status}. Only a PaymentIntent with \
             one of the following statuses may be canceled: requires_payment_method, requires_capture, \
             requires_confirmation, requires_action."
        );
        return Err(unexpected_state(&intent, &message));
    }
    if course::invoice_of(tx, &intent)?.is_some() || course::session_of(tx, &intent)?.is_some() {
        let message = "You cannot cancel this PaymentIntent by itself: expire the Checkout Session or void the \
                       invoice that it pays.";
        return Err(Failure::conflict(message));
    }
    payments::give_up(tx, call.id, reason.as_deref())
}

fn check_plain(params: &mut Params) -> Answer<()> {
    params.one_of("capture_method", &["automatic", "automatic_async"])?;
    params.one_of("confirmation_method", &["automatic"]).map(drop)
}

fn check_amount(amount: i64, currency: &str) -> Answer<()> {
    if amount < cart::least(currency) {
        let message = format!("Amount must be at least {} {currency} minor units.", cart::least(currency));
        return Err(Failure::invalid(message).code("amount_too_small").param("amount"));
    }
    if amount > MOST {
        let message = format!("Amount must be no more than {MOST} {currency} minor units.");
        return Err(Failure::invalid(message).code("amount_too_large").param("amount"));
    }
    Ok(())
}

/// What is asked for beyond [`ALWAYS_OPEN`] fits only a payment that nobody has begun.
fn check_changeable(tx: &Tx, intent: &Value, asked: Failure) -> Answer<()> {
    let name = asked.named().unwrap_or_default().to_owned();
    if let Some(status @ ("succeeded" | "canceled" | "processing")) = intent["status"].as_str() {
        let message = format!(
            "This PaymentIntent's {name} could not be updated because it has a status of {status}. You may only \
             update the {name} of a PaymentIntent with one of the following statuses: requires_payment_method, \
             requires_confirmation, requires_action."
        );
        return Err(unexpected_state(intent, &message));
    }
    if course::invoice_of(tx, intent)?.is_some() || course::session_of(tx, intent)?.is_some() {
        let message = format!(
            "You cannot update the {name} of a PaymentIntent that belongs to an invoice or a Checkout Session."
        );
        return Err(Failure::conflict(message).param(name));
    }
    Ok(())
}

pub fn unexpected_state(intent: &Value, message: &str) -> Failure {
    Failure::conflict(message).code("payment_intent_unexpected_state").about(intent)
}
