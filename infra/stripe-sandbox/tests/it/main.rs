//! The sandbox over real sockets: what a shop, a shopper and a webhook endpoint see of it.

mod catalog;
mod checkout;
mod deliveries;
mod kill;
mod pages;
mod requests;
mod stand;
mod typed;
