//! What this crate promises, over real loopback sockets.

mod against_sandbox;
mod answers;
mod attempts;
mod intents;
mod plans_in_sandbox;
mod proxy;
mod reversals;
mod reversals_in_sandbox;
mod sources;
mod subscriptions;
mod wire;

pub use stripe_api::{
    CheckoutOrder, Session, SessionStatus, Settings, Stripe, StripeError, Subscription, SubscriptionItem,
};
