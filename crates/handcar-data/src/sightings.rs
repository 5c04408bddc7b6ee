//! Numbers keys in the order of first sight, and tells whether a row has had one before.

use handcar_kernels::{huge_pages, prefetch};

/// A table from key to number, half full at most. Numbers count from 0.
pub(crate) struct Sightings {
    slots: Vec<Slot>,
    shift: u32,
    /// Key of each number.
    pub keys: Vec<u64>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    key: u64,
    /// Counted from 1; 0: free.
    number: u32,
    /// The row that had the key last.
    row: u32,
}

/// What a key is to a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sight {
    /// Its number; no row had it before.
    New(u32),
    /// Its number; other rows had it.
    Known(u32),
    /// Its number; the row has it already.
    Again(u32),
}

const SLOTS_AT_FIRST: usize = 1 << 10;
/// Odd, with well spread bits: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Sightings {
    pub fn new() -> Self {
        let slots = vec![Slot::default(); SLOTS_AT_FIRST];
        Self { slots, shift: 64 - SLOTS_AT_FIRST.trailing_zeros(), keys: Vec::new() }
    }

    #[inline]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(SPREAD) >> self.shift) as usize
    }

    /// Asks for the memory that tells a key's number.
    #[inline]
    pub fn ask(&self, key: u64) {
        let mask = self.slots.len() - 1;
        prefetch::line(&self.slots[self.home(key) & mask]);
    }

    /// What a key is to a row. Rows come one after the other, and none is 0.
    #[inline]
    pub fn see(&mut self, key: u64, row: u32) -> Sight {
        let mask = self.slots.len() - 1;
        let mut at = self.home(key);
        loop {
            let slot = &mut self.slots[at & mask];
            if slot.key == key && slot.number != 0 {
                let again = std::mem::replace(&mut slot.row, row) == row;
                return if again { Sight::Again(slot.number - 1) } else { Sight::Known(slot.number - 1) };
            }
            if slot.number == 0 {
                return Sight::New(self.insert(key, row));
            }
            at += 1;
        }
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, key: u64, row: u32) -> u32 {
        if 2 * (self.keys.len() + 1) > self.slots.len() {
            let slots = 2 * self.slots.len();
            let old = std::mem::replace(&mut self.slots, huge_pages::filled(Slot::default(), slots));
            self.shift = 64 - slots.trailing_zeros();
            old.into_iter().filter(|slot| slot.number != 0).for_each(|slot| self.place(slot));
        }
        self.keys.push(key);
        let number = self.keys.len() as u32;
        self.place(Slot { key, number, row });
        number - 1
    }

    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = self.home(slot.key);
        while self.slots[at & mask].number != 0 {
            at += 1;
        }
        self.slots[at & mask] = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn keys_are_numbered_as_they_come_and_told_when_a_row_has_them_twice() {
        let mut sightings = Sightings::new();
        let mut plain: HashMap<u64, (u32, u32)> = HashMap::new();
        for row in 1..3000u32 {
            for i in 0..7u64 {
                let mixed = (row as u64 * 7 + i).wrapping_mul(0x1234_5678_9abc_def1);
                // Some keys come often, some twice in a row, and one is 0.
                let key = if i < 3 { mixed % 5 } else { mixed };
                let next = plain.len() as u32;
                let want = match plain.get_mut(&key) {
                    None => {
                        plain.insert(key, (next, row));
                        Sight::New(next)
                    }
                    Some((number, last)) if *last == row => Sight::Again(*number),
                    Some((number, last)) => {
                        *last = row;
                        Sight::Known(*number)
                    }
                };
                sightings.ask(key);
                assert_eq!(sightings.see(key, row), want, "{row} {key}");
            }
        }
        assert!(sightings.keys.iter().enumerate().all(|(i, key)| plain[key].0 == i as u32));
    }
}
