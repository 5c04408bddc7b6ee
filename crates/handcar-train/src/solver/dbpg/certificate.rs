//! DBPG's certificate: the bound of `solver/batch/dual.rs` at the current margins, from the gradient of every key, which
//! the servers measure.

use super::answer::Answer;
use super::pass::answer;
use super::request::Request;
use super::{Dbpg, PassEnd};
use crate::error::Result;
use crate::solver::batch::{DualGradient, Second, merge, negative_entropy, on_shards, relative_gap};
use handcar_kernels::logistic::RowStatistics;

/// What a certificate found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Certificate {
    /// Lower bound on the optimum, the best so far.
    pub dual: f64,
    /// Largest KKT violation over all keys, at one point.
    pub violation: f64,
}

/// What a measurement of all keys at one point found.
pub(super) struct Found {
    pub dual: f64,
    pub violation: f64,
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
        if !self.groups.is_empty() {
            return self.correct(&head, &hessian, end, slack, tol, watch);
        }
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
        on_shards(pool, shards, |s| s.scatter(&statistics[s.thread], block, Second::Curvature));
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
        if !self.groups.is_empty() {
            return self.bound_of_fields(point, renew);
        }
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

        let slip = self.slip(point);
        let (squares, conjugate) = (all.squares.value(), all.conjugate.value());
        let gradient = DualGradient { max: all.gradient_max, squares, conjugate };
        let Self { worker, shards, data, .. } = self;
        let q = |s: &RowStatistics| (s[0].unsigned_abs(), 1.0);
        let dual = gradient.bound(self.settings.penalty, slip, |shrink| {
            negative_entropy(worker, shards, data, &point.statistics, shrink, q)
        })?;
        Ok(Found { dual, violation: all.violation })
    }

    /// What an imbalance that rounding left could be worth to an intercept twice as far out as ours.
    pub(super) fn slip(&self, point: &Point) -> f64 {
        point.residual * (2.0 * self.intercept().abs() + 16.0)
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
}
