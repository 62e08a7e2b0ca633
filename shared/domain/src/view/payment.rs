//! One payment, for whoever made it and for operators.

use serde::Serialize;

use crate::ids::{ChargeId, CheckoutId, CustomerId, InvoiceId, PaymentId, UserId};
use crate::item::Item;
use crate::money::{Money, Tokens};
use crate::payment::PaymentRecord;

/// One line of `GET …/payments`. What is not known, or not so, is null.
#[derive(Debug, Serialize)]
pub struct PaymentView {
    id: PaymentId,
    /// Whose it is, where that is not the one who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    status: &'static str,
    item: Item,
    amount: Money,
    /// Granted for it, in all.
    tokens: Tokens,
    price_per_token: Option<String>,
    reversed_minor: i64,
    tokens_taken_back: Tokens,
    failure: Option<String>,
    at: String,
    checkout: Option<CheckoutId>,
    invoice: Option<InvoiceId>,
    charge: Option<ChargeId>,
    receipt_url: Option<String>,
    customer: Option<CustomerId>,
}

impl PaymentView {
    pub fn new(record: &PaymentRecord) -> PaymentView {
        let record = record.clone();
        PaymentView {
            id: record.payment,
            user: None,
            status: record.status.name(),
            item: record.item,
            amount: record.amount,
            tokens: record.granted,
            price_per_token: price_per_token(record.amount, record.granted),
            reversed_minor: record.reversed_minor,
            tokens_taken_back: record.taken,
            failure: record.failure,
            at: record.at.rfc3339(),
            checkout: record.references.checkout,
            invoice: record.invoice,
            charge: record.references.charge,
            receipt_url: record.references.receipt_url,
            customer: record.customer,
        }
    }

    pub fn for_operator(record: &PaymentRecord) -> PaymentView {
        PaymentView { user: Some(record.user.clone()), ..PaymentView::new(record) }
    }
}

/// What one token cost, in the currency's main unit: three decimals, and what is beyond them cut off.
fn price_per_token(amount: Money, granted: Tokens) -> Option<String> {
    let minor = u128::try_from(amount.amount_minor).ok()?;
    let minor_in_main = 10_u128.pow(amount.currency.decimals());
    let thousandths = (minor * 1_000).checked_div(minor_in_main * u128::from(granted.get()))?;
    Some(format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::money::Currency;
    use crate::payment::{PaymentStatus, References};
    use crate::time::Time;

    fn price(amount: &str, currency: &str, granted: u64) -> Option<String> {
        let amount = Money::parse(amount, Currency::parse(currency).unwrap()).unwrap();
        price_per_token(amount, Tokens::new(granted).unwrap())
    }

    #[test]
    fn a_token_costs_its_share_of_the_price_cut_off_after_three_decimals() {
        for (amount, granted, expected) in
            [("9.99", 10, "0.999"), ("39.99", 50, "0.799"), ("99.99", 150, "0.666"), ("10", 1, "10.000")]
        {
            assert_eq!(price(amount, "usd", granted).as_deref(), Some(expected));
        }
    }

    #[test]
    fn every_currency_is_shown_in_its_main_unit() {
        assert_eq!(price("500", "jpy", 3).as_deref(), Some("166.666"));
        assert_eq!(price("5.00", "eur", 3).as_deref(), Some("1.666"));
        assert_eq!(price("5.000", "kwd", 3).as_deref(), Some("1.666"));
    }

    #[test]
    fn what_granted_nothing_has_no_price_per_token() {
        assert_eq!(price("9.99", "usd", 0), None);
        assert_eq!(price("0", "usd", 10).as_deref(), Some("0.000"));
    }

    proptest! {
        /// So many tokens at that price cost no more than was paid, and at a thousandth more they would cost more.
        #[test]
        fn a_price_per_token_is_the_highest_that_does_not_exceed_what_was_paid(
            amount_minor in 0..=i64::MAX,
            granted in 1..=Tokens::MAX.get(),
            (currency, minor_in_main) in
                prop_oneof![Just(("jpy", 1_u128)), Just(("usd", 100)), Just(("kwd", 1_000))],
        ) {
            let amount = Money { amount_minor, currency: Currency::parse(currency).unwrap() };
            let shown = price_per_token(amount, Tokens::new(granted).unwrap()).unwrap();
            let (_, decimals) = shown.split_once('.').unwrap();
            prop_assert_eq!(decimals.len(), 3);
            let thousandths: u128 = shown.replace('.', "").parse().unwrap();
            let paid = u128::from(amount_minor.unsigned_abs()) * 1_000;
            let cost = |thousandths: u128| thousandths * minor_in_main * u128::from(granted);
            prop_assert!(cost(thousandths) <= paid && paid < cost(thousandths + 1));
        }
    }

    #[test]
    fn only_operators_are_told_whose_it_is() {
        let record = PaymentRecord {
            user: UserId::parse("ada").unwrap(),
            payment: PaymentId::parse("pi_1").unwrap(),
            status: PaymentStatus::Failed,
            item: "package:starter".parse().unwrap(),
            amount: Money { amount_minor: 999, currency: Currency::parse("usd").unwrap() },
            customer: None,
            invoice: None,
            granted: Tokens::ZERO,
            reversed_minor: 0,
            taken: Tokens::ZERO,
            failure: Some("insufficient_funds".to_owned()),
            at: Time::from_millis(1_790_000_000_000),
            references: References::default(),
        };
        let expected = json!({
            "id": "pi_1", "status": "failed", "item": "package:starter",
            "amount": { "amount_minor": 999, "currency": "usd" }, "tokens": 0, "price_per_token": null,
            "reversed_minor": 0, "tokens_taken_back": 0, "failure": "insufficient_funds",
            "at": "2026-09-21T14:13:20Z", "checkout": null, "invoice": null, "charge": null,
            "receipt_url": null, "customer": null,
        });
        assert_eq!(serde_json::to_value(PaymentView::new(&record)).unwrap(), expected);
        let mut for_operator = serde_json::to_value(PaymentView::for_operator(&record)).unwrap();
        assert_eq!(for_operator["user"].take(), "ada");
        for_operator.as_object_mut().unwrap().remove("user");
        assert_eq!(for_operator, expected);
    }
}
