//! Erasing one user: who they are goes, what was paid and spent stays.
//!
//! What goes: their customers in Stripe with all that is charged to them, the words beside their entries, their emails'
//! and customers' pointers, and what their payments say of the buyer. What stays, as books have to: the journal, which
//! knows the user by their id alone, with Stripe's ids of payments, invoices and customers; each payment's amount and
//! fate; and keyed hashes, which nobody can read without the keys.

use domain::cause::{Cause, Operation};
use domain::decide::{Act, Command, Refusal};
use domain::entry::Entry;
use domain::ids::UserId;
use domain::time::Time;
use edge::request::{Once, empty_body, once, path};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::Serialize;
use serde_json::json;
use settle::settle_problem;
use store::{Applied, Erased, Traces, Wanted};

use crate::Admin;

/// `erased` counts what this request erased: nothing is left for the same request sent again.
#[derive(Serialize)]
struct Gone<'a> {
    user: &'a UserId,
    closed_at: String,
    /// The entry that closed the account.
    entry: &'a Cause,
    erased: Counts,
}

#[derive(Serialize)]
struct Counts {
    notes: usize,
    emails: usize,
    customers: usize,
    payments: usize,
}

impl Admin {
    /// Stripe first, so that nothing is charged to a user whom the books have let go of; then the account, and from
    /// then on nothing about a person is written any more; then what was. Cut off anywhere, it is sent again.
    pub(crate) async fn erase(
        &self,
        request: &Request,
        operator: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let user: UserId = path(request, "user")?;
        empty_body(request)?;
        let once = once(request, operator, Operation::Erase, &json!({ "user": user }))?;
        let before = self.store.entry(&once.cause).await.map_err(Problem::fault)?;
        if before.is_some_and(|entry| entry.request.as_ref() != Some(&once.hash)) {
            return Err(Problem::key_reused());
        }
        self.leave_stripe(&user, now).await?;
        let closing = self.close(&user, operator, &once, now).await?;
        // A checkout that was being opened meanwhile may have made another customer. From now on none can.
        self.leave_stripe(&user, now).await?;
        let Erased { notes, emails, customers, payments } =
            self.store.erase(&user).await.map_err(Problem::fault)?;
        let erased = Counts { notes, emails, customers, payments };
        let (entry, closed_at) = (&closing.cause, closing.at.rfc3339());
        Reply::ok(&Gone { user: &user, closed_at, entry, erased })
    }

    async fn leave_stripe(&self, user: &UserId, now: Time) -> Result<(), Problem> {
        let Traces { customers, .. } = self.traces(user).await?;
        self.settle.leave(user, &customers, now).await.map_err(settle_problem)
    }

    pub(crate) async fn traces(&self, user: &UserId) -> Result<Traces, Problem> {
        let traces = self.store.traces(user).await.map_err(Problem::fault)?;
        traces.ok_or_else(|| Problem::new(Code::NotFound, "nothing is kept of such a user"))
    }

    /// The entry that closed the account, now or before.
    async fn close(
        &self,
        user: &UserId,
        operator: &UserId,
        once: &Once,
        now: Time,
    ) -> Result<Entry, Problem> {
        let command = Command {
            cause: once.cause.clone(),
            request: Some(once.hash.clone()),
            act: Act::Close { operator: operator.clone() },
        };
        match self.store.apply(user, &command, &self.catalogs, now).await.map_err(Problem::fault)? {
            Applied::Done(entry) | Applied::Before(entry) => Ok(entry),
            Applied::Refused(Refusal::Closed) => self.closing(user).await,
            Applied::Refused(refusal) => Err(self.refused(refusal, now).await),
            Applied::KeyReused => Err(Problem::key_reused()),
        }
    }

    async fn closing(&self, user: &UserId) -> Result<Entry, Problem> {
        let wanted = Wanted { kind: Some("closing".to_owned()), ..Wanted::default() };
        let page = self.store.journal(user, &wanted, 1).await.map_err(Problem::fault)?;
        let late = || Problem::try_again(Code::Busy, "the entry that closed the account is not listed yet");
        page.entries.into_iter().next().ok_or_else(late)
    }
}
