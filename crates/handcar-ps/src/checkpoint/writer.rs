//! `Writer`: puts pieces, then the manifest that makes them a checkpoint.

use super::blobs::{Blobs, Put, file};
use super::envelope;
use super::error::{Error, Result};
use super::manifest::{MANIFEST_BYTES_MAX, MANIFESTS, Manifest};
use super::name::Folder;
use super::piece::{PIECES, PieceId, PieceRecord};
use std::collections::BTreeMap;

/// Writes checkpoints to a place. Servers write pieces, all at once if they like; one coordinator commits.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    blobs: &'a dyn Blobs,
}

impl<'a> Writer<'a> {
    /// Writes to `blobs`.
    pub fn new(blobs: &'a dyn Blobs) -> Self {
        Self { blobs }
    }

    /// The number for the next checkpoint: one above every manifest there, intact or not.
    ///
    /// # Errors
    /// What the storage says, or [`Error::Argument`] if the numbers are used up.
    pub fn next_sequence(&self) -> Result<u64> {
        match sequences(self.blobs)?.last() {
            None => Ok(1),
            Some(last) => last.checked_add(1).ok_or_else(|| {
                let name = Manifest::name(*last);
                Error::argument("next checkpoint", "a number below 2^64 - 1", name.as_str())
            }),
        }
    }

    /// Writes the entries of one range, or finds that they are there already, byte for byte. A damaged blob of that
    /// name is replaced. The bytes are safe when this returns.
    ///
    /// `keys` is the number of entries, for people; `meta` comes back with the piece and is kept in the manifest.
    ///
    /// # Errors
    /// [`Error::Argument`] beyond the bounds, [`Error::Full`], or what else the storage says.
    pub fn piece(&self, id: PieceId, keys: u64, bytes: &[u8], meta: &[u8]) -> Result<PieceRecord> {
        let record = PieceRecord::of(id, keys, bytes, meta)?;
        let name = record.name();
        if self.blobs.put(&name, bytes)? == Put::Created {
            return Ok(record);
        }
        match self.blobs.get(&name, record.bytes) {
            Ok(held) if held == bytes => return Ok(record),
            Ok(_) | Err(Error::Damaged { .. } | Error::Missing { .. }) => {}
            Err(e) => return Err(e),
        }
        // No checkpoint can use what is there: it is not what its name says.
        tracing::warn!(file = %file(&self.blobs.place(), &name), "replaces a damaged piece");
        self.blobs.delete(&name)?;
        // If it exists again, a server with the same bytes was quicker.
        self.blobs.put(&name, bytes)?;
        Ok(record)
    }

    /// The record of a piece of an earlier checkpoint whose entries have not changed since, with new meta. Costs one
    /// question about its length; [`Writer::piece`] would also find and mend damage.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Damaged`] if the piece is not there as recorded: write it instead.
    pub fn reuse(&self, earlier: &PieceRecord, meta: &[u8]) -> Result<PieceRecord> {
        let record = PieceRecord { meta: meta.to_vec(), ..earlier.clone() };
        record.check()?;
        let name = record.name();
        let file = file(&self.blobs.place(), &name);
        match self.blobs.size(&name)? {
            None => Err(Error::Missing { op: "reuse", file }),
            Some(bytes) if bytes != record.bytes => {
                Err(Error::damaged(file, format!("{} bytes", record.bytes), bytes.to_string()))
            }
            Some(_) => Ok(record),
        }
    }

    /// Makes the checkpoint: checks that it is complete and that every piece is there, then writes the manifest under
    /// its number. After an error the checkpoint may or may not exist; committing the same again settles it. Returns the
    /// manifest as written, tables and pieces in order.
    ///
    /// # Errors
    /// [`Error::Argument`] if it is no checkpoint, or if a later number was committed before;
    /// [`Error::Damaged`] for a piece that is not there, [`Error::Taken`] if another coordinator used the number, or what the storage says.
    pub fn commit(&self, mut manifest: Manifest) -> Result<Manifest> {
        manifest.sort();
        manifest.check()?;
        let sealed = envelope::seal(&manifest)?;
        self.is_timely(&manifest)?;
        pieces_are_there(self.blobs, &manifest)?;
        let name = Manifest::name(manifest.sequence);
        if self.blobs.put(&name, &sealed)? == Put::Exists {
            match self.blobs.get(&name, MANIFEST_BYTES_MAX) {
                Ok(held) if held == sealed => {}
                Ok(_) | Err(Error::Damaged { .. }) => {
                    return Err(Error::Taken { file: file(&self.blobs.place(), &name) });
                }
                Err(e) => return Err(e),
            }
        }
        Ok(manifest)
    }

    /// Refuses what a coordinator commits after it was succeeded. (That both commit in the same moment is not for a store
    /// to prevent; then one number goes to one of them.) Epochs say nothing here: a new job begins with the first one, in
    /// the place of an old job that may have ended with a later one.
    fn is_timely(&self, manifest: &Manifest) -> Result<()> {
        let all = sequences(self.blobs)?;
        match all.last() {
            Some(&last) if last > manifest.sequence && !all.contains(&manifest.sequence) => {
                let expected = format!("a number above {last}");
                Err(Error::argument("commit", expected, manifest.sequence.to_string()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn blobs(&self) -> &'a dyn Blobs {
        self.blobs
    }
}

/// The numbers of all manifests, ascending.
pub(super) fn sequences(blobs: &dyn Blobs) -> Result<Vec<u64>> {
    let listed = blobs.list(&Folder::new(MANIFESTS)?)?;
    Ok(listed.iter().filter_map(|l| Manifest::sequence_of(&l.last)).collect())
}

/// Checks by one listing that every piece of a manifest is there with its length.
pub(super) fn pieces_are_there(blobs: &dyn Blobs, manifest: &Manifest) -> Result<()> {
    let listed = blobs.list(&Folder::new(PIECES)?)?;
    let there: BTreeMap<&str, u64> = listed.iter().map(|l| (l.last.as_str(), l.bytes)).collect();
    for record in &manifest.pieces {
        let name = record.name();
        let got = match there.get(name.last()) {
            Some(&bytes) if bytes == record.bytes => continue,
            Some(bytes) => format!("{bytes}"),
            None => "nothing of that name".into(),
        };
        return Err(Error::damaged(file(&blobs.place(), &name), format!("{} bytes", record.bytes), got));
    }
    Ok(())
}
