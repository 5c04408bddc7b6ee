//! Measures during a job: on held-out rows, whose margins the solver keeps anyway, or on separate validation rows.

use super::holdout::{Holdout, Use};
use crate::error::{Result, TrainError};
use crate::loss::LossKind;
use crate::metric::Metrics;
use crate::solver::{dbpg::Dbpg, lbfgs::Lbfgs, minibatch::Found};
use handcar_base::Key;
use handcar_data::Dataset;
use handcar_ps::Worker;
use std::ops::Range;

/// Measures and what they were taken on.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// `holdout`, `fold` or `validation`.
    pub on: String,
    /// Rows measured.
    pub rows: u64,
    /// The measures.
    pub metrics: Metrics,
}

/// The rows to measure on.
pub(super) enum Evaluation<'a> {
    None,
    /// Rows of this worker, and how many rows of other workers stand before and in all.
    Holdout {
        on: &'static str,
        rows: Vec<usize>,
        first: usize,
        total: usize,
        labels: Vec<f32>,
        weights: Option<Vec<f32>>,
        loss: LossKind,
    },
    /// Separate rows, and for each of their keys its index in the training data.
    Valid {
        data: &'a Dataset,
        index: Vec<Option<u32>>,
        loss: LossKind,
    },
}

impl<'a> Evaluation<'a> {
    /// Chooses the rows, and gives the example weights of all rows of the data that leave held-out ones out of training.
    pub fn new(
        worker: &mut Worker,
        data: &Dataset,
        rows: &Range<usize>,
        holdout: Option<Holdout>,
        valid: Option<&'a Dataset>,
        seed: u64,
        loss: LossKind,
    ) -> Result<(Self, Option<Vec<f32>>)> {
        let mut weights = data.weights().map(<[f32]>::to_vec);
        let mut held = Vec::new();
        if let Some(holdout) = holdout {
            holdout.check(data.rows())?;
            let w = weights.get_or_insert_with(|| vec![1.0; data.rows()]);
            for (row, weight) in w.iter_mut().enumerate() {
                let of_row = holdout.use_of(seed, row, data.rows());
                if of_row != Use::Train {
                    *weight = 0.0;
                }
                if of_row == Use::Measure && rows.contains(&row) {
                    held.push(row);
                }
            }
        }
        if let Some(valid) = valid {
            return Ok((Self::Valid { data: valid, index: positions(valid.keys(), data.keys()), loss }, weights));
        }
        let Some(on) = holdout.map(Holdout::name) else { return Ok((Self::None, weights)) };
        let mut counts = vec![0i64; worker.workers()];
        counts[worker.rank()] = held.len() as i64;
        let counts = worker.reduce(&counts)?;
        let first = counts[..worker.rank()].iter().sum::<i64>() as usize;
        let total = counts.iter().sum::<i64>() as usize;
        let mut this = Self::Holdout { on, rows: Vec::new(), first, total, labels: Vec::new(), weights: None, loss };
        let mine: Vec<f64> = held.iter().map(|&r| data.labels()[r] as f64).collect();
        let all = gather(worker, &mine, first, total)?;
        let all_weights = match data.weights() {
            None => None,
            Some(w) => {
                let mine: Vec<f64> = held.iter().map(|&r| w[r] as f64).collect();
                Some(gather(worker, &mine, first, total)?)
            }
        };
        if let Self::Holdout { rows: r, labels, weights, .. } = &mut this {
            *r = held.into_iter().map(|r| r - rows.start).collect();
            *labels = all.into_iter().map(|y| y as f32).collect();
            *weights = all_weights.map(|w| w.into_iter().map(|c| c as f32).collect());
        }
        Ok((this, weights))
    }

    /// Rows of all workers to measure on.
    pub fn rows(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Holdout { total, .. } => *total,
            Self::Valid { data, .. } => data.rows(),
        }
    }

    /// Whether the rows may have keys that the data lacks.
    pub fn has_own_keys(&self) -> bool {
        matches!(self, Self::Valid { .. })
    }

    /// Takes the measures; all workers call this together.
    pub fn measure(&self, at: &mut dyn Point) -> Result<Option<Measured>> {
        match self {
            Self::None => Ok(None),
            Self::Holdout { on, rows, first, total, labels, weights, loss } => {
                let mine = at.margins(rows);
                let all = gather(at.worker(), &mine, *first, *total)?;
                measured(on, *loss, &all, labels, weights.as_deref())
            }
            Self::Valid { data, index, loss } => {
                let most = index.iter().flatten().max().map_or(0, |&i| i as usize + 1);
                let mut weights = vec![0.0f32; most];
                at.for_each_weight(&mut |i, w| {
                    if let Some(to) = weights.get_mut(i) {
                        *to = w;
                    }
                });
                let of_key = |(i, &key): (&Option<u32>, &Key)| i.map_or_else(|| at.other(key), |i| weights[i as usize]);
                let of_key: Vec<f32> = index.iter().zip(data.keys()).map(of_key).collect();
                let csr = data.csr();
                let margins: Vec<f64> = (0..data.rows())
                    .map(|row| {
                        let (ids, values) = csr.row(row);
                        let x = |j: usize| values.map_or(1.0, |v| v[j] as f64);
                        let sum: f64 = ids.iter().enumerate().map(|(j, &id)| x(j) * of_key[id as usize] as f64).sum();
                        at.intercept() + sum
                    })
                    .collect();
                measured("validation", *loss, &margins, data.labels(), data.weights())
            }
        }
    }
}

/// Weights, and the margins that they give.
pub(super) trait Point {
    /// Who must be asked for others' numbers.
    fn worker(&mut self) -> &mut Worker;
    /// The margins of some of this worker's rows.
    fn margins(&self, rows: &[usize]) -> Vec<f64>;
    /// Every weight with the index of its key in the data.
    fn for_each_weight(&self, visit: &mut dyn FnMut(usize, f32));
    /// The weight of a key that the data lacks.
    fn other(&self, _key: Key) -> f32 {
        0.0
    }
    /// The intercept.
    fn intercept(&self) -> f64;
}

macro_rules! point_of_batch_solver {
    ($solver:ident) => {
        impl Point for $solver<'_> {
            fn worker(&mut self) -> &mut Worker {
                self.worker
            }

            fn margins(&self, rows: &[usize]) -> Vec<f64> {
                let margins: Vec<f64> = self.each_margin().collect();
                rows.iter().map(|&r| margins[r]).collect()
            }

            fn for_each_weight(&self, visit: &mut dyn FnMut(usize, f32)) {
                $solver::for_each_weight(self, visit);
            }

            fn intercept(&self) -> f64 {
                $solver::intercept(self)
            }
        }
    };
}

point_of_batch_solver!(Dbpg);
point_of_batch_solver!(Lbfgs);

impl Point for (&mut Worker, &Found) {
    fn worker(&mut self) -> &mut Worker {
        self.0
    }

    fn margins(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().map(|&r| self.1.margins[r]).collect()
    }

    fn for_each_weight(&self, visit: &mut dyn FnMut(usize, f32)) {
        self.1.weights.iter().enumerate().for_each(|(i, &w)| visit(i, w));
    }

    fn other(&self, key: Key) -> f32 {
        let others = &self.1.others;
        others.binary_search_by_key(&key, |o| o.0).map_or(0.0, |i| others[i].1)
    }

    fn intercept(&self) -> f64 {
        self.1.intercept as f64
    }
}

fn measured(
    on: &str,
    loss: LossKind,
    margins: &[f64],
    labels: &[f32],
    weights: Option<&[f32]>,
) -> Result<Option<Measured>> {
    let metrics = Metrics::by(loss, margins, labels, weights)
        .map_err(|e| TrainError::Data { expected: "rows that can be measured".into(), got: e.to_string() })?;
    Ok(Some(Measured { on: on.into(), rows: margins.len() as u64, metrics }))
}

/// Numbers of all workers in rank order, on every worker.
fn gather(worker: &mut Worker, mine: &[f64], first: usize, total: usize) -> Result<Vec<f64>> {
    if worker.workers() == 1 {
        return Ok(mine.to_vec());
    }
    let mut words = vec![0i64; total];
    for (to, x) in words[first..].iter_mut().zip(mine) {
        *to = x.to_bits() as i64;
    }
    Ok(worker.reduce(&words)?.into_iter().map(|w| f64::from_bits(w as u64)).collect())
}

/// For each of some sorted keys its place among others, if it is there.
fn positions(keys: &[u64], among: &[u64]) -> Vec<Option<u32>> {
    let mut at = 0;
    keys.iter()
        .map(|k| {
            at += among[at..].partition_point(|a| a < k);
            (among.get(at) == Some(k)).then_some(at as u32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_find_common_keys() {
        assert_eq!(positions(&[1, 4, 9, 20], &[0, 4, 9, 10]), [None, Some(1), Some(2), None]);
    }
}
