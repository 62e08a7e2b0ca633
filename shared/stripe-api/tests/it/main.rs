//! What this crate promises, over real loopback sockets.

mod against_sandbox;
mod answers;
mod attempts;
mod proxy;
mod sources;
mod wire;

pub use stripe_api::{CheckoutOrder, Session, SessionStatus, Settings, Stripe, StripeError};
