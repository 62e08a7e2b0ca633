//! `/v1/billing_portal/sessions`: a customer's short-lived way into the portal.

use serde_json::{Value, json};

use super::{configurations, flows};
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::params::Params;
use crate::tx::{Tx, id_of};

pub const KIND: &str = "billing_portal.session";
/// How long its address is good for before anybody has been there, and since somebody was.
const UNSEEN_FOR: i64 = 5 * 60;
const IDLE_FOR: i64 = 60 * 60;

pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&["after_expiration", "customer_account", "on_behalf_of"])?;
    let customer = params.required("customer")?;
    tx.reference("customer", &customer, "customer")?;
    let wanted = params.text("configuration")?;
    let configuration = configurations::for_session(tx, wanted.as_deref())?;
    let flow = match params.section("flow_data")? {
        Some(section) => flows::flow(tx, section, &configuration, &customer)?,
        None => Value::Null,
    };
    let return_url = params
        .web_address("return_url")?
        .map_or_else(|| configuration["default_return_url"].clone(), Value::String);
    let id = ids::fresh("bps");
    let session = json!({
        "object": KIND,
        "configuration": id_of(&configuration),
        "created": tx.now(),
        "customer": customer,
        "customer_account": null,
        "flow": flow,
        "livemode": false,
        "locale": params.text("locale")?,
        "on_behalf_of": null,
        "return_url": return_url,
        "url": format!("{}/p/session/{id}", tx.public_url),
        "id": id,
    });
    params.finish()?;
    tx.insert(&session, &json!({"seen_at": null, "is_done": false}))?;
    tx.emit("billing_portal.session.created", &session)?;
    Ok(session)
}

/// A plain one, with the default configuration.
pub fn open(tx: &Tx, customer: &str) -> Answer<Value> {
    let mut params = Params::default();
    params.put("customer", customer);
    create(Call { tx, id: "", params })
}

/// A session as its page needs it.
pub struct Visit {
    pub session: Value,
    pub configuration: Value,
    pub customer: Value,
    /// Whether the one thing that its flow is for has been done.
    pub is_done: bool,
}

pub enum Arrival {
    Welcome(Box<Visit>),
    /// With where the shop wants its customers back.
    Expired {
        return_url: Value,
    },
}

/// Somebody comes by its address, which keeps it good for another hour.
pub fn arrive(tx: &Tx, id: &str) -> Answer<Arrival> {
    let session = tx.find(KIND, id)?.ok_or_else(|| Failure::no_such("portal session", id))?;
    let mut hidden = tx.hidden(KIND, id)?;
    let good_until = match hidden["seen_at"].as_i64() {
        Some(seen_at) => seen_at + IDLE_FOR,
        None => session["created"].as_i64().unwrap_or(0) + UNSEEN_FOR,
    };
    let customer = tx.get("customer", session["customer"].as_str().unwrap_or_default())?;
    if tx.now() >= good_until || customer["deleted"] == json!(true) {
        return Ok(Arrival::Expired { return_url: session["return_url"].clone() });
    }
    hidden["seen_at"] = json!(tx.now());
    tx.save_hidden(&session, &hidden)?;
    let configuration =
        tx.get(configurations::KIND, session["configuration"].as_str().unwrap_or_default())?;
    let is_done = hidden["is_done"] == json!(true);
    Ok(Arrival::Welcome(Box::new(Visit { session, configuration, customer, is_done })))
}

pub fn mark_done(tx: &Tx, session: &Value) -> Answer<()> {
    let mut hidden = tx.hidden(KIND, id_of(session))?;
    hidden["is_done"] = json!(true);
    tx.save_hidden(session, &hidden)
}

impl Visit {
    pub fn feature(&self, name: &str) -> &Value {
        &self.configuration["features"][name]
    }

    pub fn may(&self, feature: &str) -> bool {
        self.feature(feature)["enabled"] == json!(true)
    }

    /// What is refused where the configuration does not have it.
    pub fn demand(&self, feature: &str) -> Answer<()> {
        if self.may(feature) {
            return Ok(());
        }
        Err(Failure::conflict(format!("The feature {feature} is disabled in this portal's configuration.")))
    }

    pub fn customer_id(&self) -> &str {
        id_of(&self.customer)
    }

    /// The one thing that this session is for, while it is still to be done.
    pub fn open_flow(&self) -> Option<&Value> {
        Some(&self.session["flow"]).filter(|flow| !flow.is_null() && !self.is_done)
    }
}
