//! Spending tokens, at once or in two steps: parse, decide, one conditional write, reply.

mod consume;
mod holds;

use domain::decide::{Command, Refusal};
use domain::entry::Entry;
use domain::ids::UserId;
use domain::privacy::Claimant;
use domain::time::Time;
use edge::request::{answer, no_such_route, route_for_user};
use edge::{Callers, Env, Problem, StartError};
use lambda_http::{Body, Request, Response};
use store::{Applied, Catalogs, HTTP_BUDGET, Store};

#[derive(Clone)]
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
        Ok(Wallet::new(store, catalogs, Callers::from_env(env)?))
    }

    pub fn new(store: Store, catalogs: Catalogs, callers: Callers) -> Wallet {
        Wallet { store, catalogs, callers }
    }

    pub async fn handle(&self, request: Request, now: Time) -> Response<Body> {
        let reply = async {
            let user = self.callers.subject(&request)?;
            let wallet = self.clone().claiming(self.callers.claimant(&request));
            match route_for_user(&request).as_str() {
                "POST /v1/me/consume" => wallet.consume(&request, &user, now).await,
                "POST /v1/me/holds" => wallet.hold(&request, &user, now).await,
                "POST /v1/me/holds/{id}/capture" => wallet.capture(&request, &user, now).await,
                "POST /v1/me/holds/{id}/release" => wallet.release(&request, &user, now).await,
                _ => Err(no_such_route(&request)),
            }
        };
        answer(&request, reply).await
    }

    /// What waits for the caller's email is theirs before anything else is decided.
    fn claiming(self, claimant: Option<Claimant>) -> Wallet {
        Wallet { store: self.store.claiming(claimant), ..self }
    }

    /// The entry that answers a command, whether it was written now or before.
    async fn book(&self, user: &UserId, command: &Command, now: Time) -> Result<Entry, Problem> {
        match self.store.apply(user, command, &self.catalogs, now).await.map_err(Problem::fault)? {
            Applied::Done(entry) | Applied::Before(entry) => Ok(entry),
            Applied::Refused(refusal) => Err(self.refused(refusal, now).await),
            Applied::KeyReused => Err(Problem::key_reused()),
        }
    }

    async fn refused(&self, refusal: Refusal, now: Time) -> Problem {
        match self.catalogs.current(now).await {
            Ok(published) => Problem::refused(refusal, &published.catalog),
            Err(error) => Problem::fault(error),
        }
    }
}
