//! The only crate that talks to DynamoDB. [`schema`] is the table; [`Store::apply`] is how everything is written.

mod apply;
mod catalogs;
mod claim;
mod error;
mod grants;
pub mod items;
mod jobs;
mod journal;
mod meter;
mod observe;
mod pointers;
pub mod schema;

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
pub use catalogs::Catalogs;
pub use error::StoreError;
pub use grants::{Addressee, DailyCap, Gift, Given, Recipient};
use items::Item;
pub use jobs::{CHUNK, Failed, Job, JobRow, Opened, Progress};
pub use journal::{Page, Wanted};
pub use meter::{Meter, Spent};
pub use observe::Observed;
pub use pointers::{Unclaimed, WebhookAudit};
use schema::Key;

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
        Ok(item.map(|item| items::to_payment(payment.clone(), item)).transpose()?)
    }

    /// Those causes that the books do not have yet.
    pub async fn unbooked<'a>(&self, causes: &'a [Cause]) -> Result<Vec<&'a Cause>, StoreError> {
        let mut unbooked = Vec::new();
        for page in causes.chunks(MOST_AT_ONCE) {
            let booked = self.booked(page).await?;
            unbooked.extend(page.iter().filter(|cause| !booked.contains(&schema::entry(cause).pk)));
        }
        Ok(unbooked)
    }

    /// The partition keys of those that have an entry. One that was not read counts as unbooked,
    /// and finds its entry when it is to be booked.
    async fn booked(&self, causes: &[Cause]) -> Result<HashSet<String>, StoreError> {
        if causes.is_empty() {
            return Ok(HashSet::new());
        }
        let keys = causes.iter().map(|cause| {
            let key = schema::entry(cause);
            HashMap::from([
                (schema::PK.to_owned(), AttributeValue::S(key.pk)),
                (schema::SK.to_owned(), AttributeValue::S(key.sk)),
            ])
        });
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys.collect()))
            .projection_expression(schema::PK)
            .consistent_read(true)
            .build()
            .expect("there are keys");
        let get = self.db.batch_get_item().request_items(&*self.table, wanted);
        let get = get.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = get.send().await.map_err(StoreError::of)?;
        self.meter.read(answer.consumed_capacity().first());
        let items = answer.responses.unwrap_or_default().remove(&*self.table).unwrap_or_default();
        let pk = |mut item: Item| match item.remove(schema::PK) {
            Some(AttributeValue::S(pk)) => Some(pk),
            _ => None,
        };
        Ok(items.into_iter().filter_map(pk).collect())
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

    /// Puts an item that nobody has put before. `false` means that somebody has.
    async fn put_new(&self, item: Item) -> Result<bool, StoreError> {
        let put = self
            .db
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(PK)")
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match put.send().await {
            Ok(answer) => {
                self.meter.wrote(answer.consumed_capacity());
                Ok(true)
            }
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(StoreError::of(error)),
        }
    }
}
