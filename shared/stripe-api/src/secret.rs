//! What an app shows Stripe to pay with, or to leave a way to pay.

use std::fmt;

use serde::Serialize;

/// Lets whoever has it confirm one intent, so it goes to that buyer alone and into no log.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ClientSecret(String);

impl ClientSecret {
    pub(crate) fn new(secret: String) -> ClientSecret {
        ClientSecret(secret)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Nothing is paid with it now: it leaves a way to pay later.
    pub fn is_of_setup(&self) -> bool {
        self.0.starts_with("seti_")
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret")
    }
}
