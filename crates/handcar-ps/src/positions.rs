//! `Positions`: where the keys of a list lie in a store.

use handcar_base::Key;
use std::ops::Range;

/// Keys compared at once.
const BLOCK: usize = 32;
/// Stands for "not in the store"; a store therefore holds fewer than 2^32 - 1 keys.
const MISSING: u32 = u32::MAX;

/// The place of each key of a sorted list in a longer sorted list, found once and used many times.
#[derive(Clone, Debug, PartialEq)]
pub enum Positions {
    /// Neighbours in the store: the loop runs over two plain slices.
    Run(Range<usize>),
    /// Anywhere, in increasing order, some perhaps missing.
    Scattered(Vec<u32>),
}

impl Positions {
    /// Finds each key of `list` in `keys`; both strictly increasing.
    pub fn of(list: &[Key], keys: &[Key]) -> Self {
        Self::find(list, keys, Vec::new())
    }

    /// The same, in the memory of others.
    pub fn find(list: &[Key], keys: &[Key], mut found: Vec<u32>) -> Self {
        let Some(&first) = list.first() else { return Self::Run(0..0) };
        let start = keys.partition_point(|&k| k < first);
        if keys.get(start..start + list.len()) == Some(list) {
            return Self::Run(start..start + list.len());
        }
        let mut at = start;
        found.clear();
        found.reserve(list.len());
        let mut rest = list;
        while let Some(&key) = rest.first() {
            at = gallop(keys, at, key);
            // Neighbours in the list are mostly neighbours in the store: whole blocks are compared at once.
            let mut run = 0;
            while rest.len() >= run + BLOCK && keys.get(at + run..at + run + BLOCK) == Some(&rest[run..run + BLOCK]) {
                run += BLOCK;
            }
            while run < rest.len() && keys.get(at + run) == Some(&rest[run]) {
                run += 1;
            }
            if run == 0 {
                found.push(MISSING);
                rest = &rest[1..];
            } else {
                found.extend(at as u32..(at + run) as u32);
                (at, rest) = (at + run, &rest[run..]);
            }
        }
        Self::Scattered(found)
    }

    /// The place of the `i`-th key of the list.
    #[inline]
    pub fn get(&self, i: usize) -> Option<usize> {
        match self {
            Self::Run(r) => Some(r.start + i),
            Self::Scattered(v) => (v[i] != MISSING).then(|| v[i] as usize),
        }
    }

    /// Whether every key has a place.
    pub fn complete(&self) -> bool {
        match self {
            Self::Run(_) => true,
            Self::Scattered(v) => !v.contains(&MISSING),
        }
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Run(_) => 64,
            Self::Scattered(v) => 64 + 4 * v.len(),
        }
    }
}

/// The first position at or after `from` whose key is at least `key`: steps double, then a binary search, so a long
/// list costs a merge and a short one costs searches.
fn gallop(keys: &[Key], from: usize, key: Key) -> usize {
    let mut step = 1;
    let mut low = from;
    while let Some(&k) = keys.get(low + step - 1) {
        if k >= key {
            break;
        }
        low += step;
        step *= 2;
    }
    let high = (low + step - 1).min(keys.len());
    low + keys[low..high].partition_point(|&k| k < key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_a_search_for_each_key(
            list in prop::collection::btree_set(0u64..200, 0..200),
            keys in prop::collection::btree_set(0u64..200, 0..200),
        ) {
            let (list, keys): (Vec<_>, Vec<_>) = (list.into_iter().collect(), keys.into_iter().collect());
            let p = Positions::of(&list, &keys);
            for (i, k) in list.iter().enumerate() {
                prop_assert_eq!(p.get(i), keys.binary_search(k).ok());
            }
            prop_assert_eq!(p.complete(), list.iter().all(|k| keys.contains(k)));
        }
    }

    #[test]
    fn neighbours_are_a_run() {
        assert_eq!(Positions::of(&[3, 5], &[1, 3, 5, 8]), Positions::Run(1..3));
        assert_eq!(Positions::of(&[], &[1]), Positions::Run(0..0));
        assert!(!Positions::of(&[9], &[]).complete());
    }
}
