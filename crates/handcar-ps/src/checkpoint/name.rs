//! `BlobName`: what a blob may be called. Checked once, so that no store can be led outside its place.

use super::error::{Error, Result};
use std::fmt;

/// Folders a name may have before its last component; pieces and manifests need one.
pub const FOLDERS_MAX: usize = 3;

/// Longest component: a BLAKE3 hash in hexadecimal.
const COMPONENT_BYTES_MAX: usize = 64;

/// A name of one to four components, each `[A-Za-z0-9._-]{1,64}` without a leading dot, joined by `/`. It cannot be
/// absolute, empty or hidden, and `..` cannot occur.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobName(String);

/// The folder part of names: the same rule, one component less.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder(String);

/// Whether a text may be one component of a name.
pub(super) fn is_component(text: &str) -> bool {
    (1..=COMPONENT_BYTES_MAX).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn check(op: &'static str, text: &str, components_max: usize) -> Result<String> {
    if text.split('/').count() > components_max || !text.split('/').all(is_component) {
        // Shown escaped and cut, since it may come from a hostile manifest.
        let shown: String = text.chars().take(100).collect();
        return Err(Error::argument(
            op,
            format!("at most {components_max} components [A-Za-z0-9._-]{{1,64}} without a leading dot"),
            format!("{shown:?}"),
        ));
    }
    Ok(text.into())
}

impl BlobName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::Argument`] says the rule and shows the name.
    pub fn new(text: &str) -> Result<Self> {
        Ok(Self(check("blob name", text, FOLDERS_MAX + 1)?))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components before the last.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        let end = self.0.rfind('/').unwrap_or(0);
        self.0[..end].split('/').filter(|c| !c.is_empty())
    }

    /// The last component.
    pub fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl Folder {
    /// Checks a folder's name.
    ///
    /// # Errors
    /// [`Error::Argument`] says the rule and shows the name.
    pub fn new(text: &str) -> Result<Self> {
        Ok(Self(check("folder name", text, FOLDERS_MAX)?))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// A blob of this folder.
    ///
    /// # Errors
    /// [`Error::Argument`] if `last` is no component.
    pub fn blob(&self, last: &str) -> Result<BlobName> {
        if !is_component(last) {
            check("blob name", last, 1)?;
        }
        BlobName::new(&format!("{}/{last}", self.0))
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        let long = "a".repeat(65);
        let hostile = [
            "",
            "/",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a/..",
            "..",
            ".",
            ".hidden",
            "a/.b",
            "a//b",
            "a/",
            "a\0b",
            "a b",
            "a\\b",
            "C:x",
            "é",
            "a\n",
            "a/b/c/d/e",
            &long,
        ];
        for name in hostile {
            assert!(matches!(BlobName::new(name), Err(Error::Argument { .. })), "{name:?}");
        }
        for name in ["a", "A.b-c_9", "pieces/0", "a/b/c/d", &long[1..]] {
            assert_eq!(BlobName::new(name).map(|n| n.to_string()).as_deref(), Ok(name));
        }
    }

    #[test]
    fn a_folder_leads_no_deeper_than_a_name_may() {
        let name = Folder::new("a/b").and_then(|f| f.blob("c")).expect("a valid name");
        assert_eq!((name.folders().collect::<Vec<_>>(), name.last()), (vec!["a", "b"], "c"));
        assert!(Folder::new("a/b/c/d").is_err());
        assert!(Folder::new("a").is_ok_and(|f| f.blob("b/c").is_err() && f.blob("..").is_err()));
    }
}
