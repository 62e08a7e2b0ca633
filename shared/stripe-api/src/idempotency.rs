//! Idempotency keys: always ours, always scoped to the stack, always short enough.

use sha2::{Digest, Sha256};
use stripe::{IdempotencyKey, RequestStrategy};

/// The key of `what` for `parts`. Hashed, because causes may be longer than Stripe's 255 characters,
/// and name the stack, because two stacks may share one Stripe account.
pub(crate) fn keyed(stack: &str, what: &str, parts: &[&str]) -> RequestStrategy {
    let mut hash = Sha256::new();
    for part in [stack].iter().chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let key =
        IdempotencyKey::new(format!("tollgate-{what}-{digest}")).expect("a short name and 64 digits fit");
    RequestStrategy::Idempotent(key)
}

/// A key for one call alone, so that the transport may repeat it. For what can be done twice without harm,
/// and must not be answered with what was true when it was done before.
pub(crate) fn keyed_once(stack: &str, what: &str) -> RequestStrategy {
    keyed(stack, what, &[&fastrand::u128(..).to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(stack: &str, parts: &[&str]) -> String {
        keyed(stack, "checkout", parts).get_key().unwrap().into_inner()
    }

    #[test]
    fn the_same_parts_make_the_same_key_and_any_other_another() {
        assert_eq!(key("main", &["a", "b"]), key("main", &["a", "b"]));
        let keys = [
            key("main", &["a", "b"]),
            key("main", &["ab"]),
            key("main", &["a", "b", ""]),
            key("maina", &["b"]),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[at + 1..].contains(one), "{keys:?}");
        }
    }

    #[test]
    fn the_longest_cause_still_fits() {
        assert!(key("main", &[&"%3A".repeat(500)]).len() <= 255);
    }
}
