//! `Grid`: equally spaced levels between the least and the greatest number of a column.

use super::bytes::Reader;
use super::error::FilterError;
use handcar_base::Rng;

/// Levels for real numbers: `lo + (hi - lo)·level/q`, `level` in `0..=q`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RealGrid {
    lo: f64,
    hi: f64,
    q: f64,
}

impl RealGrid {
    /// The grid over numbers, zeros left out; `None` with the offender if one is not finite.
    pub fn over(numbers: impl Iterator<Item = f64>, q: u32) -> Result<Self, f64> {
        let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
        for x in numbers {
            if !x.is_finite() {
                return Err(x);
            }
            if x != 0.0 {
                (lo, hi) = (lo.min(x), hi.max(x));
            }
        }
        let (lo, hi) = if lo <= hi { (lo, hi) } else { (0.0, 0.0) };
        Ok(Self { lo, hi, q: q.into() })
    }

    /// One of the two levels around `x`, in `[lo, hi]`; on average `x`.
    #[inline]
    pub fn level(&self, x: f64, rng: &mut Rng) -> u32 {
        let span = self.hi - self.lo;
        if span == 0.0 {
            return 0;
        }
        // The distance of two finite numbers may be infinite, that of their halves not.
        let part = if span.is_finite() {
            (x - self.lo) / span
        } else {
            (x / 2.0 - self.lo / 2.0) / (self.hi / 2.0 - self.lo / 2.0)
        };
        let z = (part * self.q).min(self.q);
        let low = z.floor();
        low as u32 + u32::from(rng.uniform() < z - low)
    }

    /// The number at a level, in `[lo, hi]`.
    #[inline]
    pub fn number(&self, level: u32) -> f64 {
        let part = f64::from(level) / self.q;
        (self.lo * (1.0 - part) + self.hi * part).clamp(self.lo, self.hi)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.lo.to_le_bytes());
        out.extend(self.hi.to_le_bytes());
    }

    /// Reads a grid whose ends are at most `max` in magnitude.
    pub fn read(r: &mut Reader<'_>, q: u32, max: f64) -> Result<Self, FilterError> {
        let (lo, hi) = (f64::from_le_bytes(r.array()?), f64::from_le_bytes(r.array()?));
        if -max <= lo && lo <= hi && hi <= max {
            return Ok(Self { lo, hi, q: q.into() });
        }
        Err(FilterError::unfit(format!("ends of a range within ±{max:e}"), format!("{lo:e} and {hi:e}")))
    }
}

/// Levels for integers: `lo + step·level`, the last one `hi`. The step is the least integer that needs no level above `q`,
/// so levels are integers themselves and rounding to them is unbiased without a second rounding; up to `q` it is 1, and
/// then nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WholeGrid {
    lo: i64,
    span: u64,
    step: u64,
}

impl WholeGrid {
    /// The grid over integers, zeros left out.
    pub fn over(numbers: impl Iterator<Item = i64>, q: u32) -> Self {
        let ends = numbers.filter(|&x| x != 0).fold(None, |ends, x| match ends {
            None => Some((x, x)),
            Some((lo, hi)) => Some((x.min(lo), x.max(hi))),
        });
        let (lo, hi) = ends.unwrap_or((0, 0));
        Self::between(lo, hi, q)
    }

    fn between(lo: i64, hi: i64, q: u32) -> Self {
        let span = hi.wrapping_sub(lo) as u64;
        Self { lo, span, step: span.div_ceil(q.into()).max(1) }
    }

    /// One of the two levels around `x`, in `[lo, hi]`; on average `x`.
    #[inline]
    pub fn level(&self, x: i64, rng: &mut Rng) -> u32 {
        let above = x.wrapping_sub(self.lo) as u64;
        let (level, rest) = (above / self.step, above % self.step);
        if rest == 0 {
            return level as u32;
        }
        // The last cell may be shorter than a step.
        let cell = self.step.min(self.span - level * self.step);
        level as u32 + u32::from(rng.below(cell) < rest)
    }

    /// The integer at a level, in `[lo, hi]`.
    #[inline]
    pub fn number(&self, level: u32) -> i64 {
        let above = u64::from(level).saturating_mul(self.step).min(self.span);
        self.lo.wrapping_add(above as i64)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.lo.to_le_bytes());
        out.extend(self.lo.wrapping_add(self.span as i64).to_le_bytes());
    }

    pub fn read(r: &mut Reader<'_>, q: u32) -> Result<Self, FilterError> {
        let (lo, hi) = (i64::from_le_bytes(r.array()?), i64::from_le_bytes(r.array()?));
        if lo > hi {
            return Err(FilterError::unfit("ends of a range in order", format!("{lo} and {hi}")));
        }
        Ok(Self::between(lo, hi, q))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_fall_on_a_neighbouring_level(lo: i64, hi: i64, x: i64, seed: u64, q in prop::sample::select(vec![254u32, 65_534, u32::MAX - 1])) {
            let (lo, hi) = (lo.min(hi), lo.max(hi));
            let x = x.clamp(lo, hi);
            let grid = WholeGrid::between(lo, hi, q);
            let level = grid.level(x, &mut Rng::new(Seed(seed), 0));
            let off = (i128::from(grid.number(level)) - i128::from(x)).unsigned_abs();
            prop_assert!(level <= q && off < u128::from(grid.step));
        }

        #[test]
        fn reals_fall_on_a_neighbouring_level(a in -1e300f64..1e300, b in -1e300f64..1e300, x in -1e300f64..1e300, seed: u64) {
            let grid = RealGrid { lo: a.min(b), hi: a.max(b), q: 254.0 };
            let x = x.clamp(grid.lo, grid.hi);
            let level = grid.level(x, &mut Rng::new(Seed(seed), 0));
            prop_assert!(level <= 254);
            let tolerance = (grid.hi / 254.0 - grid.lo / 254.0) * (1.0 + 1e-12);
            prop_assert!((grid.number(level) - x).abs() <= tolerance);
        }
    }

    #[test]
    fn the_widest_ranges_and_points_are_grids_too() {
        let mut rng = Rng::new(Seed(1), 0);
        let wide = RealGrid { lo: -f64::MAX, hi: f64::MAX, q: 254.0 };
        assert_eq!((wide.number(wide.level(f64::MAX, &mut rng)), wide.number(0)), (f64::MAX, -f64::MAX));
        let point = RealGrid { lo: 3.0, hi: 3.0, q: 254.0 };
        assert_eq!(point.number(point.level(3.0, &mut rng)), 3.0);
        let wide = WholeGrid::between(i64::MIN, i64::MAX, 254);
        assert_eq!((wide.number(wide.level(i64::MAX, &mut rng)), wide.number(0)), (i64::MAX, i64::MIN));
        let narrow = WholeGrid::between(-100, 154, 254);
        assert!((-100..=154).all(|x| narrow.number(narrow.level(x, &mut rng)) == x));
    }
}
