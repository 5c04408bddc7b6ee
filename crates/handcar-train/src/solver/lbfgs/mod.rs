//! L-BFGS (Liu and Nocedal, 1989), for L1 by orthants (OWL-QN: Andrew and Gao, ICML 2007), on a parameter server.
//!
//! The servers keep weights, gradients and the history of both; the workers keep rows and margins. An iteration is a
//! direction, made by the servers of `2·M + 1` coefficients that every worker finds from the dot products alone
//! (vector-free two-loop recursion: Chen, Wang and Zhou, NIPS 2014); trials of steps, each a pull of the weights and a sweep
//! over the rows for margins and loss; and the gradient where the step ends, a sweep more. The sums of the gradient are what
//! the certificate of the batch solvers needs, so a bound on the optimum costs no sweep of its own.
//!
//! All sums over rows and over keys are free of order, so equal options give equal bits for any number of threads, workers
//! and servers. `docs/decisions/0011-lbfgs.md` tells how the parts were chosen.

mod certificate;
mod coordinate;
mod gradient;
mod iteration;
mod line_search;
mod note;
mod products;
mod request;
mod rows;
mod setup;
mod trial;
mod two_loop;
mod updater;

pub use updater::register;

use super::batch::{Change, Problem};
use crate::error::Result;
use crate::loss::LossKind;
use crate::penalty::ElasticNet;
use handcar_base::KeyList;
use handcar_kernels::logistic::RowStatistics;
use handcar_ps::{TableId, Worker};
use std::{ops::Range, sync::Mutex};
use two_loop::History;

/// Most pairs of changes that can be asked for.
pub(crate) const HISTORY_MAX: usize = updater::ROOMS[updater::ROOMS.len() - 1];

/// What the solver is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub loss: LossKind,
    pub penalty: ElasticNet,
    pub intercept: bool,
    /// Pairs of changes that directions are made of, from 1 to [`HISTORY_MAX`].
    pub history: usize,
    pub threads: usize,
    /// Which of the job's solvers this is.
    pub stage: usize,
}

/// A worker's view of a block.
struct BlockState {
    keys: KeyList,
    /// Where its weights are among all.
    places: Range<usize>,
    /// How weights on trial differ from those that count.
    change: Change,
    /// Memory of the last push.
    pushed: Vec<i64>,
}

/// A running solve on one worker.
pub(crate) struct Lbfgs<'w> {
    pub worker: &'w mut Worker,
    settings: Settings,
    table: TableId,
    problem: Problem,
    states: Vec<BlockState>,
    /// Of all blocks.
    keys: KeyList,
    weights: Vec<f64>,
    /// As pulled last.
    trial: Vec<f64>,
    /// Margins at the weights that trials go from, by thread.
    before: Vec<Vec<f64>>,
    /// Gradients of rows at the weights, by thread.
    statistics: Vec<Mutex<Vec<RowStatistics>>>,
    history: History,
    /// Bounds `2^e` of all of the basis.
    exponents: Vec<i32>,
    at: Point,
    /// What the bound needs of the gradient at these weights.
    measured: gradient::Measured,
    /// Best lower bound on the optimum so far, and the least of the largest dual gradients that bounds have been made of.
    dual: f64,
    bounded: f64,
}

/// The objective at some weights.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Point {
    pub objective: f64,
    pub loss: f64,
    /// The intercept not counted.
    pub nonzeros: u64,
}

impl Lbfgs<'_> {
    /// The objective at the weights as they are.
    pub fn at(&self) -> Point {
        self.at
    }

    /// Largest KKT violation: the largest element of the pseudo-gradient.
    pub fn violation(&self) -> f64 {
        self.measured.violation
    }

    /// Share of the keys of the data that survived screening.
    pub fn active(&self, keys: usize) -> f64 {
        let here: usize = self.problem.blocks.iter().map(|b| b.index.len()).sum();
        here as f64 / (keys as f64).max(1.0)
    }

    /// Rows of all workers with nonzero weight.
    pub fn rows_total(&self) -> u64 {
        self.problem.rows_total
    }

    /// Calls `visit(index in the data set, weight)` for every key that survived screening.
    pub fn for_each_weight(&self, mut visit: impl FnMut(usize, f32)) {
        for (block, state) in self.problem.blocks.iter().zip(&self.states) {
            for (&i, &w) in block.index.iter().zip(&self.weights[state.places.clone()]) {
                visit(i as usize, w as f32);
            }
        }
    }

    /// The intercept; 0 without one.
    pub fn intercept(&self) -> f64 {
        match (self.problem.blocks.last(), self.weights.last()) {
            (Some(b), Some(&w)) if b.is_intercept() => w,
            _ => 0.0,
        }
    }

    /// Margins of this worker's rows, in order.
    pub fn each_margin(&self) -> impl Iterator<Item = f64> {
        self.problem.shards.iter().flat_map(|s| s.margins.iter().copied())
    }

    /// Whether any worker says so.
    pub fn any(&mut self, here: bool) -> Result<bool> {
        Ok(self.worker.reduce_max(&[here as i64])?[0] != 0)
    }
}
