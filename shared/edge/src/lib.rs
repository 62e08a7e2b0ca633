//! What every function's edge needs: settings, callers, problems, replies, batches, logs and counters.

pub mod aws;
pub mod batch;
pub mod caller;
pub mod env;
pub mod metrics;
pub mod problem;
mod refusal;
pub mod request;
mod serve;

pub use caller::Callers;
pub use env::{BadSetting, Env};
pub use problem::{Code, Problem};
pub use request::Reply;
/// Why a function did not start. Its text names the setting or the service.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

pub use serve::{now, serve_batches, serve_http, start};
