//! What a connection to Stripe needs to know, refused early where it cannot work.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::Uri;

const STRIPE: &str = "https://api.stripe.com";

#[derive(Clone)]
pub struct Settings {
    /// `sk_…` or `rk_…`; its own text says whether it is live.
    pub secret_key: String,
    /// The deployment's name: written into everything created, and part of every idempotency key.
    pub stack: String,
    /// Another address than Stripe's own. Plain `http://` only on this machine.
    pub api_base: Option<String>,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
    /// How long a call may take with all its attempts and pauses.
    pub budget: Duration,
    /// How often a call is tried at most.
    pub attempts: u32,
    /// Through a pipe instead of a socket.
    pub in_process: Option<crate::InProcess>,
}

#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    #[error("the Stripe secret key is empty")]
    EmptyKey,
    #[error("the Stripe secret key must start with sk_test_, rk_test_, sk_live_ or rk_live_")]
    NotASecretKey,
    #[error("the stack must have a name")]
    NoStack,
    #[error("the Stripe address must be https://host, or http:// and a name of this machine")]
    BadApiBase,
    #[error("a live key goes only to an https:// address")]
    LiveKeyInTheClear,
    #[error("a call needs at least one attempt, and time for it")]
    NoPatience,
    #[error("the system's certificates cannot be read")]
    Certificates(#[source] std::io::Error),
}

impl Settings {
    pub fn new(secret_key: impl Into<String>, stack: impl Into<String>) -> Settings {
        Settings {
            secret_key: secret_key.into(),
            stack: stack.into(),
            api_base: None,
            attempt_timeout: Duration::from_secs(8),
            budget: Duration::from_secs(20),
            attempts: 4,
            in_process: None,
        }
    }

    pub(crate) fn livemode(&self) -> Result<bool, BadSettings> {
        if self.secret_key.is_empty() {
            return Err(BadSettings::EmptyKey);
        }
        let kind = self.secret_key.strip_prefix("sk_").or(self.secret_key.strip_prefix("rk_"));
        let (livemode, rest) = match kind.and_then(|kind| kind.split_once('_')) {
            Some(("live", rest)) => (true, rest),
            Some(("test", rest)) => (false, rest),
            _ => return Err(BadSettings::NotASecretKey),
        };
        if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadSettings::NotASecretKey);
        }
        Ok(livemode)
    }

    /// Scheme and host, without a trailing slash.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, BadSettings> {
        if self.stack.is_empty() {
            return Err(BadSettings::NoStack);
        }
        if self.attempts == 0 || self.budget.is_zero() || self.attempt_timeout.is_zero() {
            return Err(BadSettings::NoPatience);
        }
        let text = self.api_base.as_deref().unwrap_or(STRIPE);
        let uri: Uri = text.parse().map_err(|_| BadSettings::BadApiBase)?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !text.contains('@');
        let plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") if is_this_machine(uri.host().unwrap_or_default()) => true,
            _ => return Err(BadSettings::BadApiBase),
        };
        match bare {
            true if plain && self.livemode()? => Err(BadSettings::LiveKeyInTheClear),
            true => Ok(Endpoint { base: text.trim_end_matches('/').to_owned(), plain }),
            false => Err(BadSettings::BadApiBase),
        }
    }
}

pub(crate) struct Endpoint {
    pub base: String,
    /// Without TLS.
    pub plain: bool,
}

/// `host.docker.internal` is what containers call the machine they run on, as `sam local` makes them. Wherever the name
/// may lead, no money can go there: a live key is never sent in the clear.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    matches!(host, "localhost" | "host.docker.internal")
        || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("stack", &self.stack)
            .field("api_base", &self.api_base)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("budget", &self.budget)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_by_itself_whether_it_is_live() {
        for (key, livemode) in
            [("sk_test_1", false), ("rk_test_1", false), ("sk_live_1", true), ("rk_live_1", true)]
        {
            assert_eq!(Settings::new(key, "main").livemode().ok(), Some(livemode), "{key}");
        }
        assert!(matches!(Settings::new("", "main").livemode(), Err(BadSettings::EmptyKey)));
    }

    #[test]
    fn what_is_not_a_secret_key_is_refused() {
        for key in [
            "pk_test_1",
            "whsec_1",
            "sk_",
            "sk_test_",
            "sk_test_a b",
            "sk_test_1\n",
            " sk_test_1",
            "sk_other_1",
        ] {
            assert!(
                matches!(Settings::new(key, "main").livemode(), Err(BadSettings::NotASecretKey)),
                "{key:?}"
            );
        }
    }

    fn endpoint(key: &str, base: &str) -> Result<(String, bool), BadSettings> {
        let settings = Settings { api_base: Some(base.to_owned()), ..Settings::new(key, "main") };
        settings.endpoint().map(|endpoint| (endpoint.base, endpoint.plain))
    }

    #[test]
    fn plain_http_reaches_this_machine_only() {
        for base in [
            "http://127.0.0.1:9001",
            "http://localhost:9001/",
            "http://[::1]:9001",
            "http://127.8.0.1",
            "http://host.docker.internal:9001",
        ] {
            assert_eq!(endpoint("sk_test_1", base).ok(), Some((base.trim_end_matches('/').to_owned(), true)));
        }
        for base in [
            "http://api.stripe.com",
            "http://10.0.0.1",
            "http://localhost.example",
            "http://host.docker.internal.example",
            "http://127.0.0.1@evil.example",
        ] {
            assert!(matches!(endpoint("sk_test_1", base), Err(BadSettings::BadApiBase)), "{base}");
        }
    }

    #[test]
    fn an_address_is_a_scheme_and_a_host_and_nothing_more() {
        assert_eq!(
            endpoint("sk_test_1", "https://proxy.example").ok(),
            Some(("https://proxy.example".to_owned(), false))
        );
        for base in [
            "",
            "api.stripe.com",
            "ftp://127.0.0.1",
            "https://a.example/path",
            "https://a.example?q",
            "https://u@a.example",
        ] {
            assert!(matches!(endpoint("sk_test_1", base), Err(BadSettings::BadApiBase)), "{base}");
        }
    }

    #[test]
    fn a_live_key_is_never_sent_in_the_clear() {
        for base in ["http://127.0.0.1:9001", "http://host.docker.internal:9001"] {
            assert!(matches!(endpoint("sk_live_1", base), Err(BadSettings::LiveKeyInTheClear)), "{base}");
        }
        assert!(endpoint("sk_live_1", "https://api.stripe.com").is_ok());
    }
}
