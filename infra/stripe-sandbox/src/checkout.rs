//! `/v1/checkout/sessions`: what a shop does with a session. What a shopper does is in `pay`.

pub mod address;
pub mod amounts;

use serde_json::{Value, json};

use crate::call::Call;
use crate::cart::{Cart, Mode, priced};
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::{Query, slice};
use crate::means;
use crate::params::Params;
use crate::payments;
use crate::setups;
use crate::subscriptions;
use crate::tax;
use crate::tx::{Tx, id_of};

pub const KIND: &str = "checkout.session";
const URL: &str = "/v1/checkout/sessions";
const SHORTEST_SECONDS: i64 = 30 * 60;
const LONGEST_SECONDS: i64 = 24 * 60 * 60;

/// Shown again as they came.
const ECHOED: [&str; 5] =
    ["billing_address_collection", "integration_identifier", "locale", "origin_context", "submit_type"];
/// They decorate a page the sandbox does not have.
const IGNORED: [&str; 11] = [
    "adaptive_pricing",
    "branding_settings",
    "consent_collection",
    "custom_text",
    "name_collection",
    "payment_method_configuration",
    "payment_method_options",
    "permissions",
    "phone_number_collection",
    "saved_payment_method_options",
    "wallet_options",
];
/// They would change what is paid or what comes of it.
const UNSUPPORTED: [&str; 11] = [
    "after_expiration",
    "custom_fields",
    "customer_account",
    "excluded_payment_method_types",
    "invoice_creation",
    "managed_payments",
    "optional_items",
    "payment_method_data",
    "redirect_on_completion",
    "return_url",
    "shipping_options",
];

const NULL_AT_FIRST: [&str; 33] = [
    "after_expiration",
    "allow_promotion_codes",
    "billing_address_collection",
    "branding_settings",
    "cancel_url",
    "client_reference_id",
    "client_secret",
    "collected_information",
    "consent",
    "consent_collection",
    "currency_conversion",
    "customer",
    "customer_account",
    "customer_creation",
    "customer_details",
    "customer_email",
    "integration_identifier",
    "invoice",
    "invoice_creation",
    "locale",
    "optional_items",
    "origin_context",
    "payment_intent",
    "payment_link",
    "payment_method_configuration_details",
    "permissions",
    "recovered_from",
    "saved_payment_method_options",
    "setup_intent",
    "shipping_cost",
    "submit_type",
    "subscription",
    "success_url",
];

pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&UNSUPPORTED)?;
    params.accept(&IGNORED);
    let mode = mode(&mut params)?;
    let expires_at = expires_at(tx, &mut params)?;
    let subscription_data = subscriptions::create::checkout_data(tx, &mut params)?;
    let is_trial = subscriptions::trials::end_from_now(tx, &subscription_data["trial"]).is_some();
    let mut cart = match mode {
        Mode::Setup => Cart::empty(&mut params)?,
        _ => priced(tx, &mut params, mode, is_trial)?,
    };
    let intent_data = payments::intent_data(&mut params)?;
    let mut session = blank(tx, &cart, expires_at, mode);
    apply_customer(tx, &mut session, &mut params)?;
    apply_settings(&mut session, &mut params)?;
    let keeps_address = address::taken(&session, &mut params)?;
    let redemptions = match mode {
        Mode::Setup => {
            setups::begin_session(tx, &mut session, &mut params)?;
            Vec::new()
        }
        _ => amounts::take(tx, &mut session, &mut cart.items, &mut params)?,
    };
    params.finish()?;
    let hidden = json!({
        "keeps_address": keeps_address, "line_items": cart.items, "payment_intent_data": intent_data,
        "redemptions": redemptions, "subscription_data": subscription_data,
    });
    tx.insert(&session, &hidden)?;
    tx.set_alarm(&session, expires_at * 1000)?;
    Ok(session)
}

/// What belongs to another mode is refused, so that it is not thought to have had an effect.
fn mode(params: &mut Params) -> Answer<Mode> {
    let (mode, foreign): (_, &[&str]) = match params.required("mode")?.as_str() {
        "payment" => (Mode::Payment, &["subscription_data", "setup_intent_data"]),
        "setup" => (Mode::Setup, &["line_items", "payment_intent_data", "subscription_data", "submit_type"]),
        "subscription" => (
            Mode::Subscription,
            &["payment_intent_data", "setup_intent_data", "customer_creation", "submit_type"],
        ),
        _ => {
            let message = "Invalid mode: must be one of payment, setup, subscription";
            return Err(Failure::invalid(message).param("mode"));
        }
    };
    match foreign.iter().find(|name| params.has(name)) {
        Some(name) => {
            let message = format!("You can not pass `{name}` in `{}` mode.", mode.name());
            Err(Failure::invalid(message).param(*name))
        }
        None => Ok(mode),
    }
}

fn expires_at(tx: &Tx, params: &mut Params) -> Answer<i64> {
    let Some(at) = params.integer("expires_at")? else { return Ok(tx.now() + LONGEST_SECONDS) };
    let message = match at - tx.now() {
        ..SHORTEST_SECONDS => "The `expires_at` timestamp must be at least 30 minutes from now.",
        SHORTEST_SECONDS..=LONGEST_SECONDS => return Ok(at),
        _ => "The `expires_at` timestamp must be less than 24 hours from now.",
    };
    Err(Failure::invalid(message).param("expires_at"))
}

fn apply_customer(tx: &Tx, session: &mut Value, params: &mut Params) -> Answer<()> {
    let creation = params.one_of("customer_creation", &["always", "if_required"])?;
    match (params.text("customer")?, params.text("customer_email")?) {
        (Some(_), Some(_)) => {
            return Err(Failure::invalid("Pass only one of customer and customer_email."));
        }
        (Some(id), None) => {
            let customer = tx.reference("customer", &id, "customer")?;
            session["customer"] = json!(id);
            session["customer_details"] = customer_details(&customer);
        }
        (None, email) => {
            // A subscription is somebody's.
            let usual = if is_subscription(session) { "always" } else { "if_required" };
            session["customer_creation"] = json!(creation.as_deref().unwrap_or(usual));
            session["customer_details"] = email.as_ref().map_or(Value::Null, |_| {
                let mut details = customer_details(&Value::Null);
                details["email"] = json!(email);
                details
            });
            session["customer_email"] = json!(email);
        }
    }
    Ok(())
}

pub fn customer_details(customer: &Value) -> Value {
    json!({
        "address": customer["address"],
        "business_name": customer["business_name"],
        "email": customer["email"],
        "individual_name": customer["individual_name"],
        "name": customer["name"],
        "phone": customer["phone"],
        "tax_exempt": customer["tax_exempt"].as_str().unwrap_or("none"),
        "tax_ids": null,
    })
}

fn apply_settings(session: &mut Value, params: &mut Params) -> Answer<()> {
    params.one_of("ui_mode", &["hosted_page", "hosted"])?;
    session["success_url"] =
        json!(params.web_address("success_url")?.ok_or_else(|| Failure::missing_param("success_url"))?);
    session["cancel_url"] = json!(params.web_address("cancel_url")?);
    let reference = params.text("client_reference_id")?;
    if reference.as_ref().is_some_and(|reference| reference.chars().count() > 200) {
        let failure = Failure::invalid("client_reference_id can have up to 200 characters.");
        return Err(failure.param("client_reference_id"));
    }
    session["client_reference_id"] = json!(reference);
    for name in ECHOED {
        if let Some(text) = params.text(name)? {
            session[name] = json!(text);
        }
    }
    if let Some(allowed) = params.boolean("allow_promotion_codes")? {
        session["allow_promotion_codes"] = json!(allowed);
    }
    if let Some(collection) = params.one_of("payment_method_collection", &["always", "if_required"])? {
        session["payment_method_collection"] = json!(collection);
    }
    if let Some(types) = means::offered(params, session["currency"].as_str().unwrap_or_default())? {
        session["payment_method_types"] = json!(types);
    }
    apply_tax(session, params)?;
    session["metadata"] = params.metadata(Value::Null)?;
    Ok(())
}

fn apply_tax(session: &mut Value, params: &mut Params) -> Answer<()> {
    if tax::wanted(params)? == Some(true) {
        session["automatic_tax"] = json!({
            "enabled": true,
            "liability": {"type": "self"},
            "provider": "stripe",
            "status": "requires_location_inputs",
        });
    }
    if let Some(mut collection) = params.section("tax_id_collection")? {
        collection.accept(&["required"]);
        let enabled = collection.boolean("enabled")?.unwrap_or(false);
        session["tax_id_collection"] = json!({"enabled": enabled, "required": "never"});
        collection.finish()?;
    }
    Ok(())
}

fn blank(tx: &Tx, cart: &Cart, expires_at: i64, mode: Mode) -> Value {
    let id = ids::fresh("cs_test");
    let mut session = json!({
        "object": KIND,
        "adaptive_pricing": {"enabled": false},
        "amount_subtotal": cart.total,
        "amount_total": cart.total,
        "automatic_tax": {"enabled": false, "liability": null, "provider": null, "status": null},
        "created": tx.now(),
        "currency": cart.currency,
        "custom_fields": [],
        "custom_text": {
            "after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null,
        },
        "discounts": [],
        "expires_at": expires_at,
        "livemode": false,
        "metadata": {},
        "mode": mode.name(),
        "payment_method_collection": if mode == Mode::Subscription { "always" } else { "if_required" },
        "payment_method_options": {},
        "payment_method_types": means::AUTOMATIC,
        "payment_status": if cart.total == 0 { "no_payment_required" } else { "unpaid" },
        "phone_number_collection": {"enabled": false},
        "shipping_options": [],
        "status": "open",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": format!("{}/c/pay/{id}", tx.public_url),
        "id": id,
    });
    for name in NULL_AT_FIRST {
        session[name] = Value::Null;
    }
    session
}

pub fn is_setup(session: &Value) -> bool {
    session["mode"] == json!("setup")
}

pub fn is_subscription(session: &Value) -> bool {
    session["mode"] == json!("subscription")
}

/// The intent a session is paid with; where it pays an invoice, the session does not show it.
pub fn intent_id(tx: &Tx, session: &Value) -> Answer<Option<String>> {
    if !is_subscription(session) {
        return Ok(session["payment_intent"].as_str().map(str::to_owned));
    }
    let hidden = tx.hidden(KIND, id_of(session))?;
    Ok(hidden["payment_intent"].as_str().map(str::to_owned))
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of(KIND);
    query.customer(call.tx, &mut params)?;
    query.equal("payment_intent", params.text("payment_intent")?);
    query.equal("subscription", params.text("subscription")?);
    query.equal("payment_link", params.text("payment_link")?);
    query.equal("status", params.one_of("status", &["complete", "expired", "open"])?);
    if let Some(mut details) = params.section("customer_details")? {
        query.equal("customer_details.email", details.text("email")?);
        details.finish()?;
    }
    query.created(&mut params)?;
    query.page(call.tx, params, URL)
}

pub fn update(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut session = call.tx.get(KIND, call.id)?;
    session["metadata"] = params.metadata(session["metadata"].take())?;
    params.finish()?;
    call.tx.save(&session)?;
    Ok(session)
}

/// The shop ends a session that nobody has paid.
pub fn expire(call: Call) -> Answer<Value> {
    call.params.finish()?;
    let session = call.tx.get(KIND, call.id)?;
    match session["status"].as_str() {
        Some("open") => end(call.tx, session),
        status => {
            let status = status.unwrap_or("unknown");
            let message = format!("Only an open Checkout Session can be expired; this one is {status}.");
            Err(Failure::conflict(message).param("session"))
        }
    }
}

/// Its time has come.
pub fn expire_on_time(tx: &Tx, id: &str) -> Answer<()> {
    let session = tx.get(KIND, id)?;
    if session["status"] == json!("open") {
        end(tx, session)?;
    }
    Ok(())
}

fn end(tx: &Tx, mut session: Value) -> Answer<Value> {
    if let Some(intent) = intent_id(tx, &session)? {
        payments::cancel(tx, &intent)?;
    }
    if let Some(intent) = session["setup_intent"].as_str() {
        setups::give_up(tx, tx.get(setups::KIND, intent)?, None)?;
    }
    session["status"] = json!("expired");
    session["url"] = Value::Null;
    tx.save(&session)?;
    tx.clear_alarm(&session)?;
    tx.emit("checkout.session.expired", &session)?;
    Ok(session)
}

pub fn list_line_items(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let limit = params.integer_from("limit", 1)?.unwrap_or(10);
    let after = params.text("starting_after")?;
    params.finish()?;
    let session = call.tx.get(KIND, call.id)?;
    line_item_page(call.tx, &session, limit, after.as_deref())
}

pub fn line_items(tx: &Tx, session: &Value) -> Answer<Value> {
    line_item_page(tx, session, 10, None)
}

fn line_item_page(tx: &Tx, session: &Value, limit: i64, after: Option<&str>) -> Answer<Value> {
    let hidden = tx.hidden(KIND, id_of(session))?;
    let items = hidden["line_items"].as_array().map(Vec::as_slice).unwrap_or_default();
    slice(items, limit, after, &format!("{URL}/{}/line_items", id_of(session)))
}
