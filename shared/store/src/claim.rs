//! Claiming: what was given to an email becomes the user's who proves that it is theirs.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use domain::account::Account;
use domain::ids::UserId;
use domain::privacy::{Claimant, KeyedHash};
use domain::time::Time;

use crate::apply::{Attempt, Contention};
use crate::grants::Gift;
use crate::items::{self, Item};
use crate::pointers::Pointed;
use crate::schema::{self, Key};
use crate::{Applied, Catalogs, Read, Store, StoreError};

impl Store {
    /// This table for one caller: their first write claims what waits for their verified email. An account remembers
    /// that, so that later writes cost what they always do.
    pub fn claiming(&self, claimant: Option<Claimant>) -> Store {
        Store { claimant: claimant.map(Arc::new), ..self.clone() }
    }

    /// Puts the pointer first: from then on gifts for this email go to its user at once, so that what is read after
    /// it is all that ever waits.
    pub(crate) async fn claim(
        &self,
        account: Account,
        claimant: &Claimant,
        catalogs: &Catalogs,
        now: Time,
    ) -> Result<Option<Account>, StoreError> {
        let plain = self.claiming(None);
        let (mut taken, mut all) = (0, true);
        for hash in &claimant.hashes {
            if !self.point_email(hash, &account.user).await? {
                continue;
            }
            for gift in self.waiting(hash).await? {
                taken += 1;
                all &= plain.take(&gift, hash, &account.user, claimant, catalogs, now).await?;
            }
        }
        match (all, taken) {
            (false, _) => Ok(None),
            (true, 0) => self.remember(Some(account.clone()), &account.user, claimant).await.map(Some),
            (true, _) => self.remember(None, &account.user, claimant).await.map(Some),
        }
    }

    /// Gives what waits, under its own cause, then takes it away. `false` means that it has to go on waiting.
    async fn take(
        &self,
        gift: &Gift,
        hash: &KeyedHash,
        user: &UserId,
        claimant: &Claimant,
        catalogs: &Catalogs,
        now: Time,
    ) -> Result<bool, StoreError> {
        // Over before it was claimed, it brings nothing: not even a debt is paid with it.
        if !gift.is_over(now) {
            let words = gift.words(Some(&claimant.email));
            let applied = self.apply_with(user, &gift.command(), words, catalogs, now).await?;
            if let Applied::Refused(refusal) = applied {
                tracing::warn!(cause = %gift.cause, ?refusal, "a grant goes on waiting");
                return Ok(false);
            }
        }
        self.delete(schema::waiting(hash, &gift.cause)).await?;
        Ok(true)
    }

    /// Whether the email is this user's: whoever proved it first, and was not erased.
    async fn point_email(&self, hash: &KeyedHash, user: &UserId) -> Result<bool, StoreError> {
        let key = schema::email(hash);
        let pointer = items::grants::from_email_pointer(key.clone(), user);
        let link = items::grants::from_link(schema::email_link(user, hash));
        match self.point(user, pointer, link).await? {
            Pointed::Now => Ok(true),
            Pointed::Never => Ok(false),
            Pointed::Before => {
                let item = self.get(key, Read::Consistent).await?;
                let owner = item.map(items::grants::to_email_owner).transpose()?;
                Ok(owner.as_ref() == Some(user))
            }
        }
    }

    /// Notes in the account that nothing waits for this email any more.
    async fn remember(
        &self,
        known: Option<Account>,
        user: &UserId,
        claimant: &Claimant,
    ) -> Result<Account, StoreError> {
        let mut contention = Contention::within(self.budget);
        let mut known = known;
        loop {
            let account = match known.take() {
                Some(account) => account,
                None => self.account(user, Read::Consistent).await?,
            };
            if account.claimed == claimant.mark() || account.closed.is_some() {
                return Ok(account);
            }
            let claimed = Account { obs: account.obs + 1, claimed: claimant.mark(), ..account.clone() };
            match self.rewrite(&account, &claimed).await {
                Ok(Attempt::Written) => return Ok(claimed),
                Ok(Attempt::Moved(moved)) => known = moved,
                Ok(Attempt::Exists(_) | Attempt::Barred(_)) => {}
                Err(StoreError::Busy(cause)) => contention.wait(cause).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// What waits for somebody's email, as far as it is theirs to claim. For showing.
    pub async fn waiting_for(&self, user: &UserId, claimant: &Claimant) -> Result<Vec<Gift>, StoreError> {
        let mut waiting = Vec::new();
        for hash in &claimant.hashes {
            let (pointers, gifts): (Vec<Item>, Vec<Item>) = self
                .under(schema::email(hash).pk, "", Read::Eventual)
                .await?
                .into_iter()
                .partition(is_pointer);
            let mut owners = pointers.into_iter().map(items::grants::to_email_owner);
            let owner = owners.next().transpose()?;
            if owner.is_none_or(|owner| owner == *user) {
                let gifts = gifts.into_iter().map(items::grants::to_waiting);
                waiting.extend(gifts.collect::<Result<Vec<_>, _>>()?);
            }
        }
        Ok(waiting)
    }

    pub(crate) async fn waiting(&self, hash: &KeyedHash) -> Result<Vec<Gift>, StoreError> {
        let items = self.under(schema::email(hash).pk, schema::WAITING, Read::Consistent).await?;
        Ok(items.into_iter().map(items::grants::to_waiting).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn delete(&self, Key { pk, sk }: Key) -> Result<(), StoreError> {
        let delete = self
            .db
            .delete_item()
            .table_name(&*self.table)
            .key(schema::PK, AttributeValue::S(pk))
            .key(schema::SK, AttributeValue::S(sk))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = delete.send().await.map_err(StoreError::of)?;
        self.meter.wrote(answer.consumed_capacity());
        Ok(())
    }
}

fn is_pointer(item: &Item) -> bool {
    item.get(schema::SK) == Some(&AttributeValue::S("P".to_owned()))
}
