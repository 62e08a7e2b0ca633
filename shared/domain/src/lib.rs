//! The rules of the ledger and of the catalog: pure, with no IO, clock, randomness or async.
//!
//! Everything is a value: `now` and fresh ids come in as arguments, and [`decide`](decide::decide)
//! answers what an account becomes, without touching anything.

pub mod access;
pub mod account;
pub mod alteration;
pub mod catalog;
pub mod cause;
pub mod change;
pub mod decide;
pub mod draft;
pub mod entry;
pub mod fault;
pub mod follow;
pub mod hash;
pub mod hold;
pub mod ids;
pub mod item;
pub mod lot;
pub mod money;
pub mod mutants;
pub mod payment;
pub mod posting;
pub mod preview;
pub mod privacy;
pub mod replay;
pub mod request;
pub mod reversal;
pub mod subscription;
pub mod time;
pub mod trial;
pub mod view;
