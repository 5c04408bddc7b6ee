//! What rows contribute at given margins: losses, slopes along a direction, gradients in integers.

use crate::loss::{Loss, LossKind, with_loss};
use crate::solver::batch::{RowData, Second};
use handcar_base::ExactSum;
use handcar_kernels::logistic::{self, RowStatistics};
use handcar_kernels::{Kernel, run};
use std::ops::Range;

/// Rows handled at a time: their numbers stay in the first-level cache.
const CHUNK: usize = 1024;

/// The two halves that gradients of rows come in, and what their sums must be multiplied by beside the exponents of
/// example weights and values.
pub(super) fn halves(loss: LossKind) -> (Second, [f64; 2]) {
    let one = 2f64.powi(-30);
    match loss {
        // By class, so that the classes can be balanced after they were added up.
        LossKind::Logistic => (Second::Class, [-one, one]),
        _ => {
            let unit = one * 2f64.powi(loss.size(0).slope);
            (Second::Rest, [unit, unit * one])
        }
    }
}

/// Gradients of the rows by their margin, example weights included.
pub(super) fn gradients(
    loss: LossKind,
    data: &RowData,
    rows: Range<usize>,
    margins: &[f64],
    out: &mut Vec<RowStatistics>,
) {
    out.resize(rows.len(), [0; 2]);
    let (labels, weights) = (&data.labels[rows.clone()], data.weights(rows));
    match loss {
        LossKind::Logistic => logistic::class_gradients(margins, labels, weights, out),
        _ => with_loss!(loss, loss => run(Gradients { loss, margins, labels, weights, out })),
    }
}

/// The loss of rows at margins `start + a·(end - start)`, and the slope of that by `a`.
pub(super) fn along(
    loss: LossKind,
    data: &RowData,
    rows: Range<usize>,
    (start, end, a): (&[f64], &[f64], f64),
) -> [ExactSum; 2] {
    let [mut value, mut slope] = [ExactSum::new(), ExactSum::new()];
    let (mut margins, mut values, mut slopes) = ([0.0; CHUNK], [0.0; CHUNK], [0.0; CHUNK]);
    for at in (0..rows.len()).step_by(CHUNK) {
        let here = at..(at + CHUNK).min(rows.len());
        let n = here.len();
        let (start, end) = (&start[here.clone()], &end[here.clone()]);
        margins[..n].iter_mut().zip(start).zip(end).for_each(|((m, s), e)| *m = s + a * (e - s));
        let labels = &data.labels[rows.start + here.start..][..n];
        with_loss!(loss, loss => run(Values { loss, margins: &margins[..n], labels, out: &mut values[..n] }));
        with_loss!(loss, loss => run(Slopes { loss, margins: &margins[..n], labels, out: &mut slopes[..n] }));
        for i in 0..n {
            let weight = data.weight(rows.start + here.start + i);
            value.add(weight * values[i]);
            slope.add(weight * slopes[i] * (end[i] - start[i]));
        }
    }
    [value, slope]
}

/// The loss of rows at their margins.
pub(super) fn loss(loss: LossKind, data: &RowData, rows: Range<usize>, margins: &[f64]) -> ExactSum {
    let (mut sum, mut values) = (ExactSum::new(), [0.0; CHUNK]);
    for (c, margins) in margins.chunks(CHUNK).enumerate() {
        let (first, values) = (rows.start + c * CHUNK, &mut values[..margins.len()]);
        let labels = &data.labels[first..][..margins.len()];
        with_loss!(loss, loss => run(Values { loss, margins, labels, out: &mut *values }));
        values.iter().enumerate().for_each(|(i, &l)| sum.add(data.weight(first + i) * l));
    }
    sum
}

struct Values<'a, L> {
    loss: L,
    margins: &'a [f64],
    labels: &'a [f32],
    out: &'a mut [f64],
}

impl<L: Loss> Kernel for Values<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { loss, margins, labels, out } = self;
        for ((out, &m), &y) in out.iter_mut().zip(margins).zip(labels) {
            *out = loss.value(m, y);
        }
    }
}

struct Slopes<'a, L> {
    loss: L,
    margins: &'a [f64],
    labels: &'a [f32],
    out: &'a mut [f64],
}

impl<L: Loss> Kernel for Slopes<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { loss, margins, labels, out } = self;
        for ((out, &m), &y) in out.iter_mut().zip(margins).zip(labels) {
            *out = loss.derivative(m as f32, y) as f64;
        }
    }
}

struct Gradients<'a, L> {
    loss: L,
    margins: &'a [f64],
    labels: &'a [f32],
    weights: &'a [f32],
    out: &'a mut [RowStatistics],
}

impl<L: Loss> Kernel for Gradients<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { loss, margins, labels, weights, out } = self;
        let one = logistic::ONE as f64;
        let unit = one * 2f64.powi(-L::SLOPE_EXPONENT);
        for (i, out) in out.iter_mut().enumerate() {
            let weight = if weights.is_empty() { 1.0 } else { weights[i] as f64 };
            // What is larger than the largest that the loss says is a bound.
            let g = (loss.derivative(margins[i] as f32, labels[i]) as f64 * weight * unit).clamp(-one, one);
            *out = [g as i32, ((g - g.trunc()) * one) as i32];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    fn data(weights: bool) -> (RowData, Vec<f64>) {
        let mut r = Rng::new(Seed(4), 0);
        let n = 2500;
        let labels = (0..n).map(|_| if r.below(2) == 0 { 1.0 } else { -1.0 }).collect();
        let weights = if weights { (0..n).map(|_| r.below(5) as f32 / 4.0).collect() } else { Vec::new() };
        let margins = (0..n).map(|_| r.uniform() * 8.0 - 4.0).collect();
        (RowData { labels, weights, weight_exponent: 1, first_row: 0 }, margins)
    }

    #[test]
    fn gradients_in_integers_are_those_of_the_loss() {
        for kind in [LossKind::Logistic, LossKind::SquaredHinge] {
            let (data, margins) = data(true);
            let mut out = Vec::new();
            gradients(kind, &data, 7..2407, &margins[7..2407], &mut out);
            let (_, scales) = halves(kind);
            for (i, s) in out.iter().enumerate() {
                let row = i + 7;
                let want = with_loss!(kind, loss => loss.derivative(margins[row] as f32, data.labels[row])) as f64;
                let got = scales[0] * s[0] as f64 + scales[1] * s[1] as f64;
                let want = want * data.weights[row] as f64;
                assert!((got - want).abs() < 3e-7 * want.abs() + 1e-8, "{kind} {row}: {got} {want}");
            }
        }
    }

    #[test]
    fn losses_along_a_line_and_their_slopes_meet_finite_differences() {
        for kind in [LossKind::Logistic, LossKind::SquaredHinge] {
            for weights in [false, true] {
                let (data, start) = data(weights);
                let end: Vec<f64> = start.iter().rev().copied().collect();
                let at = |a: f64| along(kind, &data, 0..2500, (&start, &end, a)).map(|s| s.value());
                let h = 1e-5;
                for a in [0.0, 0.3, 1.7] {
                    let slope = (at(a + h)[0] - at(a - h)[0]) / (2.0 * h);
                    assert!((at(a)[1] - slope).abs() <= 1e-5 * slope.abs().max(1.0), "{kind} {a}");
                }
                let plain = loss(kind, &data, 0..2500, &end).value();
                assert!((at(1.0)[0] - plain).abs() <= 1e-9 * plain);
            }
        }
    }
}
