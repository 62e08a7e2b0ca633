//! `/`: what this is, and what it did lately.

use std::fmt::Write;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use rusqlite::types::Value as Sql;
use serde_json::Value;

use super::{escaped, money, page};
use crate::Sandbox;
use crate::cards::{CARDS, Card};
use crate::failure::Answer;
use crate::subscriptions;
use crate::tx::{Cause, Tx, id_of};

const RECENT: usize = 30;

/// What people do at Stripe with a browser, for scripts.
const BY_HAND: &str = "<h2>By hand</h2><p>What a shopper or the shop's staff would do in a browser takes JSON \
and no key; a body may be left out.</p>\
<dl><dt><code>POST /_sandbox/checkout/{session}/pay</code></dt>\
<dd><code>{\"card\":\"4242 4242 4242 4242\",\"email\":\"…\"}</code> pays a checkout, or starts its trial.</dd>\
<dt><code>POST /_sandbox/checkout/{session}/authenticate</code></dt>\
<dd><code>{\"outcome\":\"success\"}</code> or <code>\"fail\"</code> answers for the bank, if the card asks.</dd>\
<dt><code>POST /_sandbox/subscriptions/{subscription}/card</code></dt>\
<dd><code>{\"card\":\"4000 0000 0000 0341\"}</code> replaces the card that renewals are charged to; with this one \
they are declined.</dd>\
<dt><code>POST /_sandbox/subscriptions/{subscription}/cancel</code></dt>\
<dd><code>{\"at_period_end\":true}</code> cancels when the period ends, <code>false</code> at once.</dd>\
<dt><code>POST /_sandbox/refunds/{refund}/fail</code></dt>\
<dd>The bank returns a refund: the charge counts it as not refunded.</dd>\
<dt><code>POST /_sandbox/payments/{payment_intent}/dispute</code></dt>\
<dd><code>{\"amount\":499,\"reason\":\"fraudulent\",\"inquiry\":false}</code> disputes a payment, all of it \
unless an amount is given; an inquiry withdraws no funds.</dd>\
<dt><code>POST /_sandbox/disputes/{dispute}/resolve</code></dt>\
<dd><code>{\"outcome\":\"won\"}</code>, <code>\"lost\"</code> or <code>\"prevented\"</code> ends a dispute, \
<code>\"warning_closed\"</code> or <code>\"prevented\"</code> an inquiry; <code>\"escalated\"</code> makes a \
dispute of an inquiry.</dd></dl>";

pub async fn index(State(sandbox): State<Sandbox>) -> Response {
    let tables =
        sandbox.transact(Cause::default(), |tx| Ok((sessions(tx)?, subscription_rows(tx)?, events(tx)?)));
    let (sessions, subscriptions, events) = match tables {
        Ok(tables) => tables,
        Err(failure) => return (StatusCode::INTERNAL_SERVER_ERROR, failure.message).into_response(),
    };
    let target = sandbox.inner.webhook.as_ref().map_or_else(
        || "No webhook endpoint is set; events are only stored.".to_owned(),
        |target| format!("Events go to <code>{}</code>.", escaped(&target.url)),
    );
    let main = format!(
        "<main class=\"wide\"><h1>Stripe sandbox</h1>\
         <p>A local stand-in for Stripe: its API is at <code>/v1</code>, and a checkout's page at its url. \
         {target}</p>{BY_HAND}<h2>Test cards</h2>{}<h2>Checkouts</h2>{sessions}\
         <h2>Subscriptions</h2>{subscriptions}<h2>Events</h2>{events}</main>",
        test_cards(),
    );
    page(StatusCode::OK, "Stripe sandbox", &main, "")
}

fn test_cards() -> String {
    let row = |card: &Card| {
        let (number, name) = (card.spaced(), card.name);
        format!("<tr><td><code>{number}</code></td><td>{}</td><td><code>{name}</code></td></tr>", card.does)
    };
    table(&["Card", "What it does", "As a payment method"], &CARDS.iter().map(row).collect::<String>())
}

fn sessions(tx: &Tx) -> Answer<String> {
    let mut rows = String::new();
    for session in recent(tx, "checkout.session")? {
        let id = escaped(id_of(&session));
        let amount = money(
            session["amount_total"].as_i64().unwrap_or(0),
            session["currency"].as_str().unwrap_or_default(),
        );
        let row = write!(
            rows,
            "<tr><td>{}</td><td><a href=\"/c/pay/{id}\"><code>{id}</code></a></td><td>{}</td><td>{amount}</td></tr>",
            time(&session),
            escaped(session["status"].as_str().unwrap_or_default()),
        );
        row.expect("a String takes whatever is written");
    }
    Ok(table(&["Made", "Checkout", "Status", "Amount"], &rows))
}

fn subscription_rows(tx: &Tx) -> Answer<String> {
    let mut rows = String::new();
    for subscription in recent(tx, subscriptions::KIND)? {
        let end = subscription["items"]["data"][0]["current_period_end"].as_i64().unwrap_or(0);
        let invoice = escaped(subscription["latest_invoice"].as_str().unwrap_or_default());
        let row = write!(
            rows,
            "<tr><td>{}</td><td><code>{}</code></td><td>{}</td><td>{}</td>\
             <td><a href=\"/i/{invoice}\"><code>{invoice}</code></a></td></tr>",
            time(&subscription),
            escaped(id_of(&subscription)),
            escaped(subscription["status"].as_str().unwrap_or_default()),
            shown(end),
        );
        row.expect("a String takes whatever is written");
    }
    Ok(table(&["Made", "Subscription", "Status", "Period ends", "Latest invoice"], &rows))
}

fn events(tx: &Tx) -> Answer<String> {
    let mut rows = String::new();
    for event in recent(tx, "event")? {
        let row = write!(
            rows,
            "<tr><td>{}</td><td>{}</td><td><code>{}</code></td><td><code>{}</code></td><td>{}</td></tr>",
            time(&event),
            escaped(event["type"].as_str().unwrap_or_default()),
            escaped(id_of(&event)),
            escaped(id_of(&event["data"]["object"])),
            escaped(&delivery(tx, id_of(&event))?),
        );
        row.expect("a String takes whatever is written");
    }
    Ok(table(&["Time", "Type", "Event", "Object", "Delivery"], &rows))
}

fn recent(tx: &Tx, kind: &str) -> Answer<Vec<Value>> {
    let mut statement =
        tx.sql.prepare_cached("SELECT shown FROM objects WHERE kind = ?1 ORDER BY seq DESC LIMIT ?2")?;
    let rows = statement.query_map(rusqlite::params![kind, RECENT], |row| row.get::<_, String>(0))?;
    rows.map(|json| Ok(serde_json::from_str(&json?)?)).collect()
}

/// `pending, 2 attempts, HTTP 500`
fn delivery(tx: &Tx, event: &str) -> Answer<String> {
    let mut statement =
        tx.sql.prepare_cached("SELECT state, attempts, outcome FROM deliveries WHERE event = ?1")?;
    let mut rows = statement.query([Sql::Text(event.to_owned())])?;
    let Some(row) = rows.next()? else { return Ok("none".to_owned()) };
    let (state, attempts, outcome): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let attempts = if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
    let parts = [state, attempts, outcome];
    Ok(parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(", "))
}

fn time(object: &Value) -> String {
    shown(object["created"].as_i64().unwrap_or(0))
}

fn shown(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

fn table(columns: &[&str], rows: &str) -> String {
    if rows.is_empty() {
        return "<p class=\"soft\">None yet.</p>".to_owned();
    }
    let head: String = columns.iter().map(|column| format!("<th scope=\"col\">{column}</th>")).collect();
    format!("<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
}
