//! L-BFGS's certificate: the bound of `solver/batch/dual.rs` from the gradient that the iteration needs anyway.
//!
//! Rows of the two classes are added up apart, so that the classes can be balanced afterwards, by numbers that need no
//! rounding.

use super::Lbfgs;
use crate::error::Result;
use crate::loss::LossKind;
use crate::solver::batch::{negative_entropy, relative_gap};
use handcar_kernels::logistic::RowStatistics;

/// Share of `l1` that a gradient may be beyond it for a bound to be made in any case.
const NEAR: f64 = 0.01;

impl Lbfgs<'_> {
    /// Bounds the optimum from the gradient at the weights. The [gap](Self::gap) afterwards.
    pub fn certify(&mut self) -> Result<Option<f64>> {
        let (p, max) = (self.settings.penalty, self.measured.dual.max);
        // A bound from a gradient further from what is allowed is hardly ever better, and asks for two logarithms a row.
        let hopeless = p.l2 == 0.0 && max > (1.0 + NEAR) * p.l1 && max >= self.bounded;
        if self.settings.loss != LossKind::Logistic || hopeless {
            return Ok(self.gap());
        }
        self.bounded = self.bounded.min(max);
        let statistics: Vec<Vec<RowStatistics>> =
            self.statistics.iter().map(|s| std::mem::take(&mut *s.lock().unwrap_or_else(|e| e.into_inner()))).collect();
        let Self { worker, problem, measured, settings, .. } = self;
        let [up, down] = measured.balance;
        let q = |s: &RowStatistics| if s[0] > 0 { (s[0] as u32, up) } else { (s[1] as u32, down) };
        let found = measured.dual.bound(settings.penalty, 0.0, |shrink| {
            negative_entropy(worker, &problem.shards, &problem.data, &statistics, shrink, q)
        })?;
        self.dual = self.dual.max(found);
        self.statistics.iter().zip(statistics).for_each(|(to, s)| *to.lock().unwrap_or_else(|e| e.into_inner()) = s);
        Ok(self.gap())
    }

    /// The certified relative gap of the weights, by the best bound so far; `None` for losses without one.
    pub fn gap(&self) -> Option<f64> {
        (self.settings.loss == LossKind::Logistic).then(|| relative_gap(self.at.objective, self.dual))
    }
}
