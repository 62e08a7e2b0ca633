//! The `tollgate` command: everything that a developer runs on their own machine.

mod api;
pub mod catalogs;
pub mod clock;
pub mod erase;
pub mod event;
pub mod export;
pub mod functions;
pub mod gateway;
pub mod grants;
pub mod keys;
pub mod local;
pub mod loopback;
pub mod poller;
pub mod ports;
mod progress;
pub mod prove;
pub mod publish;
pub mod queue;
pub mod stack;
pub mod template;
pub mod welcome;
mod whole_file;
