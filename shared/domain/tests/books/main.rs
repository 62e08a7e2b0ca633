//! What the books come to: lots, holds, reversals and subscriptions, by example and by law.

mod access;
mod alterations;
mod closing;
mod history;
mod holds;
mod lots;
mod previews;
mod replay;
mod reversals;
mod story;
mod subscriptions;
mod time;
mod trials;
mod upgrades;
