//! `log(1 + exp(-y·m))`.

use super::Loss;
use handcar_kernels::elementary::{exp_nonpositive, exp_nonpositive_f32, ln_1p_unit};

/// The logistic loss `log(1 + exp(-y·m))`: the negative log likelihood of a click model.
#[derive(Clone, Copy, Debug)]
pub struct Logistic;

impl Logistic {
    /// The probability of the positive class at a margin.
    pub fn mean(margin: f64) -> f64 {
        1.0 / (1.0 + (-margin).exp())
    }
}

impl Loss for Logistic {
    const SLOPE_EXPONENT: i32 = 0;

    #[inline(always)]
    fn value(self, margin: f64, label: f32) -> f64 {
        let z = margin * label as f64;
        let hinge = if z < 0.0 { -z } else { 0.0 };
        hinge + ln_1p_unit(exp_nonpositive(-z.abs()))
    }

    #[inline(always)]
    fn derivative(self, margin: f32, label: f32) -> f32 {
        let z = margin * label;
        let e = exp_nonpositive_f32(-z.abs());
        let d = 1.0 / (1.0 + e);
        let q = if z >= 0.0 { e * d } else { d };
        -label * q
    }

    #[inline(always)]
    fn curvature(self, margin: f32, _label: f32, reach: f32) -> f32 {
        let far = margin.abs() - reach;
        let far = if far > 0.0 { far } else { 0.0 };
        let e = exp_nonpositive_f32(-far);
        let d = 1.0 / (1.0 + e);
        e * d * d
    }
}
