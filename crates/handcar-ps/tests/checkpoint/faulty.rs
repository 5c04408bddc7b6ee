//! `Faulty`: blobs that die at the n-th operation, in one of three ways.

use handcar_ps::checkpoint::{BlobName, Blobs, Error, Folder, Listed, Put, Result};
use std::sync::Mutex;

/// How the n-th operation goes wrong; every later one fails without effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It has no effect.
    Before,
    /// It has its effect, but nobody learns of it.
    After,
    /// A put leaves half of its bytes under the final name: a store that breaks its promise.
    Torn,
}

/// Passes operations on and counts them.
pub struct Faulty<'a> {
    inner: &'a dyn Blobs,
    death: Option<(usize, Death)>,
    done: Mutex<Vec<String>>,
}

impl<'a> Faulty<'a> {
    /// Never dies.
    pub fn counting(inner: &'a dyn Blobs) -> Self {
        Self { inner, death: None, done: Mutex::default() }
    }

    /// Completes `operations` operations.
    pub fn dies_after(inner: &'a dyn Blobs, operations: usize, death: Death) -> Self {
        Self { inner, death: Some((operations, death)), done: Mutex::default() }
    }

    /// The operations so far, as `put pieces/...`; one that found its name taken is `kept`.
    pub fn operations(&self) -> Vec<String> {
        self.done.lock().expect("unpoisoned").clone()
    }

    fn run<T>(
        &self,
        what: String,
        go: impl FnOnce() -> Result<T>,
        torn: impl FnOnce() -> Result<()>,
        label: impl FnOnce(&T) -> Option<String>,
    ) -> Result<T> {
        let mut done = self.done.lock().expect("unpoisoned");
        let dead = || Error::Storage { op: "test", file: what.clone(), how: "dead".into() };
        match self.death {
            Some((n, _)) if done.len() > n => return Err(dead()),
            Some((n, death)) if done.len() == n => {
                done.push(what.clone());
                match death {
                    Death::Before => {}
                    Death::After => drop(go()?),
                    Death::Torn => torn()?,
                }
                return Err(dead());
            }
            _ => {}
        }
        let answer = go()?;
        done.push(label(&answer).unwrap_or(what));
        Ok(answer)
    }
}

impl Blobs for Faulty<'_> {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn put(&self, name: &BlobName, bytes: &[u8]) -> Result<Put> {
        let half = || self.inner.put(name, &bytes[..bytes.len() / 2]).map(drop);
        let kept = |put: &Put| (*put == Put::Exists).then(|| format!("kept {name}"));
        self.run(format!("put {name}"), || self.inner.put(name, bytes), half, kept)
    }

    fn get(&self, name: &BlobName, bytes_max: u64) -> Result<Vec<u8>> {
        self.run(format!("get {name}"), || self.inner.get(name, bytes_max), || Ok(()), |_| None)
    }

    fn size(&self, name: &BlobName) -> Result<Option<u64>> {
        self.run(format!("size {name}"), || self.inner.size(name), || Ok(()), |_| None)
    }

    fn list(&self, folder: &Folder) -> Result<Vec<Listed>> {
        self.run(format!("list {folder}"), || self.inner.list(folder), || Ok(()), |_| None)
    }

    fn delete(&self, name: &BlobName) -> Result<()> {
        self.run(format!("delete {name}"), || self.inner.delete(name), || Ok(()), |()| None)
    }

    fn sweep(&self, folder: &Folder) -> Result<usize> {
        self.run(format!("sweep {folder}"), || self.inner.sweep(folder), || Ok(()), |_| None)
    }
}
