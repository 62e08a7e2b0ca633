//! What the portal's page is made from.

use serde_json::{Value, json};

use crate::failure::Answer;
use crate::invoices;
use crate::list::Query;
use crate::methods;
use crate::params::Params;
use crate::portal::cards::{self, Waiting};
use crate::portal::changes::{self, Proposal};
use crate::portal::offers::{self, Offer};
use crate::portal::sessions::Visit;
use crate::subscriptions;
use crate::tx::{Tx, id_of};

const MOST_INVOICES: usize = 30;

pub struct View {
    pub visit: Visit,
    pub running: Vec<Running>,
    pub default_method: Option<Value>,
    pub invoices: Vec<Value>,
    /// A card that is not saved before its bank has been answered.
    pub waiting: Option<Waiting>,
    /// A change of plan to be confirmed.
    pub proposal: Option<Proposal>,
}

/// A subscription that has not ended.
pub struct Running {
    pub subscription: Value,
    /// Of its products.
    pub name: String,
    /// Its own payment method, where it has one.
    pub method: Option<Value>,
    pub offers: Vec<Offer>,
    pub next: Option<Next>,
    /// The latest invoice, if it waits to be paid.
    pub unpaid: Option<Value>,
}

/// What a schedule will make of a subscription.
pub struct Next {
    pub at: Value,
    pub price: Value,
    pub name: String,
    pub quantity: i64,
}

pub fn view(tx: &Tx, visit: Visit, asked: Option<Params>) -> Answer<View> {
    let mut query = Query::of(subscriptions::KIND);
    query.equal("customer", Some(visit.customer_id().to_owned()));
    let alive = query.all(tx)?.into_iter().filter(|it| !subscriptions::has_ended(it));
    let running = alive.map(|it| running(tx, &visit, it)).collect::<Answer<Vec<_>>>()?;
    let default = visit.customer["invoice_settings"]["default_payment_method"].as_str();
    let default_method = default.map(|id| tx.find(methods::KIND, id)).transpose()?.flatten();
    let invoices = finalized_invoices(tx, visit.customer_id())?;
    let waiting = cards::waiting(tx, &visit)?;
    let proposal = match asked {
        Some(fields) => Some(changes::propose(tx, &visit, fields)?),
        // What a shop proposed may have become impossible since.
        None => by_flow(&visit).and_then(|fields| changes::propose(tx, &visit, fields).ok()),
    };
    Ok(View { visit, running, default_method, invoices, waiting, proposal })
}

fn by_flow(visit: &Visit) -> Option<Params> {
    let about = &visit.open_flow()?["subscription_update_confirm"];
    let mut fields = Params::default();
    fields.put("subscription", about["subscription"].as_str()?);
    if let Some(price) = about["items"][0]["price"].as_str() {
        fields.put("price", price);
    }
    if let Some(quantity) = about["items"][0]["quantity"].as_i64() {
        fields.put("quantity", &quantity.to_string());
    }
    Some(fields)
}

fn running(tx: &Tx, visit: &Visit, subscription: Value) -> Answer<Running> {
    let items = subscription["items"]["data"].as_array().into_iter().flatten();
    let names = items.map(|item| product_name(tx, &item["price"])).collect::<Answer<Vec<_>>>()?;
    let method = subscription["default_payment_method"].as_str();
    let method = method.map(|id| tx.find(methods::KIND, id)).transpose()?.flatten();
    let offers = match visit.may("subscription_update") {
        true => offers::of(tx, &visit.configuration, &subscription)?,
        false => Vec::new(),
    };
    let latest = tx.find(invoices::KIND, subscription["latest_invoice"].as_str().unwrap_or_default())?;
    let unpaid = latest.filter(|invoice| invoice["status"] == json!("open"));
    let next = next(tx, &subscription)?;
    Ok(Running { name: names.join(", "), subscription, method, offers, next, unpaid })
}

fn next(tx: &Tx, subscription: &Value) -> Answer<Option<Next>> {
    let Some(id) = subscription["schedule"].as_str() else { return Ok(None) };
    let schedule = tx.find("subscription_schedule", id)?.unwrap_or_default();
    let mut phases = schedule["phases"].as_array().into_iter().flatten();
    let later = |phase: &&Value| phase["start_date"].as_i64().is_some_and(|start| start > tx.now());
    let Some(phase) = phases.find(later) else { return Ok(None) };
    let item = &phase["items"][0];
    let price = tx.find("price", item["price"].as_str().unwrap_or_default())?.unwrap_or_default();
    Ok(Some(Next {
        at: phase["start_date"].clone(),
        name: product_name(tx, &price)?,
        quantity: item["quantity"].as_i64().unwrap_or(1),
        price,
    }))
}

fn product_name(tx: &Tx, price: &Value) -> Answer<String> {
    let product = tx.find("product", price["product"].as_str().unwrap_or_default())?;
    let name = product.and_then(|product| product["name"].as_str().map(str::to_owned));
    Ok(name.unwrap_or_else(|| "Subscription".to_owned()))
}

/// A draft is nothing to a customer yet.
fn finalized_invoices(tx: &Tx, customer: &str) -> Answer<Vec<Value>> {
    let mut query = Query::of(invoices::KIND);
    query.equal("customer", Some(customer.to_owned()));
    let seen = query.all(tx)?.into_iter().filter(|invoice| invoice["status"] != json!("draft"));
    Ok(seen.take(MOST_INVOICES).collect())
}

impl View {
    pub fn home(&self) -> String {
        format!("/p/session/{}", id_of(&self.visit.session))
    }

    pub fn action(&self, deed: &str) -> String {
        format!("{}/{deed}", self.home())
    }
}
