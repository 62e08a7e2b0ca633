//! The hosted payment page, invoices and receipts, and the sandbox's own front page. Plain forms: a page shows what
//! the stored session says, so that reloading it is always right.

pub mod address;
pub mod authentication;
mod debit;
mod front;
pub mod invoice;
pub mod invoice_pdf;
pub mod portal;
pub mod promotion;
mod receipt;
mod till;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::Value;

pub use front::{enter_portal, index, object};
pub use receipt::show as receipt;
pub use till::{authenticate, show, submit};

const STYLE: &str = include_str!("pages/style.css");
/// Nothing from elsewhere, and no frames. `form-action` is left open: Chromium applies it to redirects too.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
     base-uri 'none'; frame-ancestors 'none'";

/// `main` and `script` are markup; `title` is text.
fn page(status: StatusCode, title: &str, main: &str, script: &str) -> Response {
    let title = escaped(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body>\
         <p class=\"badge\" role=\"note\">Stripe sandbox on this machine: no real money moves.</p>\n\
         {main}\n<script>{script}</script></body></html>\n"
    );
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ];
    (status, headers, html).into_response()
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// `4.99 EUR`; some currencies have no minor unit.
pub fn money(minor: i64, currency: &str) -> String {
    const WHOLE: [&str; 16] = [
        "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf",
        "xof", "xpf",
    ];
    let code = currency.to_ascii_uppercase();
    if WHOLE.contains(&currency) {
        return format!("{minor} {code}");
    }
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}{}.{:02} {code}", minor / 100, minor % 100)
}

fn day(seconds: &Value) -> String {
    let seconds = seconds.as_i64().unwrap_or(0);
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.strftime("%F").to_string())
}

#[cfg(test)]
mod tests {
    use super::{escaped, money};

    #[test]
    fn money_is_shown_in_major_units() {
        assert_eq!(money(3_999, "eur"), "39.99 EUR");
        assert_eq!(money(5, "usd"), "0.05 USD");
        assert_eq!(money(-5, "usd"), "-0.05 USD");
        assert_eq!(money(500, "jpy"), "500 JPY");
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<b a='\"'>&"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
    }
}
