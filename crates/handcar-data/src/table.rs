//! Numbers distinct values in order of first sight: the hot part of localisation.

use handcar_kernels::huge_pages;

/// A table from value to number. Numbers count from 1.
///
/// Values below [`DIRECT`] have a slot of their own. Others live in an open-addressing table whose slots hold value and
/// number in 8 bytes, as long as they fit: the cost of a look-up is the cache line it misses. Wider values (hashed text)
/// move everything to slots of 16 bytes.
pub(crate) struct Table {
    direct: Vec<u32>,
    /// `value << NUMBER_BITS | number`; 0: free.
    packed: Vec<u64>,
    /// In use once a value did not fit `packed`, which is empty from then on.
    wide: Vec<Slot>,
    shift: u32,
    /// Values outside `direct`.
    hashed: usize,
    /// Value of number `i + 1`.
    pub values: Vec<u64>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    value: u64,
    /// 0: free.
    number: u32,
}

/// Values that are their own slot: missing, buckets and bins.
const DIRECT: usize = 1024;
const NUMBER_BITS: u32 = 31;
const NUMBER_MAX: u32 = (1 << NUMBER_BITS) - 1;
/// Values from here on need wide slots.
const PACKED_VALUES: u64 = 1 << (64 - NUMBER_BITS);
/// Look-ups in flight at a time.
const GROUP: usize = 32;
/// Odd, with well spread bits: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const SLOTS_AT_FIRST: usize = 16;

impl Table {
    pub fn new() -> Self {
        Self {
            direct: vec![0; DIRECT],
            packed: vec![0; SLOTS_AT_FIRST],
            wide: Vec::new(),
            shift: 64 - SLOTS_AT_FIRST.trailing_zeros(),
            hashed: 0,
            values: Vec::new(),
        }
    }

    #[inline]
    fn home(&self, value: u64) -> usize {
        (value.wrapping_mul(SPREAD) >> self.shift) as usize
    }

    /// The number of a value, given one if it is new.
    #[inline]
    pub fn number(&mut self, value: u64) -> u32 {
        match self.get(value) {
            0 => self.insert(value),
            number => number,
        }
    }

    /// The number of a value; 0 if it has none.
    #[inline]
    pub fn get(&self, value: u64) -> u32 {
        if let Some(&number) = self.direct.get(value as usize) {
            return number;
        }
        let mut at = self.home(value);
        if self.wide.is_empty() {
            if value >= PACKED_VALUES {
                return 0;
            }
            let mask = self.packed.len() - 1;
            loop {
                let slot = self.packed[at & mask];
                if slot == 0 || slot >> NUMBER_BITS == value {
                    return slot as u32 & NUMBER_MAX;
                }
                at += 1;
            }
        }
        let mask = self.wide.len() - 1;
        loop {
            let slot = self.wide[at & mask];
            if slot.value == value || slot.number == 0 {
                return slot.number;
            }
            at += 1;
        }
    }

    /// The numbers of many values. First slots are all loaded before any is judged, so that the cache misses of a large
    /// table overlap instead of following each other through mispredicted branches.
    pub fn numbers(&mut self, values: &[u64], out: &mut Vec<u32>) {
        let mut groups = values.chunks_exact(GROUP);
        for group in &mut groups {
            if group.iter().all(|&v| v < DIRECT as u64) {
                out.extend(group.iter().map(|&v| self.number(v)));
                continue;
            }
            if !self.wide.is_empty() {
                let mask = self.wide.len() - 1;
                let mut first = [Slot::default(); GROUP];
                for (slot, &value) in first.iter_mut().zip(group) {
                    *slot = self.wide[self.home(value) & mask];
                }
                for (&slot, &value) in first.iter().zip(group) {
                    let hit = slot.value == value && slot.number != 0 && value >= DIRECT as u64;
                    out.push(if hit { slot.number } else { self.number(value) });
                }
                continue;
            }
            let mask = self.packed.len() - 1;
            let mut first = [0u64; GROUP];
            for (slot, &value) in first.iter_mut().zip(group) {
                *slot = self.packed[self.home(value) & mask];
            }
            for (&slot, &value) in first.iter().zip(group) {
                let hit = slot >> NUMBER_BITS == value && value >= DIRECT as u64;
                out.push(if hit { slot as u32 & NUMBER_MAX } else { self.number(value) });
            }
        }
        out.extend(groups.remainder().iter().map(|&v| self.number(v)));
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, value: u64) -> u32 {
        self.values.push(value);
        let number = self.values.len() as u32;
        if let Some(slot) = self.direct.get_mut(value as usize) {
            *slot = number;
            return number;
        }
        self.hashed += 1;
        let slots = self.packed.len().max(self.wide.len());
        let widen = self.wide.is_empty() && (value >= PACKED_VALUES || number == NUMBER_MAX);
        // Half full at most: a look-up then misses one cache line in most cases.
        if widen || self.hashed * 2 > slots {
            self.rebuild(if self.hashed * 2 > slots { slots * 2 } else { slots }, widen);
        } else {
            self.place(value, number);
        }
        number
    }

    fn place(&mut self, value: u64, number: u32) {
        let mut at = self.home(value);
        if self.wide.is_empty() {
            let mask = self.packed.len() - 1;
            while self.packed[at & mask] != 0 {
                at += 1;
            }
            self.packed[at & mask] = value << NUMBER_BITS | number as u64;
        } else {
            let mask = self.wide.len() - 1;
            while self.wide[at & mask].number != 0 {
                at += 1;
            }
            self.wide[at & mask] = Slot { value, number };
        }
    }

    /// Makes all slots anew. The values hold everything, so the old slots go before the new ones come.
    fn rebuild(&mut self, slots: usize, widen: bool) {
        let wide = widen || !self.wide.is_empty();
        (self.packed, self.wide) = (Vec::new(), Vec::new());
        if wide {
            self.wide = huge_pages::filled(Slot::default(), slots);
        } else {
            self.packed = huge_pages::filled(0, slots);
        }
        self.shift = 64 - slots.trailing_zeros();
        for i in 0..self.values.len() {
            if self.values[i] >= DIRECT as u64 {
                self.place(self.values[i], i as u32 + 1);
            }
        }
    }

    /// As [`Self::ranks`]; the table's memory goes before the ranks' comes.
    pub fn into_ranks(mut self) -> (Vec<u64>, Vec<u32>) {
        (self.packed, self.wide, self.direct) = (Vec::new(), Vec::new(), Vec::new());
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
        fn ranks_sort_what_numbers_name(values in prop::collection::vec(prop_oneof![0u64..50, 1000..1100u64, 0..1u64 << 33, any::<u64>()], 0..300), narrow: bool) {
            let values: Vec<u64> = values.into_iter().map(|v| if narrow { v >> 31 } else { v }).collect();
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
