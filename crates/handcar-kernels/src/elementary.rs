//! exp, ln and log(1+x) that vectorise and give equal bits on every machine.
//!
//! Only IEEE additions, multiplications, divisions and bit operations, each rounded once, so that no library or
//! instruction set can change a result. Polynomials are Taylor expansions on reduced ranges; errors are stated and
//! tested against the standard library.

const LOG2_E: f64 = std::f64::consts::LOG2_E;
// ln 2 in two parts: the high one has trailing zeros, so that k·LN2_HI is exact for |k| < 2^11.
const LN2_HI: f64 = 6.931_471_803_691_238e-1;
const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;
/// Adding and subtracting 1.5·2^52 rounds to the nearest integer.
const ROUND_F64: f64 = 6_755_399_441_055_744.0;
/// Adding and subtracting 1.5·2^23 rounds to the nearest integer.
const ROUND_F32: f32 = 12_582_912.0;

/// `x` without its fraction, at most `most` in magnitude (itself at most 2^62); a NaN gives `-most`. Unlike `as` it becomes
/// one instruction where there is one.
#[inline(always)]
pub fn to_i64(x: f32, most: f32) -> i64 {
    let low = if x > -most { x } else { -most };
    let within = if low < most { low } else { most };
    let most_there_is = (1u64 << 62) as f32;
    let within = if within.abs() <= most_there_is { within } else { 0.0 };
    // SAFETY: a finite number of magnitude at most 2^62.
    unsafe { within.to_int_unchecked() }
}

/// The same for f64.
#[inline(always)]
pub fn to_i64_wide(x: f64, most: f64) -> i64 {
    let low = if x > -most { x } else { -most };
    let within = if low < most { low } else { most };
    let most_there_is = (1u64 << 62) as f64;
    let within = if within.abs() <= most_there_is { within } else { 0.0 };
    // SAFETY: a finite number of magnitude at most 2^62.
    unsafe { within.to_int_unchecked() }
}

/// `e^x` for `x <= 0` in f32: relative error below 3e-7; arguments below -80 are taken as -80 (1.8e-35).
#[inline(always)]
pub fn exp_nonpositive_f32(x: f32) -> f32 {
    let x = if x > -80.0 { x } else { -80.0 };
    let t = x * std::f32::consts::LOG2_E + ROUND_F32;
    let k = t - ROUND_F32;
    // Two-part reduction keeps the reduced argument exact enough for |k| < 128.
    let f = (x - k * 0.693_359_4) - k * -2.121_944_4e-4;
    let p = 1.0 / 720.0;
    let p = p * f + 1.0 / 120.0;
    let p = p * f + 1.0 / 24.0;
    let p = p * f + 1.0 / 6.0;
    let p = p * f + 0.5;
    let p = p * f + 1.0;
    let p = p * f + 1.0;
    // The low bits of t hold k: shift them into the exponent.
    f32::from_bits(p.to_bits().wrapping_add(t.to_bits() << 23))
}

/// `e^x` for `x <= 0`: relative error below 4e-16; arguments below -700 are taken as -700.
#[inline(always)]
pub fn exp_nonpositive(x: f64) -> f64 {
    let x = if x > -700.0 { x } else { -700.0 };
    let t = x * LOG2_E + ROUND_F64;
    let k = t - ROUND_F64;
    let f = (x - k * LN2_HI) - k * LN2_LO;
    let mut p = 1.0 / 6_227_020_800.0;
    p = p * f + 1.0 / 479_001_600.0;
    p = p * f + 1.0 / 39_916_800.0;
    p = p * f + 1.0 / 3_628_800.0;
    p = p * f + 1.0 / 362_880.0;
    p = p * f + 1.0 / 40_320.0;
    p = p * f + 1.0 / 5_040.0;
    p = p * f + 1.0 / 720.0;
    p = p * f + 1.0 / 120.0;
    p = p * f + 1.0 / 24.0;
    p = p * f + 1.0 / 6.0;
    p = p * f + 0.5;
    p = p * f + 1.0;
    p = p * f + 1.0;
    f64::from_bits(p.to_bits().wrapping_add(t.to_bits() << 52))
}

/// `ln x` for normal positive `x`: error below 4e-16 relative, or absolute near 1.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    // Write x = 2^k·m with m in [sqrt(1/2), sqrt(2)).
    let bits = x.to_bits().wrapping_sub(SQRT_HALF);
    let k = (bits as i64 >> 52) as f64;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF));
    // ln m = 2·atanh(s), s = (m-1)/(m+1), |s| <= 0.1716.
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut p = 1.0 / 19.0;
    p = p * z + 1.0 / 17.0;
    p = p * z + 1.0 / 15.0;
    p = p * z + 1.0 / 13.0;
    p = p * z + 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z + 1.0 / 3.0;
    k * LN2_HI + (2.0 * s + (2.0 * s * z * p + k * LN2_LO))
}

/// `ln(1+x)` for `0 <= x <= 1`: relative error below 1e-15.
#[inline(always)]
pub fn ln_1p_unit(x: f64) -> f64 {
    let u = 1.0 + x;
    // What rounding 1+x lost, put back to first order.
    ln(u) + (x - (u - 1.0)) / u
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_cut_off_and_bounded() {
        for (x, most, want) in [
            (1.9f32, 10.0f32, 1i64),
            (-1.9, 10.0, -1),
            (11.0, 10.0, 10),
            (f32::INFINITY, 10.0, 10),
            (f32::NEG_INFINITY, 10.0, -10),
            (f32::NAN, 10.0, -10),
            (f32::INFINITY, f32::INFINITY, 0),
            (1.0, f32::NAN, 0),
        ] {
            assert_eq!((to_i64(x, most), to_i64_wide(x as f64, most as f64)), (want, want), "{x} {most}");
        }
    }

    fn grid(from: f64, to: f64) -> impl Iterator<Item = f64> {
        (0..=200_000).map(move |i| from + (to - from) * i as f64 / 200_000.0)
    }

    #[test]
    fn exp_is_within_its_stated_error() {
        for x in grid(-699.0, 0.0).chain(grid(-3.0, 0.0)) {
            assert!((exp_nonpositive(x) / x.exp() - 1.0).abs() < 4e-16 * 2.0, "{x}");
        }
        for x in grid(-79.0, 0.0).chain(grid(-3.0, 0.0)) {
            let x = x as f32;
            let e = exp_nonpositive_f32(x) as f64 / (x as f64).exp() - 1.0;
            assert!(e.abs() < 3e-7, "{x} {e}");
        }
        assert_eq!(exp_nonpositive(0.0), 1.0);
        assert_eq!(exp_nonpositive_f32(0.0), 1.0);
        assert!(exp_nonpositive(-1e300) > 0.0 && exp_nonpositive_f32(-1e30) > 0.0);
    }

    #[test]
    fn logarithms_are_within_their_stated_error() {
        for x in grid(1e-300, 1e-290).chain(grid(1e-9, 4.0)).chain(grid(0.99, 1.01)) {
            let want = x.ln();
            assert!((ln(x) - want).abs() <= 4e-16 * want.abs().max(0.01), "{x} {} {want}", ln(x));
        }
        for x in grid(0.0, 1.0).chain(grid(0.0, 1e-12)) {
            assert!((ln_1p_unit(x) - x.ln_1p()).abs() <= 1e-15 * x.ln_1p(), "{x}");
        }
    }
}
