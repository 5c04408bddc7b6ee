//! `prune`: removes old checkpoints and the pieces that only they used.

use super::blobs::file;
use super::error::{Error, Result};
use super::hash::Hash;
use super::manifest::{MANIFESTS, Manifest};
use super::name::Folder;
use super::piece::PIECES;
use super::reader::load;
use super::writer::{Writer, pieces_are_there, sequences};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;

/// What was removed, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Checkpoints kept, ascending.
    pub kept: Vec<u64>,
    /// Checkpoints removed, ascending.
    pub removed: Vec<u64>,
    /// Damaged checkpoints newer than the oldest one kept; left for a look, though their own pieces may be removed.
    pub damaged: Vec<u64>,
    /// Pieces removed.
    pub pieces: usize,
    /// Bytes of the pieces removed.
    pub bytes: u64,
    /// Remains of interrupted writes removed.
    pub remains: usize,
}

impl Writer<'_> {
    /// Keeps the `keep` newest intact checkpoints and removes older ones, first their manifests, then pieces that no
    /// kept manifest names. If it is interrupted, what is left are whole checkpoints and unused pieces.
    ///
    /// Only the coordinator may call it, and only between checkpoints: pieces that wait for their manifest are unused.
    /// (One pruned all the same is noticed by [`Writer::commit`].)
    ///
    /// # Errors
    /// What the storage says; [`Error::Newer`] if a manifest of a newer handcar is there, whose pieces cannot be known.
    /// Nothing is removed unless every manifest could be read or is known to be damaged.
    pub fn prune(&self, keep: NonZeroUsize) -> Result<Pruned> {
        let blobs = self.blobs();
        let mut kept: Vec<Manifest> = Vec::new();
        let (mut old, mut damaged) = (Vec::new(), Vec::new());
        for sequence in sequences(blobs)?.into_iter().rev() {
            match load(blobs, sequence) {
                Err(newer @ Error::Newer { .. }) => return Err(newer),
                Ok(_) | Err(Error::Damaged { .. }) if kept.len() == keep.get() => old.push(sequence),
                Ok(manifest) => match pieces_are_there(blobs, &manifest) {
                    Ok(()) => kept.push(manifest),
                    Err(Error::Damaged { .. }) => damaged.push(sequence),
                    Err(e) => return Err(e),
                },
                Err(Error::Damaged { .. }) => damaged.push(sequence),
                Err(e) => return Err(e),
            }
        }
        let mut done = Pruned { kept: kept.iter().map(|m| m.sequence).rev().collect(), ..Default::default() };
        done.damaged = damaged.into_iter().rev().collect();
        if kept.is_empty() {
            // Then the pieces there may be all that is left to look at.
            return Ok(done);
        }
        for &sequence in old.iter().rev() {
            blobs.delete(&Manifest::name(sequence))?;
            done.removed.push(sequence);
        }
        let used: BTreeSet<Hash> = kept.iter().flat_map(|m| &m.pieces).map(|p| p.blake3).collect();
        // What is not named by a hash is none of ours.
        let unused = |name: &str| Hash::parse(name).is_some_and(|hash| !used.contains(&hash));
        let pieces = Folder::new(PIECES)?;
        for listed in blobs.list(&pieces)?.into_iter().filter(|l| unused(&l.last)) {
            let name = pieces.blob(&listed.last)?;
            tracing::debug!(file = %file(&blobs.place(), &name), "removes an unused piece");
            blobs.delete(&name)?;
            done.pieces += 1;
            done.bytes += listed.bytes;
        }
        for folder in [pieces, Folder::new(MANIFESTS)?] {
            done.remains += blobs.sweep(&folder)?;
        }
        Ok(done)
    }
}
