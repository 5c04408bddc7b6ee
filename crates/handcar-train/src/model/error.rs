//! What can go wrong with a model file.

use std::{io, path::PathBuf};

/// A model file could not be written, read or trusted.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file could not be read.
    #[error("read model {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be written; an older file of that name is untouched.
    #[error("write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is something else.
    #[error("read model {path}: expected a handcar model, got {got}")]
    NotAModel {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        got: String,
    },
    /// The file was written in a format that this build does not know yet.
    #[error(
        "read model {path}: expected model format {reads} or older, got format {got} (written by handcar {by}); \
         use that version of handcar or a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Newest format this build reads.
        reads: u32,
        /// Format of the file.
        got: u32,
        /// Version that wrote it.
        by: String,
    },
    /// The file is cut short or damaged.
    #[error("read model {path}: the file is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong: expected and got.
        what: String,
    },
    /// The model itself may not be stored.
    #[error("write {path}: expected finite numbers, got {what}")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The number that is not finite.
        what: String,
    },
}
