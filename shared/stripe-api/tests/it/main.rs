//! What this crate promises, over real loopback sockets.

mod answers;
mod attempts;
mod sources;
mod wire;

pub use stripe_api::{CheckoutOrder, Session, SessionStatus, Settings, Stripe, StripeError};
