//! The lines of an invoice, and the sums of a change of price within a period.

use serde_json::{Value, json};

use crate::failure::Answer;
use crate::ids;
use crate::pages::money;
use crate::subscriptions::period_of;
use crate::tx::{Tx, id_of};

/// What a subscription costs for the period that its items are in; nothing while it is a trial.
pub fn regular(tx: &Tx, subscription: &Value, invoice: &str) -> Answer<Vec<Value>> {
    let trial = subscription["status"] == json!("trialing");
    let items = subscription["items"]["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines = items.iter().map(|item| {
        let (price, quantity) = (&item["price"], item["quantity"].as_i64().unwrap_or(1));
        let name = product_name(tx, price)?;
        let description = match trial {
            true => format!("Trial period for {name}"),
            false => format!("{quantity} × {name} (at {})", cost(price)),
        };
        let amount = if trial { 0 } else { amount_of(price, quantity) };
        let parent = of_item(subscription, item, None);
        let period = period_of(subscription);
        Ok(line(subscription, invoice, Billed { price, quantity, amount, period, description, parent }))
    });
    lines.collect()
}

/// A price that is paid once, bought together with the subscription.
pub fn one_time(tx: &Tx, subscription: &Value, invoice: &str, price: &Value, quantity: i64) -> Answer<Value> {
    let description = format!("{quantity} × {}", product_name(tx, price)?);
    let parent = json!({
        "invoice_item_details": {
            "invoice_item": ids::fresh("ii"), "proration": false,
            "proration_details": {"credited_items": null}, "subscription": id_of(subscription),
        },
        "subscription_item_details": null,
        "type": "invoice_item_details",
    });
    let period = (tx.now(), tx.now());
    let amount = amount_of(price, quantity);
    Ok(line(subscription, invoice, Billed { price, quantity, amount, period, description, parent }))
}

/// What an item costs for a whole period, after discounts.
#[derive(Clone, Copy)]
pub struct Cost<'a> {
    pub item: &'a Value,
    pub amount: i64,
}

/// What is left of a period from a moment on: given back at the old cost, and taken at the new one.
pub fn proration(
    tx: &Tx,
    subscription: &Value,
    old: Option<Cost>,
    new: Option<Cost>,
    from: i64,
) -> Answer<Vec<Value>> {
    let (start, end) = period_of(subscription);
    let rest = |amount: i64| share(amount, end - from, end - start);
    let mut lines = Vec::new();
    for (item, sign, words) in [(old, -1, "Unused time on"), (new, 1, "Remaining time on")] {
        let Some(Cost { item, amount }) = item else { continue };
        let (price, quantity) = (&item["price"], item["quantity"].as_i64().unwrap_or(1));
        let amount = sign * rest(amount);
        let description = format!("{words} {}", product_name(tx, price)?);
        let parent = of_item(subscription, item, Some(ids::fresh("ii")));
        let period = (from, end);
        let billed = Billed { price, quantity, amount, period, description, parent };
        lines.push(line(subscription, "", billed));
    }
    Ok(lines)
}

/// Lines that waited for an invoice, now that there is one.
pub fn put_onto(mut lines: Vec<Value>, invoice: &str) -> Vec<Value> {
    for line in &mut lines {
        line["invoice"] = json!(invoice);
    }
    lines
}

pub fn amount_of(price: &Value, quantity: i64) -> i64 {
    price["unit_amount"].as_i64().unwrap_or(0).saturating_mul(quantity)
}

/// Rounded half up.
fn share(amount: i64, part: i64, whole: i64) -> i64 {
    if whole <= 0 {
        return 0;
    }
    let (amount, part, whole) = (i128::from(amount), i128::from(part.clamp(0, whole)), i128::from(whole));
    i64::try_from((2 * amount * part + whole) / (2 * whole)).expect("a share is no more than the whole")
}

/// `9.99 EUR / month`, `9.99 EUR / 3 months`
pub fn cost(price: &Value) -> String {
    let amount =
        money(price["unit_amount"].as_i64().unwrap_or(0), price["currency"].as_str().unwrap_or_default());
    let interval = price["recurring"]["interval"].as_str().unwrap_or_default();
    match price["recurring"]["interval_count"].as_i64().unwrap_or(1) {
        1 => format!("{amount} / {interval}"),
        count => format!("{amount} / {count} {interval}s"),
    }
}

fn product_name(tx: &Tx, price: &Value) -> Answer<String> {
    let product = tx.find("product", price["product"].as_str().unwrap_or_default())?;
    let name = product.and_then(|product| product["name"].as_str().map(str::to_owned));
    Ok(name.unwrap_or_else(|| "Subscription".to_owned()))
}

fn of_item(subscription: &Value, item: &Value, invoice_item: Option<String>) -> Value {
    json!({
        "invoice_item_details": null,
        "subscription_item_details": {
            "invoice_item": invoice_item,
            "proration": invoice_item.is_some(),
            "proration_details": {"credited_items": null},
            "subscription": id_of(subscription),
            "subscription_item": id_of(item),
        },
        "type": "subscription_item_details",
    })
}

/// What a line bills.
struct Billed<'a> {
    price: &'a Value,
    quantity: i64,
    amount: i64,
    period: (i64, i64),
    description: String,
    parent: Value,
}

fn line(subscription: &Value, invoice: &str, billed: Billed) -> Value {
    let Billed { price, quantity, amount, period, description, parent } = billed;
    json!({
        "id": ids::fresh("il"),
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": description,
        "discount_amounts": [],
        "discountable": parent["subscription_item_details"]["proration"] != json!(true),
        "discounts": [],
        "invoice": invoice,
        "livemode": false,
        "metadata": subscription["metadata"],
        "parent": parent,
        "period": {"end": period.1, "start": period.0},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": quantity,
        "quantity_decimal": quantity.to_string(),
        "subscription": id_of(subscription),
        "subtotal": amount,
        "taxes": [],
    })
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_share_is_rounded_half_up_and_never_more_than_the_whole() {
        assert_eq!(share(999, 15, 30), 500);
        assert_eq!(share(999, 1, 3), 333);
        assert_eq!(share(999, 40, 30), 999);
        assert_eq!(share(i64::MAX, 1, 1), i64::MAX);
    }
}
