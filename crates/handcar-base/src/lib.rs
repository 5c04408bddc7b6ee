//! The words every handcar crate shares: keys, key ranges and lists, exact sums, stable hashing, seeds.
//!
//! Knows nothing about threads, sockets, files or clocks.
#![forbid(unsafe_code)]

pub mod exact_sum;
pub mod hash;
pub mod key;
pub mod rng;

pub use exact_sum::ExactSum;
pub use key::{Field, Key};
pub use rng::{Rng, Seed};
