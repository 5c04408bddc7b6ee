//! Stable hashing (XXH3): equal on every machine and in every version, so it may be stored in files.

use xxhash_rust::xxh3;

/// 64-bit hash of bytes under a seed.
#[inline]
pub fn bytes(data: &[u8], seed: u64) -> u64 {
    xxh3::xxh3_64_with_seed(data, seed)
}

/// 128-bit hash of bytes: the signature of a whole key list or file.
#[inline]
pub fn bytes128(data: &[u8]) -> u128 {
    xxh3::xxh3_128(data)
}

/// A hash fed piece by piece; equal to [`bytes128`] of the concatenation.
#[derive(Clone, Default)]
pub struct Hasher128(xxh3::Xxh3);

impl Hasher128 {
    /// Starts an empty hash.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The hash of everything added so far.
    pub fn digest(&self) -> u128 {
        self.0.digest128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_never_change() {
        // Stored in cache, model and wire: a change here breaks every file that exists.
        assert_eq!(bytes(b"handcar", 7), 14_036_727_521_396_876_013);
        assert_eq!(bytes128(b"handcar"), 111_609_498_272_195_097_750_421_034_286_390_794_767);
    }

    #[test]
    fn pieces_equal_the_whole() {
        let mut h = Hasher128::new();
        h.update(b"hand");
        h.update(b"car");
        assert_eq!(h.digest(), bytes128(b"handcar"));
    }
}
