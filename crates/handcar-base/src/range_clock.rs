//! `RangeClock`: one node's clock for every key, stored by range.

use crate::{Key, KeyRange};

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
