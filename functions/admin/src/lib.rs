//! What operators do: give tokens, to one or to many at once, and money back.

mod bulk;
mod erase;
mod export;
mod grant;
mod refund;
mod search;
mod slice;
mod unclaimed;

use domain::decide::Refusal;
use domain::ids::UserId;
use domain::money::Tokens;
use domain::privacy::PrivacyKeys;
use domain::time::{DAY_MS, Time};
use edge::request::{answer, no_such_route, route};
use edge::{BadSetting, Callers, Code, Env, Problem, Reply, StartError};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use lambda_http::{Body, Request, Response};
use settle::{Settle, in_time};
use store::{Catalogs, DailyCap, HTTP_BUDGET, Store};

pub struct Admin {
    store: Store,
    catalogs: Catalogs,
    callers: Callers,
    keys: PrivacyKeys,
    cap: DailyCap,
    settle: Settle,
}

type Routed<'a> = BoxFuture<'a, Result<Reply, Problem>>;

/// Tokens that one operator may give in a day, unless a setting says otherwise.
const USUAL_DAILY_CAP: u64 = 1_000_000;
const LONGEST_NOTE: usize = 1_000;

impl Admin {
    pub async fn from_env(env: &Env) -> Result<Admin, StartError> {
        let keys = env.required_privacy_keys()?;
        let cap = daily_cap(env)?;
        let (aws, endpoint, table) = edge::aws::table(env).await?;
        let store = Store::open(&aws, endpoint, &table, HTTP_BUDGET);
        let catalogs = Catalogs::start(store.clone(), edge::now()).await?;
        // It calls Stripe when it is asked to: grants are given whether or not Stripe is there.
        let settle = Settle::from_env(env, store.clone(), catalogs.clone())?;
        Ok(Admin { cap, ..Admin::new(store, catalogs, settle, Callers::from_env(env)?, keys) })
    }

    /// With the usual cap.
    pub fn new(
        store: Store,
        catalogs: Catalogs,
        settle: Settle,
        callers: Callers,
        keys: PrivacyKeys,
    ) -> Admin {
        Admin { store, catalogs, callers, keys, cap: usual_cap(), settle }
    }

    pub async fn handle(&self, request: Request, now: Time) -> Response<Body> {
        let reply = async {
            let operator = self.callers.operator(&request)?;
            self.routed(&request, &operator, now).await
        };
        answer(&request, reply).await
    }

    /// Each trip in a box of its own: in one future they would need room for all at once, and the stack is not endless.
    fn routed<'a>(&'a self, request: &'a Request, operator: &'a UserId, now: Time) -> Routed<'a> {
        match route(request) {
            "POST /v1/admin/grants" => self.grant(request, operator, now).boxed(),
            "POST /v1/admin/grants:bulk" => self.open_bulk(request, operator, now).boxed(),
            "POST /v1/admin/grants:bulk/{job}/continue" => self.continue_bulk(request, now).boxed(),
            "GET /v1/admin/grants:bulk/{job}" => self.show_bulk(request).boxed(),
            "GET /v1/admin/payments" => in_time(self.search_payments(request, now)).boxed(),
            "POST /v1/admin/refunds" => in_time(self.refund(request, operator, now)).boxed(),
            "GET /v1/admin/unclaimed" => self.list_unclaimed(request).boxed(),
            "POST /v1/admin/unclaimed/{object}/attach" => {
                in_time(self.attach(request, operator, now)).boxed()
            }
            "GET /v1/admin/users/{user}/export" => self.export(request, now).boxed(),
            "POST /v1/admin/users/{user}/erase" => in_time(self.erase(request, operator, now)).boxed(),
            _ => ready(Err(no_such_route(request))).boxed(),
        }
    }

    fn over_cap(&self, left: Tokens, now: Time) -> Problem {
        let cap = self.cap.0;
        let detail = format!("you may give {cap} tokens a day, and {left} are left");
        let resets_at = Time::from_millis((now.millis().div_euclid(DAY_MS) + 1) * DAY_MS);
        Problem::new(Code::GrantCapReached, detail)
            .with("cap", cap.get())
            .with("left", left.get())
            .with("resets_at", resets_at.rfc3339())
    }

    async fn refused(&self, refusal: Refusal, now: Time) -> Problem {
        match self.catalogs.current(now).await {
            Ok(published) => Problem::refused(refusal, &published.catalog),
            Err(error) => Problem::fault(error),
        }
    }

    /// The words of a note, with the hash that stands for them in the books.
    fn noted(&self, note: Option<&str>) -> Result<Option<(String, domain::privacy::KeyedHash)>, Problem> {
        let Some(note) = note.filter(|note| !note.is_empty()) else { return Ok(None) };
        if note.len() > LONGEST_NOTE {
            return Err(invalid(format!("a `note` has at most {LONGEST_NOTE} bytes")));
        }
        Ok(Some((note.to_owned(), self.keys.note(note))))
    }
}

fn usual_cap() -> DailyCap {
    DailyCap(Tokens::new(USUAL_DAILY_CAP).unwrap_or(Tokens::MAX))
}

fn daily_cap(env: &Env) -> Result<DailyCap, BadSetting> {
    let name = "GRANT_DAILY_CAP";
    let Some(text) = env.optional(name) else { return Ok(usual_cap()) };
    let cap = text.parse().ok().and_then(Tokens::new);
    let problem = format!("it must be a number of tokens up to {}", Tokens::MAX);
    cap.map(DailyCap).ok_or(BadSetting::Wrong { name, problem })
}

/// When what is given ends, in RFC 3339 and not over yet.
fn end(expires_at: Option<&str>, now: Time) -> Result<Option<Time>, Problem> {
    let Some(text) = expires_at else { return Ok(None) };
    let end = Time::parse_rfc3339(text);
    let end = end.ok_or_else(|| invalid("`expires_at` is a time such as 2027-01-31T00:00:00Z"))?;
    if end <= now { Err(invalid("`expires_at` is over")) } else { Ok(Some(end)) }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_keys_for_personal_data_it_does_not_start() {
        for (given, problem) in [("", "missing"), ("1:short", "wrong")] {
            let env = Env::given([("PRIVACY_KEYS", given.to_owned())]);
            let error = Admin::from_env(&env).await.err().unwrap().to_string();
            assert!(error.contains("PRIVACY_KEYS") && error.contains(problem), "{error}");
            assert!(!error.contains("short"), "{error}");
        }
    }

    #[test]
    fn a_daily_cap_is_a_number_of_tokens() {
        let cap = |text: &str| daily_cap(&Env::given([("GRANT_DAILY_CAP", text.to_owned())]));
        assert_eq!(cap("0"), Ok(DailyCap(Tokens::ZERO)));
        assert_eq!(cap(""), Ok(DailyCap(Tokens::new(1_000_000).unwrap())));
        for wrong in ["-1", "1e6", "many", "9007199254740993"] {
            assert!(cap(wrong).unwrap_err().to_string().contains("GRANT_DAILY_CAP"), "{wrong}");
        }
    }
}
