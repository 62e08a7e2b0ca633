//! What there is to buy, and what a user has. Reads only.

mod payments;

use domain::account::Account;
use domain::catalog::Shelf;
use domain::cause::Cause;
use domain::entry::Detail;
use domain::ids::UserId;
use domain::money::Tokens;
use domain::time::Time;
use domain::view::{self, AccountView, EntryView, PackageView, PlanView};
use edge::request::{answer, no_such_route, page_size, query, route_for_user};
use edge::{Callers, Code, Env, Problem, Reply, StartError};
use lambda_http::{Body, Request, Response};
use serde::Serialize;
use store::{Catalogs, Gift, HTTP_BUDGET, Read, Store, Wanted};

pub struct Entitlements {
    store: Store,
    catalogs: Catalogs,
    callers: Callers,
}

#[derive(Serialize)]
struct Plans<'a> {
    plans: Vec<PlanView<'a>>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Packages<'a> {
    packages: Vec<PackageView<'a>>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Entries {
    entries: Vec<EntryView>,
    next: Option<String>,
}

/// `GET /v1/me`: the account, and what it does not have yet.
#[derive(Serialize)]
struct Me {
    #[serde(flatten)]
    account: AccountView,
    /// Absent for callers without a verified email.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_grants: Option<Vec<PendingGrant>>,
}

#[derive(Serialize)]
struct PendingGrant {
    tokens: Tokens,
    expires_at: Option<String>,
}

impl PendingGrant {
    fn of(gift: &Gift) -> PendingGrant {
        PendingGrant { tokens: gift.tokens, expires_at: gift.expires_at.map(Time::rfc3339) }
    }
}

impl Entitlements {
    pub async fn from_env(env: &Env) -> Result<Entitlements, StartError> {
        let (aws, endpoint, table) = edge::aws::table(env).await?;
        let store = Store::open(&aws, endpoint, &table, HTTP_BUDGET);
        let catalogs = Catalogs::start(store.clone(), edge::now()).await?;
        Ok(Entitlements::new(store, catalogs, Callers::from_env(env)?))
    }

    pub fn new(store: Store, catalogs: Catalogs, callers: Callers) -> Entitlements {
        Entitlements { store, catalogs, callers }
    }

    pub async fn handle(&self, request: Request, now: Time) -> Response<Body> {
        let reply = async {
            match route_for_user(&request).as_str() {
                "GET /v1/plans" => self.plans(now).await,
                "GET /v1/packages" => self.packages(now).await,
                "GET /v1/me" => self.account(&request, now).await,
                "GET /v1/me/wallet" => self.wallet(&request, now).await,
                "GET /v1/me/wallet/entries" => self.entries(&request, now).await,
                "GET /v1/me/payments" => self.payments(&request).await,
                _ => Err(no_such_route(&request)),
            }
        };
        answer(&request, reply).await
    }

    async fn plans(&self, now: Time) -> Result<Reply, Problem> {
        let published = self.catalogs.current(now).await.map_err(Problem::fault)?;
        Reply::public(&Plans { plans: view::plans(&published.catalog), next: None })
    }

    async fn packages(&self, now: Time) -> Result<Reply, Problem> {
        let published = self.catalogs.current(now).await.map_err(Problem::fault)?;
        Reply::public(&Packages { packages: view::packages(&published.catalog), next: None })
    }

    async fn account(&self, request: &Request, now: Time) -> Result<Reply, Problem> {
        let (account, shelf) = self.state(request, now).await?;
        let pending_grants = self.pending_grants(request, &account, now).await?;
        Reply::ok(&Me { account: view::account(&account, &shelf, now), pending_grants })
    }

    /// What the caller's next write will claim. Asked for only if their email is verified and not claimed yet.
    async fn pending_grants(
        &self,
        request: &Request,
        account: &Account,
        now: Time,
    ) -> Result<Option<Vec<PendingGrant>>, Problem> {
        let Some(claimant) = self.callers.claimant(request) else { return Ok(None) };
        if account.claimed == claimant.mark() || account.closed.is_some() {
            return Ok(Some(Vec::new()));
        }
        let waiting = self.store.waiting_for(&account.user, &claimant).await.map_err(Problem::fault)?;
        let waiting = waiting.iter().filter(|gift| !gift.is_over(now));
        Ok(Some(waiting.map(PendingGrant::of).collect()))
    }

    async fn wallet(&self, request: &Request, now: Time) -> Result<Reply, Problem> {
        let (account, shelf) = self.state(request, now).await?;
        Reply::ok(&view::wallet(&account, &shelf, now))
    }

    /// The caller's account, and the catalogs that say what it means.
    async fn state(&self, request: &Request, now: Time) -> Result<(Account, Shelf), Problem> {
        let user = self.callers.subject(request)?;
        let account = self.store.account(&user, Read::Eventual).await.map_err(Problem::fault)?;
        let shelf = self.catalogs.shelf_of(&account, now).await.map_err(Problem::fault)?;
        Ok((account, shelf))
    }

    async fn entries(&self, request: &Request, now: Time) -> Result<Reply, Problem> {
        let user = self.callers.subject(request)?;
        if let Some(cause) = query::<Cause>(request, "cause")? {
            let entry = self.store.entry(&cause).await.map_err(Problem::fault)?;
            let entry = entry.filter(|entry| entry.user == user);
            return Reply::ok(&Entries { entries: self.joined(entry.as_slice()).await?, next: None });
        }
        let limit = page_size(request)?;
        let wanted = wanted(request)?;
        let shows_pending = wanted == Wanted::default();
        let pending = if shows_pending { self.pending(&user, now).await? } else { None };
        let page = self.store.journal(&user, &wanted, limit).await.map_err(Problem::fault)?;
        let entries = pending.into_iter().chain(self.joined(&page.entries).await?).collect();
        Reply::ok(&Entries { entries, next: page.next.map(|seq| seq.to_string()) })
    }

    /// What time alone has done since the last write; it belongs on top of the first page.
    async fn pending(&self, user: &UserId, now: Time) -> Result<Option<EntryView>, Problem> {
        let account = self.store.account(user, Read::Eventual).await.map_err(Problem::fault)?;
        Ok(EntryView::pending(&account, now))
    }
}

/// `?kind=purchase&from=2026-11-01T00:00:00Z&to=…&cursor=…`
fn wanted(request: &Request) -> Result<Wanted, Problem> {
    let kind = query::<String>(request, "kind")?;
    if let Some(unknown) = kind.as_deref().filter(|kind| !Detail::KINDS.contains(kind)) {
        let known = Detail::KINDS.join(", ");
        let detail = format!("no entry is of the kind {unknown:?}; the kinds are {known}");
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    Ok(Wanted {
        below: query(request, "cursor")?,
        kind,
        from: moment(request, "from")?,
        to: moment(request, "to")?,
    })
}

fn moment(request: &Request, name: &str) -> Result<Option<Time>, Problem> {
    let Some(text) = query::<String>(request, name)? else { return Ok(None) };
    let time = Time::parse_rfc3339(&text);
    let wrong = || format!("`{name}` is a time such as 2026-11-21T00:00:00Z, not {text:?}");
    time.map(Some).ok_or_else(|| Problem::new(Code::InvalidRequest, wrong()))
}
