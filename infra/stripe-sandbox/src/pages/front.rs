//! `/`: what there is, and what happened lately.

mod by_hand;

use std::fmt::Write;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use serde_json::Value;

use super::{escaped, money, page};
use crate::banks::ACCOUNTS;
use crate::cards::CARDS;
use crate::failure::Answer;
use crate::portal::{configurations, sessions};
use crate::server::shopper_reply;
use crate::tx::{Cause, Reply, Tx, id_of};
use crate::{Sandbox, outage, subscriptions};

const RECENT: usize = 30;

pub async fn index(State(sandbox): State<Sandbox>) -> Response {
    let looked = sandbox.transact(Cause::default(), |tx| {
        Ok([outage_now(tx)?, checkouts(tx)?, subscription_rows(tx)?, customers(tx)?, events(tx)?])
    });
    let [outage, checkouts, subscriptions, customers, events] = match looked {
        Ok(parts) => parts,
        Err(failure) => return (StatusCode::INTERNAL_SERVER_ERROR, failure.message).into_response(),
    };
    let target = sandbox.inner.webhook.as_ref().map_or_else(
        || "No webhook endpoint is set.".to_owned(),
        |target| format!("Events go to <code>{}</code>.", escaped(&target.url)),
    );
    let main = format!(
        "<main class=\"wide\"><h1>Stripe sandbox</h1>\
         <p>A local stand-in for Stripe: its API is at <code>/v1</code>. {target}</p>{outage}\
         <details><summary>By hand</summary>{}</details>\
         <details><summary>Test cards and accounts</summary>{}</details>\
         <h2>Checkouts</h2>{checkouts}<h2>Subscriptions</h2>{subscriptions}\
         <h2>Customers</h2>{customers}<h2>Events</h2>{events}</main>",
        by_hand::list(),
        test_means(),
    );
    page(StatusCode::OK, "Stripe sandbox", &main, "")
}

/// `/o/{kind}/{id}`: an object as the API answers it.
pub async fn object(State(sandbox): State<Sandbox>, Path((kind, id)): Path<(String, String)>) -> Response {
    shopper_reply(sandbox.transact(Cause::default(), |tx| tx.get(&kind, &id)).map(Reply::from))
}

/// `POST /_sandbox/customers/{customer}/portal`: into the portal, as a link in the dashboard leads there.
pub async fn enter_portal(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    let entered = sandbox.transact(Cause::default(), |tx| {
        configurations::ensure_default(tx)?;
        sessions::open(tx, &id)
    });
    match entered {
        Ok(session) => Redirect::to(session["url"].as_str().unwrap_or("/")).into_response(),
        Err(failure) => shopper_reply(Err(failure)),
    }
}

fn outage_now(tx: &Tx) -> Answer<String> {
    let outage = outage::state(tx)?;
    if outage["on"] == false {
        return Ok(String::new());
    }
    let until = outage["until"].as_i64().map_or_else(|| "it is ended".to_owned(), shown);
    let meanwhile = match outage["missed"] == true {
        true => "what happens meanwhile is never delivered",
        false => "deliveries fail, and are tried again",
    };
    Ok(format!("<p class=\"alert\">An outage lasts until {until}: {meanwhile}.</p>"))
}

fn test_means() -> String {
    let row = |number: &str, does: &str, name: &str| {
        format!("<tr><td><code>{number}</code></td><td>{does}</td><td><code>{name}</code></td></tr>")
    };
    let cards = CARDS.iter().map(|card| row(&card.spaced(), card.does, card.name));
    let accounts =
        ACCOUNTS.iter().map(|account| row(account.number, account.does, account.name.unwrap_or_default()));
    table(&["Number", "What it does", "As a payment method"], &cards.chain(accounts).collect::<String>())
}

fn checkouts(tx: &Tx) -> Answer<String> {
    let mut rows = String::new();
    for session in recent(tx, "checkout.session")? {
        let amount = money(
            session["amount_total"].as_i64().unwrap_or(0),
            session["currency"].as_str().unwrap_or_default(),
        );
        let till = format!("<a href=\"/c/pay/{0}\"><code>{0}</code></a>", escaped(id_of(&session)));
        let cells = [time(&session), till, word(&session, "status"), amount];
        push(&mut rows, &cells);
    }
    Ok(table(&["Made", "Checkout", "Status", "Amount"], &rows))
}

fn subscription_rows(tx: &Tx) -> Answer<String> {
    let mut rows = String::new();
    for subscription in recent(tx, subscriptions::KIND)? {
        let (_, end) = subscriptions::period_of(&subscription);
        let invoice = escaped(subscription["latest_invoice"].as_str().unwrap_or_default());
        let invoice = format!("<a href=\"/i/{invoice}\"><code>{invoice}</code></a>");
        let cells =
            [time(&subscription), link(&subscription), word(&subscription, "status"), shown(end), invoice];
        push(&mut rows, &cells);
    }
    Ok(table(&["Made", "Subscription", "Status", "Period ends", "Latest invoice"], &rows))
}

fn customers(tx: &Tx) -> Answer<String> {
    let mut rows = String::new();
    for customer in recent(tx, "customer")? {
        let enter = format!(
            "<form method=\"post\" action=\"/_sandbox/customers/{}/portal\">\
             <button type=\"submit\" class=\"quiet small\">Portal</button></form>",
            escaped(id_of(&customer)),
        );
        let (name, enter) = match customer["deleted"] == true {
            true => ("deleted".to_owned(), String::new()),
            false => (word(&customer, "email"), enter),
        };
        push(&mut rows, &[time(&customer), link(&customer), name, enter]);
    }
    Ok(table(&["Made", "Customer", "Email", ""], &rows))
}

fn events(tx: &Tx) -> Answer<String> {
    let mut rows = String::new();
    for event in recent(tx, "event")? {
        let what = format!("<a href=\"/o/event/{}\">{}</a>", word(&event, "id"), word(&event, "type"));
        let delivery = escaped(&delivery(tx, id_of(&event))?);
        push(&mut rows, &[time(&event), what, link(&event["data"]["object"]), delivery]);
    }
    Ok(table(&["Time", "Event", "Object", "Delivery"], &rows))
}

fn recent(tx: &Tx, kind: &str) -> Answer<Vec<Value>> {
    let mut statement =
        tx.sql.prepare_cached("SELECT shown FROM objects WHERE kind = ?1 ORDER BY seq DESC LIMIT ?2")?;
    let rows = statement.query_map(rusqlite::params![kind, RECENT], |row| row.get::<_, String>(0))?;
    rows.map(|json| Ok(serde_json::from_str(&json?)?)).collect()
}

/// `pending, 2 attempts, HTTP 500`, for each endpoint; the one of the options needs no name.
fn delivery(tx: &Tx, event: &str) -> Answer<String> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT endpoint, state, attempts, outcome FROM deliveries WHERE event = ?1 ORDER BY endpoint",
    )?;
    let rows = statement.query_map([event], |row| {
        let attempts = match row.get::<_, i64>(2)? {
            1 => "1 attempt".to_owned(),
            attempts => format!("{attempts} attempts"),
        };
        let parts = [row.get::<_, String>(0)?, row.get(1)?, attempts, row.get(3)?];
        Ok(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "))
    })?;
    let deliveries = rows.collect::<Result<Vec<_>, _>>()?;
    Ok(if deliveries.is_empty() { "none".to_owned() } else { deliveries.join("; ") })
}

fn link(object: &Value) -> String {
    let (kind, id) = (word(object, "object"), word(object, "id"));
    format!("<a href=\"/o/{kind}/{id}\"><code>{id}</code></a>")
}

fn word(object: &Value, name: &str) -> String {
    escaped(object[name].as_str().unwrap_or_default())
}

fn time(object: &Value) -> String {
    object["created"].as_i64().map_or_else(String::new, shown)
}

fn shown(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).map(|time| time.strftime("%F %T").to_string());
    time.unwrap_or_else(|_| seconds.to_string())
}

fn push(rows: &mut String, cells: &[String]) {
    let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
    write!(rows, "<tr>{cells}</tr>").expect("a String takes whatever is written");
}

fn table(columns: &[&str], rows: &str) -> String {
    if rows.is_empty() {
        return "<p class=\"soft\">None yet.</p>".to_owned();
    }
    let head: String = columns.iter().map(|column| format!("<th scope=\"col\">{column}</th>")).collect();
    format!("<div class=\"scrolls\"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>")
}
