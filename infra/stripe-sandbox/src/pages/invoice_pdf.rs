//! `/i/{invoice}/pdf`: an invoice to keep.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::{day, money};
use crate::pdf::{self, Font, HEIGHT, Text};
use crate::tx::Cause;
use crate::{Sandbox, invoices};

const LEFT: i64 = 56;
const RIGHT: i64 = 539;
const TOP: i64 = HEIGHT - 72;
const BOTTOM: i64 = 72;
const SIZE: i64 = 10;
const LINE: i64 = 16;
/// What fits beside an amount.
const CHARACTERS: usize = 62;

pub async fn show(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    let invoice = sandbox.transact(Cause::default(), |tx| tx.get(invoices::KIND, &id));
    let Some(invoice) = invoice.ok().filter(|invoice| invoice["invoice_pdf"].is_string()) else {
        return (StatusCode::NOT_FOUND, "The sandbox knows no finalized invoice at this address.\n")
            .into_response();
    };
    let name = invoice["number"].as_str().unwrap_or("draft");
    let headers = [
        ("content-type", "application/pdf".to_owned()),
        ("content-disposition", format!("inline; filename=\"Invoice-{name}.pdf\"")),
        ("cache-control", "no-store".to_owned()),
    ];
    (headers, pdf::document(&laid_out(&invoice))).into_response()
}

/// Where the next line goes.
struct Sheet {
    pages: Vec<Vec<Text>>,
    y: i64,
}

impl Sheet {
    fn put(&mut self, x: i64, font: Font, size: i64, text: String) {
        let (y, last) = (self.y, self.pages.len() - 1);
        self.pages[last].push(Text { x, y, font, size, text });
    }

    fn feed(&mut self, points: i64) {
        self.y -= points;
        if self.y < BOTTOM {
            self.pages.push(Vec::new());
            self.y = TOP;
        }
    }

    fn line(&mut self, font: Font, text: String) {
        self.put(LEFT, font, SIZE, text);
        self.feed(LINE);
    }

    /// Words on the left and an amount that ends at the right.
    fn row(&mut self, font: Font, words: &str, amount: String) {
        let width = i64::try_from(amount.chars().count()).unwrap_or(0) * SIZE * 6 / 10;
        self.put(RIGHT - width, Font::Fixed, SIZE, amount);
        for part in wrapped(words) {
            self.line(font, part);
        }
    }
}

fn laid_out(invoice: &Value) -> Vec<Vec<Text>> {
    let text = |name: &str| invoice[name].as_str().unwrap_or_default();
    let amount = |amount: &Value| money(amount.as_i64().unwrap_or(0), text("currency"));
    let mut sheet = Sheet { pages: vec![Vec::new()], y: TOP };
    sheet.put(LEFT, Font::Bold, 20, "Invoice".to_owned());
    sheet.feed(2 * LINE);
    sheet.line(Font::Bold, format!("Invoice number {}", text("number")));
    sheet.line(Font::Plain, format!("Date of issue {}", day(&invoice["effective_at"])));
    sheet.line(Font::Plain, format!("From {}", text("account_name")));
    let customer = [text("customer_name"), text("customer_email"), text("customer")];
    let billed: Vec<&str> = customer.into_iter().filter(|it| !it.is_empty()).collect();
    sheet.line(Font::Plain, format!("Bill to {}", billed.join(", ")));
    sheet.feed(LINE);
    for line in invoice["lines"]["data"].as_array().into_iter().flatten() {
        sheet.row(Font::Plain, line["description"].as_str().unwrap_or("Item"), amount(&line["amount"]));
        let period = &line["period"];
        sheet.line(Font::Plain, format!("{} – {}", day(&period["start"]), day(&period["end"])));
        sheet.feed(LINE / 2);
    }
    sheet.feed(LINE);
    sheet.row(Font::Plain, "Subtotal", amount(&invoice["subtotal"]));
    for (words, sum) in
        [("Discount", -sum(&invoice["total_discount_amounts"])), ("Tax", sum(&invoice["total_taxes"]))]
    {
        if sum != 0 {
            sheet.row(Font::Plain, words, money(sum, text("currency")));
        }
    }
    sheet.row(Font::Bold, "Total", amount(&invoice["total"]));
    for (words, field) in [
        ("Amount due", "amount_due"),
        ("Amount paid", "amount_paid"),
        ("Amount remaining", "amount_remaining"),
    ] {
        sheet.row(Font::Plain, words, amount(&invoice[field]));
    }
    sheet.pages
}

pub fn sum(amounts: &Value) -> i64 {
    amounts.as_array().into_iter().flatten().filter_map(|it| it["amount"].as_i64()).sum()
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].chars().count() + word.chars().count() < CHARACTERS || lines[last].is_empty() {
            let gap = if lines[last].is_empty() { "" } else { " " };
            lines[last] += &format!("{gap}{word}");
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
