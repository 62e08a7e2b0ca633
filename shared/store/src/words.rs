//! Words about an entry: what somebody wrote or is reached by. They stand beside the books, so that they can go.

use domain::cause::Cause;
use domain::decide::Command;
use domain::ids::UserId;
use domain::time::Time;

use crate::apply::{Barred, Beside};
use crate::{Applied, Catalogs, Read, Store, StoreError, items, schema};

/// What is said beside an entry, which itself holds a keyed hash of it at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    pub note: Option<String>,
    pub email: Option<String>,
    /// Where a buyer returns to.
    pub success_url: Option<String>,
    pub cancel_url: Option<String>,
}

/// Words, and the entry that they are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub cause: Cause,
    pub words: Words,
    pub at: Time,
}

impl Words {
    pub fn note(note: Option<String>) -> Words {
        Words { note, ..Words::default() }
    }

    pub fn is_empty(&self) -> bool {
        *self == Words::default()
    }
}

impl Store {
    /// [`Store::apply`], with words beside the entry: whoever writes personal data writes it by this, as it belongs
    /// to the same transaction and nothing is kept of it for a user who was erased.
    pub async fn apply_with(
        &self,
        user: &UserId,
        command: &Command,
        words: Words,
        catalogs: &Catalogs,
        now: Time,
    ) -> Result<Applied, StoreError> {
        let beside = Beside { writes: Vec::new(), words };
        let applied = self.apply_beside(user, command, &beside, catalogs, now).await?;
        applied.map_err(|Barred(_)| StoreError::Refused("a condition failed that nobody set".to_owned()))
    }

    /// The words beside an entry, unless there were none or they are erased.
    pub async fn words(&self, user: &UserId, cause: &Cause) -> Result<Option<Words>, StoreError> {
        let item = self.get(schema::note(user, cause), Read::Consistent).await?;
        Ok(item.map(items::grants::to_note).transpose()?.map(|note| note.words))
    }
}
