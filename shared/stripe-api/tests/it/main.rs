//! What this crate promises, over real loopback sockets.

mod adopt;
mod against_sandbox;
mod answers;
mod apps_in_sandbox;
mod attempts;
mod changes;
mod changes_in_sandbox;
mod customers;
mod fixtures;
mod intents;
mod leads;
mod leads_in_sandbox;
mod orders;
mod paying;
mod plans_in_sandbox;
mod portals;
mod previews;
mod proxy;
mod reversals;
mod reversals_in_sandbox;
mod schedules;
mod sources;
mod subscribing;
mod subscriptions;
mod wire;

pub use stripe_api::{
    CheckoutOrder, Session, SessionStatus, Settings, Stripe, StripeError, Subscription, SubscriptionItem,
};
