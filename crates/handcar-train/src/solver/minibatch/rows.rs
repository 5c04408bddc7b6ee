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
    /// In `[0, 1]`: true ones times a power of two; empty for all ones.
    pub weights: &'a [f32],
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
            run(Losses { loss, margins, labels, weights, losses });
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
        let Self { loss, margins, labels, weights, gradients } = self;
        if weights.is_empty() {
            for ((to, &m), &y) in gradients.iter_mut().zip(margins).zip(labels) {
                *to = fixed::gradient(loss.derivative(fixed::margin_value(m) as f32, y), L::SLOPE_EXPONENT);
            }
        } else {
            for (((to, &m), &y), &c) in gradients.iter_mut().zip(margins).zip(labels).zip(weights) {
                *to = fixed::gradient(loss.derivative(fixed::margin_value(m) as f32, y) * c, L::SLOPE_EXPONENT);
            }
        }
    }
}

struct Losses<'a, L> {
    loss: L,
    margins: &'a [i64],
    labels: &'a [f32],
    weights: &'a [f32],
    losses: &'a mut [i64],
}

impl<L: Loss> Kernel for Losses<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { loss, margins, labels, weights, losses } = self;
        if weights.is_empty() {
            for ((to, &m), &y) in losses.iter_mut().zip(margins).zip(labels) {
                *to = fixed::loss(loss.value(fixed::margin_value(m), y));
            }
        } else {
            for (((to, &m), &y), &c) in losses.iter_mut().zip(margins).zip(labels).zip(weights) {
                *to = fixed::loss(loss.value(fixed::margin_value(m), y) * c as f64);
            }
        }
    }
}
