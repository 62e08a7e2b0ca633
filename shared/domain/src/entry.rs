//! The journal: one entry per change, chained by hash, never altered.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::alteration::{Alteration, Deed};
use crate::cause::Cause;
use crate::ids::{
    ActionId, CustomerId, HoldId, InvoiceId, PaymentId, PaymentMethodId, PriceId, RequestKey, SubscriptionId,
    UserId,
};
use crate::item::Item;
use crate::lot::{Balances, Lot, LotId, Source};
use crate::money::{Money, Tokens};
use crate::payment::RefundReason;
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

/// A move of tokens. `lot` names the lot that gave or took them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "PostingTuple", from = "PostingTuple")]
pub struct Posting {
    pub from: Place,
    pub to: Place,
    pub amount: Tokens,
    pub lot: Option<LotId>,
    /// The lot that they went into, where they came from another.
    pub into: Option<LotId>,
    /// When it took effect, where that was before the entry was written.
    pub at: Option<Time>,
}

/// Five fields, and a sixth only where a lot went into another.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PostingTuple {
    Between(Place, Place, Tokens, Option<LotId>, Option<Time>, LotId),
    Plain(Place, Place, Tokens, Option<LotId>, Option<Time>),
}

/// Where tokens can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    World,
    Lot,
    Held,
    Spent,
    Expired,
    Clawed,
    Debt,
}

/// A lot that an entry opened. How much went into it, the postings say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "OpenedTuple", from = "OpenedTuple")]
pub struct Opened {
    pub lot: LotId,
    pub source: Source,
    pub expires_at: Option<Time>,
    /// When it opened, where that was not when the entry was written.
    pub opened_at: Option<Time>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OpenedTuple {
    Earlier(LotId, Source, Option<Time>, Time),
    Now(LotId, Source, Option<Time>),
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

/// SHA-256 over the previous hash and the entry's body.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hash(pub [u8; 32]);

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

/// Tokens that came from the world, to be had or to pay a debt.
pub(crate) fn credited(postings: &[Posting]) -> Tokens {
    let credits = postings
        .iter()
        .filter(|posting| posting.from == Place::World && matches!(posting.to, Place::Lot | Place::Debt));
    Tokens::checked_sum(credits.map(|posting| posting.amount)).unwrap_or(Tokens::MAX)
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

impl Opened {
    pub fn of(lot: &Lot, written_at: Time) -> Opened {
        let opened_at = Some(lot.opened_at).filter(|at| *at != written_at);
        Opened { lot: lot.id.clone(), source: lot.source, expires_at: lot.expires_at, opened_at }
    }
}

impl Place {
    pub const fn name(self) -> &'static str {
        match self {
            Place::World => "world",
            Place::Lot => "lot",
            Place::Held => "held",
            Place::Spent => "spent",
            Place::Expired => "expired",
            Place::Clawed => "clawed",
            Place::Debt => "debt",
        }
    }
}

impl Hash {
    /// What the first entry of a journal is chained to.
    pub const START: Hash = Hash([0; 32]);

    pub fn of(prev: Hash, body: &str) -> Hash {
        let digest = Sha256::new().chain_update(prev.0).chain_update(body).finalize();
        Hash(digest.into())
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from(*self))
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> String {
        URL_SAFE_NO_PAD.encode(hash.0)
    }
}

/// A text that no hash is written as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a hash")]
pub struct BadHash;

impl TryFrom<String> for Hash {
    type Error = BadHash;
    fn try_from(text: String) -> Result<Hash, BadHash> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadHash)?;
        bytes.try_into().map(Hash).map_err(|_| BadHash)
    }
}

impl From<Posting> for PostingTuple {
    fn from(Posting { from, to, amount, lot, into, at }: Posting) -> PostingTuple {
        match into {
            Some(into) => PostingTuple::Between(from, to, amount, lot, at, into),
            None => PostingTuple::Plain(from, to, amount, lot, at),
        }
    }
}

impl From<PostingTuple> for Posting {
    fn from(tuple: PostingTuple) -> Posting {
        match tuple {
            PostingTuple::Between(from, to, amount, lot, at, into) => {
                Posting { from, to, amount, lot, into: Some(into), at }
            }
            PostingTuple::Plain(from, to, amount, lot, at) => {
                Posting { from, to, amount, lot, into: None, at }
            }
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

impl From<Opened> for OpenedTuple {
    fn from(Opened { lot, source, expires_at, opened_at }: Opened) -> OpenedTuple {
        match opened_at {
            Some(at) => OpenedTuple::Earlier(lot, source, expires_at, at),
            None => OpenedTuple::Now(lot, source, expires_at),
        }
    }
}

impl From<OpenedTuple> for Opened {
    fn from(tuple: OpenedTuple) -> Opened {
        match tuple {
            OpenedTuple::Earlier(lot, source, expires_at, at) => {
                Opened { lot, source, expires_at, opened_at: Some(at) }
            }
            OpenedTuple::Now(lot, source, expires_at) => Opened { lot, source, expires_at, opened_at: None },
        }
    }
}
