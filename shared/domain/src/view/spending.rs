//! What spending and setting aside are answered: rebuilt from the entry, so that a retry gets the same bytes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::account::{FeatureView, HoldView};
use crate::entry::{Detail, Entry};
use crate::lot::{Balances, LotId};
use crate::money::Tokens;

/// `POST …/consume`.
#[derive(Debug, Serialize)]
pub struct ConsumeView {
    entry: String,
    wallet: Balances,
    lots: Vec<Taken>,
    features: BTreeMap<String, FeatureView>,
}

/// `POST …/holds`.
#[derive(Debug, Serialize)]
pub struct HeldView {
    #[serde(flatten)]
    hold: HoldView,
    entry: String,
    wallet: Balances,
    lots: Vec<Taken>,
}

/// `POST …/holds/{id}/capture` and `…/release`.
#[derive(Debug, Serialize)]
pub struct HoldEndView {
    entry: String,
    hold: String,
    captured: u64,
    /// What was not captured. It lapsed at once where its lot was over.
    returned: u64,
    wallet: Balances,
    lots: Vec<Taken>,
}

#[derive(Debug, Serialize)]
struct Taken {
    id: String,
    taken: u64,
}

impl ConsumeView {
    pub fn new(entry: &Entry) -> ConsumeView {
        ConsumeView {
            entry: entry.cause.to_string(),
            wallet: entry.after,
            lots: Taken::of(entry.taken()),
            features: BTreeMap::new(),
        }
    }
}

impl HeldView {
    /// `None` if the entry set nothing aside.
    pub fn new(entry: &Entry) -> Option<HeldView> {
        let Detail::Hold { hold, tokens, expires_at, .. } = &entry.detail else { return None };
        Some(HeldView {
            hold: HoldView::new(hold, *tokens, *expires_at),
            entry: entry.cause.to_string(),
            wallet: entry.after,
            lots: Taken::of(entry.held()),
        })
    }
}

impl HoldEndView {
    /// `None` if the entry ended no hold.
    pub fn new(entry: &Entry) -> Option<HoldEndView> {
        let Detail::HoldEnd { hold, captured, returned, .. } = &entry.detail else { return None };
        Some(HoldEndView {
            entry: entry.cause.to_string(),
            hold: hold.to_string(),
            captured: captured.get(),
            returned: returned.get(),
            wallet: entry.after,
            lots: Taken::of(entry.taken()),
        })
    }
}

impl Taken {
    fn of<'a>(parts: impl Iterator<Item = (&'a LotId, Tokens)>) -> Vec<Taken> {
        parts.map(|(lot, taken)| Taken { id: lot.as_str().to_owned(), taken: taken.get() }).collect()
    }
}
