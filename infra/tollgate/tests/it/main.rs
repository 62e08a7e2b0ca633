//! The whole trip, through HTTP, against the real stack on free ports.

mod account;
mod catalog;
mod checkout;
mod consume;
mod harness;
mod killed;
mod page;
mod purchase;
mod routes;
mod subscribe;
mod webhook;
