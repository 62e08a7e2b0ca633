//! `tollgate prove`: walks the books, and names the first thing in them that is wrong.
//!
//! Every stored item is compared with what its body says, every journal is read again from its first entry, and
//! accounts and payments have to be what it comes to. Nothing is written, but by `--rebuild --yes`.

mod reading;
mod rebuild;
mod scratch;
mod table;
mod walk;

use std::fmt;
use std::time::{Duration, Instant};

use domain::ids::UserId;
use edge::StartError;
use store::proof::Flaw;
use store::schema::Key;

use crate::progress::Bar;
pub use reading::Table;
use reading::{AtOnce, PAUSE, Scanned};
pub use rebuild::{Rebuilt, confirm, rebuild};
use scratch::{Found, Part, Scratch};
pub use table::{At, open};
use walk::{Walked, walk};

/// What became of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Proved { accounts: u64, entries: u64 },
    Fault(Finding),
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Empty where nothing says whose it is.
    pub user: String,
    /// Of the entry, or of the last one that told of it. Zero where there is none.
    pub seq: u64,
    pub what: String,
    pub at: Option<Key>,
}

/// A proof that took less is not worth a figure.
const LONG: Duration = Duration::from_secs(1);
/// How often an index that may only be behind is looked at again.
const LOOKS: u32 = 3;

/// Proves one user's books, or everybody's.
pub async fn prove(table: &Table, user: Option<&UserId>) -> Result<Verdict, StartError> {
    let started = Instant::now();
    let verdict = match user {
        Some(user) => prove_one(table, user).await?,
        None => prove_all(table).await?,
    };
    if let Verdict::Proved { entries, .. } = verdict {
        tell_speed(started, entries);
    }
    Ok(verdict)
}

fn tell_speed(started: Instant, entries: u64) {
    let took = started.elapsed();
    if took >= LONG {
        let ms = took.as_millis();
        let speed = u128::from(entries) * 1000 / ms;
        eprintln!("{}.{} s, {speed} entries a second", ms / 1000, ms % 1000 / 100);
    }
}

async fn prove_one(table: &Table, user: &UserId) -> Result<Verdict, StartError> {
    // Says at once what is the matter with a table that is not there.
    table.store.size().await?;
    let (scratch, walked) = settled(table, user, &[]).await?;
    if let Some(flaw) = walked.flaw {
        return Ok(Verdict::Fault(Finding::of(user.as_str(), flaw)));
    }
    match scratch.counts(Some(user.as_str()))? {
        (0, 0) => Err(format!("there is no account of {user}, and no entry").into()),
        (entries, accounts) => Ok(Verdict::Proved { accounts, entries }),
    }
}

async fn prove_all(table: &Table) -> Result<Verdict, StartError> {
    let scanned = table.scan().await?;
    let scratch = &scanned.scratch;
    let (mut entries, accounts) = scratch.counts(None)?;
    let mut bar = Bar::new("entries proved", entries);
    entries = 0;
    let mut last: Option<String> = None;
    while let Some(user) = scratch.user_after(last.as_deref())? {
        let walked = examine(table, &scanned, &user).await?;
        if let Some(flaw) = walked.flaw {
            return Ok(Verdict::Fault(Finding::of(&user, flaw)));
        }
        (entries, last) = (entries + walked.entries, Some(user));
        bar.add(walked.entries);
    }
    match (scanned.flaw, scanned.damaged) {
        (Some(flaw), _) => Ok(Verdict::Fault(Finding::nobodys(flaw))),
        (None, true) => {
            let flaw = "an item cannot be read, and nothing says whose it is".to_owned();
            Ok(Verdict::Fault(Finding::nobodys(flaw)))
        }
        (None, false) => Ok(Verdict::Proved { accounts, entries }),
    }
}

/// One user's books as they were scanned, or where that is not enough as they are now.
async fn examine(table: &Table, scanned: &Scanned, user: &str) -> Result<Walked, StartError> {
    let scratch = &scanned.scratch;
    let walked = walk(scratch, user)?;
    let Ok(id) = UserId::parse(user) else { return Ok(walked) };
    let passes = match &walked.flaw {
        None if !scanned.damaged => return Ok(walked),
        None => true,
        Some(flaw) => flaw.passes,
    };
    let (now, again) = settled(table, &id, &known(scratch, &id)?).await?;
    // While nobody writes, what the scan has found is so.
    let unmoved = !scanned.damaged && now.account(user)? == scratch.account(user)?;
    let stands = again.flaw.is_none() && unmoved && !passes;
    Ok(if stands { walked } else { again })
}

/// One user's books, read for themselves, and again after a while where the index may only have been behind.
async fn settled(table: &Table, user: &UserId, known: &[Found]) -> Result<(Scratch, Walked), StartError> {
    let mut looks = 0;
    loop {
        looks += 1;
        let AtOnce { scratch, moves } = table.read(user, known).await?;
        let walked = walk(&scratch, user.as_str())?;
        let pause = match &walked.flaw {
            Some(flaw) if flaw.passes => table.patience,
            Some(_) if moves => PAUSE,
            _ => Duration::ZERO,
        };
        if pause.is_zero() || looks == LOOKS {
            return Ok((scratch, walked));
        }
        tokio::time::sleep(pause).await;
    }
}

/// The entries of a user that the scan has found, by their keys alone.
fn known(scratch: &Scratch, user: &UserId) -> Result<Vec<Found>, StartError> {
    let mut known = Vec::new();
    let take = |found: Found| {
        if found.part == Part::Entry && found.key.is_some() {
            known.push(Found { item: Err(String::new()), ..found });
        }
        Ok::<_, StartError>(())
    };
    scratch.each(user.as_str(), take)??;
    Ok(known)
}

impl Verdict {
    pub fn is_ok(&self) -> bool {
        matches!(self, Verdict::Proved { .. })
    }
}

impl Finding {
    fn of(user: &str, flaw: Flaw) -> Finding {
        Finding { user: user.to_owned(), seq: flaw.seq, what: flaw.what, at: flaw.at }
    }

    fn nobodys(what: String) -> Finding {
        Finding { user: String::new(), seq: 0, what, at: None }
    }
}

/// One line to read, and one that says where to look.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { user, seq, what, at } = self;
        match (user.as_str(), seq) {
            ("", _) => write!(f, "{what}")?,
            (user, 0) => write!(f, "{user}: {what}")?,
            (user, seq) => write!(f, "{user}, entry {seq}: {what}")?,
        }
        match at {
            Some(Key { pk, sk }) => write!(f, "\n  look at PK = {pk}, SK = {sk}"),
            None if user.is_empty() => Ok(()),
            None => write!(f, "\n  look at the journal of {user} around it, in GSI1"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Proved { accounts, entries } => {
                write!(f, "prove: {accounts} accounts, {entries} entries, ok")
            }
            Verdict::Fault(finding) => write!(f, "prove: {finding}"),
        }
    }
}
