//! Invoice payments: which intent pays which invoice, now that neither names the other.

use serde_json::{Value, json};

use super::KIND as INVOICE;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
use crate::payments as intents;
use crate::tx::{Tx, id_of};

const KIND: &str = "invoice_payment";
const URL: &str = "/v1/invoice_payments";

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of(KIND);
    if let Some(invoice) = params.text("invoice")? {
        call.tx.reference(INVOICE, &invoice, "invoice")?;
        query.equal("invoice", Some(invoice));
    }
    if let Some(mut payment) = params.section("payment")? {
        let name = payment.full_name("type");
        let kind = payment.one_of("type", &["payment_intent"])?;
        query.equal("payment.type", Some(kind.ok_or_else(|| Failure::missing_param(&name))?));
        query.equal("payment.payment_intent", payment.text("payment_intent")?);
        payment.finish()?;
    }
    query.equal("status", params.one_of("status", &["canceled", "open", "paid"])?);
    query.created(&mut params)?;
    query.page(call.tx, params, URL)
}

/// What an invoice shows as `payments` when it is asked to.
pub fn of_invoice(tx: &Tx, invoice: &Value) -> Answer<Value> {
    let mut query = Query::of(KIND);
    query.equal("invoice", Some(id_of(invoice).to_owned()));
    let data = query.all(tx)?;
    Ok(json!({"object": "list", "data": data, "has_more": false, "url": URL}))
}

pub fn insert(tx: &Tx, invoice: &Value, intent: &str) -> Answer<()> {
    let payment = json!({
        "id": ids::fresh("inpay"),
        "object": KIND,
        "amount_paid": null,
        "amount_requested": invoice["amount_due"],
        "created": tx.now(),
        "currency": invoice["currency"],
        "invoice": id_of(invoice),
        "is_default": true,
        "livemode": false,
        "payment": {"payment_intent": intent, "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": null, "paid_at": null},
    });
    tx.insert(&payment, &Value::Null)
}

/// The invoice that an intent pays.
pub fn invoice_paid_with(tx: &Tx, intent: &str) -> Answer<Option<Value>> {
    let mut query = Query::of(KIND);
    query.equal("payment.payment_intent", Some(intent.to_owned()));
    match query.all(tx)?.first().and_then(|payment| payment["invoice"].as_str()) {
        Some(invoice) => tx.find(INVOICE, invoice),
        None => Ok(None),
    }
}

/// What a page needs to pay an invoice: `confirmation_secret`, null where nothing is to be paid.
pub fn confirmation_secret(tx: &Tx, invoice: &Value) -> Answer<Value> {
    Ok(match open_intent_of(tx, invoice)? {
        Some(intent) => json!({"client_secret": intent["client_secret"], "type": "payment_intent"}),
        None => Value::Null,
    })
}

/// The intent of an invoice of which something is due; every attempt uses the same one.
pub fn intent_of(tx: &Tx, invoice: &Value) -> Answer<Value> {
    open_intent_of(tx, invoice)?.ok_or_else(|| Failure::conflict("This invoice asks for no payment."))
}

/// That, or nothing.
pub fn open_intent_of(tx: &Tx, invoice: &Value) -> Answer<Option<Value>> {
    open_of(tx, invoice)?.map(|payment| tx.get(intents::KIND, intent_id(&payment))).transpose()
}

pub fn mark_paid(tx: &Tx, invoice: &Value) -> Answer<()> {
    let Some(mut payment) = open_of(tx, invoice)? else { return Ok(()) };
    payment["amount_paid"] = payment["amount_requested"].clone();
    payment["status"] = json!("paid");
    payment["status_transitions"]["paid_at"] = json!(tx.now());
    tx.save(&payment)?;
    tx.emit("invoice_payment.paid", &payment)
}

pub fn cancel(tx: &Tx, invoice: &Value) -> Answer<()> {
    let Some(mut payment) = open_of(tx, invoice)? else { return Ok(()) };
    payment["status"] = json!("canceled");
    payment["status_transitions"]["canceled_at"] = json!(tx.now());
    tx.save(&payment)?;
    intents::give_up(tx, intent_id(&payment), Some("void_invoice")).map(drop)
}

fn open_of(tx: &Tx, invoice: &Value) -> Answer<Option<Value>> {
    let mut query = Query::of(KIND);
    query.equal("invoice", Some(id_of(invoice).to_owned()));
    query.equal("status", Some("open".to_owned()));
    Ok(query.all(tx)?.into_iter().next())
}

fn intent_id(payment: &Value) -> &str {
    payment["payment"]["payment_intent"].as_str().unwrap_or_default()
}
