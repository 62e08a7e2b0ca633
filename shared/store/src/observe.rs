//! Look at Stripe and write what is new, so that an older look never overwrites a newer one.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};
use domain::account::Account;
use domain::change::{Change, Fence};
use domain::entry::Entry;
use domain::ids::UserId;
use domain::mutants::Mutant;

use crate::apply::{Attempt, Contention, unmoved};
use crate::{Read, Store, StoreError, items};

/// What came of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed<L> {
    /// The look that was written, or that showed nothing new.
    pub look: L,
    /// Where it was news: the entry that says so.
    pub news: Option<Entry>,
}

/// How often somebody else may look at the same time before the message waits.
const LOOKS: u32 = 8;

/// What became of one look.
#[expect(clippy::large_enum_variant, reason = "it lives for one round and is never stored")]
enum Written {
    Settled(Option<Entry>),
    Moved(Account),
}

impl Store {
    /// Reads the account, looks, decides and writes, in this order: a write holds only if nobody looked in between.
    /// `look` asks Stripe; if somebody else looked since the account was read, it is asked again.
    pub async fn observe<L, E, F>(
        &self,
        user: &UserId,
        look: impl Fn(Account) -> F,
        decide: impl Fn(&Account, &L) -> Option<Change>,
    ) -> Result<Observed<L>, E>
    where
        E: From<StoreError>,
        F: Future<Output = Result<L, E>>,
    {
        let mut account = self.account(user, Read::Consistent).await?;
        for _ in 0..LOOKS {
            let look = look(account.clone()).await?;
            let decide = |account: &Account| decide(account, &look);
            match self.settle_look(account, decide).await? {
                Written::Settled(news) => return Ok(Observed { look, news }),
                Written::Moved(moved) => account = moved,
            }
        }
        Err(StoreError::Busy("others keep looking at the same".to_owned()).into())
    }

    /// Writes one look. `Moved` means that somebody else looked meanwhile, so this look may be the older one.
    async fn settle_look(
        &self,
        account: Account,
        decide: impl Fn(&Account) -> Option<Change>,
    ) -> Result<Written, StoreError> {
        let mut contention = Contention::within(self.budget);
        let mut known = account;
        loop {
            let change = decide(&known);
            let attempt = match &change {
                Some(change) => self.commit(change).await,
                None => self.note_look(&known).await,
            };
            let moved = match attempt {
                Ok(Attempt::Written) => {
                    return Ok(Written::Settled(change.map(|change| change.entry.entry)));
                }
                Ok(Attempt::Moved(moved)) => moved,
                // Its cause is named by the account's own seq, so somebody else has written that one.
                Ok(Attempt::Exists(_) | Attempt::Barred(_)) => None,
                Err(StoreError::Busy(cause)) => {
                    contention.wait(cause).await?;
                    None
                }
                Err(error) => return Err(error),
            };
            let moved = match moved {
                Some(account) => account,
                None => self.account(&known.user, Read::Consistent).await?,
            };
            if moved.obs != known.obs {
                return Ok(Written::Moved(moved));
            }
            contention.wait("others keep writing this account").await?;
            known = moved;
        }
    }

    /// Counts a look that showed nothing new: whoever looked before it, and writes after it, has to look again.
    async fn note_look(&self, account: &Account) -> Result<Attempt, StoreError> {
        if Mutant::SyncFencedByVersionAlone.lives() {
            return Ok(Attempt::Written);
        }
        self.rewrite(account, &Account { obs: account.obs + 1, ..account.clone() }).await
    }

    /// Replaces an account by what a look made of it, without an entry.
    pub(crate) async fn rewrite(&self, account: &Account, looked: &Account) -> Result<Attempt, StoreError> {
        let (condition, values) = unmoved(Fence::of(account));
        let put = self
            .db
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(items::from_account(looked)))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match put.send().await {
            Ok(answer) => {
                self.meter.wrote(answer.consumed_capacity());
                Ok(Attempt::Written)
            }
            Err(error) => moved_by(account, error),
        }
    }
}

fn moved_by(account: &Account, error: SdkError<PutItemError>) -> Result<Attempt, StoreError> {
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(failed)) => {
            let item = failed.item().cloned();
            let moved = item.map(|item| items::to_account(account.user.clone(), item)).transpose()?;
            Ok(Attempt::Moved(moved))
        }
        _ => Err(StoreError::of(error)),
    }
}
