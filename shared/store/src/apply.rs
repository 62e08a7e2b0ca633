//! Read the account, decide, write account and entry in one conditional transaction; on a conflict, again.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use domain::account::Account;
use domain::cause::Cause;
use domain::change::{Change, Fence};
use domain::decide::{Command, Refusal, decide};
use domain::entry::Entry;
use domain::ids::UserId;
use domain::mutants::Mutant;
use domain::payment::PaymentRow;
use domain::privacy::Claimant;
use domain::time::Time;
use tokio::time::Instant;

use crate::grants::failed_conditions;
use crate::items::{self, Item};
use crate::words::Words;
use crate::{Catalogs, Read, Store, StoreError, schema};

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It was done now.
    Done(Entry),
    /// Its cause was in the books already: this entry is the answer. Unless the cause is a client's key,
    /// another request or even another user may have come first.
    Before(Entry),
    /// It changed nothing.
    Refused(Refusal),
    /// The same key was used for another request.
    KeyReused,
}

/// What one round came to.
#[expect(clippy::large_enum_variant, reason = "it lives for one round and is never stored")]
enum Round {
    Settled(Result<Applied, Barred>),
    /// Decide again, on this account if the table showed it.
    Again(Option<Account>),
    /// What waited for the caller's email is theirs now; this is the account, if it was seen since.
    Claimed(Option<Account>),
}

/// What belongs beside account and entry: it is written with them, or none of it is.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub writes: Vec<TransactWriteItem>,
    /// Left out for a user who was erased.
    pub words: Words,
}

/// The condition of a write beside account and entry that did not hold: the so-manieth of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Barred(pub usize);

/// How one attempt to write ended.
#[expect(clippy::large_enum_variant, reason = "it lives for one round and is never stored")]
pub(crate) enum Attempt {
    Written,
    /// The cause has an entry; it answers, whatever else failed. Here it is, where the table showed it.
    Exists(Option<Entry>),
    /// Somebody else wrote the account first; this is what it is now, where the table said so.
    Moved(Option<Account>),
    /// Account and entry could be written, but not what belongs beside them.
    Barred(Barred),
}

impl Store {
    /// Brings one command into the books exactly once, or says why not.
    pub async fn apply(
        &self,
        user: &UserId,
        command: &Command,
        catalogs: &Catalogs,
        now: Time,
    ) -> Result<Applied, StoreError> {
        self.apply_with(user, command, Words::default(), catalogs, now).await
    }

    /// The same, with writes that belong beside account and entry: all of them are made, or none.
    pub(crate) async fn apply_beside(
        &self,
        user: &UserId,
        command: &Command,
        beside: &Beside,
        catalogs: &Catalogs,
        now: Time,
    ) -> Result<Result<Applied, Barred>, StoreError> {
        let mut contention = Contention::within(self.budget);
        let mut known: Option<Account> = None;
        let mut claimant = self.claimant.as_deref();
        loop {
            let round = self.round(user, command, beside, claimant, catalogs, now, known.take());
            // Cut off, a round's outcome is unknown; the cause makes the same command safe to send again.
            let Ok(round) = tokio::time::timeout_at(contention.deadline, round).await else {
                return Err(StoreError::Busy("no answer in time".to_owned()));
            };
            match round {
                Ok(Round::Settled(applied)) => return Ok(applied),
                Ok(Round::Claimed(account)) => (claimant, known) = (None, account),
                Ok(Round::Again(moved)) => {
                    known = moved;
                    contention.wait("others keep writing this account").await?;
                }
                Err(StoreError::Busy(cause)) => contention.wait(&cause).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// One round of reading, deciding and writing; or, before the first, of claiming what waits for the caller.
    #[expect(clippy::too_many_arguments, reason = "a loop's body, apart so that it can be timed")]
    async fn round(
        &self,
        user: &UserId,
        command: &Command,
        beside: &Beside,
        claimant: Option<&Claimant>,
        catalogs: &Catalogs,
        now: Time,
        known: Option<Account>,
    ) -> Result<Round, StoreError> {
        let account = match known {
            Some(account) => account,
            None => self.account(user, Read::Consistent).await?,
        };
        match claimant {
            Some(claimant) if account.claimed != claimant.mark() && account.closed.is_none() => {
                // Claiming applies grants, as this does; a future cannot hold another of its own kind.
                Ok(Round::Claimed(Box::pin(self.claim(account, claimant, catalogs, now)).await?))
            }
            _ => self.attempt(account, command, beside, catalogs, now).await,
        }
    }

    async fn attempt(
        &self,
        account: Account,
        command: &Command,
        beside: &Beside,
        catalogs: &Catalogs,
        now: Time,
    ) -> Result<Round, StoreError> {
        let shelf = catalogs.shelf(&account, command, now).await?;
        let change = match decide(&account, command, &shelf, now) {
            Ok(change) => change,
            // The first attempt may have been what made a second impossible: its entry, if any, is the answer.
            Err(refusal) if Mutant::RefusalBeforeCause.lives() => {
                return Ok(Round::Settled(Ok(Applied::Refused(refusal))));
            }
            Err(refusal) => {
                let before = self.entry(&command.cause).await?;
                let applied =
                    before.map_or(Applied::Refused(refusal), |entry| before_or_reused(entry, command));
                return Ok(Round::Settled(Ok(applied)));
            }
        };
        let settled = |entry| Round::Settled(Ok(before_or_reused(entry, command)));
        Ok(match self.commit_beside(&change, &self.beside(&change, beside, now)).await? {
            Attempt::Written => Round::Settled(Ok(Applied::Done(change.entry.entry))),
            Attempt::Exists(Some(entry)) => settled(entry),
            Attempt::Exists(None) => self.entry(&command.cause).await?.map_or(Round::Again(None), settled),
            Attempt::Moved(account) => Round::Again(account),
            Attempt::Barred(barred) => match self.entry(&command.cause).await? {
                Some(entry) => settled(entry),
                None => Round::Settled(Err(barred)),
            },
        })
    }

    fn beside(&self, change: &Change, beside: &Beside, now: Time) -> Vec<TransactWriteItem> {
        let mut writes = beside.writes.clone();
        // The fence holds this account: whoever was erased stays so.
        if !beside.words.is_empty() && change.account.closed.is_none() {
            let (user, cause) = (&change.account.user, &change.entry.entry.cause);
            writes.push(self.put_always(items::grants::from_note(user, cause, &beside.words, now)));
        }
        writes
    }

    pub(crate) async fn commit(&self, change: &Change) -> Result<Attempt, StoreError> {
        self.commit_beside(change, &[]).await
    }

    async fn commit_beside(
        &self,
        change: &Change,
        beside: &[TransactWriteItem],
    ) -> Result<Attempt, StoreError> {
        let user = &change.account.user;
        let entry =
            self.put(items::from_entry(&change.entry)).condition_expression("attribute_not_exists(PK)");
        let account = self.fenced(self.put(items::from_account(&change.account)), change.fence);
        let writes = [entry, account].into_iter().map(|put| {
            let put = put.build().expect("every put has its table and item");
            TransactWriteItem::builder().put(put).build()
        });
        let rows = change.payments.iter().map(|row| match change.account.closed {
            None => self.set(items::from_payment(user, row)),
            // Who paid was erased; that it was paid is not.
            Some(_) => self.set(items::from_payment(user, &PaymentRow { customer: None, ..row.clone() })),
        });
        let writes = writes.chain(rows).chain(beside.iter().cloned());
        let own = 2 + change.payments.len();
        match self.transact(writes.collect()).await? {
            Ok(()) => Ok(Attempt::Written),
            Err(reasons) => cancelled(user, &reasons, own),
        }
    }

    /// Writes all or nothing. The inner error says why it was nothing.
    pub(crate) async fn transact(
        &self,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Result<(), Vec<CancellationReason>>, StoreError> {
        let transaction = self
            .db
            .transact_write_items()
            .set_transact_items(Some(writes))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let error = match transaction.send().await {
            Ok(answer) => {
                self.meter.transacted(answer.consumed_capacity());
                return Ok(Ok(()));
            }
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                Ok(Err(canceled.cancellation_reasons().to_vec()))
            }
            _ => Err(StoreError::of(error)),
        }
    }

    /// A write that replaces whatever is there.
    pub(crate) fn put_always(&self, item: Item) -> TransactWriteItem {
        let put = self.put(item).build().expect("every put has its table and item");
        TransactWriteItem::builder().put(put).build()
    }

    /// A write that holds only if nothing is there.
    pub(crate) fn put_once(&self, item: Item) -> TransactWriteItem {
        let put = self.put(item).condition_expression("attribute_not_exists(PK)").build();
        TransactWriteItem::builder().put(put.expect("every put has its table and item")).build()
    }

    /// A write of these attributes of an item, whatever else it has.
    fn set(&self, mut item: Item) -> TransactWriteItem {
        let key = [schema::PK, schema::SK].into_iter().filter_map(|name| item.remove_entry(name)).collect();
        let (expression, names, values) = setting(item);
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(key))
            .update_expression(expression)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values));
        let update = update.build().expect("the update has its table, key and expression");
        TransactWriteItem::builder().update(update).build()
    }

    fn put(&self, item: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// The write holds only if the account is still the one that was decided upon.
    fn fenced(
        &self,
        put: aws_sdk_dynamodb::types::builders::PutBuilder,
        fence: Fence,
    ) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        let (condition, values) = unmoved(fence);
        put.condition_expression(condition).set_expression_attribute_values(values)
    }
}

/// That the account is still the one that was decided upon, as a condition and its values.
pub(crate) fn unmoved(fence: Fence) -> (&'static str, Option<Item>) {
    if Mutant::NoVersionFence.lives() {
        return ("attribute_exists(PK) OR attribute_not_exists(PK)", None);
    }
    if fence == (Fence { seq: 0, obs: 0 }) {
        return ("attribute_not_exists(PK)", None);
    }
    let number = |number: u64| AttributeValue::N(number.to_string());
    let values = [(":seq".to_owned(), number(fence.seq)), (":obs".to_owned(), number(fence.obs))];
    ("seq = :seq AND obs = :obs", Some(values.into()))
}

/// An update expression that sets every attribute, with its names and values.
pub(crate) fn setting(item: Item) -> (String, HashMap<String, String>, Item) {
    let parts: Vec<String> = item.keys().map(|name| format!("#{name} = :{name}")).collect();
    let names = item.keys().map(|name| (format!("#{name}"), name.clone())).collect();
    let values = item.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect();
    (format!("SET {}", parts.join(", ")), names, values)
}

/// Only a client's key can be used for another request; a fact is the same whoever tells it.
fn before_or_reused(entry: Entry, command: &Command) -> Applied {
    let is_by_key = matches!(command.cause, Cause::Request { .. });
    if is_by_key && entry.request != command.request { Applied::KeyReused } else { Applied::Before(entry) }
}

/// Reads why a transaction was cancelled. The entry's reason comes first, as it does in the transaction; what stands
/// beside comes after the transaction's `own` writes.
fn cancelled(user: &UserId, reasons: &[CancellationReason], own: usize) -> Result<Attempt, StoreError> {
    let failed = |index: usize| {
        reasons
            .get(index)
            .filter(|reason| reason.code() == Some("ConditionalCheckFailed"))
            .map(|reason| reason.item())
    };
    if let Some(existing) = failed(0) {
        return Ok(Attempt::Exists(existing.cloned().map(items::to_entry).transpose()?));
    }
    if let Some(moved) = failed(1) {
        let account = moved.cloned().map(|item| items::to_account(user.clone(), item)).transpose()?;
        return Ok(Attempt::Moved(account));
    }
    match failed_conditions(reasons).find(|index| *index >= own) {
        Some(index) => Ok(Attempt::Barred(Barred(index - own))),
        None => Err(refusal_of_transaction(reasons)),
    }
}

/// Of a transaction in which no condition failed.
pub(crate) fn refusal_of_transaction(reasons: &[CancellationReason]) -> StoreError {
    let codes: Vec<_> =
        reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != "None").collect();
    match codes.iter().all(|code| {
        matches!(*code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
    }) {
        true => StoreError::Busy(codes.join(", ")),
        false => StoreError::Refused(codes.join(", ")),
    }
}

/// Waits between rounds with full jitter, within a budget of wall time.
pub(crate) struct Contention {
    deadline: Instant,
    ceiling: Duration,
}

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

impl Contention {
    pub(crate) fn within(budget: Duration) -> Contention {
        Contention { deadline: Instant::now() + budget, ceiling: FIRST_WAIT }
    }

    pub(crate) async fn wait(&mut self, cause: impl std::fmt::Display) -> Result<(), StoreError> {
        let ceiling_ms = u64::try_from(self.ceiling.as_millis()).unwrap_or(u64::MAX);
        let pause = Duration::from_millis(fastrand::u64(0..=ceiling_ms));
        if Instant::now() + pause >= self.deadline {
            return Err(StoreError::Busy(cause.to_string()));
        }
        self.ceiling = (self.ceiling * 2).min(LONGEST_WAIT);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
