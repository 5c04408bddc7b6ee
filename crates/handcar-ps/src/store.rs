//! `Store`: the keys and entries of one table on one server, sorted by key.

use crate::positions::Positions;
use handcar_base::{Key, KeyRange, RangeSet, key};

/// Sorted keys with their entries (value and state of a key side by side).
#[derive(Clone, Debug, Default)]
pub struct Store<E> {
    keys: Vec<Key>,
    entries: Vec<E>,
    /// Counts insertions: positions found under another version are stale.
    version: u64,
}

impl<E: Clone> Store<E> {
    /// No keys.
    pub fn new() -> Self {
        Self { keys: Vec::new(), entries: Vec::new(), version: 0 }
    }

    /// Keys, strictly increasing, with as many entries.
    pub(crate) fn of(keys: Vec<Key>, entries: Vec<E>) -> Self {
        debug_assert_eq!(keys.len(), entries.len());
        Self { keys, entries, version: 0 }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys, strictly increasing.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The entries, in key order.
    pub fn entries(&self) -> &[E] {
        &self.entries
    }

    /// Keys and entries in key order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &E)> {
        self.keys.iter().copied().zip(&self.entries)
    }

    /// Keys and changeable entries in key order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut E)> {
        self.keys.iter().copied().zip(&mut self.entries)
    }

    /// Keys and changeable entries of a range, in key order.
    pub fn range_mut(&mut self, range: KeyRange) -> impl Iterator<Item = (Key, &mut E)> {
        let at = range.positions(&self.keys);
        self.keys[at.clone()].iter().copied().zip(&mut self.entries[at])
    }

    /// The entry of a key.
    pub fn get(&self, key: Key) -> Option<&E> {
        self.keys.binary_search(&key).ok().map(|i| &self.entries[i])
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn split_mut(&mut self) -> (&[Key], &mut [E]) {
        (&self.keys, &mut self.entries)
    }

    /// Takes out the keys whose positions lie in a set, with their entries.
    pub(crate) fn take(&mut self, set: &RangeSet) -> Self {
        let (mut out, mut stay) = (Self::new(), Self::new());
        let keys = std::mem::take(&mut self.keys);
        for (key, entry) in keys.into_iter().zip(std::mem::take(&mut self.entries)) {
            let to = if set.contains(key::position(key)) { &mut out } else { &mut stay };
            to.keys.push(key);
            to.entries.push(entry);
        }
        (self.keys, self.entries) = (stay.keys, stay.entries);
        self.version += 1;
        out
    }

    /// Puts keys with their entries in; one that is there already gets the new entry.
    pub(crate) fn put(&mut self, other: Self) {
        let mut merged = Self::new();
        merged.keys.reserve(self.keys.len() + other.keys.len());
        merged.entries.reserve(self.keys.len() + other.keys.len());
        let old = std::mem::take(&mut self.keys).into_iter().zip(std::mem::take(&mut self.entries));
        let mut old = old.peekable();
        for (key, entry) in other.keys.into_iter().zip(other.entries) {
            while let Some((k, e)) = old.next_if(|o| o.0 < key) {
                merged.keys.push(k);
                merged.entries.push(e);
            }
            old.next_if(|o| o.0 == key);
            merged.keys.push(key);
            merged.entries.push(entry);
        }
        for (k, e) in old {
            merged.keys.push(k);
            merged.entries.push(e);
        }
        (self.keys, self.entries) = (merged.keys, merged.entries);
        self.version += 1;
    }

    /// Makes sure that every key of a sorted list has an entry; `init` makes the new ones.
    pub fn insert(&mut self, list: &[Key], mut init: impl FnMut(Key) -> E) {
        let (Some(&first), Some(&last)) = (list.first(), list.last()) else { return };
        if self.keys.last().is_none_or(|&k| k < first) {
            self.keys.extend_from_slice(list);
            self.entries.extend(list.iter().map(|&k| init(k)));
            self.version += 1;
            return;
        }
        let missing: Vec<Key> = {
            let found = Positions::of(list, &self.keys);
            (0..list.len()).filter(|&i| found.get(i).is_none()).map(|i| list[i]).collect()
        };
        if missing.is_empty() {
            return;
        }
        // Merge from the back, in place; the clones of one entry are placeholders that the swaps push forward.
        let mut read = self.keys.len();
        let mut write = read + missing.len();
        self.keys.resize(write, last);
        let placeholder = init(first);
        self.entries.resize(write, placeholder);
        for &key in missing.iter().rev() {
            while read > 0 && self.keys[read - 1] > key {
                read -= 1;
                write -= 1;
                self.keys[write] = self.keys[read];
                self.entries.swap(write, read);
            }
            write -= 1;
            self.keys[write] = key;
            self.entries[write] = init(key);
        }
        self.version += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    proptest! {
        #[test]
        fn equals_an_ordered_map(lists in prop::collection::vec(prop::collection::btree_set(0u64..60, 0..20), 0..8)) {
            let mut store = Store::new();
            let mut map = BTreeMap::new();
            for (n, set) in lists.iter().enumerate() {
                let list: Vec<Key> = set.iter().copied().collect();
                store.insert(&list, |k| (k, n));
                for &k in &list {
                    map.entry(k).or_insert((k, n));
                }
                prop_assert!(store.iter().eq(map.iter().map(|(k, v)| (*k, v))));
            }
            let union: BTreeSet<Key> = lists.iter().flatten().copied().collect();
            prop_assert_eq!(store.len(), union.len());
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_out_can_be_put_back(all in prop::collection::btree_set(any::<u64>(), 0..40), cut: u64) {
            let mut store = Store::new();
            let list: Vec<Key> = all.into_iter().collect();
            store.insert(&list, |k| k ^ 1);
            let half = RangeSet::from(KeyRange::new(cut, 1 << 64));
            let out = store.take(&half);
            prop_assert!(out.keys().iter().all(|&k| half.contains(key::position(k))));
            prop_assert!(store.keys().iter().all(|&k| !half.contains(key::position(k))));
            store.put(out);
            prop_assert!(store.keys() == list && store.iter().all(|(k, &e)| e == k ^ 1));
        }
    }

    #[test]
    fn known_keys_leave_positions_valid() {
        let mut store = Store::new();
        store.insert(&[1, 5, 9], |_| 0);
        let version = store.version();
        store.insert(&[5, 9], |_| 1);
        assert_eq!((store.version(), store.get(5), store.get(6)), (version, Some(&0), None));
    }
}
