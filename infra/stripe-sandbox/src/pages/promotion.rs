//! The field for a promotion code on a checkout's page.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::escaped;
use super::till::{self, Wrong};
use crate::checkout::amounts;
use crate::failure::Answer;
use crate::promotions;
use crate::tx::{Cause, Tx, id_of};
use crate::{Sandbox, form};

/// The code that has been entered.
pub fn applied(tx: &Tx, session: &Value) -> Answer<Option<String>> {
    let id = session["discounts"][0]["promotion_code"].as_str().unwrap_or_default();
    let found = tx.find(promotions::KIND, id)?.unwrap_or_default();
    Ok(found["code"].as_str().map(str::to_owned))
}

/// Nothing where the shop does not ask for codes.
pub fn field(session: &Value, applied: Option<&str>, wrong: &Wrong) -> String {
    if session["allow_promotion_codes"] != json!(true) {
        return String::new();
    }
    let action = format!("/c/pay/{}/promotion", escaped(id_of(session)));
    let Wrong { alert, state } = wrong;
    if let Some(code) = applied {
        let code = escaped(code);
        return format!(
            "<form method=\"post\" action=\"{action}\" class=\"beside\">\
             <p>Promotion code <code>{code}</code> is applied.</p>\
             <input type=\"hidden\" name=\"code\" value=\"\">\
             <button type=\"submit\" class=\"quiet\" aria-label=\"Remove the code {code}\">Remove</button></form>{alert}"
        );
    }
    format!(
        "<form method=\"post\" action=\"{action}\" class=\"beside\">\
         <label for=\"code\">Promotion code</label>\
         <input id=\"code\" name=\"code\" autocomplete=\"off\" autocapitalize=\"characters\" required{state}>\
         <button type=\"submit\" class=\"quiet\">Apply</button></form>{alert}"
    )
}

pub async fn submit(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    let fields = form::parse(&String::from_utf8_lossy(&body));
    let code = fields.get("code").and_then(Value::as_str).unwrap_or_default();
    let entered = sandbox.transact(Cause::default(), |tx| amounts::enter_code(tx, &id, code));
    till::go_on(&sandbox, &id, entered)
}
