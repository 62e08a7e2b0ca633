//! What grants store beside accounts and entries.

use domain::cause::{Cause, Subject};
use domain::ids::UserId;
use domain::money::Tokens;
use domain::privacy::KeyedHash;
use domain::request::RequestHash;
use domain::time::Time;
use serde::{Deserialize, Serialize};

use super::{BadItem, Item, keyed, read};
use crate::grants::Gift;
use crate::jobs::{Failed, Job, JobRow, Progress};
use crate::schema::{self, Key};
use crate::words::{Note, Words};

/// The words about an entry, which go when their user goes.
#[derive(Serialize, Deserialize)]
struct NoteItem {
    cause: Cause,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    success_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancel_url: Option<String>,
    at: Time,
}

pub fn from_note(user: &UserId, cause: &Cause, words: &Words, at: Time) -> Item {
    let Words { note, email, success_url, cancel_url } = words.clone();
    let item = NoteItem { cause: cause.clone(), note, email, success_url, cancel_url, at };
    keyed(schema::note(user, cause), &item)
}

pub fn to_note(item: Item) -> Result<Note, BadItem> {
    let NoteItem { cause, note, email, success_url, cancel_url, at } = read("note", item)?;
    Ok(Note { cause, words: Words { note, email, success_url, cancel_url }, at })
}

#[derive(Serialize, Deserialize)]
struct PointerItem {
    user: UserId,
}

pub fn from_email_pointer(key: Key, user: &UserId) -> Item {
    keyed(key, &PointerItem { user: user.clone() })
}

#[derive(Serialize, Deserialize)]
struct LinkItem {}

/// Its key says it all.
pub fn from_link(key: Key) -> Item {
    keyed(key, &LinkItem {})
}

pub fn to_email_owner(item: Item) -> Result<UserId, BadItem> {
    read("email pointer", item).map(|PointerItem { user }| user)
}

#[derive(Serialize, Deserialize)]
struct PromiseItem {
    request: RequestHash,
    at: Time,
}

pub fn from_promise(cause: &Cause, request: &RequestHash, at: Time) -> Item {
    keyed(schema::promise(cause), &PromiseItem { request: request.clone(), at })
}

pub fn to_promise(item: Item) -> Result<RequestHash, BadItem> {
    read("promise", item).map(|PromiseItem { request, .. }| request)
}

#[derive(Serialize, Deserialize)]
struct WaitingItem {
    cause: Cause,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<RequestHash>,
    tokens: Tokens,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    operator: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note_hash: Option<KeyedHash>,
    at: Time,
}

pub fn from_waiting(hash: &KeyedHash, gift: &Gift) -> Item {
    let gift = gift.clone();
    let (note, note_hash) = gift.note.unzip();
    let item = WaitingItem {
        cause: gift.cause.clone(),
        request: gift.request,
        tokens: gift.tokens,
        expires_at: gift.expires_at,
        operator: gift.operator,
        note,
        note_hash,
        at: gift.at,
    };
    keyed(schema::waiting(hash, &gift.cause), &item)
}

pub fn to_waiting(item: Item) -> Result<Gift, BadItem> {
    let WaitingItem { cause, request, tokens, expires_at, operator, note, note_hash, at } =
        read("waiting grant", item)?;
    Ok(Gift { cause, request, tokens, expires_at, operator, note: note.zip(note_hash), at })
}

/// What an operator gave on one day.
#[derive(Default, Serialize, Deserialize)]
pub struct OperatorDayItem {
    pub granted: u64,
}

#[derive(Serialize, Deserialize)]
struct JobItem {
    operator: UserId,
    request: RequestHash,
    rows: u32,
    total: Tokens,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note_hash: Option<KeyedHash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    at: Time,
}

pub fn from_job(job: &Job) -> Item {
    let (note, note_hash) = job.note.clone().unzip();
    let item = JobItem {
        operator: job.operator.clone(),
        request: job.request.clone(),
        rows: job.rows,
        total: job.total,
        note,
        note_hash,
        expires_at: job.expires_at,
        at: job.at,
    };
    keyed(schema::job(&job.id), &item)
}

pub fn to_job(id: domain::ids::JobId, item: Item) -> Result<Job, BadItem> {
    let JobItem { operator, request, rows, total, note, note_hash, expires_at, at } = read("job", item)?;
    Ok(Job { id, operator, request, rows, total, note: note.zip(note_hash), expires_at, at })
}

#[derive(Serialize, Deserialize)]
struct RowsItem {
    rows: Vec<(Subject, Tokens)>,
}

pub fn from_job_rows(key: Key, rows: &[JobRow]) -> Item {
    let rows = rows.iter().map(|row| (row.subject.clone(), row.tokens)).collect();
    keyed(key, &RowsItem { rows })
}

pub fn to_job_rows(item: Item) -> Result<Vec<JobRow>, BadItem> {
    let RowsItem { rows } = read("chunk of a job", item)?;
    Ok(rows.into_iter().map(|(subject, tokens)| JobRow { subject, tokens }).collect())
}

#[derive(Serialize, Deserialize)]
struct ProgressItem {
    done: u32,
    granted: u32,
    pending: u32,
    failed: u32,
    failures: Vec<(u32, String)>,
}

pub fn from_progress(key: Key, progress: &Progress) -> Item {
    let failures = progress.failures.iter().map(|Failed { row, why }| (*row, why.clone())).collect();
    let Progress { done, granted, pending, failed, .. } = *progress;
    keyed(key, &ProgressItem { done, granted, pending, failed, failures })
}

pub fn to_progress(item: Item) -> Result<Progress, BadItem> {
    let ProgressItem { done, granted, pending, failed, failures } = read("job's progress", item)?;
    let failures = failures.into_iter().map(|(row, why)| Failed { row, why }).collect();
    Ok(Progress { done, granted, pending, failed, failures })
}
