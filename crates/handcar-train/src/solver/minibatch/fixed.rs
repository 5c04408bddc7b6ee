//! Fixed-point numbers: sums of integers do not depend on their order, so any number of threads, workers and servers
//! gives equal bits.

use handcar_kernels::elementary::{to_i64, to_i64_wide};

/// Fraction bits of a margin.
const MARGIN_BITS: i32 = 28;
/// Largest contribution to a margin, 2^18: 2^17 of them still fit a sum.
const MARGIN_MAX: f32 = (1u64 << 46) as f32;
/// Bits of the largest gradient of one row: 2^17 of them still fit a sum.
const GRADIENT_BITS: i32 = 45;
const GRADIENT_MAX: f32 = (1u64 << GRADIENT_BITS) as f32;
/// Bits of the largest loss of one row: 2^29 of them still fit a sum.
const LOSS_BITS: i32 = 34;
const LOSS_MAX: f64 = (1u64 << LOSS_BITS) as f64;

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

/// A row's gradient by its margin, times its weight in `[0, 1]`; `slope`: two to this is the largest there is.
#[inline(always)]
pub fn gradient(g: f32, slope: i32) -> i64 {
    to_i64(g * power(GRADIENT_BITS - slope) as f32, GRADIENT_MAX)
}

/// A row's gradient by the weight of an entry of value `x`, to the nearest; `scale`: `2^-e` with every such value at most `2^e`.
#[inline(always)]
pub fn gradient_of_value(g: i64, x: f32, scale: f64) -> i64 {
    let product = g as f64 * (x as f64 * scale);
    to_i64_wide(product + if product < 0.0 { -0.5 } else { 0.5 }, GRADIENT_MAX as f64)
}

/// What a sum of gradients must be multiplied by, given the exponents of slopes, of values and of example weights.
pub fn gradient_scale(slope: i32, values: i32, weights: i32) -> f32 {
    2f32.powi(slope + values + weights - GRADIENT_BITS)
}

/// The exponent of slopes for which [`gradient_scale`] is [`CHANGE_SCALE`].
pub const CHANGE_SLOPE: i32 = GRADIENT_BITS - CHANGE_BITS;

/// A row's loss; `value`: two to this is the largest there is.
#[inline(always)]
pub fn loss(x: f64, value: i32) -> i64 {
    to_i64_wide(x * power(LOSS_BITS - value) + 0.5, LOSS_MAX)
}

/// The loss that rows add up to, given the exponent of the largest.
pub fn loss_value(sum: i64, value: i32) -> f64 {
    sum as f64 * power(value - LOSS_BITS)
}

/// Fraction bits of a change of a weight.
const CHANGE_BITS: i32 = 36;
/// What an integer of [`change`] must be multiplied by.
pub const CHANGE_SCALE: f32 = power(-CHANGE_BITS) as f32;
/// Largest change, 2^18: those of 2^9 workers still fit a sum.
const CHANGE_MAX: f64 = (1u64 << 54) as f64;

/// A worker's part of the change of a weight.
pub fn change(x: f64) -> i64 {
    let x = x * power(CHANGE_BITS);
    to_i64_wide(x + if x < 0.0 { -0.5 } else { 0.5 }, CHANGE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_within_their_last_bit() {
        for x in [0.0f32, 1.5, -3.25, 1e-6, 1234.567] {
            assert!((margin_value(margin(x)) - x as f64).abs() <= power(-MARGIN_BITS));
            let back = gradient(x, 15) as f64 * gradient_scale(15, 0, 0) as f64;
            assert!((back - x as f64).abs() <= power(15 - GRADIENT_BITS));
            let l = x.abs().min(900.0) as f64;
            for value in [10, 40] {
                assert!((loss_value(loss(l, value), value) - l).abs() <= power(value - LOSS_BITS));
            }
        }
        assert_eq!(power(-30), 2f64.powi(-30));
        assert_eq!(gradient_scale(CHANGE_SLOPE, 0, 0), CHANGE_SCALE);
        assert_eq!(change(-0.75) as f32 * CHANGE_SCALE, -0.75);
        assert_eq!(change(1e30), 1 << 54);
    }

    #[test]
    fn what_is_too_large_stays_a_bound() {
        assert_eq!((margin(f32::INFINITY), margin(f32::NAN)), (1 << 46, -(1 << 46)));
        assert_eq!(gradient(-1e9, 0), -(1 << 45));
        assert_eq!((loss(1e300, 10), loss(2.0, 0)), (1 << 34, 1 << 34));
    }

    #[test]
    fn small_values_beside_large_ones_are_not_lost() {
        // Beside a value of 2e9 in the same block a value of 1 still has 14 bits.
        let g = gradient_of_value(gradient(0.5, 0), 1.0, power(-31));
        assert!((g as f64 * gradient_scale(0, 31, 0) as f64 - 0.5).abs() < 1e-4);
    }
}
