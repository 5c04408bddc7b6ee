//! `FileCoordinator`: a scheduler's state in a log file, made anew when it has grown.

use super::{Coordinator, Log};
use crate::engine::scheduler::State;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Beyond this size the log begins again with a snapshot: one record, the last state.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// Keeps a job's state in `scheduler.log` of a folder. One process at a time: the file is locked.
#[derive(Debug)]
pub struct FileCoordinator {
    folder: PathBuf,
    file: File,
    /// A write or sync failed: what is on the disk is unknown, and a second attempt could hide that.
    broken: bool,
}

fn system(path: &Path, what: &str) -> impl Fn(io::Error) -> Error {
    let how = format!("{what} {}", path.display());
    move |e| Error::System { op: "coordinator", how: format!("{how}: {e}") }
}

impl FileCoordinator {
    /// Opens, or begins, the log in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::System`] if the folder cannot be used or another scheduler uses it.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(system(folder, "cannot make"))?;
        let path = folder.join("scheduler.log");
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = file.map_err(system(&path, "cannot open"))?;
        file.try_lock().map_err(|e| Error::System {
            op: "coordinator",
            how: format!("expected {} for one scheduler alone: {e}", path.display()),
        })?;
        Ok(Self { folder: folder.into(), file, broken: false })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("scheduler.log")
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }

    /// Writes a new log beside the old one and puts it in its place.
    fn snapshot(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (new, path) = (self.folder.join("scheduler.log.new"), self.path());
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&new)?;
        file.try_lock().map_err(io::Error::from)?;
        // What an earlier attempt left.
        if file.metadata()?.len() > 0 {
            file.set_len(0)?;
        }
        file.write_all(&[Log::begin(), Log::record(bytes)].concat())?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(&self.folder)?.sync_all()?;
        self.file = file;
        Ok(())
    }
}

impl Coordinator for FileCoordinator {
    fn load(&mut self) -> Result<Option<State>> {
        let path = self.path();
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0)).map_err(system(&path, "cannot read"))?;
        self.file.read_to_end(&mut bytes).map_err(system(&path, "cannot read"))?;
        let damaged = |how: String| Error::System { op: "coordinator", how: format!("{}: {how}", path.display()) };
        let found = Log::recover(&bytes).map_err(damaged)?;
        let state = found.last.map(State::from_bytes).transpose();
        let state = state.map_err(|e| damaged(format!("expected {e}")))?;
        // What is left of an unfinished record must not stand before the next one.
        if found.whole_bytes < bytes.len() {
            self.file.set_len(found.whole_bytes as u64).map_err(system(&path, "cannot cut"))?;
        }
        Ok(state)
    }

    fn store(&mut self, state: &State) -> Result<()> {
        let path = self.path();
        if self.broken {
            let how = format!("{}: an earlier write failed", path.display());
            return Err(Error::System { op: "coordinator", how });
        }
        let bytes = state.to_bytes();
        let length = self.file.metadata().map_err(system(&path, "cannot read"))?.len();
        let written = if length == 0 || length > LOG_BYTES_MAX {
            self.snapshot(&bytes)
        } else {
            self.append(&Log::record(&bytes))
        };
        written.map_err(|e| {
            self.broken = true;
            system(&path, "cannot write")(e)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::view::{View, unplaced};
    use std::sync::Arc;

    fn state(epoch: u64) -> State {
        let view = Arc::new(View { epoch, ..View::first(unplaced(0..3), 2) });
        State {
            job: 1,
            workers: 1,
            servers: 3,
            copies: 2,
            server_next: 3,
            worker_next: None,
            view,
            members: Vec::new(),
            over: false,
        }
    }

    #[test]
    fn the_last_state_survives_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let mut c = FileCoordinator::open(folder.path()).unwrap();
        assert_eq!(c.load().unwrap(), None);
        for epoch in 1..400 {
            c.store(&state(epoch)).unwrap();
        }
        assert!(FileCoordinator::open(folder.path()).unwrap_err().to_string().contains("one scheduler alone"));
        drop(c);
        let path = folder.path().join("scheduler.log");
        assert!(path.metadata().unwrap().len() < LOG_BYTES_MAX + (1 << 20), "the log begins anew");
        // A writer died in the middle of a record.
        File::options().append(true).open(&path).unwrap().write_all(b"\x09\0\0\0").unwrap();
        let mut c = FileCoordinator::open(folder.path()).unwrap();
        assert_eq!(c.load().unwrap(), Some(state(399)));
        c.store(&state(400)).unwrap();
        drop(c);
        let mut c = FileCoordinator::open(folder.path()).unwrap();
        assert_eq!(c.load().unwrap(), Some(state(400)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_with_the_file_and_never_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("scheduler.log.new");
        std::os::unix::fs::symlink("/dev/full", &new).unwrap();
        let mut c = FileCoordinator::open(folder.path()).unwrap();
        let path = c.path();
        let Error::System { op: "coordinator", how } = c.store(&state(1)).unwrap_err() else { panic!() };
        assert!(how.starts_with(&format!("cannot write {}: No space left", path.display())), "{how}");
        // Room again does not say what of the first attempt is on the disk.
        std::fs::remove_file(&new).unwrap();
        let Error::System { op: "coordinator", how } = c.store(&state(2)).unwrap_err() else { panic!() };
        assert_eq!(how, format!("{}: an earlier write failed", path.display()));
        drop(c);
        assert_eq!(FileCoordinator::open(folder.path()).unwrap().load().unwrap(), None, "nothing was kept");
    }

    #[test]
    fn a_damaged_log_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut c = FileCoordinator::open(folder.path()).unwrap();
        (1..4).for_each(|epoch| c.store(&state(epoch)).unwrap());
        drop(c);
        let path = folder.path().join("scheduler.log");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = FileCoordinator::open(folder.path()).unwrap().load().unwrap_err().to_string();
        assert!(error.contains("wrong checksum"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
