//! `/c/pay/{session}`: where a shopper pays.

use std::fmt::Write;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::{address, debit, escaped, money, page, promotion};
use crate::failure::{Answer, Failure};
use crate::invoices::lines;
use crate::tx::{Cause, Reply, Tx, id_of};
use crate::{Sandbox, cards, checkout, form, pay, payments, setups, subscriptions};

pub const SCRIPT: &str = include_str!("till.js");

/// What the page is made from.
struct Till {
    session: Value,
    intent: Value,
    items: Vec<Value>,
    trial_days: Option<i64>,
    /// The promotion code that was entered.
    code: Option<String>,
    /// A card that is only saved asks for authentication.
    card_asks: bool,
}

pub async fn show(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    render(&sandbox, &id, None)
}

/// The shopper pressed Pay.
pub async fn submit(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    let payment = pay::Payment::from_form(&String::from_utf8_lossy(&body));
    let paid = sandbox.transact(Cause::default(), |tx| pay::pay(tx, &id, &payment));
    go_on(&sandbox, &id, paid)
}

pub async fn authenticate(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    let fields = form::parse(&String::from_utf8_lossy(&body));
    let passed = fields.get("outcome") == Some(&json!("success"));
    let done = sandbox.transact(Cause::default(), |tx| pay::authenticate(tx, &id, passed));
    go_on(&sandbox, &id, done)
}

/// To the shop when paid; otherwise back to the page, which knows what happened.
pub fn go_on(sandbox: &Sandbox, id: &str, reply: Answer<Reply>) -> Response {
    match reply {
        Ok(reply) => match reply.body["redirect"].as_str() {
            Some(url) => Redirect::to(url).into_response(),
            None => Redirect::to(&format!("/c/pay/{id}")).into_response(),
        },
        Err(failure) => render(sandbox, id, Some(&failure)),
    }
}

fn render(sandbox: &Sandbox, id: &str, failure: Option<&Failure>) -> Response {
    match sandbox.transact(Cause::default(), |tx| till(tx, id)) {
        Err(_) => {
            let main =
                "<main><h1>No such checkout</h1><p>The sandbox knows no checkout at this address.</p></main>";
            page(StatusCode::NOT_FOUND, "No such checkout", main, "")
        }
        Ok(till) => match till.session["status"].as_str() {
            Some("complete") => complete(&till),
            Some("expired") => expired(&till),
            _ if till.card_asks || till.intent["status"] == json!("requires_action") => authentication(&till),
            _ => payment(&till, failure),
        },
    }
}

fn till(tx: &Tx, id: &str) -> Answer<Till> {
    let session = tx.get(checkout::KIND, id)?;
    let intent = match checkout::intent_id(tx, &session)? {
        Some(intent) => tx.get(payments::KIND, &intent)?,
        None => Value::Null,
    };
    let setup =
        tx.find(setups::KIND, session["setup_intent"].as_str().unwrap_or_default())?.unwrap_or_default();
    let card_asks = match checkout::is_setup(&session) {
        true => setup["status"] == json!("requires_action"),
        false => pay::card_to_authenticate(tx, &session)?.is_some(),
    };
    let intent = if checkout::is_setup(&session) { setup } else { intent };
    let mut hidden = tx.hidden(checkout::KIND, id)?;
    let items = match hidden["line_items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    let trial_days = subscriptions::trials::days_from_now(tx, &hidden["subscription_data"]["trial"]);
    let code = promotion::applied(tx, &session)?;
    Ok(Till { session, intent, items, trial_days, code, card_asks })
}

fn payment(till: &Till, failure: Option<&Failure>) -> Response {
    let id = escaped(id_of(&till.session));
    let message = match failure {
        Some(failure) => Some(failure.message.as_str()),
        None => {
            let errors = ["last_payment_error", "last_setup_error"];
            errors.iter().find_map(|name| till.intent[*name]["message"].as_str())
        }
    };
    let of = failure.and_then(Failure::named).filter(|name| ["code", "country"].contains(name));
    let wrong = |field| Wrong::of(message.filter(|_| of == field));
    let Wrong { alert, state } = wrong(None);
    let card_field = match pay::asks_for_no_card(&till.session) {
        true => String::new(),
        false => format!(
            "<label for=\"card\">Card number</label>\
             <input id=\"card\" name=\"card\" value=\"4242 4242 4242 4242\" inputmode=\"numeric\" \
             autocomplete=\"off\" required{state}>"
        ),
    };
    let card_form = format!(
        "<form method=\"post\" action=\"/c/pay/{id}\">{}{card_field}\
         <button type=\"submit\">{}</button></form>",
        email_field(till),
        press(till),
    );
    let types = &till.session["payment_method_types"];
    let takes_cards = types.as_array().is_some_and(|types| types.contains(&json!("card")));
    let main = format!(
        "<main><h1>{}</h1>{}{}{}{}{alert}{}{}{}{}</main>",
        escaped(&heading(till)),
        terms(till),
        receipt(till),
        promotion::field(&till.session, till.code.as_deref(), &wrong(Some("code"))),
        address::field(&till.session, &wrong(Some("country"))),
        if takes_cards { card_form.as_str() } else { "" },
        debit::forms(types, &format!("/c/pay/{id}"), &press(till)),
        cancel_link(till),
        if takes_cards { test_cards() } else { String::new() },
    );
    let title = if alert.is_empty() { "Pay" } else { "Payment failed" };
    let status =
        failure.and_then(|failure| StatusCode::from_u16(failure.status).ok()).unwrap_or(StatusCode::OK);
    page(status, title, &main, SCRIPT)
}

/// What is told of a field that was filled in wrong, and how the field shows it.
#[derive(Default)]
pub struct Wrong {
    pub alert: String,
    pub state: &'static str,
}

impl Wrong {
    fn of(message: Option<&str>) -> Self {
        message.map_or_else(Self::default, |message| Self {
            alert: format!("<p class=\"alert\" role=\"alert\" id=\"alert\">{}</p>", escaped(message)),
            state: " aria-invalid=\"true\" aria-describedby=\"alert\" autofocus",
        })
    }
}

fn authentication(till: &Till) -> Response {
    let what = match till.card_asks {
        true => "that your card is saved".to_owned(),
        false => format!("the payment of <strong>{}</strong>", total(till)),
    };
    let main = format!(
        "<main><h1>Your bank asks for you</h1>\
         <p>Authenticate {what} for {}.</p>\
         <form method=\"post\" action=\"/c/pay/{}/authenticate\">\
         <button type=\"submit\" name=\"outcome\" value=\"success\">Complete authentication</button>\
         <button type=\"submit\" name=\"outcome\" value=\"fail\" class=\"quiet\">Fail authentication</button>\
         </form></main>",
        escaped(&heading(till)),
        escaped(id_of(&till.session)),
    );
    page(StatusCode::OK, "Authenticate", &main, "")
}

fn complete(till: &Till) -> Response {
    let (title, more) = match till.session["payment_status"].as_str() {
        Some("unpaid") => ("Under way", " The bank is asked for the money, and answers in some days."),
        _ if checkout::is_setup(&till.session) => ("Saved", ""),
        _ => ("Paid", ""),
    };
    let main = format!(
        "<main><h1>{title}</h1><p>This checkout is complete.{more}</p>{}\
         <a class=\"button\" href=\"{}\">Back to the shop</a></main>",
        receipt(till),
        escaped(&pay::return_url(&till.session)),
    );
    page(StatusCode::OK, title, &main, "")
}

fn expired(till: &Till) -> Response {
    let main = format!(
        "<main><h1>This checkout has expired</h1><p>Nothing was paid. Start again in the shop.</p>{}</main>",
        cancel_link(till),
    );
    page(StatusCode::GONE, "Expired", &main, "")
}

fn heading(till: &Till) -> String {
    match till.items.as_slice() {
        [only] => only["description"].as_str().unwrap_or("Your order").to_owned(),
        [] => "Save a way to pay".to_owned(),
        _ => "Your order".to_owned(),
    }
}

/// What is paid and how often, where it is paid more than once.
fn terms(till: &Till) -> String {
    let mut recurring = till.items.iter().filter(|item| !item["price"]["recurring"].is_null()).peekable();
    let Some(first) = recurring.peek() else { return String::new() };
    let every = interval(&first["price"]["recurring"]);
    let cost = recurring
        .map(|item| lines::amount_of(&item["price"], item["quantity"].as_i64().unwrap_or(1)))
        .fold(0, i64::saturating_add);
    let cost = money(cost, till.session["currency"].as_str().unwrap_or_default());
    match till.trial_days {
        Some(1) => format!("<p>1 day free, then {cost} {every}, until canceled.</p>"),
        Some(days) => format!("<p>{days} days free, then {cost} {every}, until canceled.</p>"),
        None => format!("<p>{cost} {every}, until canceled.</p>"),
    }
}

/// `every month`, `every 3 months`
fn interval(recurring: &Value) -> String {
    let unit = escaped(recurring["interval"].as_str().unwrap_or_default());
    match recurring["interval_count"].as_i64().unwrap_or(1) {
        1 => format!("every {unit}"),
        count => format!("every {count} {unit}s"),
    }
}

fn press(till: &Till) -> String {
    if checkout::is_setup(&till.session) {
        return "Save".to_owned();
    }
    let due_now = till.session["amount_total"] != json!(0);
    match (checkout::is_subscription(&till.session), till.trial_days) {
        (true, Some(_)) if !due_now => "Start trial".to_owned(),
        (true, _) => format!("Subscribe and pay {}", total(till)),
        (false, _) => format!("Pay {}", total(till)),
    }
}

fn receipt(till: &Till) -> String {
    if till.items.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for item in &till.items {
        let row = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"amount\">{}</td></tr>",
            escaped(item["description"].as_str().unwrap_or("Item")),
            item["quantity"],
            amount(item, "amount_subtotal"),
        );
        row.expect("a String takes whatever is written");
    }
    format!(
        "<table><thead><tr><th scope=\"col\">Item</th><th scope=\"col\">Quantity</th>\
         <th scope=\"col\" class=\"amount\">Amount</th></tr></thead><tbody>{rows}</tbody>\
         <tfoot>{}<tr><th scope=\"row\" colspan=\"2\">Total</th><td class=\"amount\">{}</td></tr></tfoot></table>",
        in_between(till),
        total(till)
    )
}

/// What is taken off, and what the tax adds.
fn in_between(till: &Till) -> String {
    let (details, currency) = (&till.session["total_details"], till.session["currency"].as_str());
    let row = |name: &str, minor: i64| {
        let shown = money(minor, currency.unwrap_or_default());
        format!(
            "<tr class=\"part\"><th scope=\"row\" colspan=\"2\">{name}</th><td class=\"amount\">{shown}</td></tr>"
        )
    };
    let (off, tax) = (&details["amount_discount"], &details["amount_tax"]);
    let off = off.as_i64().filter(|off| *off != 0).map(|off| row("Discount", -off));
    let tax = tax.as_i64().filter(|tax| *tax != 0).map(|tax| row("Tax", tax));
    off.into_iter().chain(tax).collect()
}

fn total(till: &Till) -> String {
    amount(&till.session, "amount_total")
}

fn amount(object: &Value, field: &str) -> String {
    money(object[field].as_i64().unwrap_or(0), object["currency"].as_str().unwrap_or_default())
}

fn email_field(till: &Till) -> &'static str {
    if till.session["customer_details"]["email"].is_string() {
        return "";
    }
    "<label for=\"email\">Email (optional)</label>\
     <input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"off\">"
}

fn cancel_link(till: &Till) -> String {
    till.session["cancel_url"].as_str().map_or_else(String::new, |url| {
        format!("<a class=\"button quiet\" href=\"{}\">Cancel</a>", escaped(url))
    })
}

fn test_cards() -> String {
    let rows = cards::CARDS.iter().map(|card| {
        let number = card.spaced();
        format!(
            "<li><span><code>{number}</code> {}</span><button type=\"button\" class=\"quiet\" \
             data-card=\"{number}\" aria-label=\"Use the card that {}\">Use</button></li>",
            card.does, card.does
        )
    });
    let rows: String = rows.collect();
    format!("<details><summary>Test cards</summary><ul>{rows}</ul></details>")
}
