//! Numbers distinct values in order of first sight: the hot part of localisation.

/// An open-addressing table from value to number. Numbers count from 1; 0 marks a free slot.
#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    shift: u32,
    /// Value of number `i + 1`.
    pub values: Vec<u64>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    value: u64,
    number: u32,
}

/// Look-ups in flight at a time.
const GROUP: usize = 32;
/// Odd, with well spread bits: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Table {
    pub fn new() -> Self {
        Self { slots: vec![Slot::default(); 16], shift: 60, values: Vec::new() }
    }

    /// The number of a value, given one if it is new.
    #[inline]
    pub fn number(&mut self, value: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = (value.wrapping_mul(SPREAD) >> self.shift) as usize;
        loop {
            let slot = self.slots[at & mask];
            if slot.value == value && slot.number != 0 {
                return slot.number;
            }
            if slot.number == 0 {
                return self.insert(value, at & mask);
            }
            at += 1;
        }
    }

    /// The numbers of many values. First slots are all loaded before any is judged, so that the cache misses of a large
    /// table overlap instead of following each other through mispredicted branches.
    pub fn numbers(&mut self, values: &[u64], out: &mut Vec<u32>) {
        let mut groups = values.chunks_exact(GROUP);
        for group in &mut groups {
            let mask = self.slots.len() - 1;
            let mut first = [Slot::default(); GROUP];
            for (slot, value) in first.iter_mut().zip(group) {
                *slot = self.slots[(value.wrapping_mul(SPREAD) >> self.shift) as usize & mask];
            }
            for (slot, &value) in first.iter().zip(group) {
                let hit = slot.value == value && slot.number != 0;
                out.push(if hit { slot.number } else { self.number(value) });
            }
        }
        out.extend(groups.remainder().iter().map(|&v| self.number(v)));
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, value: u64, at: usize) -> u32 {
        self.values.push(value);
        let number = self.values.len() as u32;
        self.slots[at] = Slot { value, number };
        // Half full at most: a miss then probes two slots on average.
        if self.values.len() * 2 > self.slots.len() {
            self.grow();
        }
        number
    }

    fn grow(&mut self) {
        // The values hold everything: the old slots go before the new ones come.
        let size = self.slots.len() * 2;
        self.slots = Vec::new();
        self.slots = vec![Slot::default(); size];
        self.shift -= 1;
        let mask = size - 1;
        for (i, &value) in self.values.iter().enumerate() {
            let mut at = (value.wrapping_mul(SPREAD) >> self.shift) as usize;
            while self.slots[at & mask].number != 0 {
                at += 1;
            }
            self.slots[at & mask] = Slot { value, number: i as u32 + 1 };
        }
    }

    /// The number of a value; 0 if it has none.
    #[inline]
    pub fn get(&self, value: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = (value.wrapping_mul(SPREAD) >> self.shift) as usize;
        loop {
            let slot = self.slots[at & mask];
            if slot.value == value || slot.number == 0 {
                return slot.number;
            }
            at += 1;
        }
    }

    /// As [`Self::ranks`]; the table's memory goes before the ranks' comes.
    pub fn into_ranks(mut self) -> (Vec<u64>, Vec<u32>) {
        self.slots = Vec::new();
        self.ranks()
    }

    /// The values in ascending order, and for each number (from 0: none) its rank counted from 1.
    pub fn ranks(&self) -> (Vec<u64>, Vec<u32>) {
        let mut pairs: Vec<(u64, u32)> = self.values.iter().copied().zip(1..).collect();
        pairs.sort_unstable();
        let mut ranks = vec![0; pairs.len() + 1];
        for (rank, &(_, number)) in pairs.iter().enumerate() {
            ranks[number as usize] = rank as u32 + 1;
        }
        (pairs.into_iter().map(|p| p.0).collect(), ranks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranks_sort_what_numbers_name(values in prop::collection::vec(prop_oneof![0u64..50, any::<u64>()], 0..300)) {
            let mut table = Table::new();
            let mut numbers = Vec::new();
            table.numbers(&values, &mut numbers);
            for (v, n) in values.iter().zip(&numbers) {
                prop_assert_eq!(table.get(*v), *n);
            }
            let (sorted, ranks) = table.into_ranks();
            prop_assert!(sorted.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(ranks[0], 0);
            for (v, n) in values.iter().zip(numbers) {
                prop_assert_eq!(sorted[ranks[n as usize] as usize - 1], *v);
            }
        }
    }
}
