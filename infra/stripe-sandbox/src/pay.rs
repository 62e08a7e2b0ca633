//! What a shopper does with a Checkout Session: pays, fails to, authenticates. Used by the hosted page and
//! by `/_sandbox/checkout/…`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::banks::{self, Scheme};
use crate::cards::{self, Asks};
use crate::checkout::{self, KIND, address, customer_details};
use crate::customers;
use crate::failure::{Answer, Failure, doc_url};
use crate::form;
use crate::intents::course;
use crate::invoices::issue;
use crate::mandates;
use crate::means::{Means, Presence};
use crate::methods;
use crate::payments::{self, Attempt, Purpose};
use crate::setups;
use crate::subscriptions;
use crate::tx::{Reply, Tx, id_of};

/// What somebody pays with: a card's number, an IBAN, or the number of an account at the test bank.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    card: Option<String>,
    iban: Option<String>,
    account: Option<String>,
    email: Option<String>,
    /// Where the payer lives.
    country: Option<String>,
    promotion_code: Option<String>,
}

impl Payment {
    /// As a page's form has it, where what was left empty is not meant.
    pub fn from_form(body: &str) -> Self {
        let mut fields = form::parse(body);
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        // A page never pays with a card that nobody gave.
        let card = Some(text("card").unwrap_or_default());
        let email = text("email");
        Self {
            iban: text("iban"),
            account: text("account"),
            card,
            email,
            country: None,
            promotion_code: None,
        }
    }

    /// The card that pays, where nothing is said.
    pub fn means(&self) -> Answer<Means> {
        match (&self.iban, &self.account) {
            (Some(iban), _) => banks::find(Scheme::Sepa, iban).map(Means::Account),
            (None, Some(account)) => banks::find(Scheme::Ach, account).map(Means::Account),
            (None, None) => cards::find(self.card.as_deref().unwrap_or(cards::PAYS)).map(Means::Card),
        }
    }
}

/// Where a session keeps the card that asks for authentication without a payment.
const ASKING: &str = "card_to_authenticate";

pub fn pay(tx: &Tx, id: &str, payment: &Payment) -> Answer<Reply> {
    if let Some(code) = &payment.promotion_code {
        checkout::amounts::enter_code(tx, id, code)?;
    }
    let mut session = open_session(tx, id)?;
    if let Some(country) = address::missing(&session, payment.country.as_deref()) {
        session = address::enter(tx, id, country)?.body;
    }
    if let Some(email) = payment.email.as_ref().filter(|_| session["customer_details"]["email"].is_null()) {
        if session["customer_details"].is_null() {
            session["customer_details"] = customer_details(&Value::Null);
        }
        session["customer_details"]["email"] = json!(email);
    }
    if asks_for_no_card(&session) {
        return begin_without_card(tx, session);
    }
    let means = payment.means()?;
    check_accepts(&session, means)?;
    if checkout::is_setup(&session) {
        return save_only(tx, session, means);
    }
    if session["amount_total"] == json!(0) {
        return match checkout::is_subscription(&session) {
            true => save(tx, session, means),
            false => complete(tx, session, &Value::Null),
        };
    }
    let intent = intent_of(tx, &mut session)?;
    let method = methods::insert(tx, means, &Value::Null, &session["customer_details"])?;
    mandates::ensure(tx, &method, &mandates::accepted_on_page(tx))?;
    let attempt = payments::attempt(tx, intent, method, Presence::OnSession)?;
    conclude(tx, session, attempt)
}

pub fn authenticate(tx: &Tx, id: &str, passed: bool) -> Answer<Reply> {
    let session = open_session(tx, id)?;
    if checkout::is_setup(&session) {
        let intent = setup_of(tx, &session)?;
        let tried = setups::course::answer(tx, intent, passed)?;
        return conclude_setup(tx, session, tried);
    }
    if let Some(method) = card_to_authenticate(tx, &session)? {
        return authenticate_card(tx, session, method, passed);
    }
    let intent = match checkout::intent_id(tx, &session)? {
        Some(intent) => tx.get(payments::KIND, &intent)?,
        None => Value::Null,
    };
    if intent["status"] != json!("requires_action") {
        return Err(Failure::conflict("No card of this Checkout Session asks for authentication."));
    }
    let attempt = payments::authenticate(tx, intent, passed)?;
    conclude(tx, session, attempt)
}

/// Nothing is due yet, and the shop wants a card only where something is.
pub fn asks_for_no_card(session: &Value) -> bool {
    checkout::is_subscription(session)
        && session["amount_total"] == json!(0)
        && session["payment_method_collection"] == json!("if_required")
}

fn begin_without_card(tx: &Tx, mut session: Value) -> Answer<Reply> {
    ensure_customer(tx, &mut session)?;
    subscribe(tx, session, None, None)
}

/// Nothing is due yet, so what is paid with is only saved; that too can be declined, or ask for authentication.
fn save(tx: &Tx, mut session: Value, means: Means) -> Answer<Reply> {
    let asks = match means {
        Means::Card(card) => match card.refusal_to_be_saved() {
            Some(refusal) => return Err(refusal),
            None => matches!(card.asks, Asks::UnlessSetUp | Asks::Always),
        },
        Means::Account(_) => false,
    };
    ensure_customer(tx, &mut session)?;
    let method = methods::insert(tx, means, &Value::Null, &session["customer_details"])?;
    mandates::ensure(tx, &method, &mandates::accepted_on_page(tx))?;
    if !asks {
        return subscribe(tx, session, Some(method), None);
    }
    set_hidden(tx, &session, ASKING, &method["id"])?;
    tx.save(&session)?;
    Ok(asks_for_authentication(tx, &session, &Value::Null))
}

/// `mode=setup`: nothing is bought.
fn save_only(tx: &Tx, mut session: Value, means: Means) -> Answer<Reply> {
    ensure_customer(tx, &mut session)?;
    let mut intent = setup_of(tx, &session)?;
    intent["customer"] = session["customer"].clone();
    let method = methods::insert(tx, means, &Value::Null, &session["customer_details"])?;
    mandates::ensure(tx, &method, &mandates::accepted_on_page(tx))?;
    let tried = setups::course::attempt(tx, intent, method)?;
    conclude_setup(tx, session, tried)
}

fn setup_of(tx: &Tx, session: &Value) -> Answer<Value> {
    tx.get(setups::KIND, session["setup_intent"].as_str().unwrap_or_default())
}

fn conclude_setup(tx: &Tx, session: Value, tried: setups::course::Try) -> Answer<Reply> {
    tx.save(&session)?;
    Ok(match tried {
        setups::course::Try::Done(_) => return complete(tx, session, &Value::Null),
        setups::course::Try::Failed(error) => Reply { status: 402, body: json!({"error": error}) },
        setups::course::Try::AsksForAuthentication(_) => asks_for_authentication(tx, &session, &Value::Null),
    })
}

/// A session takes the types of payment methods that it shows.
fn check_accepts(session: &Value, means: Means) -> Answer<()> {
    let wanted = means.method_type();
    if session["payment_method_types"].as_array().is_some_and(|types| types.contains(&json!(wanted))) {
        return Ok(());
    }
    Err(Failure::conflict(format!("This Checkout Session cannot be paid by {wanted}.")))
}

/// The saved card whose authentication is awaited, while no intent is.
pub fn card_to_authenticate(tx: &Tx, session: &Value) -> Answer<Option<Value>> {
    let hidden = tx.hidden(KIND, id_of(session))?;
    hidden[ASKING].as_str().map(|id| tx.get(methods::KIND, id)).transpose()
}

fn authenticate_card(tx: &Tx, session: Value, method: Value, passed: bool) -> Answer<Reply> {
    set_hidden(tx, &session, ASKING, &Value::Null)?;
    if passed {
        methods::set_up(tx, &method)?;
        return subscribe(tx, session, Some(method), None);
    }
    let code = "setup_intent_authentication_failure";
    let error = json!({
        "type": "invalid_request_error",
        "code": code,
        "doc_url": doc_url(code),
        "message": "The authentication of this payment method failed.",
        "payment_method": method,
    });
    Ok(Reply { status: 402, body: json!({"error": error}) })
}

fn open_session(tx: &Tx, id: &str) -> Answer<Value> {
    let session = tx.get(KIND, id)?;
    match session["status"].as_str() {
        Some("open") => {
            if let Some(customer) = session["customer"].as_str() {
                tx.reference("customer", customer, "customer")?;
            }
            Ok(session)
        }
        Some("complete") => {
            Err(Failure::conflict("This Checkout Session is already complete; it was paid once."))
        }
        _ => Err(Failure::conflict("This Checkout Session has expired; it can no longer be paid.")),
    }
}

/// The first attempt makes the intent; later ones try it again.
fn intent_of(tx: &Tx, session: &mut Value) -> Answer<Value> {
    if let Some(id) = checkout::intent_id(tx, session)? {
        return tx.get(payments::KIND, &id);
    }
    ensure_customer(tx, session)?;
    let hidden = tx.hidden(KIND, id_of(session))?;
    let subscribes = checkout::is_subscription(session);
    let data = match subscribes {
        true => issue::intent_data(&json!("subscription_create")),
        false => hidden["payment_intent_data"].clone(),
    };
    let purpose = Purpose {
        amount: &session["amount_total"],
        currency: &session["currency"],
        customer: &session["customer"],
        method_types: &session["payment_method_types"],
        data: &data,
    };
    let intent = payments::create(tx, &purpose)?;
    tx.save_hidden(&intent, &json!({"session": session["id"]}))?;
    match subscribes {
        true => set_hidden(tx, session, "payment_intent", &intent["id"])?,
        false => session["payment_intent"] = intent["id"].clone(),
    }
    Ok(intent)
}

fn ensure_customer(tx: &Tx, session: &mut Value) -> Answer<()> {
    if session["customer"].is_null() && session["customer_creation"] == json!("always") {
        let customer = customers::create_for_checkout(tx, &session["customer_details"]["email"])?;
        session["customer"] = customer["id"].clone();
    }
    Ok(())
}

fn set_hidden(tx: &Tx, session: &Value, name: &str, value: &Value) -> Answer<()> {
    let mut hidden = tx.hidden(KIND, id_of(session))?;
    hidden[name] = value.clone();
    tx.save_hidden(session, &hidden)
}

fn conclude(tx: &Tx, session: Value, attempt: Attempt) -> Answer<Reply> {
    match attempt {
        Attempt::Approved { intent, method } if checkout::is_subscription(&session) => {
            subscribe(tx, session, Some(method), Some(intent))
        }
        Attempt::Approved { intent, method } => {
            address::keep(tx, &session)?;
            let method = course::save_if_wanted(tx, &intent, method)?;
            let intent = payments::take(tx, intent, &method)?;
            methods::use_up(tx, &method)?;
            complete(tx, session, &intent)
        }
        Attempt::Failed(error) => {
            tx.save(&session)?;
            Ok(Reply { status: 402, body: json!({"error": error}) })
        }
        Attempt::AsksForAuthentication(intent) => {
            tx.save(&session)?;
            Ok(asks_for_authentication(tx, &session, &intent["id"]))
        }
    }
}

fn asks_for_authentication(tx: &Tx, session: &Value, intent: &Value) -> Reply {
    let next = format!("{}/_sandbox/checkout/{}/authenticate", tx.public_url, id_of(session));
    Reply::from(json!({
        "status": "requires_action", "session": session["id"], "payment_intent": intent, "next": next,
    }))
}

/// The payment is certain: only now there is a subscription.
fn subscribe(tx: &Tx, mut session: Value, method: Option<Value>, intent: Option<Value>) -> Answer<Reply> {
    let intent_id = intent.as_ref().map(|intent| id_of(intent).to_owned());
    address::keep(tx, &session)?;
    let (subscription, invoice) = subscriptions::create::at_checkout(tx, &session, method, intent)?;
    session["invoice"] = invoice["id"].clone();
    session["subscription"] = subscription["id"].clone();
    let intent = intent_id.map(|id| tx.get(payments::KIND, &id)).transpose()?.unwrap_or_default();
    let mut reply = complete(tx, session, &intent)?;
    reply.body["invoice"] = invoice["id"].clone();
    reply.body["subscription"] = subscription["id"].clone();
    Ok(reply)
}

fn complete(tx: &Tx, mut session: Value, intent: &Value) -> Answer<Reply> {
    if session["customer_details"].is_null() {
        session["customer_details"] = customer_details(&Value::Null);
    }
    if session["automatic_tax"]["enabled"] == json!(true) {
        session["automatic_tax"]["status"] = json!("complete");
    }
    session["payment_status"] = json!(match intent["status"].as_str() {
        None => "no_payment_required",
        Some("succeeded") => "paid",
        // A bank has been asked, and answers in some days.
        Some(_) => "unpaid",
    });
    session["status"] = json!("complete");
    session["url"] = Value::Null;
    tx.save(&session)?;
    tx.clear_alarm(&session)?;
    checkout::amounts::spend(tx, &session)?;
    tx.emit("checkout.session.completed", &session)?;
    Ok(Reply::from(json!({
        "status": "complete",
        "session": session["id"],
        "payment_intent": intent["id"],
        "payment_status": session["payment_status"],
        "redirect": return_url(&session),
    })))
}

/// Where a shopper goes after paying.
pub fn return_url(session: &Value) -> String {
    let url = session["success_url"].as_str().unwrap_or_default();
    url.replace("{CHECKOUT_SESSION_ID}", id_of(session))
}
