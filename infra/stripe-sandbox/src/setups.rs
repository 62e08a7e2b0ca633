//! `/v1/setup_intents`: saving a card or a bank account, with its holder's consent, to be charged later.

pub mod course;

use serde_json::{Value, json};

use self::course::Confirmation;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::intents::terms;
use crate::list::Query;
use crate::means;
use crate::methods::{self, given};
use crate::params::Params;
use crate::tx::{Reply, Tx};

pub const KIND: &str = "setup_intent";
const URL: &str = "/v1/setup_intents";

const UNSUPPORTED: [&str; 10] = [
    "attach_to_self",
    "confirmation_token",
    "customer_account",
    "excluded_payment_method_types",
    "flow_directions",
    "managed_payments",
    "on_behalf_of",
    "payment_method_configuration",
    "payment_method_options",
    "single_use",
];

pub fn create(call: Call) -> Answer<Reply> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&UNSUPPORTED)?;
    let confirms = params.boolean("confirm")? == Some(true);
    let (types, automatic) = terms::types(&mut params, "")?;
    let mut intent = blank(tx, &types);
    intent["automatic_payment_methods"] = automatic;
    if let Some(usage) = params.one_of("usage", &["off_session", "on_session"])? {
        intent["usage"] = json!(usage);
    }
    apply(tx, &mut intent, &mut params)?;
    let confirmation = confirms.then(|| Confirmation::by_shop(tx, &mut params)).transpose()?;
    if confirmation.is_none() {
        terms::refuse_unconfirmed(&params)?;
    }
    params.finish()?;
    insert(tx, &intent, &json!({}))?;
    match confirmation {
        Some(confirmation) => course::confirm(tx, intent, confirmation),
        None => Ok(Reply::from(intent)),
    }
}

pub fn retrieve(call: Call) -> Answer<Value> {
    let mut params = call.params;
    params.accept(&["client_secret"]);
    params.finish()?;
    call.tx.get(KIND, call.id)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of(KIND);
    query.customer(call.tx, &mut params)?;
    query.equal("payment_method", params.text("payment_method")?);
    query.created(&mut params)?;
    query.page(call.tx, params, URL)
}

pub fn update(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&UNSUPPORTED)?;
    let mut intent = tx.get(KIND, call.id)?;
    if params.only(&["description", "metadata"]).is_err() {
        check_open(&intent, "update")?;
    }
    change_types(&mut intent, &mut params)?;
    apply(tx, &mut intent, &mut params)?;
    params.finish()?;
    tx.save(&intent)?;
    Ok(intent)
}

pub fn confirm(call: Call) -> Answer<Reply> {
    confirm_as(call, Confirmation::by_shop)
}

/// By somebody who has the client secret, and is there.
pub fn confirm_on_page(call: Call) -> Answer<Reply> {
    confirm_as(call, Confirmation::by_page)
}

fn confirm_as(call: Call, read: impl FnOnce(&Tx, &mut Params) -> Answer<Confirmation>) -> Answer<Reply> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&UNSUPPORTED)?;
    params.accept(&["client_secret", "expected_payment_method_type"]);
    let mut intent = tx.get(KIND, call.id)?;
    check_open(&intent, "confirm")?;
    if course::session_of(tx, &intent)?.is_some() {
        let message = "You cannot confirm this SetupIntent because it was created by Checkout.";
        return Err(Failure::conflict(message).code("setup_intent_unexpected_state"));
    }
    change_types(&mut intent, &mut params)?;
    choose_method(tx, &mut intent, &mut params)?;
    let confirmation = read(tx, &mut params)?;
    params.finish()?;
    course::confirm(tx, intent, confirmation)
}

pub fn cancel(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let reasons = ["abandoned", "duplicate", "requested_by_customer"];
    let reason = params.one_of("cancellation_reason", &reasons)?;
    params.finish()?;
    let intent = tx.get(KIND, call.id)?;
    check_open(&intent, "cancel")?;
    give_up(tx, intent, reason.as_deref())
}

pub fn give_up(tx: &Tx, mut intent: Value, reason: Option<&str>) -> Answer<Value> {
    intent["cancellation_reason"] = json!(reason);
    intent["next_action"] = Value::Null;
    intent["status"] = json!("canceled");
    tx.save(&intent)?;
    tx.emit("setup_intent.canceled", &intent)?;
    Ok(intent)
}

/// What a method is saved for: a session of `mode=setup`, or a subscription that begins with nothing to pay.
pub fn make(tx: &Tx, customer: &Value, types: &Value, data: &Value, hidden: &Value) -> Answer<Value> {
    let mut intent = blank(tx, types);
    intent["customer"] = customer.clone();
    intent["description"] = data["description"].clone();
    if data["metadata"].is_object() {
        intent["metadata"] = data["metadata"].clone();
    }
    insert(tx, &intent, hidden)?;
    Ok(intent)
}

/// A session of `mode=setup` makes at once what it is for.
pub fn begin_session(tx: &Tx, session: &mut Value, params: &mut Params) -> Answer<()> {
    let mut data = json!({});
    if let Some(mut section) = params.section("setup_intent_data")? {
        section.refuse(&["on_behalf_of"])?;
        data["description"] = json!(section.text("description")?);
        data["metadata"] = section.metadata(Value::Null)?;
        section.finish()?;
    }
    for name in ["amount_subtotal", "amount_total", "total_details"] {
        session[name] = Value::Null;
    }
    if session["currency"] == json!("") {
        session["currency"] = Value::Null;
    }
    let hidden = json!({"session": session["id"]});
    let intent = make(tx, &session["customer"], &session["payment_method_types"], &data, &hidden)?;
    session["setup_intent"] = intent["id"].clone();
    Ok(())
}

fn insert(tx: &Tx, intent: &Value, hidden: &Value) -> Answer<()> {
    tx.insert(intent, hidden)?;
    tx.emit("setup_intent.created", intent)
}

fn apply(tx: &Tx, intent: &mut Value, params: &mut Params) -> Answer<()> {
    if let Some(customer) = params.clearable("customer")? {
        if let Some(customer) = &customer {
            tx.reference("customer", customer, "customer")?;
        }
        intent["customer"] = json!(customer);
    }
    if let Some(description) = params.clearable("description")? {
        intent["description"] = json!(description);
    }
    intent["metadata"] = params.metadata(intent["metadata"].take())?;
    choose_method(tx, intent, params)
}

fn change_types(intent: &mut Value, params: &mut Params) -> Answer<()> {
    if let Some(named) = means::offered(params, "")? {
        intent["automatic_payment_methods"] = Value::Null;
        intent["payment_method_types"] = json!(named);
        intent["payment_method_options"] = method_options(&intent["payment_method_types"]);
    }
    Ok(())
}

fn choose_method(tx: &Tx, intent: &mut Value, params: &mut Params) -> Answer<()> {
    let method = match (params.text("payment_method")?, params.section("payment_method_data")?) {
        (Some(_), Some(_)) => {
            let message =
                "You may only specify one of these parameters: payment_method, payment_method_data.";
            return Err(Failure::invalid(message));
        }
        (Some(id), None) => methods::to_pay_with(tx, &id, &intent["customer"], "payment_method")?,
        (None, Some(mut data)) => {
            let method = given::make(tx, &mut data)?;
            data.finish()?;
            method
        }
        (None, None) => return Ok(()),
    };
    let wanted = &method["type"];
    if !intent["payment_method_types"].as_array().is_some_and(|types| types.contains(wanted)) {
        let message = format!("The PaymentMethod provided ({wanted}) is not allowed for this SetupIntent.");
        return Err(Failure::invalid(message).param("payment_method"));
    }
    intent["payment_method"] = method["id"].clone();
    intent["status"] = json!("requires_confirmation");
    Ok(())
}

fn check_open(intent: &Value, verb: &str) -> Answer<()> {
    let Some(status @ ("succeeded" | "canceled" | "processing")) = intent["status"].as_str() else {
        return Ok(());
    };
    let message = format!("You cannot {verb} this SetupIntent because it has a status of {status}.");
    Err(unexpected_state(intent, &message))
}

pub fn unexpected_state(intent: &Value, message: &str) -> Failure {
    Failure::conflict(message).code("setup_intent_unexpected_state").about(intent)
}

/// What Stripe shows of each type that may be saved.
fn method_options(types: &Value) -> Value {
    let mut options = json!({});
    for name in types.as_array().into_iter().flatten().filter_map(Value::as_str) {
        options[name] = match name {
            "card" => {
                json!({"mandate_options": null, "network": null, "request_three_d_secure": "automatic"})
            }
            "us_bank_account" => json!({"verification_method": "automatic"}),
            _ => json!({}),
        };
    }
    options
}

fn blank(tx: &Tx, types: &Value) -> Value {
    let id = ids::fresh("seti");
    json!({
        "object": KIND,
        "application": null,
        "attach_to_self": false,
        "automatic_payment_methods": null,
        "cancellation_reason": null,
        "client_secret": format!("{id}_secret_{}", ids::random(24)),
        "created": tx.now(),
        "customer": null,
        "customer_account": null,
        "description": null,
        "excluded_payment_method_types": null,
        "flow_directions": null,
        "last_setup_error": null,
        "latest_attempt": null,
        "livemode": false,
        "mandate": null,
        "metadata": {},
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": null,
        "payment_method_configuration_details": null,
        "payment_method_options": method_options(types),
        "payment_method_types": types,
        "single_use_mandate": null,
        "status": "requires_payment_method",
        "usage": "off_session",
        "id": id,
    })
}
