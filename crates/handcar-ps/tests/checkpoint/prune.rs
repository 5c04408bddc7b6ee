//! Removing old checkpoints: what is kept stays whole, whatever dies meanwhile.

use crate::entries::{restore, save, table};
use crate::faulty::{Death, Faulty};
use handcar_ps::checkpoint::{BlobName, Blobs, Choice, Error, Folder, Manifest, MemoryBlobs, Reader, Result, Writer};
use std::num::NonZeroUsize;

fn keep(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("not zero")
}

/// Five checkpoints; table 0 never changes, table 1 always does.
fn five() -> Result<MemoryBlobs> {
    let blobs = MemoryBlobs::new();
    for n in 1..=5 {
        save(&blobs, &tables(n), 2)?;
    }
    Ok(blobs)
}

fn tables(n: u64) -> [crate::entries::Table; 2] {
    [table(20, 1), table(20, 100 + n)]
}

fn pieces(blobs: &dyn Blobs) -> usize {
    blobs.list(&Folder::new("pieces").expect("a folder")).expect("listed").len()
}

#[test]
fn the_newest_are_kept_whole_and_shared_pieces_with_them() -> Result<()> {
    let blobs = five()?;
    assert_eq!(pieces(&blobs), 2 + 5 * 2);
    let done = Writer::new(&blobs).prune(keep(2))?;
    assert_eq!((done.kept, done.removed, done.pieces), (vec![4, 5], vec![1, 2, 3], 6));
    assert_eq!(pieces(&blobs), 2 + 2 * 2);
    for n in [4, 5] {
        assert_eq!(restore(&Reader::open(&blobs, Choice::Sequence(n))?, 3)?, tables(n));
    }
    let again = Writer::new(&blobs).prune(keep(9))?;
    assert_eq!((again.removed.len(), again.pieces), (0, 0));
    Ok(())
}

#[test]
fn death_at_any_operation_of_pruning_leaves_whole_checkpoints() -> Result<()> {
    for death in [Death::Before, Death::After] {
        for operations in 0.. {
            let blobs = five()?;
            let pruned = Writer::new(&Faulty::dies_after(&blobs, operations, death)).prune(keep(2));
            for n in 1..=5 {
                match Reader::open(&blobs, Choice::Sequence(n)) {
                    Ok(reader) => assert_eq!(restore(&reader, 1)?, tables(n), "{death:?} after {operations}"),
                    Err(e) => assert!(n <= 3 && matches!(e, Error::Missing { .. }), "{death:?} {operations}: {e}"),
                }
            }
            Writer::new(&blobs).prune(keep(2))?;
            assert_eq!(pieces(&blobs), 6, "{death:?} after {operations}: pieces left behind");
            if pruned.is_ok() {
                break;
            }
        }
    }
    Ok(())
}

#[test]
fn damaged_checkpoints_do_not_count_as_kept() -> Result<()> {
    let blobs = five()?;
    for n in [1, 5] {
        blobs.delete(&Manifest::name(n))?;
        blobs.put(&Manifest::name(n), b"torn")?;
    }
    let done = Writer::new(&blobs).prune(keep(2))?;
    assert_eq!((done.kept, done.damaged, done.removed), (vec![3, 4], vec![5], vec![1, 2]));
    assert_eq!(restore(&Reader::open(&blobs, Choice::Latest)?, 1)?, tables(4));
    Ok(())
}

#[test]
fn nothing_is_removed_where_nothing_is_intact_or_a_newer_handcar_wrote() -> Result<()> {
    let blobs = MemoryBlobs::new();
    crate::entries::write_pieces(&blobs, &tables(1), 2)?;
    blobs.put(&Manifest::name(1), b"torn")?;
    let done = Writer::new(&blobs).prune(keep(1))?;
    assert_eq!((done.damaged, done.pieces, pieces(&blobs)), (vec![1], 0, 4));

    let blobs = five()?;
    let newer = sealed(r#"{"version":2,"what":"nobody knows"}"#);
    blobs.put(&Manifest::name(6), newer.as_bytes())?;
    assert!(matches!(Writer::new(&blobs).prune(keep(1)), Err(Error::Newer { got: 2, .. })));
    assert_eq!(pieces(&blobs), 12);
    let reader = Reader::open(&blobs, Choice::Latest)?;
    assert!(matches!(reader.passed_over()[0].why, Error::Newer { .. }) && reader.manifest().sequence == 5);
    Ok(())
}

#[test]
fn files_of_others_stay() -> Result<()> {
    let blobs = five()?;
    let theirs = BlobName::new("pieces/README.txt")?;
    blobs.put(&theirs, b"do not touch")?;
    Writer::new(&blobs).prune(keep(1))?;
    assert_eq!(blobs.size(&theirs)?, Some(12));
    Ok(())
}

fn sealed(body: &str) -> String {
    let hash = handcar_ps::checkpoint::Hash::of(body.as_bytes());
    format!("{{\"blake3\":\"{hash}\",\"manifest\":{body}}}\n")
}
