//! Real trouble: a full disk, a file size limit, a process killed while it saves. Each in a process of its own.

use crate::entries::{restore, save, table};
use handcar_ps::checkpoint::{Blobs, Choice, Error, Folder, LocalBlobs, Reader, Result, Writer};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

/// Names the directory in the child's environment; without it the children's tests do nothing.
const PLACE: &str = "HANDCAR_TEST_CHECKPOINT_PLACE";

/// Set to what a shell does before it becomes the child.
const SMALL_BYTES: u64 = 64 << 10;

/// This test program as a child, running one test after `shell` has prepared the ground.
fn child(test: &str, place: &Path, prefix: &[&str], shell: &str) -> Command {
    let exe = env::current_exe().expect("this program has a path");
    let script = format!("{shell} && exec \"$0\" --exact {test} --nocapture");
    let words: Vec<&str> = prefix.iter().copied().chain(["sh", "-c", &script]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(exe).env(PLACE, place).stdin(Stdio::null());
    command
}

fn place_of_child() -> Option<std::path::PathBuf> {
    env::var_os(PLACE).map(Into::into)
}

/// What is no blob, beneath a folder.
fn remains(place: &Path, folder: &str) -> usize {
    let Ok(entries) = fs::read_dir(place.join(folder)) else { return 0 };
    entries.filter(|e| e.as_ref().is_ok_and(|e| e.file_name().to_string_lossy().starts_with('.'))).count()
}

#[test]
fn child_finds_no_room() {
    let Some(place) = place_of_child() else { return };
    let blobs = LocalBlobs::open(&place).expect("the place exists");
    let small = [table(50, 1)];
    save(&blobs, &small, 2).expect("room for a small checkpoint");
    // 16 bytes a key.
    let big = [table(8 * SMALL_BYTES / 16, 2)];
    match save(&blobs, &big, 1) {
        Err(Error::Full { op: "put", file, bytes, .. }) => {
            assert!(file.starts_with(&format!("{}/pieces/", place.display())), "{file}");
            assert_eq!(bytes, 8 * SMALL_BYTES);
        }
        other => panic!("expected no room, got {other:?}"),
    }
    assert_eq!((remains(&place, "pieces"), remains(&place, "manifests")), (0, 0));
    let listed = blobs.list(&Folder::new("pieces").expect("a folder")).expect("listed");
    assert_eq!(listed.len(), 2, "nothing half visible: {listed:?}");
    let reader = Reader::open(&blobs, Choice::Latest).expect("the small one");
    assert_eq!((reader.manifest().sequence, restore(&reader, 3)), (1, Ok(small.to_vec())));
    // A full disk is no lasting fault of the store.
    save(&blobs, &[table(51, 1)], 2).expect("room for another small checkpoint");
    println!("child: refused for want of room");
}

/// Runs the child above; `false` if the ground could not be prepared.
fn no_room(prefix: &[&str], shell: &str) -> bool {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let shell = format!("{{ {shell}; }} && echo prepared");
    let Ok(out) = child("disk::child_finds_no_room", dir.path(), prefix, &shell).output() else { return false };
    let text = String::from_utf8_lossy(&out.stdout);
    if !text.contains("prepared") {
        return false;
    }
    let ok = out.status.success() && text.contains("child: refused for want of room");
    assert!(ok, "{text}{}", String::from_utf8_lossy(&out.stderr));
    true
}

#[test]
fn a_full_disk_is_a_typed_error_and_leaves_the_old_checkpoint() {
    let mount = format!("mount -t tmpfs -o size={} tmpfs \"${PLACE}\"", 4 * SMALL_BYTES);
    let as_root = ["unshare", "--mount"];
    let as_user = ["unshare", "--user", "--map-root-user", "--mount"];
    if !no_room(&as_root, &mount) && !no_room(&as_user, &mount) {
        println!("SKIPPED: a small tmpfs cannot be mounted here");
    }
}

#[test]
fn a_file_size_limit_is_a_typed_error_and_leaves_the_old_checkpoint() {
    // In blocks of 512 or 1024 bytes, depending on the shell; the signal is ignored so that the write itself fails.
    let limit = format!("trap '' XFSZ; ulimit -f {}", SMALL_BYTES / 1024);
    assert!(no_room(&["env"], &limit), "a shell can limit file sizes");
}

#[test]
fn child_saves_forever() {
    let Some(place) = place_of_child() else { return };
    let blobs = LocalBlobs::open(&place).expect("the place exists");
    for n in 1.. {
        save(&blobs, &[table(200, 1), table(200, n)], 3).expect("saved");
        println!("\nsaved {n}");
        if n % 5 == 0 {
            let keep = std::num::NonZeroUsize::new(2).expect("not zero");
            Writer::new(&blobs).prune(keep).expect("pruned");
        }
    }
}

#[test]
fn a_process_killed_while_saving_leaves_every_checkpoint_it_reported() -> Result<()> {
    for kills_after in 1..=12 {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut saver = child("disk::child_saves_forever", dir.path(), &["env"], "true")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start a child");
        let lines = BufReader::new(saver.stdout.take().expect("piped")).lines();
        let saved = lines.map_while(|l| l.ok()).filter_map(|l| l.strip_prefix("saved ")?.parse::<u64>().ok());
        let reported = saved.take(kills_after).last().expect("the child saves");
        saver.kill().expect("kill the child");
        saver.wait().expect("it ends");

        let blobs = LocalBlobs::open(dir.path())?;
        let reader = Reader::open(&blobs, Choice::Latest)?;
        let n = reader.manifest().sequence;
        assert!(n >= reported, "{reported} was reported, {n} is the latest");
        assert_eq!(restore(&reader, 2)?, [table(200, 1), table(200, n)]);
        assert_eq!(reader.passed_over(), []);
        let keep = std::num::NonZeroUsize::new(1).expect("not zero");
        Writer::new(&blobs).prune(keep)?;
        assert_eq!((remains(dir.path(), "pieces"), remains(dir.path(), "manifests")), (0, 0));
    }
    Ok(())
}
