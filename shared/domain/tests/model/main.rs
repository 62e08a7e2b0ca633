//! Every order in which workers can meet at one account, tried out: what is real here are the decisions
//! (`decide`, `observe`, `Replay`), and what is modelled are the table and Stripe. Each rule of the write path is also
//! taken away once, to show that it is needed and that its loss would be found.

mod books;
mod explore;
mod holds;
mod spending;
mod syncs;
mod table;
mod writer;
