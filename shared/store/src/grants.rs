//! Giving tokens: to a user at once, or to an email, where they wait for whoever proves that it is theirs.

use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, TransactWriteItem, Update,
};
use domain::cause::Cause;
use domain::decide::{Act, Command, Grant, Refusal};
use domain::entry::Entry;
use domain::ids::UserId;
use domain::money::Tokens;
use domain::privacy::{Email, KeyedHash};
use domain::request::RequestHash;
use domain::time::Time;

use crate::apply::{Barred, Beside, Contention, refusal_of_transaction};
use crate::items::grants as items;
use crate::schema::{self, Key};
use crate::words::Words;
use crate::{Applied, Catalogs, Read, Store, StoreError};

/// Tokens that an operator gives, and the fact that makes them given once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gift {
    pub cause: Cause,
    /// Tells two requests under one key apart.
    pub request: Option<RequestHash>,
    pub tokens: Tokens,
    pub expires_at: Option<Time>,
    pub operator: UserId,
    /// The words, which stand beside the books, and the hash of them that stands in the books.
    pub note: Option<(String, KeyedHash)>,
    pub at: Time,
}

/// An email as grants find it. Where only its hash is known, nothing else is written down.
#[derive(Debug, Clone, Copy)]
pub struct Addressee<'a> {
    /// Newest first; the first is what a grant waits under.
    pub hashes: &'a [KeyedHash],
    pub email: Option<&'a Email>,
}

#[derive(Debug, Clone, Copy)]
pub enum Recipient<'a> {
    User(&'a UserId),
    Email(Addressee<'a>),
}

/// What an operator may give in one day of UTC, in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyCap(pub Tokens);

/// What came of a gift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// It is in a user's books; this entry says so.
    To(Box<Entry>),
    /// It waits under the email.
    Waits,
    Refused(Refusal),
    KeyReused,
    /// The operator has only so much left today.
    OverCap {
        left: Tokens,
    },
}

impl Store {
    /// What was answered to a request for a grant, if there was one under this cause.
    pub async fn given(
        &self,
        cause: &Cause,
        request: Option<&RequestHash>,
    ) -> Result<Option<Given>, StoreError> {
        let same = |first: Option<&RequestHash>| first == request;
        if let Some(promise) = self.get(schema::promise(cause), Read::Consistent).await? {
            let first = items::to_promise(promise)?;
            return Ok(Some(if same(Some(&first)) { Given::Waits } else { Given::KeyReused }));
        }
        let entry = self.entry(cause).await?;
        Ok(entry.map(|entry| match same(entry.request.as_ref()) {
            true => Given::To(Box::new(entry)),
            false => Given::KeyReused,
        }))
    }

    /// Gives once. What counts against a cap is counted with it, or not at all.
    pub async fn give(
        &self,
        gift: &Gift,
        to: Recipient<'_>,
        cap: Option<DailyCap>,
        catalogs: &Catalogs,
        now: Time,
    ) -> Result<Given, StoreError> {
        let mut contention = Contention::within(self.budget);
        loop {
            let outcome = match to {
                Recipient::User(user) => self.give_user(gift, user, None, cap, catalogs, now).await,
                Recipient::Email(email) => match self.owner(email.hashes).await? {
                    Some(user) => self.give_user(gift, &user, email.email, cap, catalogs, now).await,
                    None => self.leave(gift, email, cap, now).await,
                },
            };
            match outcome {
                Ok(Some(given)) => return Ok(given),
                Ok(None) => contention.wait("others give or claim the same").await?,
                Err(StoreError::Busy(cause)) => contention.wait(cause).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Whose email this is, if somebody has proved it.
    async fn owner(&self, hashes: &[KeyedHash]) -> Result<Option<UserId>, StoreError> {
        for hash in hashes {
            if let Some(item) = self.get(schema::email(hash), Read::Consistent).await? {
                return Ok(Some(items::to_email_owner(item)?));
            }
        }
        Ok(None)
    }

    /// `None` means: look again.
    async fn give_user(
        &self,
        gift: &Gift,
        user: &UserId,
        email: Option<&Email>,
        cap: Option<DailyCap>,
        catalogs: &Catalogs,
        now: Time,
    ) -> Result<Option<Given>, StoreError> {
        let mut writes = Vec::new();
        if let Some(cap) = cap {
            let Some(count) = self.count(gift, cap, now) else {
                return self.over_cap(gift, cap, now).await;
            };
            // The key of a grant that was left under an email is used, too.
            writes.extend([self.absent(schema::promise(&gift.cause)), count]);
        }
        let beside = Beside { writes, words: gift.words(email) };
        let applied = self.apply_beside(user, &gift.command(), &beside, catalogs, now).await?;
        Ok(match (applied, cap) {
            (Ok(Applied::Done(entry) | Applied::Before(entry)), _) => Some(Given::To(Box::new(entry))),
            (Ok(Applied::Refused(refusal)), _) => Some(Given::Refused(refusal)),
            (Ok(Applied::KeyReused), _) => Some(Given::KeyReused),
            (Err(Barred(1)), Some(cap)) => return self.over_cap(gift, cap, now).await,
            (Err(Barred(_)), _) => self.given(&gift.cause, gift.request.as_ref()).await?,
        })
    }

    /// Leaves it under an email that nobody has proved to be theirs. `None` means: look again.
    async fn leave(
        &self,
        gift: &Gift,
        to: Addressee<'_>,
        cap: Option<DailyCap>,
        now: Time,
    ) -> Result<Option<Given>, StoreError> {
        let Some(hash) = to.hashes.first() else {
            return Err(StoreError::Refused("an email without a hash".to_owned()));
        };
        let mut writes = vec![
            // Without this, a claim that reads what waits at the same moment could miss it for ever.
            self.absent(schema::email(hash)),
            self.absent(schema::entry(&gift.cause)),
            self.put_always(items::from_waiting(hash, gift)),
        ];
        if let (Some(cap), Some(request)) = (cap, &gift.request) {
            let Some(count) = self.count(gift, cap, now) else {
                return self.over_cap(gift, cap, now).await;
            };
            writes.push(self.put_once(items::from_promise(&gift.cause, request, gift.at)));
            writes.push(count);
        }
        let Err(reasons) = self.transact(writes).await? else { return Ok(Some(Given::Waits)) };
        let failed: Vec<usize> = failed_conditions(&reasons).collect();
        match (failed.as_slice(), cap) {
            ([], _) => Err(refusal_of_transaction(&reasons)),
            // Only the cap stands in the way, so the answer is no.
            ([4], Some(cap)) => self.over_cap(gift, cap, now).await,
            _ => self.given(&gift.cause, gift.request.as_ref()).await,
        }
    }

    /// Refused, unless it was given before.
    async fn over_cap(&self, gift: &Gift, cap: DailyCap, now: Time) -> Result<Option<Given>, StoreError> {
        if let Some(given) = self.given(&gift.cause, gift.request.as_ref()).await? {
            return Ok(Some(given));
        }
        let left = self.left_today(&gift.operator, cap, now).await?;
        Ok(Some(Given::OverCap { left }))
    }

    pub(crate) async fn left_today(
        &self,
        operator: &UserId,
        cap: DailyCap,
        now: Time,
    ) -> Result<Tokens, StoreError> {
        let item = self.get(schema::operator_day(operator, now), Read::Consistent).await?;
        let day = item.map(|item| crate::items::read("operator's day", item)).transpose()?;
        let items::OperatorDayItem { granted } = day.unwrap_or_default();
        Ok(cap.0.saturating_sub(Tokens::new(granted).unwrap_or(Tokens::MAX)))
    }

    fn count(&self, gift: &Gift, cap: DailyCap, now: Time) -> Option<TransactWriteItem> {
        self.count_today(&gift.operator, gift.tokens, cap, now)
    }

    /// Counts tokens against an operator's day, if they fit. `None` means that they fit into no day.
    pub(crate) fn count_today(
        &self,
        operator: &UserId,
        tokens: Tokens,
        cap: DailyCap,
        now: Time,
    ) -> Option<TransactWriteItem> {
        let room = cap.0.get().checked_sub(tokens.get())?;
        let number = |number: u64| AttributeValue::N(number.to_string());
        let Key { pk, sk } = schema::operator_day(operator, now);
        let update = Update::builder()
            .table_name(&*self.table)
            .key(schema::PK, AttributeValue::S(pk))
            .key(schema::SK, AttributeValue::S(sk))
            .update_expression("ADD granted :tokens")
            .condition_expression("attribute_not_exists(granted) OR granted <= :room")
            .expression_attribute_values(":tokens", number(tokens.get()))
            .expression_attribute_values(":room", number(room))
            .build()
            .expect("the update has its table, key and expression");
        Some(TransactWriteItem::builder().update(update).build())
    }

    fn absent(&self, key: Key) -> TransactWriteItem {
        self.check(key, "attribute_not_exists(PK)")
    }

    pub(crate) fn check(&self, key: Key, condition: &str) -> TransactWriteItem {
        let check = ConditionCheck::builder()
            .table_name(&*self.table)
            .key(schema::PK, AttributeValue::S(key.pk))
            .key(schema::SK, AttributeValue::S(key.sk))
            .condition_expression(condition)
            .build()
            .expect("the check has its table, key and condition");
        TransactWriteItem::builder().condition_check(check).build()
    }
}

impl Gift {
    pub(crate) fn command(&self) -> Command {
        let grant = Grant {
            tokens: self.tokens,
            expires_at: self.expires_at,
            operator: Some(self.operator.clone()),
            note: self.note.as_ref().map(|(_, hash)| *hash),
        };
        Command { cause: self.cause.clone(), request: self.request.clone(), act: Act::Grant(grant) }
    }

    /// Its words, and the email that it was for.
    pub(crate) fn words(&self, email: Option<&Email>) -> Words {
        let note = self.note.as_ref().map(|(words, _)| words.clone());
        Words { email: email.map(|email| email.as_str().to_owned()), ..Words::note(note) }
    }

    pub fn is_over(&self, now: Time) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// Which conditions of a cancelled transaction did not hold.
pub(crate) fn failed_conditions(reasons: &[CancellationReason]) -> impl Iterator<Item = usize> {
    let failed = reasons.iter().map(|reason| reason.code() == Some("ConditionalCheckFailed"));
    failed.enumerate().filter(|(_, failed)| *failed).map(|(index, _)| index)
}
