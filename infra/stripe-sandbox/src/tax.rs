//! Automatic tax, made up and simple: exclusive, at one rate by the customer's country.

use serde_json::{Value, json};

use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::tx::Tx;

pub struct Rate {
    id: &'static str,
    country: &'static str,
    percent: i64,
}

const RATES: [Rate; 2] = [
    Rate { id: "txr_sandbox_de", country: "DE", percent: 19 },
    Rate { id: "txr_sandbox_fr", country: "FR", percent: 20 },
];

/// `automatic_tax[enabled]`, if it is given.
pub fn wanted(params: &mut Params) -> Answer<Option<bool>> {
    let Some(mut section) = params.section("automatic_tax")? else { return Ok(None) };
    section.accept(&["liability"]);
    let enabled = section.boolean("enabled")?;
    section.finish()?;
    Ok(enabled)
}

pub fn of_subscription(enabled: bool) -> Value {
    json!({
        "disabled_reason": null,
        "enabled": enabled,
        "liability": enabled.then(|| json!({"type": "self"})),
    })
}

/// Nobody can tell the tax of a customer who is nowhere.
pub fn check_location(tx: &Tx, customer: &Value) -> Answer<()> {
    let customer = tx.get("customer", customer.as_str().unwrap_or_default())?;
    if country(&customer).is_some() {
        return Ok(());
    }
    let message = "The customer's location isn't recognized. Set a valid customer address in order to \
                   automatically calculate tax.";
    Err(Failure::conflict(message).code("customer_tax_location_invalid").param("automatic_tax"))
}

/// An inclusive price would hide the tax in what is shown already.
pub fn check_price(price: &Value, param: &str) -> Answer<()> {
    if price["tax_behavior"] != json!("inclusive") {
        return Ok(());
    }
    let message = "The Stripe sandbox computes tax on top of prices only, and this one includes it.";
    Err(Failure::invalid(message).param(param))
}

pub fn country(customer: &Value) -> Option<&str> {
    customer["address"]["country"].as_str()
}

/// What this customer is taxed at; who is exempt, or elsewhere, is not.
pub fn rate_of(customer: &Value) -> Option<&'static Rate> {
    if !matches!(customer["tax_exempt"].as_str(), None | Some("none")) {
        return None;
    }
    let country = country(customer)?;
    RATES.iter().find(|rate| rate.country.eq_ignore_ascii_case(country))
}

impl Rate {
    /// Rounded half away from zero, so that what is given back was taken.
    pub fn on(&self, taxable: i64) -> i64 {
        let half_up = (taxable.abs() * self.percent + 50) / 100;
        half_up * taxable.signum()
    }

    /// As invoices and their lines show it.
    pub fn shown(&self, taxable: i64, amount: i64) -> Value {
        json!({
            "amount": amount,
            "tax_behavior": "exclusive",
            "tax_rate_details": {"tax_rate": self.id},
            "taxability_reason": "standard_rated",
            "taxable_amount": taxable,
            "type": "tax_rate_details",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::rate_of;

    #[test]
    fn the_rate_is_the_country_s_and_rounds_alike_in_both_directions() {
        let rate = rate_of(&json!({"address": {"country": "FR"}})).unwrap();
        assert_eq!((rate.on(999), rate.on(-999), rate.on(1000)), (200, -200, 200));
        let customer = json!({"address": {"country": "FR"}, "tax_exempt": "reverse"});
        assert!(rate_of(&customer).is_none());
        assert!(rate_of(&json!({"address": {"country": "US"}})).is_none() && rate_of(&json!({})).is_none());
    }
}
