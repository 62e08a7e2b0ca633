//! The customer portal: what a customer may do is in `configurations`, who may do it in `sessions`, what they
//! do in `deeds`. Its page is `pages::portal`.

pub mod cards;
pub mod changes;
pub mod configurations;
pub mod deeds;
mod features;
mod flows;
pub mod offers;
pub mod sessions;
