//! One command a file.

pub mod bench;
pub mod cache;
pub mod checkpoint;
pub mod eval;
pub mod fit;
pub mod inspect;
mod job;
pub mod launch;
mod output;
pub mod predict;
pub mod roles;
mod rows;
pub mod simulate;
pub mod synth;

/// Options that every command has.
#[derive(Clone, Debug)]
pub struct General {
    /// Show no progress.
    pub quiet: bool,
    /// What to log.
    pub log_level: String,
}
