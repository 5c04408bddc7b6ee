//! The words every handcar crate shares: keys, key ranges and lists, exact sums, stable hashing, seeds.
//!
//! Knows nothing about threads, sockets, files or clocks.
#![forbid(unsafe_code)]

pub mod exact_sum;
pub mod hash;
pub mod key;
pub mod key_list;
pub mod key_range;
pub mod range_clock;
pub mod range_set;
pub mod rng;

pub use exact_sum::ExactSum;
pub use key::{Field, Key};
pub use key_list::KeyList;
pub use key_range::KeyRange;
pub use range_clock::RangeClock;
pub use range_set::RangeSet;
pub use rng::{Rng, Seed};
