//! The ways to pay that Stripe's Checkout knows, and the currencies that they can be used in.

use super::CheckoutPolicy;
use super::suggest::nearest;
use crate::money::Currency;

const EUR: &[&str] = &["eur"];
const USD: &[&str] = &["usd"];
const KRW: &[&str] = &["krw"];
/// Several, or whichever Stripe says.
const ANY: &[&str] = &[];

const METHODS: [(&str, &[&str]); 56] = [
    ("acss_debit", &["cad", "usd"]),
    ("affirm", &["cad", "usd"]),
    ("afterpay_clearpay", ANY),
    ("alipay", ANY),
    ("alma", EUR),
    ("amazon_pay", ANY),
    ("au_becs_debit", &["aud"]),
    ("bacs_debit", &["gbp"]),
    ("bancontact", EUR),
    ("billie", ANY),
    ("bizum", EUR),
    ("blik", &["pln"]),
    ("boleto", &["brl"]),
    ("card", ANY),
    ("cashapp", USD),
    ("crypto", ANY),
    ("customer_balance", ANY),
    ("eps", EUR),
    ("fpx", &["myr"]),
    ("giropay", EUR),
    ("grabpay", &["myr", "sgd"]),
    ("ideal", EUR),
    ("kakao_pay", KRW),
    ("klarna", ANY),
    ("konbini", &["jpy"]),
    ("kr_card", KRW),
    ("link", ANY),
    ("mb_way", EUR),
    ("mobilepay", &["dkk", "eur", "nok", "sek"]),
    ("multibanco", EUR),
    ("naver_pay", KRW),
    ("nz_bank_account", &["nzd"]),
    ("oxxo", &["mxn"]),
    ("p24", &["eur", "pln"]),
    ("pay_by_bank", ANY),
    ("payco", KRW),
    ("paynow", &["sgd"]),
    ("paypal", ANY),
    ("paypay", &["jpy"]),
    ("payto", &["aud"]),
    ("pix", ANY),
    ("promptpay", &["thb"]),
    ("revolut_pay", ANY),
    ("samsung_pay", KRW),
    ("satispay", EUR),
    ("scalapay", ANY),
    ("sepa_debit", EUR),
    ("sequra", ANY),
    ("sofort", EUR),
    ("sunbit", USD),
    ("swish", &["sek"]),
    ("twint", &["chf"]),
    ("upi", &["inr"]),
    ("us_bank_account", USD),
    ("wechat_pay", ANY),
    ("zip", ANY),
];

/// What people call them otherwise.
const OTHER_NAMES: [(&str, &str); 6] = [
    ("ach", "us_bank_account"),
    ("ach_debit", "us_bank_account"),
    ("apple_pay", "card"),
    ("becs", "au_becs_debit"),
    ("google_pay", "card"),
    ("credit_card", "card"),
];

impl CheckoutPolicy {
    /// Those of the listed ways to pay that a price in this currency can be paid with. From a checkout Stripe leaves
    /// the others out by itself; of a subscription it refuses the whole list. Should none fit, Stripe is to say so.
    pub fn payment_methods_in(&self, currency: Currency) -> Vec<&str> {
        let listed = || self.payment_methods.iter().map(String::as_str);
        let fitting: Vec<&str> = listed().filter(|method| takes(method, currency)).collect();
        if fitting.is_empty() { listed().collect() } else { fitting }
    }
}

pub(super) fn is_known(word: &str) -> bool {
    METHODS.iter().any(|(known, _)| *known == word)
}

/// Whether it is not known to take other currencies only.
pub(super) fn takes(method: &str, currency: Currency) -> bool {
    let known = METHODS.iter().find(|(known, _)| *known == method);
    known.is_none_or(|(_, only)| only.is_empty() || only.contains(&currency.as_str()))
}

/// The way to pay that a word was probably meant to be.
pub(super) fn meant(word: &str) -> Option<&'static str> {
    let other = OTHER_NAMES.iter().find(|(name, _)| *name == word).map(|(_, known)| *known);
    let known = || METHODS.iter().map(|(known, _)| *known);
    let begins = || known().find(|known| known.strip_prefix(word).is_some_and(|rest| rest.starts_with('_')));
    other.or_else(begins).or_else(|| nearest(word, known()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_pay_is_listed_once() {
        let words = METHODS.map(|(word, _)| word);
        assert!(words.is_sorted_by(|one, next| one < next));
        assert!(OTHER_NAMES.iter().all(|(name, known)| !is_known(name) && is_known(known)));
        let currencies = METHODS.iter().flat_map(|(_, only)| *only);
        assert!(
            currencies.into_iter().all(|text| Currency::parse(text).is_ok_and(|read| read.as_str() == *text))
        );
    }

    #[test]
    fn a_way_to_pay_is_found_by_what_people_call_it() {
        for (word, known) in [
            ("ach", Some("us_bank_account")),
            ("apple_pay", Some("card")),
            ("sepa", Some("sepa_debit")),
            ("becs", Some("au_becs_debit")),
            ("us_bank_acount", Some("us_bank_account")),
            ("cards", Some("card")),
            ("cash on delivery", None),
            ("", None),
        ] {
            assert_eq!(meant(word), known, "{word}");
        }
    }
}
