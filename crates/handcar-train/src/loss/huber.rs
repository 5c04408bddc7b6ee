//! Squared near the label, a line far from it.

use super::{Loss, Size, exponent};

/// Huber's loss (Annals of Mathematical Statistics 35, 1964): `½r²` for `|r| <= δ`, else `δ·|r| - ½δ²`, with `r = m - y`.
#[derive(Clone, Copy, Debug)]
pub struct Huber {
    /// δ, finite and above 0.
    pub delta: f32,
}

impl Huber {
    /// δ unless told otherwise.
    pub const DELTA: f32 = 1.0;
}

impl Loss for Huber {
    const SLOPE_EXPONENT: i32 = 15;

    #[inline(always)]
    fn value(self, margin: f64, label: f32) -> f64 {
        let (error, delta) = ((margin - label as f64).abs(), self.delta as f64);
        let near = if error < delta { error } else { delta };
        near * (error - 0.5 * near)
    }

    #[inline(always)]
    fn derivative(self, margin: f32, label: f32) -> f32 {
        let (error, delta) = (margin - label, self.delta);
        let low = if error > -delta { error } else { -delta };
        if low < delta { low } else { delta }
    }

    #[inline(always)]
    fn curvature(self, margin: f32, label: f32, reach: f32) -> f32 {
        if (margin - label).abs() - reach < self.delta { 1.0 } else { 0.0 }
    }

    fn size(self, labels: i32) -> Size {
        // The derivative is at most δ, if that is less than what a squared loss has room for.
        let delta = exponent(&[self.delta]).min(Self::SLOPE_EXPONENT + labels);
        Size { slope: delta, value: Size::UNIT_VALUE + labels + delta.min(labels) }
    }
}
