//! The only crate that talks to DynamoDB. [`schema`] is the table; [`Store::apply`] is how everything is written.

mod apply;
mod attempts;
mod catalogs;
mod claim;
mod erase;
mod error;
mod grants;
pub mod items;
mod jobs;
mod journal;
mod meter;
mod observe;
mod payments;
mod pointers;
pub mod proof;
pub mod schema;
mod trials;
mod unclaimed;
mod words;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use aws_sdk_dynamodb::{Client, config};
use domain::account::Account;
use domain::cause::Cause;
use domain::entry::Entry;
use domain::ids::{PaymentId, UserId};
use domain::payment::PaymentRow;
use domain::privacy::Claimant;

pub use apply::Applied;
use apply::Contention;
pub use attempts::Noted;
pub use catalogs::Catalogs;
pub use erase::{Erased, Traces};
pub use error::StoreError;
use error::if_held;
pub use grants::{Addressee, DailyCap, Gift, Given, Recipient};
use items::Item;
pub use jobs::{CHUNK, Failed, Job, JobRow, Opened, Progress};
pub use journal::{Page, Wanted};
pub use meter::{Meter, Spent};
pub use observe::Observed;
pub use payments::{Month, PaymentCursor, PaymentFilter, PaymentPage};
pub use pointers::{Pointed, WebhookAudit};
use schema::Key;
pub use unclaimed::{Claim, Unclaimed, UnclaimedCursor, UnclaimedPage};
pub use words::{Note, Words};

/// How long writers contend on an HTTP request before they answer 503.
pub const HTTP_BUDGET: Duration = Duration::from_secs(3);

/// As many items as DynamoDB reads in one call.
const MOST_AT_ONCE: usize = 100;

/// The table, as the ledger uses it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    db: Client,
    table: Arc<str>,
    budget: Duration,
    meter: Arc<Meter>,
    /// Whose calls these are, if their email is verified: what waits for it is claimed before anything is written.
    claimant: Option<Arc<Claimant>>,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Half the price; may miss the last moments. For showing.
    Eventual,
    /// For deciding: only a consistent read may refuse.
    Consistent,
}

impl Store {
    /// `endpoint` overrides AWS's own; `budget` bounds how long a write contends.
    pub fn open(aws: &SdkConfig, endpoint: Option<String>, table: &str, budget: Duration) -> Store {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(Duration::from_secs(2))
            .operation_timeout(Duration::from_secs(5));
        let mut config = config::Builder::from(aws)
            // One quick retry for a lost connection; contention is ours to retry, from a fresh read.
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(timeouts.build());
        if endpoint.is_some() {
            config.set_endpoint_url(endpoint);
        }
        let db = Client::from_conf(config.build());
        Store { db, table: table.into(), budget, meter: Arc::default(), claimant: None }
    }

    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// A user's account; one that nothing was ever written to is new and empty.
    pub async fn account(&self, user: &UserId, read: Read) -> Result<Account, StoreError> {
        match self.get(schema::account(user), read).await? {
            Some(item) => Ok(items::to_account(user.clone(), item)?),
            None => Ok(Account::new(user.clone())),
        }
    }

    /// The entry of a cause, read consistently.
    pub async fn entry(&self, cause: &Cause) -> Result<Option<Entry>, StoreError> {
        let item = self.get(schema::entry(cause), Read::Consistent).await?;
        Ok(item.map(items::to_entry).transpose()?)
    }

    /// The row of a user's payment.
    pub async fn payment(
        &self,
        user: &UserId,
        payment: &PaymentId,
    ) -> Result<Option<PaymentRow>, StoreError> {
        let item = self.get(schema::payment(user, payment), Read::Consistent).await?;
        Ok(item.map(|item| items::to_payment(payment.clone(), item)).transpose()?.flatten())
    }

    /// Those causes that the books do not have yet.
    pub async fn unbooked<'a>(&self, causes: &'a [Cause]) -> Result<Vec<&'a Cause>, StoreError> {
        let keys = causes.iter().map(schema::entry).collect();
        let entries = self.get_many(keys, Read::Consistent, Some(schema::PK)).await?;
        let pk = |entry: &Item| entry.get(schema::PK)?.as_s().ok().cloned();
        let booked: HashSet<String> = entries.iter().filter_map(pk).collect();
        Ok(causes.iter().filter(|cause| !booked.contains(&schema::entry(cause).pk)).collect())
    }

    async fn get(&self, key: Key, read: Read) -> Result<Option<Item>, StoreError> {
        let get = self
            .db
            .get_item()
            .table_name(&*self.table)
            .key(schema::PK, AttributeValue::S(key.pk))
            .key(schema::SK, AttributeValue::S(key.sk))
            .consistent_read(read == Read::Consistent)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = get.send().await.map_err(StoreError::of)?;
        self.meter.read(answer.consumed_capacity());
        Ok(answer.item)
    }

    /// Those of these items that are there, whole or only some attributes of them, in no order. No key may come twice.
    async fn get_many(
        &self,
        keys: Vec<Key>,
        read: Read,
        attributes: Option<&str>,
    ) -> Result<Vec<Item>, StoreError> {
        let mut contention = Contention::within(self.budget);
        let mut found = Vec::new();
        for page in keys.chunks(MOST_AT_ONCE) {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(page.iter().map(primary).collect()))
                .set_projection_expression(attributes.map(str::to_owned))
                .consistent_read(read == Read::Consistent)
                .build()
                .expect("a page has keys");
            let mut wanted = HashMap::from([(self.table.to_string(), wanted)]);
            loop {
                let get = self.db.batch_get_item().set_request_items(Some(wanted));
                let get = get.return_consumed_capacity(ReturnConsumedCapacity::Total);
                let answer = get.send().await.map_err(StoreError::of)?;
                self.meter.read(answer.consumed_capacity().first());
                found.extend(answer.responses.unwrap_or_default().remove(&*self.table).unwrap_or_default());
                // Too much for one answer, or for this moment.
                wanted = answer.unprocessed_keys.unwrap_or_default();
                if wanted.is_empty() {
                    break;
                }
                contention.wait("only a part of a batch was read").await?;
            }
        }
        Ok(found)
    }

    /// Puts an item that nobody has put before. `false` means that somebody has.
    async fn put_new(&self, item: Item) -> Result<bool, StoreError> {
        self.put_if(item, "attribute_not_exists(PK)", None).await
    }

    /// Puts an item on a condition, with the condition's values. `false` means that it did not hold.
    async fn put_if(&self, item: Item, condition: &str, values: Option<Item>) -> Result<bool, StoreError> {
        let put = self
            .db
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = if_held(put.send().await)?;
        if let Some(answer) = &answer {
            self.meter.wrote(answer.consumed_capacity());
        }
        Ok(answer.is_some())
    }

    /// Everything of a partition whose sort key begins so.
    async fn under(&self, pk: String, begins: &str, read: Read) -> Result<Vec<Item>, StoreError> {
        let (mut found, mut start) = (Vec::new(), None);
        loop {
            let mut query = self
                .db
                .query()
                .table_name(&*self.table)
                .key_condition_expression("PK = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(pk.clone()))
                .consistent_read(read == Read::Consistent)
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            if !begins.is_empty() {
                query = query
                    .key_condition_expression("PK = :pk AND begins_with(SK, :begins)")
                    .expression_attribute_values(":begins", AttributeValue::S(begins.to_owned()));
            }
            let answer = query.send().await.map_err(StoreError::of)?;
            self.meter.read(answer.consumed_capacity());
            found.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }
}

/// A key as an item's attributes.
fn primary(key: &Key) -> Item {
    let attribute = |name: &str, value: &str| (name.to_owned(), AttributeValue::S(value.to_owned()));
    HashMap::from([attribute(schema::PK, &key.pk), attribute(schema::SK, &key.sk)])
}
