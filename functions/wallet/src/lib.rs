//! Spending tokens: parse, decide, one conditional write, reply.

use domain::cause::Operation;
use domain::decide::{Act, Command, Spend, What};
use domain::ids::ActionId;
use domain::money::Tokens;
use domain::time::Time;
use domain::view::ConsumeView;
use edge::request::{answer, body, no_such_route, once, route};
use edge::{Callers, Code, Env, Problem, Reply, StartError};
use lambda_http::{Body, Request, Response};
use serde::Deserialize;
use store::{Applied, Catalogs, HTTP_BUDGET, Store};

pub struct Wallet {
    store: Store,
    catalogs: Catalogs,
    callers: Callers,
}

impl Wallet {
    pub async fn from_env(env: &Env) -> Result<Wallet, StartError> {
        let (aws, endpoint, table) = edge::aws::table(env).await?;
        let store = Store::open(&aws, endpoint, &table, HTTP_BUDGET);
        let catalogs = Catalogs::start(store.clone(), edge::now()).await?;
        Ok(Wallet { store, catalogs, callers: Callers::from_env(env) })
    }

    pub async fn handle(&self, request: Request, now: Time) -> Response<Body> {
        let reply = async {
            match route(&request) {
                "POST /v1/me/consume" | "POST /v1/users/{user}/consume" => self.consume(&request, now).await,
                _ => Err(no_such_route(&request)),
            }
        };
        answer(&request, reply).await
    }

    async fn consume(&self, request: &Request, now: Time) -> Result<Reply, Problem> {
        let user = self.callers.subject(request)?;
        let (wanted, json) = body::<Consume>(request)?;
        let once = once(request, &user, Operation::Consume, &json)?;
        let act = Act::Consume(wanted.into_spend()?);
        let command = Command { cause: once.cause, request: Some(once.hash), act };
        let published = self.catalogs.current(now).await.map_err(Problem::fault)?;
        match self.store.apply(&user, &command, &self.catalogs, now).await.map_err(Problem::fault)? {
            Applied::Done(entry) | Applied::Before(entry) => Reply::ok(&ConsumeView::new(&entry)),
            Applied::Refused(refusal) => Err(Problem::refused(refusal, &published.catalog)),
            Applied::KeyReused => Err(Problem::key_reused()),
        }
    }
}

/// `{"action":"photo","amount":2}`, `{"action":"skip_level","tokens":30}` or `{"tokens":5}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consume {
    action: Option<ActionId>,
    tokens: Option<Tokens>,
    amount: Option<u64>,
}

impl Consume {
    fn into_spend(self) -> Result<Spend, Problem> {
        let wrong = |detail| Err(Problem::new(Code::InvalidRequest, detail));
        if self.tokens == Some(Tokens::ZERO) || self.amount == Some(0) {
            return wrong("`tokens` and `amount` start at 1");
        }
        let what = match (self.action, self.tokens) {
            (Some(action), tokens) => What::Action { action, tokens },
            (None, Some(tokens)) => What::Tokens(tokens),
            (None, None) => return wrong("say what to consume: {\"action\":\"…\"} or {\"tokens\":5}"),
        };
        Ok(Spend { what, amount: self.amount.unwrap_or(1) })
    }
}
