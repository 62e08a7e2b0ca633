//! What a customer does in the portal. Each deed is made of the calls that a shop would make for the same end,
//! in one unit of work.

use http::Method;
use serde_json::{Map, Value, json};

use super::sessions::Visit;
use super::{cards, changes};
use crate::api::within;
use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::settings;
use crate::subscriptions::{self, period_of};
use crate::tx::{Reply, Tx, id_of};

/// What has come of a deed.
pub enum Outcome {
    Done,
    /// The customer has to go somewhere first.
    GoTo(String),
    /// It came to nothing, and that is kept.
    Declined(String),
}

/// Does what its page's forms ask for; each form posts to the name of its deed.
pub fn perform(tx: &Tx, visit: &Visit, deed: &str, mut fields: Params) -> Answer<Outcome> {
    let outcome = match deed {
        "card" => cards::change(tx, visit, &mut fields)?,
        "details" => change_details(tx, visit, &mut fields).map(|()| Outcome::Done)?,
        "cancel" => cancel(tx, visit, &mut fields).map(|()| Outcome::Done)?,
        "renew" => renew(tx, visit, &mut fields).map(|()| Outcome::Done)?,
        "switch" => changes::make(tx, visit, &mut fields).map(|()| Outcome::Done)?,
        "keep" => changes::take_back(tx, visit, &mut fields).map(|()| Outcome::Done)?,
        other => return Err(Failure::unknown_url("POST", other)),
    };
    fields.finish()?;
    Ok(outcome)
}

/// One of the customer's own, still running.
pub fn own_subscription(tx: &Tx, visit: &Visit, fields: &mut Params) -> Answer<Value> {
    let id = fields.required("subscription")?;
    let found = tx.find(subscriptions::KIND, &id)?;
    let own =
        found.filter(|it| it["customer"] == json!(visit.customer_id()) && !subscriptions::has_ended(it));
    own.ok_or_else(|| Failure::no_such_reference("subscription", &id, "subscription"))
}

fn cancel(tx: &Tx, visit: &Visit, fields: &mut Params) -> Answer<()> {
    visit.demand("subscription_cancel")?;
    let feature = visit.feature("subscription_cancel");
    let subscription = own_subscription(tx, visit, fields)?;
    let mut details = Map::new();
    for name in ["feedback", "comment"] {
        if let Some(text) = fields.clearable(name)?.flatten() {
            details.insert(name.to_owned(), json!(text));
        }
    }
    let mut call = json!({});
    if !details.is_empty() {
        call["cancellation_details"] = Value::Object(details);
    }
    // A schedule would refuse to let it go.
    changes::release(tx, &subscription)?;
    let path = format!("subscriptions/{}", id_of(&subscription));
    if feature["mode"] == json!("immediately") {
        if feature["proration_behavior"] == json!("create_prorations") {
            call["prorate"] = json!("true");
        }
        return ask(tx, Method::DELETE, &path, call).map(drop);
    }
    let is_flexible = subscription["billing_mode"]["type"] == json!("flexible");
    match settings::chosen(tx, &settings::PORTAL_CANCELS_WITH)? {
        "cancel_at" if is_flexible => call["cancel_at"] = json!(period_of(&subscription).1.to_string()),
        _ => call["cancel_at_period_end"] = json!("true"),
    }
    post(tx, &path, call).map(drop)
}

/// Takes a cancellation back that has not happened yet.
fn renew(tx: &Tx, visit: &Visit, fields: &mut Params) -> Answer<()> {
    visit.demand("subscription_cancel")?;
    let subscription = own_subscription(tx, visit, fields)?;
    if subscription["cancel_at"].is_null() {
        return Err(Failure::conflict("This subscription is not going to be canceled."));
    }
    let call = match subscription["cancel_at_period_end"] == json!(true) {
        true => json!({"cancel_at_period_end": "false"}),
        false => json!({"cancel_at": ""}),
    };
    post(tx, &format!("subscriptions/{}", id_of(&subscription)), call).map(drop)
}

/// What customers can change about themselves; tax ids, which Stripe has too, are not kept here.
pub const DETAILS: [&str; 5] = ["name", "email", "phone", "address", "shipping"];

/// Who the customer is; an empty field clears what it had.
fn change_details(tx: &Tx, visit: &Visit, fields: &mut Params) -> Answer<()> {
    visit.demand("customer_update")?;
    let mut call = json!({});
    for name in DETAILS {
        let Some(given) = fields.take(name) else { continue };
        if !may_change(visit, name) {
            let message = format!("This portal's configuration lets no {name} be changed.");
            return Err(Failure::invalid(message).param(name));
        }
        call[name] = if is_empty(&given) { json!("") } else { given };
    }
    post(tx, &format!("customers/{}", visit.customer_id()), call).map(drop)
}

pub fn may_change(visit: &Visit, detail: &str) -> bool {
    let allowed = visit.feature("customer_update")["allowed_updates"].as_array();
    visit.may("customer_update") && allowed.is_some_and(|allowed| allowed.contains(&json!(detail)))
}

fn is_empty(given: &Value) -> bool {
    match given {
        Value::Object(fields) => fields.values().all(is_empty),
        leaf => leaf == "",
    }
}

pub fn post(tx: &Tx, path: &str, call: Value) -> Answer<Value> {
    ask(tx, Method::POST, path, call)
}

pub fn get(tx: &Tx, path: &str, call: Value) -> Answer<Value> {
    ask(tx, Method::GET, path, call)
}

/// A refusal of any of a deed's calls takes back the whole deed.
fn ask(tx: &Tx, method: Method, path: &str, call: Value) -> Answer<Value> {
    let reply = within(tx, method, path, call)?;
    if reply.status == 200 {
        return Ok(reply.body);
    }
    let mut failure = Failure::conflict(refusal_of(&reply));
    failure.status = reply.status;
    Err(failure)
}

pub fn refusal_of(reply: &Reply) -> &str {
    reply.body["error"]["message"].as_str().unwrap_or("The card was declined.")
}
