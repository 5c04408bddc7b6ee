//! Integer values as categories: small ones as they are, large ones by the square of their logarithm.
//!
//! `-2..=2` stay themselves; beyond, `v` becomes the token `sign · L⌊ln(|v|)²⌋`. Buckets grow with the value, as the
//! resolution a count needs does. Tokens are encoded reversibly in the value part of a key, so a feature's name needs no
//! dictionary.

use std::sync::OnceLock;

/// The value part of a missing value, in every field.
pub const MISSING: u64 = 0;
/// Smaller values are looked up in one step.
const DIRECT: usize = 4096;
/// `⌊ln(2^64)²⌋`: no 64-bit integer has a higher bucket.
const BUCKETS: usize = 1968;

struct Tables {
    /// `smallest[b]` is the smallest integer above 2 whose bucket is at least `b`.
    smallest: Vec<u64>,
    direct: Vec<u16>,
    /// Tokens of the same integers.
    tokens: Vec<u16>,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        // ln(v)² = b only at v = exp(√b), never an integer for b > 0: a ceiling decides every bucket, and `libm` gives the
        // same ceiling on every machine. The cast saturates at the top bucket.
        let smallest: Vec<u64> =
            (0..=BUCKETS).map(|b| (libm::ceil(libm::exp(libm::sqrt(b as f64))) as u64).max(3)).collect();
        let direct: Vec<u16> =
            (0..DIRECT as u64).map(|v| smallest.partition_point(|&s| s <= v).saturating_sub(1) as u16).collect();
        let token = |(v, &b): (usize, &u16)| if v <= 2 { 5 - 2 * v as u16 } else { 2 + 4 * b };
        let tokens = direct.iter().enumerate().map(token).collect();
        Tables { smallest, direct, tokens }
    })
}

/// The token of an integer, see the module's head. Never [`MISSING`].
///
/// Codes: 1, 3, 5, 7, 9 for 2, 1, 0, -1, -2; even numbers for buckets, positive and negative in turn.
#[inline]
pub fn of_integer(v: i64) -> u64 {
    if (-2..=2).contains(&v) { 1 + 2 * (2 - v) as u64 } else { 2 + 4 * bucket(v.unsigned_abs()) + 2 * (v < 0) as u64 }
}

/// [`of_integer`] of a count: small ones, the bulk, by one look-up.
#[inline]
pub(crate) fn of_count(v: u32) -> u64 {
    tables().tokens.get(v as usize).map_or_else(|| of_integer(v as i64), |&t| t as u64)
}

#[inline]
fn bucket(v: u64) -> u64 {
    let t = tables();
    match t.direct.get(v as usize) {
        Some(&b) => b as u64,
        None => t.smallest.partition_point(|&s| s <= v) as u64 - 1,
    }
}

/// The smallest integer above 2 in bucket `b`.
pub fn smallest_in(b: u32) -> u64 {
    tables().smallest[(b as usize).min(BUCKETS)]
}

/// What a person reads for a token: the integer, or the range its bucket spans.
pub fn name(token: u64) -> String {
    if token == MISSING {
        return "(missing)".into();
    }
    if token % 2 == 1 {
        return (2 - (token as i64 - 1) / 2).to_string();
    }
    let (b, negative) = ((token - 2) / 4, (token - 2) % 4 == 2);
    let (low, high) = (smallest_in(b as u32), smallest_in(b as u32 + 1).saturating_sub(1));
    match (low >= high, negative) {
        (true, false) => format!("{low}"),
        (true, true) => format!("-{low}"),
        (false, false) => format!("{low}..{high}"),
        (false, true) => format!("-{high}..-{low}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_floors_of_squared_logarithms() {
        for v in (3..200_000u64).chain([1 << 40, u64::MAX >> 1]) {
            assert_eq!(bucket(v), ((v as f64).ln().powi(2)).floor() as u64, "{v}");
        }
    }

    #[test]
    fn tokens_are_distinct_and_named() {
        let cases = [
            (0, "0"),
            (1, "1"),
            (2, "2"),
            (-1, "-1"),
            (-2, "-2"),
            (3, "3..4"),
            (4, "3..4"),
            (5, "5"),
            (-3, "-4..-3"),
            (39, "37..42"),
        ];
        for (v, expected) in cases {
            assert_eq!(name(of_integer(v)), expected, "{v}");
        }
        assert_eq!(name(MISSING), "(missing)");
        assert_ne!(of_integer(3), of_integer(-3));
        name(of_integer(i64::MIN));
        name(of_integer(i64::MAX));
    }

    #[test]
    fn counts_have_the_tokens_of_integers() {
        for v in (0..10_000).chain([u32::MAX]) {
            assert_eq!(of_count(v), of_integer(v as i64), "{v}");
        }
    }

    #[test]
    fn no_bucket_is_empty() {
        for b in 1..1000 {
            assert_eq!(bucket(smallest_in(b)), b as u64);
        }
    }
}
