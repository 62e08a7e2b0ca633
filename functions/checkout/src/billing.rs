//! Who a user's invoices are made out to. That is kept by Stripe alone: none of it is stored or logged here.

use domain::ids::{CustomerId, UserId};
use edge::request::{body, key_or_fresh};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use settle::stripe_problem;
use stripe_api::{Billing, BillingAddress, StripeError};

use crate::Checkout;
use crate::order::invalid;

const LONGEST: usize = 250;

impl Checkout {
    pub(crate) async fn show_billing(&self, user: &UserId) -> Result<Reply, Problem> {
        let billing = match self.customer_of(user).await? {
            Some(customer) => self.settle.stripe().billing(&customer).await.map_err(unsaid)?,
            None => None,
        };
        Reply::ok(&billing.unwrap_or_default())
    }

    /// Says all of it anew: what is left out is taken away.
    pub(crate) async fn set_billing(&self, request: &Request, user: &UserId) -> Result<Reply, Problem> {
        let (wanted, _) = body::<Billing>(request)?;
        let wanted = checked(wanted)?;
        let key = key_or_fresh(request)?;
        let account = self.open_account(user).await?;
        let known = self.known_customer(&account).await?;
        let customer = match known {
            Some(customer) => customer,
            None if wanted == Billing::default() => return Reply::ok(&wanted),
            None => self.customer(&account).await?,
        };
        let set = self.settle.stripe().set_billing(&customer, &wanted, key.as_str()).await;
        let set = set.map_err(unsaid)?.ok_or_else(|| gone(&customer))?;
        Ok(Reply::ok(&set)?.with_key(&key))
    }
}

fn checked(wanted: Billing) -> Result<Billing, Problem> {
    let Billing { name, email, phone, address } = wanted;
    let email = text("email", email)?;
    if email.as_ref().is_some_and(|email| !email.contains('@')) {
        return Err(invalid("`email` is not an address"));
    }
    let address = address.map(checked_address).transpose()?;
    Ok(Billing {
        name: text("name", name)?,
        email,
        phone: text("phone", phone)?,
        address: address.filter(|address| *address != BillingAddress::default()),
    })
}

fn checked_address(wanted: BillingAddress) -> Result<BillingAddress, Problem> {
    let country = text("country", wanted.country)?.map(|country| country.to_ascii_uppercase());
    let is_code =
        |country: &String| country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !country.as_ref().is_none_or(is_code) {
        return Err(invalid("`country` is a code of two letters, such as FR"));
    }
    Ok(BillingAddress {
        line1: text("line1", wanted.line1)?,
        line2: text("line2", wanted.line2)?,
        city: text("city", wanted.city)?,
        state: text("state", wanted.state)?,
        postal_code: text("postal_code", wanted.postal_code)?,
        country,
    })
}

/// An empty field of a form is one that was left out.
fn text(name: &str, given: Option<String>) -> Result<Option<String>, Problem> {
    let Some(given) = given else { return Ok(None) };
    let given = given.trim();
    if given.chars().count() > LONGEST || given.chars().any(char::is_control) {
        return Err(invalid(format!("`{name}` is one line of up to {LONGEST} characters")));
    }
    Ok(Some(given.to_owned()).filter(|given| !given.is_empty()))
}

/// Stripe's own words may repeat what was sent, and a cause is logged.
fn unsaid(error: StripeError) -> Problem {
    match error {
        error if error.is_key_reused() => Problem::key_reused(),
        StripeError::Refused(refusal) if refusal.status == 400 => {
            let field = refusal.param.as_deref().unwrap_or("body");
            invalid(format!("Stripe does not take this `{field}`"))
        }
        StripeError::Refused(refusal) => {
            let cause = format!("{} {}", refusal.status, refusal.code.as_deref().unwrap_or("-"));
            Problem::because(Code::StripeRefused, "Stripe refused this", cause)
        }
        error => stripe_problem(error),
    }
}

fn gone(customer: &CustomerId) -> Problem {
    let detail = "Stripe has deleted this customer; ask for support";
    Problem::because(Code::StripeRefused, detail, format!("{customer} is gone"))
}

#[cfg(test)]
mod tests {
    use stripe_api::Refusal;

    use super::*;

    #[test]
    fn what_stripe_repeats_of_an_address_goes_no_further() {
        for status in [400, 402, 404] {
            let refusal = Refusal {
                status,
                code: Some("email_invalid".to_owned()),
                param: Some("email".to_owned()),
                message: Some("Invalid email address: ada@app".to_owned()),
                ..Refusal::default()
            };
            let problem = unsaid(StripeError::Refused(Box::new(refusal)));
            assert!(!format!("{problem:?}").contains("ada@app"), "{problem:?}");
            assert_eq!(problem.code == Code::InvalidRequest, status == 400);
        }
    }
}
