//! The whole trip, through HTTP, against the real stack on free ports.

mod account;
mod any_request;
mod attempts;
mod batches;
mod billing;
mod catalog;
mod changes;
mod checkout;
mod consume;
mod erase;
mod grants;
mod harness;
mod holds;
mod killed;
mod page;
mod payments;
mod prove;
mod purchase;
mod refunds;
mod retainer;
mod routes;
mod states;
mod subscribe;
mod thin;
mod unclaimed;
mod webhook;
