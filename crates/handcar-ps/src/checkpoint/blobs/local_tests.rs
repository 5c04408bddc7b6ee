//! Tests of `LocalBlobs`: death at every step, failed syncs, hostile names and links, full disks.

use super::super::error::{Error, Result};
use super::super::name::{BlobName, Folder};
use super::local::LocalBlobs;
use super::{Blobs, Listed, Put};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;

/// Where a store dies or fails; also what it did.
#[derive(Debug, Default)]
pub struct Fault(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Steps until death; none after it happen.
    die_after: Option<usize>,
    /// A step that fails, again and again.
    fails: Option<&'static str>,
    steps: Vec<&'static str>,
}

impl Fault {
    pub fn step(&self, step: &'static str) -> io::Result<()> {
        let mut state = self.0.lock().expect("no test panics inside");
        if state.die_after.is_some_and(|n| state.steps.len() >= n) {
            return Err(io::Error::other("dead"));
        }
        state.steps.push(step);
        if state.fails == Some(step) { Err(io::Error::other("input/output error")) } else { Ok(()) }
    }

    pub fn die_after(&self, steps: usize) {
        self.0.lock().expect("unpoisoned").die_after = Some(steps);
    }

    pub fn fail(&self, step: &'static str) {
        self.0.lock().expect("unpoisoned").fails = Some(step);
    }

    pub fn steps(&self) -> Vec<&'static str> {
        self.0.lock().expect("unpoisoned").steps.clone()
    }
}

fn place() -> (tempfile::TempDir, LocalBlobs) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let blobs = LocalBlobs::open(dir.path()).expect("it exists");
    (dir, blobs)
}

fn name(text: &str) -> BlobName {
    BlobName::new(text).expect("a valid name")
}

fn folder(text: &str) -> Folder {
    Folder::new(text).expect("a valid folder")
}

fn files(dir: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(dir) else { return BTreeSet::new() };
    entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn what_is_put_comes_back_and_is_never_changed() -> Result<()> {
    let (dir, blobs) = place();
    assert_eq!(blobs.put(&name("p/a"), b"one")?, Put::Created);
    assert_eq!(blobs.put(&name("p/a"), b"two")?, Put::Exists);
    assert_eq!(blobs.put(&name("p/b"), b"")?, Put::Created);
    assert_eq!(blobs.get(&name("p/a"), 3)?, b"one");
    assert!(matches!(blobs.get(&name("p/a"), 2), Err(Error::Damaged { .. })));
    assert!(matches!(blobs.get(&name("p/c"), 2), Err(Error::Missing { .. })));
    assert_eq!((blobs.size(&name("p/a"))?, blobs.size(&name("q/a"))?), (Some(3), None));
    let listed = |last: &str, bytes| Listed { last: last.into(), bytes };
    assert_eq!(blobs.list(&folder("p"))?, [listed("a", 3), listed("b", 0)]);
    assert_eq!(blobs.list(&folder("q"))?, []);
    blobs.delete(&name("p/a"))?;
    blobs.delete(&name("p/a"))?;
    assert_eq!(files(&dir.path().join("p")), ["b".to_owned()].into());
    Ok(())
}

#[test]
fn the_file_is_synced_before_its_name_and_the_name_before_the_answer() -> Result<()> {
    let (_dir, blobs) = place();
    blobs.put(&name("p/a"), b"x")?;
    let steps = ["sync the parent", "create", "write", "sync the file", "rename", "sync the folder"];
    assert_eq!(blobs.fault.steps(), steps);
    // A name that is taken is made safe too: who took it may have died right after the rename.
    blobs.put(&name("p/a"), b"x")?;
    assert_eq!(blobs.fault.steps()[steps.len()..], ["sync the file", "sync the folder"]);
    Ok(())
}

#[test]
fn death_at_any_step_leaves_all_or_nothing_and_remains_are_swept() -> Result<()> {
    for steps in 0..6 {
        let (dir, blobs) = place();
        blobs.fault.die_after(steps);
        blobs.put(&name("p/a"), b"whole").expect_err("dead before the end");
        let after = LocalBlobs::open(dir.path())?;
        match after.get(&name("p/a"), 5) {
            Ok(bytes) => assert_eq!((bytes.as_slice(), steps), (&b"whole"[..], 5)),
            Err(e) => assert!(matches!(e, Error::Missing { .. }) && steps < 5, "after {steps}: {e}"),
        }
        let remains = files(&dir.path().join("p")).iter().filter(|f| f.starts_with('.')).count();
        assert!(after.list(&folder("p"))?.iter().all(|l| l.last == "a"));
        assert_eq!(after.sweep(&folder("p"))?, remains);
        after.put(&name("p/a"), b"whole")?;
        assert_eq!(after.get(&name("p/a"), 5)?, b"whole");
        assert_eq!(files(&dir.path().join("p")), ["a".to_owned()].into());
    }
    Ok(())
}

#[test]
fn after_a_failed_sync_nothing_more_is_written() -> Result<()> {
    for step in ["sync the parent", "sync the file", "sync the folder"] {
        let (dir, blobs) = place();
        blobs.fault.fail(step);
        assert!(matches!(blobs.put(&name("p/a"), b"x"), Err(Error::Storage { .. })), "{step}");
        let again = blobs.put(&name("p/b"), b"x");
        assert!(matches!(again, Err(Error::Unreliable { .. })), "{step}: {again:?}");
        assert!(matches!(blobs.delete(&name("p/a")), Err(Error::Unreliable { .. })), "{step}");
        assert!(files(&dir.path().join("p")).iter().all(|f| f == "a"), "{step}: remains");
    }
    Ok(())
}

#[test]
fn links_pipes_and_directories_are_not_followed_read_or_listed() -> Result<()> {
    let (dir, blobs) = place();
    let outside = tempfile::tempdir().expect("a temporary directory");
    fs::write(outside.path().join("secret"), "s").expect("write");
    blobs.put(&name("p/real"), b"r")?;
    let p = dir.path().join("p");
    symlink(outside.path().join("secret"), p.join("link")).expect("link");
    symlink("nowhere", p.join("dangling")).expect("link");
    symlink(outside.path(), dir.path().join("away")).expect("link");
    fs::create_dir(p.join("folder")).expect("make a directory");
    let fifo = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, p.join("pipe"), rustix::fs::FileType::Fifo, fifo, 0).expect("make a pipe");
    for hostile in ["p/link", "p/dangling", "p/folder", "p/pipe", "away/secret", "p/real/x"] {
        let n = name(hostile);
        assert!(matches!(blobs.get(&n, 9), Err(Error::Storage { .. })), "get {hostile}: {:?}", blobs.get(&n, 9));
        assert!(matches!(blobs.size(&n), Err(Error::Storage { .. })), "size {hostile}");
        assert!(matches!(blobs.put(&n, b"x"), Err(Error::Storage { .. })), "put {hostile}");
    }
    assert!(matches!(blobs.put(&name("away/new"), b"x"), Err(Error::Storage { .. })));
    assert!(blobs.list(&folder("away")).is_err() && blobs.delete(&name("away/secret")).is_err());
    assert_eq!(blobs.list(&folder("p"))?.iter().map(|l| l.last.as_str()).collect::<Vec<_>>(), ["real"]);
    // Deleting a link removes the link.
    blobs.delete(&name("p/link"))?;
    assert_eq!(files(outside.path()), ["secret".to_owned()].into());
    Ok(())
}

#[test]
fn many_writers_of_one_name_make_one_file() -> Result<()> {
    let (dir, _) = place();
    let created = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8u8)
            .map(|n| {
                let dir = dir.path();
                scope.spawn(move || LocalBlobs::open(dir).and_then(|b| b.put(&name("p/a"), &[n; 1000])))
            })
            .collect();
        writers.into_iter().map(|w| w.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    assert_eq!(created.iter().filter(|&&p| p == Put::Created).count(), 1);
    let bytes = LocalBlobs::open(dir.path())?.get(&name("p/a"), 1000)?;
    assert!(bytes.len() == 1000 && bytes.iter().all(|&b| b == bytes[0]));
    assert_eq!(files(&dir.path().join("p")), ["a".to_owned()].into());
    Ok(())
}
