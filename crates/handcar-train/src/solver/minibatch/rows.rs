//! The rows of a batch: their gradients and losses, from margins.

use super::fixed;
use crate::loss::Loss;
use handcar_kernels::{Kernel, run};
use std::ops::Range;

/// Labels and example weights of all rows of the data.
#[derive(Clone, Copy)]
pub(super) struct RowView<'a> {
    /// ±1.
    pub labels: &'a [f32],
    /// In `[0, 1]`: true ones times `2^-e`; empty for all ones.
    pub weights: &'a [f32],
    /// `e`.
    pub weight_exponent: i32,
}

impl RowView<'_> {
    /// Gradients by the margin and, if asked for, weighted losses of some rows, in fixed point.
    pub fn gradients<L: Loss>(
        &self,
        loss: L,
        rows: &Range<usize>,
        margins: &[i64],
        gradients: &mut [i64],
        losses: Option<&mut [i64]>,
    ) {
        let labels = &self.labels[rows.clone()];
        let weights = if self.weights.is_empty() { &[] } else { &self.weights[rows.clone()] };
        run(Gradients { loss, margins, labels, weights, gradients });
        if let Some(losses) = losses {
            run(Losses { loss, margins, labels, weights, scale: 2f64.powi(self.weight_exponent), losses });
        }
    }
}

struct Gradients<'a, L> {
    loss: L,
    margins: &'a [i64],
    labels: &'a [f32],
    weights: &'a [f32],
    gradients: &'a mut [i64],
}

impl<L: Loss> Kernel for Gradients<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let n = self.gradients.len();
        let (margins, labels) = (&self.margins[..n], &self.labels[..n]);
        let of = |i: usize| self.loss.derivative(fixed::margin_value(margins[i]) as f32, labels[i]);
        if self.weights.is_empty() {
            for i in 0..n {
                self.gradients[i] = fixed::gradient(of(i));
            }
        } else {
            for (i, &c) in self.weights[..n].iter().enumerate() {
                self.gradients[i] = fixed::gradient(of(i) * c);
            }
        }
    }
}

struct Losses<'a, L> {
    loss: L,
    margins: &'a [i64],
    labels: &'a [f32],
    weights: &'a [f32],
    scale: f64,
    losses: &'a mut [i64],
}

impl<L: Loss> Kernel for Losses<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let n = self.losses.len();
        let (margins, labels) = (&self.margins[..n], &self.labels[..n]);
        let of = |i: usize| self.loss.value(fixed::margin_value(margins[i]), labels[i]);
        if self.weights.is_empty() {
            for i in 0..n {
                self.losses[i] = fixed::loss(of(i));
            }
        } else {
            for (i, &c) in self.weights[..n].iter().enumerate() {
                self.losses[i] = fixed::loss(of(i) * (c as f64 * self.scale));
            }
        }
    }
}
