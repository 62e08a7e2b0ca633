//! Who had a trial, by email and by card.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::SubscriptionId;
use domain::trial::TrialMark;
use serde::{Deserialize, Serialize};

use crate::{Read, Store, StoreError, items, schema};

#[derive(Serialize, Deserialize)]
struct TrialItem {
    subscription: SubscriptionId,
}

impl Store {
    /// The subscription that such a trial was had with, if there was one.
    pub async fn trial_of(&self, mark: &TrialMark) -> Result<Option<SubscriptionId>, StoreError> {
        let item = self.get(schema::trial(mark), Read::Consistent).await?;
        let read = item.map(|item| items::read::<TrialItem>("trial", item)).transpose()?;
        Ok(read.map(|TrialItem { subscription }| subscription))
    }

    /// Remembers whose trial it is, in place of the one that held the mark before. `false` means that somebody was faster.
    pub async fn claim_trial(
        &self,
        mark: &TrialMark,
        by: &SubscriptionId,
        was: Option<&SubscriptionId>,
    ) -> Result<bool, StoreError> {
        let item = items::keyed(schema::trial(mark), &TrialItem { subscription: by.clone() });
        let Some(was) = was else { return self.put_new(item).await };
        let values = HashMap::from([(":was".to_owned(), AttributeValue::S(was.to_string()))]);
        self.put_if(item, "subscription = :was", Some(values)).await
    }
}
