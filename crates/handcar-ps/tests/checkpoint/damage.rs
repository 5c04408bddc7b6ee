//! Damage: every flipped bit, lost byte, exchanged or missing file is found, and the checkpoint refused whole.

use crate::entries::{restore, save, table};
use handcar_ps::checkpoint::{Blobs, Choice, Error, LocalBlobs, Manifest, Reader, Result, Writer};
use std::fs;
use std::path::PathBuf;

struct Place {
    dir: tempfile::TempDir,
    blobs: LocalBlobs,
}

impl Place {
    /// Two checkpoints of one small table; the second shares no piece with the first.
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let blobs = LocalBlobs::open(dir.path())?;
        save(&blobs, &[table(6, 1)], 2)?;
        save(&blobs, &[table(6, 2)], 2)?;
        Ok(Self { dir, blobs })
    }

    fn manifest(&self, sequence: u64) -> PathBuf {
        self.dir.path().join(Manifest::name(sequence).as_str())
    }

    fn pieces(&self, sequence: u64) -> Vec<PathBuf> {
        let reader = Reader::open(&self.blobs, Choice::Sequence(sequence)).expect("intact so far");
        reader.manifest().pieces.iter().map(|p| self.dir.path().join(p.name().as_str())).collect()
    }

    /// Restoring the second is refused; nothing was handed out.
    fn refused(&self) -> Error {
        let opened = Reader::open(&self.blobs, Choice::Sequence(2));
        match opened.and_then(|r| restore(&r, 1)) {
            Err(e) if e.is_damage() => e,
            other => panic!("expected the checkpoint to be refused, got {other:?}"),
        }
    }

    /// The first is what is left to open.
    fn first_is_the_latest(&self) {
        let reader = Reader::open(&self.blobs, Choice::Latest).expect("the first is intact");
        assert_eq!((reader.manifest().sequence, restore(&reader, 3)), (1, Ok(vec![table(6, 1)])));
        assert_eq!(reader.passed_over().iter().map(|p| p.sequence).collect::<Vec<_>>(), [2]);
    }
}

fn change(path: &PathBuf, how: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let whole = fs::read(path).expect("read");
    let mut changed = whole.clone();
    how(&mut changed);
    fs::write(path, changed).expect("write");
    whole
}

#[test]
fn a_flipped_byte_is_refused_whole() -> Result<()> {
    let place = Place::new()?;
    for (path, is_manifest) in
        place.pieces(2).into_iter().map(|p| (p, false)).chain([(place.manifest(2), true)]).collect::<Vec<_>>()
    {
        let bytes = fs::read(&path).expect("read").len();
        assert!(bytes > 16, "something to flip");
        for at in 0..bytes {
            let whole = change(&path, |b| b[at] ^= 1 << (at % 8));
            let why = place.refused().to_string();
            assert!(why.contains(path.file_name().and_then(|n| n.to_str()).expect("a name")), "{why}");
            if is_manifest {
                place.first_is_the_latest();
            } else {
                let before = Reader::open(&place.blobs, Choice::Before(2))?;
                assert_eq!(before.manifest().sequence, 1);
            }
            fs::write(&path, whole).expect("write");
        }
    }
    restore(&Reader::open(&place.blobs, Choice::Latest)?, 2).map(drop)
}

#[test]
fn a_torn_or_longer_file_is_refused_on_opening() -> Result<()> {
    let place = Place::new()?;
    for path in place.pieces(2).into_iter().chain([place.manifest(2)]) {
        for bytes in [0, 1, 15] {
            let whole = change(&path, |b| b.truncate(bytes));
            place.refused();
            place.first_is_the_latest();
            fs::write(&path, whole).expect("write");
        }
        let whole = change(&path, |b| b.push(0));
        place.refused();
        place.first_is_the_latest();
        fs::write(&path, whole).expect("write");
    }
    Ok(())
}

#[test]
fn missing_and_exchanged_files_are_refused() -> Result<()> {
    let place = Place::new()?;
    let pieces = place.pieces(2);
    let whole = fs::read(&pieces[0]).expect("read");
    fs::remove_file(&pieces[0]).expect("remove");
    place.refused();
    place.first_is_the_latest();
    fs::write(&pieces[0], whole).expect("write");
    // An old manifest under a new number is no checkpoint of that number.
    fs::copy(place.manifest(1), place.manifest(2)).expect("copy");
    place.refused();
    place.first_is_the_latest();
    // Without any intact one, all are named.
    change(&place.manifest(1), |b| b[70] ^= 1);
    match Reader::open(&place.blobs, Choice::Latest).err() {
        Some(Error::NoCheckpoint { passed_over, .. }) => assert_eq!(passed_over.len(), 2),
        other => panic!("expected no checkpoint, got {other:?}"),
    }
    Ok(())
}

#[test]
fn a_damaged_number_is_never_used_again_and_a_damaged_piece_is_mended_by_writing_it() -> Result<()> {
    let place = Place::new()?;
    change(&place.pieces(2)[0], |b| b[3] ^= 4);
    change(&place.manifest(2), |b| b.clear());
    assert_eq!(Writer::new(&place.blobs).next_sequence()?, 3);
    save(&place.blobs, &[table(6, 2)], 2)?;
    let reader = Reader::open(&place.blobs, Choice::Latest)?;
    assert_eq!((reader.manifest().sequence, restore(&reader, 1)?), (3, vec![table(6, 2)]));
    Ok(())
}

#[test]
fn reuse_asks_whether_the_piece_is_there() -> Result<()> {
    let place = Place::new()?;
    let reader = Reader::open(&place.blobs, Choice::Latest)?;
    let piece = &reader.manifest().pieces[0];
    let again = Writer::new(&place.blobs).reuse(piece, b"new clock")?;
    assert_eq!((again.name(), again.meta.as_slice()), (piece.name(), &b"new clock"[..]));
    change(&place.pieces(2)[0], |b| b.truncate(1));
    assert!(matches!(Writer::new(&place.blobs).reuse(piece, b""), Err(Error::Damaged { .. })));
    place.blobs.delete(&piece.name())?;
    assert!(matches!(Writer::new(&place.blobs).reuse(piece, b""), Err(Error::Missing { .. })));
    Ok(())
}
