//! The store over the real SDK, against an embedded DynamoDB.

mod budgets;
mod catalogs;
mod contention;
mod golden;
mod grants;
mod journal;
mod observe;
mod table;
