//! Money in Stripe's words and in ours.

use domain::money::{BadCurrency, Currency, Money};

pub(crate) fn read(amount_minor: i64, currency: &stripe_types::Currency) -> Result<Money, BadCurrency> {
    Ok(Money { amount_minor, currency: Currency::parse(&currency.to_string())? })
}

pub(crate) fn currency(money: Money) -> stripe_types::Currency {
    let Ok(currency) = money.currency.as_str().parse();
    currency
}
