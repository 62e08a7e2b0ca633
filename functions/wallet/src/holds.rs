//! Setting tokens aside, and spending them later or giving them back.

use std::ops::RangeInclusive;

use domain::cause::{Cause, Operation};
use domain::decide::{Act, Captured, Command, Refusal};
use domain::entry::Detail;
use domain::ids::{ActionId, HoldId, UserId};
use domain::money::Tokens;
use domain::request::RequestHash;
use domain::time::{DAY_MS, MINUTE_MS, SECOND_MS, Time, parse_duration_ms};
use domain::view::{HeldView, HoldEndView};
use edge::request::{body, once, path, required_key};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::Deserialize;
use serde_json::Value;

use crate::Wallet;
use crate::consume::spend;

/// As a consume, with how long the tokens wait: `{"action":"photo","amount":2,"ttl":"15m"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    action: Option<ActionId>,
    tokens: Option<Tokens>,
    amount: Option<u64>,
    ttl: Option<String>,
}

/// `{}` for all of it, or `{"tokens":10}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Capture {
    tokens: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {}

const USUAL_TTL_MS: i64 = 15 * MINUTE_MS;
const TTL_MS: RangeInclusive<i64> = SECOND_MS..=7 * DAY_MS;

impl Wallet {
    pub(crate) async fn hold(&self, request: &Request, user: &UserId, now: Time) -> Result<Reply, Problem> {
        let (wanted, json) = body::<Open>(request)?;
        let once = once(request, user, Operation::Hold, &json)?;
        let expires_at = now.plus_ms(ttl_ms(wanted.ttl.as_deref())?);
        let act = Act::Hold { spend: spend(wanted.action, wanted.tokens, wanted.amount)?, expires_at };
        let command = Command { cause: once.cause, request: Some(once.hash), act };
        let held = HeldView::new(&self.book(user, &command, now).await?);
        Reply::created(&held.ok_or_else(|| Problem::internal("this entry sets nothing aside"))?)
    }

    pub(crate) async fn capture(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let (wanted, json) = body::<Capture>(request)?;
        let captured = match wanted.tokens {
            None => Captured::All,
            Some(Tokens::ZERO) => {
                let detail = "`tokens` start at 1; to give back everything, release the hold";
                return Err(Problem::new(Code::InvalidRequest, detail));
            }
            Some(tokens) => Captured::Tokens(tokens),
        };
        self.end(request, user, captured, &json, now).await
    }

    pub(crate) async fn release(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let (Release {}, json) = body(request)?;
        self.end(request, user, Captured::Nothing, &json, now).await
    }

    /// A hold ends once, by whichever request comes first: its entry answers that one for ever, and tells the
    /// others what became of the hold.
    async fn end(
        &self,
        request: &Request,
        user: &UserId,
        wanted: Captured,
        json: &Value,
        now: Time,
    ) -> Result<Reply, Problem> {
        let hold: HoldId = path(request, "id")?;
        let key = required_key(request)?;
        let hash = request_hash(user, &hold, wanted, json);
        let act = Act::EndHold { hold: hold.clone(), wanted, key: key.clone() };
        let command = Command { cause: Cause::HoldEnd(hold.clone()), request: Some(hash), act };
        let entry = self.book(user, &command, now).await?;
        if entry.user != *user {
            // The same words as for one that never was.
            return Err(self.refused(Refusal::NoSuchHold(hold), now).await);
        }
        match &entry.detail {
            Detail::HoldEnd { key: first, captured, .. } if *first != key => {
                Err(already_resolved(&entry.cause, *captured))
            }
            _ if entry.request != command.request => Err(Problem::key_reused()),
            _ => {
                let ended = HoldEndView::new(&entry);
                Reply::ok(&ended.ok_or_else(|| Problem::internal("this entry ends no hold"))?)
            }
        }
    }
}

fn ttl_ms(text: Option<&str>) -> Result<i64, Problem> {
    let Some(text) = text else { return Ok(USUAL_TTL_MS) };
    let wrong =
        || Problem::new(Code::InvalidRequest, "`ttl` is from \"1s\" to \"7d\", such as \"90s\" or \"15m\"");
    parse_duration_ms(text).filter(|ms| TTL_MS.contains(ms)).ok_or_else(wrong)
}

/// Of the whole path below the user: which hold, and what is to become of it.
fn request_hash(user: &UserId, hold: &HoldId, wanted: Captured, body: &Value) -> RequestHash {
    let verb = if wanted == Captured::Nothing { "release" } else { "capture" };
    RequestHash::of(Operation::Hold, &[user.as_str(), hold.as_str(), verb], body)
}

fn already_resolved(cause: &Cause, captured: Tokens) -> Problem {
    let became = match captured {
        Tokens::ZERO => "released the hold".to_owned(),
        tokens => format!("captured {tokens} tokens of the hold"),
    };
    let problem = Problem::new(Code::AlreadyResolved, format!("another request came first, and {became}"));
    problem.with("captured", captured.get()).with("entry", cause.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hash(user: &str, hold: &str, wanted: Captured, body: Value) -> String {
        let (user, hold) = (UserId::parse(user).unwrap(), HoldId::parse(hold).unwrap());
        serde_json::to_string(&request_hash(&user, &hold, wanted, &body)).unwrap()
    }

    #[test]
    fn a_request_to_end_a_hold_is_told_by_user_hold_verb_and_body() {
        let first = hash("ada", "hold_1", Captured::All, json!({}));
        assert_ne!(first, hash("bob", "hold_1", Captured::All, json!({})));
        assert_ne!(first, hash("ada", "hold_2", Captured::All, json!({})));
        assert_ne!(first, hash("ada", "hold_1", Captured::Nothing, json!({})));
        let ten = Captured::Tokens(Tokens::new(10).unwrap());
        assert_ne!(first, hash("ada", "hold_1", ten, json!({"tokens": 10})));
        assert_eq!(
            first, "\"yH3n8b7H2GqF_fpt-hbbpAxTxfK3kEwybE8nNUFNsa8\"",
            "it never changes between deploys"
        );
    }

    #[test]
    fn a_hold_lasts_from_a_second_to_a_week() {
        assert_eq!(ttl_ms(None).unwrap(), 15 * MINUTE_MS);
        for (text, ms) in [("1s", SECOND_MS), ("90s", 90 * SECOND_MS), ("7d", 7 * DAY_MS), ("1w", 7 * DAY_MS)]
        {
            assert_eq!(ttl_ms(Some(text)).unwrap(), ms);
        }
        for wrong in ["0s", "8d", "604801s", "15", "-1m", "soon", ""] {
            assert_eq!(ttl_ms(Some(wrong)).unwrap_err().code, Code::InvalidRequest, "{wrong:?}");
        }
    }
}
