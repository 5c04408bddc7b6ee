//! The model file: safetensors with a versioned description and a checksum.
//!
//! Tensors: `intercept` f64 `[1]`, `keys` u64 `[nnz]`, `weights` f32 `[nnz]`; `names` u8 and `name_ends` u64 `[nnz]`
//! when features have names; `seen_starts` u32 and `seen_marks` u16 (see [`SeenKeys`](super::SeenKeys)); last,
//! `checksum` u8 `[16]`, the 128-bit XXH3 of every byte before it. The metadata entry `handcar` is JSON: `format`,
//! `version`, `facts`, `schema`. Any safetensors library can read keys and weights. A reader refuses formats newer than
//! its own and reads all older.

mod load;
mod save;

use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The format written by this build; it reads this one and all older ones.
pub const FORMAT_VERSION: u32 = 1;

/// Entry of the safetensors metadata that marks a handcar model.
const ENTRY: &str = "handcar";
/// Largest header read: the limit of the safetensors format.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// Bytes moved at once, so that reading needs no second copy of the model.
const CHUNK: usize = 1 << 16;

/// What every format has: read first, so that a newer file is named as such whatever else it holds.
#[derive(Deserialize)]
struct Stamp {
    format: u32,
    version: String,
}

#[derive(Serialize, Deserialize)]
struct Head<F, S> {
    format: u32,
    version: String,
    facts: F,
    schema: S,
}

/// Whether a file begins like a handcar model (of any version).
pub fn is_model(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut size = [0; 8];
    if file.read_exact(&mut size).is_err() {
        return Ok(false);
    }
    let size = u64::from_le_bytes(size);
    let mut start = Vec::new();
    file.take(size.min(64)).read_to_end(&mut start)?;
    Ok((2..=HEADER_BYTES_MAX).contains(&size) && start.starts_with(b"{\"__metadata__\":{\"handcar\":"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, Model, ModelError, Names, SeenKeys, tests::small};
    use std::fs;

    fn saved() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        small().save(&path).unwrap();
        (dir, path)
    }

    #[test]
    fn a_model_comes_back_whole() {
        let (_dir, path) = saved();
        assert_eq!(Model::load(&path).unwrap(), small());
        assert!(is_model(&path).unwrap());
        let nameless = Model { names: Names::default(), ..small() };
        nameless.save(&path).unwrap();
        assert_eq!(Model::load(&path).unwrap(), nameless);
    }

    #[test]
    fn an_empty_model_comes_back() {
        let (_dir, path) = saved();
        let empty = Model {
            keys: Vec::new(),
            weights: Vec::new(),
            names: Names::default(),
            seen: SeenKeys::default(),
            facts: Facts::default(),
            ..small()
        };
        empty.save(&path).unwrap();
        assert_eq!(Model::load(&path).unwrap(), empty);
    }

    #[test]
    fn equal_models_give_equal_bytes() {
        let (_dir, path) = saved();
        let first = fs::read(&path).unwrap();
        for _ in 0..5 {
            small().save(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), first);
        }
    }

    #[test]
    fn other_safetensors_readers_find_keys_and_weights() {
        let (_dir, path) = saved();
        let bytes = fs::read(&path).unwrap();
        let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let weights = all.tensor("weights").unwrap();
        let w: Vec<f32> = weights.data().as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        assert_eq!(w, small().weights);
        assert_eq!(all.tensor("keys").unwrap().shape(), [3]);
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_refused() {
        let (_dir, path) = saved();
        let whole = fs::read(&path).unwrap();
        for n in 0..whole.len() {
            fs::write(&path, &whole[..n]).unwrap();
            assert!(Model::load(&path).is_err(), "cut at {n}");
            let mut bytes = whole.clone();
            bytes[n] ^= 1 << (n % 8);
            fs::write(&path, &bytes).unwrap();
            assert!(Model::load(&path).is_err(), "bit flipped in byte {n}");
        }
        let mut longer = whole;
        longer.push(0);
        fs::write(&path, &longer).unwrap();
        let e = Model::load(&path).unwrap_err().to_string();
        assert!(e.contains("is damaged: expected") && e.contains("got"), "{e}");
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let (_dir, path) = saved();
        let text = b"{\\\"format\\\":1,";
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(text.len()).position(|w| w == text).unwrap();
        bytes[at + text.len() - 2] = b'7';
        fs::write(&path, &bytes).unwrap();
        let e = Model::load(&path).unwrap_err();
        assert!(matches!(e, ModelError::Newer { got: 7, .. }));
        assert!(e.to_string().contains("expected model format 1 or older, got format 7"), "{e}");
    }

    #[test]
    fn other_files_are_called_what_they_are() {
        let (_dir, path) = saved();
        let error = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            assert!(!is_model(&path).unwrap());
            Model::load(&path).unwrap_err().to_string()
        };
        assert!(error(b"").contains("expected a handcar model, got a file of 0 bytes"));
        assert!(error(b"+1 3:1 5:1\n-1 2:1\n").contains("no safetensors file"));
        assert!(error(b"\x02\0\0\0\0\0\0\0{}").contains("another program"));
        assert!(matches!(Model::load(Path::new("/no/such/model")), Err(ModelError::Read { .. })));
    }

    #[test]
    fn numbers_that_are_not_finite_are_not_stored() {
        let (_dir, path) = saved();
        let bad = Model { weights: vec![1.0, f32::NAN, 1.0], ..small() };
        let e = bad.save(&path).unwrap_err().to_string();
        assert!(e.contains("expected finite numbers, got NaN as the weight of nine"), "{e}");
        assert_eq!(Model::load(&path).unwrap(), small());
    }
}
