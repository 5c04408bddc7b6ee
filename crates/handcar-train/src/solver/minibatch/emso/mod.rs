//! EMSO, efficient minibatch training for stochastic optimization (Li, Zhang, Chen and Smola, KDD 2014): each batch is solved,
//! not only stepped on, while the weights are held near where they were.
//!
//! With `f_I` the summed loss of batch `I` of `b` rows, `n` rows in all and `N` rows so far,
//!
//! ```text
//! w_t = argmin_w f_I(w) + (b/n)·(l1·‖w‖₁ + (l2/2)·‖w‖²) + (ρ/2)·‖w - w_{t-1}‖²,   ρ = (β + √N)/α
//! ```
//!
//! so a large batch takes a large step where a gradient step must be as short as the batch's sharpest direction asks. The
//! anchor `w_{t-1}` stays while a batch is solved. Inner solvers ([`Method`]) run a number of iterations or to a tolerance.
//!
//! Of several workers each solves its part of the batch as if the whole were like it: `W·f_{I_r}` in place of `f_I`. Servers take the
//! mean of what they found ([`Average`](super::rule::Average)). That is another algorithm than one worker's, so bits depend on how
//! many there are; not on threads or servers.

mod batch;
mod column;
mod descend;
mod extrapolate;
mod gradient;
mod inner;
mod store;
mod subproblem;

pub use inner::{Inner, Method};

use super::local::batches;
use super::rows::RowView;
use super::rule::Rates;
use super::{Seen, Settings, fixed, slow};
use crate::error::Result;
use crate::loss::Loss;
use batch::Batches;
use handcar_data::Dataset;
use handcar_ps::Worker;
use std::ops::Range;
use std::time::Instant;
use store::Store;
use subproblem::{Held, Subproblem};

/// Weights, and how batches of this worker are solved.
pub(super) struct EmsoTable<'a> {
    store: Store<'a>,
    batches: Batches<'a>,
    inner: Inner,
    /// The intercept's place among the keys.
    intercept: Option<u32>,
    /// What example weights are multiplied by.
    weight_scale: f64,
    /// Gradient steps: the curvature that the last batch was found to have.
    curvature: f64,
    /// How many times as long as it could each batch takes this worker.
    slow: f64,
}

impl<'a> EmsoTable<'a> {
    /// `start`: the weight of a key of the data, and the intercept's. Collective.
    pub fn new(
        worker: &mut Worker,
        data: &'a Dataset,
        settings: &Settings,
        rates: Rates,
        weight_exponent: i32,
        start: (&dyn Fn(usize) -> f32, f32),
    ) -> Result<Self> {
        let workers = worker.workers() as f64;
        Ok(Self {
            store: Store::new(worker, data, settings, rates, start)?,
            batches: Batches::new(data),
            inner: settings.inner,
            intercept: settings.intercept.then_some(data.keys().len() as u32),
            weight_scale: workers * 2f64.powi(weight_exponent),
            curvature: 0.0,
            slow: settings.slow,
        })
    }

    /// Learns from all rows, batch by batch, the first of which is number `first` of the job. `hear` is told of this worker's
    /// part of each batch before it is learned from, and may end the pass after it; whether it did.
    pub fn pass<L: Loss>(
        &mut self,
        worker: &mut Worker,
        loss: L,
        view: &RowView<'_>,
        first: u64,
        batch_rows: usize,
        hear: &mut dyn FnMut(&mut Worker, &Seen<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let (rank, workers) = (worker.rank(), worker.workers());
        let (mut margins, mut losses) = (Vec::new(), Vec::new());
        for (number, all) in batches(view.labels.len(), batch_rows, first) {
            let cut = |r: usize| all.start + all.len() * r / workers;
            let rows = cut(rank)..cut(rank + 1);
            let batch = self.batches.of(&rows, self.intercept);
            let held = self.store.read(worker, number, &batch.ids)?;
            let began = Instant::now();
            margins.clear();
            margins.resize(rows.len(), 0);
            batch.add_margins(&held.anchor, &mut margins);
            losses.clear();
            losses.resize(rows.len(), 0);
            view.losses(loss, &rows, &margins, &mut losses);
            let solution = self.solve(loss, view, &rows, &batch, &held, &margins);
            slow::down(self.slow, began);
            self.store.write(worker, number, &batch.ids, &held, &solution)?;
            if hear(worker, &Seen { rows: rows.clone(), margins: &margins, losses: &losses, weights: None })? {
                self.store.settle(worker)?;
                return Ok(true);
            }
        }
        self.store.settle(worker)?;
        Ok(false)
    }

    /// The weights that this worker's part of a batch asks for.
    fn solve<L: Loss>(
        &mut self,
        loss: L,
        view: &RowView<'_>,
        rows: &Range<usize>,
        batch: &batch::Batch,
        held: &Held,
        margins: &[i64],
    ) -> Vec<f64> {
        let (labels, weights) = view.of(rows);
        let margins = margins.iter().map(|&m| fixed::margin_value(m)).collect();
        let mut problem = Subproblem::new(loss, batch, held, labels, weights, self.weight_scale, margins);
        match self.inner.method {
            Method::Descend => descend::run(&mut problem, self.inner),
            Method::Gradient => gradient::run(&mut problem, self.inner, &mut self.curvature),
        }
        problem.solution
    }

    /// The weights of all keys of the data as batch `batch` finds them, and the intercept.
    pub fn weights(&mut self, worker: &mut Worker, batch: u64) -> Result<(Vec<f32>, f32)> {
        self.store.weights(worker, batch)
    }
}
