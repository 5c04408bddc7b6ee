//! The layout of a 64-bit key: `field (12 bits) | value (52 bits)`.
//!
//! Sorting keys groups them by field, so a block of features is a contiguous range of keys. Servers place a key by
//! [`position`], a bijective mixing of the whole key, so neither raw libsvm ids nor one popular field can pile up on
//! one server. See `docs/decisions/0002-key-block-server.md`.

use crate::hash;

/// A parameter's name: [`FIELD_BITS`] bits of field above [`VALUE_BITS`] bits of value.
pub type Key = u64;

/// A feature group (a CSV column, a Criteo column); 0 means "no field": raw ids such as libsvm's.
pub type Field = u16;

/// Width of the field part of a key.
pub const FIELD_BITS: u32 = 12;
/// Width of the value part of a key.
pub const VALUE_BITS: u32 = 64 - FIELD_BITS;
/// Largest value part.
pub const VALUE_MAX: u64 = (1 << VALUE_BITS) - 1;
/// Largest field that data may use; the one above is reserved for [`INTERCEPT`].
pub const FIELD_MAX: Field = (1 << FIELD_BITS) - 2;
/// The key of the intercept: the only key of the reserved last field.
pub const INTERCEPT: Key = u64::MAX;

/// Joins a field and a value part. `field <= FIELD_MAX`, `value <= VALUE_MAX`.
#[inline]
pub fn compose(field: Field, value: u64) -> Key {
    debug_assert!(field <= FIELD_MAX && value <= VALUE_MAX);
    (field as u64) << VALUE_BITS | value
}

/// The field part of a key.
#[inline]
pub fn field_of(key: Key) -> Field {
    (key >> VALUE_BITS) as Field
}

/// The value part of a key.
#[inline]
pub fn value_of(key: Key) -> u64 {
    key & VALUE_MAX
}

/// The key of a text value in a field: the low `bits` bits (at most [`VALUE_BITS`]) of a stable hash.
#[inline]
pub fn of_text(field: Field, text: &[u8], seed: u64, bits: u32) -> Key {
    let mask = if bits >= VALUE_BITS { VALUE_MAX } else { (1 << bits) - 1 };
    compose(field, hash::bytes(text, seed ^ (field as u64) << 48) & mask)
}

/// The key of several keys taken together, in their order: each is hashed under the hash of those before it (XXH3), and the
/// low `bits` bits (at most [`VALUE_BITS`]) of the last hash are its value.
#[inline]
pub fn of_keys(field: Field, keys: &[Key], seed: u64, bits: u32) -> Key {
    let mask = if bits >= VALUE_BITS { VALUE_MAX } else { (1 << bits) - 1 };
    let hash = keys.iter().fold(seed ^ (field as u64) << 48, |hash, key| hash::bytes(&key.to_le_bytes(), hash));
    compose(field, hash & mask)
}

/// Where a key lies on the ring of servers: a bijection of the 64-bit numbers that spreads neighbours apart
/// (the finaliser of SplitMix64; Steele, Lea and Flood, OOPSLA 2014).
#[inline]
pub fn position(key: Key) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_and_value_come_back() {
        for (f, v) in [(0, 0), (1, 7), (FIELD_MAX, VALUE_MAX)] {
            let k = compose(f, v);
            assert_eq!((field_of(k), value_of(k)), (f, v));
            assert_ne!(k, INTERCEPT);
        }
    }

    #[test]
    fn small_raw_ids_spread_evenly_over_servers() {
        for servers in [2u64, 3, 7] {
            let mut count = vec![0usize; servers as usize];
            for id in 1..=100_000u64 {
                count[((position(id) as u128 * servers as u128) >> 64) as usize] += 1;
            }
            let expected = 100_000.0 / servers as f64;
            for c in count {
                assert!((c as f64 - expected).abs() < 0.03 * expected, "{c} of {expected}");
            }
        }
    }

    #[test]
    fn keys_of_keys_depend_on_each_and_their_order_and_never_change() {
        let k = of_keys(3, &[1, 2], 0, VALUE_BITS);
        assert_eq!(field_of(k), 3);
        for other in [of_keys(4, &[1, 2], 0, VALUE_BITS), of_keys(3, &[2, 1], 0, VALUE_BITS)] {
            assert_ne!(value_of(k), value_of(other));
        }
        assert_ne!(k, of_keys(3, &[1, 2], 1, VALUE_BITS));
        assert_ne!(k, of_keys(3, &[1, 2, 0], 0, VALUE_BITS));
        assert!(value_of(of_keys(3, &[1, 2], 0, 10)) < 1 << 10);
        // Stored in models: a change here breaks every file that exists.
        assert_eq!(k, 14_844_702_721_628_027);
    }

    #[test]
    fn text_keys_depend_on_field_seed_and_bits() {
        let k = of_text(3, b"Private", 0, VALUE_BITS);
        assert_eq!(field_of(k), 3);
        assert_ne!(value_of(k), value_of(of_text(4, b"Private", 0, VALUE_BITS)));
        assert_ne!(k, of_text(3, b"Private", 1, VALUE_BITS));
        assert!(value_of(of_text(3, b"Private", 0, 18)) < 1 << 18);
    }
}
