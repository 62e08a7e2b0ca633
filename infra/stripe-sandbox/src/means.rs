//! What a payment method is in test mode: one of the cards or bank accounts that the sandbox knows, which
//! decides what comes of charging it.

use serde_json::Value;

use crate::banks::{self, Account, Scheme};
use crate::cards::{self, Aftermath, Asks, Card};
use crate::failure::{Answer, Failure};
use crate::methods;
use crate::params::Params;
use crate::tx::Tx;

#[derive(Clone, Copy)]
pub enum Means {
    Card(&'static Card),
    Account(&'static Account),
}

/// Whether the payer is there to be asked.
#[derive(Clone, Copy, PartialEq)]
pub enum Presence {
    OnSession,
    /// Charged in the payer's absence: a card that would ask is declined.
    OffSession,
    /// Charged for an invoice, which can wait until the payer answers.
    Billed,
}

/// What a payment method is, or a charge's details of it.
pub fn of(method: &Value) -> Answer<Means> {
    match Scheme::named(method["type"].as_str().unwrap_or_default()) {
        Some(_) => banks::of(method).map(Means::Account),
        None => cards::of(method).map(Means::Card),
    }
}

/// Stripe's test names: `pm_card_visa`, `pm_usBankAccount_success`.
pub fn named(name: &str) -> Option<Means> {
    cards::named(name).map(Means::Card).or_else(|| banks::named(name).map(Means::Account))
}

/// Why charging it for an invoice would not go through, as far as is known before the attempt.
pub fn refusal(tx: &Tx, method: &Value) -> Answer<Option<Failure>> {
    let Means::Card(card) = of(method)? else { return Ok(None) };
    if asks(tx, card, method, Presence::Billed)? {
        let message = "Payment for this subscription requires additional user action before it can be \
                       completed successfully. Payment can be completed using the PaymentIntent associated \
                       with `subscription.latest_invoice`.";
        return Ok(Some(Failure::card(message, "subscription_payment_intent_requires_action")));
    }
    Ok(card.refusal())
}

pub fn asks(tx: &Tx, card: &Card, method: &Value, presence: Presence) -> Answer<bool> {
    Ok(match (card.asks, presence) {
        (Asks::Never, _) | (Asks::OnSession, Presence::OffSession | Presence::Billed) => false,
        (Asks::UnlessSetUp, Presence::OffSession | Presence::Billed) => !methods::is_set_up(tx, method)?,
        _ => true,
    })
}

impl Means {
    pub fn method_type(self) -> &'static str {
        match self {
            Self::Card(_) => "card",
            Self::Account(account) => account.scheme.method_type(),
        }
    }

    pub fn aftermath(self) -> Aftermath {
        match self {
            Self::Card(card) => card.aftermath,
            Self::Account(account) => account.aftermath,
        }
    }
}

pub const ALLOWED: &str = "allowed_payment_method_types";
pub const LISTED: &str = "payment_method_types";

/// The types that a shop names: by the parameter that is a fixed list, or by the one since 2026 that only narrows
/// what Stripe would choose, and leaves out what does not fit.
pub fn offered(params: &mut Params, currency: &str) -> Answer<Option<Vec<String>>> {
    if params.has(ALLOWED) && params.has(LISTED) {
        return Err(Failure::one_of(&[ALLOWED, LISTED]));
    }
    if let Some(types) = params.texts(LISTED)?.filter(|types| !types.is_empty()) {
        check_types(&types, currency, LISTED)?;
        return Ok(Some(types));
    }
    let Some(types) = params.texts(ALLOWED)?.filter(|types| !types.is_empty()) else { return Ok(None) };
    check_types(&types, "", ALLOWED)?;
    let fits = |name: &String| check_types(std::slice::from_ref(name), currency, ALLOWED).is_ok();
    let fitting: Vec<String> = types.into_iter().filter(fits).collect();
    if fitting.is_empty() {
        let message = format!("None of the payment method types allowed can be paid with in {currency}.");
        return Err(Failure::invalid(message).param(ALLOWED));
    }
    Ok(Some(fitting))
}

/// Payment method types as a shop names them, in a currency that all of them take.
pub fn check_types(types: &[String], currency: &str, param: &str) -> Answer<()> {
    for name in types {
        match (name.as_str(), Scheme::named(name)) {
            (_, Some(scheme)) if !currency.is_empty() && scheme.currency() != currency => {
                let message = format!(
                    "The currency provided ({currency}) is invalid for one or more of the payment method types \
                     ({name}). It takes {} only.",
                    scheme.currency()
                );
                return Err(Failure::invalid(message).param(param));
            }
            (_, Some(_)) | ("card" | "link", None) => {}
            _ => {
                let message =
                    format!("The Stripe sandbox does not support the payment method type `{name}`.");
                return Err(Failure::invalid(message).param(param));
            }
        }
    }
    Ok(())
}

/// What a shop offers that names no types. Nobody here has a Link account, but Stripe lists it.
pub const AUTOMATIC: [&str; 2] = ["card", "link"];

/// What an invoice may be paid with: bank debits too.
pub fn types_of_invoices(currency: &str) -> Vec<&'static str> {
    let banks = Scheme::ALL.into_iter().filter(|scheme| scheme.currency() == currency);
    AUTOMATIC.into_iter().chain(banks.map(Scheme::method_type)).collect()
}
