//! `--rebuild`: accounts and payments as their journals tell them, in the place of what is stored.

use std::fmt;
use std::io::{BufRead, IsTerminal, Write};
use std::time::Instant;

use domain::ids::UserId;
use edge::StartError;
use store::items::Item;
use store::proof::{Flaw, Gone, Replacement, changed, key_of};

use super::reading::Table;
use super::scratch::Found;
use super::walk::{Told, Walked};
use super::{Finding, examine, known, settled, tell_speed};

/// What a rebuilding came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    pub accounts: usize,
    pub payments: usize,
    /// Users whose journals are at fault themselves, so that nothing can be rebuilt from them.
    pub refused: Vec<Finding>,
    pub written: bool,
}

/// Somebody to be rebuilt.
struct Planned {
    user: UserId,
    known: Vec<Found>,
    replacements: Vec<Replacement>,
}

/// Somebody who writes the account meanwhile is given way to so often.
const TRIES: u32 = 10;

/// Says line by line what would change, and changes it if `agreed` says so then.
pub async fn rebuild(
    table: &Table,
    user: Option<&UserId>,
    mut tell: impl FnMut(String),
    agreed: impl FnOnce() -> std::io::Result<bool>,
) -> Result<Rebuilt, StartError> {
    let started = Instant::now();
    let (entries, at_fault) = at_fault(table, user).await?;
    tell_speed(started, entries);
    let (mut rebuilt, mut plan) = (Rebuilt::default(), Vec::new());
    for (user, known, walked) in at_fault {
        let mendable = walked.flaw.as_ref().is_some_and(|flaw| flaw.mendable);
        match (walked.told, UserId::parse(user.as_str()), walked.flaw) {
            (Some(told), Ok(user), Some(_)) if mendable => {
                let replacements = replacements(&told);
                replacements.iter().flat_map(|each| said(&user, each)).for_each(&mut tell);
                plan.push(Planned { user, known, replacements });
            }
            (_, _, Some(flaw)) => rebuilt.refused.push(Finding::of(&user, flaw)),
            (_, _, None) => {}
        }
    }
    for replacement in plan.iter().flat_map(|planned| &planned.replacements) {
        match is_account(replacement) {
            true => rebuilt.accounts += 1,
            false => rebuilt.payments += 1,
        }
    }
    if plan.is_empty() || !agreed()? {
        return Ok(rebuilt);
    }
    for planned in &plan {
        if let Some(flaw) = write(table, planned).await? {
            rebuilt.refused.push(Finding::of(planned.user.as_str(), flaw));
        }
    }
    Ok(Rebuilt { written: true, ..rebuilt })
}

/// Whoever sits at a terminal may agree there.
pub fn confirm() -> std::io::Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    eprint!("Type `rebuild` to write it: ");
    std::io::stderr().flush()?;
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.trim() == "rebuild")
}

impl Rebuilt {
    /// Whether the books are right now.
    pub fn is_ok(&self) -> bool {
        self.refused.is_empty() && (self.written || (self.accounts, self.payments) == (0, 0))
    }
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rebuilt { accounts, payments, refused, written } = self;
        for finding in refused {
            writeln!(f, "prove: not rebuilt: {finding}")?;
        }
        match written {
            _ if (*accounts, *payments) == (0, 0) => write!(f, "prove: nothing to rebuild"),
            true => write!(f, "prove: {accounts} accounts and {payments} payments, rebuilt"),
            false => {
                write!(
                    f,
                    "prove: {accounts} accounts and {payments} payments to rebuild; nothing is written without --yes"
                )
            }
        }
    }
}

type AtFault = (String, Vec<Found>, Walked);

/// With how many entries were read.
async fn at_fault(table: &Table, user: Option<&UserId>) -> Result<(u64, Vec<AtFault>), StartError> {
    if let Some(user) = user {
        table.store.size().await?;
        let (_, walked) = settled(table, user, &[]).await?;
        return Ok((walked.entries, vec![(user.to_string(), Vec::new(), walked)]));
    }
    let scanned = table.scan().await?;
    let (mut entries, mut at_fault, mut last) = (0, Vec::new(), None::<String>);
    while let Some(user) = scanned.scratch.user_after(last.as_deref())? {
        let walked = examine(table, &scanned, &user).await?;
        entries += walked.entries;
        if walked.flaw.is_some() {
            let known = match UserId::parse(user.as_str()) {
                Ok(id) => known(&scanned.scratch, &id)?,
                Err(_) => Vec::new(),
            };
            at_fault.push((user.clone(), known, walked));
        }
        last = Some(user);
    }
    Ok((entries, at_fault))
}

/// Writes what was planned, or what has to be written by now. Answers with what is wrong even so.
async fn write(table: &Table, planned: &Planned) -> Result<Option<Flaw>, StartError> {
    let mut replacements = planned.replacements.clone();
    for _ in 0..TRIES {
        if table.store.put_back(&replacements).await? {
            return Ok(None);
        }
        // Somebody else was first.
        let (_, walked) = settled(table, &planned.user, &planned.known).await?;
        match (walked.told, walked.flaw) {
            (_, None) => return Ok(None),
            (Some(told), Some(flaw)) if flaw.mendable => replacements = self::replacements(&told),
            (_, Some(flaw)) => return Ok(Some(flaw)),
        }
    }
    Err(format!("{} is written all the time: run it again when there is less to do", planned.user).into())
}

fn replacements(told: &Told) -> Vec<Replacement> {
    told.books.replacements(told.account.as_ref(), &told.payments)
}

fn is_account(replacement: &Replacement) -> bool {
    replacement.is.as_ref().ok().and_then(key_of).is_some_and(|key| key.sk == "A")
}

/// What a replacement changes, field by field.
fn said(user: &UserId, replacement: &Replacement) -> Vec<String> {
    let key = match &replacement.is {
        Ok(item) => key_of(item),
        Err(Gone(key)) => Some(key.clone()),
    };
    let sk = key.map(|key| key.sk).unwrap_or_default();
    let name = match sk.strip_prefix(store::schema::PAYMENTS) {
        Some(payment) => format!("{user}: the payment {payment}"),
        None => format!("{user}: the account"),
    };
    match (&replacement.was, &replacement.is) {
        (_, Err(_)) => vec![format!("{name}: goes, as no entry tells of it")],
        (was, Ok(is)) => {
            let nothing = Item::new();
            let lines = changed(was.as_ref().unwrap_or(&nothing), is);
            std::iter::once(name).chain(lines.into_iter().map(|line| format!("  {line}"))).collect()
        }
    }
}
