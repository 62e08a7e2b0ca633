//! How tokens move: from where to where, and which lots that opens.

use serde::{Deserialize, Serialize};

use crate::lot::{Lot, LotId, Source};
use crate::money::Tokens;
use crate::time::Time;

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

/// Tokens that came from the world, to be had or to pay a debt.
pub(crate) fn credited(postings: &[Posting]) -> Tokens {
    let credits = postings
        .iter()
        .filter(|posting| posting.from == Place::World && matches!(posting.to, Place::Lot | Place::Debt));
    Tokens::checked_sum(credits.map(|posting| posting.amount)).unwrap_or(Tokens::MAX)
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
