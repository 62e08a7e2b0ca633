//! What Stripe tells comes in any order and more than once, and people do two things at the same time. What must
//! come of it, whatever happens first.

mod doubles;
mod faults;
mod histories;
mod images;
mod orders;
mod rounds;
mod tales;
mod trials;
mod world;
