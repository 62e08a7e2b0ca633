//! What is nobody's: listed, and given to whom it belongs.

use domain::ids::UserId;
use domain::item::Item;
use domain::lot::Balances;
use domain::time::Time;
use edge::request::{body, idempotency_key, page_size, path, query};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::{Deserialize, Serialize};
use settle::{Attached, settle_problem};
use store::{Claim, Read, Unclaimed, UnclaimedCursor};

use crate::Admin;

#[derive(Serialize)]
struct Listed {
    unclaimed: Vec<Record>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Record {
    object: String,
    reason: String,
    event: String,
    at: String,
}

/// `{"user":"ada"}`, and what a payment paid for: `"item":"package:medium"`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    user: UserId,
    item: Option<Item>,
}

/// Whose it is now, who said so, and how their wallet stands.
#[derive(Serialize)]
struct Taken<'a> {
    object: &'a str,
    user: &'a UserId,
    operator: &'a UserId,
    at: String,
    wallet: Balances,
}

impl Admin {
    pub(crate) async fn list_unclaimed(&self, request: &Request) -> Result<Reply, Problem> {
        let (after, limit) = (query::<UnclaimedCursor>(request, "cursor")?, page_size(request)?);
        let page = self.store.unclaimed_after(after.as_ref(), limit).await.map_err(Problem::fault)?;
        let unclaimed = page.unclaimed.into_iter().map(Record::of).collect();
        Reply::ok(&Listed { unclaimed, next: page.next.map(|next| next.to_string()) })
    }

    /// It needs no key: the object is one thing, and goes to one user, however often that is said.
    pub(crate) async fn attach(
        &self,
        request: &Request,
        operator: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        idempotency_key(request)?;
        let object: String = path(request, "object")?;
        let (Wanted { user, item }, _) = body(request)?;
        let (unclaimed, _) = self.recorded(&object).await?;
        let attached = self.settle.attach(&unclaimed, &user, item, now).await.map_err(settle_problem)?;
        if attached != Attached::Settled {
            return Err(self.not_attached(&object, attached, now).await);
        }
        let claim = Claim { user: user.clone(), operator: operator.clone(), at: now };
        self.store.claim_object(&object, &claim).await.map_err(Problem::fault)?;
        let (_, first) = self.recorded(&object).await?;
        let Claim { operator, at, .. } = first.unwrap_or(claim);
        let account = self.store.account(&user, Read::Consistent).await.map_err(Problem::fault)?;
        let wallet = account.advance(now).account.balances();
        Reply::ok(&Taken { object: &object, user: &user, operator: &operator, at: at.rfc3339(), wallet })
    }

    async fn recorded(&self, object: &str) -> Result<(Unclaimed, Option<Claim>), Problem> {
        let kept = self.store.unclaimed(object).await.map_err(Problem::fault)?;
        kept.ok_or_else(|| Problem::new(Code::NotFound, "nothing of that id is or was unclaimed"))
    }

    async fn not_attached(&self, object: &str, attached: Attached, now: Time) -> Problem {
        match attached {
            Attached::Settled => Problem::internal(format!("{object} was attached")),
            Attached::Owned(owner) => {
                let detail = format!("{object} is {owner}'s");
                Problem::new(Code::AlreadyOwned, detail).with("user", owner.as_str())
            }
            Attached::AnotherStack => {
                Problem::new(Code::AlreadyOwned, format!("{object} is another deployment's"))
            }
            Attached::Unfit(why) => Problem::new(Code::NotAttachable, why),
            Attached::UnknownItem(item) => {
                self.refused(domain::decide::Refusal::UnknownItem(item), now).await
            }
            Attached::Closed => self.refused(domain::decide::Refusal::Closed, now).await,
            Attached::Unclaimed(reason) => {
                let detail = format!(
                    "{object} is theirs now, but cannot be booked: {reason}. Mend that, and attach it again"
                );
                Problem::new(Code::NotAttachable, detail).with("reason", reason)
            }
            Attached::Missing => Problem::new(Code::NotFound, format!("Stripe has no {object}")),
        }
    }
}

impl Record {
    fn of(unclaimed: Unclaimed) -> Record {
        let Unclaimed { object, event, reason, at } = unclaimed;
        Record { object, reason, event, at: at.rfc3339() }
    }
}
