//! One slice of a job. Every row is given under a cause of its own, so that any part may be done again.

use std::time::Duration;

use domain::cause::Subject;
use domain::decide::Refusal;
use domain::money::Tokens;
use domain::time::Time;
use edge::Problem;
use futures_util::{StreamExt, stream};
use store::{Addressee, CHUNK, Failed, Given, Job, JobRow, Progress, Recipient, StoreError};
use tokio::time::Instant;

use crate::Admin;

/// Rows side by side. They touch different accounts, so they do not contend.
const AT_ONCE: usize = 16;
/// After this no row is begun; API Gateway gives up after thirty seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// As many failures as a job's item keeps; the rest are counted.
const FAILURES_KEPT: usize = 1_000;

/// What became of a row.
enum Outcome {
    Granted,
    Pending,
    Failed(String),
}

impl Admin {
    /// Works on from where the job stands, and says how far it has come.
    pub(crate) async fn slice(&self, job: &Job, now: Time) -> Result<Progress, Problem> {
        let before = self.store.progress(&job.id).await.map_err(Problem::fault)?;
        if before.done >= job.rows {
            return Ok(before);
        }
        let after = self.worked(job, &before, now).await?;
        match self.store.advance_job(&job.id, &before, &after).await.map_err(Problem::fault)? {
            true => Ok(after),
            // Somebody else worked on the same rows, and says how far it has come.
            false => self.store.progress(&job.id).await.map_err(Problem::fault),
        }
    }

    async fn worked(&self, job: &Job, before: &Progress, now: Time) -> Result<Progress, Problem> {
        let done = usize::try_from(before.done).map_err(Problem::internal)?;
        let chunk = u32::try_from(done / CHUNK).map_err(Problem::internal)?;
        let rows = self.store.job_rows(job, chunk).await.map_err(Problem::fault)?;
        let deadline = Instant::now() + PATIENCE;
        let in_time = rows.into_iter().skip(done % CHUNK).take_while(|_| Instant::now() < deadline);
        let mut outcomes = stream::iter(in_time).map(|row| self.row_given(job, row, now)).buffered(AT_ONCE);
        let mut progress = before.clone();
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Ok(outcome) => count(&mut progress, outcome),
                Err(error) if progress == *before => return Err(Problem::fault(error)),
                // What is done is done; the next slice begins with this row, and tells of it if it fails again.
                Err(_) => break,
            }
        }
        match progress == *before {
            true => Err(Problem::internal(format!("chunk {chunk} of {} is missing", job.id))),
            false => Ok(progress),
        }
    }

    async fn row_given(&self, job: &Job, row: JobRow, now: Time) -> Result<Outcome, StoreError> {
        let gift = job.gift(&row);
        if gift.is_over(now) {
            return Ok(Outcome::Failed("`expires_at` is over".to_owned()));
        }
        let recipient = match &row.subject {
            Subject::User(user) => Recipient::User(user),
            Subject::Email(hash) => {
                Recipient::Email(Addressee { hashes: std::slice::from_ref(hash), email: None })
            }
        };
        // Its tokens were counted when the job was opened.
        Ok(match self.store.give(&gift, recipient, None, &self.catalogs, now).await? {
            Given::To(_) => Outcome::Granted,
            Given::Waits => Outcome::Pending,
            Given::Refused(Refusal::TooManyTokens) => {
                Outcome::Failed(format!("no account holds more than {} tokens", Tokens::MAX))
            }
            Given::Refused(Refusal::Closed) => Outcome::Failed("this user was erased".to_owned()),
            Given::Refused(_) | Given::KeyReused | Given::OverCap { .. } => {
                Outcome::Failed("it cannot be given".to_owned())
            }
        })
    }
}

fn count(progress: &mut Progress, outcome: Outcome) {
    progress.done += 1;
    match outcome {
        Outcome::Granted => progress.granted += 1,
        Outcome::Pending => progress.pending += 1,
        Outcome::Failed(why) => {
            progress.failed += 1;
            if progress.failures.len() < FAILURES_KEPT {
                progress.failures.push(Failed { row: progress.done, why });
            }
        }
    }
}
