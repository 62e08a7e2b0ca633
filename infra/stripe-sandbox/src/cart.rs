//! The line items of a checkout: what is bought, priced when the session is made.

use serde_json::{Value, json};

use crate::failure::{Answer, Failure};
use crate::ids;
use crate::params::Params;
use crate::prices;
use crate::tx::Tx;

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Payment,
    Setup,
    Subscription,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Setup => "setup",
            Self::Subscription => "subscription",
        }
    }
}

pub struct Cart {
    pub items: Vec<Value>,
    pub currency: String,
    /// Due now: a trial costs nothing yet.
    pub total: i64,
}

impl Cart {
    /// Where a way to pay is only saved, in whatever currency that is for.
    pub fn empty(params: &mut Params) -> Answer<Self> {
        let currency = params.currency("currency")?;
        if currency.is_none() && !params.has("payment_method_types") {
            return Err(Failure::missing_param("currency"));
        }
        Ok(Self { items: Vec::new(), currency: currency.unwrap_or_default(), total: 0 })
    }
}

const PRICE_DATA: [&str; 7] = [
    "currency",
    "product",
    "product_data",
    "recurring",
    "tax_behavior",
    "unit_amount",
    "unit_amount_decimal",
];
const MOST: i64 = 99_999_999;

pub fn priced(tx: &Tx, params: &mut Params, mode: Mode, is_trial: bool) -> Answer<Cart> {
    let wanted = params.currency("currency")?;
    let sections = params.sections("line_items")?.unwrap_or_default();
    if sections.is_empty() {
        return Err(Failure::missing_param("line_items"));
    }
    let items = sections.into_iter().map(|section| line_item(tx, section, mode, is_trial));
    let items = items.collect::<Answer<Vec<_>>>()?;
    check_intervals(&items, mode)?;
    let currency = items[0]["currency"].as_str().unwrap_or_default().to_owned();
    let alike = items.iter().all(|item| item["currency"] == json!(currency));
    if !alike || wanted.is_some_and(|wanted| wanted != currency) {
        let message = "All prices of a Checkout Session must be in one currency.";
        return Err(Failure::invalid(message).param("line_items"));
    }
    let total = items.iter().try_fold(0_i64, |sum, item| sum.checked_add(item["amount_total"].as_i64()?));
    let total = total.filter(|total| *total <= MOST).ok_or_else(too_large)?;
    check_least(total, &currency)?;
    Ok(Cart { items, currency, total })
}

/// What renews must renew at the same time.
fn check_intervals(items: &[Value], mode: Mode) -> Answer<()> {
    let recurring = || items.iter().map(|item| &item["price"]["recurring"]).filter(|it| !it.is_null());
    let message = if mode == Mode::Subscription && recurring().next().is_none() {
        "You must provide at least one recurring price in `subscription` mode."
    } else if !renew_together(recurring()) {
        "The Stripe sandbox wants all recurring prices to have the same interval."
    } else {
        return Ok(());
    };
    Err(Failure::invalid(message).param("line_items"))
}

/// Whether what all these prices have as `recurring` is one interval.
pub fn renew_together<'a>(recurring: impl IntoIterator<Item = &'a Value>) -> bool {
    let mut intervals = recurring.into_iter().map(|it| (&it["interval"], &it["interval_count"]));
    let first = intervals.next();
    intervals.all(|interval| Some(interval) == first)
}

fn line_item(tx: &Tx, mut section: Params, mode: Mode, is_trial: bool) -> Answer<Value> {
    section.refuse(&["tax_rates"])?;
    section.accept(&["adjustable_quantity"]);
    let price = price_of(tx, &mut section)?;
    if mode == Mode::Payment && !price["recurring"].is_null() {
        let message = "A recurring price cannot be bought in `payment` mode; use `subscription` mode.";
        return Err(Failure::invalid(message).param(section.full_name("price")));
    }
    let quantity_name = section.full_name("quantity");
    let quantity =
        section.integer_from("quantity", 1)?.ok_or_else(|| Failure::missing_param(&quantity_name))?;
    let unit = price["unit_amount"].as_i64().unwrap_or(0);
    let unit = if is_trial && !price["recurring"].is_null() { 0 } else { unit };
    let amount = unit.checked_mul(quantity).ok_or_else(too_large)?;
    let product = tx.find("product", price["product"].as_str().unwrap_or_default())?;
    let item = json!({
        "id": ids::fresh("li"),
        "object": "item",
        "adjustable_quantity": null,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": product.map(|product| product["name"].clone()),
        "metadata": section.metadata(Value::Null)?,
        "price": price,
        "quantity": quantity,
    });
    section.finish()?;
    Ok(item)
}

pub fn price_of(tx: &Tx, section: &mut Params) -> Answer<Value> {
    let name = section.full_name("price");
    match (section.text("price")?, section.section("price_data")?) {
        (Some(_), Some(_)) => Err(Failure::invalid("Pass only one of price and price_data.").param(name)),
        (Some(id), None) => existing_price(tx, &id, &name),
        (None, Some(data)) => inline_price(tx, data),
        (None, None) => Err(Failure::missing_param(&name)),
    }
}

fn existing_price(tx: &Tx, id: &str, param: &str) -> Answer<Value> {
    let price = tx.reference("price", id, param)?;
    if price["active"] != json!(true) {
        return Err(Failure::invalid(format!("The price {id} is inactive.")).param(param));
    }
    let product = tx.find("product", price["product"].as_str().unwrap_or_default())?;
    if product.is_none_or(|product| product["active"] != json!(true)) {
        return Err(Failure::invalid(format!("The product of the price {id} is not active.")).param(param));
    }
    Ok(price)
}

/// `price_data` makes an archived price, so that it is found by nobody else.
fn inline_price(tx: &Tx, mut data: Params) -> Answer<Value> {
    data.only(&PRICE_DATA)?;
    data.put("active", "false");
    let product = prices::product_of(tx, &mut data, false)?;
    let price = prices::insert(tx, &mut data, &product)?;
    data.finish()?;
    Ok(price)
}

pub fn check_least(total: i64, currency: &str) -> Answer<()> {
    if (1..least(currency)).contains(&total) {
        let message = format!("The total must be at least {} {currency} minor units.", least(currency));
        return Err(Failure::invalid(message).code("amount_too_small"));
    }
    Ok(())
}

/// Below this Stripe's own cost exceeds the amount.
pub fn least(currency: &str) -> i64 {
    match currency {
        "usd" | "eur" => 50,
        "gbp" => 30,
        _ => 1,
    }
}

fn too_large() -> Failure {
    Failure::invalid("The total is too large.").code("amount_too_large")
}
