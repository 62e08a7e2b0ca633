//! What clients read: the account, its journal and the catalog as JSON shapes they can rely on.

mod account;
mod journal;
mod offers;
mod payment;
mod spending;
mod subscription;

pub use account::{AccountView, WalletView, account, wallet};
pub use journal::{EntryView, payments_named};
pub use offers::{PackageView, PlanView, packages, plans};
pub use payment::PaymentView;
pub use spending::{ConsumeView, HeldView, HoldEndView};
pub use subscription::SubscriptionView;
