//! stripe-event
