//! Tokens and money: integers, checked at every step.

use serde::{Deserialize, Serialize};

/// A number of tokens, at most 2^53 − 1, so that JavaScript clients read it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(into = "u64", try_from = "u64")]
pub struct Tokens(u64);

impl Tokens {
    pub const ZERO: Tokens = Tokens(0);
    pub const MAX: Tokens = Tokens((1 << 53) - 1);

    pub const fn new(count: u64) -> Option<Tokens> {
        if count > Self::MAX.0 { None } else { Some(Tokens(count)) }
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    pub fn checked_add(self, other: Tokens) -> Option<Tokens> {
        Tokens::new(self.0 + other.0)
    }

    pub fn checked_sub(self, other: Tokens) -> Option<Tokens> {
        self.0.checked_sub(other.0).map(Tokens)
    }

    /// What is left, or zero.
    pub fn saturating_sub(self, other: Tokens) -> Tokens {
        Tokens(self.0.saturating_sub(other.0))
    }

    pub fn checked_mul(self, times: u64) -> Option<Tokens> {
        self.0.checked_mul(times).and_then(Tokens::new)
    }

    pub fn saturating_add(self, other: Tokens) -> Tokens {
        self.checked_add(other).unwrap_or(Tokens::MAX)
    }

    pub fn saturating_mul(self, times: u64) -> Tokens {
        self.checked_mul(times).unwrap_or(Tokens::MAX)
    }

    pub fn checked_sum(tokens: impl IntoIterator<Item = Tokens>) -> Option<Tokens> {
        tokens.into_iter().try_fold(Tokens::ZERO, Tokens::checked_add)
    }
}

impl From<Tokens> for u64 {
    fn from(tokens: Tokens) -> u64 {
        tokens.0
    }
}

/// A count of tokens beyond what any account may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {} tokens", Tokens::MAX.0)]
pub struct TooManyTokens;

impl TryFrom<u64> for Tokens {
    type Error = TooManyTokens;
    fn try_from(count: u64) -> Result<Tokens, TooManyTokens> {
        Tokens::new(count).ok_or(TooManyTokens)
    }
}

impl std::fmt::Display for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An ISO 4217 code in lower case, as Stripe writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Currency([u8; 3]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three letters, such as \"eur\"")]
pub struct BadCurrency;

impl Currency {
    pub fn parse(text: &str) -> Result<Currency, BadCurrency> {
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| BadCurrency)?;
        match letters.iter().all(u8::is_ascii_alphabetic) {
            true => Ok(Currency(letters.map(|letter| letter.to_ascii_lowercase()))),
            false => Err(BadCurrency),
        }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many digits its minor unit has, as Stripe charges it.
    pub fn decimals(&self) -> u32 {
        match self.as_str() {
            "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd" | "vuv"
            | "xaf" | "xof" | "xpf" => 0,
            "bhd" | "jod" | "kwd" | "omr" | "tnd" => 3,
            _ => 2,
        }
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.as_str().to_owned()
    }
}

impl TryFrom<String> for Currency {
    type Error = BadCurrency;
    fn try_from(text: String) -> Result<Currency, BadCurrency> {
        Currency::parse(&text)
    }
}

/// An amount in minor units (cents), never without its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    pub amount_minor: i64,
    pub currency: Currency,
}

impl Money {
    /// Reads a decimal such as `9.99` exactly; `None` if it is not one or has more digits than the currency.
    pub fn parse(text: &str, currency: Currency) -> Option<Money> {
        let decimals = currency.decimals() as usize;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let trailing_dot = text.ends_with('.');
        if whole.is_empty()
            || trailing_dot
            || fraction.len() > decimals
            || !digits(whole)
            || !digits(fraction)
        {
            return None;
        }
        let minor = format!("{whole}{fraction:0<decimals$}").parse().ok()?;
        Some(Money { amount_minor: minor, currency })
    }

    /// `None` if that is beyond what can be counted.
    pub fn checked_mul(&self, times: u32) -> Option<Money> {
        let amount_minor = self.amount_minor.checked_mul(times.into())?;
        Some(Money { amount_minor, ..*self })
    }

    /// The same amount as a decimal: `9.99`.
    pub fn decimal(&self) -> String {
        let decimals = self.currency.decimals() as usize;
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.amount_minor.unsigned_abs(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eur() -> Currency {
        Currency::parse("EUR").unwrap()
    }

    #[test]
    fn a_decimal_becomes_minor_units_exactly_and_back() {
        for (text, minor) in [("9.99", 999), ("0.5", 50), ("150", 15000), ("0.01", 1)] {
            assert_eq!(Money::parse(text, eur()), Some(Money { amount_minor: minor, currency: eur() }));
        }
        assert_eq!(Money::parse("4.99", eur()).unwrap().decimal(), "4.99");
        let yen = Currency::parse("jpy").unwrap();
        assert_eq!(Money::parse("500", yen).unwrap().amount_minor, 500);
        assert_eq!(Money::parse("500", yen).unwrap().decimal(), "500");
    }

    #[test]
    fn what_is_not_a_plain_decimal_of_the_currency_is_refused() {
        for text in ["", ".5", "1.", "9.999", "-1", "1e3", "1,50", " 1"] {
            assert_eq!(Money::parse(text, eur()), None, "{text:?}");
        }
    }

    #[test]
    fn tokens_stop_where_javascript_stops_counting() {
        assert_eq!(Tokens::new(1 << 53), None);
        assert_eq!(Tokens::MAX.checked_add(Tokens(1)), None);
        assert_eq!(Tokens(3).checked_sub(Tokens(5)), None);
        assert_eq!(Tokens(5).checked_mul(u64::MAX), None);
    }
}
