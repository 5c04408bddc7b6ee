//! `open_place`: the blobs that a URL or directory names.

use super::super::error::{Error, Result};
use super::Blobs;
use super::local::LocalBlobs;
use std::fmt;
use std::path::Path;

/// Where checkpoints go, as a user says it.
#[derive(Clone, PartialEq, Eq)]
pub struct PlaceConfig {
    /// A directory, `file:///directory`, or `s3://bucket/prefix`.
    pub url: String,
    /// Longest time for one call of an object store, with its retries.
    pub deadline_ms: u64,
    /// Settings of an object store by their usual names (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`); commands pass the
    /// environment, and what does not start with `AWS_` is ignored.
    pub settings: Vec<(String, String)>,
}

impl fmt::Debug for PlaceConfig {
    /// The settings by name only: some are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.settings.iter().map(|(name, _)| name).collect();
        let Self { url, deadline_ms, .. } = self;
        write!(f, "PlaceConfig {{ url: {url:?}, deadline_ms: {deadline_ms}, settings: {names:?} }}")
    }
}

impl Default for PlaceConfig {
    /// No place; two minutes a call: a piece of 1 GiB at 10 MB/s; no settings.
    fn default() -> Self {
        Self { url: String::new(), deadline_ms: 120_000, settings: Vec::new() }
    }
}

/// Opens the place for writing or reading; a directory is made if `create`.
///
/// # Errors
/// [`Error::Argument`] for another kind of URL, or for `s3://` in a build without the feature `object-store`; else what
/// the storage says.
pub fn open_place(config: &PlaceConfig, create: bool) -> Result<Box<dyn Blobs>> {
    let url = config.url.as_str();
    let directory = match url.split_once("://") {
        None => url,
        // An empty host is this machine.
        Some(("file", path)) if path.starts_with('/') => path,
        Some(("s3", _)) => return object(config),
        Some(_) => {
            let expected = "a directory, file:///directory or s3://bucket/prefix";
            return Err(Error::argument("checkpoint place", expected, format!("{url:?}")));
        }
    };
    if directory.is_empty() || directory.contains('\0') {
        return Err(Error::argument("checkpoint place", "a directory", format!("{directory:?}")));
    }
    let directory = Path::new(directory);
    Ok(Box::new(if create { LocalBlobs::create(directory)? } else { LocalBlobs::open(directory)? }))
}

#[cfg(feature = "object-store")]
fn object(config: &PlaceConfig) -> Result<Box<dyn Blobs>> {
    Ok(Box::new(super::object::ObjectBlobs::open(config)?))
}

#[cfg(not(feature = "object-store"))]
fn object(config: &PlaceConfig) -> Result<Box<dyn Blobs>> {
    let expected = "a directory (this build has no object stores: feature `object-store`)";
    Err(Error::argument("checkpoint place", expected, format!("{:?}", config.url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str, create: bool) -> Result<String> {
        open_place(&PlaceConfig { url: url.into(), ..Default::default() }, create).map(|b| b.place())
    }

    #[test]
    fn directories_are_named_plainly_or_as_a_url() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let new = dir.path().join("a/b").display().to_string();
        assert!(matches!(place(&new, false), Err(Error::Missing { .. })));
        assert_eq!(place(&new, true), Ok(new.clone()));
        assert_eq!(place(&format!("file://{new}"), false), Ok(new));
        for strange in ["", "ftp://x", "file://host/x", "http://x/y", "gs://b", "file://", "a\0b"] {
            assert!(matches!(place(strange, true), Err(Error::Argument { .. })), "{strange:?}");
        }
    }

    #[cfg(not(feature = "object-store"))]
    #[test]
    fn a_build_without_object_stores_says_so() {
        let e = place("s3://bucket/x", true).expect_err("refused");
        assert!(e.to_string().contains("feature `object-store`"), "{e}");
    }
}
