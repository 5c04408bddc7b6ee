//! `exp(m) - y·m`, and what makes it zero where the mean is the label.

use super::{Loss, Size};
use handcar_kernels::elementary::{exp_nonpositive, exp_nonpositive_f32, ln};

/// Margins beyond this are means that no label of a data set has: 1e13.
const MARGIN_MAX: f64 = 30.0;
/// `exp(MARGIN_MAX)`.
const MEAN_MAX: f64 = 10_686_474_581_524.463;

/// Half the deviance of a Poisson distribution with mean `μ = exp(m)`: `exp(m) - y·m + (y·ln y - y)`, `y >= 0`.
///
/// The bracket does not depend on the margin; with it the loss is at least 0, and 0 where `μ = y`. It differs from the negative
/// log likelihood `exp(m) - y·m + ln y!` by a number that the label alone decides.
///
/// Above a margin of 30 the exponential goes on as its tangent: convex, and without overflow.
#[derive(Clone, Copy, Debug)]
pub struct Poisson;

impl Poisson {
    /// The mean at a margin.
    pub fn mean(margin: f64) -> f64 {
        margin.min(MARGIN_MAX).exp()
    }
}

impl Loss for Poisson {
    const SLOPE_EXPONENT: i32 = 15;

    #[inline(always)]
    fn value(self, margin: f64, label: f32) -> f64 {
        let y = label as f64;
        let within = if margin < MARGIN_MAX { margin } else { MARGIN_MAX };
        let mean = exp_nonpositive(within - MARGIN_MAX) * MEAN_MAX;
        let of_label = y * ln(if y > 0.0 { y } else { 1.0 }) - y;
        let loss = mean * (1.0 + margin - within) - y * margin + of_label;
        // Near its minimum rounding may leave it a little below.
        if loss < 0.0 { 0.0 } else { loss }
    }

    #[inline(always)]
    fn derivative(self, margin: f32, label: f32) -> f32 {
        let most = MARGIN_MAX as f32;
        let within = if margin < most { margin } else { most };
        exp_nonpositive_f32(within - most) * MEAN_MAX as f32 - label
    }

    #[inline(always)]
    fn curvature(self, margin: f32, _label: f32, reach: f32) -> f32 {
        let (most, far) = (MARGIN_MAX as f32, margin + reach);
        exp_nonpositive_f32(if far < most { far - most } else { 0.0 }) * MEAN_MAX as f32
    }

    fn size(self, labels: i32) -> Size {
        let labels = labels.max(0);
        Size { slope: Self::SLOPE_EXPONENT + labels, value: Size::UNIT_VALUE + labels }
    }
}
