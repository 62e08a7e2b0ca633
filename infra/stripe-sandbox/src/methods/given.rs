//! A payment method as a request describes it: `type` and the details under its name.

use serde_json::{Map, Value, json};

use super::blank;
use crate::banks::{self, ROUTING, Scheme};
use crate::cards;
use crate::failure::{Answer, Failure};
use crate::means;
use crate::params::Params;
use crate::tx::Tx;

/// Reads and stores one.
pub fn make(tx: &Tx, params: &mut Params) -> Answer<Value> {
    // What Stripe.js tells of the browser.
    params.accept(&[
        "client_attribution_metadata",
        "guid",
        "muid",
        "payment_user_agent",
        "radar_options",
        "sid",
    ]);
    let type_name = params.full_name("type");
    let method_type = params.required("type")?;
    if method_type == "link" {
        return Err(Failure::invalid("Nobody has a Link account in the Stripe sandbox.").param(type_name));
    }
    means::check_types(std::slice::from_ref(&method_type), "", &type_name)?;
    let details_name = params.full_name(&method_type);
    let details = params.section(&method_type)?.ok_or_else(|| Failure::missing_param(&details_name))?;
    let (details, is_bank) = match Scheme::named(&method_type) {
        Some(Scheme::Sepa) => (sepa(details)?, true),
        Some(Scheme::Ach) => (ach(details)?, true),
        None => (card(tx, details)?, false),
    };
    let mut method = blank(tx, &method_type, details);
    method["allow_redisplay"] = json!("unspecified");
    describe(&mut method, params)?;
    if is_bank {
        check_holder(&method, params)?;
    }
    tx.insert(&method, &Value::Null)?;
    Ok(method)
}

/// What can be changed of one.
pub fn change(method: &mut Value, params: &mut Params) -> Answer<()> {
    describe(method, params)?;
    if method["type"] == json!("card")
        && let Some(mut card) = params.section("card")?
    {
        for name in ["exp_month", "exp_year"] {
            if let Some(number) = card.integer_from(name, 1)? {
                method["card"][name] = json!(number);
            }
        }
        card.finish()?;
    }
    if method["type"] == json!("us_bank_account")
        && let Some(mut account) = params.section("us_bank_account")?
    {
        for (name, allowed) in
            [("account_holder_type", ["company", "individual"]), ("account_type", ["checking", "savings"])]
        {
            if let Some(text) = account.one_of(name, &allowed)? {
                method["us_bank_account"][name] = json!(text);
            }
        }
        account.finish()?;
    }
    Ok(())
}

/// `billing_details`, `allow_redisplay` and `metadata`.
fn describe(method: &mut Value, params: &mut Params) -> Answer<()> {
    if let Some(redisplay) = params.one_of("allow_redisplay", &["always", "limited", "unspecified"])? {
        method["allow_redisplay"] = json!(redisplay);
    }
    if let Some(mut billing) = params.section("billing_details")? {
        for name in ["email", "name", "phone", "tax_id"] {
            if let Some(text) = billing.clearable(name)? {
                method["billing_details"][name] = json!(text);
            }
        }
        if let Some(address) = address(&mut billing, &method["billing_details"]["address"])? {
            method["billing_details"]["address"] = address;
        }
        billing.finish()?;
    }
    method["metadata"] = params.metadata(method["metadata"].take())?;
    Ok(())
}

/// The lines of an address that are given, beside those that were there; `None` if none is.
pub fn address(params: &mut Params, before: &Value) -> Answer<Option<Value>> {
    let Some(mut section) = params.section("address")? else { return Ok(None) };
    let mut address = Map::new();
    for line in ["city", "country", "line1", "line2", "postal_code", "state"] {
        let value = section.clearable(line)?.map_or_else(|| before[line].clone(), |text| json!(text));
        address.insert(line.into(), value);
    }
    section.finish()?;
    Ok(Some(Value::Object(address)))
}

/// A debit needs somebody's name; SEPA's holders are told of each by email.
fn check_holder(method: &Value, params: &Params) -> Answer<()> {
    let wanted: &[&str] = if method["type"] == json!("sepa_debit") { &["email", "name"] } else { &["name"] };
    match wanted.iter().find(|name| method["billing_details"][**name].is_null()) {
        Some(name) => {
            Err(Failure::missing_param(&format!("{}[{name}]", params.full_name("billing_details"))))
        }
        None => Ok(()),
    }
}

fn card(tx: &Tx, mut given: Params) -> Answer<Value> {
    given.accept(&["networks"]);
    let token_name = given.full_name("token");
    if let Some(token) = given.text("token")? {
        given.finish()?;
        let card = cards::of_token(&token);
        let card = card.ok_or_else(|| Failure::no_such_reference("token", &token, &token_name))?;
        return Ok(card.details(tx.now()));
    }
    let number = given.required("number")?;
    let month_name = given.full_name("exp_month");
    let month = given.integer("exp_month")?.ok_or_else(|| Failure::missing_param(&month_name))?;
    let year_name = given.full_name("exp_year");
    let year = given.integer("exp_year")?.ok_or_else(|| Failure::missing_param(&year_name))?;
    let cvc_name = given.full_name("cvc");
    let cvc = given.text("cvc")?;
    given.finish()?;
    let card = cards::find(&number)?;
    let year = if (0..100).contains(&year) { 2000 + year } else { year };
    if !(1..=12).contains(&month) {
        let failure = Failure::card("Your card's expiration month is invalid.", "invalid_expiry_month");
        return Err(failure.param(month_name));
    }
    if (year, month) < month_of(tx.now()) {
        let failure = Failure::card("Your card's expiration year is invalid.", "invalid_expiry_year");
        return Err(failure.param(year_name));
    }
    if cvc.as_ref().is_some_and(|cvc| !matches!(cvc.len(), 3 | 4) || cvc.parse::<u16>().is_err()) {
        let failure = Failure::card("Your card's security code is invalid.", "invalid_cvc");
        return Err(failure.param(cvc_name));
    }
    let mut details = card.details(tx.now());
    details["exp_month"] = json!(month);
    details["exp_year"] = json!(year);
    details["checks"]["cvc_check"] = json!(cvc.map(|_| "pass"));
    Ok(details)
}

fn month_of(seconds: i64) -> (i64, i64) {
    let date = jiff::Timestamp::from_second(seconds).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC);
    (date.year().into(), date.month().into())
}

fn sepa(mut given: Params) -> Answer<Value> {
    let name = given.full_name("iban");
    let iban = given.required("iban")?;
    given.finish()?;
    let account = banks::find(Scheme::Sepa, &iban).map_err(|failure| failure.param(name))?;
    Ok(account.details("", ""))
}

fn ach(mut given: Params) -> Answer<Value> {
    given.refuse(&["financial_connections_account"])?;
    let name = given.full_name("account_number");
    let number = given.required("account_number")?;
    let routing_name = given.full_name("routing_number");
    let routing = given.required("routing_number")?;
    let holder = given.one_of("account_holder_type", &["company", "individual"])?;
    let account_type = given.one_of("account_type", &["checking", "savings"])?;
    given.finish()?;
    if routing != ROUTING {
        let message = format!("The sandbox knows one bank only, whose routing number is {ROUTING}.");
        return Err(Failure::invalid(message).code("routing_number_invalid").param(routing_name));
    }
    let account = banks::find(Scheme::Ach, &number).map_err(|failure| failure.param(name))?;
    let holder = holder.as_deref().unwrap_or("individual");
    Ok(account.details(holder, account_type.as_deref().unwrap_or("checking")))
}
