//! The whole trip, through HTTP, against the real stack on free ports.

mod account;
mod catalog;
mod checkout;
mod consume;
mod grants;
mod harness;
mod holds;
mod killed;
mod page;
mod purchase;
mod refunds;
mod routes;
mod subscribe;
mod webhook;
