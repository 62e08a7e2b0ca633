//! The field for a promotion code on a checkout's page.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::{escaped, till};
use crate::checkout::amounts;
use crate::tx::{Cause, id_of};
use crate::{Sandbox, form};

/// Nothing where the shop does not ask for codes.
pub fn field(session: &Value) -> String {
    if session["allow_promotion_codes"] != json!(true) {
        return String::new();
    }
    let id = escaped(id_of(session));
    let applied = match session["discounts"].as_array() {
        Some(discounts) if !discounts.is_empty() => {
            "<p>A promotion code is applied. An empty one takes it back.</p>"
        }
        _ => "",
    };
    format!(
        "<form method=\"post\" action=\"/c/pay/{id}/promotion\">{applied}\
         <label for=\"code\">Promotion code</label>\
         <input id=\"code\" name=\"code\" autocomplete=\"off\" autocapitalize=\"characters\">\
         <button type=\"submit\" class=\"quiet\">Apply</button></form>"
    )
}

pub async fn submit(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    let fields = form::parse(&String::from_utf8_lossy(&body));
    let code = fields.get("code").and_then(Value::as_str).unwrap_or_default();
    let entered = sandbox.transact(Cause::default(), |tx| amounts::enter_code(tx, &id, code));
    till::go_on(&sandbox, &id, entered)
}
