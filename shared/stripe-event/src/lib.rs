//! Stripe's events, from raw bytes to facts: pure, with no IO and no clock.
//!
//! `webhook` verifies and queues: [`Verifier`] → [`VerifiedEvent`] → [`Message`].
//! `credit` reads what it finds on the queue: [`Message::parse`] → [`decode`] → [`Fact`].
//! Between the two the body stays as Stripe sent it, byte for byte, so that a better decoder can read it again.

mod decode;
mod fields;
mod message;
mod signature;

pub use decode::{Event, Fact, Lead, Sighting, decode};
pub use fields::{Hint, Malformed};
pub use message::{BadMessage, Message};
pub use signature::{BadSecret, LARGEST_BODY, Rejected, TOLERANCE_SECONDS, VerifiedEvent, Verifier, sign};
