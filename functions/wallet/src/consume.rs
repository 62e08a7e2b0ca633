//! Spending at once.

use domain::cause::Operation;
use domain::decide::{Act, Command, Spend, What};
use domain::ids::{ActionId, UserId};
use domain::money::Tokens;
use domain::time::Time;
use domain::view::ConsumeView;
use edge::request::{body, once};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::Deserialize;

use crate::Wallet;

/// `{"action":"photo","amount":2}`, `{"action":"skip_level","tokens":30}` or `{"tokens":5}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consume {
    action: Option<ActionId>,
    tokens: Option<Tokens>,
    amount: Option<u64>,
}

impl Wallet {
    pub(crate) async fn consume(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let (wanted, json) = body::<Consume>(request)?;
        let once = once(request, user, Operation::Consume, &json)?;
        let act = Act::Consume(spend(wanted.action, wanted.tokens, wanted.amount)?);
        let command = Command { cause: once.cause, request: Some(once.hash), act };
        Reply::ok(&ConsumeView::new(&self.book(user, &command, now).await?))
    }
}

pub(crate) fn spend(
    action: Option<ActionId>,
    tokens: Option<Tokens>,
    amount: Option<u64>,
) -> Result<Spend, Problem> {
    let wrong = |detail| Err(Problem::new(Code::InvalidRequest, detail));
    if tokens == Some(Tokens::ZERO) || amount == Some(0) {
        return wrong("`tokens` and `amount` start at 1");
    }
    let what = match (action, tokens) {
        (Some(action), tokens) => What::Action { action, tokens },
        (None, Some(tokens)) => What::Tokens(tokens),
        (None, None) => return wrong("say what it is for: {\"action\":\"…\"} or {\"tokens\":5}"),
    };
    Ok(Spend { what, amount: amount.unwrap_or(1) })
}
