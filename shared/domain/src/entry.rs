//! The journal: one entry per change, chained by hash, never altered.

use serde::{Deserialize, Serialize};

use crate::alteration::{Alteration, Deed};
use crate::cause::Cause;
use crate::hash::Hash;
use crate::ids::{
    ActionId, CustomerId, HoldId, InvoiceId, PaymentId, PaymentMethodId, PriceId, RequestKey, SubscriptionId,
    UserId,
};
use crate::item::Item;
use crate::lot::{Balances, LotId};
use crate::money::{Money, Tokens};
use crate::payment::RefundReason;
use crate::posting::{Opened, Place, Posting, credited};
use crate::privacy::KeyedHash;
use crate::request::RequestHash;
use crate::subscription::{Granted, Period, Seen};
use crate::time::Time;

/// What happened to one account, why, and what it left behind.
///
/// Holds no personal data of ours: it stays when a user is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub user: UserId,
    /// The account's version after this entry; the journal has no gaps.
    pub seq: u64,
    pub at: Time,
    pub cause: Cause,
    #[serde(flatten)]
    pub detail: Detail,
    pub postings: Vec<Posting>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened: Vec<Opened>,
    /// Where the count of a subscription's payments and grants stands, if it moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<Counted>,
    pub after: Balances,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestHash>,
}

/// What kind of thing happened, with what only that kind has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Detail {
    /// A payment bought tokens. Names only what both a session and its payment intent carry.
    Purchase {
        item: Item,
        catalog: u32,
        paid: Money,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        customer: Option<CustomerId>,
        /// What it bought, also where a debt took a part of it.
        #[serde(default)]
        tokens: Tokens,
        #[serde(default)]
        bonus: Tokens,
    },
    /// Tokens were given.
    Grant {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operator: Option<UserId>,
        /// Of why: the words themselves are an erasable item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<KeyedHash>,
    },
    /// Tokens were spent.
    Consume {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<ActionId>,
        amount: u64,
    },
    /// Something was asked to be sold: the frozen request that any retry sends again.
    Checkout(CheckoutRequest),
    /// Stripe was asked to alter a subscription: the frozen request too. What came of it the next look tells.
    Alteration(Alteration),
    /// An invoice of a subscription was paid.
    Invoice {
        item: Item,
        catalog: u32,
        invoice: InvoiceId,
        subscription: SubscriptionId,
        paid: Money,
        /// The intents that paid it, and how much each.
        payments: Vec<(PaymentId, i64)>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        period: Option<Period>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        customer: Option<CustomerId>,
        /// The lot that its first payment answers for, also where a debt took a part of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        funded: Option<(LotId, Tokens, Time)>,
    },
    /// Tokens were set aside.
    Hold {
        hold: HoldId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<ActionId>,
        tokens: Tokens,
        expires_at: Time,
    },
    /// A hold was captured or released. Its cause is the hold's; this is the key of the request that came first.
    HoldEnd { hold: HoldId, captured: Tokens, returned: Tokens, key: RequestKey },
    /// More or less of a payment is reversed than before, by refunds and disputes.
    Reversal {
        payment: PaymentId,
        item: Item,
        paid: Money,
        /// In minor units, in all: before and now.
        reversed: (i64, i64),
        /// Tokens taken back for it, in all: before and now.
        taken: (Tokens, Tokens),
    },
    /// Money was asked back of Stripe: the frozen request that any retry sends again. What it takes back of the
    /// account its reversal tells.
    Refund(RefundRequest),
    /// The account was closed, and with it everything that says who its user is.
    Closing { operator: UserId },
    /// Stripe was looked at: what a subscription was to the books, and what it is.
    Subscription {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<Box<Seen>>,
        is: Box<Seen>,
    },
}

/// Everything that a sale is made of, fixed before Stripe is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutRequest {
    pub customer: CustomerId,
    pub item: Item,
    pub catalog: u32,
    pub price: PriceId,
    pub expires_at: Time,
    /// For a plan: the group that it is locked in until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The opening that this one takes over, whose session has been expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Cause>,
    /// The checkout for the same plan that was open already, and that this one is too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joins: Option<Cause>,
    /// Of the addresses that the client wants its user sent back to; they themselves are an erasable item.
    /// Absent where the catalog's are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<KeyedHash>,
    /// Of a plan that is sold by the seat.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub seats: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialRequest>,
    /// Without a page of Stripe's: a subscription or a payment intent is made at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<Direct>,
}

/// A trial that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialRequest {
    pub days: u32,
    /// Of the email that it is for: a person has one trial, whatever they call themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<KeyedHash>,
}

/// What is paid with, where the app itself collects it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direct {
    /// Absent where the app is yet to collect it, with the secret it is answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<PaymentMethodId>,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_one(seats: &u32) -> bool {
    *seats == 1
}

/// Everything that a refund is made of, fixed before Stripe is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequest {
    pub payment: PaymentId,
    pub amount: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RefundReason>,
    pub operator: UserId,
    /// Of why: the words themselves are an erasable item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<KeyedHash>,
}

/// What the books count for one subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "CountedTuple", from = "CountedTuple")]
pub struct Counted {
    pub subscription: SubscriptionId,
    pub paid: Option<Period>,
    pub granted: Option<Granted>,
}

type CountedTuple = (SubscriptionId, Option<Period>, Option<Granted>);

/// An entry with the exact bytes that are stored and hashed. Verification uses the bytes as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub entry: Entry,
    pub body: String,
    pub prev: Hash,
    pub hash: Hash,
}

impl Entry {
    pub fn seal(self, prev: Hash) -> Sealed {
        let body = serde_json::to_string(&self).expect("an entry has only string keys");
        let hash = Hash::of(prev, &body);
        Sealed { entry: self, body, prev, hash }
    }

    pub fn parse(body: &str) -> Result<Entry, serde_json::Error> {
        serde_json::from_str(body)
    }

    /// The lots that gave tokens to be spent, and how many.
    pub fn taken(&self) -> impl Iterator<Item = (&LotId, Tokens)> {
        let spent = self.postings.iter().filter(|posting| posting.to == Place::Spent);
        spent.filter_map(|posting| Some((posting.lot.as_ref()?, posting.amount)))
    }

    /// The lots that gave tokens to be set aside, and how many.
    pub fn held(&self) -> impl Iterator<Item = (&LotId, Tokens)> {
        let held = self.postings.iter().filter(|posting| posting.to == Place::Held);
        held.filter_map(|posting| Some((posting.lot.as_ref()?, posting.amount)))
    }

    /// How many tokens came in, whether into lots or to pay a debt.
    pub fn credited(&self) -> Tokens {
        credited(&self.postings)
    }
}

impl Detail {
    /// Every word that `kind` answers.
    pub const KINDS: [&str; 15] = [
        "purchase",
        "grant",
        "consume",
        "checkout",
        "change",
        "cancel",
        "resume",
        "invoice",
        "hold",
        "capture",
        "release",
        "reversal",
        "refund",
        "closing",
        "subscription",
    ];

    pub const fn kind(&self) -> &'static str {
        match self {
            Detail::Purchase { .. } => "purchase",
            Detail::Grant { .. } => "grant",
            Detail::Consume { .. } => "consume",
            Detail::Checkout(_) => "checkout",
            Detail::Alteration(Alteration { deed: Deed::Change(_), .. }) => "change",
            Detail::Alteration(Alteration { deed: Deed::Cancel { .. }, .. }) => "cancel",
            Detail::Alteration(Alteration { deed: Deed::Resume, .. }) => "resume",
            Detail::Invoice { .. } => "invoice",
            Detail::Hold { .. } => "hold",
            Detail::HoldEnd { captured, .. } if captured.is_zero() => "release",
            Detail::HoldEnd { .. } => "capture",
            Detail::Reversal { .. } => "reversal",
            Detail::Refund(_) => "refund",
            Detail::Closing { .. } => "closing",
            Detail::Subscription { .. } => "subscription",
        }
    }
}

impl From<Counted> for CountedTuple {
    fn from(counted: Counted) -> CountedTuple {
        (counted.subscription, counted.paid, counted.granted)
    }
}

impl From<CountedTuple> for Counted {
    fn from((subscription, paid, granted): CountedTuple) -> Counted {
        Counted { subscription, paid, granted }
    }
}
