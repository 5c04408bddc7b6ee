//! The bytes of a manifest: its JSON inside one line that carries the hash of that JSON.
//!
//! ```text
//! {"blake3":"<64 digits>","manifest":{...}}\n
//! ```
//!
//! The whole is JSON for any tool, yet the hash is checked over the raw bytes before anything is parsed, so that a
//! damaged manifest never reaches the parser. This frame stays the same in every version.

use super::error::{Error, Result};
use super::hash::Hash;
use super::manifest::{MANIFEST_BYTES_MAX, Manifest, VERSION};
use serde::Deserialize;

const HEAD: &[u8] = b"{\"blake3\":\"";
const MIDDLE: &[u8] = b"\",\"manifest\":";
const TAIL: &[u8] = b"}\n";
const DIGITS: usize = 64;

/// The bytes of a manifest; equal manifests give equal bytes.
///
/// # Errors
/// [`Error::Argument`] if they are more than [`MANIFEST_BYTES_MAX`].
pub(super) fn seal(manifest: &Manifest) -> Result<Vec<u8>> {
    let body = serde_json::to_vec(manifest)
        .map_err(|e| Error::argument("commit", "a manifest that can be written as JSON", e.to_string()))?;
    let sealed = [HEAD, Hash::of(&body).to_string().as_bytes(), MIDDLE, &body, TAIL].concat();
    if sealed.len() as u64 > MANIFEST_BYTES_MAX {
        let expected = format!("a manifest of at most {MANIFEST_BYTES_MAX} bytes");
        return Err(Error::argument("commit", expected, sealed.len().to_string()));
    }
    Ok(sealed)
}

/// The manifest in `bytes`, which `file` held under the number `sequence`.
///
/// # Errors
/// [`Error::Damaged`] if a byte is missing, added or changed, or if the parts make no checkpoint; [`Error::Newer`].
pub(super) fn open(bytes: &[u8], sequence: u64, file: &str) -> Result<Manifest> {
    let torn = || {
        let got = format!("{} bytes of another form", bytes.len());
        Error::damaged(file, "{\"blake3\":\"…\",\"manifest\":{…}}", got)
    };
    let rest = bytes.strip_prefix(HEAD).ok_or_else(torn)?;
    let (digits, rest) = rest.split_at_checked(DIGITS).ok_or_else(torn)?;
    let recorded = std::str::from_utf8(digits).ok().and_then(Hash::parse).ok_or_else(torn)?;
    let body = rest.strip_prefix(MIDDLE).and_then(|r| r.strip_suffix(TAIL)).ok_or_else(torn)?;
    let found = Hash::of(body);
    if found != recorded {
        return Err(Error::damaged(file, format!("BLAKE3 {recorded}"), found.to_string()));
    }
    let meaning = |e: serde_json::Error| Error::damaged(file, "the JSON of a manifest", e.to_string());
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(body).map_err(meaning)?;
    if version > VERSION {
        return Err(Error::Newer { file: file.into(), known: VERSION, got: version });
    }
    let manifest: Manifest = serde_json::from_slice(body).map_err(meaning)?;
    if manifest.sequence != sequence {
        return Err(Error::damaged(file, format!("number {sequence}"), manifest.sequence.to_string()));
    }
    match manifest.check() {
        Err(Error::Argument { expected, got, .. }) => Err(Error::damaged(file, expected, got)),
        other => other.map(|()| manifest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Vec<u8> {
        seal(&Manifest { clocks: vec![1, 2], ..Manifest::new("job", 7) }).expect("a small manifest")
    }

    #[test]
    fn a_sealed_manifest_opens_and_is_json() {
        let manifest = open(&small(), 7, "m").expect("it was just sealed");
        assert_eq!((manifest.sequence, seal(&manifest)), (7, Ok(small())));
        let json: serde_json::Value = serde_json::from_slice(&small()).expect("JSON");
        assert_eq!(json["manifest"]["job"], "job");
    }

    #[test]
    fn every_bit_and_every_length_counts() {
        let whole = small();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                assert!(matches!(open(&changed, 7, "m"), Err(Error::Damaged { .. })), "byte {at} bit {bit}");
            }
            assert!(matches!(open(&whole[..at], 7, "m"), Err(Error::Damaged { .. })), "cut at {at}");
            let longer = [&whole[..at], b" ", &whole[at..]].concat();
            assert!(matches!(open(&longer, 7, "m"), Err(Error::Damaged { .. })), "a space at {at}");
        }
    }

    #[test]
    fn another_number_and_a_newer_format_are_told_apart() {
        assert!(matches!(open(&small(), 8, "m"), Err(Error::Damaged { .. })));
        let newer = seal(&Manifest { version: VERSION + 1, ..Manifest::new("job", 7) }).expect("small");
        assert_eq!(open(&newer, 7, "m"), Err(Error::Newer { file: "m".into(), known: VERSION, got: VERSION + 1 }));
    }
}
