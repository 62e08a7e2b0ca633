//! Many grants as one job: accepted whole or not at all, then worked in slices.

use std::collections::HashMap;

use domain::cause::{Operation, Subject};
use domain::ids::{JobId, UserId};
use domain::money::Tokens;
use domain::privacy::Email;
use domain::request::RequestHash;
use domain::time::Time;
use edge::request::{body_within, concealed, once, path};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Failed, Job, JobRow, Opened, Progress};

use crate::{Admin, end, invalid};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    rows: Vec<Value>,
    note: Option<String>,
    expires_at: Option<String>,
}

/// `{"user":"ada","tokens":50}` or `{"email":"a@b.c","tokens":50}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    user: Option<UserId>,
    email: Option<String>,
    tokens: Tokens,
}

#[derive(Serialize)]
struct Accepted<'a> {
    job: &'a JobId,
    rows: u32,
    /// Tokens, in all.
    total: Tokens,
}

/// How far a job has come: `done` of `rows`.
#[derive(Serialize)]
struct Status<'a> {
    #[serde(flatten)]
    job: Accepted<'a>,
    done: u32,
    granted: u32,
    pending: u32,
    /// The first of them, should they be very many.
    failed: Vec<FailedRow<'a>>,
    failed_rows: u32,
    finished: bool,
}

#[derive(Serialize)]
struct FailedRow<'a> {
    row: u32,
    why: &'a str,
}

const MOST_ROWS: usize = 10_000;
/// Ten thousand of the longest rows that anybody needs, and less than Lambda takes.
const LARGEST_BODY: usize = 4 * 1024 * 1024;
/// As many mistakes as a person reads.
const MOST_SHOWN: usize = 100;

impl Admin {
    pub(crate) async fn open_bulk(
        &self,
        request: &Request,
        operator: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let (wanted, json) = body_within::<Wanted>(LARGEST_BODY, request)?;
        let once = once(request, operator, Operation::GrantBulk, &concealed(&json, &self.keys))?;
        let id =
            JobId::parse(format!("job_{}", &once.cause.fingerprint()[..24])).map_err(Problem::internal)?;
        // Looked up before anything is checked, as what was accepted once stays accepted.
        let before = self.store.opened(&id, &once.hash).await.map_err(Problem::fault)?;
        let opened = match before {
            Some(opened) => opened,
            None => self.open(id, &wanted, once.hash, operator, now).await?,
        };
        match opened {
            Opened::Stands(job) => Reply::accepted(&Accepted::of(&job)),
            Opened::KeyReused => Err(Problem::key_reused()),
            Opened::OverCap { left } => Err(self.over_cap(left, now)),
        }
    }

    async fn open(
        &self,
        id: JobId,
        wanted: &Wanted,
        request: RequestHash,
        operator: &UserId,
        now: Time,
    ) -> Result<Opened, Problem> {
        let rows = self.checked(&wanted.rows)?;
        let total = Tokens::checked_sum(rows.iter().map(|row| row.tokens));
        let total = total.ok_or_else(|| invalid(format!("the rows come to more than {}", Tokens::MAX)))?;
        let job = Job {
            id,
            operator: operator.clone(),
            request,
            rows: u32::try_from(rows.len()).map_err(Problem::internal)?,
            total,
            note: self.noted(wanted.note.as_deref())?,
            expires_at: end(wanted.expires_at.as_deref(), now)?,
            at: now,
        };
        self.store.open_job(&job, &rows, self.cap, now).await.map_err(Problem::fault)
    }

    pub(crate) async fn continue_bulk(&self, request: &Request, now: Time) -> Result<Reply, Problem> {
        let job = self.job(request).await?;
        let progress = self.slice(&job, now).await?;
        Reply::ok(&Status::of(&job, &progress))
    }

    pub(crate) async fn show_bulk(&self, request: &Request) -> Result<Reply, Problem> {
        let job = self.job(request).await?;
        let progress = self.store.progress(&job.id).await.map_err(Problem::fault)?;
        Reply::ok(&Status::of(&job, &progress))
    }

    async fn job(&self, request: &Request) -> Result<Job, Problem> {
        let id: JobId = path(request, "job")?;
        let job = self.store.job(&id).await.map_err(Problem::fault)?;
        job.ok_or_else(|| Problem::new(Code::NotFound, "there is no such job"))
    }

    /// Every row is right and names somebody whom no other names, or nothing is accepted.
    fn checked(&self, rows: &[Value]) -> Result<Vec<JobRow>, Problem> {
        if !(1..=MOST_ROWS).contains(&rows.len()) {
            return Err(invalid(format!("a job has from 1 to {MOST_ROWS} `rows`")));
        }
        let (mut checked, mut wrong) = (Vec::new(), Vec::new());
        for (row, value) in (1_u32..).zip(rows) {
            match self.row(value) {
                Ok(row) => checked.push(row),
                Err(why) => wrong.push(json!({ "row": row, "why": why })),
            }
        }
        if !wrong.is_empty() {
            let detail = format!("{} of the rows are wrong", wrong.len());
            wrong.truncate(MOST_SHOWN);
            return Err(invalid(detail).with("rows", wrong));
        }
        named_once(&checked)?;
        Ok(checked)
    }

    fn row(&self, value: &Value) -> Result<JobRow, String> {
        let row = Row::deserialize(value).map_err(|error| error.to_string())?;
        if row.tokens.is_zero() {
            return Err("`tokens` start at 1".to_owned());
        }
        let subject = match (row.user, row.email) {
            (Some(user), None) => Subject::User(user),
            (None, Some(email)) => {
                let email = Email::parse(&email).map_err(|error| format!("`email`: {error}"))?;
                Subject::Email(self.keys.email(&email))
            }
            _ => return Err("a row has a `user` or an `email`".to_owned()),
        };
        Ok(JobRow { subject, tokens: row.tokens })
    }
}

/// Twice in one file is a mistake more often than a wish.
fn named_once(rows: &[JobRow]) -> Result<(), Problem> {
    let mut named: HashMap<&Subject, Vec<u32>> = HashMap::new();
    for (row, JobRow { subject, .. }) in (1..).zip(rows) {
        named.entry(subject).or_default().push(row);
    }
    let mut twice: Vec<Vec<u32>> = named.into_values().filter(|rows| rows.len() > 1).collect();
    if twice.is_empty() {
        return Ok(());
    }
    twice.sort();
    twice.truncate(MOST_SHOWN);
    let shown: Vec<String> = twice.iter().map(|rows| format!("{rows:?}")).collect();
    let detail = format!("rows that name the same user or email: {}", shown.join(", "));
    Err(Problem::new(Code::DuplicateSubject, detail).with("duplicates", json!(twice)))
}

impl Accepted<'_> {
    fn of(job: &Job) -> Accepted<'_> {
        Accepted { job: &job.id, rows: job.rows, total: job.total }
    }
}

impl Status<'_> {
    fn of<'a>(job: &'a Job, progress: &'a Progress) -> Status<'a> {
        let failed = progress.failures.iter().map(|Failed { row, why }| FailedRow { row: *row, why });
        Status {
            job: Accepted::of(job),
            done: progress.done,
            granted: progress.granted,
            pending: progress.pending,
            failed: failed.collect(),
            failed_rows: progress.failed,
            finished: progress.done >= job.rows,
        }
    }
}
