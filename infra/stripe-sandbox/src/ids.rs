//! Ids that look like Stripe's.

pub fn fresh(prefix: &str) -> String {
    format!("{prefix}_{}", random(24))
}

pub fn random(length: usize) -> String {
    (0..length).map(|_| fastrand::alphanumeric()).collect()
}
