//! `POST /v1/subscriptions/{id}`: what a shop changes in a subscription that runs.

use serde_json::{Value, json};

use super::create::plan;
use super::{
    get_alive, has_ended, pending_lines, period_of, recurring, set_pending_lines, set_period, update,
};
use crate::call::Call;
use crate::cards;
use crate::cart;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::invoices::collect::{self, Asked};
use crate::invoices::{issue, lines};
use crate::methods;
use crate::params::Params;
use crate::periods::next_end;
use crate::tx::{Tx, id_of};

const UNSUPPORTED: [&str; 10] = [
    "add_invoice_items",
    "billing_cycle_anchor",
    "billing_thresholds",
    "discounts",
    "days_until_due",
    "pause_collection",
    "pending_invoice_item_interval",
    "proration_date",
    "trial_end",
    "trial_settings",
];

/// Whether and when a change of price within a period is paid.
#[derive(Clone, Copy, PartialEq)]
enum Proration {
    None,
    NextInvoice,
    AtOnce,
}

pub fn change(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let before = tx.get(super::KIND, call.id)?;
    let mut after = before.clone();
    after["metadata"] = params.metadata(after["metadata"].take())?;
    super::take_cancellation_details(&mut after, &mut params)?;
    if has_ended(&before) {
        return change_ended(tx, &before, after, params);
    }
    params.refuse(&UNSUPPORTED)?;
    params.accept(&["off_session", "payment_settings"]);
    let proration = proration(&mut params)?;
    let error_if_unpaid = params
        .one_of("payment_behavior", &["allow_incomplete", "error_if_incomplete"])?
        .is_some_and(|behavior| behavior == "error_if_incomplete");
    if let Some(description) = params.clearable("description")? {
        after["description"] = json!(description);
    }
    if let Some(id) = params.clearable("default_payment_method")? {
        if let Some(id) = &id {
            let customer = after["customer"].as_str().unwrap_or_default();
            methods::of_customer(tx, id, customer, "default_payment_method")?;
        }
        after["default_payment_method"] = json!(id);
    }
    let old_items = changed_items(tx, &mut after, &mut params)?;
    let prorated = prorate(tx, &before, &mut after, &old_items, proration)?;
    take_end(tx, &mut after, &mut params)?;
    params.finish()?;
    settle(tx, &before, after, prorated, error_if_unpaid)
}

/// What has ended can still be annotated.
fn change_ended(tx: &Tx, before: &Value, after: Value, params: Params) -> Answer<Value> {
    if params.only(&[]).is_err() {
        let message = "A canceled subscription can only update its cancellation_details and metadata.";
        return Err(Failure::conflict(message));
    }
    update(tx, before, &after)?;
    Ok(after)
}

fn proration(params: &mut Params) -> Answer<Proration> {
    let behavior = params.one_of("proration_behavior", &["always_invoice", "create_prorations", "none"])?;
    Ok(match behavior.as_deref() {
        Some("always_invoice") => Proration::AtOnce,
        Some("none") => Proration::None,
        _ => Proration::NextInvoice,
    })
}

/// Puts new prices and quantities into the items named, and hands back what these items were.
fn changed_items(tx: &Tx, subscription: &mut Value, params: &mut Params) -> Answer<Vec<Value>> {
    let mut before = Vec::new();
    for mut section in params.sections("items")?.unwrap_or_default() {
        section.refuse(&["billing_thresholds", "clear_usage", "deleted", "discounts", "tax_rates"])?;
        let name = section.full_name("id");
        let Some(id) = section.text("id")? else {
            let message = "An item without its `id` would be added to the subscription, beside those it has; \
                           the Stripe sandbox only changes items.";
            return Err(Failure::invalid(message).code("parameter_missing").param(name));
        };
        let items = subscription["items"]["data"].as_array_mut().into_iter().flatten();
        let item = items.into_iter().find(|item| id_of(item) == id);
        let item = item.ok_or_else(|| Failure::no_such_reference("subscription_item", &id, &name))?;
        let old = item.clone();
        if section.has("price") || section.has("price_data") {
            let price_name = section.full_name("price");
            let price = cart::price_of(tx, &mut section)?;
            if price["recurring"].is_null() || price["currency"] != item["price"]["currency"] {
                let message = "The new price must be recurring, and in the subscription's currency.";
                return Err(Failure::invalid(message).param(price_name));
            }
            item["plan"] = plan(&price);
            item["price"] = price;
        }
        if let Some(quantity) = section.integer_from("quantity", 1)? {
            item["quantity"] = json!(quantity);
        }
        item["metadata"] = section.metadata(item["metadata"].take())?;
        section.finish()?;
        if old["price"]["id"] != item["price"]["id"] || old["quantity"] != item["quantity"] {
            before.push(old);
        }
    }
    Ok(before)
}

/// The lines that a change brings about, and whether they are invoiced at once.
struct Prorated {
    lines: Vec<Value>,
    at_once: bool,
}

fn prorate(
    tx: &Tx,
    before: &Value,
    after: &mut Value,
    old_items: &[Value],
    proration: Proration,
) -> Answer<Prorated> {
    let at_once = proration == Proration::AtOnce;
    let nothing = Prorated { lines: Vec::new(), at_once };
    if old_items.is_empty() {
        return Ok(nothing);
    }
    let items = after["items"]["data"].as_array().into_iter().flatten();
    if !cart::renew_together(items.map(|item| &item["price"]["recurring"])) {
        let message = "The Stripe sandbox wants all items to have the same interval.";
        return Err(Failure::invalid(message).param("items"));
    }
    // A trial costs nothing at any price, and what was never paid is owed by nobody.
    if before["status"] != json!("active") && before["status"] != json!("past_due") {
        return Ok(nothing);
    }
    let restarts = !cart::renew_together([recurring(before), recurring(after)]);
    let mut billed = Vec::new();
    for old in old_items.iter().filter(|_| proration != Proration::None) {
        let items = after["items"]["data"].as_array().into_iter().flatten();
        let new = items.into_iter().find(|item| item["id"] == old["id"]).filter(|_| !restarts);
        billed.extend(lines::proration(tx, before, old, new)?);
    }
    if restarts {
        restart(tx, after)?;
        billed.extend(lines::regular(tx, after, "")?);
    }
    Ok(Prorated { lines: billed, at_once: at_once || restarts })
}

/// Another interval starts a period of its own, which is paid at once.
fn restart(tx: &Tx, subscription: &mut Value) -> Answer<()> {
    let end = next_end(tx.now(), recurring(subscription), tx.now())?;
    subscription["billing_cycle_anchor"] = json!(tx.now());
    set_period(subscription, tx.now(), end);
    if subscription["cancel_at_period_end"] == json!(true) {
        subscription["cancel_at"] = json!(end);
    }
    Ok(())
}

fn take_end(tx: &Tx, subscription: &mut Value, params: &mut Params) -> Answer<()> {
    let at_period_end = params.boolean("cancel_at_period_end")?;
    if at_period_end == Some(true) && params.has("cancel_at") {
        let message = "You cannot set `cancel_at` and `cancel_at_period_end` at the same time.";
        return Err(Failure::invalid(message).param("cancel_at"));
    }
    if let Some(wanted) = at_period_end {
        cancel_at_period_end(tx, subscription, wanted);
    }
    if params.is_cleared("cancel_at") {
        params.accept(&["cancel_at"]);
        stay(subscription);
    }
    let Some(at) = params.integer("cancel_at")? else { return Ok(()) };
    if at <= tx.now() {
        let message = "The `cancel_at` timestamp must be in the future.";
        return Err(Failure::invalid(message).param("cancel_at"));
    }
    leave(tx, subscription, at);
    subscription["cancel_at_period_end"] = json!(false);
    Ok(())
}

pub fn cancel_at_period_end(tx: &Tx, subscription: &mut Value, wanted: bool) {
    let already = subscription["cancel_at_period_end"] == json!(true);
    match wanted {
        true if already => {}
        true => {
            leave(tx, subscription, period_of(subscription).1);
            subscription["cancel_at_period_end"] = json!(true);
        }
        // It takes back a cancellation at the period's end, and no other.
        false if already => stay(subscription),
        false => {}
    }
}

fn leave(tx: &Tx, subscription: &mut Value, at: i64) {
    subscription["cancel_at"] = json!(at);
    subscription["canceled_at"] = json!(tx.now());
    subscription["cancellation_details"]["reason"] = json!("cancellation_requested");
}

fn stay(subscription: &mut Value) {
    subscription["cancel_at"] = Value::Null;
    subscription["cancel_at_period_end"] = json!(false);
    subscription["canceled_at"] = Value::Null;
    subscription["cancellation_details"] = json!({"comment": null, "feedback": null, "reason": null});
}

/// Saves the change, and bills what it costs now or with the next renewal.
fn settle(
    tx: &Tx,
    before: &Value,
    mut after: Value,
    prorated: Prorated,
    error_if_unpaid: bool,
) -> Answer<Value> {
    let mut waiting = pending_lines(tx, before)?;
    if prorated.lines.is_empty() || !prorated.at_once {
        waiting.extend(prorated.lines);
        set_pending_lines(tx, before, &waiting)?;
        update(tx, before, &after)?;
        return Ok(after);
    }
    let invoice_id = ids::fresh("in");
    after["latest_invoice"] = json!(invoice_id);
    update(tx, before, &after)?;
    waiting.extend(prorated.lines);
    set_pending_lines(tx, before, &[])?;
    let draft = issue::Draft {
        id: &invoice_id,
        reason: "subscription_update",
        lines: lines::put_onto(waiting, &invoice_id),
        period: (period_of(before).0, tx.now()),
    };
    let invoice = issue::issue(tx, &after, draft, None)?;
    if invoice["status"] == json!("open") {
        let method = collect::method_for(tx, &invoice)?;
        let refusal = method.as_ref().map(cards::of).transpose()?.and_then(cards::Card::refusal);
        if let Some(refusal) = refusal.filter(|_| error_if_unpaid) {
            return Err(refusal);
        }
        collect::charge(tx, invoice, method, Asked::OnSchedule)?;
    }
    tx.get(super::KIND, id_of(&after))
}

/// A person ends a subscription, now or when its period does.
pub fn cancel_by_hand(tx: &Tx, id: &str, at_period_end: bool) -> Answer<Value> {
    let before = get_alive(tx, id)?;
    if !at_period_end {
        return super::cancel_now(tx, before);
    }
    let mut after = before.clone();
    cancel_at_period_end(tx, &mut after, true);
    update(tx, &before, &after)?;
    Ok(after)
}

/// A person replaces the card that renewals are charged to.
pub fn swap_card(tx: &Tx, id: &str, number: &str) -> Answer<Value> {
    let before = get_alive(tx, id)?;
    let card = cards::find(number)?;
    let method = methods::insert(tx, card, &before["customer"], &Value::Null)?;
    tx.emit("payment_method.attached", &method)?;
    let mut after = before.clone();
    after["default_payment_method"] = method["id"].clone();
    update(tx, &before, &after)?;
    Ok(after)
}
