//! `POST /v1/subscriptions/{id}`: what a shop changes in a subscription that runs.

use serde_json::{Value, json};

use super::cycle::{self, Billed, Cycle, Terms, bill, costs_differ, move_on};
use super::ending::{cancel_at_period_end, refuse_if_managed, take_end};
use super::shape::plan;
use super::{get_alive, has_ended, pausing, paying, payment_behavior, recurring, saving, trials, update};
use crate::call::Call;
use crate::cart;
use crate::discounts;
use crate::failure::{Answer, Failure};
use crate::invoices::lines;
use crate::mandates;
use crate::means::Means;
use crate::methods;
use crate::params::Params;
use crate::promotions::Use;
use crate::schedules;
use crate::tax;
use crate::tx::{Tx, id_of};

const UNSUPPORTED: [&str; 5] = [
    "add_invoice_items",
    "billing_schedules",
    "billing_thresholds",
    "days_until_due",
    "pending_invoice_item_interval",
];

pub fn change(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let before = tx.get(super::KIND, call.id)?;
    let mut after = before.clone();
    after["metadata"] = params.metadata(after["metadata"].take())?;
    super::take_cancellation_details(&mut after, &mut params)?;
    if has_ended(&before) {
        return change_ended(tx, &before, after, params);
    }
    if before["status"] == json!("incomplete") {
        return change_incomplete(tx, &before, after, params);
    }
    params.refuse(&UNSUPPORTED)?;
    params.accept(&["off_session"]);
    after["payment_settings"] =
        paying::settings(&mut params, &before["payment_settings"], &before["currency"])?;
    let payment = payment_behavior(&mut params)?;
    describe(tx, &mut after, &mut params)?;
    pausing::take_collection(tx, &mut after, &mut params)?;
    take_tax(tx, &mut after, &mut params)?;
    take_discounts(tx, &mut after, &mut params)?;
    let billed = rework(tx, &before, &mut after, &mut params)?;
    params.finish()?;
    let changed = bill(tx, &before, after, billed, payment)?;
    let changed = saving::retry(tx, &before, changed)?;
    schedules::course::follow(tx, &before, &changed)?;
    Ok(changed)
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

/// What its first invoice is for stays until that is paid.
fn change_incomplete(tx: &Tx, before: &Value, after: Value, params: Params) -> Answer<Value> {
    if params.only(&[]).is_err() {
        let message = "A subscription whose status is `incomplete` can only have its metadata and default_source \
                       updated.";
        return Err(Failure::conflict(message));
    }
    update(tx, before, &after)?;
    Ok(after)
}

fn describe(tx: &Tx, subscription: &mut Value, params: &mut Params) -> Answer<()> {
    if let Some(description) = params.clearable("description")? {
        subscription["description"] = json!(description);
    }
    let settings = trials::settings(params)?;
    if !settings.is_null() {
        subscription["trial_settings"] = settings;
    }
    if let Some(id) = params.clearable("default_payment_method")? {
        if let Some(id) = &id {
            let customer = subscription["customer"].as_str().unwrap_or_default();
            methods::of_customer(tx, id, customer, "default_payment_method")?;
        }
        subscription["default_payment_method"] = json!(id);
    }
    Ok(())
}

fn take_tax(tx: &Tx, subscription: &mut Value, params: &mut Params) -> Answer<()> {
    let Some(enabled) = tax::wanted(params)? else { return Ok(()) };
    if enabled {
        tax::check_location(tx, &subscription["customer"])?;
        let items = cycle::items_of(subscription).iter();
        items.map(|item| &item["price"]).try_for_each(|price| tax::check_price(price, "automatic_tax"))?;
    }
    subscription["automatic_tax"] = tax::of_subscription(enabled);
    Ok(())
}

/// `discounts`: those that it has from now on.
pub fn take_discounts(tx: &Tx, subscription: &mut Value, params: &mut Params) -> Answer<()> {
    let items = cycle::items_of(subscription).iter();
    let costs = items.map(|item| lines::amount_of(&item["price"], item["quantity"].as_i64().unwrap_or(1)));
    let asked = Use {
        customer: subscription["customer"].as_str(),
        currency: subscription["currency"].as_str().unwrap_or_default(),
        amount: costs.sum(),
    };
    match discounts::wanted(tx, params, &asked)? {
        Some(wanted) => discounts::put(tx, subscription, &wanted, &Value::Null),
        None => Ok(()),
    }
}

/// All that can be previewed of a change: what is bought, when it is paid for, and until when.
pub fn rework(tx: &Tx, before: &Value, after: &mut Value, params: &mut Params) -> Answer<Billed> {
    let terms = Terms::read(tx, before, params)?;
    let trial = trials::end(tx, params, 0)?;
    let anchor = pausing::anchor(params)?;
    let changed = changed_items(tx, after, params)?;
    let restarts =
        anchor.as_deref() == Some("now") || !cart::renew_together([recurring(before), recurring(after)]);
    let cycle = Cycle::of(before, restarts, trial)?;
    let billed = if changed || cycle != Cycle::GoesOn {
        move_on(tx, before, after, terms, cycle)?
    } else {
        Billed { lines: Vec::new(), at_once: false }
    };
    take_end(tx, before, after, params)?;
    Ok(billed)
}

/// Puts new prices and quantities into the items named; whether that changes what they cost.
fn changed_items(tx: &Tx, subscription: &mut Value, params: &mut Params) -> Answer<bool> {
    let mut changed = false;
    let name = params.full_name("items");
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
        changed |= costs_differ(&old, item);
    }
    let items = subscription["items"]["data"].as_array().into_iter().flatten();
    if !cart::renew_together(items.map(|item| &item["price"]["recurring"])) {
        let message = "The Stripe sandbox wants all items to have the same interval.";
        return Err(Failure::invalid(message).param(name));
    }
    Ok(changed)
}

/// A person ends a subscription, now or when its period does.
pub fn cancel_by_hand(tx: &Tx, id: &str, at_period_end: bool) -> Answer<Value> {
    let before = get_alive(tx, id)?;
    if !at_period_end {
        return super::cancel_now(tx, before);
    }
    refuse_if_managed(&before)?;
    let mut after = before.clone();
    cancel_at_period_end(tx, &mut after, true);
    update(tx, &before, &after)?;
    Ok(after)
}

/// A person replaces what renewals are charged to.
pub fn swap_card(tx: &Tx, id: &str, means: Means) -> Answer<Value> {
    let before = get_alive(tx, id)?;
    let method = methods::insert(tx, means, &before["customer"], &Value::Null)?;
    mandates::ensure(tx, &method, &mandates::accepted_on_page(tx))?;
    tx.emit("payment_method.attached", &method)?;
    let mut after = before.clone();
    after["default_payment_method"] = method["id"].clone();
    update(tx, &before, &after)?;
    saving::retry(tx, &before, after)
}
