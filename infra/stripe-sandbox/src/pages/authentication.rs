//! `/3ds/{intent}`: where a bank asks for its cardholder, and then sends them back to the shop.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::{escaped, money, page};
use crate::failure::Answer;
use crate::tx::{Cause, Tx, id_of, kind_of};
use crate::{Sandbox, form, intents, payments, setups};

pub async fn show(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    match sandbox.transact(Cause::default(), |tx| intent(tx, &id)) {
        Ok(intent) => question(&intent),
        Err(_) => {
            let main = "<main><h1>Nothing to authenticate</h1><p>The sandbox knows no payment at this \
                        address.</p></main>";
            page(StatusCode::NOT_FOUND, "Nothing to authenticate", main, "")
        }
    }
}

/// The cardholder has answered.
pub async fn submit(State(sandbox): State<Sandbox>, Path(id): Path<String>, body: Bytes) -> Response {
    let passed = form::parse(&String::from_utf8_lossy(&body)).get("outcome") == Some(&json!("success"));
    let answered = sandbox.transact(Cause::default(), |tx| {
        let before = intent(tx, &id)?;
        if before["status"] == json!("requires_action") {
            match kind_of(&before) {
                setups::KIND => setups::course::authenticate(tx, &id, passed)?,
                _ => intents::course::authenticate(tx, &id, passed)?,
            };
        }
        Ok((before, intent(tx, &id)?))
    });
    match answered {
        Ok((before, after)) => match way_back(&before, &after) {
            Some(url) => Redirect::to(&url).into_response(),
            None => question(&after),
        },
        Err(failure) => {
            let main = format!("<main><h1>Not authenticated</h1><p>{}</p></main>", escaped(&failure.message));
            page(StatusCode::BAD_REQUEST, "Not authenticated", &main, "")
        }
    }
}

fn intent(tx: &Tx, id: &str) -> Answer<Value> {
    match tx.find(setups::KIND, id)? {
        Some(intent) => Ok(intent),
        None => tx.get(payments::KIND, id),
    }
}

fn question(intent: &Value) -> Response {
    if intent["status"] != json!("requires_action") {
        let status = escaped(intent["status"].as_str().unwrap_or_default());
        let main = format!("<main><h1>Nothing to authenticate</h1><p>This payment is {status}.</p></main>");
        return page(StatusCode::OK, "Nothing to authenticate", &main, "");
    }
    let what = match intent["amount"].as_i64() {
        Some(amount) => {
            let amount = money(amount, intent["currency"].as_str().unwrap_or_default());
            format!("the payment of <strong>{amount}</strong>")
        }
        None => "that your card is saved".to_owned(),
    };
    let main = format!(
        "<main><h1>Your bank asks for you</h1><p>Authenticate {what}.</p>\
         <form method=\"post\" action=\"/3ds/{}\">\
         <button type=\"submit\" name=\"outcome\" value=\"success\">Complete authentication</button>\
         <button type=\"submit\" name=\"outcome\" value=\"fail\" class=\"quiet\">Fail authentication</button>\
         </form></main>",
        escaped(id_of(intent)),
    );
    page(StatusCode::OK, "Authenticate", &main, "")
}

/// The shop's page, told which payment its customer comes back from, and how that went.
fn way_back(before: &Value, after: &Value) -> Option<String> {
    let url = before["next_action"]["redirect_to_url"]["return_url"].as_str()?;
    let kind = kind_of(after);
    let joint = if url.contains('?') { '&' } else { '?' };
    let status = match after["status"].as_str() {
        Some("requires_payment_method") => "failed",
        Some("processing") => "pending",
        _ => "succeeded",
    };
    Some(format!(
        "{url}{joint}{kind}={}&{kind}_client_secret={}&redirect_status={status}",
        id_of(after),
        after["client_secret"].as_str().unwrap_or_default(),
    ))
}
