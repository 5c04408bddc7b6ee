//! `max(0, 1 - y·m)²`.

use super::Loss;

/// The squared hinge loss `max(0, 1 - y·m)²`: smooth, and as for [`Hinge`](super::Hinge) margins are no log odds.
#[derive(Clone, Copy, Debug)]
pub struct SquaredHinge;

impl Loss for SquaredHinge {
    const SLOPE_EXPONENT: i32 = 15;

    #[inline(always)]
    fn value(self, margin: f64, label: f32) -> f64 {
        let short = 1.0 - margin * label as f64;
        if short > 0.0 { short * short } else { 0.0 }
    }

    #[inline(always)]
    fn derivative(self, margin: f32, label: f32) -> f32 {
        let short = 1.0 - margin * label;
        if short > 0.0 { -2.0 * label * short } else { 0.0 }
    }

    #[inline(always)]
    fn curvature(self, margin: f32, label: f32, reach: f32) -> f32 {
        if margin * label - reach < 1.0 { 2.0 } else { 0.0 }
    }
}
