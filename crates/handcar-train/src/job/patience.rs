//! Early stopping: the best pass so far, and how many have come since.

use super::evaluation::Point;
use crate::error::Result;
use crate::metric::Metrics;
use crate::solver::Solver;

/// The pass that a job with [patience](super::FitOptions::patience) kept the weights of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// Whose pass it is.
    pub solver: Solver,
    /// Its number, from 1.
    pub pass: u64,
    /// Mean loss on the validation or held-out rows after it.
    pub loss: f64,
    /// Whether patience ended the last solver, not its tolerance or its number of passes.
    pub early: bool,
}

/// Watches the loss on other rows over all solvers of a job.
pub(super) struct Patience {
    /// Passes without a better loss that end a solver.
    most: u32,
    since: u32,
    /// Passes of all solvers so far.
    heard: usize,
    best: Option<Best>,
}

pub(super) struct Best {
    pub kept: Kept,
    /// Which pass of all solvers it is, from 1.
    pub number: usize,
    pub weights: Vec<f32>,
    pub intercept: f32,
}

impl Patience {
    pub fn new(most: u32) -> Self {
        Self { most, since: 0, heard: 0, best: None }
    }

    /// A solver begins: its passes are counted anew.
    pub fn begin(&mut self) {
        self.since = 0;
    }

    /// The best pass so far.
    pub fn best(self) -> Option<Best> {
        let early = self.since >= self.most;
        self.best.map(|best| Best { kept: Kept { early, ..best.kept }, ..best })
    }

    /// Where the next solver begins.
    pub fn weights(&self) -> Option<(&[f32], f64)> {
        self.best.as_ref().map(|best| (&*best.weights, best.intercept as f64))
    }

    /// Hears what a pass came to, at weights of `keys` keys; whether the solver should end. Collective: all workers decide by the
    /// same number.
    pub fn hear(
        &mut self,
        at: &mut dyn Point,
        keys: usize,
        (solver, pass): (Solver, u64),
        measured: Option<Metrics>,
    ) -> Result<bool> {
        self.heard += 1;
        let loss = measured.and_then(|m| m.logloss.or(m.loss)).filter(|l| *l >= 0.0).unwrap_or(f64::INFINITY);
        // Bits of numbers from 0 on rise as they do.
        let loss = f64::from_bits(at.worker().reduce_max(&[loss.to_bits() as i64])?[0] as u64);
        if self.best.as_ref().is_none_or(|best| loss < best.kept.loss) {
            let mut weights = vec![0.0; keys];
            at.for_each_weight(&mut |i, w| weights[i] = w);
            let kept = Kept { solver, pass, loss, early: false };
            self.best = Some(Best { kept, number: self.heard, weights, intercept: at.intercept() as f32 });
            self.since = 0;
            return Ok(false);
        }
        self.since += 1;
        Ok(self.since >= self.most)
    }
}
