//! Numbers the distinct keys of one chunk, in memory that stays in the second-level cache.

/// A table from key to number. Numbers count from 1.
pub(super) struct Numbers {
    /// Numbers, where their keys hash to; 0: free.
    slots: Vec<u32>,
    shift: u32,
    /// Key of number `i + 1`.
    pub keys: Vec<u64>,
}

/// Enough for most chunks, and little to clear.
const SLOTS_AT_FIRST: usize = 1 << 14;
/// Odd, with well spread bits: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Numbers {
    pub fn new() -> Self {
        Self { slots: vec![0; SLOTS_AT_FIRST], shift: 64 - SLOTS_AT_FIRST.trailing_zeros(), keys: Vec::new() }
    }

    /// The number of a key, given one if it is new.
    #[inline]
    pub fn of(&mut self, key: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = (key.wrapping_mul(SPREAD) >> self.shift) as usize;
        loop {
            let number = self.slots[at & mask];
            if number == 0 {
                return self.insert(key, at & mask);
            }
            if self.keys[number as usize - 1] == key {
                return number;
            }
            at += 1;
        }
    }

    fn insert(&mut self, key: u64, at: usize) -> u32 {
        self.keys.push(key);
        let number = self.keys.len() as u32;
        self.slots[at] = number;
        if self.keys.len() * 2 > self.slots.len() {
            self.grow();
        }
        number
    }

    #[cold]
    fn grow(&mut self) {
        let slots = self.slots.len() * 4;
        self.slots = vec![0; slots];
        self.shift = 64 - slots.trailing_zeros();
        for (&key, number) in self.keys.iter().zip(1..) {
            let mut at = (key.wrapping_mul(SPREAD) >> self.shift) as usize;
            while self.slots[at & (slots - 1)] != 0 {
                at += 1;
            }
            self.slots[at & (slots - 1)] = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_number_however_many_follow() {
        let mut numbers = Numbers::new();
        let keys: Vec<u64> = (0..100_000u64).map(|i| i.wrapping_mul(0x1234_5678_9abc_def1) ^ i << 40).collect();
        for round in 0..2 {
            for (&key, number) in keys.iter().zip(1..) {
                assert_eq!(numbers.of(key), number, "round {round}");
            }
        }
        assert_eq!(numbers.keys, keys);
    }
}
