//! Margins and probabilities of minibatches.

use super::Model;
use crate::loss::Logistic;
use handcar_base::Key;

/// What a batch held that the training data did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Rows with at least one unseen value.
    pub rows: u64,
    /// Unseen values; each got weight zero.
    pub values: u64,
    /// All values.
    pub of_values: u64,
}

impl std::ops::AddAssign for Unseen {
    fn add_assign(&mut self, more: Self) {
        self.rows += more.rows;
        self.values += more.values;
        self.of_values += more.of_values;
    }
}

/// The probability of the positive class at a margin.
pub fn probability(margin: f64) -> f64 {
    Logistic::mean(margin)
}

impl Model {
    /// Appends `intercept + Σ_j w[keys[ids[j]]]·values[j]` of each row to `margins`.
    ///
    /// Row `r` holds the entries `offsets[r]..offsets[r + 1]`; `ids` point into `keys`, which is strictly increasing;
    /// absent `values` are all 1. Margins are summed in f64 in the order of the entries.
    pub fn margins(
        &self,
        offsets: &[u64],
        ids: &[u32],
        values: Option<&[f32]>,
        keys: &[Key],
        margins: &mut Vec<f64>,
    ) -> Unseen {
        let weights = self.weights_of(keys);
        let mut unseen = Unseen { of_values: ids.len() as u64, ..Unseen::default() };
        for row in offsets.windows(2) {
            let (begin, end) = (row[0] as usize, row[1] as usize);
            let (mut margin, mut strange) = (self.intercept, 0);
            for j in begin..end {
                match weights[ids[j] as usize] {
                    Some(w) => margin += w as f64 * values.map_or(1.0, |v| v[j] as f64),
                    None => strange += 1,
                }
            }
            margins.push(margin);
            unseen.values += strange;
            unseen.rows += (strange > 0) as u64;
        }
        unseen
    }

    /// The weight of each of the sorted `keys`; `None` where the training data never had the key.
    ///
    /// Both lists are sorted, so the search goes on from where the last one ended, in doubling steps: near linear when
    /// the lists are of like length, logarithmic when one is far longer.
    fn weights_of(&self, keys: &[Key]) -> Vec<Option<f32>> {
        debug_assert!(keys.is_sorted());
        let mut at = 0;
        keys.iter()
            .map(|&k| {
                let mut step = 1;
                while at + step < self.keys.len() && self.keys[at + step] <= k {
                    at += step;
                    step *= 2;
                }
                let end = (at + step).min(self.keys.len());
                at += self.keys[at..end].partition_point(|&stored| stored < k);
                match self.keys.get(at) {
                    Some(&stored) if stored == k => Some(self.weights[at]),
                    _ => self.seen.contains(k).then_some(0.0),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, SeenKeys, tests::small};
    use handcar_base::{Rng, Seed};

    #[test]
    fn margins_add_intercept_and_weights() {
        let mut m = Vec::new();
        // Keys 5 (seen, weight zero) and 7 (never seen) both add nothing; only 7 is counted.
        let unseen = small().margins(&[0, 2, 2, 4], &[0, 3, 1, 2], Some(&[2.0, 0.5, 9.0, 9.0]), &[2, 5, 7, 9], &mut m);
        assert_eq!(m, [-0.125 + 0.5 * 2.0 - 2.0 * 0.5, -0.125, -0.125]);
        assert_eq!(unseen, Unseen { rows: 1, values: 1, of_values: 4 });
    }

    #[test]
    fn merge_finds_what_binary_search_finds() {
        let mut r = Rng::new(Seed(5), 0);
        for (stored, asked) in [(0, 5), (1, 5), (10, 1000), (1000, 10), (500, 500)] {
            let mut draw = |n: usize| {
                let mut v: Vec<Key> = (0..n).map(|_| r.below(1500)).collect();
                v.sort_unstable();
                v.dedup();
                v
            };
            let (keys, asked) = (draw(stored), draw(asked));
            let weights: Vec<f32> = keys.iter().map(|&k| k as f32 + 1.0).collect();
            let seen = SeenKeys::new(&keys);
            let m = Model { keys, weights, seen, facts: Facts::default(), ..small() };
            let found: Vec<f32> = m.weights_of(&asked).into_iter().map(Option::unwrap_or_default).collect();
            assert_eq!(found, asked.iter().map(|&k| m.weight(k)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn probability_stays_in_range() {
        assert_eq!((probability(0.0), probability(1e9), probability(-1e9)), (0.5, 1.0, 0.0));
    }
}
