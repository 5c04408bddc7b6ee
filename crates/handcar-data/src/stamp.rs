//! Whether a file is still the one that was read.

use crate::error::{DataError, Result};
use handcar_base::hash::{self, Hasher128};
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes sampled at the begin and at the end of a file.
const EDGE: u64 = 64 << 10;
/// Bytes and number of the samples between.
const PROBE: u64 = 4 << 10;
const PROBES: u64 = 16;
/// A file changed this shortly before it was stamped may change again within one tick of its clock.
const RACY: Duration = Duration::from_secs(2);

/// What is remembered of a source file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    path: PathBuf,
    bytes: u64,
    /// Time of the last change of content, in nanoseconds since 1970.
    modified: u64,
    /// Time of the last change of anything, which no tool can set back; 0 where the platform has none.
    changed: u64,
    sample: u64,
    /// Too young to be told from a later version by its times.
    racy: bool,
    /// Hash of the whole content, in hexadecimal.
    pub hash: String,
}

impl Stamp {
    /// Stamps a file as it is now; the hash of its content is added once it has been read.
    pub fn new(path: &Path) -> Result<Self> {
        let full = path.canonicalize().map_err(DataError::io("open", path))?;
        let file = File::open(path).map_err(DataError::io("open", path))?;
        let meta = file.metadata().map_err(DataError::io("read", path))?;
        let modified = meta.modified().unwrap_or(UNIX_EPOCH);
        let sample = sample(file, meta.len()).map_err(DataError::io("read", path))?;
        let racy = SystemTime::now().duration_since(modified).is_ok_and(|age| age < RACY);
        let (bytes, changed) = (meta.len(), changed(&meta));
        Ok(Self { path: full, bytes, modified: nanos(modified), changed, sample, racy, hash: String::new() })
    }

    /// Whether the file of `now` is the file of this stamp. Size, times and sampled content decide; where times alone could
    /// mislead, or on request, the hash of the whole content does.
    pub fn matches(&self, now: &Self, verify: bool) -> Result<bool> {
        let alike = |a: &Self| (a.path.clone(), a.bytes, a.modified, a.sample);
        if alike(self) != alike(now) {
            return Ok(false);
        }
        if !verify && !self.racy && self.changed == now.changed {
            return Ok(true);
        }
        Ok(content_hash(&now.path)? == self.hash)
    }

    /// Whether nothing that can be seen without reading the whole file differs.
    pub fn same_file(&self, other: &Self) -> bool {
        let seen = |a: &Self| (a.bytes, a.modified, a.changed, a.sample);
        self.path == other.path && seen(self) == seen(other)
    }
}

/// Hash of a file's content, as [`Stamp::hash`] has it.
pub(crate) fn content_hash(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(DataError::io("open", path))?;
    let mut hasher = Hasher128::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(DataError::io("read", path))? {
            0 => return Ok(show(hasher.digest())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// A content hash as text.
pub(crate) fn show(hash: u128) -> String {
    format!("{hash:032x}")
}

fn sample(mut file: File, bytes: u64) -> std::io::Result<u64> {
    let mut all = Vec::new();
    let mut take = |at: u64, len: u64| {
        file.seek(SeekFrom::Start(at))?;
        file.by_ref().take(len).read_to_end(&mut all).map(drop)
    };
    if bytes <= 2 * EDGE + PROBES * PROBE {
        take(0, bytes)?;
    } else {
        take(0, EDGE)?;
        for i in 1..=PROBES {
            take(EDGE + (bytes - 2 * EDGE) / (PROBES + 1) * i, PROBE)?;
        }
        take(bytes - EDGE, EDGE)?;
    }
    Ok(hash::bytes(&all, bytes))
}

fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

#[cfg(unix)]
fn changed(meta: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    (meta.ctime() as u64).wrapping_mul(1_000_000_000).wrapping_add(meta.ctime_nsec() as u64)
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> u64 {
    0
}
