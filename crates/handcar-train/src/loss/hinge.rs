//! `max(0, 1 - y·m)`.

use super::Loss;

/// The hinge loss `max(0, 1 - y·m)` of a linear support vector machine; its margins are no log odds.
#[derive(Clone, Copy, Debug)]
pub struct Hinge;

impl Loss for Hinge {
    const SLOPE_EXPONENT: i32 = 0;

    #[inline(always)]
    fn value(self, margin: f64, label: f32) -> f64 {
        let short = 1.0 - margin * label as f64;
        if short > 0.0 { short } else { 0.0 }
    }

    #[inline(always)]
    fn derivative(self, margin: f32, label: f32) -> f32 {
        if margin * label < 1.0 { -label } else { 0.0 }
    }

    #[inline(always)]
    fn curvature(self, margin: f32, label: f32, reach: f32) -> f32 {
        if (1.0 - margin * label).abs() <= reach { f32::INFINITY } else { 0.0 }
    }
}
