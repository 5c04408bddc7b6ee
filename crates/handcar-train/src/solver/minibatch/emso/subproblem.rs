//! What is minimised for a batch, and where it stands.

use super::batch::Batch;
use crate::loss::Loss;
use crate::penalty::ElasticNet;
use handcar_kernels::{Kernel, run};

/// What the weights of a batch's keys are held by.
pub(super) struct Held {
    /// The weights as the batch finds them.
    pub anchor: Vec<f64>,
    /// How strongly they are held there.
    pub rho: f64,
    /// The penalty's share of a batch; not of the intercept.
    pub share: ElasticNet,
    /// The intercept's number in the batch.
    pub intercept: Option<usize>,
}

impl Held {
    /// The penalty of a key.
    pub fn penalty(&self, key: usize) -> ElasticNet {
        if self.intercept == Some(key) { ElasticNet::NONE } else { self.share }
    }
}

/// `s·Σ c_i·loss(y_i, ⟨x_i, w⟩) + penalty(w) + (ρ/2)·‖w - anchor‖²` at some weights.
pub(super) struct Subproblem<'p, L> {
    pub loss: L,
    pub batch: &'p Batch,
    pub held: &'p Held,
    labels: &'p [f32],
    /// Empty for all ones.
    weights: &'p [f32],
    /// What losses are multiplied by.
    scale: f64,
    pub solution: Vec<f64>,
    /// Of each row, at the solution.
    pub margins: Vec<f64>,
}

impl<'p, L: Loss> Subproblem<'p, L> {
    /// Begins at the anchor, where the rows' margins are `margins`.
    pub fn new(
        loss: L,
        batch: &'p Batch,
        held: &'p Held,
        labels: &'p [f32],
        weights: &'p [f32],
        scale: f64,
        margins: Vec<f64>,
    ) -> Self {
        Self { loss, batch, held, labels, weights, scale, solution: held.anchor.clone(), margins }
    }

    /// What multiplies the loss of a row.
    #[inline(always)]
    pub fn weight(&self, row: usize) -> f64 {
        self.scale * self.weights.get(row).map_or(1.0, |&c| c as f64)
    }

    pub fn label(&self, row: usize) -> f32 {
        self.labels[row]
    }

    /// The rows' slopes and, if asked for, curvatures within the rows' `reach` (one for all, or one a row).
    pub fn slopes(&self, slopes: &mut Vec<f32>, curvatures: Option<(&mut Vec<f32>, &[f32])>) {
        slopes.resize(self.margins.len(), 0.0);
        let (labels, margins) = (self.labels, &self.margins);
        run(Slopes { loss: self.loss, labels, margins, slopes });
        self.weigh(slopes);
        if let Some((curvatures, reach)) = curvatures {
            curvatures.resize(margins.len(), 0.0);
            run(Curvatures { loss: self.loss, labels, margins, reach, curvatures });
            self.weigh(curvatures);
        }
    }

    fn weigh(&self, of_rows: &mut [f32]) {
        let scale = self.scale as f32;
        if self.weights.is_empty() {
            if scale != 1.0 {
                of_rows.iter_mut().for_each(|x| *x *= scale);
            }
        } else {
            of_rows.iter_mut().zip(self.weights).for_each(|(x, c)| *x *= scale * c);
        }
    }

    /// The loss with the pull to the anchor, without the penalty, at some weights and their margins.
    pub fn smooth(&self, weights: &[f64], margins: &[f64]) -> f64 {
        let loss: f64 =
            margins.iter().enumerate().map(|(i, &m)| self.weight(i) * self.loss.value(m, self.labels[i])).sum();
        let away: f64 = weights.iter().zip(&self.held.anchor).map(|(w, z)| (w - z) * (w - z)).sum();
        loss + 0.5 * self.held.rho * away
    }
}

impl<L: Loss> Subproblem<'_, L> {
    /// All that is minimised, at some weights and their margins; infinite where a weight is out of bounds.
    pub fn objective(&self, weights: &[f64], margins: &[f64]) -> f64 {
        let penalty = |(k, &w): (usize, &f64)| {
            let of = self.held.penalty(k);
            if of.bounds.contain(w) { of.l1 * w.abs() + 0.5 * of.l2 * w * w } else { f64::INFINITY }
        };
        self.smooth(weights, margins) + weights.iter().enumerate().map(penalty).sum::<f64>()
    }
}

struct Slopes<'s, L> {
    loss: L,
    labels: &'s [f32],
    margins: &'s [f64],
    slopes: &'s mut [f32],
}

impl<L: Loss> Kernel for Slopes<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((to, &m), &y) in self.slopes.iter_mut().zip(self.margins).zip(self.labels) {
            *to = self.loss.derivative(m as f32, y);
        }
    }
}

struct Curvatures<'s, L> {
    loss: L,
    labels: &'s [f32],
    margins: &'s [f64],
    reach: &'s [f32],
    curvatures: &'s mut [f32],
}

impl<L: Loss> Kernel for Curvatures<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { loss, labels, margins, reach, curvatures } = self;
        if let [one] = reach {
            for ((to, &m), &y) in curvatures.iter_mut().zip(margins).zip(labels) {
                *to = loss.curvature(m as f32, y, *one);
            }
        } else {
            for (((to, &m), &y), &r) in curvatures.iter_mut().zip(margins).zip(labels).zip(reach) {
                *to = loss.curvature(m as f32, y, r);
            }
        }
    }
}
