//! Handcar train.
#![forbid(unsafe_code)]

pub mod metric;
