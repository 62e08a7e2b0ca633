//! What comes of a payment that is tried: for the shop that asked for it, or for the invoice that it pays.

use serde_json::{Value, json};

use super::unexpected_state;
use crate::checkout;
use crate::failure::{Answer, Failure};
use crate::invoices::{self, collect};
use crate::mandates;
use crate::means::Presence;
use crate::methods;
use crate::params::Params;
use crate::pay;
use crate::payments::{self, Attempt, KIND};
use crate::tx::{Reply, Tx, id_of};

/// How somebody confirms a payment.
pub struct Confirmation {
    presence: Presence,
    return_url: Option<String>,
    /// How the holder of a bank account agreed to the debit.
    acceptance: Value,
    /// Whether a page is there that can ask its visitor.
    has_page: bool,
}

impl Confirmation {
    pub fn by_shop(tx: &Tx, params: &mut Params) -> Answer<Self> {
        let off_session = match params.text("off_session")?.as_deref() {
            None | Some("false") => false,
            Some("true" | "one_off" | "recurring") => true,
            Some(other) => {
                let message = format!("Invalid off_session: {other}");
                return Err(Failure::invalid(message).param("off_session"));
            }
        };
        Ok(Self {
            presence: if off_session { Presence::OffSession } else { Presence::OnSession },
            return_url: params.web_address("return_url")?,
            acceptance: mandates::acceptance(tx, params)?,
            has_page: params.boolean("use_stripe_sdk")? == Some(true),
        })
    }

    pub fn by_page(tx: &Tx, params: &mut Params) -> Answer<Self> {
        let acceptance = mandates::acceptance(tx, params)?;
        let uses_sdk = params.boolean("use_stripe_sdk")? == Some(true);
        let return_url = params.web_address("return_url")?.filter(|_| !uses_sdk);
        Ok(Self {
            presence: Presence::OnSession,
            return_url,
            acceptance: if acceptance.is_null() { mandates::accepted_on_page(tx) } else { acceptance },
            has_page: true,
        })
    }
}

pub fn check_confirmable(tx: &Tx, intent: &Value) -> Answer<()> {
    match intent["status"].as_str() {
        Some("requires_payment_method" | "requires_confirmation" | "requires_action") => {}
        Some("succeeded") => {
            let message = "You cannot confirm this PaymentIntent because it has already succeeded after being \
                           previously confirmed.";
            return Err(unexpected_state(intent, message));
        }
        status => {
            let message = format!(
                "You cannot confirm this PaymentIntent because it has a status of {}. Only a PaymentIntent with \
                 one of the following statuses may be confirmed: requires_confirmation, requires_action.",
                status.unwrap_or_default()
            );
            return Err(unexpected_state(intent, &message));
        }
    }
    if session_of(tx, intent)?.is_some() && invoice_of(tx, intent)?.is_none() {
        let message = "You cannot confirm this PaymentIntent because it was created by Checkout.";
        return Err(Failure::conflict(message).code("payment_intent_unexpected_state"));
    }
    Ok(())
}

pub fn confirm(tx: &Tx, intent: Value, confirmation: Confirmation) -> Answer<Reply> {
    let Some(method) = intent["payment_method"].as_str() else {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment method. You can \
                       either update the PaymentIntent with a payment method and then confirm it again, or \
                       confirm it again directly with a payment method or ConfirmationToken.";
        return Err(unexpected_state(&intent, message));
    };
    let redirects = intent["automatic_payment_methods"]["allow_redirects"] == json!("always");
    if redirects && !confirmation.has_page && confirmation.return_url.is_none() {
        let message = "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. \
                       Because some of these payment methods might redirect your customer off of your page, you \
                       must provide a `return_url`. If you don't want to accept redirect-based payment methods, \
                       set `automatic_payment_methods[enabled]` to `true` and \
                       `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and \
                       Payment Intents.";
        return Err(Failure::invalid(message));
    }
    let method = tx.get(methods::KIND, method)?;
    mandates::ensure(tx, &method, &confirmation.acceptance)?;
    let mut hidden = tx.hidden(KIND, id_of(&intent))?;
    hidden["return_url"] = json!(confirmation.return_url);
    tx.save_hidden(&intent, &hidden)?;
    let attempt = payments::attempt(tx, intent, method, confirmation.presence)?;
    conclude(tx, attempt)
}

/// A person answers the bank's question.
pub fn authenticate(tx: &Tx, id: &str, passed: bool) -> Answer<Reply> {
    let intent = tx.get(KIND, id)?;
    if intent["status"] != json!("requires_action") {
        let status = intent["status"].as_str().unwrap_or_default();
        let message = format!("No card of this PaymentIntent asks for authentication; it is {status}.");
        return Err(Failure::conflict(message));
    }
    match (session_of(tx, &intent)?, invoice_of(tx, &intent)?) {
        (Some(session), None) => pay::authenticate(tx, id_of(&session), passed),
        _ => conclude(tx, payments::authenticate(tx, intent, passed)?),
    }
}

/// Carries out what somebody's try has come to.
pub fn conclude(tx: &Tx, attempt: Attempt) -> Answer<Reply> {
    let id = id_of(attempt.intent()).to_owned();
    let error = match invoice_of(tx, attempt.intent())? {
        Some(invoice) => collect::conclude(tx, invoice, attempt, collect::Asked::ByPayer)?,
        None => conclude_alone(tx, attempt)?,
    };
    Ok(match error {
        Some(error) => Reply { status: 402, body: json!({"error": error}) },
        None => Reply::from(tx.get(KIND, &id)?),
    })
}

fn conclude_alone(tx: &Tx, attempt: Attempt) -> Answer<Option<Value>> {
    match attempt {
        Attempt::Approved { intent, method } => {
            let method = save_if_wanted(tx, &intent, method)?;
            payments::take(tx, intent, &method)?;
            methods::use_up(tx, &method)?;
            Ok(None)
        }
        Attempt::Failed(error) => Ok(Some(error)),
        Attempt::AsksForAuthentication(_) => Ok(None),
    }
}

/// What is to be charged again is kept.
pub fn save_if_wanted(tx: &Tx, intent: &Value, method: Value) -> Answer<Value> {
    if intent["setup_future_usage"].is_null() {
        return Ok(method);
    }
    methods::keep_and_tell(tx, method, &intent["customer"])
}

/// The invoice that an intent pays.
pub fn invoice_of(tx: &Tx, intent: &Value) -> Answer<Option<Value>> {
    invoices::payments::invoice_paid_with(tx, id_of(intent))
}

/// The Checkout Session that made an intent.
pub fn session_of(tx: &Tx, intent: &Value) -> Answer<Option<Value>> {
    match tx.hidden(KIND, id_of(intent))?["session"].as_str() {
        Some(session) => tx.find(checkout::KIND, session),
        None => Ok(None),
    }
}
