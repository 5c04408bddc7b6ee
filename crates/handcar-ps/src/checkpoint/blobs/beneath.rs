//! Names beneath a directory's handle: one component at a time, never through a symbolic link.

use rustix::fs::{self, AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// The directory `name` in `parent`; made if `create` and absent.
pub(super) fn folder(parent: &OwnedFd, name: &str, create: bool) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || fs::openat(parent, name, flags, Mode::empty());
    let opened = match open() {
        Err(Errno::NOENT) if create => match fs::mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
            // Another server may have been quicker.
            Ok(()) | Err(Errno::EXIST) => open(),
            Err(e) => Err(e),
        },
        other => other,
    };
    opened.map_err(|e| match e {
        Errno::NOTDIR | Errno::LOOP => {
            io::Error::other(format!("expected {name} to be a directory, got something else or a link to one"))
        }
        e => e.into(),
    })
}

/// A regular file for reading, if the name is taken by one.
pub(super) fn file(folder: &OwnedFd, last: &str) -> io::Result<Option<File>> {
    // Without NONBLOCK, a pipe put there by somebody would hold us until it is written to.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match fs::openat(folder, last, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => Err(io::Error::other("expected a file, got a symbolic link")),
        Err(e) => Err(e.into()),
        Ok(fd) => {
            let file = File::from(fd);
            if !file.metadata()?.is_file() {
                return Err(io::Error::other("expected a file, got something else"));
            }
            Ok(Some(file))
        }
    }
}

/// The names in a folder, sorted.
pub(super) fn entries(folder: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        // A name that is no UTF-8 is none of ours.
        if let Ok(name) = entry?.file_name().to_str() {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Renames unless the new name is taken, in one step.
pub(super) fn rename_if_free(folder: &OwnedFd, from: &str, to: &str) -> rustix::io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    match fs::renameat_with(folder, from, folder, to, fs::RenameFlags::NOREPLACE) {
        // Not every file system knows the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        other => return other,
    }
    link_if_free(folder, from, to)
}

/// The same where no rename refuses taken names: a link does.
fn link_if_free(folder: &OwnedFd, from: &str, to: &str) -> rustix::io::Result<()> {
    fs::linkat(folder, from, folder, to, AtFlags::empty())?;
    fs::unlinkat(folder, from, AtFlags::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs as std_fs;

    #[test]
    fn both_ways_of_renaming_refuse_a_taken_name() {
        for rename in [rename_if_free, link_if_free] {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let handle = OwnedFd::from(File::open(dir.path()).expect("it exists"));
            for name in ["a", "b", "c"] {
                std_fs::write(dir.path().join(name), name).expect("write");
            }
            assert_eq!(rename(&handle, "a", "c"), Err(Errno::EXIST));
            assert_eq!(rename(&handle, "b", "d"), Ok(()));
            assert_eq!(rename(&handle, "none", "e"), Err(Errno::NOENT));
            assert_eq!(
                entries(&handle).map(|all| all[2..].to_vec()).ok(),
                Some(["a", "c", "d"].map(String::from).into())
            );
            assert_eq!(std_fs::read(dir.path().join("c")).ok(), Some(b"c".to_vec()));
        }
    }
}
