//! `/v1/coupons`: how much is taken off, for how long, how often. What comes of one is in `discounts`.

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
use crate::params::Params;
use crate::tx::{Tx, id_of};

pub const KIND: &str = "coupon";
const UPDATED: &str = "coupon.updated";
const URL: &str = "/v1/coupons";
const DURATIONS: [&str; 3] = ["forever", "once", "repeating"];

pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&["currency_options"])?;
    let id = params.text("id")?.unwrap_or_else(|| ids::random(8));
    if tx.find(KIND, &id)?.is_some_and(|coupon| coupon["deleted"] != json!(true)) {
        let failure = Failure::conflict("Coupon already exists.").code("resource_already_exists");
        return Err(failure.param("id"));
    }
    let off = off(&mut params)?;
    let duration = params.one_of("duration", &DURATIONS)?.unwrap_or_else(|| "once".into());
    let months = months(&mut params, &duration)?;
    let redeem_by = params.integer("redeem_by")?;
    if redeem_by.is_some_and(|at| at <= tx.now()) {
        return Err(Failure::invalid("The `redeem_by` timestamp must be in the future.").param("redeem_by"));
    }
    let products = products(tx, &mut params)?;
    let coupon = json!({
        "id": id,
        "object": KIND,
        "amount_off": off.amount,
        "created": tx.now(),
        "currency": off.currency,
        "duration": duration,
        "duration_in_months": months,
        "livemode": false,
        "max_redemptions": params.integer_from("max_redemptions", 1)?,
        "metadata": params.metadata(Value::Null)?,
        "name": params.text("name")?,
        "percent_off": off.percent,
        "redeem_by": redeem_by,
        "times_redeemed": 0,
        "valid": true,
    });
    params.finish()?;
    let hidden = json!({"hundredths": off.hundredths, "products": products});
    // A name that a deleted coupon had is free again.
    tx.sql.prepare_cached("DELETE FROM objects WHERE kind = ?1 AND id = ?2")?.execute([KIND, &id])?;
    tx.insert(&coupon, &hidden)?;
    if let Some(at) = redeem_by {
        tx.set_alarm(&coupon, at * 1000)?;
    }
    tx.emit("coupon.created", &coupon)?;
    Ok(coupon)
}

/// An amount or a percentage; the latter also in hundredths of a per cent, which are whole.
#[derive(Default)]
struct Off {
    amount: Option<i64>,
    currency: Option<String>,
    percent: Value,
    hundredths: i64,
}

fn off(params: &mut Params) -> Answer<Off> {
    let currency = params.currency("currency")?;
    let percent = params.text("percent_off")?;
    match (params.integer_from("amount_off", 1)?, percent) {
        (Some(_), Some(_)) => {
            let message = "You may only specify one of these parameters: amount_off, percent_off.";
            Err(Failure::invalid(message).param("percent_off"))
        }
        (Some(_), None) if currency.is_none() => {
            let message = "You must pass `currency` when passing `amount_off`.";
            Err(Failure::invalid(message).code("parameter_missing").param("currency"))
        }
        (Some(amount), None) => Ok(Off { amount: Some(amount), currency, ..Off::default() }),
        (None, Some(text)) => {
            let hundredths = hundredths(&text).filter(|it| (1..=10_000).contains(it)).ok_or_else(|| {
                let message = "Invalid percent_off: must be greater than 0 and at most 100, with up to two \
                               digits after the point.";
                Failure::invalid(message).param("percent_off")
            })?;
            Ok(Off { percent: serde_json::from_str(&text)?, hundredths, ..Off::default() })
        }
        (None, None) => Err(Failure::missing_param("percent_off")),
    }
}

/// `12.5` as 1250
fn hundredths(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() > 3 || fraction.len() > 2 {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<2}").parse().ok()?;
    Some(whole.parse::<i64>().ok()? * 100 + fraction)
}

fn months(params: &mut Params, duration: &str) -> Answer<Option<i64>> {
    let months = params.integer_from("duration_in_months", 1)?;
    match (duration, months) {
        ("repeating", None) => Err(Failure::missing_param("duration_in_months")),
        ("repeating", months) => Ok(months),
        (_, Some(_)) => {
            let message = "You can only set `duration_in_months` if `duration` is `repeating`.";
            Err(Failure::invalid(message).param("duration_in_months"))
        }
        (_, None) => Ok(None),
    }
}

fn products(tx: &Tx, params: &mut Params) -> Answer<Vec<String>> {
    let Some(mut section) = params.section("applies_to")? else { return Ok(Vec::new()) };
    let products = section.texts("products")?.unwrap_or_default();
    section.finish()?;
    for (index, product) in products.iter().enumerate() {
        tx.reference("product", product, &format!("applies_to[products][{index}]"))?;
    }
    Ok(products)
}

/// What a coupon shows as `applies_to` when it is asked to.
pub fn applies_to(tx: &Tx, coupon: &Value) -> Answer<Value> {
    let products = tx.hidden(KIND, id_of(coupon))?["products"].take();
    let some = products.as_array().is_some_and(|products| !products.is_empty());
    Ok(if some { json!({"products": products}) } else { Value::Null })
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get_alive(KIND, call.id)
}

/// What it takes off stays as it is.
pub fn update(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let before = tx.get_alive(KIND, call.id)?;
    let mut coupon = before.clone();
    if let Some(name) = params.clearable("name")? {
        coupon["name"] = json!(name);
    }
    coupon["metadata"] = params.metadata(coupon["metadata"].take())?;
    params.finish()?;
    tx.update(&before, &coupon, UPDATED)?;
    Ok(coupon)
}

/// Whoever has it keeps it; nobody else gets it.
pub fn delete(call: Call) -> Answer<Value> {
    call.params.finish()?;
    let tx = call.tx;
    let mut coupon = tx.get_alive(KIND, call.id)?;
    let stub = json!({"id": call.id, "object": KIND, "deleted": true});
    tx.save(&stub)?;
    tx.clear_alarm(&stub)?;
    coupon["valid"] = json!(false);
    tx.emit("coupon.deleted", &coupon)?;
    Ok(stub)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of(KIND);
    query.created(&mut params)?;
    query.page(call.tx, params, URL)
}

/// Its last day is over.
pub fn expire(tx: &Tx, id: &str) -> Answer<()> {
    let Some(before) = tx.find(KIND, id)? else { return Ok(()) };
    let mut coupon = before.clone();
    coupon["valid"] = json!(false);
    tx.update(&before, &coupon, UPDATED)
}

/// One that can still be redeemed.
pub fn valid(tx: &Tx, id: &str, param: &str) -> Answer<Value> {
    let coupon = tx.reference(KIND, id, param)?;
    if coupon["valid"] == json!(true) {
        return Ok(coupon);
    }
    Err(Failure::conflict(format!("Coupon expired: {id}")).code("coupon_expired").param(param))
}

pub fn count_redemption(tx: &Tx, id: &str) -> Answer<()> {
    let Some(before) = tx.find(KIND, id)?.filter(|coupon| coupon["deleted"] != json!(true)) else {
        return Ok(());
    };
    let mut coupon = before.clone();
    let times = before["times_redeemed"].as_i64().unwrap_or(0) + 1;
    coupon["times_redeemed"] = json!(times);
    if before["max_redemptions"].as_i64().is_some_and(|most| times >= most) {
        coupon["valid"] = json!(false);
    }
    tx.update(&before, &coupon, UPDATED)
}

#[cfg(test)]
mod tests {
    use super::hundredths;

    #[test]
    fn percentages_are_counted_in_hundredths() {
        let read = ["25", "12.5", "0.01", "100", "33.33"].map(hundredths);
        assert_eq!(read, [2500, 1250, 1, 10_000, 3333].map(Some));
        assert!(["", "-1", "1.234", "abc", "1.", ".5"].iter().all(|text| hundredths(text).is_none()));
    }
}
