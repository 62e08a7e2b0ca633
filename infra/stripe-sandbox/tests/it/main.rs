//! The sandbox over real sockets: what a shop, a shopper and a webhook endpoint see of it.

mod catalog;
mod changes;
mod checkout;
mod deliveries;
mod disputes;
mod dunning;
mod invoices;
mod kill;
mod pages;
mod refunds;
mod renewals;
mod requests;
mod stand;
mod subscriptions;
mod typed;
