//! How a subscription comes about: at the till, or by the shop's own request.

use serde_json::{Value, json};

use super::{KIND, set_period};
use crate::call::Call;
use crate::cards;
use crate::cart;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::invoices::collect::{self, Asked};
use crate::invoices::{issue, lines};
use crate::methods;
use crate::params::Params;
use crate::payments;
use crate::periods::{DAY, next_end};
use crate::renewals;
use crate::tx::{Tx, id_of};

const LONGEST_TRIAL_DAYS: i64 = 730;
/// They would change what is paid or when.
const UNSUPPORTED_AT_CHECKOUT: [&str; 10] = [
    "application_fee_percent",
    "billing_cycle_anchor",
    "default_tax_rates",
    "invoice_settings",
    "on_behalf_of",
    "pending_invoice_item_interval",
    "proration_behavior",
    "transfer_data",
    "trial_end",
    "trial_settings",
];
const UNSUPPORTED: [&str; 12] = [
    "add_invoice_items",
    "backdate_start_date",
    "billing_cycle_anchor",
    "billing_thresholds",
    "cancel_at",
    "days_until_due",
    "default_tax_rates",
    "discounts",
    "pending_invoice_item_interval",
    "trial_end",
    "trial_settings",
    "transfer_data",
];

/// What is bought, apart from who buys it.
struct Order {
    items: Vec<Bought>,
    currency: Value,
    /// `description`, `metadata` and `trial_period_days`.
    data: Value,
    automatic_tax: bool,
}

struct Bought {
    price: Value,
    quantity: i64,
    metadata: Value,
}

/// `subscription_data` of a session; null if there is none.
pub fn checkout_data(params: &mut Params) -> Answer<Value> {
    let Some(mut section) = params.section("subscription_data")? else { return Ok(Value::Null) };
    section.refuse(&UNSUPPORTED_AT_CHECKOUT)?;
    let data = data(&mut section)?;
    section.finish()?;
    Ok(data)
}

fn data(params: &mut Params) -> Answer<Value> {
    if let Some(mut mode) = params.section("billing_mode")? {
        mode.one_of("type", &["flexible"])?;
        mode.finish()?;
    }
    let trial_name = params.full_name("trial_period_days");
    let trial = params.integer_from("trial_period_days", 1)?;
    if trial.is_some_and(|days| days > LONGEST_TRIAL_DAYS) {
        let message = format!("A trial can be {LONGEST_TRIAL_DAYS} days long at most.");
        return Err(Failure::invalid(message).code("parameter_invalid_integer").param(trial_name));
    }
    Ok(json!({
        "description": params.text("description")?,
        "metadata": params.metadata(Value::Null)?,
        "trial_period_days": trial,
    }))
}

/// The session has been paid, with this intent if anything was due: the subscription begins, and its first
/// invoice is a paid one.
pub fn at_checkout(tx: &Tx, session: &Value, method: Value, intent: Option<Value>) -> Answer<(Value, Value)> {
    let hidden = tx.hidden(crate::checkout::KIND, id_of(session))?;
    let items = hidden["line_items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (recurring, once): (Vec<_>, Vec<_>) =
        items.iter().partition(|item| !item["price"]["recurring"].is_null());
    let quantity = |item: &Value| item["quantity"].as_i64().unwrap_or(1);
    let order = Order {
        items: recurring
            .into_iter()
            .map(|item| Bought {
                price: item["price"].clone(),
                quantity: quantity(item),
                metadata: json!({}),
            })
            .collect(),
        currency: session["currency"].clone(),
        data: hidden["subscription_data"].clone(),
        automatic_tax: session["automatic_tax"]["enabled"] == json!(true),
    };
    let method = methods::keep(tx, method, &session["customer"])?;
    let status = if order.data["trial_period_days"].is_null() { "active" } else { "trialing" };
    let subscription = begin(tx, &session["customer"], &order, Some(&method), status)?;
    let intent = intent.map(|intent| payments::succeed(tx, intent, &method)).transpose()?;
    let invoice_id = subscription["latest_invoice"].as_str().unwrap_or_default();
    let mut billed = lines::regular(tx, &subscription, invoice_id)?;
    for item in once {
        billed.push(lines::one_time(tx, &subscription, invoice_id, &item["price"], quantity(item))?);
    }
    let mut invoice = first_invoice(tx, &subscription, billed, intent.as_ref())?;
    if intent.is_some() {
        invoice = collect::mark_paid_at_checkout(tx, invoice)?;
    }
    Ok((subscription, invoice))
}

/// `POST /v1/subscriptions`
pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&UNSUPPORTED)?;
    params.accept(&["off_session", "payment_settings", "proration_behavior"]);
    params.one_of("collection_method", &["charge_automatically"])?;
    let customer = params.required("customer")?;
    tx.reference("customer", &customer, "customer")?;
    let behavior = params
        .one_of("payment_behavior", &["allow_incomplete", "default_incomplete", "error_if_incomplete"])?
        .unwrap_or_else(|| "allow_incomplete".into());
    let at_period_end = params.boolean("cancel_at_period_end")? == Some(true);
    let wanted_currency = params.currency("currency")?;
    let order = order(tx, &mut params)?;
    if wanted_currency.is_some_and(|wanted| order.currency != json!(wanted)) {
        return Err(Failure::invalid("The price specified is in another currency.").param("currency"));
    }
    let chosen = params.text("default_payment_method")?;
    params.finish()?;
    let chosen = chosen.map(|id| methods::of_customer(tx, &id, &customer, "default_payment_method"));
    let chosen = chosen.transpose()?;
    let customer = json!(customer);
    let charged = match &chosen {
        Some(method) => Some(method.clone()),
        None => collect::default_of_customer(tx, &customer)?,
    };
    let status = first_status(&order, &behavior, charged.as_ref())?;
    let subscription = begin(tx, &customer, &order, chosen.as_ref(), status)?;
    let invoice_id = subscription["latest_invoice"].as_str().unwrap_or_default();
    let billed = lines::regular(tx, &subscription, invoice_id)?;
    let invoice = first_invoice(tx, &subscription, billed, None)?;
    if invoice["status"] == json!("open") && behavior != "default_incomplete" {
        collect::charge(tx, invoice, charged, Asked::OnSchedule)?;
    }
    let before = tx.get(KIND, id_of(&subscription))?;
    if !at_period_end {
        return Ok(before);
    }
    let mut after = before.clone();
    super::change::cancel_at_period_end(tx, &mut after, true);
    super::update(tx, &before, &after)?;
    Ok(after)
}

fn order(tx: &Tx, params: &mut Params) -> Answer<Order> {
    let sections = params.sections("items")?.unwrap_or_default();
    let items = sections.into_iter().map(|section| bought(tx, section)).collect::<Answer<Vec<_>>>()?;
    let Some(first) = items.first() else { return Err(Failure::missing_param("items")) };
    let currency = &first.price["currency"];
    let one_currency = items.iter().all(|item| item.price["currency"] == *currency);
    if !one_currency || !cart::renew_together(items.iter().map(|item| &item.price["recurring"])) {
        let message = "The Stripe sandbox wants all items to have the same interval and currency.";
        return Err(Failure::invalid(message).param("items"));
    }
    let currency = currency.clone();
    Ok(Order { items, currency, data: data(params)?, automatic_tax: false })
}

fn bought(tx: &Tx, mut section: Params) -> Answer<Bought> {
    let name = section.full_name("price");
    let price = cart::price_of(tx, &mut section)?;
    if price["recurring"].is_null() {
        let message = "The price specified is set to `type=one_time` but this field only accepts prices with \
                       `type=recurring`.";
        return Err(Failure::invalid(message).param(name));
    }
    let quantity = section.integer_from("quantity", 1)?.unwrap_or(1);
    let metadata = section.metadata(Value::Null)?;
    section.finish()?;
    Ok(Bought { price, quantity, metadata })
}

/// What the first payment will make of it.
fn first_status(order: &Order, behavior: &str, method: Option<&Value>) -> Answer<&'static str> {
    if !order.data["trial_period_days"].is_null() {
        return Ok("trialing");
    }
    let due = order.items.iter().any(|item| lines::amount_of(&item.price, item.quantity) > 0);
    if !due {
        return Ok("active");
    }
    if behavior == "default_incomplete" {
        return Ok("incomplete");
    }
    let Some(method) = method else {
        let message = "This customer has no default payment method, and none is given.";
        return Err(Failure::invalid(message).code("resource_missing"));
    };
    match cards::of(method)?.refusal() {
        None => Ok("active"),
        Some(refusal) if behavior == "error_if_incomplete" => Err(refusal),
        Some(_) => Ok("incomplete"),
    }
}

fn begin(tx: &Tx, customer: &Value, order: &Order, method: Option<&Value>, status: &str) -> Answer<Value> {
    let mut subscription = blank(tx, customer, order);
    subscription["status"] = json!(status);
    subscription["default_payment_method"] = json!(method.map(id_of));
    subscription["latest_invoice"] = json!(ids::fresh("in"));
    let end = match order.data["trial_period_days"].as_i64() {
        Some(days) => {
            let end = tx.now() + days * DAY;
            subscription["trial_start"] = json!(tx.now());
            subscription["trial_end"] = json!(end);
            // What is paid for is counted from when it is paid for.
            subscription["billing_cycle_anchor"] = json!(end);
            end
        }
        None => next_end(tx.now(), &order.items[0].price["recurring"], tx.now())?,
    };
    set_period(&mut subscription, tx.now(), end);
    tx.insert(&subscription, &Value::Null)?;
    tx.emit("customer.subscription.created", &subscription)?;
    renewals::tell_of_short_trial(tx, &subscription)?;
    renewals::set_alarm(tx, &subscription)?;
    Ok(subscription)
}

fn first_invoice(tx: &Tx, subscription: &Value, lines: Vec<Value>, intent: Option<&Value>) -> Answer<Value> {
    let id = subscription["latest_invoice"].as_str().unwrap_or_default();
    let draft = issue::Draft { id, reason: "subscription_create", lines, period: (tx.now(), tx.now()) };
    issue::issue(tx, subscription, draft, intent)
}

fn blank(tx: &Tx, customer: &Value, order: &Order) -> Value {
    let id = ids::fresh("sub");
    let items: Vec<Value> = order.items.iter().map(|bought| item(tx, &id, bought)).collect();
    let metadata = &order.data["metadata"];
    let mut subscription = json!({
        "object": KIND,
        "automatic_tax": {
            "disabled_reason": null,
            "enabled": order.automatic_tax,
            "liability": order.automatic_tax.then(|| json!({"type": "self"})),
        },
        "billing_cycle_anchor": tx.now(),
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": tx.now()},
        "billing_schedules": [],
        "cancel_at_period_end": false,
        "cancellation_details": {"comment": null, "feedback": null, "reason": null},
        "collection_method": "charge_automatically",
        "created": tx.now(),
        "currency": order.currency,
        "customer": customer,
        "default_tax_rates": [],
        "description": order.data["description"],
        "discounts": [],
        "invoice_settings": {
            "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null,
            "issuer": {"type": "self"},
        },
        "items": {
            "object": "list", "data": items, "has_more": false, "total_count": items.len(),
            "url": format!("/v1/subscription_items?subscription={id}"),
        },
        "livemode": false,
        "metadata": if metadata.is_object() { metadata.clone() } else { json!({}) },
        "payment_settings": {
            "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off",
        },
        "start_date": tx.now(),
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "id": id,
    });
    for name in NULL_AT_FIRST {
        subscription[name] = Value::Null;
    }
    subscription
}

const NULL_AT_FIRST: [&str; 24] = [
    "application",
    "application_fee_percent",
    "billing_cycle_anchor_config",
    "billing_thresholds",
    "cancel_at",
    "canceled_at",
    "customer_account",
    "days_until_due",
    "default_payment_method",
    "default_source",
    "ended_at",
    "latest_invoice",
    "next_pending_invoice_item_invoice",
    "on_behalf_of",
    "pause_collection",
    "pending_invoice_item_interval",
    "pending_setup_intent",
    "pending_update",
    "schedule",
    "status_details",
    "test_clock",
    "transfer_data",
    "trial_end",
    "trial_start",
];

fn item(tx: &Tx, subscription: &str, bought: &Bought) -> Value {
    json!({
        "id": ids::fresh("si"),
        "object": "subscription_item",
        "billed_until": null,
        "billing_thresholds": null,
        "created": tx.now(),
        "current_period_end": 0,
        "current_period_start": 0,
        "discounts": [],
        "metadata": bought.metadata,
        "plan": plan(&bought.price),
        "price": bought.price,
        "quantity": bought.quantity,
        "subscription": subscription,
        "tax_rates": [],
    })
}

/// The price again, in the shape prices had before there were prices.
pub fn plan(price: &Value) -> Value {
    json!({
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"],
        "livemode": false,
        "metadata": price["metadata"],
        "meter": null,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": null,
        "transform_usage": null,
        "trial_period_days": null,
        "usage_type": "licensed",
    })
}
