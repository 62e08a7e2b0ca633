//! The course of a dispute: a cardholder's bank opens it, looks at evidence, and decides.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{EVIDENCE, KIND};
use crate::cards::Aftermath;
use crate::charges;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
use crate::means;
use crate::payments;
use crate::periods::DAY;
use crate::tx::{Tx, id_of};

const DAYS_TO_RESPOND: i64 = 9;
const UPDATED: &str = "charge.dispute.updated";

const REASONS: [&str; 15] = [
    "bank_cannot_process",
    "check_returned",
    "credit_not_processed",
    "customer_initiated",
    "debit_not_authorized",
    "duplicate",
    "fraudulent",
    "general",
    "incorrect_account_details",
    "insufficient_funds",
    "noncompliant",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "unrecognized",
];

/// What a cardholder complains about.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    amount: Option<i64>,
    reason: Option<String>,
    /// The bank asks first, and takes no money yet.
    #[serde(default)]
    inquiry: bool,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Won,
    Lost,
    Prevented,
    WarningClosed,
    /// An inquiry becomes a dispute.
    Escalated,
}

pub fn begin_by_hand(tx: &Tx, intent: &str, claim: &Claim) -> Answer<Value> {
    let intent = tx.get(payments::KIND, intent)?;
    begin(tx, charges::that_paid(tx, &intent)?, claim)
}

/// Some test cards dispute what they pay, right after whatever the payment led to has been told.
pub fn expect(tx: &Tx, charge: &Value) -> Answer<()> {
    match means::of(&charge["payment_method_details"])?.aftermath() {
        Aftermath::Disputed { .. } => tx.set_alarm(charge, tx.now_ms),
        _ => Ok(()),
    }
}

pub fn begin_by_card(tx: &Tx, charge: &str) -> Answer<()> {
    let charge = tx.get(charges::KIND, charge)?;
    match means::of(&charge["payment_method_details"])?.aftermath() {
        Aftermath::Disputed { reason, inquiry } if charge["disputed"] == json!(false) => {
            let claim = Claim { amount: None, reason: Some(reason.to_owned()), inquiry };
            begin(tx, charge, &claim).map(drop)
        }
        _ => Ok(()),
    }
}

fn begin(tx: &Tx, before: Value, claim: &Claim) -> Answer<Value> {
    let reason = claim.reason.as_deref().unwrap_or("fraudulent");
    if !REASONS.contains(&reason) {
        let message = format!("Invalid reason: must be one of {}", REASONS.join(", "));
        return Err(Failure::invalid(message).param("reason"));
    }
    let amount = claim.amount.unwrap_or(charges::amount_of(&before));
    if !(1..=charges::amount_of(&before)).contains(&amount) {
        let message = "A dispute is about more than nothing, and about no more than was charged.";
        return Err(Failure::invalid(message).param("amount"));
    }
    if of_charge(tx, &before)?.iter().any(|dispute| !is_closed(dispute) || is_lost(dispute)) {
        let message = format!("Charge {} is under a dispute that is open or lost.", id_of(&before));
        return Err(Failure::conflict(message));
    }
    let mut charge = before;
    charge["disputed"] = json!(true);
    tx.save(&charge)?;
    let mut dispute = blank(tx, &charge, amount, reason);
    open_as(&mut dispute, claim.inquiry);
    set_refundable(&mut dispute, &charge);
    tx.insert(&dispute, &Value::Null)?;
    tx.emit("charge.dispute.created", &dispute)?;
    if !claim.inquiry {
        tx.emit("charge.dispute.funds_withdrawn", &dispute)?;
    }
    Ok(dispute)
}

/// The bank looks at the evidence; at the texts that Stripe's test mode knows it looks only briefly.
pub fn submit(tx: &Tx, dispute: &mut Value) -> Answer<()> {
    dispute["status"] = json!(if is_inquiry(dispute) { "warning_under_review" } else { "under_review" });
    let submissions = dispute["evidence_details"]["submission_count"].as_i64().unwrap_or(0);
    dispute["evidence_details"]["submission_count"] = json!(submissions + 1);
    match foretold(dispute) {
        Some(_) => tx.set_alarm(dispute, tx.now_ms),
        None => Ok(()),
    }
}

/// The bank has looked at evidence that leaves no doubt.
pub fn decide(tx: &Tx, id: &str) -> Answer<()> {
    let dispute = tx.get(KIND, id)?;
    match foretold(&dispute).filter(|_| !is_closed(&dispute)) {
        Some(outcome) => settle(tx, dispute, outcome).map(drop),
        None => Ok(()),
    }
}

fn foretold(dispute: &Value) -> Option<Outcome> {
    match (dispute["evidence"]["uncategorized_text"].as_str()?, is_inquiry(dispute)) {
        ("winning_evidence", true) => Some(Outcome::WarningClosed),
        ("winning_evidence", false) => Some(Outcome::Won),
        ("losing_evidence", false) => Some(Outcome::Lost),
        ("escalate_inquiry_evidence", true) => Some(Outcome::Escalated),
        _ => None,
    }
}

pub fn resolve_by_hand(tx: &Tx, id: &str, outcome: Outcome) -> Answer<Value> {
    settle(tx, tx.get(KIND, id)?, outcome)
}

pub fn settle(tx: &Tx, before: Value, outcome: Outcome) -> Answer<Value> {
    let withdrawn = !is_inquiry(&before);
    let status = match (outcome, withdrawn) {
        _ if is_closed(&before) => return Err(impossible(&before)),
        (Outcome::Escalated, false) => return escalate(tx, &before),
        (Outcome::Won, true) => "won",
        (Outcome::Lost, true) => "lost",
        (Outcome::Prevented, _) => "prevented",
        (Outcome::WarningClosed, false) => "warning_closed",
        _ => return Err(impossible(&before)),
    };
    let mut after = before.clone();
    after["status"] = json!(status);
    set_refundable(&mut after, &charge_of(tx, &before)?);
    tx.clear_alarm(&after)?;
    tx.update(&before, &after, "charge.dispute.closed")?;
    if withdrawn && status != "lost" {
        tx.emit("charge.dispute.funds_reinstated", &after)?;
    }
    Ok(after)
}

fn escalate(tx: &Tx, before: &Value) -> Answer<Value> {
    let mut after = before.clone();
    open_as(&mut after, false);
    set_refundable(&mut after, &charge_of(tx, before)?);
    tx.clear_alarm(&after)?;
    tx.update(before, &after, UPDATED)?;
    tx.emit("charge.dispute.funds_withdrawn", &after)?;
    Ok(after)
}

/// Whether a dispute has taken a charge's money, for good or until it is decided.
pub fn takes_charge(tx: &Tx, charge: &Value) -> Answer<bool> {
    Ok(of_charge(tx, charge)?.iter().any(takes_funds))
}

/// What is refunded in full cannot be refunded again.
pub fn follow_refunds(tx: &Tx, charge: &Value) -> Answer<()> {
    for before in of_charge(tx, charge)? {
        let mut after = before.clone();
        set_refundable(&mut after, charge);
        tx.update(&before, &after, UPDATED)?;
    }
    Ok(())
}

pub fn awaits_response(dispute: &Value) -> bool {
    matches!(dispute["status"].as_str(), Some("needs_response" | "warning_needs_response"))
}

fn of_charge(tx: &Tx, charge: &Value) -> Answer<Vec<Value>> {
    let mut query = Query::of(KIND);
    query.equal("charge", Some(id_of(charge).to_owned()));
    query.all(tx)
}

fn charge_of(tx: &Tx, dispute: &Value) -> Answer<Value> {
    tx.get(charges::KIND, dispute["charge"].as_str().unwrap_or_default())
}

fn set_refundable(dispute: &mut Value, charge: &Value) {
    let refundable = !takes_funds(dispute) && charge["refunded"] != json!(true);
    dispute["is_charge_refundable"] = json!(refundable);
}

fn takes_funds(dispute: &Value) -> bool {
    matches!(dispute["status"].as_str(), Some("needs_response" | "under_review" | "lost"))
}

fn is_inquiry(dispute: &Value) -> bool {
    dispute["status"].as_str().is_some_and(|status| status.starts_with("warning_"))
}

fn is_lost(dispute: &Value) -> bool {
    dispute["status"] == json!("lost")
}

fn is_closed(dispute: &Value) -> bool {
    matches!(dispute["status"].as_str(), Some("won" | "lost" | "prevented" | "warning_closed"))
}

fn impossible(dispute: &Value) -> Failure {
    let status = dispute["status"].as_str().unwrap_or_default();
    let ends = match (is_closed(dispute), is_inquiry(dispute)) {
        (true, _) => "and that is the end of it",
        (false, true) => "which becomes prevented, warning_closed or escalated",
        (false, false) => "which becomes won, lost or prevented",
    };
    Failure::conflict(format!("Dispute {} is {status}, {ends}.", id_of(dispute)))
}

fn open_as(dispute: &mut Value, inquiry: bool) {
    let (status, case) =
        if inquiry { ("warning_needs_response", "inquiry") } else { ("needs_response", "chargeback") };
    dispute["status"] = json!(status);
    if dispute["payment_method_details"].is_object() {
        dispute["payment_method_details"]["card"]["case_type"] = json!(case);
    }
}

fn blank(tx: &Tx, charge: &Value, amount: i64, reason: &str) -> Value {
    let mut evidence: Map<String, Value> =
        EVIDENCE.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    evidence.insert("enhanced_evidence".to_owned(), json!({}));
    let code = network_reason_code(reason);
    json!({
        "id": ids::fresh("du"),
        "object": KIND,
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": tx.now(),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": evidence,
        "evidence_details": {
            "due_by": tx.now() + DAYS_TO_RESPOND * DAY,
            "enhanced_eligibility": {},
            "has_evidence": false,
            "past_due": false,
            "submission_count": 0,
        },
        "livemode": false,
        "metadata": {},
        "network_reason_code": code,
        "payment_intent": charge["payment_intent"],
        "payment_method_details": details(charge, code),
        "reason": reason,
    })
}

/// A bank debit has none.
fn details(charge: &Value, code: Option<&str>) -> Value {
    let card = &charge["payment_method_details"]["card"];
    if card.is_null() {
        return Value::Null;
    }
    json!({
        "card": {"brand": card["brand"], "network": card["network"], "network_reason_code": code},
        "type": "card",
    })
}

/// Visa's, where one fits the reason.
fn network_reason_code(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "credit_not_processed" => "13.6",
        "duplicate" => "12.6",
        "fraudulent" => "10.4",
        "product_not_received" => "13.1",
        "product_unacceptable" => "13.3",
        "subscription_canceled" => "13.2",
        _ => return None,
    })
}
