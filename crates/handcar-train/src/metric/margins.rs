//! Rows by margin, in bounded memory: what AUC and calibration need of them.

use super::Decile;
use crate::loss::Logistic;
use std::collections::BTreeMap;

/// Margins beyond this fall into the outermost bins.
const MARGIN_MAX: f64 = 32.0;
/// Bins of margins in a unit.
const BINS: f64 = 256.0;

/// Rows by their margin rounded down to 1/256: at most 16,385 bins, and no more than there are rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Margins {
    bins: BTreeMap<i16, Bin>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bin {
    rows: u64,
    /// Weight of negative and positive rows.
    mass: [f64; 2],
    /// Sum of weighted probabilities.
    predicted: f64,
    /// The least and the largest margin.
    from: f64,
    to: f64,
}

impl Margins {
    /// Adds a row.
    pub fn add(&mut self, margin: f64, positive: bool, weight: f64) {
        let at = (margin.clamp(-MARGIN_MAX, MARGIN_MAX) * BINS).floor() as i16;
        let none = Bin { rows: 0, mass: [0.0; 2], predicted: 0.0, from: margin, to: margin };
        let bin = self.bins.entry(at).or_insert(none);
        bin.rows += 1;
        bin.mass[positive as usize] += weight;
        bin.predicted += weight * Logistic::mean(margin);
        (bin.from, bin.to) = (bin.from.min(margin), bin.to.max(margin));
    }

    /// Bins that hold rows.
    pub fn len(&self) -> usize {
        self.bins.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }

    /// Adds the rows of another one.
    pub fn join(&mut self, other: &Self) {
        for (&at, more) in &other.bins {
            let bin = self.bins.entry(at).or_insert(Bin { rows: 0, mass: [0.0; 2], predicted: 0.0, ..*more });
            bin.rows += more.rows;
            (0..2).for_each(|class| bin.mass[class] += more.mass[class]);
            bin.predicted += more.predicted;
            (bin.from, bin.to) = (bin.from.min(more.from), bin.to.max(more.to));
        }
    }

    /// As [`auc`](super::auc) of margins rounded to 1/256: those of one bin are ties.
    pub fn auc(&self) -> Option<f64> {
        let (mut area, mut below) = (0.0, [0.0; 2]);
        for Bin { mass: [negative, positive], .. } in self.bins.values() {
            area += positive * (below[0] + 0.5 * negative);
            below = [below[0] + negative, below[1] + positive];
        }
        (below[0] > 0.0 && below[1] > 0.0).then(|| area / (below[0] * below[1]))
    }

    /// As [`calibration`](super::calibration).
    pub fn deciles(&self) -> Vec<Decile> {
        let total: u64 = self.bins.values().map(|b| b.rows).sum();
        let mut parts: BTreeMap<u64, Bin> = BTreeMap::new();
        let mut before = 0;
        for bin in self.bins.values() {
            // The part that the middle of the bin's rows is in: rows of one bin stay together.
            let part = (10 * (2 * before + bin.rows - 1) / (2 * total)).min(9);
            let sum = parts.entry(part).or_insert(Bin { rows: 0, mass: [0.0; 2], predicted: 0.0, ..*bin });
            sum.rows += bin.rows;
            (0..2).for_each(|class| sum.mass[class] += bin.mass[class]);
            sum.predicted += bin.predicted;
            sum.to = bin.to;
            before += bin.rows;
        }
        let decile = |bin: Bin| {
            let weight = bin.mass[0] + bin.mass[1];
            (weight > 0.0).then(|| Decile {
                rows: bin.rows,
                weight,
                from: Logistic::mean(bin.from),
                to: Logistic::mean(bin.to),
                predicted: bin.predicted / weight,
                observed: bin.mass[1] / weight,
            })
        };
        parts.into_values().filter_map(decile).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Scored, auc, cases};

    #[test]
    fn the_auc_of_bins_is_that_of_sorted_rows_where_margins_are_multiples_of_their_width() {
        for seed in 0..20 {
            let (m, y, w) = cases::random(seed, 400);
            let mut margins = Margins::default();
            let weight = |i: usize| w.as_ref().map_or(1.0, |w| w[i] as f64);
            (0..400).for_each(|i| margins.add(m[i], y[i] > 0.0, weight(i)));
            let exact = auc(&Scored::new(&m, &y, w.as_deref()).unwrap());
            assert!((margins.auc().unwrap() - exact.unwrap()).abs() < 1e-12);
        }
    }

    #[test]
    fn parts_join_to_the_whole_and_far_margins_share_the_outermost_bins() {
        let (m, y, _) = cases::random(4, 300);
        let (mut whole, mut parts) = (Margins::default(), [Margins::default(), Margins::default()]);
        for i in 0..300 {
            whole.add(100.0 * m[i], y[i] > 0.0, 1.0);
            parts[i % 2].add(100.0 * m[i], y[i] > 0.0, 1.0);
        }
        let [mut a, b] = parts;
        a.join(&b);
        assert_eq!((a.len(), a.auc()), (whole.len(), whole.auc()));
        assert!(whole.len() <= 3 && !whole.is_empty());
        let rows: u64 = a.deciles().iter().map(|d| d.rows).sum();
        assert_eq!(rows, 300);
    }
}
