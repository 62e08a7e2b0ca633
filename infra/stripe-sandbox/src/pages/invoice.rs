//! `/i/{invoice}`: an invoice to look at, and to pay while it is open.

use std::fmt::Write;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::invoice_pdf::sum;
use super::till::SCRIPT;
use super::{day, debit, escaped, money, page};
use crate::failure::Failure;
use crate::pay::Payment;
use crate::tx::{Cause, id_of};
use crate::{Sandbox, invoices};

/// An invoice, and the intent that pays it.
struct Bill {
    invoice: Value,
    intent: Value,
}

pub async fn show(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    render(&sandbox, &id, None)
}

/// The customer pressed Pay.
pub async fn submit(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    let payment = Payment::from_form(&String::from_utf8_lossy(&body));
    match sandbox.transact(Cause::default(), |tx| invoices::pay_by_hand(tx, &id, &payment)) {
        Ok(reply) => {
            let asked = reply.body["next_action"]["redirect_to_url"]["url"].as_str();
            Redirect::to(asked.unwrap_or(&format!("/i/{id}"))).into_response()
        }
        Err(failure) => render(&sandbox, &id, Some(&failure)),
    }
}

fn render(sandbox: &Sandbox, id: &str, failure: Option<&Failure>) -> Response {
    let bill = sandbox.transact(Cause::default(), |tx| {
        let invoice = tx.get(invoices::KIND, id)?;
        let intent = invoices::payments::open_intent_of(tx, &invoice)?.unwrap_or_default();
        Ok(Bill { invoice, intent })
    });
    match bill {
        Ok(bill) => {
            let main = format!(
                "<main class=\"portal\">{}{}</main>",
                document(&bill.invoice),
                payment(&bill, failure)
            );
            let status = failure.and_then(|failure| StatusCode::from_u16(failure.status).ok());
            page(status.unwrap_or(StatusCode::OK), "Invoice", &main, SCRIPT)
        }
        Err(_) => {
            let main =
                "<main><h1>No such invoice</h1><p>The sandbox knows no invoice at this address.</p></main>";
            page(StatusCode::NOT_FOUND, "No such invoice", main, "")
        }
    }
}

/// How what is still owed can be paid.
fn payment(bill: &Bill, failure: Option<&Failure>) -> String {
    let pdf = match bill.invoice["invoice_pdf"].as_str() {
        Some(url) => format!("<p><a href=\"{}\">Download as PDF</a></p>", escaped(url)),
        None => String::new(),
    };
    let message = failure.map(|failure| failure.message.as_str());
    if bill.invoice["status"] != json!("open") {
        return pdf + &alert(message);
    }
    let id = escaped(id_of(&bill.invoice));
    match bill.intent["status"].as_str() {
        Some("processing") => {
            return format!(
                "{pdf}<p class=\"notice\">The bank is asked for the money, and answers in some days.</p>"
            );
        }
        Some("requires_action") => {
            let url = escaped(&format!("/3ds/{}", id_of(&bill.intent)));
            return format!("{pdf}<a class=\"button\" href=\"{url}\">Your bank asks for you</a>");
        }
        _ => {}
    }
    let alert = alert(message.or(bill.intent["last_payment_error"]["message"].as_str()));
    let currency = bill.invoice["currency"].as_str().unwrap_or_default();
    let press = format!("Pay {}", money(bill.invoice["amount_remaining"].as_i64().unwrap_or(0), currency));
    format!(
        "{pdf}{alert}<form method=\"post\" action=\"/i/{id}\"><label for=\"card\">Card number</label>\
         <input id=\"card\" name=\"card\" value=\"4242 4242 4242 4242\" inputmode=\"numeric\" \
         autocomplete=\"off\" required><button type=\"submit\">{press}</button></form>{}",
        debit::forms(&bill.intent["payment_method_types"], &format!("/i/{id}"), &press),
    )
}

fn alert(message: Option<&str>) -> String {
    message.map_or_else(String::new, |message| {
        format!("<p class=\"alert\" role=\"alert\">{}</p>", escaped(message))
    })
}

fn document(invoice: &Value) -> String {
    let amount = |amount: &Value| {
        money(amount.as_i64().unwrap_or(0), invoice["currency"].as_str().unwrap_or_default())
    };
    let mut rows = String::new();
    for line in invoice["lines"]["data"].as_array().into_iter().flatten() {
        let row = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td><span class=\"date\">{}</span> to \
             <span class=\"date\">{}</span></td><td class=\"amount\">{}</td></tr>",
            escaped(line["description"].as_str().unwrap_or("Item")),
            day(&line["period"]["start"]),
            day(&line["period"]["end"]),
            amount(&line["amount"]),
        );
        row.expect("a String takes whatever is written");
    }
    let mut sums = String::new();
    for (words, sum) in
        [("Discount", -sum(&invoice["total_discount_amounts"])), ("Tax", sum(&invoice["total_taxes"]))]
    {
        if sum != 0 {
            sums += &total(words, &amount(&json!(sum)));
        }
    }
    for (words, field) in [("Total", "total"), ("Paid", "amount_paid"), ("Still due", "amount_remaining")] {
        sums += &total(words, &amount(&invoice[field]));
    }
    let billed_to = invoice["customer_email"].as_str().or(invoice["customer"].as_str()).unwrap_or_default();
    format!(
        "<h1>Invoice {}</h1><p>For {}, made on {}, {}.</p>\
         <table><thead><tr><th scope=\"col\">Item</th><th scope=\"col\">Period</th>\
         <th scope=\"col\" class=\"amount\">Amount</th></tr></thead><tbody>{rows}</tbody><tfoot>{sums}</tfoot></table>",
        escaped(invoice["number"].as_str().unwrap_or("(draft)")),
        escaped(billed_to),
        day(&invoice["created"]),
        escaped(invoice["status"].as_str().unwrap_or_default()),
    )
}

fn total(words: &str, amount: &str) -> String {
    format!("<tr><th scope=\"row\" colspan=\"2\">{words}</th><td class=\"amount\">{amount}</td></tr>")
}
