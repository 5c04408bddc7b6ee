//! `RangeSet`: some of the keys (or positions), as disjoint ranges.

use crate::{Key, KeyRange};

/// A set of 64-bit keys or positions, kept as sorted, disjoint ranges that do not touch.
///
/// ```
/// use handcar_base::{KeyRange, RangeSet};
/// let mut set = RangeSet::from(KeyRange::new(10, 20));
/// set.insert(KeyRange::new(20, 25));
/// assert_eq!(set.ranges().count(), 1);
/// assert_eq!(set.minus(&RangeSet::from(KeyRange::new(12, 14))).ranges().count(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<(u128, u128)>,
}

impl From<KeyRange> for RangeSet {
    fn from(range: KeyRange) -> Self {
        let ranges = if range.is_empty() { Vec::new() } else { vec![(range.begin(), range.end())] };
        Self { ranges }
    }
}

impl FromIterator<KeyRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = KeyRange>>(ranges: I) -> Self {
        let mut all: Vec<_> = ranges.into_iter().filter(|r| !r.is_empty()).map(|r| (r.begin(), r.end())).collect();
        all.sort_unstable();
        let mut set = Self::default();
        for (begin, end) in all {
            set.append(begin, end);
        }
        set
    }
}

impl RangeSet {
    /// No key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every key.
    pub fn all() -> Self {
        KeyRange::all().into()
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = KeyRange> + Clone + '_ {
        self.ranges.iter().map(|&(begin, end)| KeyRange::new(begin as Key, end))
    }

    /// Whether no key lies inside.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The first key inside.
    pub fn first(&self) -> Option<Key> {
        self.ranges.first().map(|r| r.0 as Key)
    }

    /// Whether a key lies inside.
    pub fn contains(&self, key: Key) -> bool {
        let key = key as u128;
        let at = self.ranges.partition_point(|r| r.1 <= key);
        self.ranges.get(at).is_some_and(|r| r.0 <= key)
    }

    /// Whether every key of `other` lies inside.
    pub fn covers(&self, other: &Self) -> bool {
        let mut mine = self.ranges.iter().peekable();
        other.ranges.iter().all(|o| {
            while mine.peek().is_some_and(|m| m.1 < o.1) {
                mine.next();
            }
            mine.peek().is_some_and(|m| m.0 <= o.0)
        })
    }

    /// Whether some key lies in both.
    pub fn meets(&self, other: &Self) -> bool {
        self.common(other).next().is_some()
    }

    /// The ranges that lie in both.
    fn common<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (u128, u128)> + 'a {
        let (mut i, mut j) = (0, 0);
        std::iter::from_fn(move || {
            while let (Some(a), Some(b)) = (self.ranges.get(i), other.ranges.get(j)) {
                let (begin, end) = (a.0.max(b.0), a.1.min(b.1));
                if a.1 <= b.1 {
                    i += 1
                } else {
                    j += 1
                }
                if begin < end {
                    return Some((begin, end));
                }
            }
            None
        })
    }

    /// Adds a range.
    pub fn insert(&mut self, range: KeyRange) {
        *self = self.or(&range.into());
    }

    /// Keys in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        let mut set = Self::default();
        loop {
            let first = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if x.0 <= y.0 => a.next(),
                (_, Some(_)) => b.next(),
                _ => a.next(),
            };
            let Some(&(begin, end)) = first else { return set };
            set.append(begin, end);
        }
    }

    /// Keys in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len().min(other.ranges.len()));
        // They do not touch: where one ends, one of the two sets has a gap.
        ranges.extend(self.common(other));
        Self { ranges }
    }

    /// Keys in this set but not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut set = Self::default();
        let mut holes = other.ranges.iter().peekable();
        for &(begin, end) in &self.ranges {
            let mut from = begin;
            while holes.peek().is_some_and(|h| h.1 <= from) {
                holes.next();
            }
            let mut ahead = holes.clone();
            while let Some(&&(hole_begin, hole_end)) = ahead.peek() {
                if hole_begin >= end {
                    break;
                }
                if from < hole_begin {
                    set.append(from, hole_begin);
                }
                from = from.max(hole_end);
                ahead.next();
            }
            if from < end {
                set.append(from, end);
            }
        }
        set
    }

    /// The part of all 2⁶⁴ keys that lies inside.
    pub fn share(&self) -> f64 {
        self.ranges.iter().map(|r| (r.1 - r.0) as f64).sum::<f64>() / 2f64.powi(64)
    }

    /// Adds a range that does not begin before the last one.
    fn append(&mut self, begin: u128, end: u128) {
        match self.ranges.last_mut() {
            Some(last) if last.1 >= begin => last.1 = last.1.max(end),
            _ => self.ranges.push((begin, end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        ranges.iter().map(|&(a, n)| KeyRange::new(a, (a + n) as u128)).collect()
    }

    fn slow(s: &RangeSet) -> Vec<bool> {
        (0..60).map(|k| s.contains(k)).collect()
    }

    proptest! {
        #[test]
        fn equals_a_set_of_single_keys(
            a in prop::collection::vec((0u64..40, 0u64..9), 0..8),
            b in prop::collection::vec((0u64..40, 0u64..9), 0..8),
        ) {
            let (x, y) = (set(&a), set(&b));
            for (s, list) in [(&x, &a), (&y, &b)] {
                let want: Vec<bool> = (0..60).map(|k| list.iter().any(|&(at, n)| (at..at + n).contains(&k))).collect();
                prop_assert_eq!(slow(s), want);
                prop_assert!(s.ranges.windows(2).all(|w| w[0].1 < w[1].0));
            }
            let zip = |f: fn(bool, bool) -> bool| -> Vec<bool> {
                slow(&x).into_iter().zip(slow(&y)).map(|(p, q)| f(p, q)).collect()
            };
            prop_assert_eq!(slow(&x.or(&y)), zip(|p, q| p || q));
            prop_assert_eq!(slow(&x.and(&y)), zip(|p, q| p && q));
            prop_assert_eq!(slow(&x.minus(&y)), zip(|p, q| p && !q));
            prop_assert_eq!(x.covers(&y), y.minus(&x).is_empty());
            prop_assert_eq!(x.meets(&y), !x.and(&y).is_empty());
        }
    }

    #[test]
    fn everything_has_share_one_and_holds_the_last_key() {
        assert_eq!(RangeSet::all().share(), 1.0);
        assert!(RangeSet::all().contains(u64::MAX));
        assert!(RangeSet::all().minus(&RangeSet::all()).is_empty());
    }
}
