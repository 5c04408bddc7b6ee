//! The keys of a batch, numbered as its entries are read, so that what is computed for them stands close together.

use handcar_kernels::prefetch;

/// Rows ahead of which a key's place is asked for.
const AHEAD: usize = 32;

/// A part's keys that a batch has, each once, and its entries by the keys' numbers. Slot 0 is that of an absent entry; that of a key
/// is one more than its id in the part. What is kept between batches, `place`, is of each slot: its number, if the slot of that number is
/// this one.
pub(super) struct Met {
    /// The slots met, in the order of their numbers; beyond `count` what was there before.
    slots: Vec<u32>,
    count: usize,
    /// The entries, in the order of rows.
    pub entries: Entries,
}

/// Entries of a batch; a number is that of the entry's key.
pub(super) enum Entries {
    /// One in every row: its number.
    Dense(Vec<u32>),
    /// Any, with their values.
    Sparse(Vec<Entry>),
}

pub(super) struct Entry {
    pub row: u32,
    pub number: u32,
    pub value: f32,
}

impl Met {
    /// `dense`: whether every row has one entry.
    pub fn new(dense: bool) -> Self {
        let entries = if dense { Entries::Dense(Vec::new()) } else { Entries::Sparse(Vec::new()) };
        Self { slots: Vec::new(), count: 0, entries }
    }

    /// The slots met, in the order of their numbers.
    pub fn slots(&self) -> &[u32] {
        &self.slots[..self.count]
    }

    /// The number of the absent entries' slot, if there are any.
    pub fn absent(&self, place: &[u32]) -> Option<usize> {
        let number = place[0];
        (self.slots().get(number as usize) == Some(&0)).then_some(number as usize)
    }

    /// Takes a batch of one entry a row, of some slots.
    pub fn dense<I: Copy + Into<u32>>(&mut self, place: &mut [u32], of_rows: &[I]) {
        let Self { slots, count, entries } = self;
        let Entries::Dense(numbers) = entries else { return };
        if slots.len() < of_rows.len() {
            slots.resize(of_rows.len(), 0);
        }
        numbers.resize(of_rows.len(), 0);
        // Slices, as a vector's address would be read again for each entry.
        let (slots, numbers) = (&mut slots[..], &mut numbers[..]);
        let mut met = 0u32;
        for (i, (&slot, to)) in of_rows.iter().zip(numbers).enumerate() {
            if let Some(&later) = of_rows.get(i + AHEAD) {
                prefetch::line(&place[later.into() as usize]);
            }
            // Without branches: whether a key is new in its batch nobody can foresee.
            let slot = slot.into();
            let place = &mut place[slot as usize];
            let known = (*place < met) & (slots[*place as usize] == slot);
            let number = if known { *place } else { met };
            slots[met as usize] = slot;
            (*place, *to) = (number, number);
            met += !known as u32;
        }
        *count = met as usize;
    }

    /// Takes a batch of any entries: row, slot and value.
    pub fn sparse(&mut self, place: &mut [u32], of_rows: impl Iterator<Item = (u32, u32, f32)>) {
        let Self { slots, count, entries } = self;
        let Entries::Sparse(entries) = entries else { return };
        slots.clear();
        entries.clear();
        for (row, slot, value) in of_rows {
            let place = &mut place[slot as usize];
            if slots.get(*place as usize) != Some(&slot) {
                *place = slots.len() as u32;
                slots.push(slot);
            }
            entries.push(Entry { row, number: *place, value });
        }
        *count = slots.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    #[test]
    fn every_slot_is_numbered_once_and_every_entry_finds_its_own() {
        let mut r = Rng::new(Seed(1), 0);
        let (mut dense, mut sparse) = (Met::new(true), Met::new(false));
        let mut places = [[0; 50]; 2];
        for rows in [100, 1, 0, 64, 7, 100] {
            let of_rows: Vec<u16> = (0..rows).map(|_| r.below(50) as u16 / (1 + r.below(9) as u16)).collect();
            dense.dense(&mut places[0], &of_rows);
            let entries = of_rows.iter().enumerate().map(|(row, &slot)| (row as u32, slot as u32, 1.0));
            sparse.sparse(&mut places[1], entries);
            let mut once = of_rows.clone();
            once.sort_unstable();
            once.dedup();
            for (met, place) in [&dense, &sparse].into_iter().zip(&places) {
                let numbers: Vec<u32> = match &met.entries {
                    Entries::Dense(numbers) => numbers.clone(),
                    Entries::Sparse(entries) => entries.iter().map(|e| e.number).collect(),
                };
                assert_eq!((numbers.len(), met.slots().len()), (of_rows.len(), once.len()));
                assert!(numbers.iter().zip(&of_rows).all(|(&n, &slot)| met.slots()[n as usize] == slot as u32));
                assert_eq!(met.absent(place).map(|n| met.slots()[n]), of_rows.contains(&0).then_some(0));
            }
        }
    }
}
