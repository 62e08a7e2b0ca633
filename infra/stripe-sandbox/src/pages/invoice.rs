//! `/i/{invoice}`: an invoice to look at; it stands in for Stripe's page and for its PDF.

use std::fmt::Write;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::{day, escaped, money, page};
use crate::tx::Cause;
use crate::{Sandbox, invoices};

pub async fn show(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    match sandbox.transact(Cause::default(), |tx| tx.get(invoices::KIND, &id)) {
        Ok(invoice) => page(StatusCode::OK, "Invoice", &document(&invoice), ""),
        Err(_) => {
            let main =
                "<main><h1>No such invoice</h1><p>The sandbox knows no invoice at this address.</p></main>";
            page(StatusCode::NOT_FOUND, "No such invoice", main, "")
        }
    }
}

fn document(invoice: &Value) -> String {
    let amount = |amount: &Value| {
        money(amount.as_i64().unwrap_or(0), invoice["currency"].as_str().unwrap_or_default())
    };
    let mut rows = String::new();
    for line in invoice["lines"]["data"].as_array().into_iter().flatten() {
        let row = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{} to {}</td><td class=\"amount\">{}</td></tr>",
            escaped(line["description"].as_str().unwrap_or("Item")),
            day(&line["period"]["start"]),
            day(&line["period"]["end"]),
            amount(&line["amount"]),
        );
        row.expect("a String takes whatever is written");
    }
    let billed_to = invoice["customer_email"].as_str().or(invoice["customer"].as_str()).unwrap_or_default();
    format!(
        "<main class=\"wide\"><h1>Invoice {}</h1><p>For {}, made on {}, {}.</p>\
         <table><thead><tr><th scope=\"col\">Item</th><th scope=\"col\">Period</th>\
         <th scope=\"col\" class=\"amount\">Amount</th></tr></thead><tbody>{rows}</tbody><tfoot>\
         <tr><th scope=\"row\" colspan=\"2\">Total</th><td class=\"amount\">{}</td></tr>\
         <tr><th scope=\"row\" colspan=\"2\">Paid</th><td class=\"amount\">{}</td></tr>\
         <tr><th scope=\"row\" colspan=\"2\">Still due</th><td class=\"amount\">{}</td></tr>\
         </tfoot></table></main>",
        escaped(invoice["number"].as_str().unwrap_or("(draft)")),
        escaped(billed_to),
        day(&invoice["created"]),
        escaped(invoice["status"].as_str().unwrap_or_default()),
        amount(&invoice["total"]),
        amount(&invoice["amount_paid"]),
        amount(&invoice["amount_remaining"]),
    )
}
