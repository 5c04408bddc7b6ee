//! `MemoryBlobs`: blobs in memory, for jobs of one process and for simulations.

use super::super::error::{Error, Result};
use super::super::name::{BlobName, Folder};
use super::{Blobs, Listed, Put, file};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Blobs in an ordered map.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    blobs: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryBlobs {
    /// No blobs.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        // Every change is one call on the map, so a panic elsewhere left it whole.
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blobs for MemoryBlobs {
    fn place(&self) -> String {
        "memory".into()
    }

    fn put(&self, name: &BlobName, bytes: &[u8]) -> Result<Put> {
        let mut blobs = self.lock();
        if blobs.contains_key(name.as_str()) {
            return Ok(Put::Exists);
        }
        blobs.insert(name.as_str().into(), bytes.to_vec());
        Ok(Put::Created)
    }

    fn get(&self, name: &BlobName, bytes_max: u64) -> Result<Vec<u8>> {
        match self.lock().get(name.as_str()) {
            None => Err(Error::Missing { op: "get", file: file(&self.place(), name) }),
            Some(bytes) if bytes.len() as u64 > bytes_max => Err(Error::damaged(
                file(&self.place(), name),
                format!("at most {bytes_max} bytes"),
                bytes.len().to_string(),
            )),
            Some(bytes) => Ok(bytes.clone()),
        }
    }

    fn size(&self, name: &BlobName) -> Result<Option<u64>> {
        Ok(self.lock().get(name.as_str()).map(|b| b.len() as u64))
    }

    fn list(&self, folder: &Folder) -> Result<Vec<Listed>> {
        let prefix = format!("{folder}/");
        let blobs = self.lock();
        let inside = blobs.iter().filter_map(|(name, b)| Some((name.strip_prefix(&prefix)?, b.len() as u64)));
        let direct = inside.filter(|(last, _)| !last.contains('/'));
        Ok(direct.map(|(last, bytes)| Listed { last: last.into(), bytes }).collect())
    }

    fn delete(&self, name: &BlobName) -> Result<()> {
        self.lock().remove(name.as_str());
        Ok(())
    }
}
