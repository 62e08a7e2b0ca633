//! What every adapter's error can tell: whether sending the same again may help.

/// A failure of something outside. Unknown outcomes count as retryable: causes make the retry safe.
pub trait Fault: std::error::Error {
    fn is_retryable(&self) -> bool;
}
