//! The field for a shopper's country on a checkout's page.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::Value;

use super::escaped;
use super::till::{self, Wrong};
use crate::checkout::address;
use crate::tx::{Cause, id_of};
use crate::{Sandbox, form};

const COUNTRIES: [(&str, &str); 6] = [
    ("US", "United States"),
    ("DE", "Germany"),
    ("FR", "France"),
    ("GB", "United Kingdom"),
    ("NL", "Netherlands"),
    ("ES", "Spain"),
];

/// Nothing where the shop does not ask for an address.
pub fn field(session: &Value, wrong: &Wrong) -> String {
    if !address::is_asked(session) {
        return String::new();
    }
    let known = address::country(session);
    let elsewhere = known.filter(|code| COUNTRIES.iter().all(|(other, _)| other != code));
    let listed = elsewhere.map(|code| (code, code)).into_iter().chain(COUNTRIES);
    let options: String = listed
        .map(|(code, name)| {
            let chosen = if known == Some(code) { " selected" } else { "" };
            format!("<option value=\"{0}\"{chosen}>{1}</option>", escaped(code), escaped(name))
        })
        .collect();
    let Wrong { alert, state } = wrong;
    format!(
        "<form method=\"post\" action=\"/c/pay/{}/address\" class=\"beside\">\
         <label for=\"country\">Billing country</label>\
         <select id=\"country\" name=\"country\" autocomplete=\"off\"{state}>{options}</select>\
         <button type=\"submit\" class=\"quiet\">Use</button></form>{alert}",
        escaped(id_of(session))
    )
}

pub async fn submit(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    let fields = form::parse(&String::from_utf8_lossy(&body));
    let country = fields.get("country").and_then(Value::as_str).unwrap_or_default();
    let entered = sandbox.transact(Cause::default(), |tx| address::enter(tx, &id, country));
    till::go_on(&sandbox, &id, entered)
}
