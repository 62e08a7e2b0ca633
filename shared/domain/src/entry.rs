//! The journal: one entry per change, chained by hash, never altered.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cause::Cause;
use crate::ids::{ActionId, CustomerId, InvoiceId, PaymentId, PriceId, SubscriptionId, UserId};
use crate::item::Item;
use crate::lot::{Balances, Lot, LotId, Source};
use crate::money::{Money, Tokens};
use crate::request::RequestHash;
use crate::subscription::{Period, Seen};
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
    },
    /// Tokens were given.
    Grant,
    /// Tokens were spent.
    Consume {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<ActionId>,
        amount: u64,
    },
    /// A Checkout session was asked for: the frozen request that any retry sends again.
    Checkout(CheckoutRequest),
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
    },
    /// Stripe was looked at: what a subscription was to the books, and what it is.
    Subscription {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<Box<Seen>>,
        is: Box<Seen>,
    },
}

/// Everything that a Checkout session is made of, fixed before Stripe is called.
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
    /// Absent where the catalog's default is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_url: Option<String>,
}

/// A move of tokens. `lot` names the lot that gave or took them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "PostingTuple", from = "PostingTuple")]
pub struct Posting {
    pub from: Place,
    pub to: Place,
    pub amount: Tokens,
    pub lot: Option<LotId>,
    /// When it took effect, where that was before the entry was written.
    pub at: Option<Time>,
}

type PostingTuple = (Place, Place, Tokens, Option<LotId>, Option<Time>);

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
}

type OpenedTuple = (LotId, Source, Option<Time>);

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

    /// How many tokens came in, whether into lots or to pay a debt.
    pub fn credited(&self) -> Tokens {
        let credits =
            self.postings.iter().filter(|posting| posting.from == Place::World && posting.to != Place::Spent);
        Tokens::checked_sum(credits.map(|posting| posting.amount)).unwrap_or(Tokens::MAX)
    }
}

impl Detail {
    pub const fn kind(&self) -> &'static str {
        match self {
            Detail::Purchase { .. } => "purchase",
            Detail::Grant => "grant",
            Detail::Consume { .. } => "consume",
            Detail::Checkout(_) => "checkout",
            Detail::Invoice { .. } => "invoice",
            Detail::Subscription { .. } => "subscription",
        }
    }
}

impl Opened {
    pub fn of(lot: &Lot) -> Opened {
        Opened { lot: lot.id.clone(), source: lot.source, expires_at: lot.expires_at }
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
    fn from(posting: Posting) -> PostingTuple {
        (posting.from, posting.to, posting.amount, posting.lot, posting.at)
    }
}

impl From<PostingTuple> for Posting {
    fn from((from, to, amount, lot, at): PostingTuple) -> Posting {
        Posting { from, to, amount, lot, at }
    }
}

impl From<Opened> for OpenedTuple {
    fn from(opened: Opened) -> OpenedTuple {
        (opened.lot, opened.source, opened.expires_at)
    }
}

impl From<OpenedTuple> for Opened {
    fn from((lot, source, expires_at): OpenedTuple) -> Opened {
        Opened { lot, source, expires_at }
    }
}
