//! What happened while reading.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Reasons kept for skipped rows.
pub(crate) const REASONS_MAX: usize = 10;

/// What happened while reading. Timings are of this run, everything else of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadReport {
    /// Rows read.
    pub rows: u64,
    /// Rows with label +1.
    pub positives: u64,
    /// Rows left out because they could not be read.
    pub skipped: u64,
    /// The first reasons why.
    pub reasons: Vec<String>,
    /// Decisions a person should know of: the label that was taken as positive, a cache that could not be written.
    pub notes: Vec<String>,
    /// Bytes of text, after decompression.
    pub text_bytes: u64,
    /// Seconds this run spent until the data was ready.
    pub seconds: f64,
    /// Where the seconds went.
    #[serde(skip)]
    pub stages: Vec<Stage>,
    /// Whether the packed data came from the cache.
    pub from_cache: bool,
    /// The packed file, if there is one.
    pub cache_file: Option<PathBuf>,
}

/// One stage of reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What was done.
    pub name: &'static str,
    /// How long it took.
    pub seconds: f64,
}

impl ReadReport {
    /// Adds to a stage's time.
    pub(crate) fn add(&mut self, name: &'static str, since: std::time::Instant) {
        let seconds = since.elapsed().as_secs_f64();
        match self.stages.iter_mut().find(|s| s.name == name) {
            Some(stage) => stage.seconds += seconds,
            None => self.stages.push(Stage { name, seconds }),
        }
    }
}
