//! How to read: plain settings with documented defaults.

use crate::label::LabelKind;
use crate::negatives::Negatives;
use crate::schema::{Format, HashKind};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How to read data. `Default` suits a first look: everything inferred, cached, bad rows refused.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The text format; `None`: told from the first line.
    pub format: Option<Format>,
    /// CSV: the label column; `None`: a column called label, target, click, clicked, class or y.
    pub label: Option<String>,
    /// What labels may be; data read with a schema have the schema's.
    pub labels: LabelKind,
    /// The label that means +1 (every other one means -1); `None`: 1, or the rarer of two texts.
    pub positive: Option<String>,
    /// CSV: the column of example weights.
    pub weight: Option<String>,
    /// CSV: columns read as bucketed integers or binned numbers whatever their first rows look like.
    pub numeric: Vec<String>,
    /// CSV: columns read as categories whatever their first rows look like.
    pub categorical: Vec<String>,
    /// CSV: columns whose number is used as it is, unbinned.
    pub raw: Vec<String>,
    /// CSV: columns left out.
    pub ignore: Vec<String>,
    /// Fields that are features (columns, VW text's namespaces); empty: all.
    pub keep: Vec<String>,
    /// Fields that are no features.
    pub drop: Vec<String>,
    /// Features of two or three fields at once, as `a*b`.
    pub cross: Vec<String>,
    /// Which negative rows are read; `None`: all. Data read with a schema, to evaluate on, always has all.
    pub negatives: Option<Negatives>,
    /// CSV: the byte between columns; `None`: told from the header (comma, tab, semicolon or bar).
    pub delimiter: Option<u8>,
    /// Width of the value part of keys; 52 or more: values are not folded. With [`HashKind::Vw`] 64 stands for 18.
    pub bits: u32,
    /// VW text: how names become keys.
    pub hash: HashKind,
    /// Seed of the hash.
    pub hash_seed: u64,
    /// libsvm: ids count from 0.
    pub zero_based: bool,
    /// What to do with a row that cannot be read.
    pub on_bad_row: OnBadRow,
    /// Threads that parse; 0: as many as the machine has.
    pub threads: usize,
    /// Where packed data is kept.
    pub cache: CachePolicy,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            label: None,
            labels: LabelKind::default(),
            positive: None,
            weight: None,
            numeric: Vec::new(),
            categorical: Vec::new(),
            raw: Vec::new(),
            ignore: Vec::new(),
            keep: Vec::new(),
            drop: Vec::new(),
            cross: Vec::new(),
            negatives: None,
            delimiter: None,
            bits: 64,
            hash: HashKind::Handcar,
            hash_seed: 0,
            zero_based: false,
            on_bad_row: OnBadRow::Fail,
            threads: 0,
            cache: CachePolicy::default(),
        }
    }
}

impl ReadOptions {
    /// Threads, with 0 resolved.
    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        }
    }

    /// Everything that changes what is read, as stable text: a part of the cache's key.
    pub(crate) fn signature(&self) -> String {
        format!(
            "{:?}",
            (
                (self.format, &self.label, &self.positive, &self.weight, &self.numeric, &self.categorical, &self.raw),
                (&self.ignore, self.delimiter, self.bits, self.hash_seed, self.zero_based, self.on_bad_row, self.hash),
                (self.labels, &self.keep, &self.drop, &self.cross, self.negatives),
            )
        )
    }
}

/// What to do with a row that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBadRow {
    /// End with an error that names file, line and column.
    Fail,
    /// Leave it out, count it, keep the first reasons.
    Skip,
}

/// Where packed data is kept between runs.
#[derive(Clone, Debug)]
pub struct CachePolicy {
    /// `false`: neither looked up nor written.
    pub enabled: bool,
    /// The directory; `None`: `handcar` in the platform's cache directory.
    pub dir: Option<PathBuf>,
    /// Compare the full content hash of sources and packed data on each use.
    pub verify: bool,
    /// The least recently used entries go when all together are larger.
    pub max_bytes: u64,
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self { enabled: true, dir: None, verify: false, max_bytes: 16 << 30 }
    }
}

impl CachePolicy {
    /// No cache.
    pub fn off() -> Self {
        Self { enabled: false, ..Self::default() }
    }

    /// A cache in this directory.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: Some(dir.into()), ..Self::default() }
    }
}
