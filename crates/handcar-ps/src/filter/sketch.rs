//! `CountMin`: counts of many keys in little memory.

use handcar_base::{Key, hash};

/// Counts how often keys were added; never too low, and rarely much too high.
///
/// With width `ceil(e/eps)` and depth `r`, an estimate exceeds the true count by more than `eps` times the number of all
/// additions with probability at most `exp(-r)`. Cormode and Muthukrishnan, J. Algorithms 2005. Four bytes a counter;
/// full counters stay full.
#[derive(Clone, Debug)]
pub struct CountMin {
    /// `[depth * width]`.
    counters: Vec<u32>,
    width: usize,
    seed: u64,
}

impl CountMin {
    /// An empty sketch; `0 < eps < 1`, `depth >= 1`. Memory: `4 * depth * ceil(e/eps)` bytes.
    pub fn new(eps: f64, depth: usize, seed: u64) -> Self {
        let width = (std::f64::consts::E / eps).ceil() as usize;
        Self { counters: vec![0; width * depth], width, seed }
    }

    /// Counters in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Adds one to the count of a key.
    pub fn add(&mut self, key: Key) {
        let (width, seed) = (self.width, self.seed);
        for (row, counters) in self.counters.chunks_exact_mut(width).enumerate() {
            let c = &mut counters[place(key, row, seed, width)];
            *c = c.saturating_add(1);
        }
    }

    /// How often a key was added, or more.
    pub fn estimate(&self, key: Key) -> u32 {
        let rows = self.counters.chunks_exact(self.width).enumerate();
        rows.map(|(row, counters)| counters[place(key, row, self.seed, self.width)]).min().unwrap_or(0)
    }
}

fn place(key: Key, row: usize, seed: u64, width: usize) -> usize {
    let h = hash::bytes(&key.to_le_bytes(), seed.wrapping_add(row as u64));
    ((u128::from(h) * width as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};
    use proptest::prelude::{prop, prop_assert, proptest};
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn an_estimate_is_never_too_low(keys in prop::collection::vec(0u64..50, 0..300), seed: u64, depth in 1usize..4) {
            // So narrow that collisions are certain.
            let mut sketch = CountMin::new(0.3, depth, seed);
            let mut counts = BTreeMap::new();
            for &k in &keys {
                sketch.add(k);
                *counts.entry(k).or_insert(0) += 1;
            }
            for (k, n) in counts {
                prop_assert!(sketch.estimate(k) >= n);
            }
        }
    }

    #[test]
    fn few_estimates_exceed_the_bound() {
        let (eps, depth, added) = (0.001, 3, 100_000);
        let mut sketch = CountMin::new(eps, depth, 1);
        assert_eq!(sketch.width(), 2719);
        let mut rng = Rng::new(Seed(5), 0);
        let mut counts = BTreeMap::new();
        for _ in 0..added {
            let u = rng.uniform();
            let key = (1e6 * u * u * u) as u64;
            sketch.add(key);
            *counts.entry(key).or_insert(0u32) += 1;
        }
        let bound = (eps * f64::from(added)) as u32;
        let high = counts.iter().filter(|&(&k, &n)| sketch.estimate(k) > n + bound).count();
        assert!((high as f64) < (-(depth as f64)).exp() * counts.len() as f64, "{high} of {}", counts.len());
    }
}
