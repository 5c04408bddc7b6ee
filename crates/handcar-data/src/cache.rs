//! Packed data kept between runs: one file for the same inputs read the same way.

use crate::dataset::Dataset;
use crate::error::{DataError, Result};
use crate::options::{CachePolicy, ReadOptions};
use crate::pack;
use crate::read::{Fresh, pack as pack_text};
use crate::report::ReadReport;
use crate::schema::Schema;
use crate::source::Input;
use crate::stamp::{self, Stamp};
use handcar_base::hash;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

const SUFFIX: &str = "hcpack";
const UNFINISHED: &str = "unfinished";
/// How long to wait for another process that builds the same entry before building it too.
const BUILD_WAIT: Duration = Duration::from_secs(300);

/// One packed file of a cache.
#[derive(Clone, Debug)]
pub struct CacheEntry {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was last used.
    pub used: SystemTime,
}

impl CachePolicy {
    /// The directory in use; `None` if the platform names none.
    pub fn directory(&self) -> Option<PathBuf> {
        let home = || std::env::home_dir().filter(|h| h.is_absolute());
        let platform = || match () {
            _ if cfg!(windows) => std::env::var_os("LOCALAPPDATA").map(PathBuf::from),
            _ if cfg!(target_os = "macos") => home().map(|h| h.join("Library/Caches")),
            _ => {
                let xdg = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
                xdg.or_else(|| home().map(|h| h.join(".cache")))
            }
        };
        self.dir.clone().or_else(|| platform().map(|p| p.join("handcar")))
    }

    /// The packed files, least recently used first. A directory that does not exist has none.
    pub fn entries(&self) -> Vec<CacheEntry> {
        let Some(read) = self.directory().and_then(|d| std::fs::read_dir(d).ok()) else { return Vec::new() };
        let entry = |e: std::fs::DirEntry| {
            let (path, meta) = (e.path(), e.metadata().ok()?);
            let ours = path.extension().is_some_and(|x| x == SUFFIX);
            ours.then_some(CacheEntry { path, bytes: meta.len(), used: meta.modified().ok()? })
        };
        let mut all: Vec<CacheEntry> = read.filter_map(|e| entry(e.ok()?)).collect();
        all.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        all
    }

    /// Removes every packed file and gives the bytes freed. Runs that use one keep it until they end.
    ///
    /// # Errors
    /// [`DataError::Io`] if a file cannot be removed.
    pub fn clear(&self) -> Result<u64> {
        let mut freed = 0;
        for e in self.entries() {
            std::fs::remove_file(&e.path).map_err(DataError::io("remove", &e.path))?;
            freed += e.bytes;
        }
        Ok(freed)
    }
}

impl Dataset {
    /// Opens a packed file, whatever has become of the text it was made from.
    ///
    /// # Errors
    /// [`DataError::Pack`] if it is none, damaged or of another version, [`DataError::Io`] if it cannot be read.
    pub fn open(path: &Path, verify: bool) -> Result<Self> {
        let opened = pack::open(path, verify)?;
        let report = ReadReport { from_cache: true, cache_file: Some(path.into()), ..opened.report };
        Ok(Self { data: Arc::new(opened.data), report: Arc::new(report) })
    }
}

/// Reads through the cache. Whatever is wrong with the cache ends in a note, never in an error.
pub(crate) fn read(inputs: &[Input], schema: Option<&Schema>, options: &ReadOptions) -> Result<Dataset> {
    let policy = &options.cache;
    let fresh = |note: Option<String>| {
        let mut fresh = pack_text(inputs, schema, options)?;
        fresh.report.notes.extend(note);
        Ok(Dataset { data: Arc::new(fresh.data), report: Arc::new(fresh.report) })
    };
    let files: Option<Vec<&Path>> = inputs.iter().map(Input::file).collect();
    let (true, Some(files)) = (policy.enabled, files) else { return fresh(None) };
    let Some(dir) = policy.directory() else {
        return fresh(Some("cache: off, as the platform names no cache directory".into()));
    };
    // Devices, pipes and sockets have no content to come back to.
    if files.iter().any(|f| f.metadata().is_ok_and(|m| !m.is_file())) {
        return fresh(None);
    }
    if let Err(e) = std::fs::create_dir_all(&dir).map_err(DataError::io("create", &dir)) {
        return fresh(Some(format!("cache: not written: {e}")));
    }
    let stamps = files.iter().map(|f| Stamp::new(f)).collect::<Result<Vec<Stamp>>>()?;
    let entry = dir.join(format!("{:032x}.{SUFFIX}", key(&files, schema, options)));
    if let Some(found) = look_up(&entry, &stamps, policy.verify)? {
        return Ok(found);
    }
    let lock = wait_for_turn(&entry.with_extension("lock"));
    if lock.is_some()
        && let Some(found) = look_up(&entry, &stamps, policy.verify)?
    {
        return Ok(found);
    }
    let mut built = pack_text(inputs, schema, options)?;
    let start = Instant::now();
    let written = store(&entry, &built, stamps, &files);
    built.report.add("write", start);
    match written {
        Ok(()) => {
            built.report.cache_file = Some(entry.clone());
            evict(policy, &entry);
        }
        Err(e) => built.report.notes.push(format!("cache: not written: {e}")),
    }
    Ok(Dataset { data: Arc::new(built.data), report: Arc::new(built.report) })
}

/// Same inputs, same way of reading, same version: same entry.
fn key(files: &[&Path], schema: Option<&Schema>, options: &ReadOptions) -> u128 {
    let full = |f: &&Path| f.canonicalize().unwrap_or_else(|_| f.to_path_buf());
    let paths: Vec<PathBuf> = files.iter().map(full).collect();
    // Debug text of a schema is as exact as its JSON and cannot fail.
    hash::bytes128(format!("{} {paths:?} {} {schema:?}", pack::VERSION, options.signature()).as_bytes())
}

/// The entry, if it is intact and its sources are unchanged.
fn look_up(entry: &Path, now: &[Stamp], verify: bool) -> Result<Option<Dataset>> {
    let Ok(opened) = pack::open(entry, verify) else { return Ok(None) };
    if opened.sources.len() != now.len() {
        return Ok(None);
    }
    for (stored, now) in opened.sources.iter().zip(now) {
        if !stored.matches(now, verify)? {
            return Ok(None);
        }
    }
    // The time of last change is the time of last use: packed files never change. Failing costs only its place in line.
    File::options().append(true).open(entry).and_then(|f| f.set_modified(SystemTime::now())).ok();
    let report = ReadReport { from_cache: true, cache_file: Some(entry.into()), ..opened.report };
    Ok(Some(Dataset { data: Arc::new(opened.data), report: Arc::new(report) }))
}

/// Waits while another process builds the same entry. `None`: build without the lock.
fn wait_for_turn(path: &Path) -> Option<File> {
    let lock = File::create(path).ok()?;
    match lock.try_lock() {
        Ok(()) => return Some(lock),
        Err(TryLockError::Error(_)) => return None,
        Err(TryLockError::WouldBlock) => {}
    }
    // The builder's death releases the lock, but a stopped builder must not stop us for ever, and a lock has no deadline:
    // another thread waits for it. Should it come too late, it is dropped with the channel.
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || lock.lock().map(|()| sender.send(lock)));
    receiver.recv_timeout(BUILD_WAIT).ok()
}

/// Writes aside and renames: an entry is whole or absent.
fn store(entry: &Path, built: &Fresh, mut stamps: Vec<Stamp>, files: &[&Path]) -> Result<()> {
    for (stamp, file) in stamps.iter_mut().zip(files) {
        if !Stamp::new(file)?.same_file(stamp) {
            let (expected, got) = ("an unchanged input".into(), "a change while it was read".into());
            return Err(DataError::Header { file: file.display().to_string(), expected, got });
        }
    }
    for (stamp, &hash) in stamps.iter_mut().zip(&built.hashes) {
        stamp.hash = stamp::show(hash);
    }
    // Two threads of one process may build side by side once waiting for the lock was given up.
    static BUILDS: AtomicU64 = AtomicU64::new(0);
    let build = BUILDS.fetch_add(1, Ordering::Relaxed);
    let aside = entry.with_extension(format!("{}-{build}.{UNFINISHED}", std::process::id()));
    let write = || {
        let mut file = File::create(&aside).map_err(DataError::io("create", &aside))?;
        // Held while writing: a file nobody holds was left by a process that died.
        file.try_lock().ok();
        pack::write(&mut file, &built.data, &built.report, &stamps).map_err(DataError::io("write", &aside))?;
        std::fs::rename(&aside, entry).map_err(DataError::io("rename", &aside))
    };
    write().inspect_err(|_| {
        std::fs::remove_file(&aside).ok();
    })
}

/// Removes what dead processes left and the least recently used entries above the bound, never the one just made.
fn evict(policy: &CachePolicy, keep: &Path) {
    if let Some(read) = policy.directory().and_then(|d| std::fs::read_dir(d).ok()) {
        for path in read.filter_map(|e| e.ok()).map(|e| e.path()) {
            let left = path.extension().is_some_and(|x| x == UNFINISHED)
                && File::open(&path).is_ok_and(|f| f.try_lock().is_ok());
            if left {
                std::fs::remove_file(path).ok();
            }
        }
    }
    let entries = policy.entries();
    let mut total: u64 = entries.iter().map(|e| e.bytes).sum();
    for e in entries {
        if total <= policy.max_bytes {
            return;
        }
        if e.path != keep && std::fs::remove_file(&e.path).is_ok() {
            std::fs::remove_file(e.path.with_extension("lock")).ok();
            total -= e.bytes;
        }
    }
}
