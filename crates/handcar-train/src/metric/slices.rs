//! Measures by value of something: many values, in bounded memory.

use super::Tally;
use crate::loss::LossKind;
use std::collections::HashMap;

/// Values, and bins of margins of all of them, in memory at most: about 150 MB at the very worst. When there are more, the rarer
/// half of the values so far goes to the others.
const VALUES_MAX: usize = 1 << 16;
const BINS_MAX: usize = 1 << 21;

/// A tally of each value, as long as there are not too many.
#[derive(Clone, Debug)]
pub struct Slices {
    loss: LossKind,
    values: HashMap<u64, Tally>,
    bins: usize,
    values_max: usize,
    other: Tally,
    /// Values that went to the others, each as often as it did.
    gone: u64,
}

/// What [`Slices::ranked`] gives.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// The values with the most rows, by falling count and then by value.
    pub most: Vec<(u64, Tally)>,
    /// All others, if there are any.
    pub other: Option<Tally>,
    /// How many these are: at most, if [`approximate`](Self::approximate).
    pub others: u64,
    /// Whether there were too many values for memory: values that were rare for long then lack some of their rows, which are
    /// among the others.
    pub approximate: bool,
}

impl Slices {
    /// No rows yet.
    pub fn new(loss: LossKind) -> Self {
        Self { loss, values: HashMap::new(), bins: 0, values_max: VALUES_MAX, other: Tally::new(loss), gone: 0 }
    }

    /// Adds a row, as [`Tally::add`] does, to a value.
    pub fn add(&mut self, value: u64, margin: f64, label: f32, weight: f64) {
        let tally = self.values.entry(value).or_insert_with(|| Tally::new(self.loss));
        let before = tally.bins();
        tally.add(margin, label, weight);
        self.bins += tally.bins() - before;
        if self.values.len() > self.values_max || self.bins > BINS_MAX {
            self.forget_rare();
        }
    }

    /// The `most` values with the most rows, and all others as one.
    pub fn ranked(self, most: usize) -> Ranked {
        let Self { values, mut other, gone, .. } = self;
        let mut ranked = sorted(values);
        let rest = ranked.split_off(most.min(ranked.len()));
        rest.iter().for_each(|(_, tally)| other.join(tally));
        let others = gone + rest.len() as u64;
        Ranked { most: ranked, other: (others > 0).then_some(other), others, approximate: gone > 0 }
    }

    fn forget_rare(&mut self) {
        let mut ranked = sorted(std::mem::take(&mut self.values));
        for (_, tally) in ranked.split_off(ranked.len().div_ceil(2)) {
            self.other.join(&tally);
            self.gone += 1;
        }
        self.bins = ranked.iter().map(|(_, tally)| tally.bins()).sum();
        self.values = ranked.into_iter().collect();
    }
}

/// By falling count of rows, then by value: nothing depends on the order of a map.
fn sorted(values: HashMap<u64, Tally>) -> Vec<(u64, Tally)> {
    let mut all: Vec<(u64, Tally)> = values.into_iter().collect();
    all.sort_by(|a, b| b.1.rows().cmp(&a.1.rows()).then(a.0.cmp(&b.0)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Metrics, cases};

    #[test]
    fn each_value_has_the_measures_of_its_own_rows() {
        let (m, y, w) = cases::random(3, 500);
        let w = w.unwrap();
        let mut slices = Slices::new(LossKind::Logistic);
        // Value v has about twice the rows of value v + 1.
        let value = |i: usize| (i as u64 + 1).trailing_zeros() as u64;
        (0..500).for_each(|i| slices.add(value(i), m[i], y[i], w[i] as f64));
        let ranked = slices.ranked(3);
        assert_eq!(ranked.most.iter().map(|(v, _)| *v).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!((ranked.others, ranked.approximate), (6, false));
        let check = |tally: &Tally, of: &dyn Fn(u64) -> bool| {
            let of: Vec<usize> = (0..500).filter(|&i| of(value(i))).collect();
            let [m, y, w] = [
                of.iter().map(|&i| m[i]).collect::<Vec<_>>(),
                of.iter().map(|&i| y[i] as f64).collect(),
                of.iter().map(|&i| w[i] as f64).collect(),
            ];
            let narrow = |v: &[f64]| v.iter().map(|&x| x as f32).collect::<Vec<f32>>();
            let exact = Metrics::by(LossKind::Logistic, &m, &narrow(&y), Some(&narrow(&w))).unwrap();
            let got = tally.metrics();
            for (a, b) in [(got.auc, exact.auc), (got.logloss, exact.logloss), (got.calibration, exact.calibration)] {
                assert!((a.unwrap() - b.unwrap()).abs() < 1e-10);
            }
            assert_eq!(tally.rows(), of.len() as u64);
        };
        ranked.most.iter().for_each(|(v, tally)| check(tally, &|of| of == *v));
        check(&ranked.other.unwrap(), &|of| of > 2);
    }

    #[test]
    fn rare_values_beyond_the_bound_are_among_the_others_and_no_row_is_lost() {
        let mut slices = Slices { values_max: 8, ..Slices::new(LossKind::Logistic) };
        for i in 0..1000u64 {
            let value = if i % 2 == 0 { 0 } else { i };
            slices.add(value, 0.0, 1.0, 1.0);
        }
        assert!(slices.values.len() <= 8);
        let ranked = slices.ranked(1);
        assert_eq!((ranked.most[0].0, ranked.most[0].1.rows()), (0, 500));
        assert_eq!((ranked.other.unwrap().rows(), ranked.others, ranked.approximate), (500, 500, true));
    }
}
