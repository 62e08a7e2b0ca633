//! What the payments of its invoices make of a subscription.

use serde_json::{Value, json};

use super::{KIND, end, update};
use crate::failure::Answer;
use crate::invoices;
use crate::list::Query;
use crate::tx::{Tx, id_of};

/// The latest invoice decides: paid, it lifts whatever older ones have brought about.
pub fn invoice_paid(tx: &Tx, invoice: &Value) -> Answer<()> {
    let before = tx.get(KIND, invoices::subscription_id(invoice))?;
    let waits = matches!(before["status"].as_str(), Some("incomplete" | "past_due"));
    if !waits || latest_is(tx, &before, "open")? {
        return Ok(());
    }
    set_status(tx, &before, "active")
}

fn latest_is(tx: &Tx, subscription: &Value, status: &str) -> Answer<bool> {
    let latest = tx.find(invoices::KIND, subscription["latest_invoice"].as_str().unwrap_or_default())?;
    Ok(latest.is_some_and(|invoice| invoice["status"] == json!(status)))
}

/// A first invoice that fails leaves its subscription incomplete; a later one makes it past due, and
/// ends it when no attempt is left.
pub fn invoice_failed(tx: &Tx, invoice: &Value, exhausted: bool) -> Answer<()> {
    let mut before = tx.get(KIND, invoices::subscription_id(invoice))?;
    match before["status"].as_str() {
        Some("active" | "trialing") if !latest_is(tx, &before, "paid")? => {
            set_status(tx, &before, "past_due")
        }
        Some("past_due") if exhausted => {
            before["cancellation_details"]["reason"] = json!("payment_failed");
            end(tx, before).map(drop)
        }
        _ => Ok(()),
    }
}

/// Nobody owes a voided invoice.
pub fn invoice_voided(tx: &Tx, invoice: &Value) -> Answer<()> {
    let before = tx.get(KIND, invoices::subscription_id(invoice))?;
    if before["latest_invoice"] != invoice["id"] {
        return Ok(());
    }
    match before["status"].as_str() {
        Some("incomplete") => expire_incomplete(tx, &before),
        Some("past_due") => set_status(tx, &before, "active"),
        _ => Ok(()),
    }
}

/// Nobody has paid its first invoice in time.
pub fn expire_incomplete(tx: &Tx, before: &Value) -> Answer<()> {
    let mut after = before.clone();
    after["ended_at"] = json!(tx.now());
    after["status"] = json!("incomplete_expired");
    update(tx, before, &after)?;
    let mut open = Query::of(invoices::KIND);
    open.equal("parent.subscription_details.subscription", Some(id_of(before).to_owned()));
    open.equal("status", Some("open".to_owned()));
    open.all(tx)?.into_iter().try_for_each(|invoice| invoices::annul(tx, invoice).map(drop))
}

fn set_status(tx: &Tx, before: &Value, status: &str) -> Answer<()> {
    let mut after = before.clone();
    after["status"] = json!(status);
    update(tx, before, &after)
}
