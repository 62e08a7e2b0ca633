//! What the books come to: lots, holds, reversals and subscriptions, by example and by law.

mod history;
mod holds;
mod lots;
mod reversals;
mod story;
mod subscriptions;
mod time;
