//! What is known of a payment beside the books: that it was tried before its money came, and what belongs to it in
//! Stripe. Neither has an entry or touches the account, and nothing of it is written once its user was erased.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem, Update};
use domain::ids::{PaymentId, UserId};
use domain::payment::{Attempt, References};
use serde::Deserialize;

use crate::apply::{Contention, refusal_of_transaction, setting};
use crate::grants::failed_conditions;
use crate::items::{self, Item};
use crate::schema::{self, Key};
use crate::{Read, Store, StoreError};

/// What became of a write beside the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    Written,
    /// Somebody else looked meanwhile, or the payment was booked: this look may be the older one.
    Moved,
    /// Its user was erased.
    Closed,
}

/// Counts the looks at a payment, so that an older one never overwrites a newer one.
const LOOKS: &str = "looks";
/// What an earlier look may have written and a later one no longer says.
const PASSING: [&str; 2] = ["customer", "failure"];

#[derive(Default, Deserialize)]
struct Looked {
    #[serde(default)]
    looks: u64,
    /// There is one since the payment was booked.
    paid: Option<i64>,
}

impl Store {
    /// How often a payment was looked at before its money came; `None` once it is booked.
    pub async fn attempt_looks(&self, user: &UserId, payment: &PaymentId) -> Result<Option<u64>, StoreError> {
        let item = self.get(schema::payment(user, payment), Read::Consistent).await?;
        let looked = item.map(|item| items::read::<Looked>("payment's looks", item)).transpose()?;
        let Looked { looks, paid } = looked.unwrap_or_default();
        Ok(paid.is_none().then_some(looks))
    }

    /// Writes what a look at an intent showed, unless the payment was booked or looked at since it had so many `looks`.
    pub async fn put_attempt(
        &self,
        user: &UserId,
        attempt: &Attempt,
        looks: u64,
    ) -> Result<Noted, StoreError> {
        let number = |number: u64| AttributeValue::N(number.to_string());
        let mut item = without_key(items::from_attempt(user, attempt));
        item.insert(LOOKS.to_owned(), number(looks + 1));
        let passed: Vec<&str> = PASSING.into_iter().filter(|name| !item.contains_key(*name)).collect();
        let (set, names, mut values) = setting(item);
        let expression = match passed.as_slice() {
            [] => set,
            passed => format!("{set} REMOVE {}", passed.join(", ")),
        };
        let unmoved = match looks {
            0 => "attribute_not_exists(paid) AND attribute_not_exists(looks)",
            _ => "attribute_not_exists(paid) AND looks = :seen",
        };
        if looks > 0 {
            values.insert(":seen".to_owned(), number(looks));
        }
        let update = Update::builder()
            .update_expression(expression)
            .condition_expression(unmoved)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values));
        self.update_unless_closed(user, schema::payment(user, &attempt.payment), update).await
    }

    /// Fills in what belongs to a payment in Stripe, as far as that is not known yet: the first to say so is right.
    /// The payment itself need not be known yet. `false` means that its user was erased, and nothing was written.
    pub async fn refer(
        &self,
        user: &UserId,
        payment: &PaymentId,
        references: &References,
    ) -> Result<bool, StoreError> {
        let item = without_key(items::from_references(user, payment, references));
        if item.is_empty() {
            return Ok(true);
        }
        let first: Vec<String> =
            item.keys().map(|name| format!("{name} = if_not_exists({name}, :{name})")).collect();
        let values = item.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect();
        let update = Update::builder()
            .update_expression(format!("SET {}", first.join(", ")))
            .set_expression_attribute_values(Some(values));
        let noted = self.update_unless_closed(user, schema::payment(user, payment), update).await?;
        Ok(noted == Noted::Written)
    }

    async fn update_unless_closed(
        &self,
        user: &UserId,
        key: Key,
        update: UpdateBuilder,
    ) -> Result<Noted, StoreError> {
        let open = ConditionCheck::builder()
            .table_name(&*self.table)
            .set_key(Some(attributes(schema::account(user))))
            .condition_expression("attribute_not_exists(closed)");
        let open = open.build().expect("the check has its table, key and condition");
        let update = update.table_name(&*self.table).set_key(Some(attributes(key)));
        let update = update.build().expect("the update has its table, key and expression");
        let writes = [
            TransactWriteItem::builder().condition_check(open).build(),
            TransactWriteItem::builder().update(update).build(),
        ];
        let mut contention = Contention::within(self.budget);
        loop {
            match self.note(&writes).await {
                Err(StoreError::Busy(cause)) => contention.wait(cause).await?,
                noted => return noted,
            }
        }
    }

    /// Makes the second of two writes, if the first, which only checks, lets it.
    async fn note(&self, writes: &[TransactWriteItem; 2]) -> Result<Noted, StoreError> {
        let Err(reasons) = self.transact(writes.to_vec()).await? else { return Ok(Noted::Written) };
        match failed_conditions(&reasons).next() {
            Some(0) => Ok(Noted::Closed),
            Some(_) => Ok(Noted::Moved),
            None => Err(refusal_of_transaction(&reasons)),
        }
    }
}

fn attributes(key: Key) -> Item {
    let (pk, sk) = (AttributeValue::S(key.pk), AttributeValue::S(key.sk));
    Item::from([(schema::PK.to_owned(), pk), (schema::SK.to_owned(), sk)])
}

fn without_key(mut item: Item) -> Item {
    item.retain(|name, _| name != schema::PK && name != schema::SK);
    item
}
