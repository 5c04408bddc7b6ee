//! `½(m - y)²`.

use super::{Loss, Size};

/// The squared loss `½(m - y)²`: the margin is the mean of a normal distribution.
#[derive(Clone, Copy, Debug)]
pub struct Squared;

impl Loss for Squared {
    const SLOPE_EXPONENT: i32 = 15;

    #[inline(always)]
    fn value(self, margin: f64, label: f32) -> f64 {
        let error = margin - label as f64;
        0.5 * error * error
    }

    #[inline(always)]
    fn derivative(self, margin: f32, label: f32) -> f32 {
        margin - label
    }

    #[inline(always)]
    fn curvature(self, _margin: f32, _label: f32, _reach: f32) -> f32 {
        1.0
    }

    fn size(self, labels: i32) -> Size {
        Size { slope: Self::SLOPE_EXPONENT + labels, value: Size::UNIT_VALUE + 2 * labels }
    }
}
