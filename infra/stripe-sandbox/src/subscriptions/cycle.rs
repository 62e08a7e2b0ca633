//! What a change costs: the rest of a period given back and taken again, or a period of its own.

use serde_json::{Value, json};

use super::trials::{self, End};
use super::{
    KIND, Payment, is_billed, pausing, pending_lines, period_of, recurring, set_hidden, set_pending_lines,
    set_period, standing, update,
};
use crate::discounts::{self, Costing};
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::invoices::collect::{self, Asked};
use crate::invoices::issue;
use crate::invoices::lines::{self, Cost};
use crate::means;
use crate::params::Params;
use crate::periods::next_end;
use crate::renewals;
use crate::tx::{Tx, id_of};

/// Whether and when a change within a period is paid.
#[derive(Clone, Copy, PartialEq)]
pub enum Proration {
    None,
    NextInvoice,
    AtOnce,
}

/// The lines that a change brings about, and whether they are invoiced at once.
pub struct Billed {
    pub lines: Vec<Value>,
    pub at_once: bool,
}

/// How and from when the rest of a period is prorated.
#[derive(Clone, Copy)]
pub struct Terms {
    pub proration: Proration,
    pub from: i64,
}

impl Terms {
    pub fn read(tx: &Tx, before: &Value, params: &mut Params) -> Answer<Self> {
        let proration = proration(params)?.unwrap_or(Proration::NextInvoice);
        let name = params.full_name("proration_date");
        let Some(from) = params.integer("proration_date")? else {
            return Ok(Self { proration, from: tx.now() });
        };
        let (start, end) = period_of(before);
        if (start..=end).contains(&from) {
            return Ok(Self { proration, from });
        }
        let message = format!(
            "Cannot specify a proration date outside of the current subscription period: {start}-{end}."
        );
        Err(Failure::invalid(message).param(name))
    }
}

pub fn proration(params: &mut Params) -> Answer<Option<Proration>> {
    let behavior = params.one_of("proration_behavior", &["always_invoice", "create_prorations", "none"])?;
    Ok(behavior.map(|behavior| Proration::named(&behavior)))
}

impl Proration {
    pub fn named(behavior: &str) -> Self {
        match behavior {
            "always_invoice" => Self::AtOnce,
            "none" => Self::None,
            _ => Self::NextInvoice,
        }
    }
}

/// How a change bears on the billing period.
#[derive(Clone, Copy, PartialEq)]
pub enum Cycle {
    GoesOn,
    /// A period of its own begins.
    Restarts,
    /// A trial begins, or its end moves.
    Trial(i64),
    /// The trial is over.
    TrialEnds,
}

impl Cycle {
    pub fn of(before: &Value, restarts: bool, trial: Option<End>) -> Answer<Self> {
        let status = before["status"].as_str().unwrap_or_default();
        let in_trial = status == "trialing";
        match trial {
            Some(_) if !in_trial && !is_billed(before) => {
                let message = format!("A trial cannot be given to a subscription that is {status}.");
                Err(Failure::conflict(message).param("trial_end"))
            }
            Some(End::At(end)) => Ok(Self::Trial(end)),
            Some(End::Now) if in_trial => Ok(Self::TrialEnds),
            _ if restarts && is_billed(before) => Ok(Self::Restarts),
            _ => Ok(Self::GoesOn),
        }
    }
}

/// The period goes on or a new one begins, and the old one is prorated.
pub fn move_on(tx: &Tx, before: &Value, after: &mut Value, terms: Terms, cycle: Cycle) -> Answer<Billed> {
    let mut billed = Vec::new();
    if is_billed(before) && terms.proration != Proration::None {
        billed = prorated(tx, before, after, terms.from, cycle == Cycle::GoesOn)?;
    }
    if cycle == Cycle::GoesOn {
        return Ok(Billed { lines: billed, at_once: terms.proration == Proration::AtOnce });
    }
    match cycle {
        Cycle::Trial(end) if before["status"] == json!("trialing") => {
            trials::move_end(after, period_of(before).0, end);
        }
        Cycle::Trial(end) => trials::begin(tx, after, end),
        Cycle::TrialEnds => {
            after["status"] = json!("active");
            after["trial_end"] = json!(tx.now());
            restart(tx, after)?;
        }
        _ => restart(tx, after)?,
    }
    if after["cancel_at_period_end"] == json!(true) {
        after["cancel_at"] = json!(period_of(after).1);
    }
    billed.extend(lines::regular(tx, after, "")?);
    Ok(Billed { lines: billed, at_once: true })
}

/// What is left of the period is given back item by item, as it was billed, and taken again if it goes on at
/// another cost.
fn prorated(tx: &Tx, before: &Value, after: &Value, from: i64, goes_on: bool) -> Answer<Vec<Value>> {
    let (mut had, has) = (super::billed(tx, before)?, costs_now(tx, after)?);
    let (old, new) = (items_of(before), items_of(after));
    let mut lines = Vec::new();
    for item in old {
        let kept = new.iter().find(|other| other["id"] == item["id"]).filter(|_| goes_on);
        if kept.is_none_or(|kept| costs_differ(item, kept)) {
            let taken = kept.map(|kept| cost(&has, kept));
            lines.extend(lines::proration(tx, before, Some(cost(&had, item)), taken, from)?);
            had[id_of(item)] = has[id_of(item)].clone();
        }
    }
    for item in new.iter().filter(|_| goes_on) {
        if !old.iter().any(|other| other["id"] == item["id"]) {
            lines.extend(lines::proration(tx, before, None, Some(cost(&has, item)), from)?);
            had[id_of(item)] = has[id_of(item)].clone();
        }
    }
    set_hidden(tx, before, "billed", &had)?;
    Ok(lines)
}

pub fn items_of(subscription: &Value) -> &[Value] {
    subscription["items"]["data"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// By item, what a whole period costs as things are, after the discounts that last.
pub fn costs_now(tx: &Tx, subscription: &Value) -> Answer<Value> {
    let items = items_of(subscription);
    let full = |item: &Value| lines::amount_of(&item["price"], item["quantity"].as_i64().unwrap_or(1));
    let costing: Vec<Costing> = items
        .iter()
        .map(|item| Costing {
            product: item["price"]["product"].as_str().unwrap_or_default().to_owned(),
            amount: full(item),
        })
        .collect();
    let rows = discounts::spread(&discounts::lasting_offs_of(tx, subscription)?, &costing);
    let mut costs = json!({});
    for (index, item) in items.iter().enumerate() {
        let off: i64 = rows.iter().map(|row| row[index]).sum();
        costs[id_of(item)] = json!(full(item) - off);
    }
    Ok(costs)
}

/// What an item costs by such a list, or else by its price.
pub fn cost<'a>(costs: &Value, item: &'a Value) -> Cost<'a> {
    let by_price = || lines::amount_of(&item["price"], item["quantity"].as_i64().unwrap_or(1));
    Cost { item, amount: costs[id_of(item)].as_i64().unwrap_or_else(by_price) }
}

/// A period of its own begins, which is paid at once.
pub fn restart(tx: &Tx, subscription: &mut Value) -> Answer<()> {
    let end = next_end(tx.now(), recurring(subscription), tx.now())?;
    subscription["billing_cycle_anchor"] = json!(tx.now());
    set_period(subscription, tx.now(), end);
    Ok(())
}

pub fn costs_differ(one: &Value, other: &Value) -> bool {
    one["price"]["id"] != other["price"]["id"] || one["quantity"] != other["quantity"]
}

/// Saves the change, and bills what it costs now or with the next renewal.
pub fn bill(tx: &Tx, before: &Value, mut after: Value, billed: Billed, payment: Payment) -> Answer<Value> {
    let mut waiting = pending_lines(tx, before)?;
    if billed.lines.is_empty() || !billed.at_once {
        waiting.extend(billed.lines);
        set_pending_lines(tx, before, &waiting)?;
        update(tx, before, &after)?;
        return Ok(after);
    }
    let invoice_id = ids::fresh("in");
    after["latest_invoice"] = json!(invoice_id);
    update(tx, before, &after)?;
    renewals::tell_of_moved_trial(tx, before, &after)?;
    waiting.extend(billed.lines);
    set_pending_lines(tx, before, &[])?;
    let draft = issue::Draft {
        id: &invoice_id,
        reason: "subscription_update",
        lines: lines::put_onto(waiting, &invoice_id),
        period: (period_of(before).0, tx.now()),
    };
    if pausing::holds_back(&after) {
        pausing::issue_held_back(tx, &after, draft)?;
    } else {
        let invoice = issue::issue(tx, &after, draft, None)?;
        pay_at_once(tx, invoice, payment)?;
    }
    tx.get(KIND, id_of(&after))
}

fn pay_at_once(tx: &Tx, invoice: Value, payment: Payment) -> Answer<()> {
    if invoice["status"] != json!("open") {
        return Ok(());
    }
    if payment == Payment::Awaited {
        return standing::invoice_failed(tx, &invoice, false);
    }
    let method = collect::method_for(tx, &invoice)?;
    if let Some(method) = method.as_ref().filter(|_| payment == Payment::Required)
        && let Some(refusal) = means::refusal(tx, method)?
    {
        return Err(refusal);
    }
    collect::charge(tx, invoice, method, Asked::OnSchedule).map(drop)
}
