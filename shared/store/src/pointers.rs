//! Items beside the ledger: who a Stripe customer is, what Stripe made for a cause, what came in.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::cause::Cause;
use domain::ids::{CustomerId, EventId, UserId};
use domain::time::{DAY_MS, Time};

use crate::apply::{Contention, refusal_of_transaction};
use crate::grants::failed_conditions;
use crate::items::{self, Item};
use crate::{Read, Store, StoreError, schema};

/// What became of one webhook event: for people to look at, never a guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAudit {
    pub event: EventId,
    pub kind: String,
    pub outcome: &'static str,
    pub at: Time,
}

/// What came of saying whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pointed {
    Now,
    /// It was said before, of this user or another.
    Before,
    /// The user was erased, and nothing is remembered of them.
    Never,
}

const AUDIT_KEPT_MS: i64 = 90 * DAY_MS;

impl Store {
    /// Whose Stripe customer this is, as far as we made it.
    pub async fn customer_owner(&self, customer: &CustomerId) -> Result<Option<UserId>, StoreError> {
        let item = self.get(schema::customer(customer), Read::Consistent).await?;
        Ok(item.map(items::to_customer_owner).transpose()?)
    }

    /// The Stripe customer that was made for a user. Their account learns of it only when they first buy.
    pub async fn linked_customer(&self, user: &UserId) -> Result<Option<CustomerId>, StoreError> {
        let links = self.under(schema::partition_of(user), schema::CUSTOMERS, Read::Consistent).await?;
        Ok(links.iter().find_map(schema::linked_customer))
    }

    /// Remembers whose customer it is; the first to say so is right.
    pub async fn point_customer(&self, customer: &CustomerId, user: &UserId) -> Result<Pointed, StoreError> {
        let mut contention = Contention::within(self.budget);
        loop {
            let link = items::grants::from_link(schema::customer_link(user, customer));
            match self.point(user, items::from_customer(customer, user), link).await {
                Err(StoreError::Busy(cause)) => contention.wait(cause).await?,
                pointed => return pointed,
            }
        }
    }

    /// Says whose something is, once, with a link by which it is found from its user.
    pub(crate) async fn point(
        &self,
        user: &UserId,
        pointer: Item,
        link: Item,
    ) -> Result<Pointed, StoreError> {
        let writes = vec![self.still_open(user), self.put_once(pointer), self.put_always(link)];
        let Err(reasons) = self.transact(writes).await? else { return Ok(Pointed::Now) };
        match failed_conditions(&reasons).next() {
            Some(0) => Ok(Pointed::Never),
            Some(_) => Ok(Pointed::Before),
            None => Err(refusal_of_transaction(&reasons)),
        }
    }

    /// That a user was not erased: what says anything about a person is written on this condition only.
    pub(crate) fn still_open(&self, user: &UserId) -> TransactWriteItem {
        self.check(schema::account(user), "attribute_not_exists(closed)")
    }

    /// The id of what Stripe made for a cause, if that is known.
    pub async fn result(&self, cause: &Cause) -> Result<Option<String>, StoreError> {
        let item = self.get(schema::result(cause), Read::Consistent).await?;
        Ok(item.map(items::to_result).transpose()?)
    }

    /// Records what Stripe made for a cause, once.
    pub async fn put_result(&self, cause: &Cause, id: &str) -> Result<(), StoreError> {
        self.put_new(items::from_result(schema::result(cause), id)).await.map(drop)
    }

    /// Notes what became of an event, and how often it was tried.
    pub async fn audit(&self, audit: &WebhookAudit) -> Result<(), StoreError> {
        let key = schema::audit(&audit.event);
        let expires = audit.at.plus_ms(AUDIT_KEPT_MS).seconds();
        let update = self
            .db
            .update_item()
            .table_name(&*self.table)
            .key(schema::PK, AttributeValue::S(key.pk))
            .key(schema::SK, AttributeValue::S(key.sk))
            .update_expression("SET kind = :kind, outcome = :outcome, #at = :at, #ttl = :ttl ADD tries :one")
            .expression_attribute_names("#at", "at")
            .expression_attribute_names("#ttl", schema::TTL)
            .expression_attribute_values(":kind", AttributeValue::S(audit.kind.clone()))
            .expression_attribute_values(":outcome", AttributeValue::S(audit.outcome.to_owned()))
            .expression_attribute_values(":at", AttributeValue::N(audit.at.millis().to_string()))
            .expression_attribute_values(":ttl", AttributeValue::N(expires.to_string()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        update.send().await.map(drop).map_err(StoreError::of)
    }
}
