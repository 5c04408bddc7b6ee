//! Files that are whole or not there.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
};

/// Writes a file to the side, syncs it, and renames it into place: readers see the old file or the whole new one, and
/// a failure leaves the old one. Through a symbolic link the file it points to is replaced. What is no regular file (a
/// pipe, `/dev/full`) is written to directly.
///
/// # Errors
/// Whatever the system or `fill` says; nothing is left behind.
pub fn write_aside(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if fs::metadata(&target).is_ok_and(|m| !m.is_file()) {
        let mut file = BufWriter::new(OpenOptions::new().write(true).open(&target)?);
        fill(&mut file)?;
        return file.flush();
    }
    let side = side_path(&target)?;
    let done = fill_and_rename(&side, &target, fill);
    if done.is_err() {
        // The first error is the one to tell; a side file that cannot be removed is named by its suffix.
        let _ = fs::remove_file(&side);
    }
    done
}

fn fill_and_rename(side: &Path, target: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, File::create(side)?);
    fill(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(side, target)?;
    sync_directory(target)
}

/// Hidden beside the target, so that the rename stays inside one file system; the process id keeps runs apart.
fn side_path(target: &Path) -> io::Result<PathBuf> {
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "expected the name of a file, got a directory"))?;
    let mut side = OsString::from(".");
    side.push(name);
    side.push(format!(".{}.part", process::id()));
    Ok(target.with_file_name(side))
}

/// The rename itself must reach the disk too.
#[cfg(unix)]
fn sync_directory(target: &Path) -> io::Result<()> {
    let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m");
        write_aside(&path, |w| w.write_all(b"old")).unwrap();
        let fails = |w: &mut dyn Write| {
            w.write_all(b"new")?;
            Err(io::Error::other("no more room"))
        };
        assert_eq!(write_aside(&path, fails).unwrap_err().to_string(), "no more room");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(entries(dir.path()), 1);
        write_aside(&path, |w| w.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(entries(dir.path()), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_keeps_pointing_at_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_aside(&link, |w| w.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error() {
        let e = write_aside(Path::new("/dev/full"), |w| w.write_all(b"x")).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::StorageFull);
    }
}
