//! Attacks the ledger harder than production will: many users, the real functions, domain, store and SDK over connectors
//! without a socket, a virtual clock, faults drawn from a seed, and witnesses who know nothing of how the ledger works.

pub mod allowances;
pub mod books;
pub mod clients;
pub mod crash;
pub mod crowd;
pub mod faults;
pub mod mail;
pub mod money;
pub mod once;
pub mod people;
pub mod privacy;
pub mod selling;
pub mod simulation;
pub mod sold;
pub mod table;
pub mod wire;
pub mod witness;
pub mod world;
