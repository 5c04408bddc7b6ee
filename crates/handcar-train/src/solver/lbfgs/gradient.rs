//! The gradient at the weights on trial, and the pair that it makes.

use super::note::{GradientNote, PairNote};
use super::products::{exponent, values};
use super::request::{Function, Request};
use super::{Lbfgs, rows};
use crate::error::Result;
use crate::loss::LossKind;
use crate::solver::batch::{DualGradient, merge, on_shards};
use handcar_ps::Values;

/// What the servers say of a gradient.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub dual: DualGradient,
    /// What `q` of each class, 1 and -1, is multiplied by for the dual point.
    pub balance: [f64; 2],
    pub violation: f64,
    /// Largest change of the gradient and largest element of the pseudo-gradient, both scaled.
    change: f64,
    steepest: f64,
}

impl Default for Measured {
    fn default() -> Self {
        let dual = DualGradient { max: f64::INFINITY, squares: f64::INFINITY, conjugate: 0.0 };
        Self { dual, balance: [1.0; 2], violation: f64::INFINITY, change: 0.0, steepest: 0.0 }
    }
}

impl Lbfgs<'_> {
    /// Sums the gradient at the margins as they are and gives it to the servers.
    fn push_gradient(&mut self) -> Result<Measured> {
        let Self { problem, statistics, settings, .. } = self;
        let (data, statistics) = (&problem.data, &*statistics);
        let of_thread = |t: usize| statistics[t].lock().unwrap_or_else(|e| e.into_inner());
        on_shards(&problem.pool, &mut problem.shards, |s| {
            rows::gradients(settings.loss, data, s.rows.clone(), &s.margins, &mut of_thread(s.thread));
        });
        let (second, scales) = rows::halves(settings.loss);
        let balance = self.balance()?;
        let mut note = GradientNote::default();
        for at in 0..self.states.len() {
            let Self { problem, statistics, worker, states, .. } = self;
            let (block, state, statistics) = (&problem.blocks[at], &mut states[at], &*statistics);
            on_shards(&problem.pool, &mut problem.shards, |s| {
                let all = statistics[s.thread].lock().unwrap_or_else(|e| e.into_inner());
                s.scatter(&all, block, second);
            });
            merge(&mut problem.shards, block);
            let mut push = std::mem::take(&mut state.pushed);
            push.clear();
            push.extend(problem.shards[0].sums(block).iter().flatten());
            let unit = 2f64.powi(block.exponent + problem.data.weight_exponent);
            let gradient = scales.map(|s| s * unit);
            let dual = [gradient[0] * balance[0], gradient[1] * balance[1]];
            let request = Request::Gradient { gradient, dual };
            let transfer = worker.push(self.table, &state.keys, push).args(&request.to_bytes());
            let mut outcome = transfer.lossless().wait()?;
            note.merge(&GradientNote::join(&outcome.notes, 0)?);
            if let Some(Values::I64(spent)) = outcome.spent.take() {
                state.pushed = spent;
            }
        }
        let [max, change, steepest, violation] = note.maxima;
        let [squares] = note.sums();
        Ok(Measured { dual: DualGradient { max, squares, conjugate: 0.0 }, balance, violation, change, steepest })
    }

    /// What the classes must be multiplied by so that an intercept has no part in the dual point.
    fn balance(&mut self) -> Result<[f64; 2]> {
        if !self.settings.intercept || self.settings.loss != LossKind::Logistic {
            return Ok([1.0; 2]);
        }
        let mut sums = [0i64; 2];
        for statistics in &self.statistics {
            for s in statistics.lock().unwrap_or_else(|e| e.into_inner()).iter() {
                sums[0] += s[0] as i64;
                sums[1] += s[1] as i64;
            }
        }
        let all = self.worker.reduce(&sums)?;
        let [up, down] = [all[0] as f64, all[1] as f64];
        Ok(if up > down { [down / up, 1.0] } else { [1.0, up / down.max(1.0)] })
    }

    /// Gives the weights on trial, which count from now on, their gradient and the pair of changes. `reach`: the largest move
    /// of a weight; none if there was no step.
    pub(super) fn commit(&mut self, reach: Option<f64>) -> Result<()> {
        let moved = reach.is_some();
        self.measured = self.push_gradient()?;
        let slot = self.history.next_slot();
        let room = self.exponents.len() / 2;
        self.exponents[slot] = exponent(reach.unwrap_or(0.0));
        self.exponents[room + slot] = exponent(self.measured.change);
        self.exponents[2 * room] = exponent(self.measured.steepest);
        // With L1 dot products are over weights that are not zero, and those may be others each time.
        let vectors = self.history.missing(self.settings.penalty.l1 > 0.0);
        let commit = Function::Commit { slot, exponents: self.exponents.clone(), vectors: vectors.clone() };
        let notes = self.worker.call(self.table, &commit.to_bytes())?;
        let products = PairNote::join(&notes, vectors.len() * self.exponents.len())?.counts;
        self.history.update(moved, &vectors, &values(&products, &self.exponents, &vectors));
        Ok(())
    }
}
