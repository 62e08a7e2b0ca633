//! `/v1/prices`.

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::{Query, search as search_objects};
use crate::params::Params;
use crate::products;
use crate::tx::{Tx, id_of};

const INTERVALS: [&str; 4] = ["day", "week", "month", "year"];
const TAX_BEHAVIORS: [&str; 3] = ["exclusive", "inclusive", "unspecified"];
const UNSUPPORTED: [&str; 5] =
    ["currency_options", "custom_unit_amount", "tiers", "tiers_mode", "transform_quantity"];

pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let product = product_of(tx, &mut params, true)?;
    let price = insert(tx, &mut params, &product)?;
    params.finish()?;
    Ok(price)
}

/// The product a price is for: an existing one, or a new one described beside it.
pub fn product_of(tx: &Tx, params: &mut Params, active: bool) -> Answer<String> {
    let name = params.full_name("product");
    match (params.text("product")?, params.section("product_data")?) {
        (Some(_), Some(_)) => Err(Failure::invalid("Pass only one of product and product_data.")),
        (Some(id), None) => {
            tx.reference("product", &id, &name)?;
            Ok(id)
        }
        (None, Some(mut section)) => {
            if !active {
                section.put("active", "false");
            }
            Ok(id_of(&products::insert(tx, section)?).to_owned())
        }
        (None, None) => Err(Failure::missing_param(&name)),
    }
}

pub fn insert(tx: &Tx, params: &mut Params, product: &str) -> Answer<Value> {
    params.refuse(&UNSUPPORTED)?;
    params.one_of("billing_scheme", &["per_unit"])?;
    let recurring = params.section("recurring")?.map(recurring).transpose()?;
    let currency_name = params.full_name("currency");
    let currency = params.currency("currency")?.ok_or_else(|| Failure::missing_param(&currency_name))?;
    let unit_amount = unit_amount(params)?;
    let lookup_key = params.text("lookup_key")?;
    let transfer = params.boolean("transfer_lookup_key")?.unwrap_or(false);
    let id = ids::fresh("price");
    claim_lookup_key(tx, lookup_key.as_deref(), &id, transfer)?;
    let price = json!({
        "id": id,
        "object": "price",
        "active": params.boolean("active")?.unwrap_or(true),
        "billing_scheme": "per_unit",
        "created": tx.now(),
        "currency": currency,
        "custom_unit_amount": null,
        "livemode": false,
        "lookup_key": lookup_key,
        "metadata": params.metadata(Value::Null)?,
        "nickname": params.text("nickname")?,
        "product": product,
        "recurring": recurring,
        "tax_behavior": params.one_of("tax_behavior", &TAX_BEHAVIORS)?.unwrap_or("unspecified".into()),
        "tiers_mode": null,
        "transform_quantity": null,
        "type": if recurring.is_some() { "recurring" } else { "one_time" },
        "unit_amount": unit_amount,
        "unit_amount_decimal": unit_amount.to_string(),
    });
    tx.insert(&price, &Value::Null)?;
    tx.emit("price.created", &price)?;
    Ok(price)
}

fn recurring(mut section: Params) -> Answer<Value> {
    let name = section.full_name("interval");
    let interval = section.one_of("interval", &INTERVALS)?.ok_or_else(|| Failure::missing_param(&name))?;
    let count_name = section.full_name("interval_count");
    let count = section.integer_from("interval_count", 1)?.unwrap_or(1);
    let most = match interval.as_str() {
        "day" => 1095,
        "week" => 156,
        "month" => 36,
        _ => 3,
    };
    if count > most {
        return Err(Failure::invalid("An interval is three years long at most.").param(count_name));
    }
    let recurring = json!({
        "interval": interval,
        "interval_count": count,
        "meter": null,
        "trial_period_days": section.integer_from("trial_period_days", 1)?,
        "usage_type": section.one_of("usage_type", &["licensed"])?.unwrap_or("licensed".into()),
    });
    section.finish()?;
    Ok(recurring)
}

/// Whole minor units only; a decimal amount is taken if it is whole.
fn unit_amount(params: &mut Params) -> Answer<i64> {
    let name = params.full_name("unit_amount");
    match (params.integer_from("unit_amount", 0)?, params.integer_from("unit_amount_decimal", 0)?) {
        (Some(_), Some(_)) => Err(Failure::invalid("Pass only one of unit_amount and unit_amount_decimal.")),
        (Some(amount), None) | (None, Some(amount)) => Ok(amount),
        (None, None) => Err(Failure::missing_param(&name)),
    }
}

/// A lookup key names one price at a time; with `transfer` the price that has it lets go.
fn claim_lookup_key(tx: &Tx, key: Option<&str>, claimant: &str, transfer: bool) -> Answer<()> {
    let Some(key) = key else { return Ok(()) };
    let mut query = Query::of("price");
    query.equal("lookup_key", Some(key.to_owned()));
    for holder in query.all(tx)? {
        if id_of(&holder) == claimant {
            continue;
        }
        if !transfer {
            let message = format!("A price (`{}`) already uses that lookup key.", id_of(&holder));
            return Err(Failure::conflict(message).param("lookup_key"));
        }
        let mut released = holder.clone();
        released["lookup_key"] = Value::Null;
        tx.update(&holder, &released, "price.updated")?;
    }
    Ok(())
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get("price", call.id)
}

pub fn update(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let before = tx.get("price", call.id)?;
    let mut price = before.clone();
    if let Some(active) = params.boolean("active")? {
        price["active"] = json!(active);
    }
    if let Some(nickname) = params.clearable("nickname")? {
        price["nickname"] = json!(nickname);
    }
    let transfer = params.boolean("transfer_lookup_key")?.unwrap_or(false);
    if let Some(key) = params.clearable("lookup_key")? {
        claim_lookup_key(tx, key.as_deref(), call.id, transfer)?;
        price["lookup_key"] = json!(key);
    }
    if let Some(behavior) = params.one_of("tax_behavior", &TAX_BEHAVIORS)? {
        price["tax_behavior"] = json!(behavior);
    }
    price["metadata"] = params.metadata(price["metadata"].take())?;
    params.finish()?;
    tx.update(&before, &price, "price.updated")?;
    Ok(price)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of("price");
    query.is("active", params.boolean("active")?);
    query.equal("product", params.text("product")?);
    query.equal("currency", params.currency("currency")?);
    query.equal("type", params.one_of("type", &["one_time", "recurring"])?);
    let keys = params.texts("lookup_keys")?;
    if keys.as_ref().is_some_and(|keys| keys.len() > 10) {
        return Err(Failure::invalid("Up to 10 lookup_keys can be asked for.").param("lookup_keys"));
    }
    query.any_of("lookup_key", keys);
    if let Some(mut recurring) = params.section("recurring")? {
        query.equal("recurring.interval", recurring.one_of("interval", &INTERVALS)?);
        query.equal("recurring.usage_type", recurring.text("usage_type")?);
        query.equal("recurring.meter", recurring.text("meter")?);
        recurring.finish()?;
    }
    query.created(&mut params)?;
    query.page(call.tx, params, "/v1/prices")
}

pub fn search(call: Call) -> Answer<Value> {
    search_objects(call.tx, call.params, "price", "/v1/prices/search", &["lookup_key", "product", "currency"])
}
