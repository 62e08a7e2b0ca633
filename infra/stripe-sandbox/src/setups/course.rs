//! What comes of saving a payment method: it is saved, its bank asks for its holder, or it is refused.

use serde_json::{Value, json};

use super::{KIND, unexpected_state};
use crate::cards::Asks;
use crate::checkout;
use crate::failure::{Answer, Failure, doc_url};
use crate::mandates;
use crate::means::{self, Means};
use crate::methods;
use crate::params::Params;
use crate::pay;
use crate::payments;
use crate::subscriptions;
use crate::tx::{Reply, Tx, id_of};

/// How somebody confirms that a method is saved.
pub struct Confirmation {
    return_url: Option<String>,
    acceptance: Value,
    has_page: bool,
}

/// What has become of it.
pub enum Try {
    Done(Value),
    AsksForAuthentication(Value),
    /// Stripe's `error` object.
    Failed(Value),
}

impl Confirmation {
    pub fn by_shop(tx: &Tx, params: &mut Params) -> Answer<Self> {
        Ok(Self {
            return_url: params.web_address("return_url")?,
            acceptance: mandates::acceptance(tx, params)?,
            has_page: params.boolean("use_stripe_sdk")? == Some(true),
        })
    }

    pub fn by_page(tx: &Tx, params: &mut Params) -> Answer<Self> {
        let mut confirmation = Self::by_shop(tx, params)?;
        if confirmation.acceptance.is_null() {
            confirmation.acceptance = mandates::accepted_on_page(tx);
        }
        if confirmation.has_page {
            confirmation.return_url = None;
        }
        Ok(Self { has_page: true, ..confirmation })
    }
}

pub fn confirm(tx: &Tx, intent: Value, confirmation: Confirmation) -> Answer<Reply> {
    let Some(method) = intent["payment_method"].as_str() else {
        let message = "You cannot confirm this SetupIntent because it's missing a payment method. Update the \
                       SetupIntent with a payment method and then confirm it again.";
        return Err(unexpected_state(&intent, message));
    };
    let redirects = intent["automatic_payment_methods"]["allow_redirects"] == json!("always");
    if redirects && !confirmation.has_page && confirmation.return_url.is_none() {
        let message = "This SetupIntent is configured to accept payment methods enabled in your Dashboard. \
                       Because some of these payment methods might redirect your customer off of your page, you \
                       must provide a `return_url`, or set `automatic_payment_methods[allow_redirects]` to \
                       `never` when creating it.";
        return Err(Failure::invalid(message));
    }
    let method = tx.get(methods::KIND, method)?;
    mandates::ensure(tx, &method, &confirmation.acceptance)?;
    let mut hidden = tx.hidden(KIND, id_of(&intent))?;
    hidden["return_url"] = json!(confirmation.return_url);
    tx.save_hidden(&intent, &hidden)?;
    Ok(reply(attempt(tx, intent, method)?))
}

/// A person answers the bank's question.
pub fn authenticate(tx: &Tx, id: &str, passed: bool) -> Answer<Reply> {
    let intent = tx.get(KIND, id)?;
    check_asks(&intent)?;
    match session_of(tx, &intent)? {
        Some(session) => pay::authenticate(tx, id_of(&session), passed),
        None => answer(tx, intent, passed).map(reply),
    }
}

fn check_asks(intent: &Value) -> Answer<()> {
    if intent["status"] == json!("requires_action") {
        return Ok(());
    }
    let status = intent["status"].as_str().unwrap_or_default();
    let message = format!("No card of this SetupIntent asks for authentication; it is {status}.");
    Err(Failure::conflict(message))
}

fn reply(tried: Try) -> Reply {
    match tried {
        Try::Done(intent) | Try::AsksForAuthentication(intent) => Reply::from(intent),
        Try::Failed(error) => Reply { status: 402, body: json!({"error": error}) },
    }
}

pub fn attempt(tx: &Tx, intent: Value, method: Value) -> Answer<Try> {
    let Means::Card(card) = means::of(&method)? else { return succeed(tx, intent, method).map(Try::Done) };
    if let Some(decline) = card.decline.filter(|_| !card.can_be_saved) {
        let error = json!({
            "type": "card_error",
            "code": decline.code,
            "decline_code": decline.decline_code,
            "doc_url": doc_url(decline.code),
            "message": decline.message,
            "payment_method": method,
        });
        return fail(tx, intent, error).map(Try::Failed);
    }
    match card.asks {
        Asks::UnlessSetUp | Asks::Always => ask(tx, intent, &method).map(Try::AsksForAuthentication),
        Asks::Never | Asks::OnSession => succeed(tx, intent, method).map(Try::Done),
    }
}

pub fn answer(tx: &Tx, mut intent: Value, passed: bool) -> Answer<Try> {
    let method = tx.get(methods::KIND, intent["payment_method"].as_str().unwrap_or_default())?;
    intent["next_action"] = Value::Null;
    if passed {
        return succeed(tx, intent, method).map(Try::Done);
    }
    let code = "setup_intent_authentication_failure";
    let error = json!({
        "type": "invalid_request_error",
        "code": code,
        "doc_url": doc_url(code),
        "message": "The latest attempt to set up the payment method has failed because authentication failed.",
        "payment_method": method,
    });
    fail(tx, intent, error).map(Try::Failed)
}

/// It is saved, to be charged in its holder's absence too.
pub fn succeed(tx: &Tx, mut intent: Value, method: Value) -> Answer<Value> {
    methods::set_up(tx, &method)?;
    let method = methods::keep_and_tell(tx, method, &intent["customer"])?;
    intent["last_setup_error"] = Value::Null;
    intent["mandate"] = json!(mandates::of(tx, &method)?);
    intent["next_action"] = Value::Null;
    intent["payment_method"] = method["id"].clone();
    intent["status"] = json!("succeeded");
    tx.save(&intent)?;
    tx.emit("setup_intent.succeeded", &intent)?;
    subscriptions::saving::done(tx, &intent)?;
    Ok(intent)
}

fn ask(tx: &Tx, mut intent: Value, method: &Value) -> Answer<Value> {
    intent["payment_method"] = method["id"].clone();
    intent["status"] = json!("requires_action");
    let return_url = tx.hidden(KIND, id_of(&intent))?["return_url"].take();
    intent["next_action"] = payments::next_action(tx, &intent, &return_url);
    tx.save(&intent)?;
    tx.emit("setup_intent.requires_action", &intent)?;
    Ok(intent)
}

/// The answer's error also names the intent; the intent's own copy of it does not.
fn fail(tx: &Tx, mut intent: Value, mut error: Value) -> Answer<Value> {
    intent["last_setup_error"] = error.clone();
    intent["next_action"] = Value::Null;
    intent["payment_method"] = Value::Null;
    intent["status"] = json!("requires_payment_method");
    tx.save(&intent)?;
    tx.emit("setup_intent.setup_failed", &intent)?;
    error["setup_intent"] = intent;
    Ok(error)
}

/// The Checkout Session that made an intent.
pub fn session_of(tx: &Tx, intent: &Value) -> Answer<Option<Value>> {
    match tx.hidden(KIND, id_of(intent))?["session"].as_str() {
        Some(session) => tx.find(checkout::KIND, session),
        None => Ok(None),
    }
}
