//! `/r/{charge}`: what was paid, and what was given back of it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::{day, escaped, money, page};
use crate::tx::Cause;
use crate::{Sandbox, charges};

pub async fn show(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    let charge = sandbox.transact(Cause::default(), |tx| tx.get(charges::KIND, &id));
    match charge.ok().filter(|charge| charge["receipt_url"].is_string()) {
        Some(charge) => page(StatusCode::OK, "Receipt", &document(&charge), ""),
        None => {
            let main =
                "<main><h1>No such receipt</h1><p>The sandbox knows no payment at this address.</p></main>";
            page(StatusCode::NOT_FOUND, "No such receipt", main, "")
        }
    }
}

fn document(charge: &Value) -> String {
    let amount = |amount: i64| money(amount, charge["currency"].as_str().unwrap_or_default());
    let details = &charge["payment_method_details"];
    let mut main = format!(
        "<main><h1>Receipt</h1><p>{} paid on {} by {} •••• {}.</p>",
        amount(charges::amount_of(charge)),
        day(&charge["created"]),
        if details["type"] == json!("card") { "card" } else { "bank debit" },
        escaped(details[details["type"].as_str().unwrap_or_default()]["last4"].as_str().unwrap_or_default()),
    );
    if charges::amount_refunded(charge) > 0 {
        main += &format!("<p>{} given back.</p>", amount(charges::amount_refunded(charge)));
    }
    main + "</main>"
}
