//! `lower <= w <= upper`.

use std::fmt;

/// A box around zero that a weight must stay in; infinite unless told otherwise.
///
/// Weights are f32 and so are their bounds: one that f32 does not have is rounded towards zero, so that a weight in this box is in the
/// one that was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    lower: f32,
    upper: f32,
}

/// Bounds that leave out zero, which is the weight of every feature that training has not seen.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("expected lower <= 0 <= upper, got {lower} and {upper}")]
pub struct ZeroOutside {
    /// What was given as the lower bound.
    pub lower: f64,
    /// What was given as the upper bound.
    pub upper: f64,
}

impl Bounds {
    /// Any weight.
    pub const NONE: Self = Self { lower: f32::NEG_INFINITY, upper: f32::INFINITY };

    /// `lower <= w <= upper`; either may be infinite.
    ///
    /// ```
    /// use handcar_train::penalty::Bounds;
    /// let not_negative = Bounds::new(0.0, f64::INFINITY)?;
    /// assert_eq!((not_negative.clip(-2.0), not_negative.clip(3.0)), (0.0, 3.0));
    /// assert!(Bounds::new(0.5, 1.0).is_err());
    /// # Ok::<(), handcar_train::penalty::ZeroOutside>(())
    /// ```
    ///
    /// # Errors
    /// [`ZeroOutside`] if zero is not between them.
    pub fn new(lower: f64, upper: f64) -> Result<Self, ZeroOutside> {
        if !(lower <= 0.0 && upper >= 0.0) {
            return Err(ZeroOutside { lower, upper });
        }
        // A zero of either sign becomes the positive one.
        Ok(Self { lower: -towards_zero(-lower) + 0.0, upper: towards_zero(upper) + 0.0 })
    }

    /// The least weight.
    pub fn lower(self) -> f32 {
        self.lower
    }

    /// The greatest weight.
    pub fn upper(self) -> f32 {
        self.upper
    }

    /// The nearest number between the bounds; NaN stays NaN.
    #[inline(always)]
    pub fn clip(self, w: f64) -> f64 {
        let w = if w < self.lower as f64 { self.lower as f64 } else { w };
        if w > self.upper as f64 { self.upper as f64 } else { w }
    }

    /// As [`clip`](Self::clip), in f32.
    #[inline(always)]
    pub fn clip_f32(self, w: f32) -> f32 {
        let w = if w < self.lower { self.lower } else { w };
        if w > self.upper { self.upper } else { w }
    }

    /// Whether a number is between the bounds.
    pub fn contain(self, w: f64) -> bool {
        self.lower as f64 <= w && w <= self.upper as f64
    }

    /// Whether a number lies on a bound or beyond.
    pub fn are_met_by(self, w: f64) -> bool {
        w <= self.lower as f64 || w >= self.upper as f64
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.lower, self.upper)
    }
}

/// The greatest f32 that is at most `x`, which is at least 0.
fn towards_zero(x: f64) -> f32 {
    let near = x as f32;
    if near as f64 > x { near.next_down() } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_leave_out_zero_are_refused() {
        for (lower, upper) in [(0.1, 1.0), (-1.0, -0.1), (1.0, -1.0), (f64::NAN, 1.0), (0.0, f64::NAN)] {
            let told = Bounds::new(lower, upper).unwrap_err().to_string();
            assert_eq!(told, format!("expected lower <= 0 <= upper, got {lower} and {upper}"));
        }
    }

    #[test]
    fn bounds_are_f32_and_never_wider_than_asked() {
        for x in [0.0, 0.1, 0.3, 1.0, 1e-50, 1e300, 16_777_217.0, f64::INFINITY] {
            let b = Bounds::new(-x, x).unwrap();
            assert!(b.upper() as f64 <= x && b.lower() == -b.upper());
            let next = b.upper().next_up() as f64;
            assert!(next > x || b.upper() == f32::INFINITY, "{x}: {b} is not the widest");
        }
        assert_eq!(Bounds::new(-0.0, f64::INFINITY).unwrap().lower().to_bits(), 0);
        assert_eq!(Bounds::new(f64::NEG_INFINITY, f64::INFINITY), Ok(Bounds::NONE));
    }

    #[test]
    fn clipping_keeps_what_is_between_and_hides_no_nan() {
        let b = Bounds::new(-0.5, 2.0).unwrap();
        for (w, near) in [(-1.0, -0.5), (-0.25, -0.25), (3.0, 2.0), (f64::INFINITY, 2.0)] {
            assert_eq!((b.clip(w), b.clip_f32(w as f32) as f64), (near, near));
            assert_eq!((b.contain(w), b.are_met_by(near)), (w == near, near != -0.25));
        }
        assert!(b.clip(f64::NAN).is_nan() && b.clip_f32(f32::NAN).is_nan() && !b.contain(f64::NAN));
    }
}
