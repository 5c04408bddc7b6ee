//! `KeyRange`: a half-open interval of keys.

use crate::key::{self, Field, Key};

/// One past the largest key. Ends are wider than keys so that a half-open range can hold [`key::INTERCEPT`].
const KEYS: u128 = 1 << 64;

/// Keys `[begin, end)`, with `begin <= end <= 2^64`.
///
/// ```
/// use handcar_base::KeyRange;
/// let r = KeyRange::of_field(3);
/// assert!(r.contains(handcar_base::key::compose(3, 7)));
/// assert!(KeyRange::all().contains(handcar_base::key::INTERCEPT));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    begin: u128,
    end: u128,
}

impl KeyRange {
    /// Keys `[begin, end)`; empty if `end < begin`. `end` is at most `2^64`.
    pub fn new(begin: Key, end: u128) -> Self {
        let begin = begin as u128;
        Self { begin, end: end.clamp(begin, KEYS) }
    }

    /// Every key.
    pub fn all() -> Self {
        Self { begin: 0, end: KEYS }
    }

    /// Every key of one field.
    pub fn of_field(field: Field) -> Self {
        let begin = (field as u128) << key::VALUE_BITS;
        Self { begin, end: (begin + (1 << key::VALUE_BITS)).min(KEYS) }
    }

    /// First key, if there is one.
    pub fn begin(&self) -> u128 {
        self.begin
    }

    /// One past the last key.
    pub fn end(&self) -> u128 {
        self.end
    }

    /// Whether no key lies inside.
    pub fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    /// Whether `key` lies inside.
    pub fn contains(&self, key: Key) -> bool {
        (self.begin..self.end).contains(&(key as u128))
    }

    /// The keys in both ranges (possibly none).
    pub fn intersect(&self, other: &Self) -> Self {
        let begin = self.begin.max(other.begin);
        Self { begin, end: self.end.min(other.end).max(begin) }
    }

    /// The positions of this range's keys in a sorted slice.
    pub fn positions(&self, sorted: &[Key]) -> std::ops::Range<usize> {
        let begin = sorted.partition_point(|&k| (k as u128) < self.begin);
        begin..begin + sorted[begin..].partition_point(|&k| (k as u128) < self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_fields_meet_without_gap_or_overlap() {
        let (a, b) = (KeyRange::of_field(1), KeyRange::of_field(2));
        assert_eq!(a.end(), b.begin());
        assert!(a.intersect(&b).is_empty());
        assert_eq!(KeyRange::all().intersect(&a), a);
    }

    #[test]
    fn positions_cut_a_sorted_list_by_field() {
        let keys = [1, key::compose(1, 0), key::compose(1, 9), key::compose(2, 0), key::INTERCEPT];
        assert_eq!(KeyRange::of_field(1).positions(&keys), 1..3);
        assert_eq!(KeyRange::of_field(9).positions(&keys), 4..4);
        assert_eq!(KeyRange::all().positions(&keys), 0..5);
        assert_eq!(KeyRange::new(2, 1).positions(&keys), 1..1);
    }
}
