//! One grant: to a user, or to an email that a user may yet prove to be theirs.

use domain::cause::{Cause, Operation};
use domain::ids::UserId;
use domain::lot::Balances;
use domain::money::Tokens;
use domain::privacy::Email;
use domain::time::Time;
use edge::request::{Once, body, concealed, once};
use edge::{Problem, Reply};
use lambda_http::Request;
use serde::Serialize;
use store::{Addressee, Gift, Given, Recipient};

use crate::{Admin, end, invalid};

/// `{"user":"ada","tokens":50}` or `{"email":"a@b.c","tokens":50}`, with a `note` and `expires_at` if need be.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    user: Option<UserId>,
    email: Option<String>,
    tokens: Tokens,
    note: Option<String>,
    expires_at: Option<String>,
}

#[derive(Serialize)]
struct Granted<'a> {
    /// Where it waits, the cause under which it will be booked.
    entry: &'a Cause,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a UserId>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    tokens: Tokens,
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet: Option<Balances>,
}

impl Admin {
    pub(crate) async fn grant(
        &self,
        request: &Request,
        operator: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let (wanted, json) = body::<Wanted>(request)?;
        let once = once(request, operator, Operation::Grant, &concealed(&json, &self.keys))?;
        // Looked up before anything is checked: what was given once is answered, whatever changed since.
        let before = self.store.given(&once.cause, Some(&once.hash)).await.map_err(Problem::fault)?;
        let given = match before {
            Some(given) => given,
            None => self.give(&wanted, &once, operator, now).await?,
        };
        let (entry, tokens) = (&once.cause, wanted.tokens);
        match given {
            Given::To(booked) => {
                let (user, wallet) = (Some(&booked.user), Some(booked.after));
                Reply::created(&Granted { entry, user, pending: false, tokens, wallet })
            }
            Given::Waits => {
                Reply::created(&Granted { entry, user: None, pending: true, tokens, wallet: None })
            }
            Given::Refused(refusal) => Err(self.refused(refusal, now).await),
            Given::KeyReused => Err(Problem::key_reused()),
            Given::OverCap { left } => Err(self.over_cap(left, now)),
        }
    }

    async fn give(
        &self,
        wanted: &Wanted,
        once: &Once,
        operator: &UserId,
        now: Time,
    ) -> Result<Given, Problem> {
        if wanted.tokens.is_zero() {
            return Err(invalid("`tokens` start at 1"));
        }
        let gift = Gift {
            cause: once.cause.clone(),
            request: Some(once.hash.clone()),
            tokens: wanted.tokens,
            expires_at: end(wanted.expires_at.as_deref(), now)?,
            operator: operator.clone(),
            note: self.noted(wanted.note.as_deref())?,
            at: now,
        };
        let claimant;
        let recipient = match (&wanted.user, &wanted.email) {
            (Some(user), None) => Recipient::User(user),
            (None, Some(email)) => {
                let email = Email::parse(email).map_err(|error| invalid(format!("`email`: {error}")))?;
                claimant = self.keys.claimant(email);
                Recipient::Email(Addressee { hashes: &claimant.hashes, email: Some(&claimant.email) })
            }
            _ => return Err(invalid("say whom it is for: {\"user\":\"…\"} or {\"email\":\"…\"}")),
        };
        let given = self.store.give(&gift, recipient, Some(self.cap), &self.catalogs, now).await;
        given.map_err(Problem::fault)
    }
}
