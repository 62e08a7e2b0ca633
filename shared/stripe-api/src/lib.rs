//! stripe-api
