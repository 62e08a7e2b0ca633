//! What nobody owns, and who took it in.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::UserId;
use domain::time::Time;
use serde::{Deserialize, Serialize};

use super::{BadItem, Item, indexed, keyed, read};
use crate::schema;
use crate::unclaimed::{Claim, Unclaimed};

#[derive(Serialize, Deserialize)]
struct UnclaimedItem {
    object: String,
    event: String,
    reason: String,
    at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<ClaimItem>,
}

#[derive(Serialize, Deserialize)]
struct ClaimItem {
    user: UserId,
    operator: UserId,
    at: Time,
}

pub fn from_unclaimed(unclaimed: &Unclaimed) -> Item {
    let Unclaimed { object, event, reason, at } = unclaimed.clone();
    let index = schema::unclaimed_search(&object, at);
    let key = schema::unclaimed(&object);
    let item = UnclaimedItem { object, event, reason, at, claim: None };
    indexed(keyed(key, &item), (schema::GSI2_PK, schema::GSI2_SK), index)
}

/// With whom it went to, where somebody took it in.
pub fn to_unclaimed(item: Item) -> Result<(Unclaimed, Option<Claim>), BadItem> {
    let UnclaimedItem { object, event, reason, at, claim } = read("unclaimed record", item)?;
    let claim = claim.map(|ClaimItem { user, operator, at }| Claim { user, operator, at });
    Ok((Unclaimed { object, event, reason, at }, claim))
}

/// A claim as the attribute `claim` of what was unclaimed.
pub fn from_claim(claim: &Claim) -> AttributeValue {
    let Claim { user, operator, at } = claim.clone();
    let item = ClaimItem { user, operator, at };
    AttributeValue::M(serde_dynamo::to_item(item).expect("a stored shape is a struct with string names"))
}
