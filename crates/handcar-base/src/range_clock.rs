//! `RangeClock`: one node's clock for every key, stored by range.

use crate::{Key, KeyRange, RangeSet};

/// `clock(R) = t` is a node's time for every key in `R` (Li et al., OSDI 2014, section 3.4).
///
/// A set adds at most two boundaries and equal neighbours are merged, so after `r` sets there are at most `2r + 1`
/// ranges however many keys there are.
///
/// ```
/// use handcar_base::{KeyRange, RangeClock};
/// let mut clock = RangeClock::new();
/// clock.set(KeyRange::new(10, 20), 5);
/// assert_eq!((clock.get(9), clock.get(10), clock.get(20)), (0, 5, 0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeClock {
    /// Begin of each range with its time; the first begins at 0 and neighbours differ.
    pieces: Vec<(u128, u64)>,
}

impl Default for RangeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl RangeClock {
    /// Time 0 for every key.
    pub fn new() -> Self {
        Self { pieces: vec![(0, 0)] }
    }

    /// Sets the time of every key in `range`, splitting the ranges that meet it and merging equal neighbours.
    pub fn set(&mut self, range: KeyRange, time: u64) {
        if range.is_empty() {
            return;
        }
        let first = self.pieces.partition_point(|p| p.0 < range.begin());
        let past = self.pieces.partition_point(|p| p.0 <= range.end());
        let after = self.pieces[past - 1].1; // the time that resumes at the end of the range
        let mut middle = Vec::with_capacity(2);
        if first == 0 || self.pieces[first - 1].1 != time {
            middle.push((range.begin(), time));
        }
        if range.end() < KeyRange::all().end() && after != time {
            middle.push((range.end(), after));
        }
        self.pieces.splice(first..past, middle);
    }

    /// The time of one key.
    pub fn get(&self, key: Key) -> u64 {
        self.pieces[self.pieces.partition_point(|p| p.0 <= key as u128) - 1].1
    }

    /// The least time in a range; `None` if the range is empty.
    pub fn least(&self, range: KeyRange) -> Option<u64> {
        if range.is_empty() {
            return None;
        }
        let first = self.pieces.partition_point(|p| p.0 <= range.begin()) - 1;
        self.pieces[first..].iter().take_while(|p| p.0 < range.end()).map(|p| p.1).min()
    }

    /// The stored ranges that meet `range`, cut to it, with their times.
    pub fn pieces(&self, range: KeyRange) -> impl Iterator<Item = (KeyRange, u64)> + '_ {
        let first = self.pieces.partition_point(|p| p.0 <= range.begin()) - 1;
        let next = self.pieces[first..].iter().skip(1).map(|p| p.0).chain([KeyRange::all().end()]);
        let cut = move |(&(begin, time), end): (&(u128, u64), u128)| {
            let piece = KeyRange::new(begin as Key, end).intersect(&range);
            (!piece.is_empty()).then_some((piece, time))
        };
        // Pieces are sorted: the first one past the range ends the walk.
        self.pieces[first..].iter().zip(next).take_while(move |(p, _)| p.0 < range.end()).filter_map(cut)
    }

    /// Sets the time of every key in a set.
    pub fn set_all(&mut self, set: &RangeSet, time: u64) {
        set.ranges().for_each(|range| self.set(range, time));
    }

    /// The keys of a set whose time is above `time`.
    pub fn past(&self, set: &RangeSet, time: u64) -> RangeSet {
        let past = |range| self.pieces(range).filter(move |p| p.1 > time).map(|p| p.0);
        set.ranges().flat_map(past).collect()
    }

    /// Whether every key of a set has this time.
    pub fn is(&self, set: &RangeSet, time: u64) -> bool {
        set.ranges().all(|range| self.pieces(range).all(|p| p.1 == time))
    }

    /// Number of stored ranges.
    pub fn ranges(&self) -> usize {
        self.pieces.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_one_clock_per_key(sets in prop::collection::vec((0u64..40, 0u64..40, 0u64..4), 0..30)) {
            let mut fast = RangeClock::new();
            let mut slow = [0u64; 40];
            for &(a, b, t) in &sets {
                fast.set(KeyRange::new(a, b as u128), t);
                for s in slow.iter_mut().take(b as usize).skip(a as usize) {
                    *s = t;
                }
                for (k, &s) in slow.iter().enumerate() {
                    prop_assert_eq!(fast.get(k as u64), s);
                }
                let mut pieces = Vec::new();
                for (r, t) in fast.pieces(KeyRange::new(a, b as u128)) {
                    pieces.extend((r.begin()..r.end()).map(|k| (k as u64, t)));
                }
                let want: Vec<_> = (a..b.max(a)).map(|k| (k, slow[k as usize])).collect();
                prop_assert_eq!(pieces, want);
                let all = RangeSet::from(KeyRange::new(0, 40));
                for limit in 0..4 {
                    let past = fast.past(&all, limit);
                    prop_assert!((0..40).all(|k| past.contains(k) == (slow[k as usize] > limit)));
                }
                if a < b {
                    let least = slow[a as usize..b as usize].iter().copied().min();
                    prop_assert_eq!(fast.least(KeyRange::new(a, b as u128)), least);
                }
            }
            prop_assert!(fast.ranges() <= 2 * sets.len() + 1);
            prop_assert!(fast.pieces.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 != w[1].1));
        }
    }

    #[test]
    fn setting_every_key_leaves_one_range() {
        let mut c = RangeClock::new();
        c.set(KeyRange::of_field(3), 7);
        c.set(KeyRange::all(), 9);
        assert_eq!((c.ranges(), c.get(u64::MAX), c.get(0)), (1, 9, 9));
        assert_eq!(c.least(KeyRange::new(5, 5)), None);
    }
}
