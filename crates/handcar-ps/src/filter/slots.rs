//! `Slots`: a place of its own for every key that came by.

use crate::positions::Positions;
use crate::store::Store;
use handcar_base::Key;

/// Stands for a key that has no slot yet, while slots are given out.
const NONE: u32 = u32::MAX;

/// Numbers keys in the order of their first appearance. 12 bytes a key; a table has fewer than 2^32 keys on a server.
#[derive(Default)]
pub struct Slots {
    store: Store<u32>,
}

impl Slots {
    /// Number of slots given out; the next one has this number.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// The slots of increasing keys, giving new ones to new keys.
    pub fn of(&mut self, keys: &[Key]) -> Vec<usize> {
        let mut next = self.len() as u32;
        self.store.insert(keys, |_| NONE);
        let (known, slots) = self.store.split_mut();
        let positions = Positions::of(keys, known);
        let at = (0..keys.len()).filter_map(|i| positions.get(i));
        at.map(|at| {
            if slots[at] == NONE {
                slots[at] = next;
                next += 1;
            }
            slots[at] as usize
        })
        .collect()
    }

    /// The slots of increasing keys, where they have one.
    pub fn find(&self, keys: &[Key]) -> Vec<Option<usize>> {
        let positions = Positions::of(keys, self.store.keys());
        (0..keys.len()).map(|i| positions.get(i).map(|at| self.store.entries()[at] as usize)).collect()
    }

    /// Keys with their slots, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, usize)> {
        self.store.iter().map(|(key, &slot)| (key, slot as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_slot() {
        let mut slots = Slots::default();
        assert_eq!(slots.of(&[5, 9]), [0, 1]);
        assert_eq!(slots.of(&[1, 5, 7]), [2, 0, 3]);
        assert_eq!(slots.find(&[1, 2, 9]), [Some(2), None, Some(1)]);
        assert_eq!(slots.iter().collect::<Vec<_>>(), [(1, 2), (5, 0), (7, 3), (9, 1)]);
    }
}
