//! `/v1/promotion_codes`: words that customers redeem a coupon with.

use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use crate::call::Call;
use crate::coupons;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
use crate::params::Params;
use crate::tx::{Tx, id_of};

pub const KIND: &str = "promotion_code";
const UPDATED: &str = "promotion_code.updated";
const URL: &str = "/v1/promotion_codes";

pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let coupon = promoted(tx, &mut params)?;
    let customer = params.text("customer")?;
    if let Some(customer) = &customer {
        tx.reference("customer", customer, "customer")?;
    }
    let code = params.text("code")?.unwrap_or_else(|| ids::random(8).to_ascii_uppercase());
    check_code(tx, &code)?;
    let expires_at = params.integer("expires_at")?;
    if expires_at.is_some_and(|at| at <= tx.now()) {
        return Err(Failure::invalid("The `expires_at` timestamp must be in the future.").param("expires_at"));
    }
    let promotion = json!({
        "id": ids::fresh("promo"),
        "object": KIND,
        "active": params.boolean("active")?.unwrap_or(true),
        "code": code,
        "created": tx.now(),
        "customer": customer,
        "customer_account": null,
        "expires_at": expires_at,
        "livemode": false,
        "max_redemptions": params.integer_from("max_redemptions", 1)?,
        "metadata": params.metadata(Value::Null)?,
        "promotion": {"coupon": id_of(&coupon), "type": "coupon"},
        "restrictions": restrictions(&mut params)?,
        "times_redeemed": 0,
    });
    params.finish()?;
    tx.insert(&promotion, &Value::Null)?;
    if let Some(at) = expires_at {
        tx.set_alarm(&promotion, at * 1000)?;
    }
    tx.emit("promotion_code.created", &promotion)?;
    Ok(promotion)
}

fn promoted(tx: &Tx, params: &mut Params) -> Answer<Value> {
    let mut promotion = params.section("promotion")?.ok_or_else(|| Failure::missing_param("promotion"))?;
    let name = promotion.full_name("type");
    promotion.one_of("type", &["coupon"])?.ok_or_else(|| Failure::missing_param(&name))?;
    let name = promotion.full_name("coupon");
    let coupon = promotion.required("coupon")?;
    promotion.finish()?;
    coupons::valid(tx, &coupon, &name)
}

fn check_code(tx: &Tx, code: &str) -> Answer<()> {
    let readable = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !readable || code.len() > 500 {
        let message = "A promotion code consists of letters, digits and dashes.";
        return Err(Failure::invalid(message).param("code"));
    }
    if with_code(tx, code)?.is_some() {
        let message = format!("An active promotion code with `code: {code}` already exists.");
        return Err(Failure::conflict(message).param("code"));
    }
    Ok(())
}

fn restrictions(params: &mut Params) -> Answer<Value> {
    let mut section = params.section("restrictions")?.unwrap_or_default();
    section.refuse(&["currency_options"])?;
    let least_name = section.full_name("minimum_amount_currency");
    let least = section.integer_from("minimum_amount", 1)?;
    let currency = section.currency("minimum_amount_currency")?;
    if least.is_some() != currency.is_some() {
        return Err(Failure::missing_param(&least_name));
    }
    let restrictions = json!({
        "first_time_transaction": section.boolean("first_time_transaction")?.unwrap_or(false),
        "minimum_amount": least,
        "minimum_amount_currency": currency,
    });
    section.finish()?;
    Ok(restrictions)
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get(KIND, call.id)
}

pub fn update(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    params.refuse(&["restrictions"])?;
    let before = tx.get(KIND, call.id)?;
    let mut promotion = before.clone();
    if let Some(active) = params.boolean("active")? {
        if active && before["active"] == json!(false) {
            check_code(tx, before["code"].as_str().unwrap_or_default())?;
            check_usable(tx, &before)?;
        }
        promotion["active"] = json!(active);
    }
    promotion["metadata"] = params.metadata(promotion["metadata"].take())?;
    params.finish()?;
    tx.update(&before, &promotion, UPDATED)?;
    Ok(promotion)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of(KIND);
    query.is("active", params.boolean("active")?);
    if let Some(code) = params.text("code")? {
        query.condition(same_code(), [Sql::Text(code)]);
    }
    query.equal("promotion.coupon", params.text("coupon")?);
    query.customer(call.tx, &mut params)?;
    query.created(&mut params)?;
    query.page(call.tx, params, URL)
}

/// Upper and lower case are the same word.
fn same_code() -> String {
    "json_extract(shown, '$.code') = ? COLLATE NOCASE".into()
}

/// The active promotion that a word means.
pub fn with_code(tx: &Tx, code: &str) -> Answer<Option<Value>> {
    let mut query = Query::of(KIND);
    query.is("active", Some(true));
    query.condition(same_code(), [Sql::Text(code.to_owned())]);
    Ok(query.all(tx)?.into_iter().next())
}

/// Its time is over.
pub fn expire(tx: &Tx, id: &str) -> Answer<()> {
    let before = tx.get(KIND, id)?;
    let mut promotion = before.clone();
    promotion["active"] = json!(false);
    tx.update(&before, &promotion, UPDATED)
}

/// Who redeems a promotion, and on what.
pub struct Use<'a> {
    pub customer: Option<&'a str>,
    pub currency: &'a str,
    pub amount: i64,
}

/// One that this customer can redeem on this order, and the coupon it leads to.
pub fn redeemable(tx: &Tx, promotion: &Value, asked: &Use, param: &str) -> Answer<Value> {
    check_usable(tx, promotion).map_err(|failure| failure.param(param))?;
    let refuse = |message: &str| Err(Failure::conflict(message).param(param));
    let owner = promotion["customer"].as_str();
    if owner.is_some() && owner != asked.customer {
        return refuse("This promotion code cannot be redeemed by this customer.");
    }
    let restrictions = &promotion["restrictions"];
    if restrictions["first_time_transaction"] == json!(true) && has_paid(tx, asked.customer)? {
        return refuse(
            "This promotion code cannot be redeemed because the associated customer has prior transactions.",
        );
    }
    if let Some(least) = restrictions["minimum_amount"].as_i64()
        && (asked.amount < least || restrictions["minimum_amount_currency"] != json!(asked.currency))
    {
        return refuse(
            "This promotion code cannot be redeemed because the order is below its minimum amount.",
        );
    }
    coupons::valid(tx, promotion["promotion"]["coupon"].as_str().unwrap_or_default(), param)
}

fn check_usable(tx: &Tx, promotion: &Value) -> Answer<()> {
    let expired = promotion["expires_at"].as_i64().is_some_and(|at| at <= tx.now());
    let used_up = promotion["max_redemptions"]
        .as_i64()
        .is_some_and(|most| promotion["times_redeemed"].as_i64().unwrap_or(0) >= most);
    if expired || used_up {
        let code = promotion["code"].as_str().unwrap_or_default();
        return Err(Failure::conflict(format!("The promotion code {code} is expired or used up.")));
    }
    Ok(())
}

fn has_paid(tx: &Tx, customer: Option<&str>) -> Answer<bool> {
    let Some(customer) = customer else { return Ok(false) };
    let mut query = Query::of(crate::payments::KIND);
    query.equal("customer", Some(customer.to_owned()));
    query.equal("status", Some("succeeded".to_owned()));
    Ok(!query.all(tx)?.is_empty())
}

pub fn count_redemption(tx: &Tx, id: &str) -> Answer<()> {
    let before = tx.get(KIND, id)?;
    let mut promotion = before.clone();
    let times = before["times_redeemed"].as_i64().unwrap_or(0) + 1;
    promotion["times_redeemed"] = json!(times);
    if before["max_redemptions"].as_i64().is_some_and(|most| times >= most) {
        promotion["active"] = json!(false);
    }
    tx.update(&before, &promotion, UPDATED)
}
