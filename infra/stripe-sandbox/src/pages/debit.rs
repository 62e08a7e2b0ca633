//! The forms in which a bank account is given instead of a card.

use serde_json::Value;

use super::escaped;
use crate::banks::{Account, Scheme, of_scheme};
use crate::periods::DAY;

/// One for each kind of bank debit among these types of payment methods; `action` is the page that takes it.
pub fn forms(types: &Value, action: &str, press: &str) -> String {
    let listed = |scheme: &Scheme| {
        types.as_array().is_some_and(|types| types.iter().any(|it| it.as_str() == Some(scheme.method_type())))
    };
    Scheme::ALL.into_iter().filter(listed).map(|scheme| form(scheme, action, press)).collect()
}

fn form(scheme: Scheme, action: &str, press: &str) -> String {
    let (name, title, label) = match scheme {
        Scheme::Sepa => ("iban", "SEPA Direct Debit", "IBAN"),
        Scheme::Ach => ("account", "ACH Direct Debit", "Account number"),
    };
    let accounts: String = of_scheme(scheme).map(option).collect();
    format!(
        "<details><summary>Pay by {title}</summary><form method=\"post\" action=\"{}\">\
         <label for=\"{name}\">{label}</label>\
         <select id=\"{name}\" name=\"{name}\">{accounts}</select>\
         <p class=\"soft\">By this you agree that your bank is debited; it answers in {} days.</p>\
         <button type=\"submit\" class=\"quiet\">{}</button></form></details>",
        escaped(action),
        scheme.settles_after() / DAY,
        escaped(press),
    )
}

fn option(account: &Account) -> String {
    let number = escaped(account.number);
    format!("<option value=\"{number}\">{number} ({})</option>", escaped(account.does))
}
