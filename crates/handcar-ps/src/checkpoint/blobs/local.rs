//! `LocalBlobs`: blobs as files beneath one directory.

use super::super::error::{Error, Result};
use super::super::name::{BlobName, Folder, is_component};
use super::{Blobs, Listed, Put, beneath, file};
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Side files tried before giving up: only a crowd of writers with one process id can take them.
const SIDE_NAMES_MAX: u64 = 1000;

/// Files beneath a directory. A file is written to the side, synced, renamed to a name that must be free, and its
/// folder is synced: after that it outlives a loss of power.
///
/// Names are opened one component after the other beneath the directory's handle, and never through a symbolic link.
/// The directory itself may be reached through one: the operator named it.
#[derive(Debug)]
pub struct LocalBlobs {
    place: PathBuf,
    root: OwnedFd,
    side_names: AtomicU64,
    /// Folders whose names are known to be on the disk.
    safe_folders: Mutex<BTreeSet<String>>,
    /// What the first failed sync said; nothing is written after it.
    sync_failed: Mutex<Option<String>>,
    #[cfg(test)]
    pub(super) fault: super::local_tests::Fault,
}

impl LocalBlobs {
    /// Opens a directory that exists.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Storage`].
    pub fn open(directory: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::openat(CWD, directory, flags, Mode::empty())
            .map_err(|e| failure("open", &directory.display().to_string(), 0, e.into()))?;
        Ok(Self {
            place: directory.to_path_buf(),
            root,
            side_names: AtomicU64::new(0),
            safe_folders: Mutex::default(),
            sync_failed: Mutex::new(None),
            #[cfg(test)]
            fault: Default::default(),
        })
    }

    /// Opens a directory, making it and its parents if they are not there.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn create(directory: &Path) -> Result<Self> {
        let at = |d: &Path, e: io::Error| failure("create", &d.display().to_string(), 0, e);
        let absent: Vec<&Path> =
            directory.ancestors().take_while(|d| !d.as_os_str().is_empty() && !d.exists()).collect();
        for d in absent.into_iter().rev() {
            match std::fs::create_dir(d) {
                // Another server of the job may be doing the same.
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(at(d, e)),
                _ => {}
            }
            let parent = d.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(parent).and_then(|p| p.sync_all()).map_err(|e| at(d, e))?;
        }
        Self::open(directory)
    }

    /// The directory `folders` beneath the root; absent ones are made if `create`.
    fn folder<'a>(&self, folders: impl Iterator<Item = &'a str>, create: bool) -> io::Result<OwnedFd> {
        let mut here = self.root.try_clone()?;
        let mut path = String::new();
        for name in folders {
            let next = beneath::folder(&here, name, create)?;
            path = format!("{path}/{name}");
            if create && !self.safe_folders().contains(&path) {
                // Also if it was there: whoever made it may have died before its name was safe.
                self.sync(&here, "sync the parent")?;
                self.safe_folders().insert(path.clone());
            }
            here = next;
        }
        Ok(here)
    }

    fn safe_folders(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.safe_folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync(&self, what: impl AsFd, step: &'static str) -> io::Result<()> {
        let done = self.step(step).and_then(|()| Ok(fs::fsync(what)?));
        if let Err(e) = &done {
            self.sync_failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| e.to_string());
        }
        done
    }

    /// Announces what comes next, so that tests can stop there.
    #[cfg(test)]
    fn step(&self, step: &'static str) -> io::Result<()> {
        self.fault.step(step)
    }

    #[cfg(not(test))]
    #[inline]
    fn step(&self, _: &'static str) -> io::Result<()> {
        Ok(())
    }

    /// A new file beside its final name, which no [`BlobName`] can mean: it starts with a dot.
    fn side_file(&self, folder: &OwnedFd, last: &str) -> io::Result<(String, File)> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..SIDE_NAMES_MAX {
            let n = self.side_names.fetch_add(1, Ordering::Relaxed);
            let side = format!(".{last}.{}-{n}.part", std::process::id());
            match fs::openat(folder, &side, flags, Mode::from_raw_mode(0o666)) {
                Ok(fd) => return Ok((side, File::from(fd))),
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err(Errno::EXIST.into())
    }

    fn write(&self, folder: &OwnedFd, last: &str, bytes: &[u8]) -> io::Result<Put> {
        if let Some(held) = beneath::file(folder, last)? {
            // Whoever wrote it may have died before its name was safe.
            self.sync(&held, "sync the file")?;
            self.sync(folder, "sync the folder")?;
            return Ok(Put::Exists);
        }
        self.step("create")?;
        let (side, mut out) = self.side_file(folder, last)?;
        let done = self.publish(folder, &side, &mut out, last, bytes);
        if !matches!(done, Ok(Put::Created)) && self.step("clean up").is_ok() {
            // The first error is the one to tell; what cannot be removed now is swept later.
            let _ = fs::unlinkat(folder, &side, AtFlags::empty());
        }
        done
    }

    fn publish(&self, folder: &OwnedFd, side: &str, out: &mut File, last: &str, bytes: &[u8]) -> io::Result<Put> {
        self.step("write")?;
        out.write_all(bytes)?;
        self.sync(&*out, "sync the file")?;
        self.step("rename")?;
        let put = match beneath::rename_if_free(folder, side, last) {
            Ok(()) => Put::Created,
            // Somebody was quicker; a file is synced before it gets its name.
            Err(Errno::EXIST) => Put::Exists,
            Err(e) => return Err(e.into()),
        };
        self.sync(folder, "sync the folder")?;
        Ok(put)
    }

    fn error(&self, op: &'static str, name: &dyn std::fmt::Display, bytes: u64, e: io::Error) -> Error {
        failure(op, &file(&self.place(), name), bytes, e)
    }

    fn reliable(&self, op: &'static str) -> Result<()> {
        match &*self.sync_failed.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(how) => Err(Error::Unreliable { op, place: self.place(), how: how.clone() }),
        }
    }
}

fn failure(op: &'static str, file: &str, bytes: u64, e: io::Error) -> Error {
    use io::ErrorKind::{FileTooLarge, NotFound, QuotaExceeded, StorageFull};
    let (file, how) = (file.to_owned(), e.to_string());
    match e.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => Error::Full { op, file, bytes, how },
        NotFound => Error::Missing { op, file },
        _ => Error::Storage { op, file, how },
    }
}

impl Blobs for LocalBlobs {
    fn place(&self) -> String {
        self.place.display().to_string()
    }

    fn put(&self, name: &BlobName, bytes: &[u8]) -> Result<Put> {
        self.reliable("put")?;
        let done = self.folder(name.folders(), true).and_then(|folder| self.write(&folder, name.last(), bytes));
        done.map_err(|e| self.error("put", name, bytes.len() as u64, e))
    }

    fn get(&self, name: &BlobName, bytes_max: u64) -> Result<Vec<u8>> {
        let read = || -> io::Result<Vec<u8>> {
            let folder = self.folder(name.folders(), false)?;
            let file = beneath::file(&folder, name.last())?.ok_or(Errno::NOENT)?;
            let mut bytes = Vec::with_capacity(file.metadata()?.len().min(bytes_max) as usize);
            // One byte more shows that there is more.
            file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|e| self.error("get", name, 0, e))?;
        if bytes.len() as u64 > bytes_max {
            return Err(Error::damaged(file(&self.place(), name), format!("at most {bytes_max} bytes"), "more"));
        }
        Ok(bytes)
    }

    fn size(&self, name: &BlobName) -> Result<Option<u64>> {
        let look = || -> io::Result<Option<u64>> {
            let folder = self.folder(name.folders(), false)?;
            Ok(beneath::file(&folder, name.last())?.map(|f| f.metadata()).transpose()?.map(|m| m.len()))
        };
        match look() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map_err(|e| self.error("size", name, 0, e)),
        }
    }

    fn list(&self, folder: &Folder) -> Result<Vec<Listed>> {
        let look = || -> io::Result<Vec<Listed>> {
            let handle = self.folder(folder.folders(), false)?;
            let mut found = Vec::new();
            for last in beneath::entries(&handle)?.into_iter().filter(|n| is_component(n)) {
                let stat = match fs::statat(&handle, &last, AtFlags::SYMLINK_NOFOLLOW) {
                    // Deleted since.
                    Err(Errno::NOENT) => continue,
                    other => other?,
                };
                if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                    found.push(Listed { last, bytes: stat.st_size as u64 });
                }
            }
            Ok(found)
        };
        match look() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|e| self.error("list", folder, 0, e)),
        }
    }

    fn delete(&self, name: &BlobName) -> Result<()> {
        self.reliable("delete")?;
        let remove = || -> io::Result<()> {
            let folder = self.folder(name.folders(), false)?;
            self.step("delete")?;
            fs::unlinkat(&folder, name.last(), AtFlags::empty())?;
            // Manifests must be gone before the pieces they name.
            self.sync(&folder, "sync the folder")
        };
        match remove() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|e| self.error("delete", name, 0, e)),
        }
    }

    fn sweep(&self, folder: &Folder) -> Result<usize> {
        let sweep = || -> io::Result<usize> {
            let handle = self.folder(folder.folders(), false)?;
            let mut swept = 0;
            for name in beneath::entries(&handle)?.iter().filter(|n| n.starts_with('.') && n.ends_with(".part")) {
                fs::unlinkat(&handle, name, AtFlags::empty())?;
                swept += 1;
            }
            Ok(swept)
        };
        match sweep() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
            other => other.map_err(|e| self.error("sweep", folder, 0, e)),
        }
    }
}
