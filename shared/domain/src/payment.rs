//! A payment as Stripe tells of it, in the ledger's own words.

use serde::{Deserialize, Serialize};

use crate::ids::{CustomerId, PackageId, PaymentId, UserId};
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

/// What was sold: `package:medium`, or `package:medium:3` for three of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Item {
    Package { id: PackageId, quantity: u32 },
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Item::Package { id, quantity: 1 } => write!(f, "package:{id}"),
            Item::Package { id, quantity } => write!(f, "package:{id}:{quantity}"),
        }
    }
}

/// A text that names nothing the catalog could sell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an item")]
pub struct BadItem;

impl std::str::FromStr for Item {
    type Err = BadItem;

    fn from_str(text: &str) -> Result<Item, BadItem> {
        let rest = text.strip_prefix("package:").ok_or(BadItem)?;
        let (id, quantity) = match rest.split_once(':') {
            None => (rest, 1),
            Some((id, quantity)) => (id, quantity.parse().map_err(|_| BadItem)?),
        };
        let id = PackageId::parse(id).map_err(|_| BadItem)?;
        if quantity == 0 { Err(BadItem) } else { Ok(Item::Package { id, quantity }) }
    }
}

impl From<Item> for String {
    fn from(item: Item) -> String {
        item.to_string()
    }
}

impl TryFrom<String> for Item {
    type Error = BadItem;
    fn try_from(text: String) -> Result<Item, BadItem> {
        text.parse()
    }
}
