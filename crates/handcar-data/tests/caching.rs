//! The cache is never stale, never in the way, and never grows without bound.

mod common;

use common::{adult, content, write};
use handcar_data::{CachePolicy, Dataset, OnBadRow, ReadOptions, read};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

fn at(dir: &Path) -> ReadOptions {
    ReadOptions { cache: CachePolicy::at(dir.join("cache")), label: None, ..Default::default() }
}

fn read_one(path: &Path, options: &ReadOptions) -> Dataset {
    read(&[path.display().to_string()], options).unwrap()
}

/// Old enough for its times to be trusted.
fn age(path: &Path, seconds: u64) -> SystemTime {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000 + seconds);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    time
}

#[test]
fn a_second_run_maps_equal_data() {
    let dir = tempfile::tempdir().unwrap();
    let options = ReadOptions { label: Some("income".into()), ..at(dir.path()) };
    let svm = write(dir.path(), "x.svm", "1 3:1 4:2.5\n0 7:1\n1\n");
    for (path, options) in [(adult(), options), (svm.display().to_string(), at(dir.path()))] {
        let first = read(std::slice::from_ref(&path), &options).unwrap();
        let second = read(&[path], &options).unwrap();
        assert_eq!((first.report().from_cache, second.report().from_cache), (false, true));
        assert_eq!(content(&first), content(&second));
        assert_eq!(first.report().notes, second.report().notes);
        let opened = Dataset::open(second.report().cache_file.as_ref().unwrap(), true).unwrap();
        assert_eq!(content(&opened), content(&second));
    }
}

#[test]
fn changed_content_is_noticed_even_if_size_and_time_are_not() {
    let dir = tempfile::tempdir().unwrap();
    // In the sampled part, and far from it in a file larger than what is sampled.
    let small = "1 3:1\n0 4:1\n".to_string();
    let large = "1 3:1\n0 4:1\n".repeat(200_000);
    for (name, text, at_byte) in [("small", small, 8), ("large", large, 6 * 100_001 + 2)] {
        let path = write(dir.path(), name, &text);
        age(&path, 0);
        assert!(!read_one(&path, &at(dir.path())).report().from_cache);
        assert!(read_one(&path, &at(dir.path())).report().from_cache);
        let mut changed = text.into_bytes();
        changed[at_byte] = b'9';
        std::fs::write(&path, &changed).unwrap();
        age(&path, 0);
        let d = read_one(&path, &at(dir.path()));
        assert!(!d.report().from_cache && d.keys().contains(&9), "{name}");
        // The entry was replaced, not kept beside.
        assert!(read_one(&path, &at(dir.path())).report().from_cache);
    }
}

#[test]
fn a_file_written_within_the_clock_s_tick_is_judged_by_its_content() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..50u32 {
        let path = write(dir.path(), "young", format!("1 {}:1\n0 4:1\n", 10 + i));
        assert!(read_one(&path, &at(dir.path())).keys().contains(&(10 + i as u64)));
    }
}

#[test]
fn other_options_or_inputs_have_other_entries() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.svm", "1 3:1\n0 4:1\n");
    let base = at(dir.path());
    let all = [
        ReadOptions { bits: 18, ..base.clone() },
        ReadOptions { bits: 18, hash_seed: 1, ..base.clone() },
        ReadOptions { zero_based: true, ..base.clone() },
        ReadOptions { on_bad_row: OnBadRow::Skip, ..base.clone() },
        base.clone(),
    ];
    for options in &all {
        assert!(!read_one(&path, options).report().from_cache);
        assert!(read_one(&path, options).report().from_cache);
    }
    // Threads change nothing, so they share the entry.
    assert!(read_one(&path, &ReadOptions { threads: 3, ..base.clone() }).report().from_cache);
    let twice = [path.display().to_string(), path.display().to_string()];
    assert_eq!(read(&twice, &base).unwrap().rows(), 4);
    assert_eq!(base.cache.entries().len(), 6);
    assert!(base.cache.clear().unwrap() > 0 && base.cache.entries().is_empty());
}

#[test]
fn a_damaged_or_foreign_entry_is_built_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.svm", "1 3:1\n0 4:1\n");
    let entry = read_one(&path, &at(dir.path())).report().cache_file.clone().unwrap();
    let good = std::fs::read(&entry).unwrap();
    let verify = ReadOptions { cache: CachePolicy { verify: true, ..at(dir.path()).cache }, ..at(dir.path()) };
    let mut flipped = good.clone();
    flipped[64] ^= 1;
    for (bad, options) in [(&good[..70], at(dir.path())), (b"x", at(dir.path())), (&flipped, verify)] {
        std::fs::remove_file(&entry).unwrap();
        std::fs::write(&entry, bad).unwrap();
        let d = read_one(&path, &options);
        assert!(!d.report().from_cache);
        assert_eq!(d.labels(), [1.0, -1.0]);
        assert!(read_one(&path, &options).report().from_cache);
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_a_note() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.svm", "1 3:1\n0 4:1\n");
    write(dir.path(), "cache", "a file where the directory should be");
    let d = read_one(&path, &at(dir.path()));
    assert_eq!(d.rows(), 2);
    assert!(d.report().notes.iter().any(|n| n.starts_with("cache: not written: create")), "{:?}", d.report().notes);
}

#[test]
fn least_recently_used_entries_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..3).map(|i| write(dir.path(), &format!("{i}.svm"), format!("1 {i}1:1\n0 4:1\n"))).collect();
    let entries: Vec<_> =
        paths.iter().map(|p| read_one(p, &at(dir.path())).report().cache_file.clone().unwrap()).collect();
    for (entry, order) in entries.iter().zip([2, 1, 3]) {
        age(entry, order);
    }
    let one = std::fs::metadata(&entries[0]).unwrap().len();
    let last = write(dir.path(), "last.svm", "1 51:1\n0 4:1\n");
    let policy = CachePolicy { max_bytes: 3 * one + one / 2, ..at(dir.path()).cache };
    read_one(&last, &ReadOptions { cache: policy.clone(), ..at(dir.path()) });
    let left = policy.entries();
    assert_eq!(left.len(), 3);
    assert!(!left.iter().any(|e| e.path == entries[1]), "the one used longest ago goes");
}

#[test]
fn builders_at_the_same_time_agree_and_leave_one_entry() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.svm", "1 3:1 9:2\n0 4:1\n".repeat(10_000));
    let all: Vec<String> = std::thread::scope(|s| {
        let run = || content(&read_one(&path, &at(dir.path())));
        let threads: Vec<_> = (0..4).map(|_| s.spawn(run)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(all.iter().all(|c| *c == all[0]));
    let names: Vec<_> = std::fs::read_dir(dir.path().join("cache")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.iter().filter(|n| !n.to_string_lossy().ends_with(".lock")).count(), 1, "{names:?}");
}

#[test]
fn a_missing_input_is_an_error_even_if_its_entry_remains() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.svm", "1 3:1\n");
    read_one(&path, &at(dir.path()));
    std::fs::remove_file(&path).unwrap();
    assert!(read(&[path.display().to_string()], &at(dir.path())).is_err());
}
