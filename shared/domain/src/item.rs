//! What can be sold, and for how long.

use serde::{Deserialize, Serialize};

use crate::ids::{PackageId, PlanId};
use crate::money::Currency;

/// What was sold: `package:medium`, `package:medium:3` for three of them, or `plan:premium:month`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Item {
    Package { id: PackageId, quantity: u32 },
    Plan { id: PlanId, interval: Interval },
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Item::Package { id, quantity: 1 } => write!(f, "package:{id}"),
            Item::Package { id, quantity } => write!(f, "package:{id}:{quantity}"),
            Item::Plan { id, interval } => write!(f, "plan:{id}:{}", interval.name()),
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
        let parts: Vec<&str> = text.split(':').collect();
        let (id, quantity) = match parts.as_slice() {
            ["plan", id, interval] => {
                let id = PlanId::parse(*id).map_err(|_| BadItem)?;
                let interval = Interval::parse(interval).ok_or(BadItem)?;
                return Ok(Item::Plan { id, interval });
            }
            ["package", id] => (id, 1),
            ["package", id, quantity] => (id, quantity.parse().map_err(|_| BadItem)?),
            _ => return Err(BadItem),
        };
        let id = PackageId::parse(*id).map_err(|_| BadItem)?;
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

/// What one Stripe price sells: `package:medium:eur`, `plan:premium:month:eur`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sold {
    pub item: Item,
    pub currency: Currency,
}

/// How often a plan is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    Week,
    Month,
    Year,
}

impl Interval {
    pub const ALL: [Interval; 3] = [Interval::Week, Interval::Month, Interval::Year];

    pub fn parse(name: &str) -> Option<Interval> {
        Interval::ALL.into_iter().find(|interval| interval.name() == name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Interval::Week => "week",
            Interval::Month => "month",
            Interval::Year => "year",
        }
    }
}

impl std::fmt::Display for Sold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.item, self.currency)
    }
}

/// A text that names nothing sold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not what a price sells")]
pub struct BadSold;

impl std::str::FromStr for Sold {
    type Err = BadSold;

    fn from_str(text: &str) -> Result<Sold, BadSold> {
        let (item, currency) = text.rsplit_once(':').ok_or(BadSold)?;
        Ok(Sold {
            item: item.parse().map_err(|_| BadSold)?,
            currency: Currency::parse(currency).map_err(|_| BadSold)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_read_as_they_are_written() {
        for text in ["package:medium", "package:medium:3", "plan:premium:month"] {
            assert_eq!(text.parse::<Item>().map(|item| item.to_string()).as_deref(), Ok(text));
        }
        for wrong in
            ["", "package:", "package:a:0", "package:a:b:c", "plan:premium", "plan:premium:day", "seat:a"]
        {
            assert_eq!(wrong.parse::<Item>(), Err(BadItem), "{wrong:?}");
        }
    }
}
