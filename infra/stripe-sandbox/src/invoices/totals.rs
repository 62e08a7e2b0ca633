//! What an invoice comes to: its lines, less what discounts take off, plus tax.

use serde_json::{Value, json};

use crate::discounts::{self, Costing};
use crate::failure::Answer;
use crate::subscriptions;
use crate::tax;
use crate::tx::Tx;

pub struct Totals {
    pub subtotal: i64,
    pub discounts: Vec<Value>,
    /// Before tax.
    pub net: i64,
    pub taxes: Vec<Value>,
    pub total: i64,
}

/// Writes onto each line what is taken off it and what tax it bears, and adds all up.
pub fn add_up(tx: &Tx, subscription: &Value, customer: &Value, lines: &mut [Value]) -> Answer<Totals> {
    let amount = |line: &Value| line["amount"].as_i64().unwrap_or(0);
    let subtotal = lines.iter().map(amount).fold(0, i64::saturating_add);
    let discounts = take_off(tx, subscription, lines)?;
    let off: i64 = discounts.iter().map(amount).sum();
    let taxed = subscription["automatic_tax"]["enabled"] == json!(true);
    let taxes = match tax::rate_of(customer).filter(|_| taxed) {
        Some(rate) => put_tax(rate, lines),
        None => Vec::new(),
    };
    let tax: i64 = taxes.iter().map(amount).sum();
    let net = subtotal - off;
    Ok(Totals { subtotal, discounts, net, taxes, total: net + tax })
}

/// Prorations have been made of what was to be paid after discounts already.
fn take_off(tx: &Tx, subscription: &Value, lines: &mut [Value]) -> Answer<Vec<Value>> {
    let offs = discounts::offs_of(tx, subscription)?;
    let costing: Vec<Costing> = lines
        .iter()
        .map(|line| {
            let product = line["pricing"]["price_details"]["product"].as_str().unwrap_or_default();
            let discountable = line["discountable"] == json!(true);
            let amount = line["amount"].as_i64().filter(|_| discountable).unwrap_or(0);
            Costing { product: product.to_owned(), amount }
        })
        .collect();
    let rows = discounts::spread(&offs, &costing);
    let mut totals = Vec::new();
    for (off, row) in offs.iter().zip(&rows) {
        for (line, amount) in lines.iter_mut().zip(row).filter(|(_, amount)| **amount > 0) {
            let taken = json!({"amount": amount, "discount": off.discount});
            line["discount_amounts"].as_array_mut().into_iter().for_each(|all| all.push(taken.clone()));
        }
        totals.push(json!({"amount": row.iter().sum::<i64>(), "discount": off.discount}));
    }
    Ok(totals)
}

fn put_tax(rate: &tax::Rate, lines: &mut [Value]) -> Vec<Value> {
    let (mut taxable, mut tax) = (0, 0);
    for line in lines {
        let net = net_of(line);
        let amount = rate.on(net);
        line["taxes"] = json!([rate.shown(net, amount)]);
        taxable += net;
        tax += amount;
    }
    vec![rate.shown(taxable, tax)]
}

/// What a line costs after discounts.
pub fn net_of(line: &Value) -> i64 {
    let off = line["discount_amounts"].as_array().into_iter().flatten();
    let off: i64 = off.filter_map(|taken| taken["amount"].as_i64()).sum();
    line["amount"].as_i64().unwrap_or(0) - off
}

/// What each item has been billed for the period it is in, which is what is given back of it.
pub fn remember_billed(tx: &Tx, subscription: &Value, lines: &[Value]) -> Answer<()> {
    let mut billed = subscriptions::billed(tx, subscription)?;
    for line in lines {
        let details = &line["parent"]["subscription_item_details"];
        if let Some(item) = details["subscription_item"].as_str()
            && details["proration"] == json!(false)
        {
            billed[item] = json!(net_of(line));
        }
    }
    subscriptions::set_hidden(tx, subscription, "billed", &billed)
}
