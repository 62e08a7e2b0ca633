//! `/v1/disputes`: what a shop reads of a dispute and how it answers one. How one begins and ends is in `course`.

pub mod course;

use serde_json::{Value, json};

use self::course::Outcome;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::refunds;
use crate::tx::id_of;

pub const KIND: &str = "dispute";
const URL: &str = "/v1/disputes";

/// Texts, or ids of files.
const EVIDENCE: [&str; 27] = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let query = refunds::of_payment(call.tx, KIND, &mut params)?;
    query.page(call.tx, params, URL)
}

/// Evidence goes to the bank with the update, unless `submit=false` keeps it back.
pub fn update(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let before = tx.get(KIND, call.id)?;
    let mut after = before.clone();
    after["metadata"] = params.metadata(before["metadata"].clone())?;
    let evidence = params.section("evidence")?;
    let submit = params.boolean("submit")?;
    params.finish()?;
    let answers = evidence.is_some() || submit == Some(true);
    if answers && !course::awaits_response(&before) {
        return Err(no_answer_wanted(&before));
    }
    if let Some(evidence) = evidence {
        apply_evidence(&mut after, evidence)?;
    }
    if answers && submit != Some(false) && after["evidence_details"]["has_evidence"] == json!(true) {
        course::submit(tx, &mut after)?;
    }
    tx.update(&before, &after, "charge.dispute.updated")?;
    Ok(after)
}

/// The shop does not contest it.
pub fn close(call: Call) -> Answer<Value> {
    call.params.finish()?;
    let dispute = call.tx.get(KIND, call.id)?;
    if dispute["status"] != json!("needs_response") {
        return Err(no_answer_wanted(&dispute));
    }
    course::settle(call.tx, dispute, Outcome::Lost)
}

fn apply_evidence(dispute: &mut Value, mut given: Params) -> Answer<()> {
    given.refuse(&["enhanced_evidence"])?;
    for name in EVIDENCE {
        if let Some(value) = given.clearable(name)? {
            dispute["evidence"][name] = json!(value);
        }
    }
    given.finish()?;
    let has_evidence = EVIDENCE.iter().any(|name| dispute["evidence"][*name].is_string());
    dispute["evidence_details"]["has_evidence"] = json!(has_evidence);
    Ok(())
}

fn no_answer_wanted(dispute: &Value) -> Failure {
    let status = dispute["status"].as_str().unwrap_or_default();
    Failure::conflict(format!("Dispute {} takes no answer of this kind; it is {status}.", id_of(dispute)))
}
