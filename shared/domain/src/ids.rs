//! Prefixed, checked identifiers. A value of one of these types has been validated.

use serde::{Deserialize, Serialize};

/// Why a text is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct BadId {
    what: &'static str,
    problem: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(String);

        impl $name {
            pub fn parse(text: impl Into<String>) -> Result<Self, BadId> {
                let text = text.into();
                match $check(&text) {
                    None => Ok(Self(text)),
                    Some(problem) => Err(BadId { what: $what, problem }),
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                Self::parse(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::parse(text)
            }
        }
    };
}

id!(/** A user as the identity provider's `sub` names them: 1 to 128 bytes. */ UserId, "user id", user);
id!(/** What a client sends as `Idempotency-Key`: 1 to 128 visible ASCII characters. */ RequestKey, "Idempotency-Key", request_key);
id!(/** Stripe's `cus_…`. */ CustomerId, "customer id", customer);
id!(/** Stripe's `cs_…`: a Checkout session. */ CheckoutId, "checkout id", checkout);
id!(/** Stripe's `pi_…`, or `cs_…` where a paid session has no intent. */ PaymentId, "payment id", payment);
id!(/** Stripe's `price_…`, or whatever an existing account calls its price. */ PriceId, "price id", stripe_object);
id!(/** Stripe's `sub_…`. */ SubscriptionId, "subscription id", subscription);
id!(/** Stripe's `in_…`. */ InvoiceId, "invoice id", invoice);
id!(/** Stripe's `ch_…`, or `py_…` where no card was charged. */ ChargeId, "charge id", stripe_object);
id!(/** Stripe's `pm_…`, or what a card was called before there were payment methods. */ PaymentMethodId, "payment method id", stripe_object);
id!(/** Stripe's `seti_…`: a payment method on its way to be kept. */ SetupId, "setup id", setup);
id!(/** Ours, `hold_…`: tokens set aside. */ HoldId, "hold id", hold);
id!(/** Ours, `job_…`: many grants at once. */ JobId, "job id", job);
id!(/** Stripe's `evt_…`. */ EventId, "event id", event);
id!(/** A token package of the catalog. */ PackageId, "package id", catalog_word);
id!(/** A plan of the catalog. */ PlanId, "plan id", catalog_word);
id!(/** Something a user does that costs tokens. */ ActionId, "action id", catalog_word);
id!(/** Something a plan allows: a flag, a gauge or a meter. */ FeatureId, "feature id", catalog_word);

fn user(text: &str) -> Option<&'static str> {
    // Stripe's metadata must give it back exactly as it was written.
    let odd = text.trim() != text || text.chars().any(char::is_control);
    match text.len() {
        0 => Some("must not be empty"),
        1..=128 if odd => Some("must have no control characters and no space at its ends"),
        1..=128 => None,
        _ => Some("must be at most 128 bytes"),
    }
}

fn request_key(text: &str) -> Option<&'static str> {
    if text.is_empty() || text.len() > 128 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some("must be 1 to 128 visible ASCII characters");
    }
    None
}

fn stripe_object(text: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if text.is_empty() || text.len() > 255 || !text.bytes().all(plain) {
        return Some("must be 1 to 255 letters, digits, `_` or `-`");
    }
    None
}

fn prefixed(text: &str, prefix: &str, problem: &'static str) -> Option<&'static str> {
    match text.strip_prefix(prefix) {
        Some(rest) => stripe_object(rest),
        None => Some(problem),
    }
}

fn customer(text: &str) -> Option<&'static str> {
    prefixed(text, "cus_", "must start with `cus_`")
}

fn checkout(text: &str) -> Option<&'static str> {
    prefixed(text, "cs_", "must start with `cs_`")
}

fn event(text: &str) -> Option<&'static str> {
    prefixed(text, "evt_", "must start with `evt_`")
}

fn subscription(text: &str) -> Option<&'static str> {
    prefixed(text, "sub_", "must start with `sub_`")
}

fn invoice(text: &str) -> Option<&'static str> {
    prefixed(text, "in_", "must start with `in_`")
}

fn setup(text: &str) -> Option<&'static str> {
    prefixed(text, "seti_", "must start with `seti_`")
}

fn hold(text: &str) -> Option<&'static str> {
    prefixed(text, "hold_", "must start with `hold_`")
}

fn job(text: &str) -> Option<&'static str> {
    prefixed(text, "job_", "must start with `job_`")
}

fn payment(text: &str) -> Option<&'static str> {
    match text.starts_with("cs_") {
        true => stripe_object(text),
        false => prefixed(text, "pi_", "must start with `pi_` or `cs_`"),
    }
}

fn catalog_word(text: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
        return Some("must be 1 to 64 lower-case letters, digits, `_` or `-`");
    }
    None
}
