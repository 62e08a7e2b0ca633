//! Settings by name. A missing or malformed one stops the start and is named.

use std::collections::BTreeMap;

use domain::privacy::PrivacyKeys;

/// Where settings come from: the process, or pairs given by the local stack and tests.
#[derive(Clone)]
pub enum Env {
    Process,
    Given(BTreeMap<&'static str, String>),
}

/// A setting that keeps a function from starting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    #[error("the setting {0} is missing: set it in template.yaml, or in the environment for a local run")]
    Missing(&'static str),
    #[error("the setting {name} is wrong: {problem}")]
    Wrong { name: &'static str, problem: String },
}

impl Env {
    pub fn given(pairs: impl IntoIterator<Item = (&'static str, String)>) -> Env {
        Env::Given(pairs.into_iter().collect())
    }

    /// The setting, or `None` if it is absent or blank.
    pub fn optional(&self, name: &'static str) -> Option<String> {
        let value = match self {
            Env::Process => std::env::var(name).ok(),
            Env::Given(pairs) => pairs.get(name).cloned(),
        };
        value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub fn required(&self, name: &'static str) -> Result<String, BadSetting> {
        self.optional(name).ok_or(BadSetting::Missing(name))
    }

    /// A comma-separated list; absent means empty.
    pub fn list(&self, name: &'static str) -> Vec<String> {
        let list = self.optional(name).unwrap_or_default();
        list.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    }

    /// `PRIVACY_KEYS`: what personal data is hashed with.
    pub fn privacy_keys(&self) -> Result<Option<PrivacyKeys>, BadSetting> {
        let name = "PRIVACY_KEYS";
        let keys = self.optional(name).map(|text| PrivacyKeys::parse(&text)).transpose();
        keys.map_err(|error| BadSetting::Wrong { name, problem: error.to_string() })
    }

    pub fn required_privacy_keys(&self) -> Result<PrivacyKeys, BadSetting> {
        self.privacy_keys()?.ok_or(BadSetting::Missing("PRIVACY_KEYS"))
    }

    /// A setting that must be one of a few words; absent means the first.
    pub fn choice(&self, name: &'static str, allowed: &[&'static str]) -> Result<&'static str, BadSetting> {
        let Some(value) = self.optional(name) else { return Ok(allowed[0]) };
        let chosen = allowed.iter().find(|word| **word == value);
        let problem = || format!("it must be one of {}", allowed.join(", "));
        chosen.copied().ok_or_else(|| BadSetting::Wrong { name, problem: problem() })
    }
}

/// Settings hold secrets, so only their names are ever printed.
impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Env::Process => f.write_str("Env::Process"),
            Env::Given(pairs) => f.debug_set().entries(pairs.keys()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_blank_setting_is_named() {
        let env = Env::given([("TABLE_NAME", " ".to_owned())]);
        for name in ["TABLE_NAME", "QUEUE_URL"] {
            let error = env.required(name).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn printing_settings_shows_names_only() {
        let env = Env::given([("STRIPE_SECRET_KEY", "sk_test_1".to_owned())]);
        assert_eq!(format!("{env:?}"), "{\"STRIPE_SECRET_KEY\"}");
    }

    #[test]
    fn a_choice_outside_its_words_is_refused() {
        let env = Env::given([("STRIPE_MODE", "prod".to_owned())]);
        assert!(env.choice("STRIPE_MODE", &["test", "live"]).is_err());
        assert_eq!(Env::given([]).choice("STRIPE_MODE", &["test", "live"]), Ok("test"));
    }
}
