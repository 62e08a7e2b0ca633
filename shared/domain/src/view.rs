//! What clients read: the account, its journal and the catalog as JSON shapes they can rely on.

mod account;
mod journal;
mod offers;

pub use account::{AccountView, WalletView, account, wallet};
pub use journal::{ConsumeView, EntryView};
pub use offers::{PackageView, PlanView, packages, plans};
