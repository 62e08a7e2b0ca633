//! Who is calling: only what API Gateway's authorizer has verified.

use domain::ids::UserId;
use domain::privacy::{Claimant, Email, PrivacyKeys};
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

use crate::env::{BadSetting, Env};
use crate::problem::{Code, Problem};

/// Reads callers from verified claims. Issuers name their scope claim differently, so it is a setting.
#[derive(Debug, Clone)]
pub struct Callers {
    scope_claim: String,
    /// Without them no email can claim anything.
    privacy: Option<PrivacyKeys>,
}

/// Scopes that may act for any user.
const FOR_ANY_USER: [&str; 2] = ["service", "admin"];

impl Callers {
    pub fn from_env(env: &Env) -> Result<Callers, BadSetting> {
        let scope_claim = env.optional("SCOPE_CLAIM").unwrap_or_else(|| "scope".to_owned());
        Ok(Callers { scope_claim, privacy: env.privacy_keys()? })
    }

    /// Whom the request is about: the caller on `/v1/me/…`, the named user on `/v1/users/{user}/…`.
    pub fn subject(&self, request: &Request) -> Result<UserId, Problem> {
        let parameters = request.path_parameters_ref();
        match parameters.and_then(|parameters| parameters.first("user")) {
            None => self.user(request),
            Some(user) if self.has_scope(request, &FOR_ANY_USER) => {
                UserId::parse(user).map_err(|error| Problem::new(Code::InvalidRequest, error.to_string()))
            }
            Some(_) => Err(Problem::new(
                Code::Forbidden,
                "this route needs the scope `service` or `admin`; for your own account use /v1/me",
            )),
        }
    }

    /// Who operates: the caller, if their scope is `admin`.
    pub fn operator(&self, request: &Request) -> Result<UserId, Problem> {
        match self.has_scope(request, &["admin"]) {
            true => self.user(request),
            false => Err(Problem::new(Code::Forbidden, "this route needs the scope `admin`")),
        }
    }

    /// Callers who act for themselves and whose email their identity provider has verified.
    pub fn claimant(&self, request: &Request) -> Option<Claimant> {
        let parameters = request.path_parameters_ref();
        let names_another = parameters.is_some_and(|parameters| parameters.first("user").is_some());
        if names_another || claim(request, "email_verified")? != "true" {
            return None;
        }
        let email = Email::parse(&claim(request, "email")?).ok()?;
        Some(self.privacy.as_ref()?.claimant(email))
    }

    fn user(&self, request: &Request) -> Result<UserId, Problem> {
        let sub = claim(request, "sub").ok_or_else(|| {
            Problem::new(Code::Unauthenticated, "send a bearer token whose `sub` names the user")
        })?;
        UserId::parse(sub)
            .map_err(|error| Problem::new(Code::Unauthenticated, format!("the token's `sub`: {error}")))
    }

    fn has_scope(&self, request: &Request, wanted: &[&str]) -> bool {
        // API Gateway prints an array claim as `[a b]`.
        let scopes = claim(request, &self.scope_claim).unwrap_or_default();
        let scopes = scopes.trim_start_matches('[').trim_end_matches(']');
        scopes.split([' ', ',']).any(|scope| wanted.contains(&scope))
    }
}

fn claim(request: &Request, name: &str) -> Option<String> {
    let RequestContext::ApiGatewayV2(context) = request.request_context_ref()? else { return None };
    context.authorizer.as_ref()?.jwt.as_ref()?.claims.get(name).cloned()
}
