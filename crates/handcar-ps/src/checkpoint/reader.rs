//! `Reader`: opens a checkpoint and hands out its pieces, checked.

use super::blobs::{Blobs, file};
use super::envelope;
use super::error::{Error, Result};
use super::hash::Hash;
use super::manifest::{MANIFEST_BYTES_MAX, Manifest};
use super::piece::PieceRecord;
use super::range::PositionRange;
use super::writer::{pieces_are_there, sequences};
use std::collections::BTreeMap;

/// Which checkpoint to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The highest number whose manifest is intact and whose pieces are there.
    Latest,
    /// The same among the numbers below one: the next older when that one turned out damaged.
    Before(u64),
    /// This one or none.
    Sequence(u64),
}

/// A newer checkpoint that was not opened, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Its number.
    pub sequence: u64,
    /// What is wrong with it.
    pub why: Error,
}

/// One checkpoint, opened: its manifest is intact, covers every position of every table exactly once, and its pieces
/// are there with their lengths. Their bytes are read when asked for.
///
/// To restore, call [`Reader::verify_all`] once before any server takes a piece: then a checkpoint with a damaged byte
/// is refused whole, not halfway. [`Reader::read`] checks again what it hands out.
pub struct Reader<'a> {
    blobs: &'a dyn Blobs,
    manifest: Manifest,
    passed_over: Vec<PassedOver>,
}

impl<'a> Reader<'a> {
    /// Opens a checkpoint. Damaged newer ones are named in a warning and in [`Reader::passed_over`].
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`] if none fits; for [`Choice::Sequence`] what is wrong with that one. Failures of the
    /// storage end the search: what cannot be read now may well be intact.
    pub fn open(blobs: &'a dyn Blobs, choice: Choice) -> Result<Self> {
        if let Choice::Sequence(sequence) = choice {
            let manifest = load(blobs, sequence)?;
            pieces_are_there(blobs, &manifest)?;
            return Ok(Self { blobs, manifest, passed_over: Vec::new() });
        }
        let below = |s: &u64| !matches!(choice, Choice::Before(end) if *s >= end);
        let mut passed_over = Vec::new();
        for sequence in sequences(blobs)?.into_iter().filter(below).rev() {
            match load(blobs, sequence).and_then(|m| pieces_are_there(blobs, &m).map(|()| m)) {
                Ok(manifest) => return Ok(Self { blobs, manifest, passed_over }),
                // A manifest deleted since it was listed is no checkpoint either.
                Err(why) if why.is_damage() || matches!(why, Error::Missing { .. }) => {
                    tracing::warn!(sequence, %why, "passes over a damaged checkpoint");
                    passed_over.push(PassedOver { sequence, why });
                }
                Err(e) => return Err(e),
            }
        }
        let passed_over = passed_over.iter().map(|p| p.why.to_string()).collect();
        Err(Error::NoCheckpoint { place: blobs.place(), passed_over })
    }

    /// What the checkpoint consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Newer checkpoints that are damaged, newest first.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// The pieces of a table that have positions in a range. Their entries may lie outside it: take those inside.
    pub fn pieces(&self, table: u32, range: PositionRange) -> impl Iterator<Item = &PieceRecord> {
        self.manifest.pieces.iter().filter(move |p| p.id.table == table && p.id.range.overlaps(range))
    }

    /// The bytes of a piece, after checking length and hash.
    ///
    /// # Errors
    /// [`Error::Damaged`], also if it is missing, or what the storage says.
    pub fn read(&self, piece: &PieceRecord) -> Result<Vec<u8>> {
        let name = piece.name();
        let got = self.blobs.get(&name, piece.bytes);
        let wrong =
            |expected: String, got: String| Err(Error::damaged(file(&self.blobs.place(), &name), expected, got));
        let bytes = match got {
            // Without one of its pieces, a checkpoint is as damaged as can be.
            Err(Error::Missing { .. }) => {
                return wrong(format!("{} bytes", piece.bytes), "nothing of that name".into());
            }
            other => other?,
        };
        if bytes.len() as u64 != piece.bytes {
            return wrong(format!("{} bytes", piece.bytes), bytes.len().to_string());
        }
        let found = Hash::of(&bytes);
        if found != piece.blake3 {
            return wrong(format!("BLAKE3 {}", piece.blake3), found.to_string());
        }
        Ok(bytes)
    }

    /// Reads and checks some pieces, each blob once; nothing is kept. Servers may divide a checkpoint among them and
    /// start restoring when all have succeeded.
    ///
    /// # Errors
    /// As [`Reader::read`], for the first that fails.
    pub fn verify<'p>(&self, pieces: impl IntoIterator<Item = &'p PieceRecord>) -> Result<()> {
        let distinct: BTreeMap<(Hash, u64), &PieceRecord> =
            pieces.into_iter().map(|p| ((p.blake3, p.bytes), p)).collect();
        distinct.into_values().try_for_each(|piece| self.read(piece).map(drop))
    }

    /// Reads and checks every byte of the checkpoint.
    ///
    /// # Errors
    /// As [`Reader::read`], for the first that fails: the checkpoint is refused whole.
    pub fn verify_all(&self) -> Result<()> {
        self.verify(&self.manifest.pieces)
    }
}

/// The manifest of a number, checked.
pub(super) fn load(blobs: &dyn Blobs, sequence: u64) -> Result<Manifest> {
    let name = Manifest::name(sequence);
    let bytes = blobs.get(&name, MANIFEST_BYTES_MAX)?;
    envelope::open(&bytes, sequence, &file(&blobs.place(), &name))
}
