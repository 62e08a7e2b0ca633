//! A payment as Stripe tells of it, in the ledger's own words.

use serde::{Deserialize, Serialize};

use crate::ids::{ChargeId, CheckoutId, CustomerId, InvoiceId, PaymentId, UserId};
use crate::item::Item;
use crate::lot::{LotId, Source};
use crate::money::{Money, Tokens};
use crate::mutants::Mutant;
use crate::privacy::KeyedHash;
use crate::time::Time;

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
    /// Of a subscription that is tried: the email that is to have no other trial.
    pub trial: Option<KeyedHash>,
}

impl Envelope {
    pub const STACK: &str = "tollgate_stack";
    pub const USER: &str = "tollgate_user";
    pub const CATALOG: &str = "tollgate_catalog";
    pub const ITEM: &str = "tollgate_item";
    pub const TRIAL: &str = "tollgate_trial";

    /// Reads it from an object's metadata; what is absent or malformed is `None`, never an error.
    pub fn read<'a>(metadata: impl Fn(&str) -> Option<&'a str>) -> Envelope {
        Envelope {
            stack: metadata(Self::STACK).map(str::to_owned),
            user: metadata(Self::USER).and_then(|user| UserId::parse(user).ok()),
            catalog: metadata(Self::CATALOG).and_then(|version| version.parse().ok()),
            item: metadata(Self::ITEM).and_then(|item| item.parse().ok()),
            trial: metadata(Self::TRIAL).and_then(|email| email.parse().ok()),
        }
    }

    /// The same as pairs, to be written into metadata.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let pairs = [
            (Self::STACK, self.stack.clone()),
            (Self::USER, self.user.as_ref().map(UserId::to_string)),
            (Self::CATALOG, self.catalog.map(|version| version.to_string())),
            (Self::ITEM, self.item.as_ref().map(Item::to_string)),
            (Self::TRIAL, self.trial.as_ref().map(KeyedHash::to_string)),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// The state of one payment. Its money fields are written only with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRow {
    pub payment: PaymentId,
    pub item: Item,
    pub paid: Money,
    pub customer: Option<CustomerId>,
    /// Where that was not a sale of its own.
    pub invoice: Option<InvoiceId>,
    pub granted: Tokens,
    /// The lots that it opened, in the order in which they are taken back.
    pub funded: Vec<Funded>,
    /// Refunded or disputed, in all.
    pub reversed_minor: i64,
    /// Taken back for that, in all.
    pub taken: Tokens,
    /// How often that has changed.
    pub reversals: u32,
    pub status: PaymentStatus,
    pub at: Time,
}

/// A lot that a payment opened, and with how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Funded {
    pub lot: LotId,
    pub source: Source,
    pub tokens: Tokens,
    pub expires_at: Option<Time>,
}

/// A payment before its money: the buyer may still pay, or could not. It is nothing to the books, so it has no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub payment: PaymentId,
    pub item: Item,
    pub amount: Money,
    pub customer: Option<CustomerId>,
    /// Where it was to pay that.
    pub invoice: Option<InvoiceId>,
    pub outcome: AttemptOutcome,
    /// When it was begun.
    pub at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    Pending,
    /// Why, in Stripe's word: `insufficient_funds`, `abandoned`.
    Failed(String),
}

/// What belongs to a payment in Stripe and is nothing to the books. Each is filled in when first seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    pub checkout: Option<CheckoutId>,
    pub charge: Option<ChargeId>,
    /// A page for the buyer.
    pub receipt_url: Option<String>,
}

/// One payment for people to look at, also before any money arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRecord {
    pub user: UserId,
    pub payment: PaymentId,
    pub status: PaymentStatus,
    pub item: Item,
    /// Paid, or to be paid.
    pub amount: Money,
    pub customer: Option<CustomerId>,
    pub invoice: Option<InvoiceId>,
    pub granted: Tokens,
    pub reversed_minor: i64,
    pub taken: Tokens,
    /// Why it failed, where it did.
    pub failure: Option<String>,
    pub at: Time,
    pub references: References,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Begun; no money has arrived.
    Pending,
    /// It could not be paid, or was given up. It may still be paid by another card.
    Failed,
    Completed,
    /// Nothing of it is left.
    Refunded,
}

/// Why an operator gives money back, in Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    Duplicate,
    Fraudulent,
    RequestedByCustomer,
}

impl PaymentRow {
    pub(crate) fn completed(payment: PaymentId, item: Item, paid: Money, at: Time) -> PaymentRow {
        PaymentRow {
            payment,
            item,
            paid,
            customer: None,
            invoice: None,
            granted: Tokens::ZERO,
            funded: Vec::new(),
            reversed_minor: 0,
            taken: Tokens::ZERO,
            reversals: 0,
            status: PaymentStatus::Completed,
            at,
        }
    }

    /// Of a package: its tokens and their bonus, each in a lot of its own.
    pub(crate) fn bought(
        payment: &Payment,
        item: Item,
        at: Time,
        tokens: Tokens,
        bonus: Tokens,
    ) -> PaymentRow {
        let funded = |lot, source, tokens| Funded { lot, source, tokens, expires_at: None };
        let mut funded = vec![
            funded(LotId::purchase(&payment.id), Source::Purchase, tokens),
            funded(LotId::bonus(&payment.id), Source::Bonus, bonus),
        ];
        funded.retain(|lot| !lot.tokens.is_zero());
        let row = PaymentRow::completed(payment.id.clone(), item, payment.paid, at);
        PaymentRow { customer: payment.customer.clone(), ..row.funding(funded) }
    }

    /// Of an invoice: the allowance that it brought, if it brought one.
    pub(crate) fn answers_for(&self) -> Option<(LotId, Tokens, Time)> {
        let [Funded { lot, tokens, expires_at: Some(end), .. }] = &self.funded[..] else { return None };
        Some((lot.clone(), *tokens, *end))
    }

    /// How many tokens a reversal of so much takes back: its share, and everything when nothing is left.
    pub(crate) fn to_take(&self, reversed_minor: i64) -> Tokens {
        let (reversed, paid) = (i128::from(reversed_minor), i128::from(self.paid.amount_minor));
        let granted = match Mutant::BonusKept.lives() {
            true => self.funded.first().map_or(Tokens::ZERO, |lot| lot.tokens),
            false => self.granted,
        };
        if reversed >= paid {
            return granted;
        }
        let share = i128::from(granted.get()) * reversed / paid;
        u64::try_from(share).ok().and_then(Tokens::new).unwrap_or(Tokens::ZERO)
    }

    pub(crate) fn funding(self, funded: Vec<Funded>) -> PaymentRow {
        let granted = funded.iter().fold(Tokens::ZERO, |sum, lot| sum.saturating_add(lot.tokens));
        PaymentRow { granted, funded, ..self }
    }
}

impl AttemptOutcome {
    pub const fn status(&self) -> PaymentStatus {
        match self {
            AttemptOutcome::Pending => PaymentStatus::Pending,
            AttemptOutcome::Failed(_) => PaymentStatus::Failed,
        }
    }
}

impl RefundReason {
    pub const ALL: [RefundReason; 3] =
        [RefundReason::Duplicate, RefundReason::Fraudulent, RefundReason::RequestedByCustomer];

    pub const fn name(self) -> &'static str {
        match self {
            RefundReason::Duplicate => "duplicate",
            RefundReason::Fraudulent => "fraudulent",
            RefundReason::RequestedByCustomer => "requested_by_customer",
        }
    }
}

impl PaymentStatus {
    pub const ALL: [PaymentStatus; 4] =
        [PaymentStatus::Pending, PaymentStatus::Failed, PaymentStatus::Completed, PaymentStatus::Refunded];

    pub const fn name(self) -> &'static str {
        match self {
            PaymentStatus::Pending => "pending",
            PaymentStatus::Failed => "failed",
            PaymentStatus::Completed => "completed",
            PaymentStatus::Refunded => "refunded",
        }
    }

    pub fn parse(name: &str) -> Option<PaymentStatus> {
        PaymentStatus::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// A word that no payment's status is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payment is pending, failed, completed or refunded")]
pub struct BadPaymentStatus;

impl std::str::FromStr for PaymentStatus {
    type Err = BadPaymentStatus;

    fn from_str(name: &str) -> Result<PaymentStatus, BadPaymentStatus> {
        PaymentStatus::parse(name).ok_or(BadPaymentStatus)
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
