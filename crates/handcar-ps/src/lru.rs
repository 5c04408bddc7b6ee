//! `Lru`: a map bounded by bytes that forgets what was used longest ago.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

#[derive(Debug)]
struct Slot<V> {
    value: V,
    bytes: usize,
    used: u64,
}

/// A map whose values together hold at most a number of bytes.
#[derive(Debug)]
pub struct Lru<K, V> {
    slots: BTreeMap<K, Slot<V>>,
    bytes: usize,
    bytes_max: usize,
    clock: u64,
}

impl<K: Ord + Clone, V> Lru<K, V> {
    /// An empty map that holds at most `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { slots: BTreeMap::new(), bytes: 0, bytes_max, clock: 0 }
    }

    /// The value of a key, which now counts as just used.
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        self.clock += 1;
        let slot = self.slots.get_mut(key)?;
        slot.used = self.clock;
        Some(&mut slot.value)
    }

    /// Keeps a value of `bytes` bytes, forgetting the longest unused ones. The newest is kept even when it alone
    /// exceeds the bound: it is in use.
    pub fn put(&mut self, key: K, value: V, bytes: usize) -> &mut V {
        self.clock += 1;
        self.remove(&key);
        while self.bytes + bytes > self.bytes_max {
            // A scan is fine: eviction is rare and the values are large.
            let Some(oldest) = self.slots.iter().min_by_key(|(_, s)| s.used).map(|(k, _)| k.clone()) else { break };
            self.remove(&oldest);
        }
        self.bytes += bytes;
        let slot = Slot { value, bytes, used: self.clock };
        match self.slots.entry(key) {
            Entry::Vacant(e) => &mut e.insert(slot).value,
            Entry::Occupied(e) => {
                let e = e.into_mut();
                *e = slot;
                &mut e.value
            }
        }
    }

    /// Forgets a value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.slots.remove(key)?;
        self.bytes -= slot.bytes;
        Some(slot.value)
    }

    /// Bytes held now.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_is_forgotten_first() {
        let mut m = Lru::new(10);
        m.put(1, 'a', 4);
        m.put(2, 'b', 4);
        m.get(&1);
        m.put(3, 'c', 4);
        assert!(m.get(&2).is_none() && m.get(&1).is_some() && m.get(&3).is_some());
        assert_eq!(m.bytes(), 8);
    }

    #[test]
    fn replacing_does_not_count_twice_and_a_giant_is_kept_alone() {
        let mut m = Lru::new(10);
        m.put(1, 'a', 4);
        m.put(1, 'b', 6);
        assert_eq!((m.bytes(), m.get(&1).copied()), (6, Some('b')));
        m.put(2, 'c', 50);
        assert!(m.get(&1).is_none() && m.get(&2).is_some());
        m.put(3, 'd', 1);
        assert_eq!(m.bytes(), 1);
    }
}
