//! What was paid or made in Stripe and is nobody's that we know: kept until an operator says whose it is.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use domain::ids::UserId;
use domain::time::Time;
use futures_util::future::try_join_all;

use crate::apply::setting;
use crate::error::if_held;
use crate::items::{self, BadItem, Item};
use crate::payments::BadCursor;
use crate::{Read, Store, StoreError, primary, schema};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclaimed {
    /// Stripe's `pi_…`, `cs_…` or `sub_…`.
    pub object: String,
    /// The event or route that told of it.
    pub event: String,
    pub reason: String,
    pub at: Time,
}

/// Whose an operator said that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub user: UserId,
    pub operator: UserId,
    pub at: Time,
}

/// One page, newest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UnclaimedPage {
    pub unclaimed: Vec<Unclaimed>,
    /// What to go on after, if there is more.
    pub next: Option<UnclaimedCursor>,
}

/// A place in the list: `<millis>:<object>`. The object tells apart those of one millisecond.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnclaimedCursor {
    at: Time,
    object: String,
}

impl Store {
    /// Keeps what nobody owns, until it is claimed once. What is unclaimed again after that is so anew.
    /// `true` means that it is new.
    pub async fn put_unclaimed(&self, unclaimed: &Unclaimed) -> Result<bool, StoreError> {
        let mut item = items::from_unclaimed(unclaimed);
        item.retain(|name, _| name != schema::PK && name != schema::SK);
        let (expression, names, values) = setting(item);
        let update = self
            .db
            .update_item()
            .update_expression(expression)
            // Whoever claimed it before stays on record.
            .condition_expression("attribute_not_exists(PK) OR attribute_not_exists(GSI2PK)")
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values));
        self.update_unclaimed(&unclaimed.object, update).await
    }

    /// What is kept of an object, and whom it went to if it was claimed.
    pub async fn unclaimed(&self, object: &str) -> Result<Option<(Unclaimed, Option<Claim>)>, StoreError> {
        let item = self.get(schema::unclaimed(object), Read::Consistent).await?;
        Ok(item.map(items::to_unclaimed).transpose()?)
    }

    /// Takes an object off the list, and remembers for whom. Said again, the first time stays.
    pub async fn claim_object(&self, object: &str, claim: &Claim) -> Result<(), StoreError> {
        let update = self
            .db
            .update_item()
            .update_expression("SET claim = :claim REMOVE GSI2PK, GSI2SK")
            .condition_expression(
                "attribute_exists(PK) AND (attribute_exists(GSI2PK) OR claim.#user <> :user)",
            )
            .expression_attribute_names("#user", "user")
            .expression_attribute_values(":user", AttributeValue::S(claim.user.to_string()))
            .expression_attribute_values(":claim", items::from_claim(claim));
        self.update_unclaimed(object, update).await.map(drop)
    }

    /// Takes an object off the list without anybody's having claimed it: its money went back.
    pub async fn unlist(&self, object: &str) -> Result<(), StoreError> {
        let update = self
            .db
            .update_item()
            .update_expression("REMOVE GSI2PK, GSI2SK")
            .condition_expression("attribute_exists(GSI2PK)");
        self.update_unclaimed(object, update).await.map(drop)
    }

    /// A page of what is nobody's. It reads the keys of all of them, as there should be none.
    pub async fn unclaimed_after(
        &self,
        after: Option<&UnclaimedCursor>,
        limit: u16,
    ) -> Result<UnclaimedPage, StoreError> {
        let shards = (0..schema::SHARDS).map(|shard| self.unclaimed_in(shard, after));
        let mut places = try_join_all(shards).await?.concat();
        places.retain(|place| after.is_none_or(|after| place < after));
        places.sort_by(|one, other| other.cmp(one));
        let goes_on = places.len() > usize::from(limit);
        places.truncate(usize::from(limit));
        let keys = places.iter().map(|place| schema::unclaimed(&place.object)).collect();
        let mut unclaimed = Vec::with_capacity(places.len());
        for item in self.get_many(keys, Read::Consistent, None).await? {
            // The index may not have heard yet that it was claimed.
            let is_open = item.contains_key(schema::GSI2_PK);
            let (record, _) = items::to_unclaimed(item)?;
            unclaimed.extend(is_open.then_some(record));
        }
        unclaimed.sort_by_cached_key(|record| std::cmp::Reverse(UnclaimedCursor::of(record)));
        Ok(UnclaimedPage { unclaimed, next: places.pop().filter(|_| goes_on) })
    }

    /// One shard of the list, down from a place and with it.
    async fn unclaimed_in(
        &self,
        shard: u32,
        from: Option<&UnclaimedCursor>,
    ) -> Result<Vec<UnclaimedCursor>, StoreError> {
        let until = from.map_or_else(|| schema::JOURNAL_END.to_owned(), |from| schema::instant(from.at));
        let (mut found, mut start) = (Vec::new(), None);
        loop {
            let query = self
                .db
                .query()
                .table_name(&*self.table)
                .index_name(schema::GSI2)
                .key_condition_expression("GSI2PK = :partition AND GSI2SK <= :until")
                .expression_attribute_values(":partition", AttributeValue::S(schema::unclaimed_filed(shard)))
                .expression_attribute_values(":until", AttributeValue::S(until.clone()))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = query.send().await.map_err(StoreError::of)?;
            self.meter.read(answer.consumed_capacity());
            for key in answer.items() {
                found.push(UnclaimedCursor::read(key)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    /// Changes what is kept of an object. `false` means that the condition did not hold.
    async fn update_unclaimed(
        &self,
        object: &str,
        update: UpdateItemFluentBuilder,
    ) -> Result<bool, StoreError> {
        let update = update
            .table_name(&*self.table)
            .set_key(Some(primary(&schema::unclaimed(object))))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = if_held(update.send().await)?;
        if let Some(answer) = &answer {
            self.meter.wrote(answer.consumed_capacity());
        }
        Ok(answer.is_some())
    }
}

impl UnclaimedCursor {
    fn of(unclaimed: &Unclaimed) -> UnclaimedCursor {
        UnclaimedCursor { at: unclaimed.at, object: unclaimed.object.clone() }
    }

    fn read(key: &Item) -> Result<UnclaimedCursor, BadItem> {
        let place = schema::unclaimed_of(key).zip(schema::instant_of(key));
        let (object, at) =
            place.ok_or_else(|| BadItem("what is filed as unclaimed names nothing".to_owned()))?;
        Ok(UnclaimedCursor { at, object })
    }
}

impl std::fmt::Display for UnclaimedCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.at.millis(), self.object)
    }
}

impl std::str::FromStr for UnclaimedCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<UnclaimedCursor, BadCursor> {
        let (at, object) = text.split_once(':').ok_or(BadCursor)?;
        let at = at.parse().map(Time::from_millis).map_err(|_| BadCursor)?;
        Ok(UnclaimedCursor { at, object: object.to_owned() })
    }
}
