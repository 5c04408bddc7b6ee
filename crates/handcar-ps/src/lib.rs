//! The parameter server: tables of keys on servers, pushed to and pulled from by workers.
//!
//! [`engine`] holds state machines without I/O; [`driver`] runs the same engines in one process
//! ([`driver::local`]) or over TCP. A [`Worker`] looks the same over both. Updates are server functions: ordinary
//! types that implement [`Updater`], registered by name in a [`Registry`].
//!
//! Knows nothing about learning, data formats or tensors.
#![forbid(unsafe_code)]

pub mod carried;
pub mod checkpoint;
pub mod coordinator;
pub mod driver;
pub mod engine;
pub mod entries;
pub mod entry;
pub mod error;
pub mod filter;
pub mod message;
pub mod peer;
pub mod portion;
pub mod shard;
pub mod store;
pub mod updater;
pub mod values;

mod fault;
mod link;
mod locator;
mod lru;
mod positions;
mod probation;
mod registry;
mod transfer;
mod union;
mod worker;

pub use engine::policy::Policy;
pub use engine::task::Outcome;
pub use entries::Entries;
pub use entry::Entry;
pub use error::{Error, Result, Role};
pub use fault::Fault;
pub use link::Stats;
pub use message::{TableId, Task};
pub use portion::Portion;
pub use registry::Registry;
pub use shard::Shape;
pub use store::Store;
pub use transfer::Transfer;
pub use updater::Updater;
pub use values::{Dtype, Number, Values};
pub use worker::Worker;
