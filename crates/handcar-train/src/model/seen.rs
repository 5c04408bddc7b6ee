//! A compact record of which keys the training data held.

use handcar_base::{Key, key};

/// Average keys a bucket: larger saves space in `starts`, smaller saves comparisons.
const BUCKET_KEYS: usize = 16;

/// A set of keys in about 2.3 bytes each, for counting values that a model never saw.
///
/// Keys are spread by the bijection [`key::position`]; its top bits pick a bucket, its low 16 bits are the mark kept.
/// A key of the set is always found. A key outside is taken for one of the set with probability below 1 in 2,000, so a
/// count of unseen values may be that much too small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenKeys {
    /// First mark of each bucket, then the number of marks; its length is a power of two plus one, or zero.
    pub(super) starts: Vec<u32>,
    /// The marks of each bucket, rising.
    pub(super) marks: Vec<u16>,
}

impl SeenKeys {
    /// The set of `keys`.
    ///
    /// # Panics
    /// With more than 2^32 − 1 keys.
    pub fn new(keys: &[Key]) -> Self {
        if keys.is_empty() {
            return Self::default();
        }
        assert!(keys.len() < u32::MAX as usize, "at most 2^32 - 1 keys in a model");
        let buckets = (keys.len() / BUCKET_KEYS).max(1).next_power_of_two();
        let mut starts = vec![0u32; buckets + 1];
        for &k in keys {
            starts[bucket(k, buckets) + 1] += 1;
        }
        for b in 0..buckets {
            starts[b + 1] += starts[b];
        }
        let mut next = starts.clone();
        let mut marks = vec![0u16; keys.len()];
        for &k in keys {
            let at = &mut next[bucket(k, buckets)];
            marks[*at as usize] = mark(k);
            *at += 1;
        }
        for b in 0..buckets {
            marks[starts[b] as usize..starts[b + 1] as usize].sort_unstable();
        }
        Self { starts, marks }
    }

    /// Joins stored parts; `None` if they are no set.
    pub(super) fn from_parts(starts: Vec<u32>, marks: Vec<u16>) -> Option<Self> {
        let ok = match starts.as_slice() {
            [] => marks.is_empty(),
            [0, .., last] => {
                *last as usize == marks.len() && starts.is_sorted() && (starts.len() - 1).is_power_of_two()
            }
            _ => false,
        };
        ok.then_some(Self { starts, marks })
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether no key is recorded.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Whether `key` was in the training data.
    pub fn contains(&self, key: Key) -> bool {
        if self.starts.is_empty() {
            return false;
        }
        let b = bucket(key, self.starts.len() - 1);
        self.marks[self.starts[b] as usize..self.starts[b + 1] as usize].binary_search(&mark(key)).is_ok()
    }
}

fn bucket(k: Key, buckets: usize) -> usize {
    ((key::position(k) as u128 * buckets as u128) >> 64) as usize
}

fn mark(k: Key) -> u16 {
    key::position(k) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_set_is_found() {
        for n in [0u64, 1, 15, 16, 17, 1000, 50_000] {
            let keys: Vec<Key> = (0..n).map(|i| i * 3).collect();
            let seen = SeenKeys::new(&keys);
            assert!(keys.iter().all(|&k| seen.contains(k)));
            assert_eq!(seen.len() as u64, n);
            assert_eq!(SeenKeys::from_parts(seen.starts.clone(), seen.marks.clone()), Some(seen));
        }
    }

    #[test]
    fn few_foreign_keys_are_taken_for_seen() {
        let seen = SeenKeys::new(&(0..50_000).collect::<Vec<_>>());
        let wrong = (50_000..1_050_000).filter(|&k| seen.contains(k)).count();
        assert!(wrong < 500, "{wrong} of 1,000,000");
    }

    #[test]
    fn damaged_parts_are_refused() {
        for starts in [vec![0], vec![1, 2], vec![0, 1, 2, 2], vec![0, 3]] {
            assert_eq!(SeenKeys::from_parts(starts, vec![1, 2]), None);
        }
    }
}
