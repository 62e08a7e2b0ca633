//! Prices and token counts as a catalog writes them.

use toml::de::DeValue;

use super::tree::{Field, shown};
use crate::money::{Currency, Money, Tokens};

/// The largest price that Stripe charges in one go has eight digits.
const MAX_PRICE_MINOR: i64 = 99_999_999;

/// A count of tokens, at least `least`.
pub(super) fn tokens(field: &Field<'_>, least: u64) -> Option<Tokens> {
    field.number(least..=Tokens::MAX.get()).and_then(Tokens::new)
}

/// A price in quotes, `"9.99"`. Without a known currency only its type can be judged.
pub(super) fn price(field: &Field<'_>, currency: Option<Currency>) -> Option<Money> {
    match field.value() {
        DeValue::String(text) => priced(field, text, currency?),
        DeValue::Integer(digits) => unquoted(field, &digits.to_string(), currency),
        DeValue::Float(digits) => unquoted(field, digits.as_str(), currency),
        _ => field.mismatch("a price in quotes"),
    }
}

pub(super) fn currency(field: &Field<'_>) -> Option<Currency> {
    let text = field.text()?;
    let note =
        |_| field.wrong(format!("{text:?} is not a currency"), "write its three letters, such as \"eur\"");
    Currency::parse(text).map_err(note).ok()
}

fn priced(field: &Field<'_>, text: &str, currency: Currency) -> Option<Money> {
    let price = Money::parse(text, currency);
    if price.is_some_and(|price| (1..=MAX_PRICE_MINOR).contains(&price.amount_minor)) {
        return price;
    }
    let problem = match price {
        Some(Money { amount_minor: 0, .. }) => "must be more than zero".to_owned(),
        Some(_) => {
            let most = Money { amount_minor: MAX_PRICE_MINOR, currency };
            format!("must be at most {}, which is the most that Stripe charges", most.decimal())
        }
        None if is_decimal(text) => {
            let decimals = currency.decimals();
            let problem =
                if decimals == 0 { "no decimals".into() } else { format!("at most {decimals} decimals") };
            format!("must have {problem} in {currency}, not {}", shown(field.value()))
        }
        None => format!("must be a plain decimal, not {}", shown(field.value())),
    };
    field.wrong(problem, quoted(field, &text.replace(',', "."), Some(currency)));
    None
}

fn unquoted<T>(field: &Field<'_>, digits: &str, currency: Option<Currency>) -> Option<T> {
    let problem = "must be in quotes, so that no cent is lost to rounding";
    field.wrong(problem, quoted(field, digits, currency));
    None
}

/// What to write: the amount that was meant if it shows, or an example in the currency.
fn quoted(field: &Field<'_>, meant: &str, currency: Option<Currency>) -> String {
    let amount: String = meant.chars().filter(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    let is_usable = |currency| {
        let price = Money::parse(&amount, currency).map_or(0, |price| price.amount_minor);
        (1..=MAX_PRICE_MINOR).contains(&price)
    };
    match currency {
        Some(currency) if is_usable(currency) => field.write(&format!("\"{amount}\"")),
        Some(currency) => {
            let example = Money { amount_minor: 999, currency };
            field.write(&format!("\"{}\"", example.decimal()))
        }
        None => field.write("\"9.99\""),
    }
}

fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(whole, fraction)| digits(whole) && digits(fraction))
}
