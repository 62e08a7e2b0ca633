//! How a good input is spoiled, so that what comes out still looks like one; `tests` has what it is done to.
//!
//! Bytes that mean nothing are refused by the first character of any parser; what finds mistakes is nearly right.
//! `cargo test` tries each target for a second at most. To go on for ten minutes each, with the checks of a debug
//! build and the speed of another:
//!
//! ```sh
//! export CARGO_PROFILE_DEV_OPT_LEVEL=3 CARGO_TARGET_DIR=target/fuzz
//! BOLERO_RANDOM_TEST_TIME_MS=600000 BOLERO_RANDOM_ITERATIONS=1000000000 cargo test -p fuzz
//! ```
//!
//! A failure prints its `BOLERO_RANDOM_SEED`, which finds it again. After `cargo install cargo-bolero` libfuzzer follows
//! the branches that an input takes, on the pinned toolchain too. That works in this crate alone, since every binary
//! that is built has to link the fuzzer; a crash is kept in `__fuzz__`, where `cargo test` finds it:
//!
//! ```sh
//! cargo bolero test -p fuzz --profile dev --sanitizer NONE -T 10m events::any_damage_to_an_event_is_answered
//! ```

mod json;
mod text;

pub use bolero::check;
pub use json::{JsonDamage, Odd};
pub use text::TextDamage;

/// One of several, whatever the number says.
pub fn one_of<T>(number: u16, several: &[T]) -> &T {
    &several[usize::from(number) % several.len()]
}
