//! The store over the real SDK, against an embedded DynamoDB.

mod attempts;
mod budgets;
mod catalogs;
mod contention;
mod erase;
mod golden;
mod grants;
mod journal;
mod observe;
mod payments;
mod table;
mod unclaimed;
