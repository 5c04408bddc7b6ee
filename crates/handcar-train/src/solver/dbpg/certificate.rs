//! The optimality certificate: a dual feasible point, so that no weights can have an objective below its value.
//!
//! For `F(w) = Σ c_i·log(1+exp(-y_i·m_i)) + l1·‖w‖₁ + (l2/2)·‖w‖²` and any `q` in [0,1]^n, with `a = Σ c_i·y_i·q_i·x_i`
//! and `H(q) = Σ c_i·(q_i·ln q_i + (1-q_i)·ln(1-q_i))`: `-H(q) - ‖soft(a,l1)‖²/(2·l2)` is a lower bound on F, and so is
//! `-H(s·q)` with `s = min(1, l1/max|a_k|)`. An unpenalised intercept demands `Σ c_i·y_i·q_i = 0`: the heavier class is
//! scaled down until the two agree.
//!
//! `q` here is the fixed-point number that the gradient sums are made of, so the bound holds for the very sums that
//! were added. Screened keys have `|a_k| <= l1` for every `q`, so they need not be asked.

use super::answer::Answer;
use super::pass::{answer, merge};
use super::request::Request;
use super::{Dbpg, PassEnd};
use crate::error::Result;
use handcar_base::ExactSum;
use handcar_kernels::logistic::{self, RowStatistics};

/// What a certificate found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Certificate {
    /// Lower bound on the optimum, the best so far.
    pub dual: f64,
    /// Largest KKT violation over all keys, at one point.
    pub violation: f64,
}

/// `(F - D)/F`, at least 0.
pub(crate) fn relative_gap(objective: f64, dual: f64) -> f64 {
    if objective > 0.0 { ((objective - dual) / objective).max(0.0) } else { 0.0 }
}

/// What a measurement of all keys at one point found.
pub(super) struct Found {
    pub dual: f64,
    violation: f64,
}

/// A candidate for a dual point.
pub(super) struct Point {
    pub statistics: Vec<Vec<RowStatistics>>,
    /// How far the intercept is from its optimum: its gradient.
    level: f64,
    /// What balancing the classes left of it.
    residual: f64,
}

impl Dbpg<'_> {
    /// Measures the gradient of every key, renews the active set and bounds the optimum.
    ///
    /// The violation is that of the weights as they are.
    pub fn certify(&mut self, slack: f64) -> Result<Certificate> {
        let point = self.dual_point()?;
        let found = self.bound(&point, Some(slack))?;
        self.dual = self.dual.max(found.dual);
        Ok(Certificate { dual: self.dual, violation: found.violation.max(point.level) })
    }

    /// Takes Newton steps until the bound is within `tol` (relative) of the objective, they stop helping, or any worker's
    /// `watch`, which hears the number of each step and the gap before it, says so; where the pass ends after them.
    pub fn accelerate(
        &mut self,
        slack: f64,
        end: PassEnd,
        tol: f64,
        watch: &mut dyn FnMut(u64, f64) -> bool,
    ) -> Result<PassEnd> {
        watch(1, relative_gap(end.objective, self.dual));
        let statistics = self.statistics();
        let head = self.head();
        let hessian = self.head_hessian(&head, &statistics)?;
        let gradient = self.selected_gradient(&head.keys, &statistics)?;
        let start: Vec<f64> = head.keys.collect(|b, place| self.states[b].weights[place] as f64);
        let target = self.head_minimum(&head, &hessian, &gradient, &start);
        let end = self.step_towards(&head.keys, &target, end)?;
        self.correct(&head, &hessian, end, slack, tol, watch)
    }

    /// The best lower bound on the optimum so far.
    pub fn dual(&self) -> f64 {
        self.dual
    }

    /// Gradient and curvature of every row at the current margins, by thread.
    pub(super) fn statistics(&self) -> Vec<Vec<RowStatistics>> {
        self.shards.iter().map(|s| s.all_statistics(&self.data)).collect()
    }

    /// Sums given statistics of all rows over the columns of a block, into the first thread's table.
    pub(super) fn scatter(&mut self, at: usize, statistics: &[Vec<RowStatistics>]) {
        let Self { pool, shards, blocks, .. } = self;
        let block = &blocks[at];
        Self::on_shards(pool, shards, |s| s.scatter(&statistics[s.thread], block));
        merge(shards, block);
    }

    /// The rows' statistics at the current margins, the classes balanced if there is an intercept.
    pub(super) fn dual_point(&mut self) -> Result<Point> {
        let mut statistics = self.statistics();
        let (mut level, mut residual) = (0.0, 0.0);
        if self.settings.intercept {
            let one = 2f64.powi(30 - self.data.weight_exponent);
            let [up, down] = self.class_sums(&statistics)?;
            level = (up - down).abs() as f64 / one;
            let (ratio, down_is_heavier) =
                if down > up { (up as f64 / down as f64, true) } else { (down as f64 / (up as f64).max(1.0), false) };
            for g in statistics.iter_mut().flatten() {
                // The gradient -y·q is negative for the positive class.
                if (g[0] < 0) == down_is_heavier {
                    g[0] = (g[0] as f64 * ratio) as i32;
                }
            }
            let [up, down] = self.class_sums(&statistics)?;
            residual = (up - down).abs() as f64 / one;
        }
        Ok(Point { statistics, level, residual })
    }

    /// The dual value of a point, from the gradient of every key there. `renew`: the servers renew the active set by it,
    /// keeping keys whose gradient is within that of `l1`.
    pub(super) fn bound(&mut self, point: &Point, renew: Option<f64>) -> Result<Found> {
        self.work += self.entries();
        let mut all = Answer::default();
        for at in 0..self.blocks.len() {
            if self.blocks[at].is_intercept() {
                continue;
            }
            self.scatter(at, &point.statistics);
            // The curvature does not travel: zeros shrink to nothing on the wire.
            let push: Vec<i64> = self.shards[0].sums(&self.blocks[at]).iter().flat_map(|s| [s[0], 0]).collect();
            let request = Request::Measure { gradient_scale: self.scales(at).gradient, renew };
            let keys = self.states[at].all.clone();
            let outcome = self.exactly(&keys, push, request, true).wait()?;
            all.merge(&answer(&outcome)?);
            self.take_marks(at, outcome)?;
        }

        let (l1, l2) = (self.settings.penalty.l1, self.settings.penalty.l2);
        let shrink = if all.gradient_max > l1 { l1 / all.gradient_max } else { 1.0 };
        // What an imbalance that rounding left could be worth to an intercept twice as far out as ours.
        let slip = point.residual * (2.0 * self.intercept().abs() + 16.0);
        let mut dual = -self.negative_entropy(&point.statistics, shrink)? - shrink * slip;
        if l2 > 0.0 {
            dual = dual.max(-self.negative_entropy(&point.statistics, 1.0)? - all.squares.value() / (2.0 * l2) - slip);
        }
        Ok(Found { dual, violation: all.violation })
    }

    fn take_marks(&mut self, at: usize, outcome: handcar_ps::Outcome) -> Result<()> {
        // Measuring moves nothing, and margins may still wait for a shift of this block: keep its change.
        let waiting = self.states[at].change.of_keys(&self.blocks[at]).to_vec();
        self.take_weights(at, outcome, true)?;
        self.states[at].change.of_keys(&self.blocks[at]).copy_from_slice(&waiting);
        Ok(())
    }

    /// Sums of `|gradient|` of the negative class (gradient up) and of the positive class (down), all workers.
    fn class_sums(&mut self, statistics: &[Vec<RowStatistics>]) -> Result<[i64; 2]> {
        let mut sums = [0i64; 2];
        for g in statistics.iter().flatten() {
            sums[(g[0] < 0) as usize] += (g[0] as i64).abs();
        }
        let all = self.worker.reduce(&sums)?;
        Ok([all[0], all[1]])
    }

    /// `H(s·q)` over the rows of all workers.
    fn negative_entropy(&mut self, statistics: &[Vec<RowStatistics>], shrink: f64) -> Result<f64> {
        const CHUNK: usize = 1024;
        let one = logistic::ONE as f64;
        let mut sum = ExactSum::new();
        let (mut p, mut h) = ([0.0; CHUNK], [0.0; CHUNK]);
        for (shard, all) in self.shards.iter().zip(statistics) {
            for (c, chunk) in all.chunks(CHUNK).enumerate() {
                let first = shard.rows.start + c * CHUNK;
                for (i, g) in chunk.iter().enumerate() {
                    let q = g[0].unsigned_abs() as f64 / one;
                    let scaled = match self.data.weights.get(first + i) {
                        None => q,
                        Some(0.0) => 0.0,
                        Some(&c) => (q / c as f64).min(1.0),
                    };
                    p[i] = shrink * scaled;
                }
                logistic::negative_entropies(&p[..chunk.len()], &mut h[..chunk.len()]);
                for (i, &h) in h[..chunk.len()].iter().enumerate() {
                    sum.add(if self.data.weights.is_empty() { h } else { h * self.data.weight(first + i) });
                }
            }
        }
        Ok(ExactSum::from_words(&self.worker.reduce(&sum.to_words())?).value())
    }
}
