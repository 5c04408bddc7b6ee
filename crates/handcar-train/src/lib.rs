//! Handcar train.
#![forbid(unsafe_code)]

pub mod metric;
pub mod model;
pub mod report;
