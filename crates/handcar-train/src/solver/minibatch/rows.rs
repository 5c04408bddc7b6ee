//! The rows of a batch: their gradients and losses, from margins.

use super::fixed;
use crate::loss::{Loss, Size};
use handcar_kernels::{Kernel, run};
use std::ops::Range;

/// Labels and example weights of all rows of the data.
#[derive(Clone, Copy)]
pub(super) struct RowView<'a> {
    /// ±1, or numbers.
    pub labels: &'a [f32],
    /// In `[0, 1]`: true ones times a power of two; empty for all ones.
    pub weights: &'a [f32],
    /// The room there is for the loss.
    pub size: Size,
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
        let (labels, weights) = self.of(rows);
        run(Gradients { loss, slope: self.size.slope, margins, labels, weights, gradients });
        if let Some(losses) = losses {
            self.losses(loss, rows, margins, losses);
        }
    }

    /// Weighted losses of some rows, in fixed point.
    pub fn losses<L: Loss>(&self, loss: L, rows: &Range<usize>, margins: &[i64], losses: &mut [i64]) {
        let (labels, weights) = self.of(rows);
        run(Losses { loss, value: self.size.value, margins, labels, weights, losses });
    }

    /// Labels and weights of some rows.
    pub fn of(&self, rows: &Range<usize>) -> (&[f32], &[f32]) {
        (&self.labels[rows.clone()], self.weights.get(rows.clone()).unwrap_or_default())
    }
}

struct Gradients<'a, L> {
    loss: L,
    slope: i32,
    margins: &'a [i64],
    labels: &'a [f32],
    weights: &'a [f32],
    gradients: &'a mut [i64],
}

impl<L: Loss> Kernel for Gradients<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { loss, slope, margins, labels, weights, gradients } = self;
        if weights.is_empty() {
            for ((to, &m), &y) in gradients.iter_mut().zip(margins).zip(labels) {
                *to = fixed::gradient(loss.derivative(fixed::margin_value(m) as f32, y), slope);
            }
        } else {
            for (((to, &m), &y), &c) in gradients.iter_mut().zip(margins).zip(labels).zip(weights) {
                *to = fixed::gradient(loss.derivative(fixed::margin_value(m) as f32, y) * c, slope);
            }
        }
    }
}

struct Losses<'a, L> {
    loss: L,
    value: i32,
    margins: &'a [i64],
    labels: &'a [f32],
    weights: &'a [f32],
    losses: &'a mut [i64],
}

impl<L: Loss> Kernel for Losses<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { loss, value, margins, labels, weights, losses } = self;
        if weights.is_empty() {
            for ((to, &m), &y) in losses.iter_mut().zip(margins).zip(labels) {
                *to = fixed::loss(loss.value(fixed::margin_value(m), y), value);
            }
        } else {
            for (((to, &m), &y), &c) in losses.iter_mut().zip(margins).zip(labels).zip(weights) {
                *to = fixed::loss(loss.value(fixed::margin_value(m), y) * c as f64, value);
            }
        }
    }
}
