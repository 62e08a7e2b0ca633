//! How an invoice comes about: drafted, then finalised, and from then on open to be paid.

use serde_json::{Value, json};

use super::{KIND, collect, payments, subscription_id, totals};
use crate::cart;
use crate::discounts;
use crate::failure::Answer;
use crate::payments::{self as intents, Purpose};
use crate::periods::HOUR;
use crate::subscriptions::{self, paying};
use crate::tx::{Tx, id_of};

pub struct Draft<'a> {
    /// Known beforehand, because the subscription names it first.
    pub id: &'a str,
    pub reason: &'a str,
    pub lines: Vec<Value>,
    /// The time in which what is billed came up; the lines tell what it is billed for.
    pub period: (i64, i64),
}

/// Renewals stay drafts for an hour, in which a shop may still change them.
pub fn draft_for_an_hour(tx: &Tx, subscription: &Value, draft: Draft) -> Answer<()> {
    let mut invoice = blank(tx, subscription, draft)?;
    let finalizes_at = tx.now() + HOUR;
    invoice["auto_advance"] = json!(true);
    invoice["automatically_finalizes_at"] = json!(finalizes_at);
    invoice["next_payment_attempt"] = json!(finalizes_at);
    tx.set_alarm(&invoice, finalizes_at * 1000)?;
    insert(tx, subscription, &invoice)
}

/// A draft that nothing happens to by itself.
pub fn draft_to_stay(tx: &Tx, subscription: &Value, draft: Draft) -> Answer<Value> {
    let invoice = blank(tx, subscription, draft)?;
    insert(tx, subscription, &invoice)?;
    Ok(invoice)
}

/// Drafts and finalises in one step, as the first invoice of a subscription is.
pub fn issue(tx: &Tx, subscription: &Value, draft: Draft, intent: Option<&Value>) -> Answer<Value> {
    let invoice = blank(tx, subscription, draft)?;
    insert(tx, subscription, &invoice)?;
    finalize(tx, invoice, intent)
}

fn insert(tx: &Tx, subscription: &Value, invoice: &Value) -> Answer<()> {
    tx.insert(invoice, &Value::Null)?;
    tx.emit("invoice.created", invoice)?;
    let lines = invoice["lines"]["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    totals::remember_billed(tx, subscription, lines)?;
    discounts::spend(tx, invoice)
}

/// The intent is one that Checkout has made and paid already; otherwise what is due gets a new one.
/// Where nothing is due, the invoice is paid by that.
pub fn finalize(tx: &Tx, mut invoice: Value, intent: Option<&Value>) -> Answer<Value> {
    invoice["automatically_finalizes_at"] = Value::Null;
    invoice["effective_at"] = json!(tx.now());
    invoice["status"] = json!("open");
    invoice["status_transitions"]["finalized_at"] = json!(tx.now());
    let page = format!("{}/i/{}", tx.public_url, id_of(&invoice));
    invoice["hosted_invoice_url"] = json!(page);
    invoice["invoice_pdf"] = json!(format!("{page}/pdf"));
    account_to_customer(tx, &mut invoice)?;
    invoice["auto_advance"] = json!(true);
    tx.save(&invoice)?;
    tx.clear_alarm(&invoice)?;
    tx.emit("invoice.finalized", &invoice)?;
    if invoice["amount_due"] == json!(0) {
        return collect::mark_paid(tx, invoice);
    }
    let intent = match intent {
        Some(intent) => intent.clone(),
        None => intent_for(tx, &invoice)?,
    };
    payments::insert(tx, &invoice, id_of(&intent))?;
    Ok(invoice)
}

/// Gives the invoice its number, and sets what the customer has against it.
fn account_to_customer(tx: &Tx, invoice: &mut Value) -> Answer<()> {
    let mut customer = customer_of(tx, invoice)?;
    let sequence = customer["next_invoice_sequence"].as_i64().unwrap_or(1);
    let prefix = customer["invoice_prefix"].as_str().unwrap_or("SANDBOX");
    invoice["number"] = json!(format!("{prefix}-{sequence:04}"));
    customer["next_invoice_sequence"] = json!(sequence + 1);
    tx.save(&customer)?;
    set_against_balance(tx, invoice)?;
    if invoice["billing_reason"] == json!("subscription_create") {
        return Ok(());
    }
    let before = customer.clone();
    customer["balance"] = invoice["ending_balance"].clone();
    tx.update(&before, &customer, "customer.updated")
}

/// What the customer has with the shop is set against what is due; a first invoice costs what was shown when
/// it was agreed to.
pub fn set_against_balance(tx: &Tx, invoice: &mut Value) -> Answer<()> {
    let with_balance = invoice["billing_reason"] != json!("subscription_create");
    let balance = customer_of(tx, invoice)?["balance"].as_i64().unwrap_or(0);
    let total = invoice["total"].as_i64().unwrap_or(0);
    let starting = if with_balance { balance } else { 0 };
    let least = cart::least(invoice["currency"].as_str().unwrap_or_default());
    // A credit stays with the customer, and so does what is too little to be charged.
    let (due, ending) = match total.saturating_add(starting) {
        due if with_balance && due < least => (0, due),
        due => (due, 0),
    };
    invoice["starting_balance"] = json!(starting);
    invoice["ending_balance"] = json!(ending);
    invoice["amount_due"] = json!(due);
    invoice["amount_remaining"] = json!(due);
    Ok(())
}

fn customer_of(tx: &Tx, invoice: &Value) -> Answer<Value> {
    tx.get("customer", invoice["customer"].as_str().unwrap_or_default())
}

fn intent_for(tx: &Tx, invoice: &Value) -> Answer<Value> {
    let subscription = tx.find(subscriptions::KIND, subscription_id(invoice))?.unwrap_or_default();
    let purpose = Purpose {
        amount: &invoice["amount_due"],
        currency: &invoice["currency"],
        customer: &invoice["customer"],
        method_types: &paying::types(&subscription, &invoice["currency"]),
        data: &intent_data(&invoice["billing_reason"]),
    };
    intents::create(tx, &purpose)
}

/// What Stripe writes on the intent of an invoice. The shop's metadata is not among it.
pub fn intent_data(reason: &Value) -> Value {
    let first = *reason == json!("subscription_create");
    json!({
        "description": if first { "Subscription creation" } else { "Subscription update" },
        "setup_future_usage": first.then_some("off_session"),
    })
}

fn blank(tx: &Tx, subscription: &Value, mut draft: Draft) -> Answer<Value> {
    let customer = tx.get("customer", subscription["customer"].as_str().unwrap_or_default())?;
    let totals = totals::add_up(tx, subscription, &customer, &mut draft.lines)?;
    let due = totals.total.max(0);
    let mut invoice = json!({
        "id": draft.id,
        "object": KIND,
        "account_country": "DE",
        "account_name": "Stripe sandbox",
        "amount_due": due,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": due,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": false,
        "auto_advance": false,
        "automatic_tax": automatic_tax(subscription),
        "billing_reason": draft.reason,
        "collection_method": "charge_automatically",
        "created": tx.now(),
        "currency": subscription["currency"],
        "customer": subscription["customer"],
        "customer_tax_exempt": customer["tax_exempt"].as_str().unwrap_or("none"),
        "customer_tax_ids": [],
        "default_tax_rates": [],
        "description": subscription["description"],
        "discounts": subscription["discounts"],
        "issuer": {"type": "self"},
        "lines": {
            "object": "list", "data": draft.lines, "has_more": false,
            "total_count": draft.lines.len(), "url": format!("/v1/invoices/{}/lines", draft.id),
        },
        "livemode": false,
        "metadata": {},
        "parent": of_subscription(subscription),
        "payment_settings": {
            "default_mandate": null, "payment_method_options": null, "payment_method_types": null,
        },
        "period_end": draft.period.1,
        "period_start": draft.period.0,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": {
            "finalized_at": null, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null,
        },
        "subtotal": totals.subtotal,
        "subtotal_excluding_tax": totals.subtotal,
        "total": totals.total,
        "total_discount_amounts": totals.discounts,
        "total_excluding_tax": totals.net,
        "total_pretax_credit_amounts": [],
        "total_taxes": totals.taxes,
        "webhooks_delivered_at": tx.now(),
    });
    for name in NULL_AT_FIRST {
        invoice[name] = Value::Null;
    }
    for name in ["address", "email", "name", "phone", "shipping"] {
        invoice[format!("customer_{name}")] = customer[name].clone();
    }
    Ok(invoice)
}

/// Its metadata as it is now; what it becomes later changes no invoice.
fn of_subscription(subscription: &Value) -> Value {
    json!({
        "quote_details": null,
        "subscription_details": {"metadata": subscription["metadata"], "subscription": id_of(subscription)},
        "type": "subscription_details",
    })
}

const NULL_AT_FIRST: [&str; 27] = [
    "account_tax_ids",
    "application",
    "automatically_finalizes_at",
    "custom_fields",
    "customer_account",
    "default_payment_method",
    "default_source",
    "due_date",
    "effective_at",
    "ending_balance",
    "footer",
    "from_invoice",
    "hosted_invoice_url",
    "invoice_pdf",
    "last_finalization_error",
    "latest_revision",
    "next_payment_attempt",
    "number",
    "on_behalf_of",
    "receipt_number",
    "rendering",
    "shipping_cost",
    "shipping_details",
    "statement_descriptor",
    "test_clock",
    "threshold_reason",
    "transfer_data",
];

fn automatic_tax(subscription: &Value) -> Value {
    let enabled = subscription["automatic_tax"]["enabled"] == json!(true);
    json!({
        "disabled_reason": null,
        "enabled": enabled,
        "liability": enabled.then(|| json!({"type": "self"})),
        "provider": enabled.then_some("stripe"),
        "status": enabled.then_some("complete"),
    })
}
