//! A user's journal, page by page.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use domain::entry::Entry;
use domain::ids::UserId;
use domain::time::Time;

use crate::{Store, StoreError, items, schema};

/// Which entries are wanted. All of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Older than this seq.
    pub below: Option<u64>,
    pub kind: Option<String>,
    /// Written at this moment or later.
    pub from: Option<Time>,
    /// Written before this moment.
    pub to: Option<Time>,
}

/// One page, newest first.
#[derive(Debug)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// The seq to go on below, if there is more.
    pub next: Option<u64>,
}

/// To find what fits a filter, so many entries are read at once, and so many times at most for one page.
const READ_TO_FILTER: u16 = 250;
const READS_PER_PAGE: u32 = 8;

impl Store {
    /// Up to `limit` entries that are wanted. A filter reads what it leaves out too, so a page may be short,
    /// or even empty, and still not be the last.
    pub async fn journal(&self, user: &UserId, wanted: &Wanted, limit: u16) -> Result<Page, StoreError> {
        let most = usize::from(limit);
        let mut page = Page { entries: Vec::new(), next: wanted.below };
        for _ in 0..READS_PER_PAGE {
            let read = self.read_journal(user, wanted, page.next, limit).await?;
            page.entries.extend(read.entries);
            page.next = read.next;
            if page.entries.len() > most {
                page.entries.truncate(most);
                page.next = page.entries.last().map(|entry| entry.seq);
            }
            if page.next.is_none() || page.entries.len() == most {
                break;
            }
        }
        Ok(page)
    }

    async fn read_journal(
        &self,
        user: &UserId,
        wanted: &Wanted,
        below: Option<u64>,
        limit: u16,
    ) -> Result<Page, StoreError> {
        let below = below.map_or_else(|| schema::JOURNAL_END.to_owned(), schema::journal_position);
        let conditions = wanted.conditions();
        let limit = if conditions.is_empty() { limit } else { READ_TO_FILTER };
        let mut query = self
            .db
            .query()
            .table_name(&*self.table)
            .index_name(schema::GSI1)
            .key_condition_expression("GSI1PK = :user AND GSI1SK < :below")
            .expression_attribute_values(":user", AttributeValue::S(schema::partition_of(user)))
            .expression_attribute_values(":below", AttributeValue::S(below))
            .scan_index_forward(false)
            .limit(i32::from(limit))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        for Condition { name, placeholder, value, .. } in &conditions {
            query = query.expression_attribute_names(format!("#{name}"), *name);
            query = query.expression_attribute_values(format!(":{placeholder}"), value.clone());
        }
        if !conditions.is_empty() {
            let parts: Vec<String> = conditions.iter().map(Condition::to_string).collect();
            query = query.filter_expression(parts.join(" AND "));
        }
        let answer = query.send().await.map_err(StoreError::of)?;
        self.meter.read(answer.consumed_capacity());
        let last = answer.last_evaluated_key.as_ref().and_then(schema::seq_of);
        let entries = answer.items.unwrap_or_default().into_iter().map(items::to_entry);
        Ok(Page { entries: entries.collect::<Result<_, _>>()?, next: last.filter(|seq| *seq > 1) })
    }
}

/// One comparison of a readable attribute.
struct Condition {
    name: &'static str,
    operator: &'static str,
    placeholder: &'static str,
    value: AttributeValue,
}

impl Wanted {
    fn conditions(&self) -> Vec<Condition> {
        let number = |at: Time| AttributeValue::N(at.millis().to_string());
        let condition = |name, operator, placeholder, value| Condition { name, operator, placeholder, value };
        let kind = self.kind.clone().map(|kind| condition("kind", "=", "kind", AttributeValue::S(kind)));
        let from = self.from.map(|from| condition("at", ">=", "from", number(from)));
        let to = self.to.map(|to| condition("at", "<", "to", number(to)));
        [kind, from, to].into_iter().flatten().collect()
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{} {} :{}", self.name, self.operator, self.placeholder)
    }
}
