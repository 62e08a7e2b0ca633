//! `/v1/billing_portal/configurations`.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::features;
use crate::Sandbox;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
use crate::params::Params;
use crate::server::shopper_reply;
use crate::tx::{Cause, Reply, Tx, id_of};

pub const KIND: &str = "billing_portal.configuration";
const URL: &str = "/v1/billing_portal/configurations";

pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let Some(section) = params.section("features")? else { return Err(Failure::missing_param("features")) };
    let mut configuration = blank(tx);
    let mut products = Value::Null;
    features::apply(tx, &mut configuration["features"], &mut products, section, true)?;
    apply(&mut configuration, &mut params)?;
    params.finish()?;
    insert(tx, &configuration, products)?;
    Ok(configuration)
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    get(call.tx, call.id)
}

pub fn update(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let before = get(tx, call.id)?;
    let mut after = before.clone();
    let mut products = products(tx, call.id)?;
    if let Some(section) = params.section("features")? {
        features::apply(tx, &mut after["features"], &mut products, section, false)?;
    }
    if let Some(active) = params.boolean("active")? {
        if !active && before["is_default"] == json!(true) {
            let message = "The default configuration cannot be deactivated.";
            return Err(Failure::conflict(message).param("active"));
        }
        after["active"] = json!(active);
    }
    apply(&mut after, &mut params)?;
    params.finish()?;
    after["updated"] = json!(tx.now());
    tx.save_hidden(&after, &json!({"products": products}))?;
    tx.update(&before, &after, "billing_portal.configuration.updated")?;
    Ok(after)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of(KIND);
    query.is("active", params.boolean("active")?);
    query.is("is_default", params.boolean("is_default")?);
    query.page(call.tx, params, URL)
}

/// What is only shown when it is expanded.
pub fn products(tx: &Tx, id: &str) -> Answer<Value> {
    Ok(tx.hidden(KIND, id)?["products"].take())
}

fn default(tx: &Tx) -> Answer<Option<Value>> {
    let mut query = Query::of(KIND);
    query.is("is_default", Some(true));
    Ok(query.all(tx)?.into_iter().next())
}

/// Somebody saves the portal's settings in the dashboard, which is what makes the default configuration.
pub async fn save_default(State(sandbox): State<Sandbox>) -> Response {
    shopper_reply(sandbox.transact(Cause::default(), ensure_default).map(Reply::from))
}

pub fn ensure_default(tx: &Tx) -> Answer<Value> {
    match default(tx)? {
        Some(configuration) => Ok(configuration),
        None => create_default(tx),
    }
}

fn create_default(tx: &Tx) -> Answer<Value> {
    let mut configuration = blank(tx);
    let features = &mut configuration["features"];
    features["customer_update"] =
        json!({"allowed_updates": ["name", "email", "address", "phone"], "enabled": true});
    for name in ["invoice_history", "payment_method_update", "subscription_cancel"] {
        features[name]["enabled"] = json!(true);
    }
    configuration["is_default"] = json!(true);
    insert(tx, &configuration, Value::Null)?;
    Ok(configuration)
}

fn get(tx: &Tx, id: &str) -> Answer<Value> {
    tx.find(KIND, id)?.ok_or_else(|| Failure::no_such("configuration", id))
}

fn insert(tx: &Tx, configuration: &Value, products: Value) -> Answer<()> {
    tx.insert(configuration, &json!({"products": products}))?;
    tx.emit("billing_portal.configuration.created", configuration)
}

fn blank(tx: &Tx) -> Value {
    json!({
        "id": ids::fresh("bpc"),
        "object": KIND,
        "active": true,
        "application": null,
        "business_profile": {"headline": null, "privacy_policy_url": null, "terms_of_service_url": null},
        "created": tx.now(),
        "default_return_url": null,
        "features": features::none(),
        "is_default": false,
        "livemode": false,
        "login_page": {"enabled": false, "url": null},
        "metadata": {},
        "name": null,
        "updated": tx.now(),
    })
}

fn apply(configuration: &mut Value, params: &mut Params) -> Answer<()> {
    if let Some(mut profile) = params.section("business_profile")? {
        for name in ["headline", "privacy_policy_url", "terms_of_service_url"] {
            if let Some(text) = clearable(&mut profile, name)? {
                configuration["business_profile"][name] = text;
            }
        }
        profile.finish()?;
    }
    for name in ["default_return_url", "name"] {
        if let Some(text) = clearable(params, name)? {
            configuration[name] = text;
        }
    }
    if let Some(mut login) = params.section("login_page")? {
        if login.boolean("enabled")? == Some(true) {
            return Err(Failure::unsupported_param(&login.full_name("enabled")));
        }
        login.finish()?;
    }
    configuration["metadata"] = params.metadata(configuration["metadata"].take())?;
    Ok(())
}

/// A text, or the address that something ending in `url` has to be; an empty one is null.
fn clearable(params: &mut Params, name: &str) -> Answer<Option<Value>> {
    if params.is_cleared(name) {
        params.accept(&[name]);
        return Ok(Some(Value::Null));
    }
    let text = if name.ends_with("url") { params.web_address(name)? } else { params.text(name)? };
    Ok(text.map(Value::String))
}

/// The configuration a session is made with.
pub fn for_session(tx: &Tx, wanted: Option<&str>) -> Answer<Value> {
    let Some(id) = wanted else {
        return default(tx)?.ok_or_else(|| {
            Failure::invalid(
                "No configuration provided and your test mode default configuration has not been created. \
                 Provide a configuration or create your default by saving your customer portal settings: \
                 in this sandbox by POST /_sandbox/portal/default.",
            )
        });
    };
    let found = tx.find(KIND, id)?;
    let configuration =
        found.ok_or_else(|| Failure::no_such_reference("configuration", id, "configuration"))?;
    if configuration["active"] != json!(true) {
        let message = format!("The portal configuration {} is not active.", id_of(&configuration));
        return Err(Failure::invalid(message).param("configuration"));
    }
    Ok(configuration)
}
