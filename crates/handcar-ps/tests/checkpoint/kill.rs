//! Death at every operation of saving: the previous checkpoint still opens, and the new one is whole or not there.

use crate::entries::{restore, save, table, write_pieces};
use crate::faulty::{Death, Faulty};
use handcar_ps::checkpoint::{Blobs, Choice, Error, LocalBlobs, Manifest, MemoryBlobs, Reader, Result, Writer};

fn saves_survive(new_place: &mut dyn FnMut() -> Box<dyn Blobs>, death: Death) -> Result<()> {
    let (old, new) = (vec![table(40, 3), table(9, 5)], vec![table(40, 3), table(12, 7)]);
    for operations in 0.. {
        let blobs = new_place();
        save(&*blobs, &old, 2)?;
        let faulty = Faulty::dies_after(&*blobs, operations, death);
        let saved = save(&faulty, &new, 3);

        let previous = Reader::open(&*blobs, Choice::Sequence(1))?;
        assert_eq!(restore(&previous, 1)?, old, "{death:?} after {operations}");
        let latest = Reader::open(&*blobs, Choice::Latest)?;
        let restored = restore(&latest, 2)?;
        match latest.manifest().sequence {
            1 => assert!(restored == old && saved.is_err(), "{death:?} after {operations}"),
            // Only an answer that got lost may hide that the checkpoint is there.
            2 => assert!(restored == new && (saved.is_ok() || death == Death::After), "{death:?} after {operations}"),
            other => panic!("checkpoint {other} out of nowhere"),
        }
        // The next attempt finds its way among the remains, and mends torn pieces.
        let again = save(&*blobs, &new, 3)?;
        let latest = Reader::open(&*blobs, Choice::Latest)?;
        assert_eq!((latest.manifest(), restore(&latest, 4)?), (&again, new.clone()), "{death:?} after {operations}");
        assert!(latest.passed_over().is_empty());
        if saved.is_ok() {
            assert!(operations >= 9, "six pieces, two listings and a manifest, got {operations} operations");
            return Ok(());
        }
    }
    Ok(())
}

#[test]
fn death_at_any_operation_leaves_the_old_checkpoint_and_the_new_one_whole_or_not_there() -> Result<()> {
    for death in [Death::Before, Death::After, Death::Torn] {
        saves_survive(&mut || Box::new(MemoryBlobs::new()), death)?;
        let mut dirs = Vec::new();
        let mut on_disk = || -> Box<dyn Blobs> {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let blobs = LocalBlobs::open(dir.path()).expect("it exists");
            dirs.push(dir);
            Box::new(blobs)
        };
        saves_survive(&mut on_disk, death)?;
    }
    Ok(())
}

#[test]
fn a_commit_whose_answer_was_lost_can_be_repeated_and_nobody_else_gets_the_number() -> Result<()> {
    let blobs = MemoryBlobs::new();
    let tables = [table(20, 1)];
    let pieces = write_pieces(&blobs, &tables, 2)?;
    let manifest = crate::entries::manifest(&blobs, &tables, pieces, 2)?;
    let first = Writer::new(&blobs).commit(manifest.clone())?;
    assert_eq!(Writer::new(&blobs).commit(manifest.clone()), Ok(first));
    for other in [Manifest { epoch: 9, ..manifest.clone() }, Manifest { clocks: vec![0; 500], ..manifest }] {
        assert!(matches!(Writer::new(&blobs).commit(other), Err(Error::Taken { .. })));
    }
    Ok(())
}

#[test]
fn a_coordinator_that_was_succeeded_commits_no_more() -> Result<()> {
    let blobs = MemoryBlobs::new();
    let tables = [table(20, 1)];
    let pieces = write_pieces(&blobs, &tables, 2)?;
    // Its successor writes numbers 1 and 2 while it prepares its own.
    let old = crate::entries::manifest(&blobs, &tables, pieces, 2)?;
    save(&blobs, &tables, 1)?;
    save(&blobs, &tables, 1)?;
    blobs.delete(&Manifest::name(1))?;
    assert!(matches!(Writer::new(&blobs).commit(old), Err(Error::Argument { op: "commit", .. })));
    Ok(())
}

#[test]
fn a_new_job_goes_on_where_an_old_one_with_more_epochs_ended() -> Result<()> {
    let blobs = MemoryBlobs::new();
    let tables = [table(20, 1)];
    let pieces = write_pieces(&blobs, &tables, 2)?;
    let old = crate::entries::manifest(&blobs, &tables, pieces, 2)?;
    let next = old.sequence + 1;
    Writer::new(&blobs).commit(Manifest { epoch: 40, ..old.clone() })?;
    Writer::new(&blobs).commit(Manifest { sequence: next, epoch: 1, ..old }).map(drop)
}

#[test]
fn a_manifest_is_refused_while_a_piece_is_missing() -> Result<()> {
    let blobs = MemoryBlobs::new();
    let tables = [table(20, 1)];
    let pieces = write_pieces(&blobs, &tables, 3)?;
    blobs.delete(&pieces[1].name())?;
    let manifest = crate::entries::manifest(&blobs, &tables, pieces.clone(), 3)?;
    assert!(matches!(Writer::new(&blobs).commit(manifest.clone()), Err(Error::Damaged { .. })));
    let gap = Manifest { pieces: pieces[..2].to_vec(), ..manifest };
    assert!(matches!(Writer::new(&blobs).commit(gap), Err(Error::Argument { .. })));
    assert!(matches!(Reader::open(&blobs, Choice::Latest), Err(Error::NoCheckpoint { .. })));
    Ok(())
}

#[test]
fn storage_that_fails_for_a_moment_does_not_make_an_older_checkpoint_the_latest() -> Result<()> {
    let blobs = MemoryBlobs::new();
    save(&blobs, &[table(5, 1)], 1)?;
    save(&blobs, &[table(6, 1)], 1)?;
    for operations in 0..3 {
        let faulty = Faulty::dies_after(&blobs, operations, Death::Before);
        assert!(matches!(Reader::open(&faulty, Choice::Latest), Err(Error::Storage { .. })), "{operations}");
    }
    Ok(())
}
