//! What is kept of one user beside the journal: to be shown to them, and to be erased.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use domain::account::Account;
use domain::ids::{CustomerId, PaymentId, UserId};
use domain::payment::{PaymentRecord, References};
use domain::privacy::KeyedHash;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::grants::Gift;
use crate::items::{self, Item};
use crate::schema::{self, Key};
use crate::words::Note;
use crate::{Read, Store, StoreError};

/// All of it, but for what the account itself says.
#[derive(Debug, Default)]
pub struct Traces {
    pub payments: Vec<PaymentRecord>,
    /// Of payments of which nothing else is known.
    pub references: Vec<(PaymentId, References)>,
    pub notes: Vec<Note>,
    /// Emails that the user has proved to be theirs, with what waits under them.
    pub emails: Vec<(KeyedHash, Vec<Gift>)>,
    pub customers: BTreeSet<CustomerId>,
}

/// How much was erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    pub notes: usize,
    pub emails: usize,
    pub customers: usize,
    pub payments: usize,
}

/// A user's items.
#[derive(Default)]
struct Kept {
    account: Option<Account>,
    payments: Vec<(PaymentId, Item)>,
    notes: Vec<Item>,
    emails: Vec<KeyedHash>,
    /// Linked, and named by the account or a payment.
    customers: BTreeSet<CustomerId>,
}

/// What a payment's item says of its buyer. The rest says how much was paid, for what, and what became of it.
const OF_THE_BUYER: [&str; 5] = ["charge", "checkout", "customer", "failure", "receipt_url"];
const AT_ONCE: usize = 16;

impl Store {
    /// `None` where nothing at all is kept, not even an account.
    pub async fn traces(&self, user: &UserId) -> Result<Option<Traces>, StoreError> {
        let Some(kept) = self.kept(user).await? else { return Ok(None) };
        let mut traces = Traces { customers: kept.customers, ..Traces::default() };
        for (payment, item) in kept.payments {
            match items::to_record(user.clone(), payment.clone(), item.clone())? {
                Some(record) => traces.payments.push(record),
                None => traces.references.push((payment, items::to_references(item)?)),
            }
        }
        let notes = kept.notes.into_iter().map(items::grants::to_note);
        traces.notes = notes.collect::<Result<_, _>>()?;
        for hash in kept.emails {
            let waiting =
                if self.is_theirs(&hash, user).await? { self.waiting(&hash).await? } else { vec![] };
            traces.emails.push((hash, waiting));
        }
        Ok(Some(traces))
    }

    /// Erases what says who the user of a closed account is. Nothing of it is written any more, so this may be cut off
    /// anywhere and done again. What leads to something else goes after it.
    pub async fn erase(&self, user: &UserId) -> Result<Erased, StoreError> {
        let kept = self.kept(user).await?.unwrap_or_default();
        if kept.account.is_none_or(|account| account.closed.is_none()) {
            return Err(StoreError::Refused("only who was closed can be erased".to_owned()));
        }
        let of_buyers = |(_, item): &(PaymentId, Item)| {
            !item.contains_key("paid") || OF_THE_BUYER.iter().any(|name| item.contains_key(*name))
        };
        let payments: Vec<_> = kept.payments.into_iter().filter(of_buyers).collect();
        let erased = Erased {
            notes: kept.notes.len(),
            emails: kept.emails.len(),
            customers: kept.customers.len(),
            payments: payments.len(),
        };
        all(kept.emails.into_iter().map(|hash| self.erase_email(hash, user))).await?;
        all(kept.customers.into_iter().map(|customer| self.erase_customer(customer, user))).await?;
        all(payments.into_iter().map(|(payment, _)| self.erase_buyer(payment, user))).await?;
        let notes: Vec<Key> = kept.notes.iter().filter_map(key_of).collect();
        all(notes.into_iter().map(|note| self.delete(note))).await?;
        Ok(erased)
    }

    async fn erase_email(&self, hash: KeyedHash, user: &UserId) -> Result<(), StoreError> {
        // If this was cut off once, the email may be somebody else's by now.
        if self.is_theirs(&hash, user).await? {
            // While the pointer stands, nothing more is left to wait under it.
            let waiting = self.waiting(&hash).await?;
            all(waiting.into_iter().map(|gift| self.delete(schema::waiting(&hash, &gift.cause)))).await?;
            self.delete_pointer(schema::email(&hash), user).await?;
        }
        self.delete(schema::email_link(user, &hash)).await
    }

    async fn erase_customer(&self, customer: CustomerId, user: &UserId) -> Result<(), StoreError> {
        self.delete_pointer(schema::customer(&customer), user).await?;
        self.delete(schema::customer_link(user, &customer)).await
    }

    /// A payment that is in the books stays there, without its buyer; one that is not goes.
    async fn erase_buyer(&self, payment: PaymentId, user: &UserId) -> Result<(), StoreError> {
        let Key { pk, sk } = schema::payment(user, &payment);
        let (pk, sk) = (AttributeValue::S(pk), AttributeValue::S(sk));
        let delete = self
            .db
            .delete_item()
            .table_name(&*self.table)
            .key(schema::PK, pk.clone())
            .key(schema::SK, sk.clone())
            .condition_expression("attribute_not_exists(paid)")
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if let Some(answer) = held(delete.send().await)? {
            self.meter.wrote(answer.consumed_capacity());
            return Ok(());
        }
        let update = self
            .db
            .update_item()
            .table_name(&*self.table)
            .key(schema::PK, pk)
            .key(schema::SK, sk)
            .update_expression(format!("REMOVE {}", OF_THE_BUYER.join(", ")))
            .condition_expression("attribute_exists(paid)")
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = update.send().await.map_err(StoreError::of)?;
        self.meter.wrote(answer.consumed_capacity());
        Ok(())
    }

    /// Takes a pointer away, if it still leads to this user.
    async fn delete_pointer(&self, Key { pk, sk }: Key, user: &UserId) -> Result<(), StoreError> {
        let delete = self
            .db
            .delete_item()
            .table_name(&*self.table)
            .key(schema::PK, AttributeValue::S(pk))
            .key(schema::SK, AttributeValue::S(sk))
            .condition_expression("#user = :user")
            .expression_attribute_names("#user", "user")
            .expression_attribute_values(":user", AttributeValue::S(user.to_string()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if let Some(answer) = held(delete.send().await)? {
            self.meter.wrote(answer.consumed_capacity());
        }
        Ok(())
    }

    async fn is_theirs(&self, hash: &KeyedHash, user: &UserId) -> Result<bool, StoreError> {
        let pointer = self.get(schema::email(hash), Read::Consistent).await?;
        let owner = pointer.map(items::grants::to_email_owner).transpose()?;
        Ok(owner.as_ref() == Some(user))
    }

    async fn kept(&self, user: &UserId) -> Result<Option<Kept>, StoreError> {
        let items = self.under(schema::partition_of(user), "", Read::Consistent).await?;
        if items.is_empty() {
            return Ok(None);
        }
        let mut kept = Kept::default();
        for item in items {
            kept.add(user, item)?;
        }
        Ok(Some(kept))
    }
}

impl Kept {
    fn add(&mut self, user: &UserId, item: Item) -> Result<(), StoreError> {
        let Some(Key { pk, sk }) = key_of(&item) else { return Ok(()) };
        if let Some((_, payment)) = schema::payment_of(&item) {
            let record = items::to_record(user.clone(), payment.clone(), item.clone())?;
            self.customers.extend(record.and_then(|record| record.customer));
            self.payments.push((payment, item));
        } else if sk.starts_with(schema::NOTES) {
            self.notes.push(item);
        } else if let Some(hash) = sk.strip_prefix(schema::EMAILS) {
            self.emails.extend(hash.parse::<KeyedHash>());
        } else if let Some(customer) = sk.strip_prefix(schema::CUSTOMERS) {
            self.customers.extend(CustomerId::parse(customer));
        } else if (Key { pk, sk }) == schema::account(user) {
            let account = items::to_account(user.clone(), item)?;
            self.customers.extend(account.customer.clone());
            self.account = Some(account);
        }
        Ok(())
    }
}

fn key_of(item: &Item) -> Option<Key> {
    let part = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(Key { pk: part(schema::PK)?, sk: part(schema::SK)? })
}

/// Some at a time, until all are done or one fails.
async fn all(
    deletions: impl Iterator<Item = impl Future<Output = Result<(), StoreError>>>,
) -> Result<(), StoreError> {
    stream::iter(deletions).buffer_unordered(AT_ONCE).try_collect().await
}

/// What a conditional write answered; `None` where its condition did not hold.
fn held<T, E>(answer: Result<T, SdkError<E>>) -> Result<Option<T>, StoreError>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
        Err(error) => Err(StoreError::of(error)),
    }
}
