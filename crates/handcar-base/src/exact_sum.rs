//! Sums of f64 that do not depend on order: a fixed-point number wide enough for every double.
//!
//! Each double is added as three signed 32-bit limbs into an array of 64-bit limbs (a superaccumulator; Kulisch,
//! and Neal, arXiv 1505.05571). Nothing is rounded until [`ExactSum::value`], so any split of the terms over threads,
//! workers and servers gives equal bits once the parts are [merged](ExactSum::merge).

/// Limbs of 32 bits that cover 2^-1074 .. 2^1024 with headroom for carries.
pub const LIMBS: usize = 68;
const BIAS: i32 = 1088; // bit position of 2^0
/// Additions before carries must be passed on: each adds less than 2^32 to a limb of 63 bits.
const RUN: u32 = 1 << 30;

/// An exact, order-free sum of finite f64 values.
///
/// ```
/// use handcar_base::ExactSum;
/// let mut a = ExactSum::new();
/// for x in [1e100, 1.0, -1e100] { a.add(x); }
/// assert_eq!(a.value(), 1.0);
/// ```
#[derive(Clone, Debug)]
pub struct ExactSum {
    limbs: [i64; LIMBS],
    pending: u32,
    not_finite: i64,
}

impl Default for ExactSum {
    fn default() -> Self {
        Self::new()
    }
}

impl ExactSum {
    /// Words of the wire form, see [`Self::to_words`].
    pub const WORDS: usize = LIMBS + 1;

    /// The empty sum.
    pub fn new() -> Self {
        Self { limbs: [0; LIMBS], pending: 0, not_finite: 0 }
    }

    /// Adds one value. A NaN or an infinity makes the whole sum NaN.
    #[inline]
    pub fn add(&mut self, x: f64) {
        let bits = x.to_bits();
        let exponent = (bits >> 52) as i32 & 0x7ff;
        if exponent == 0x7ff {
            self.not_finite += 1;
            return;
        }
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, shift) =
            if exponent == 0 { (fraction, BIAS - 1074) } else { (fraction | 1 << 52, BIAS + exponent - 1075) };
        let (limb, bit) = ((shift >> 5) as usize, shift as u32 & 31);
        let wide = (mantissa as u128) << bit;
        let sign = 1 - 2 * (bits >> 63) as i64;
        self.limbs[limb] += sign * (wide as u32 as i64);
        self.limbs[limb + 1] += sign * ((wide >> 32) as u32 as i64);
        self.limbs[limb + 2] += sign * ((wide >> 64) as u32 as i64);
        self.pending += 1;
        if self.pending == RUN {
            self.carry();
        }
    }

    /// Adds all of another sum.
    pub fn merge(&mut self, other: &Self) {
        let mut o = other.clone();
        o.carry();
        self.carry();
        for (a, b) in self.limbs.iter_mut().zip(&o.limbs) {
            *a += b;
        }
        self.not_finite += o.not_finite;
        self.carry();
    }

    /// The sum, rounded once to the nearest f64 (to within one unit in the last place, and the same for any order).
    pub fn value(&self) -> f64 {
        if self.not_finite != 0 {
            return f64::NAN;
        }
        let mut s = self.clone();
        s.carry();
        // Canonical limbs: every limb but the highest is in [0, 2^32), so the sign lives in the top.
        let negative = s.limbs[LIMBS - 1] < 0;
        if negative {
            for l in &mut s.limbs {
                *l = -*l;
            }
            s.carry();
        }
        let Some(top) = s.limbs.iter().rposition(|&l| l != 0) else { return 0.0 };
        let mut wide = 0u128;
        for i in 0..4 {
            wide = wide << 32 | if top >= i { s.limbs[top - i] as u128 } else { 0 };
        }
        let scale = 32 * (top as i32 - 3) - BIAS;
        let (half, rest) = (scale / 2, scale - scale / 2);
        let x = wide as f64 * 2f64.powi(half) * 2f64.powi(rest);
        if negative { -x } else { x }
    }

    /// The canonical integer form, for pushing through an integer table: words of several parts may simply be added
    /// (up to 2^30 parts) and read back with [`Self::from_words`].
    pub fn to_words(&self) -> [i64; Self::WORDS] {
        let mut s = self.clone();
        s.carry();
        let mut words = [0; Self::WORDS];
        words[..LIMBS].copy_from_slice(&s.limbs);
        words[LIMBS] = s.not_finite;
        words
    }

    /// Reads the sum of words made by [`Self::to_words`]. Missing words count as zero.
    pub fn from_words(words: &[i64]) -> Self {
        let mut s = Self::new();
        for (a, b) in s.limbs.iter_mut().zip(words) {
            *a = *b;
        }
        s.not_finite = words.get(LIMBS).copied().unwrap_or(0);
        s.carry();
        s
    }

    fn carry(&mut self) {
        let mut c = 0i64;
        for l in &mut self.limbs[..LIMBS - 1] {
            let x = *l + c;
            c = x >> 32;
            *l = x & 0xffff_ffff;
        }
        self.limbs[LIMBS - 1] += c;
        self.pending = 0;
    }
}

impl Extend<f64> for ExactSum {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        for x in values {
            self.add(x);
        }
    }
}

impl FromIterator<f64> for ExactSum {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut s = Self::new();
        s.extend(values);
        s
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rng, Seed};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_order_and_split_gives_equal_bits(
            mut v in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO, 0..80),
            cut in 0usize..80, seed: u64,
        ) {
            let whole: ExactSum = v.iter().copied().collect();
            Rng::new(Seed(seed), 0).shuffle(&mut v);
            let cut = cut.min(v.len());
            let a: ExactSum = v[..cut].iter().copied().collect();
            let b: ExactSum = v[cut..].iter().copied().collect();
            let mut merged = a.clone();
            merged.merge(&b);
            prop_assert_eq!(merged.value().to_bits(), whole.value().to_bits());
            let words: Vec<i64> = a.to_words().iter().zip(b.to_words()).map(|(x, y)| x + y).collect();
            prop_assert_eq!(ExactSum::from_words(&words).value().to_bits(), whole.value().to_bits());
        }

        #[test]
        fn integers_sum_exactly(v in prop::collection::vec(-1_000_000_000i64..1_000_000_000, 0..200)) {
            let s: ExactSum = v.iter().map(|&x| x as f64).collect();
            prop_assert_eq!(s.value(), v.iter().sum::<i64>() as f64);
        }
    }

    #[test]
    fn extremes_cancel_to_the_last_bit() {
        let s: ExactSum = [f64::MAX, f64::MIN_POSITIVE, 5e-324, -f64::MAX, -f64::MIN_POSITIVE].into_iter().collect();
        assert_eq!(s.value(), 5e-324);
        assert_eq!([-1.5, 0.25].into_iter().collect::<ExactSum>().value(), -1.25);
    }

    #[test]
    fn nan_stays_nan() {
        let s: ExactSum = [1.0, f64::INFINITY].into_iter().collect();
        assert!(s.value().is_nan());
    }
}
