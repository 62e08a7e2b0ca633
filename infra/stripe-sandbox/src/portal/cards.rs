//! A customer's new card: saved by a setup intent, so that its bank may ask, and then put to use.

use http::Method;
use serde_json::{Value, json};

use super::deeds::{Outcome, own_subscription, post, refusal_of};
use super::sessions::{self, Visit};
use crate::api::within;
use crate::failure::Answer;
use crate::params::Params;
use crate::setups;
use crate::tx::{Tx, id_of};

const SECONDS_PER_YEAR: i64 = 31_556_952;

/// For one subscription if it is named, otherwise for all that name no card themselves.
pub fn change(tx: &Tx, visit: &Visit, fields: &mut Params) -> Answer<Outcome> {
    visit.demand("payment_method_update")?;
    let number: String = fields.required("card")?.chars().filter(|c| !c.is_whitespace()).collect();
    let subscription = match fields.has("subscription") {
        true => Some(own_subscription(tx, visit, fields)?),
        false => None,
    };
    let year = 1970 + tx.now() / SECONDS_PER_YEAR + 3;
    let card = json!({"number": number, "exp_month": "12", "exp_year": year.to_string(), "cvc": "123"});
    let method = post(tx, "payment_methods", json!({"type": "card", "card": card}))?;
    let setup = json!({
        "confirm": "true",
        "customer": visit.customer_id(),
        "payment_method": method["id"],
        "payment_method_types": ["card"],
        "return_url": visit.session["url"],
        "usage": "off_session",
    });
    let reply = within(tx, Method::POST, "setup_intents", setup)?;
    if reply.status != 200 {
        return Ok(Outcome::Declined(refusal_of(&reply).to_owned()));
    }
    let waiting = Waiting { intent: reply.body, subscription: subscription.map(|it| id_of(&it).to_owned()) };
    match waiting.intent["next_action"]["redirect_to_url"]["url"].as_str() {
        Some(url) => {
            keep_waiting(tx, visit, Some(&waiting))?;
            Ok(Outcome::GoTo(url.to_owned()))
        }
        None => put_to_use(tx, visit, &waiting).map(|()| Outcome::Done),
    }
}

/// A card whose bank asks for its holder.
pub struct Waiting {
    pub intent: Value,
    subscription: Option<String>,
}

/// Goes on with a card whose bank has had its answer.
pub fn go_on(tx: &Tx, visit: &Visit) -> Answer<Option<Outcome>> {
    let Some(waiting) = waiting(tx, visit)? else { return Ok(None) };
    let outcome = match waiting.intent["status"].as_str() {
        Some("requires_action") => return Ok(None),
        Some("succeeded") => put_to_use(tx, visit, &waiting).map(|()| Outcome::Done)?,
        _ => {
            let message = waiting.intent["last_setup_error"]["message"].as_str();
            Outcome::Declined(message.unwrap_or("The card was not saved.").to_owned())
        }
    };
    keep_waiting(tx, visit, None)?;
    Ok(Some(outcome))
}

pub fn waiting(tx: &Tx, visit: &Visit) -> Answer<Option<Waiting>> {
    let hidden = tx.hidden(sessions::KIND, id_of(&visit.session))?;
    let intent = tx.find(setups::KIND, hidden["card"]["setup_intent"].as_str().unwrap_or_default())?;
    let subscription = hidden["card"]["subscription"].as_str().map(str::to_owned);
    Ok(intent.map(|intent| Waiting { intent, subscription }))
}

fn keep_waiting(tx: &Tx, visit: &Visit, waiting: Option<&Waiting>) -> Answer<()> {
    let mut hidden = tx.hidden(sessions::KIND, id_of(&visit.session))?;
    hidden["card"] = waiting.map_or(
        Value::Null,
        |waiting| json!({"setup_intent": waiting.intent["id"], "subscription": waiting.subscription}),
    );
    tx.save_hidden(&visit.session, &hidden)
}

fn put_to_use(tx: &Tx, visit: &Visit, waiting: &Waiting) -> Answer<()> {
    let method = &waiting.intent["payment_method"];
    let (path, call) = match &waiting.subscription {
        Some(subscription) => {
            (format!("subscriptions/{subscription}"), json!({"default_payment_method": method}))
        }
        None => (
            format!("customers/{}", visit.customer_id()),
            json!({"invoice_settings": {"default_payment_method": method}}),
        ),
    };
    post(tx, &path, call).map(drop)
}
