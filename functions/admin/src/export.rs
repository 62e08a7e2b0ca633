//! Everything that is kept of one user, in their own hands: what an erasure takes away, and what it has to leave.

use std::collections::BTreeSet;

use domain::cause::Cause;
use domain::entry::{Detail, Entry};
use domain::ids::{CustomerId, PaymentId, UserId};
use domain::money::Tokens;
use domain::payment::References;
use domain::privacy::KeyedHash;
use domain::time::Time;
use domain::view::{self, AccountView, EntryView, PaymentView};
use edge::request::{path, query};
use edge::{Problem, Reply};
use futures_util::{StreamExt, TryStreamExt, stream};
use lambda_http::Request;
use serde::Serialize;
use store::{Gift, Note, Page, Read, Traces, Wanted};

use crate::Admin;

/// The first page has everything but the entries, and the latest of these; further pages have older ones.
#[derive(Serialize)]
struct Export {
    user: UserId,
    #[serde(flatten)]
    kept: Option<Kept>,
    entries: Vec<ExportedEntry>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Kept {
    account: AccountView,
    payments: Vec<PaymentView>,
    /// What belongs in Stripe to payments of which nothing else is known.
    references: Vec<ExportedReferences>,
    notes: Vec<ExportedNote>,
    emails: Vec<ExportedEmail>,
    customers: BTreeSet<CustomerId>,
}

#[derive(Serialize)]
struct ExportedReferences {
    payment: PaymentId,
    checkout: Option<String>,
    charge: Option<String>,
    receipt_url: Option<String>,
}

/// What was said about an entry, or about who it was for.
#[derive(Serialize)]
struct ExportedNote {
    entry: Cause,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_url: Option<String>,
}

/// An email is kept as a keyed hash, by which grants for it are found.
#[derive(Serialize)]
struct ExportedEmail {
    hash: KeyedHash,
    waiting: Vec<ExportedGift>,
}

#[derive(Serialize)]
struct ExportedGift {
    entry: Cause,
    tokens: Tokens,
    expires_at: Option<String>,
    note: Option<String>,
    at: String,
}

#[derive(Serialize)]
struct ExportedEntry {
    #[serde(flatten)]
    entry: EntryView,
    /// The id of what Stripe made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<String>,
}

const PAGE: u16 = 100;
const AT_ONCE: usize = 16;

impl Admin {
    pub(crate) async fn export(&self, request: &Request, now: Time) -> Result<Reply, Problem> {
        let user: UserId = path(request, "user")?;
        let below: Option<u64> = query(request, "cursor")?;
        let kept = match below {
            None => Some(self.kept(&user, now).await?),
            Some(_) => None,
        };
        let wanted = Wanted { below, ..Wanted::default() };
        let Page { entries, next } =
            self.store.journal(&user, &wanted, PAGE).await.map_err(Problem::fault)?;
        let entries = stream::iter(entries).map(|entry| self.exported(entry)).buffered(AT_ONCE);
        let entries = entries.try_collect().await?;
        Reply::ok(&Export { user, kept, entries, next: next.map(|seq| seq.to_string()) })
    }

    async fn kept(&self, user: &UserId, now: Time) -> Result<Kept, Problem> {
        let Traces { payments, references, notes, emails, customers } = self.traces(user).await?;
        let account = self.store.account(user, Read::Consistent).await.map_err(Problem::fault)?;
        let shelf = self.catalogs.shelf_of(&account, now).await.map_err(Problem::fault)?;
        Ok(Kept {
            account: view::account(&account, &shelf, now),
            payments: payments.iter().map(PaymentView::new).collect(),
            references: references.into_iter().map(ExportedReferences::of).collect(),
            notes: notes.into_iter().map(ExportedNote::of).collect(),
            emails: emails.into_iter().map(ExportedEmail::of).collect(),
            customers,
        })
    }

    async fn exported(&self, entry: Entry) -> Result<ExportedEntry, Problem> {
        let made = match entry.detail {
            Detail::Checkout(_) | Detail::Refund(_) => {
                self.store.result(&entry.cause).await.map_err(Problem::fault)?
            }
            _ => None,
        };
        Ok(ExportedEntry { entry: EntryView::new(&entry), made })
    }
}

impl ExportedReferences {
    fn of((payment, references): (PaymentId, References)) -> ExportedReferences {
        ExportedReferences {
            payment,
            checkout: references.checkout.map(|id| id.to_string()),
            charge: references.charge.map(|id| id.to_string()),
            receipt_url: references.receipt_url,
        }
    }
}

impl ExportedNote {
    fn of(note: Note) -> ExportedNote {
        let Note { cause, words, at } = note;
        ExportedNote {
            entry: cause,
            at: at.rfc3339(),
            note: words.note,
            email: words.email,
            success_url: words.success_url,
            cancel_url: words.cancel_url,
        }
    }
}

impl ExportedEmail {
    fn of((hash, waiting): (KeyedHash, Vec<Gift>)) -> ExportedEmail {
        ExportedEmail { hash, waiting: waiting.into_iter().map(ExportedGift::of).collect() }
    }
}

impl ExportedGift {
    fn of(gift: Gift) -> ExportedGift {
        ExportedGift {
            entry: gift.cause,
            tokens: gift.tokens,
            expires_at: gift.expires_at.map(Time::rfc3339),
            note: gift.note.map(|(words, _)| words),
            at: gift.at.rfc3339(),
        }
    }
}
