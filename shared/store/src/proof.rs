//! The table as it lies there, for `tollgate prove`: items are read raw, whole or one by one, and compared with what
//! they should be ([`Books`]). The only writes put back what the journal tells. No function calls any of it.

mod books;
mod differences;
mod whose;

use std::collections::{HashMap, HashSet};
use std::future::Future;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use domain::ids::UserId;

pub use books::{Books, Flaw, key_of, seq_of};
pub use differences::{changed, differences};
pub use whose::{Kind, Whose, payments_told, whose};

use crate::apply::{Contention, refusal_of_transaction};
use crate::grants::failed_conditions;
use crate::items::Item;
use crate::schema::{self, Key};
use crate::{Read, Store, StoreError, primary};

/// Some items, and the key to go on after, if there may be more.
#[derive(Debug, Default)]
pub struct Raw {
    pub items: Vec<Item>,
    pub next: Option<Item>,
}

/// Which copy of the items is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    Table,
    /// Every user's journal, as users are shown it. Follows the table within moments.
    Journal,
}

/// An item as it was read, if there was one, and as it should be; or that there should be none.
#[derive(Debug, Clone, PartialEq)]
pub struct Replacement {
    pub was: Option<Item>,
    pub is: Result<Item, Gone>,
}

/// That an item should not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone(pub Key);

/// An answer of the table's own, other than that it is busy: it cannot read what it stores.
const DAMAGED: &str = "InternalServerError";
/// Attributes that may come to a payment's row at any moment, without an entry.
const ARRIVING: [&str; 3] = ["charge", "checkout", "receipt_url"];
/// Less than DynamoDB takes, as a condition on a whole item is long.
const MOST_IN_A_TRANSACTION: usize = 25;

impl Store {
    /// How many items the table has, about; and that there is a table.
    pub async fn size(&self) -> Result<u64, StoreError> {
        let answer = self.db.describe_table().table_name(&*self.table).send().await;
        let described = answer.map_err(StoreError::of)?.table;
        let count = described.and_then(|table| table.item_count).unwrap_or_default();
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Up to `limit` items after a key, in the table's own order. `None` where one of them cannot be read.
    pub async fn scan(
        &self,
        copies: Copies,
        after: Option<&Item>,
        limit: i32,
    ) -> Result<Option<Raw>, StoreError> {
        self.insist(|| async {
            let scan = self.db.scan().table_name(&*self.table).limit(limit);
            let scan = scan.set_exclusive_start_key(after.cloned());
            let scan = match copies {
                Copies::Table => scan.consistent_read(true),
                Copies::Journal => scan.index_name(schema::GSI1),
            };
            let answer = scan.send().await.map_err(StoreError::of)?;
            Ok(Raw { items: answer.items.unwrap_or_default(), next: answer.last_evaluated_key })
        })
        .await
    }

    /// Everything that lies under a user: account, payments, and what is erasable. `None` where some of it cannot be read.
    pub async fn partition(&self, user: &UserId) -> Result<Option<Vec<Item>>, StoreError> {
        let mut found = Raw::default();
        loop {
            let start = found.next.take();
            let page = self.insist(|| async {
                let query = self
                    .db
                    .query()
                    .table_name(&*self.table)
                    .key_condition_expression("PK = :user")
                    .expression_attribute_values(":user", AttributeValue::S(schema::partition_of(user)))
                    .consistent_read(true)
                    .set_exclusive_start_key(start.clone());
                let answer = query.send().await.map_err(StoreError::of)?;
                Ok(Raw { items: answer.items.unwrap_or_default(), next: answer.last_evaluated_key })
            });
            let Some(page) = page.await? else { return Ok(None) };
            found.items.extend(page.items);
            found.next = page.next;
            if found.next.is_none() {
                return Ok(Some(found.items));
            }
        }
    }

    /// Up to `limit` of a user's entries after a seq, as the index has them: whole, or only these attributes. `None`
    /// where one of them cannot be read.
    pub async fn journal_copies(
        &self,
        user: &UserId,
        after: u64,
        limit: i32,
        attributes: Option<&str>,
    ) -> Result<Option<Vec<Item>>, StoreError> {
        self.insist(|| async {
            let query = self
                .db
                .query()
                .table_name(&*self.table)
                .index_name(schema::GSI1)
                .key_condition_expression("GSI1PK = :user AND GSI1SK > :after")
                .expression_attribute_values(":user", AttributeValue::S(schema::partition_of(user)))
                .expression_attribute_values(":after", AttributeValue::S(schema::journal_position(after)))
                .set_projection_expression(attributes.map(str::to_owned))
                .limit(limit);
            Ok(query.send().await.map_err(StoreError::of)?.items.unwrap_or_default())
        })
        .await
    }

    /// Those of these items that are there, read consistently. `None` where one of them cannot be read.
    pub async fn items_at(&self, keys: &[Key]) -> Result<Option<Vec<Item>>, StoreError> {
        self.read_at(keys, None).await
    }

    /// The same, of which only the keys are wanted.
    pub async fn keys_at(&self, keys: &[Key]) -> Result<Option<Vec<Item>>, StoreError> {
        self.read_at(keys, Some("PK, SK")).await
    }

    async fn read_at(&self, keys: &[Key], attributes: Option<&str>) -> Result<Option<Vec<Item>>, StoreError> {
        let mut seen = HashSet::new();
        let keys: Vec<Key> = keys.iter().filter(|key| seen.insert((&key.pk, &key.sk))).cloned().collect();
        if keys.is_empty() {
            return Ok(Some(Vec::new()));
        }
        self.insist(|| self.get_many(keys.clone(), Read::Consistent, attributes)).await
    }

    /// Makes all of these replacements, if everything is still as it was read. `false` means that something is not,
    /// and that nothing was written since.
    pub async fn put_back(&self, replacements: &[Replacement]) -> Result<bool, StoreError> {
        for some in replacements.chunks(MOST_IN_A_TRANSACTION) {
            let writes: Vec<_> = some.iter().map(|replacement| self.replace(replacement)).collect();
            let mut contention = Contention::within(self.budget);
            loop {
                let refused = match self.transact(writes.clone()).await? {
                    Ok(()) => break,
                    Err(reasons) if failed_conditions(&reasons).next().is_some() => return Ok(false),
                    Err(reasons) => refusal_of_transaction(&reasons),
                };
                let StoreError::Busy(cause) = refused else { return Err(refused) };
                contention.wait(cause).await?;
            }
        }
        Ok(true)
    }

    fn replace(&self, Replacement { was, is }: &Replacement) -> TransactWriteItem {
        let (condition, names, values) = unchanged(was.as_ref());
        let complete = "every write has its table, key and condition";
        let write = TransactWriteItem::builder();
        match is {
            Ok(item) => {
                let put = Put::builder().table_name(&*self.table).set_item(Some(item.clone()));
                let put = put.condition_expression(condition).set_expression_attribute_names(Some(names));
                write.put(put.set_expression_attribute_values(values).build().expect(complete)).build()
            }
            Err(Gone(key)) => {
                let delete = Delete::builder().table_name(&*self.table).set_key(Some(primary(key)));
                let delete = delete.condition_expression(condition);
                let delete = delete.set_expression_attribute_names(Some(names));
                write.delete(delete.set_expression_attribute_values(values).build().expect(complete)).build()
            }
        }
    }

    /// Reads until the table is no longer busy. `None` is its own word that it cannot read what it stores.
    async fn insist<T, F>(&self, read: impl Fn() -> F) -> Result<Option<T>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut contention = Contention::within(self.budget);
        loop {
            match read().await {
                Ok(read) => return Ok(Some(read)),
                // The client has asked twice by itself.
                Err(StoreError::Busy(cause)) if cause.starts_with(DAMAGED) => return Ok(None),
                Err(StoreError::Busy(cause)) => contention.wait(cause).await?,
                Err(error) => return Err(error),
            }
        }
    }
}

type Condition = (String, HashMap<String, String>, Option<Item>);

/// That every attribute is what it was, and that none has come.
fn unchanged(was: Option<&Item>) -> Condition {
    let Some(was) = was else {
        let names = HashMap::from([("#key".to_owned(), schema::PK.to_owned())]);
        return ("attribute_not_exists(#key)".to_owned(), names, None);
    };
    let (mut parts, mut names, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (name, value)) in was.iter().enumerate() {
        parts.push(format!("#a{number} = :a{number}"));
        names.push((format!("#a{number}"), name.clone()));
        values.push((format!(":a{number}"), value.clone()));
    }
    for name in ARRIVING.into_iter().filter(|name| !was.contains_key(*name)) {
        parts.push(format!("attribute_not_exists(#{name})"));
        names.push((format!("#{name}"), name.to_owned()));
    }
    (parts.join(" AND "), names.into_iter().collect(), Some(values.into_iter().collect()))
}
