//! How a subscription comes about: at the till, or by the shop's own request.

use serde_json::{Value, json};

use super::shape::{Bought, Order, blank};
use super::{KIND, Payment, paying, payment_behavior, saving, set_period, trials};
use crate::call::Call;
use crate::cart;
use crate::checkout;
use crate::discounts;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::invoices::collect::{self, Asked};
use crate::invoices::{issue, lines};
use crate::means;
use crate::methods;
use crate::params::Params;
use crate::payments;
use crate::periods::{DAY, next_end};
use crate::promotions::Use;
use crate::renewals;
use crate::tax;
use crate::tx::{Tx, id_of};

/// How far off the end of a trial must be that a session names.
const CHECKOUT_TRIAL_AHEAD: i64 = 2 * DAY;
/// They would change what is paid or when.
const UNSUPPORTED_AT_CHECKOUT: [&str; 8] = [
    "application_fee_percent",
    "billing_cycle_anchor",
    "default_tax_rates",
    "invoice_settings",
    "on_behalf_of",
    "pending_invoice_item_interval",
    "proration_behavior",
    "transfer_data",
];
const UNSUPPORTED: [&str; 9] = [
    "add_invoice_items",
    "backdate_start_date",
    "billing_cycle_anchor",
    "billing_thresholds",
    "cancel_at",
    "days_until_due",
    "default_tax_rates",
    "pending_invoice_item_interval",
    "transfer_data",
];

/// `subscription_data` of a session; null if there is none.
pub fn checkout_data(tx: &Tx, params: &mut Params) -> Answer<Value> {
    let Some(mut section) = params.section("subscription_data")? else { return Ok(Value::Null) };
    section.refuse(&UNSUPPORTED_AT_CHECKOUT)?;
    let data = data(tx, &mut section, CHECKOUT_TRIAL_AHEAD)?;
    section.finish()?;
    Ok(data)
}

fn data(tx: &Tx, params: &mut Params, trial_ahead: i64) -> Answer<Value> {
    if let Some(mut mode) = params.section("billing_mode")? {
        mode.one_of("type", &["flexible"])?;
        mode.finish()?;
    }
    Ok(json!({
        "description": params.text("description")?,
        "metadata": params.metadata(Value::Null)?,
        "trial": trials::wanted(tx, params, trial_ahead)?,
    }))
}

/// The session has been paid, with this intent if anything was due: the subscription begins, and its first
/// invoice is a paid one. A trial may begin without a card.
pub fn at_checkout(
    tx: &Tx,
    session: &Value,
    method: Option<Value>,
    intent: Option<Value>,
) -> Answer<(Value, Value)> {
    let hidden = tx.hidden(checkout::KIND, id_of(session))?;
    let items = hidden["line_items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (recurring, once): (Vec<_>, Vec<_>) =
        items.iter().partition(|item| !item["price"]["recurring"].is_null());
    let quantity = |item: &Value| item["quantity"].as_i64().unwrap_or(1);
    let bought =
        |item: &Value| Bought { price: item["price"].clone(), quantity: quantity(item), metadata: json!({}) };
    let order = Order {
        items: recurring.into_iter().map(bought).collect(),
        currency: session["currency"].clone(),
        data: hidden["subscription_data"].clone(),
        automatic_tax: session["automatic_tax"]["enabled"] == json!(true),
        discounts: checkout::amounts::redemptions(tx, session)?,
        session: session["id"].clone(),
    };
    let method = method.map(|method| methods::keep(tx, method, &session["customer"])).transpose()?;
    let subscription = begin(tx, &session["customer"], &order, &First::active(method.as_ref()))?;
    let intent = match (intent, &method) {
        (Some(intent), Some(method)) => Some(payments::take(tx, intent, method)?),
        _ => None,
    };
    let invoice_id = subscription["latest_invoice"].as_str().unwrap_or_default();
    let mut billed = lines::regular(tx, &subscription, invoice_id)?;
    for item in once {
        billed.push(lines::one_time(tx, &subscription, invoice_id, &item["price"], quantity(item))?);
    }
    let mut invoice = first_invoice(tx, &subscription, billed, intent.as_ref())?;
    if let Some(intent) = &intent {
        invoice = collect::mark_taken_at_checkout(tx, invoice, intent)?;
    }
    Ok((subscription, invoice))
}

/// `POST /v1/subscriptions`
pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&UNSUPPORTED)?;
    params.accept(&["off_session", "proration_behavior"]);
    params.one_of("collection_method", &["charge_automatically"])?;
    let customer = params.required("customer")?;
    tx.reference("customer", &customer, "customer")?;
    let payment = payment_behavior(&mut params)?;
    let at_period_end = params.boolean("cancel_at_period_end")? == Some(true);
    let wanted_currency = params.currency("currency")?;
    let mut order = order(tx, &json!(customer), &mut params)?;
    order.data["payment_settings"] = paying::settings(&mut params, &paying::unset(), &order.currency)?;
    if wanted_currency.is_some_and(|wanted| order.currency != json!(wanted)) {
        return Err(Failure::invalid("The price specified is in another currency.").param("currency"));
    }
    let chosen = params.text("default_payment_method")?;
    params.finish()?;
    let chosen = chosen.map(|id| methods::of_customer(tx, &id, &customer, "default_payment_method"));
    let before = start(tx, &json!(customer), &order, chosen.transpose()?, payment)?;
    if !at_period_end {
        return Ok(before);
    }
    let mut after = before.clone();
    super::ending::cancel_at_period_end(tx, &mut after, true);
    super::update(tx, &before, &after)?;
    Ok(after)
}

/// Begins it, and bills its first period.
pub fn start(
    tx: &Tx,
    customer: &Value,
    order: &Order,
    chosen: Option<Value>,
    payment: Payment,
) -> Answer<Value> {
    let charged = match &chosen {
        Some(method) => Some(method.clone()),
        None => collect::default_of_customer(tx, customer)?,
    };
    // Whether anything is due decides how it begins.
    let due = tx.undone(|tx| {
        let subscription = begin(tx, customer, order, &First::active(chosen.as_ref()))?;
        let lines = lines::regular(tx, &subscription, "")?;
        Ok(first_invoice(tx, &subscription, lines, None)?["amount_due"].clone())
    })?;
    let (status, setup) = match due == json!(0) {
        true => ("active", saving::begin(tx, customer, order, charged.as_ref())?),
        false => (first_status(tx, payment, charged.as_ref())?, None),
    };
    let first = First { status, method: chosen.as_ref(), setup: setup.as_ref() };
    let subscription = begin(tx, customer, order, &first)?;
    let invoice_id = subscription["latest_invoice"].as_str().unwrap_or_default();
    let billed = lines::regular(tx, &subscription, invoice_id)?;
    let invoice = first_invoice(tx, &subscription, billed, None)?;
    if invoice["status"] == json!("open") && payment != Payment::Awaited {
        collect::charge(tx, invoice, charged, Asked::OnSchedule)?;
    }
    tx.get(KIND, id_of(&subscription))
}

/// What is asked for, by and for this customer.
pub fn order(tx: &Tx, customer: &Value, params: &mut Params) -> Answer<Order> {
    let name = params.full_name("items");
    let sections = params.sections("items")?.unwrap_or_default();
    let items = sections.into_iter().map(|section| bought(tx, section)).collect::<Answer<Vec<_>>>()?;
    let Some(first) = items.first() else { return Err(Failure::missing_param(&name)) };
    let currency = &first.price["currency"];
    let one_currency = items.iter().all(|item| item.price["currency"] == *currency);
    if !one_currency || !cart::renew_together(items.iter().map(|item| &item.price["recurring"])) {
        let message = "The Stripe sandbox wants all items to have the same interval and currency.";
        return Err(Failure::invalid(message).param(name));
    }
    let currency = currency.clone();
    let automatic_tax = tax::wanted(params)? == Some(true);
    if automatic_tax {
        tax::check_location(tx, customer)?;
        items.iter().try_for_each(|item| tax::check_price(&item.price, &name))?;
    }
    let asked = Use {
        customer: customer.as_str(),
        currency: currency.as_str().unwrap_or_default(),
        amount: items.iter().map(|item| lines::amount_of(&item.price, item.quantity)).sum(),
    };
    let discounts = discounts::wanted(tx, params, &asked)?.unwrap_or_default();
    Ok(Order { data: data(tx, params, 0)?, items, currency, automatic_tax, discounts, session: Value::Null })
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
fn first_status(tx: &Tx, payment: Payment, method: Option<&Value>) -> Answer<&'static str> {
    if payment == Payment::Awaited {
        return Ok("incomplete");
    }
    let Some(method) = method else {
        let message = "This customer has no default payment method, and none is given.";
        return Err(Failure::invalid(message).code("resource_missing"));
    };
    match means::refusal(tx, method)? {
        None => Ok("active"),
        Some(refusal) if payment == Payment::Required => Err(refusal),
        Some(_) => Ok("incomplete"),
    }
}

/// How it begins, unless that is with a trial.
struct First<'a> {
    status: &'a str,
    method: Option<&'a Value>,
    /// What has to be confirmed before anything can be charged.
    setup: Option<&'a Value>,
}

impl<'a> First<'a> {
    fn active(method: Option<&'a Value>) -> Self {
        Self { status: "active", method, setup: None }
    }
}

fn begin(tx: &Tx, customer: &Value, order: &Order, first: &First) -> Answer<Value> {
    let mut subscription = blank(tx, customer, order);
    subscription["status"] = json!(first.status);
    subscription["default_payment_method"] = json!(first.method.map(id_of));
    subscription["pending_setup_intent"] = json!(first.setup.map(id_of));
    subscription["latest_invoice"] = json!(ids::fresh("in"));
    let trial = &order.data["trial"];
    if !trial["settings"].is_null() {
        subscription["trial_settings"] = trial["settings"].clone();
    }
    match trials::end_from_now(tx, trial) {
        Some(end) => trials::begin(tx, &mut subscription, end),
        None => {
            let end = next_end(tx.now(), &order.items[0].price["recurring"], tx.now())?;
            set_period(&mut subscription, tx.now(), end);
        }
    }
    discounts::put(tx, &mut subscription, &order.discounts, &order.session)?;
    tx.insert(&subscription, &Value::Null)?;
    if let Some(setup) = first.setup {
        saving::attach(tx, &subscription, setup)?;
    }
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
