//! A payment as Stripe tells of it, in the ledger's own words.

use crate::ids::{CheckoutId, CustomerId, PaymentId, UserId};
use crate::item::Item;
use crate::money::Money;

/// Money that arrived. Only what both a Checkout session and its payment intent carry,
/// so that whichever is heard of first leads to the identical entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub customer: Option<CustomerId>,
    pub paid: Money,
    pub envelope: Envelope,
}

/// Something was to be paid, and nothing names the intent that paid it. Named after the session instead,
/// the sale would be credited again when its intent is heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("something was to be paid, but no payment intent is named")]
pub struct NoIntent;

impl PaymentId {
    /// What a Checkout session's sale is called by everyone who reads it: its intent, or the session itself
    /// where nothing was charged and so no intent can ever tell of it.
    pub fn of_sale(
        session: &CheckoutId,
        intent: Option<PaymentId>,
        paid: Money,
    ) -> Result<PaymentId, NoIntent> {
        match intent {
            Some(intent) => Ok(intent),
            None if paid.amount_minor == 0 => {
                Ok(PaymentId::parse(session.as_str()).expect("a session's id names a payment too"))
            }
            None => Err(NoIntent),
        }
    }
}

/// The metadata that everything Tollgate creates in Stripe carries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// Which deployment made the object.
    pub stack: Option<String>,
    pub user: Option<UserId>,
    /// The catalog version that the object was priced under.
    pub catalog: Option<u32>,
    pub item: Option<Item>,
}

impl Envelope {
    pub const STACK: &str = "tollgate_stack";
    pub const USER: &str = "tollgate_user";
    pub const CATALOG: &str = "tollgate_catalog";
    pub const ITEM: &str = "tollgate_item";

    /// Reads it from an object's metadata; what is absent or malformed is `None`, never an error.
    pub fn read<'a>(metadata: impl Fn(&str) -> Option<&'a str>) -> Envelope {
        Envelope {
            stack: metadata(Self::STACK).map(str::to_owned),
            user: metadata(Self::USER).and_then(|user| UserId::parse(user).ok()),
            catalog: metadata(Self::CATALOG).and_then(|version| version.parse().ok()),
            item: metadata(Self::ITEM).and_then(|item| item.parse().ok()),
        }
    }

    /// The same as pairs, to be written into metadata.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let pairs = [
            (Self::STACK, self.stack.clone()),
            (Self::USER, self.user.as_ref().map(UserId::to_string)),
            (Self::CATALOG, self.catalog.map(|version| version.to_string())),
            (Self::ITEM, self.item.as_ref().map(Item::to_string)),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    #[test]
    fn a_sale_has_one_name_whoever_reads_it() {
        let session = CheckoutId::parse("cs_1").unwrap();
        let intent = || Some(PaymentId::parse("pi_1").unwrap());
        let euros = |amount_minor| Money { amount_minor, currency: Currency::parse("eur").unwrap() };
        let named = |intent, amount| PaymentId::of_sale(&session, intent, euros(amount)).map(String::from);
        assert_eq!(named(intent(), 999).as_deref(), Ok("pi_1"));
        assert_eq!(named(intent(), 0).as_deref(), Ok("pi_1"));
        assert_eq!(named(None, 0).as_deref(), Ok("cs_1"));
        assert_eq!(named(None, 999), Err(NoIntent));
    }
}
