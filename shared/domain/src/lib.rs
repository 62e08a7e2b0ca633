//! The rules of the ledger and of the catalog: pure, with no IO, clock, randomness or async.
//!
//! Everything is a value: `now` and fresh ids come in as arguments, and [`decide`](decide::decide)
//! answers what an account becomes, without touching anything.

pub mod catalog;
pub mod cause;
pub mod ids;
pub mod money;
pub mod payment;
pub mod time;
pub mod request;
