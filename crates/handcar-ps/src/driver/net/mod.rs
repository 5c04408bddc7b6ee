//! The network driver: TCP, frames with checksums, mio for scheduler and servers, the caller's thread for workers.
//!
//! One door each, with the listener handed in: [`listen`], [`run_scheduler`], [`run_server`], [`connect_worker`].

mod call;
mod carried;
mod codec;
mod config;
mod control;
mod copied;
#[cfg(test)]
mod forged_tests;
mod frame;
mod hub;
mod inbox;
mod keeper;
mod listen;
mod narrow;
mod outbox;
mod parcel;
mod peer;
mod peers;
mod scheduler;
mod server;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod start_tests;
mod watch;
#[cfg(test)]
mod wire_tests;
mod work;
mod worker;

pub use config::{LossHook, NodeConfig, SchedulerConfig};
pub use listen::listen;
pub use scheduler::run_scheduler;
pub use server::run_server;
pub use worker::connect_worker;
