//! `Blobs`: the place where a checkpoint's bytes lie.

use super::error::Result;
use super::name::{BlobName, Folder};
use std::sync::Arc;

mod beneath;
pub mod local;
pub mod memory;
#[cfg(feature = "object-store")]
pub mod object;
pub mod place;

#[cfg(test)]
mod local_tests;

/// What a [`Blobs::put`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The bytes are there under the name.
    Created,
    /// The name was taken, by whatever it holds; nothing changed.
    Exists,
}

/// One blob of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The last component of its name.
    pub last: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Named byte strings that are written whole and never changed. Calls block.
///
/// After `put` returned, the bytes outlive a loss of power; before, the name holds either nothing or all of them.
/// After an error it is unknown which.
pub trait Blobs: Send + Sync {
    /// Where this is, for messages.
    fn place(&self) -> String;

    /// Writes a blob whose name is free. If the name is taken, whatever holds it is as durable as if just written.
    ///
    /// # Errors
    /// [`Error::Full`](super::Error::Full), [`Error::Storage`](super::Error::Storage),
    /// [`Error::Deadline`](super::Error::Deadline), [`Error::Unreliable`](super::Error::Unreliable).
    fn put(&self, name: &BlobName, bytes: &[u8]) -> Result<Put>;

    /// Reads a blob of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`Error::Missing`](super::Error::Missing), [`Error::Damaged`](super::Error::Damaged) if it is longer, or what
    /// the storage says.
    fn get(&self, name: &BlobName, bytes_max: u64) -> Result<Vec<u8>>;

    /// The length of a blob, if there is one.
    ///
    /// # Errors
    /// What the storage says.
    fn size(&self, name: &BlobName) -> Result<Option<u64>>;

    /// The blobs directly in a folder, by name; none if there is no such folder. What was not put here is left out.
    ///
    /// # Errors
    /// What the storage says.
    fn list(&self, folder: &Folder) -> Result<Vec<Listed>>;

    /// Removes a blob, if there is one.
    ///
    /// # Errors
    /// What the storage says.
    fn delete(&self, name: &BlobName) -> Result<()>;

    /// Removes what interrupted writes to a folder left behind, and says how many. Only while nobody writes.
    ///
    /// # Errors
    /// What the storage says.
    fn sweep(&self, folder: &Folder) -> Result<usize> {
        let _ = folder;
        Ok(0)
    }
}

impl<B: Blobs + ?Sized> Blobs for Arc<B> {
    fn place(&self) -> String {
        (**self).place()
    }
    fn put(&self, name: &BlobName, bytes: &[u8]) -> Result<Put> {
        (**self).put(name, bytes)
    }
    fn get(&self, name: &BlobName, bytes_max: u64) -> Result<Vec<u8>> {
        (**self).get(name, bytes_max)
    }
    fn size(&self, name: &BlobName) -> Result<Option<u64>> {
        (**self).size(name)
    }
    fn list(&self, folder: &Folder) -> Result<Vec<Listed>> {
        (**self).list(folder)
    }
    fn delete(&self, name: &BlobName) -> Result<()> {
        (**self).delete(name)
    }
    fn sweep(&self, folder: &Folder) -> Result<usize> {
        (**self).sweep(folder)
    }
}

/// The name of a blob for messages: place and name.
pub(super) fn file(place: &str, name: &dyn std::fmt::Display) -> String {
    format!("{}/{name}", place.trim_end_matches('/'))
}
