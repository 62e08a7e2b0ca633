//! Many grants at once: a job's rows in chunks, and how far it has come.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::cause::{Cause, Subject};
use domain::ids::{JobId, UserId};
use domain::money::Tokens;
use domain::privacy::KeyedHash;
use domain::request::RequestHash;
use domain::time::Time;

use crate::apply::{Contention, refusal_of_transaction};
use crate::grants::{DailyCap, Gift, failed_conditions};
use crate::items::grants as items;
use crate::{Read, Store, StoreError, schema};

/// Rows to an item: with the longest user ids still under 100 KB.
pub const CHUNK: usize = 200;

/// What an operator asked for: the same for every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    pub operator: UserId,
    pub request: RequestHash,
    pub rows: u32,
    /// Tokens, in all.
    pub total: Tokens,
    pub note: Option<(String, KeyedHash)>,
    pub expires_at: Option<Time>,
    pub at: Time,
}

/// An email is there as its hash only, under the version of the keys that the job began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    pub subject: Subject,
    pub tokens: Tokens,
}

/// How many rows are done, from the first on, and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    pub done: u32,
    pub granted: u32,
    /// Left to wait for whoever proves the email.
    pub pending: u32,
    pub failed: u32,
    /// The first of those that failed.
    pub failures: Vec<Failed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Counted from 1.
    pub row: u32,
    pub why: String,
}

/// What came of opening a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It stands, now or since before.
    Stands(Job),
    KeyReused,
    OverCap {
        left: Tokens,
    },
}

impl Store {
    pub async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let item = self.get(schema::job(id), Read::Consistent).await?;
        Ok(item.map(|item| items::to_job(id.clone(), item)).transpose()?)
    }

    /// What was answered to a request for a job, if there was one under this id.
    pub async fn opened(&self, id: &JobId, request: &RequestHash) -> Result<Option<Opened>, StoreError> {
        let job = self.job(id).await?;
        Ok(job.map(|job| if job.request == *request { Opened::Stands(job) } else { Opened::KeyReused }))
    }

    /// Writes the rows, then the job itself, which counts all its tokens against the operator's day, once.
    pub async fn open_job(
        &self,
        job: &Job,
        rows: &[JobRow],
        cap: DailyCap,
        now: Time,
    ) -> Result<Opened, StoreError> {
        let left = self.left_today(&job.operator, cap, now).await?;
        let Some(count) = self.count_today(&job.operator, job.total, cap, now).filter(|_| job.total <= left)
        else {
            return Ok(Opened::OverCap { left });
        };
        for (chunk, rows) in (0..).zip(rows.chunks(CHUNK)) {
            self.put_new(items::from_job_rows(schema::job_rows(&job.id, &job.request, chunk), rows)).await?;
        }
        let mut contention = Contention::within(self.budget);
        loop {
            let writes = vec![self.put_once(items::from_job(job)), count.clone()];
            let Err(reasons) = self.transact(writes).await? else { return Ok(Opened::Stands(job.clone())) };
            if failed_conditions(&reasons).next().is_none() {
                match refusal_of_transaction(&reasons) {
                    StoreError::Busy(cause) => contention.wait(cause).await?,
                    error => return Err(error),
                }
                continue;
            }
            if let Some(opened) = self.opened(&job.id, &job.request).await? {
                return Ok(opened);
            }
            return Ok(Opened::OverCap { left: self.left_today(&job.operator, cap, now).await? });
        }
    }

    /// The rows of one chunk of a job.
    pub async fn job_rows(&self, job: &Job, chunk: u32) -> Result<Vec<JobRow>, StoreError> {
        let item = self.get(schema::job_rows(&job.id, &job.request, chunk), Read::Consistent).await?;
        Ok(item.map(items::to_job_rows).transpose()?.unwrap_or_default())
    }

    pub async fn progress(&self, job: &JobId) -> Result<Progress, StoreError> {
        let item = self.get(schema::job_progress(job), Read::Consistent).await?;
        Ok(item.map(items::to_progress).transpose()?.unwrap_or_default())
    }

    /// Says how far a job has come, unless somebody else has said so since `before`. `false` means that.
    pub async fn advance_job(
        &self,
        job: &JobId,
        before: &Progress,
        after: &Progress,
    ) -> Result<bool, StoreError> {
        let item = items::from_progress(schema::job_progress(job), after);
        let done = AttributeValue::N(before.done.to_string());
        let values = Some([(":done".to_owned(), done)].into());
        self.put_if(item, "attribute_not_exists(PK) OR done = :done", values).await
    }
}

impl Job {
    /// One row as a gift, under a cause of its own.
    pub fn gift(&self, row: &JobRow) -> Gift {
        Gift {
            cause: Cause::Bulk { job: self.id.clone(), subject: row.subject.clone() },
            request: None,
            tokens: row.tokens,
            expires_at: self.expires_at,
            operator: self.operator.clone(),
            note: self.note.clone(),
            at: self.at,
        }
    }
}
