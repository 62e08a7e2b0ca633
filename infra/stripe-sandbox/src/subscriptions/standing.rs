//! What the payments of its invoices make of a subscription.

use serde_json::{Value, json};

use super::{KIND, end, pausing, update};
use crate::failure::Answer;
use crate::invoices;
use crate::list::Query;
use crate::settings;
use crate::tx::{Tx, id_of};

/// The latest invoice decides: paid, it lifts whatever older ones have brought about.
pub fn invoice_paid(tx: &Tx, invoice: &Value) -> Answer<()> {
    let before = tx.get(KIND, invoices::subscription_id(invoice))?;
    match before["status"].as_str() {
        Some("incomplete" | "past_due") if !latest_is(tx, &before, "open")? => {
            set_status(tx, &before, "active")
        }
        Some("unpaid") if is_latest(&before, invoice) => set_status(tx, &before, "active"),
        Some("paused") if is_latest(&before, invoice) => pausing::go_on(tx, &before, "active"),
        _ => Ok(()),
    }
}

fn is_latest(subscription: &Value, invoice: &Value) -> bool {
    subscription["latest_invoice"] == invoice["id"]
}

fn latest_is(tx: &Tx, subscription: &Value, status: &str) -> Answer<bool> {
    let latest = tx.find(invoices::KIND, subscription["latest_invoice"].as_str().unwrap_or_default())?;
    Ok(latest.is_some_and(|invoice| invoice["status"] == json!(status)))
}

/// A bank is asked for it, and answers in some days; until it says no, the subscription counts as paid for.
pub fn invoice_processing(tx: &Tx, invoice: &Value) -> Answer<()> {
    let before = tx.get(KIND, invoices::subscription_id(invoice))?;
    match before["status"].as_str() {
        Some("incomplete") => set_status(tx, &before, "active"),
        Some("paused") if is_latest(&before, invoice) => pausing::payment_processing(tx, &before),
        _ => Ok(()),
    }
}

/// A first invoice that fails leaves its subscription incomplete; a later one makes it past due, until no
/// attempt is left.
pub fn invoice_failed(tx: &Tx, invoice: &Value, exhausted: bool) -> Answer<()> {
    let before = tx.get(KIND, invoices::subscription_id(invoice))?;
    match before["status"].as_str() {
        Some("active" | "trialing") if !latest_is(tx, &before, "paid")? => {
            set_status(tx, &before, "past_due")
        }
        Some("paused") if is_latest(&before, invoice) && invoice["attempted"] == json!(true) => {
            pausing::payment_failed(tx, &before, exhausted)
        }
        Some("past_due") if exhausted => give_up(tx, before),
        _ => Ok(()),
    }
}

/// What becomes of a subscription that nobody pays for is a choice of the account's.
fn give_up(tx: &Tx, mut before: Value) -> Answer<()> {
    match settings::chosen(tx, &settings::AFTER_RETRIES)? {
        "past_due" => Ok(()),
        "unpaid" => set_status(tx, &before, "unpaid"),
        _ => {
            before["cancellation_details"]["reason"] = json!("payment_failed");
            end(tx, before).map(drop)
        }
    }
}

/// Nobody owes a voided invoice.
pub fn invoice_voided(tx: &Tx, invoice: &Value) -> Answer<()> {
    let before = tx.get(KIND, invoices::subscription_id(invoice))?;
    if !is_latest(&before, invoice) {
        return Ok(());
    }
    match before["status"].as_str() {
        Some("incomplete") => expire_incomplete(tx, &before),
        Some("past_due" | "unpaid") => set_status(tx, &before, "active"),
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
