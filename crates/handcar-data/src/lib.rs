//! Readers, packed cache, minibatches and column blocks for handcar.
//!
//! Knows nothing about learning or parameter servers.
#![forbid(unsafe_code)]

pub mod bucket;
pub mod synth;
