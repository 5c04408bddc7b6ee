//! Fixed-point numbers: sums of integers do not depend on their order, so any number of threads, workers and servers
//! gives equal bits.

use handcar_kernels::elementary::{to_i64, to_i64_wide};

/// Fraction bits of a margin.
const MARGIN_BITS: i32 = 32;
/// Largest contribution to a margin; whoever comes near it diverges.
const MARGIN_MAX: f32 = (1u64 << 52) as f32;
/// Fraction bits of a row's gradient, before values and weights scale it.
const GRADIENT_BITS: i32 = 30;
/// Largest gradient of one row, 2^15: 2^17 of them still fit a sum.
const GRADIENT_MAX: f32 = (1u64 << 45) as f32;
/// Fraction bits of a row's loss.
const LOSS_BITS: i32 = 24;
/// Largest loss of one row, 2^20.
const LOSS_MAX: f64 = (1u64 << 44) as f64;

/// `2^e`.
#[inline(always)]
const fn power(e: i32) -> f64 {
    f64::from_bits(((1023 + e) as u64) << 52)
}

/// A contribution `w·x` to a margin. A NaN becomes a bound, and is found as a loss that is none.
#[inline(always)]
pub fn margin(x: f32) -> i64 {
    to_i64(x * power(MARGIN_BITS) as f32, MARGIN_MAX)
}

/// The margin that contributions add up to.
#[inline(always)]
pub fn margin_value(sum: i64) -> f64 {
    sum as f64 * power(-MARGIN_BITS)
}

/// A row's gradient by its margin, times its weight in `[0, 1]`.
#[inline(always)]
pub fn gradient(g: f32) -> i64 {
    to_i64(g * power(GRADIENT_BITS) as f32, GRADIENT_MAX)
}

/// A row's gradient by the weight of an entry of value `x`; `scale`: `2^-e` with every such value at most `2^e`.
#[inline(always)]
pub fn gradient_of_value(g: i64, x: f32, scale: f64) -> i64 {
    to_i64_wide(g as f64 * (x as f64 * scale), GRADIENT_MAX as f64)
}

/// What a sum of gradients must be multiplied by, given the exponents of values and of example weights.
pub fn gradient_scale(values: i32, weights: i32) -> f32 {
    2f32.powi(values + weights - GRADIENT_BITS)
}

/// A row's loss.
#[inline(always)]
pub fn loss(x: f64) -> i64 {
    to_i64_wide(x * power(LOSS_BITS) + 0.5, LOSS_MAX)
}

/// The loss that rows add up to.
pub fn loss_value(sum: i64) -> f64 {
    sum as f64 * power(-LOSS_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_within_their_last_bit() {
        for x in [0.0f32, 1.5, -3.25, 1e-6, 1234.567] {
            assert!((margin_value(margin(x)) - x as f64).abs() <= power(-MARGIN_BITS));
            assert!((gradient(x) as f64 * power(-GRADIENT_BITS) - x as f64).abs() <= power(-GRADIENT_BITS));
            assert!((loss_value(loss(x.abs() as f64)) - x.abs() as f64).abs() <= power(-LOSS_BITS));
        }
        assert_eq!(power(-30), 2f64.powi(-30));
    }

    #[test]
    fn what_is_too_large_stays_a_bound() {
        assert_eq!((margin(f32::INFINITY), margin(f32::NAN)), (1 << 52, -(1 << 52)));
        assert_eq!(gradient(-1e9), -(1 << 45));
        assert_eq!(loss(1e300), 1 << 44);
    }
}
