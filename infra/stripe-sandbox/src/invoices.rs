//! `/v1/invoices`: what subscriptions bill. How an invoice comes about is in `issue`, how it is paid in `collect`.

pub mod collect;
pub mod issue;
pub mod lines;
pub mod payments;
mod totals;

use serde_json::{Value, json};

use self::collect::Asked;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::list::{Query, slice};
use crate::methods;
use crate::pay::Payment;
use crate::payments as intents;
use crate::subscriptions;
use crate::tx::{Reply, Tx, id_of};

pub const KIND: &str = "invoice";
const URL: &str = "/v1/invoices";

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of(KIND);
    query.customer(call.tx, &mut params)?;
    if let Some(id) = params.text("subscription")? {
        call.tx.reference(subscriptions::KIND, &id, "subscription")?;
        query.equal("parent.subscription_details.subscription", Some(id));
    }
    query.equal("status", params.one_of("status", &["draft", "open", "paid", "uncollectible", "void"])?);
    let collections = ["charge_automatically", "send_invoice"];
    query.equal("collection_method", params.one_of("collection_method", &collections)?);
    query.created(&mut params)?;
    query.page(call.tx, params, URL)
}

pub fn list_lines(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let limit = params.integer_from("limit", 1)?.unwrap_or(10);
    let after = params.text("starting_after")?;
    params.finish()?;
    let invoice = call.tx.get(KIND, call.id)?;
    let lines = invoice["lines"]["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    slice(lines, limit, after.as_deref(), &format!("{URL}/{}/lines", call.id))
}

/// Pays at once, with the method given or with the one that renewals are charged to.
pub fn pay(call: Call) -> Answer<Reply> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&["forgive", "mandate", "source"])?;
    if params.boolean("off_session")? == Some(false) {
        let message = "The Stripe sandbox pays an invoice by request in its customer's absence only.";
        return Err(Failure::invalid(message).param("off_session"));
    }
    let elsewhere = params.boolean("paid_out_of_band")? == Some(true);
    let chosen = params.text("payment_method")?;
    params.finish()?;
    let mut invoice = tx.get(KIND, call.id)?;
    // Paying a draft is the first attempt of its schedule.
    let mut asked = Asked::ByRequest;
    match invoice["status"].as_str() {
        Some("draft") => {
            invoice = issue::finalize(tx, invoice, None)?;
            asked = Asked::OnSchedule;
        }
        Some("open" | "uncollectible") => {}
        Some("paid") => return Err(Failure::conflict("Invoice is already paid")),
        status => return Err(unpayable(status)),
    }
    if invoice["status"] == json!("paid") {
        return Ok(Reply::from(invoice));
    }
    check_not_processing(tx, &invoice)?;
    if elsewhere {
        return collect::mark_paid_elsewhere(tx, invoice).map(Reply::from);
    }
    let method = match chosen {
        Some(id) => {
            let customer = invoice["customer"].as_str().unwrap_or_default();
            Some(methods::of_customer(tx, &id, customer, "payment_method")?)
        }
        None => collect::method_for(tx, &invoice)?,
    };
    let method = method.ok_or_else(no_method)?;
    let id = id_of(&invoice).to_owned();
    Ok(match collect::charge(tx, invoice, Some(method), asked)? {
        Some(error) => Reply { status: 402, body: json!({"error": error}) },
        None => Reply::from(tx.get(KIND, &id)?),
    })
}

/// A person pays it on its page.
pub fn pay_by_hand(tx: &Tx, id: &str, payment: &Payment) -> Answer<Reply> {
    let invoice = tx.get(KIND, id)?;
    match invoice["status"].as_str() {
        Some("open" | "uncollectible") => check_not_processing(tx, &invoice)?,
        Some("paid") => return Err(Failure::conflict("Invoice is already paid")),
        status => return Err(unpayable(status)),
    }
    let intent = payments::intent_of(tx, &invoice)?;
    let means = payment.means()?;
    let wanted = json!(means.method_type());
    if !intent["payment_method_types"].as_array().is_some_and(|types| types.contains(&wanted)) {
        return Err(Failure::conflict(format!("This invoice cannot be paid by {wanted}.")));
    }
    // Whoever authenticates comes back to the invoice.
    let mut hidden = tx.hidden(intents::KIND, id_of(&intent))?;
    hidden["return_url"] = invoice["hosted_invoice_url"].clone();
    tx.save_hidden(&intent, &hidden)?;
    let customer = tx.get("customer", invoice["customer"].as_str().unwrap_or_default())?;
    let method = methods::insert(tx, means, &Value::Null, &customer)?;
    Ok(match collect::charge(tx, invoice, Some(method), Asked::ByPayer)? {
        Some(error) => Reply { status: 402, body: json!({"error": error}) },
        None => Reply::from(tx.get(intents::KIND, id_of(&intent))?),
    })
}

pub fn void(call: Call) -> Answer<Value> {
    call.params.finish()?;
    let invoice = call.tx.get(KIND, call.id)?;
    if !matches!(invoice["status"].as_str(), Some("open" | "uncollectible")) {
        return Err(Failure::conflict("You can only void open or uncollectible invoices."));
    }
    check_not_processing(call.tx, &invoice)?;
    let invoice = annul(call.tx, invoice)?;
    subscriptions::standing::invoice_voided(call.tx, &invoice)?;
    Ok(invoice)
}

/// As if it had never been issued.
pub fn annul(tx: &Tx, mut invoice: Value) -> Answer<Value> {
    payments::cancel(tx, &invoice)?;
    invoice["auto_advance"] = json!(false);
    invoice["next_payment_attempt"] = Value::Null;
    invoice["status"] = json!("void");
    invoice["status_transitions"]["voided_at"] = json!(tx.now());
    tx.save(&invoice)?;
    tx.clear_alarm(&invoice)?;
    tx.emit("invoice.voided", &invoice)?;
    Ok(invoice)
}

/// Drafts and open invoices of a subscription that has ended are collected by nobody any more.
pub fn stop_collecting(tx: &Tx, subscription: &str) -> Answer<()> {
    let mut query = Query::of(KIND);
    query.equal("parent.subscription_details.subscription", Some(subscription.to_owned()));
    query.any_of("status", Some(vec!["draft".into(), "open".into()]));
    for before in query.all(tx)? {
        let mut invoice = before.clone();
        invoice["auto_advance"] = json!(false);
        invoice["automatically_finalizes_at"] = Value::Null;
        invoice["next_payment_attempt"] = Value::Null;
        tx.update(&before, &invoice, "invoice.updated")?;
        tx.clear_alarm(&invoice)?;
    }
    Ok(())
}

pub fn subscription_id(invoice: &Value) -> &str {
    invoice["parent"]["subscription_details"]["subscription"].as_str().unwrap_or_default()
}

/// While a bank is asked, nobody knows whether anything is still owed.
pub fn check_not_processing(tx: &Tx, invoice: &Value) -> Answer<()> {
    match is_processing(tx, invoice)? {
        true => Err(Failure::conflict("This invoice has a payment that is still processing.")),
        false => Ok(()),
    }
}

pub fn is_processing(tx: &Tx, invoice: &Value) -> Answer<bool> {
    let intent = payments::open_intent_of(tx, invoice)?;
    Ok(intent.is_some_and(|intent| intent["status"] == json!("processing")))
}

fn unpayable(status: Option<&str>) -> Failure {
    let status = status.unwrap_or("unknown");
    Failure::conflict(format!("This invoice can no longer be paid; it is {status}."))
}

fn no_method() -> Failure {
    let message = "There is no default payment method on this customer, subscription or invoice.";
    Failure::conflict(message).code("resource_missing")
}
