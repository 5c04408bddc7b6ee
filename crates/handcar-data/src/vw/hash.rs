//! From names to keys: handcar's own way, and Vowpal Wabbit's.

use crate::schema::{HashKind, Schema};
use handcar_base::{Field, hash, key};

/// How names become keys.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hasher {
    Handcar { seed: u64, bits: u32 },
    Vw { mask: u64 },
}

/// What a namespace adds to the keys of its features.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Namespace {
    hash: u64,
    field: Field,
}

impl Namespace {
    /// Field part of its keys.
    pub fn field(self) -> Field {
        self.field
    }
}

/// The prime of the hash of Fowler, Noll and Vo, by which Vowpal Wabbit joins indices.
const FNV_PRIME: u64 = 16_777_619;

impl Hasher {
    pub fn new(schema: &Schema) -> Self {
        match schema.hash {
            HashKind::Handcar => Self::Handcar { seed: schema.seed, bits: schema.bits },
            HashKind::Vw => Self::Vw { mask: (1 << schema.bits.min(key::VALUE_BITS)) - 1 },
        }
    }

    /// The anonymous namespace has an empty name.
    #[inline]
    pub fn namespace(&self, name: &[u8]) -> Namespace {
        match *self {
            Self::Handcar { seed, .. } => {
                let hash = hash::bytes(name, seed);
                // The high bits choose the field. Two namespaces may share one: their keys still differ, as the whole hash
                // is the seed of the value.
                let field = 1 + ((hash as u128 * key::FIELD_MAX as u128) >> 64) as Field;
                Namespace { hash, field: if name.is_empty() { 0 } else { field } }
            }
            Self::Vw { .. } => Namespace { hash: if name.is_empty() { 0 } else { string(name, 0) }, field: 0 },
        }
    }

    /// The key of several features at once, in the namespace of their cross.
    pub fn cross(&self, space: Namespace, keys: &[u64]) -> u64 {
        match *self {
            Self::Handcar { bits, .. } => key::of_keys(space.field, keys, space.hash, bits),
            Self::Vw { mask } => keys.iter().fold(0, |hash: u64, key| hash.wrapping_mul(FNV_PRIME) ^ key) & mask,
        }
    }

    /// The key of a feature.
    #[inline]
    pub fn key(&self, space: Namespace, name: &[u8]) -> u64 {
        match *self {
            Self::Handcar { bits, .. } => key::of_text(space.field, name, space.hash, bits),
            Self::Vw { mask } => string(name, space.hash) & mask,
        }
    }
}

/// Vowpal Wabbit's `--hash strings`, its default: a name of digits is a number added to the seed, others are hashed.
fn string(name: &[u8], seed: u64) -> u64 {
    let mut number = 0u64;
    for &c in name {
        if !c.is_ascii_digit() {
            return murmur3(name, seed as u32) as u64;
        }
        number = number.wrapping_mul(10).wrapping_add((c - b'0') as u64);
    }
    number.wrapping_add(seed)
}

/// MurmurHash3 for x86, 32 bits (Appleby, 2011), which Vowpal Wabbit calls `uniform_hash`.
fn murmur3(data: &[u8], seed: u32) -> u32 {
    let mix = |k: u32| k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (words, tail) = data.as_chunks::<4>();
    let mut h = seed;
    for &word in words {
        h = (h ^ mix(u32::from_le_bytes(word))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let mut last = [0; 4];
        last[..tail.len()].copy_from_slice(tail);
        h ^= mix(u32::from_le_bytes(last));
    }
    h ^= data.len() as u32;
    h = (h ^ h >> 16).wrapping_mul(0x85eb_ca6b);
    h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
    h ^ h >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Indices that Vowpal Wabbit 9.11.9 gives with `--noconstant --invert_hash` and `-b 18`, `-b 24`, `-b 10`.
    const EXPECTED: [(&str, &str, [u64; 3]); 16] = [
        ("a", "x", [55432, 5822600, 136]),
        ("a", "y", [42847, 2926431, 863]),
        ("a", "12", [92606, 2451902, 446]),
        ("a", "007", [92601, 2451897, 441]),
        ("b", "x", [143313, 9580497, 977]),
        ("b", "34", [163365, 14581285, 549]),
        ("12", "p", [77808, 12398576, 1008]),
        ("12", "q", [237333, 5742357, 789]),
        ("12", "5", [17, 17, 17]),
        ("", "anon", [145737, 5650761, 329]),
        ("", "99", [99, 99, 99]),
        ("", "x", [170779, 10132251, 795]),
        ("user-id", "u=1", [54008, 11064056, 760]),
        ("user-id", "long_feature_name_longer_than_16", [16375, 540663, 1015]),
        ("user-id", "été", [130687, 10354303, 639]),
        ("A", "x", [157305, 6448761, 633]),
    ];

    #[test]
    fn indices_are_those_of_vowpal_wabbit() {
        for (space, name, expected) in EXPECTED {
            for (bits, index) in [18, 24, 10].into_iter().zip(expected) {
                let hasher = Hasher::Vw { mask: (1 << bits) - 1 };
                let got = hasher.key(hasher.namespace(space.as_bytes()), name.as_bytes());
                assert_eq!(got, index, "{space}^{name}, {bits} bits");
            }
        }
    }

    #[test]
    fn own_keys_never_change_and_depend_on_namespace_and_seed() {
        let key = |seed, space: &str, name: &str| {
            let hasher = Hasher::Handcar { seed, bits: 64 };
            hasher.key(hasher.namespace(space.as_bytes()), name.as_bytes())
        };
        assert_eq!(key::field_of(key(0, "", "x")), 0);
        let spaces = ["a", "b", "ab", "user", "user-id", "12"];
        for space in spaces {
            assert!((1..=key::FIELD_MAX).contains(&key::field_of(key(0, space, "x"))), "{space}");
            assert_ne!(key::value_of(key(0, space, "x")), key::value_of(key(0, "", "x")), "{space}");
            assert_ne!(key(0, space, "x"), key(1, space, "x"), "{space}");
        }
        // Stored in models: a change here breaks every file that exists.
        assert_eq!([key(0, "a", "x"), key(7, "user", "12")], [16625258999882512393, 13923362405506706979]);
    }
}
