//! Losses, penalties, solvers, metrics and models: how handcar learns.
//!
//! A solver has two halves that were designed together: worker code that streams its rows, and an updater that the
//! parameter server runs where the weights live. [`job::fit`] is the entry; it runs the same over a server in this
//! process and over many in a cluster.
//!
//! Knows nothing about command lines, terminals or Python.
#![forbid(unsafe_code)]

pub mod delay;
pub mod error;
pub mod evaluate;
pub mod job;
pub mod loss;
pub mod metric;
pub mod model;
pub mod penalty;
pub mod report;
pub mod solver;

pub use error::{Result, TrainError};
