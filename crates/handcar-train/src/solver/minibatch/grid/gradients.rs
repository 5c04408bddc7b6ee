//! The rows of a batch for sixteen models: gradients and losses, from margins.

#![expect(clippy::needless_range_loop, reason = "one index into several arrays is what the compiler makes lanes of")]

use super::super::fixed;
use super::lanes::{LANES, Wide};
use crate::loss::{Loss, Size};
use handcar_kernels::Kernel;

/// Gradients of sixteen models of some rows, and their losses' sums.
pub(super) struct Gradients<'g, L> {
    pub loss: L,
    pub size: Size,
    pub labels: &'g [f32],
    pub weights: &'g [f32],
    pub margins: &'g [Wide<i64>],
    pub gradients: &'g mut [Wide<i64>],
    pub losses: Option<&'g mut [i64; LANES]>,
}

impl<L: Loss> Kernel for Gradients<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { loss, size, labels, weights, margins, gradients, losses } = self;
        let mut sums = [0i64; LANES];
        for (row, ((&y, margins), gradients)) in labels.iter().zip(margins).zip(gradients).enumerate() {
            let c = weights.get(row).copied();
            let (mut values, mut slopes) = ([0f64; LANES], [0f32; LANES]);
            for lane in 0..LANES {
                values[lane] = fixed::margin_value(margins.0[lane]);
                slopes[lane] = values[lane] as f32;
            }
            for lane in 0..LANES {
                let slope = loss.derivative(slopes[lane], y);
                slopes[lane] = if let Some(c) = c { slope * c } else { slope };
            }
            for lane in 0..LANES {
                gradients.0[lane] = fixed::gradient(slopes[lane], size.slope);
            }
            if losses.is_some() {
                let c = c.unwrap_or(1.0) as f64;
                for lane in 0..LANES {
                    sums[lane] += fixed::loss(loss.value(values[lane], y) * c, size.value);
                }
            }
        }
        if let Some(losses) = losses {
            losses.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
        }
    }
}
