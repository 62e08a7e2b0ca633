//! Payments as people look for them: one user's, or everybody's by status and month. Newest first, page by page.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use domain::ids::{CustomerId, PaymentId, UserId};
use domain::payment::{PaymentRecord, PaymentStatus};
use domain::time::Time;
use futures_util::future::try_join_all;

use crate::items::{self, BadItem, Item};
use crate::{Read, Store, StoreError, schema};

/// Which of a user's payments are wanted. All of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    pub status: Option<PaymentStatus>,
    pub month: Option<Month>,
    pub customer: Option<CustomerId>,
}

/// One page, newest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PaymentPage {
    pub payments: Vec<PaymentRecord>,
    /// What to go on after, if there is more.
    pub next: Option<PaymentCursor>,
}

/// A place in a list of payments: `<millis>:<payment>`. The payment tells apart those of one millisecond.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PaymentCursor {
    at: Time,
    payment: PaymentId,
}

/// A calendar month of UTC, written `2026-11`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Month(String);

/// Where the index says that a payment is. By now it may have moved.
#[derive(Debug)]
struct Filed {
    status: PaymentStatus,
    user: UserId,
    place: PaymentCursor,
}

impl Store {
    /// A page of one user's payments. Reads them all, as their keys are in the order of Stripe's ids: a user has tens
    /// of them, and one read takes thousands.
    pub async fn payments(
        &self,
        user: &UserId,
        filter: &PaymentFilter,
        after: Option<&PaymentCursor>,
        limit: u16,
    ) -> Result<PaymentPage, StoreError> {
        let mut payments = self.payments_of(user).await?;
        payments.retain(|record| filter.admits(record) && is_after(&PaymentCursor::of(record), after));
        payments.sort_by_cached_key(|record| std::cmp::Reverse(PaymentCursor::of(record)));
        let next = cut(&mut payments, limit, PaymentCursor::of);
        Ok(PaymentPage { payments, next })
    }

    /// A page of everybody's payments of one month, of one status or of all. A payment that is just being paid or
    /// refunded may be missing for a moment, so a page may be short, or even empty, and still not be the last.
    pub async fn payments_with(
        &self,
        status: Option<PaymentStatus>,
        month: &Month,
        after: Option<&PaymentCursor>,
        limit: u16,
    ) -> Result<PaymentPage, StoreError> {
        let statuses = PaymentStatus::ALL.into_iter().filter(|each| status.is_none_or(|only| only == *each));
        let shards = statuses.flat_map(|status| (0..schema::SHARDS).map(move |shard| (status, shard)));
        let lists = shards.map(|(status, shard)| self.filed(status, month, shard, after, limit));
        let mut filed = try_join_all(lists).await?.into_iter().flatten().collect::<Vec<_>>();
        filed.sort_by(|one, other| other.place.cmp(&one.place));
        let next = cut(&mut filed, limit, |filed| filed.place.clone());
        let keys: Vec<_> = filed.iter().map(|one| (one.user.clone(), one.place.payment.clone())).collect();
        let mut payments = self.records(&keys).await?;
        payments.retain(|record| filed.iter().any(|one| one.is_of(record)));
        payments.sort_by_cached_key(|record| std::cmp::Reverse(PaymentCursor::of(record)));
        Ok(PaymentPage { payments, next })
    }

    /// Those of these payments that are there, each once and in no order.
    pub async fn records(&self, wanted: &[(UserId, PaymentId)]) -> Result<Vec<PaymentRecord>, StoreError> {
        let wanted: BTreeSet<_> = wanted.iter().collect();
        let keys = wanted.into_iter().map(|(user, payment)| schema::payment(user, payment)).collect();
        to_records(self.get_many(keys, Read::Eventual, None).await?)
    }

    async fn payments_of(&self, user: &UserId) -> Result<Vec<PaymentRecord>, StoreError> {
        to_records(self.under(schema::partition_of(user), schema::PAYMENTS, Read::Eventual).await?)
    }

    /// What one shard of the index has after a place, newest first: more than `limit`, or all there is. The index
    /// sorts by time alone, so those of one millisecond count only once all of them were read.
    async fn filed(
        &self,
        status: PaymentStatus,
        month: &Month,
        shard: u32,
        after: Option<&PaymentCursor>,
        limit: u16,
    ) -> Result<Vec<Filed>, StoreError> {
        let until = after.map_or_else(|| schema::JOURNAL_END.to_owned(), |after| schema::instant(after.at));
        let partition = schema::payments_filed(status, month.as_str(), shard);
        let (mut found, mut start) = (Vec::new(), None);
        loop {
            let query = self
                .db
                .query()
                .table_name(&*self.table)
                .index_name(schema::GSI2)
                .key_condition_expression("GSI2PK = :partition AND GSI2SK <= :until")
                .expression_attribute_values(":partition", AttributeValue::S(partition.clone()))
                .expression_attribute_values(":until", AttributeValue::S(until.clone()))
                .scan_index_forward(false)
                // One is the place itself, one tells that there is more, and one that a millisecond is over.
                .limit(i32::from(limit) + 3)
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = query.send().await.map_err(StoreError::of)?;
            self.meter.read(answer.consumed_capacity());
            for key in answer.items() {
                found.push(Filed::read(status, key)?);
            }
            start = answer.last_evaluated_key;
            let unfinished = start.as_ref().and(found.last()).map(|last| last.place.at);
            let usable = |filed: &Filed| unfinished != Some(filed.place.at) && is_after(&filed.place, after);
            if start.is_none() || found.iter().filter(|filed| usable(filed)).count() > usize::from(limit) {
                found.retain(usable);
                return Ok(found);
            }
        }
    }
}

fn to_records(items: Vec<Item>) -> Result<Vec<PaymentRecord>, StoreError> {
    let mut records = Vec::with_capacity(items.len());
    for item in items {
        let (user, payment) = payment_of(&item)?;
        // Where only its references are known so far, there is nothing to show yet.
        records.extend(items::to_record(user, payment, item)?);
    }
    Ok(records)
}

fn payment_of(item: &HashMap<String, AttributeValue>) -> Result<(UserId, PaymentId), BadItem> {
    schema::payment_of(item).ok_or_else(|| BadItem("an item under a payment's key names none".to_owned()))
}

/// Lists run from the newest on, so what comes after is older.
fn is_after(place: &PaymentCursor, after: Option<&PaymentCursor>) -> bool {
    after.is_none_or(|after| place < after)
}

/// Cuts a list to one page, and says what to go on after if that left anything out.
fn cut<T>(list: &mut Vec<T>, limit: u16, place: impl Fn(&T) -> PaymentCursor) -> Option<PaymentCursor> {
    let goes_on = list.len() > usize::from(limit);
    list.truncate(usize::from(limit));
    list.last().filter(|_| goes_on).map(place)
}

impl PaymentFilter {
    pub fn admits(&self, record: &PaymentRecord) -> bool {
        self.status.is_none_or(|status| status == record.status)
            && self.month.as_ref().is_none_or(|month| *month == Month::of(record.at))
            && self.customer.as_ref().is_none_or(|customer| record.customer.as_ref() == Some(customer))
    }
}

impl Filed {
    fn read(status: PaymentStatus, key: &Item) -> Result<Filed, BadItem> {
        let (user, payment) = payment_of(key)?;
        let at = schema::instant_of(key);
        let at = at.ok_or_else(|| BadItem(format!("{payment} is filed under no time")))?;
        Ok(Filed { status, user, place: PaymentCursor { at, payment } })
    }

    /// Whether the payment still is where the index said.
    fn is_of(&self, record: &PaymentRecord) -> bool {
        self.status == record.status && self.user == record.user && self.place == PaymentCursor::of(record)
    }
}

impl PaymentCursor {
    fn of(record: &PaymentRecord) -> PaymentCursor {
        PaymentCursor { at: record.at, payment: record.payment.clone() }
    }
}

impl std::fmt::Display for PaymentCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.at.millis(), self.payment)
    }
}

/// A text that is no place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is what `next` of the page before said, as it was")]
pub struct BadCursor;

impl std::str::FromStr for PaymentCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<PaymentCursor, BadCursor> {
        let (at, payment) = text.split_once(':').ok_or(BadCursor)?;
        let at = at.parse().map(Time::from_millis).map_err(|_| BadCursor)?;
        Ok(PaymentCursor { at, payment: payment.parse().map_err(|_| BadCursor)? })
    }
}

impl Month {
    pub fn of(at: Time) -> Month {
        Month(at.month())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a month is written as 2026-11")]
pub struct BadMonth;

impl std::str::FromStr for Month {
    type Err = BadMonth;

    fn from_str(text: &str) -> Result<Month, BadMonth> {
        let first_day = Time::parse_rfc3339(&format!("{text}-01T00:00:00Z")).ok_or(BadMonth)?;
        // Only a month that is written as it is stored finds anything.
        Some(Month::of(first_day)).filter(|month| month.as_str() == text).ok_or(BadMonth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_written_one_way() {
        assert_eq!("2026-11".parse().as_ref().map(Month::as_str), Ok("2026-11"));
        for wrong in ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "202611", "2026-11-01", " 2026-11"]
        {
            assert_eq!(wrong.parse::<Month>(), Err(BadMonth), "{wrong:?}");
        }
    }

    #[test]
    fn a_cursor_reads_as_it_is_written() {
        let text = "1790000000000:pi_1";
        assert_eq!(text.parse::<PaymentCursor>().map(|cursor| cursor.to_string()).as_deref(), Ok(text));
        for wrong in ["", "1790000000000", "pi_1:1790000000000", "1790000000000:ch_1", "1e3:pi_1"] {
            assert_eq!(wrong.parse::<PaymentCursor>(), Err(BadCursor), "{wrong:?}");
        }
    }
}
