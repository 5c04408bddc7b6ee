//! `l1·|w| + (l2/2)·w²`, between bounds.

use super::Bounds;

/// The elastic net penalty of one weight, `l1·|w| + (l2/2)·w²` between its bounds and infinite beyond; `l1 = 0` is ridge, `l2 = 0`
/// the lasso.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ElasticNet {
    /// Weight of `|w|`, at least 0.
    pub l1: f64,
    /// Weight of `w²/2`, at least 0.
    pub l2: f64,
    /// Where the weight must stay.
    pub bounds: Bounds,
}

/// Soft thresholding: `sign(a)·max(|a| - t, 0)`.
#[inline]
pub fn soft(a: f64, t: f64) -> f64 {
    if a > t {
        a - t
    } else if a < -t {
        a + t
    } else {
        0.0
    }
}

impl ElasticNet {
    /// No penalty: what an intercept has.
    pub const NONE: Self = Self::new(0.0, 0.0);

    /// A penalty without bounds.
    pub const fn new(l1: f64, l2: f64) -> Self {
        Self { l1, l2, bounds: Bounds::NONE }
    }

    /// Whether it is zero for every weight between the bounds.
    pub fn is_free(&self) -> bool {
        self.l1 == 0.0 && self.l2 == 0.0
    }

    /// The proximal step of one weight: `argmin_v g·(v-w) + (u/2)·(v-w)² + l1·|v| + (l2/2)·v²` between the bounds, for a gradient `g`
    /// and a curvature bound `u > 0` of the loss at `w`. Where the minimum lies beyond a bound, the bound is nearest to it, as the
    /// function is convex.
    ///
    /// ```
    /// use handcar_train::penalty::{Bounds, ElasticNet};
    /// let p = ElasticNet::new(1.0, 0.0);
    /// assert_eq!(p.step(0.0, 0.5, 2.0), 0.0); // |g| <= l1 keeps a zero at zero
    /// assert_eq!(p.step(0.0, -3.0, 2.0), 1.0);
    /// let bounds = Bounds::new(-0.25, 0.25)?;
    /// assert_eq!(ElasticNet { bounds, ..p }.step(0.0, -3.0, 2.0), 0.25);
    /// # Ok::<(), handcar_train::penalty::ZeroOutside>(())
    /// ```
    #[inline]
    pub fn step(&self, w: f64, g: f64, u: f64) -> f64 {
        self.bounds.clip(soft(u * w - g, self.l1) / (u + self.l2))
    }

    /// How far `0` is from the subdifferential of loss plus penalty at `w`, for the loss gradient `g`. On a bound that is what pulls
    /// inwards: what pushes against the bound is held by it.
    #[inline]
    pub fn violation(&self, w: f64, g: f64) -> f64 {
        let [least, most] = self.slopes(w, g);
        least.max(-most).max(0.0)
    }

    /// What pulls a weight, for the loss gradient `g`: the slope of loss plus penalty that is nearest to zero among those at `w`.
    #[inline]
    pub fn pull(&self, w: f64, g: f64) -> f64 {
        let [least, most] = self.slopes(w, g);
        if least > 0.0 { least } else { most.min(0.0) }
    }

    /// The ends of the subdifferential at `w`; on a bound it goes on for ever.
    #[inline]
    fn slopes(&self, w: f64, g: f64) -> [f64; 2] {
        let (down, up) = if w == 0.0 { (-1.0, 1.0) } else { (w.signum(), w.signum()) };
        let least = if w <= self.bounds.lower() as f64 { f64::NEG_INFINITY } else { g + self.l1 * down + self.l2 * w };
        let most = if w >= self.bounds.upper() as f64 { f64::INFINITY } else { g + self.l1 * up + self.l2 * w };
        [least, most]
    }

    /// The size of a loss gradient `g` as far as it pulls a weight from zero into the bounds: what `l1` must hold.
    #[inline]
    pub fn pull_from_zero(&self, g: f64) -> f64 {
        let room = if g > 0.0 { self.bounds.lower() < 0.0 } else { self.bounds.upper() > 0.0 };
        if room { g.abs() } else { 0.0 }
    }

    /// Whether a weight lies on a bound that the slope of loss plus penalty presses it against, for the loss gradient `g`.
    #[inline]
    pub fn is_held(&self, w: f64, g: f64) -> bool {
        self.bounds.are_met_by(w) && self.pull(w, g) == 0.0
    }

    /// Whether `a·v - penalty(v)` has a largest value for every `a` of this sign though `l2` be 0: the bound on that side says so.
    #[inline]
    pub fn is_bounded_along(&self, a: f64) -> bool {
        if a > 0.0 { self.bounds.upper() < f32::INFINITY } else { self.bounds.lower() > f32::NEG_INFINITY }
    }

    /// The conjugate, `sup_v a·v - l1·|v| - (l2/2)·v²` between the bounds; infinite where nothing bounds it.
    ///
    /// The supremum is at `v = soft(a, l1)/l2`, or on the bound before it.
    pub fn conjugate(&self, a: f64) -> f64 {
        let beyond = soft(a, self.l1);
        if beyond == 0.0 {
            return 0.0;
        }
        match self.bounds.clip(if self.l2 > 0.0 { beyond / self.l2 } else { beyond * f64::INFINITY }) {
            0.0 => 0.0,
            v if self.l2 > 0.0 => v * (beyond - 0.5 * self.l2 * v),
            v => v * beyond,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    fn drawn(r: &mut Rng) -> ElasticNet {
        let bounds = match r.below(4) {
            0 => Bounds::NONE,
            1 => Bounds::new(0.0, f64::INFINITY).unwrap(),
            2 => Bounds::new(f64::NEG_INFINITY, 0.5 * r.uniform()).unwrap(),
            _ => Bounds::new(-r.uniform(), r.uniform()).unwrap(),
        };
        ElasticNet { l1: r.uniform() * 2.0, l2: (r.uniform() - 0.5).max(0.0), bounds }
    }

    /// Numbers between the bounds, and these.
    fn grid(b: Bounds) -> impl Iterator<Item = f64> {
        (-4000..=4000)
            .map(|k| k as f64 * 0.01)
            .chain([b.lower() as f64, b.upper() as f64])
            .filter(move |v| v.is_finite() && b.contain(*v))
    }

    #[test]
    fn step_minimises_its_model() {
        let mut r = Rng::new(Seed(5), 0);
        for _ in 0..400 {
            let p = drawn(&mut r);
            let w = p.bounds.clip(r.uniform() * 4.0 - 2.0);
            let (g, u) = (r.uniform() * 6.0 - 3.0, 0.1 + r.uniform() * 3.0);
            let model = |v: f64| g * (v - w) + 0.5 * u * (v - w).powi(2) + p.l1 * v.abs() + 0.5 * p.l2 * v * v;
            let best = p.step(w, g, u);
            assert!(p.bounds.contain(best));
            for v in grid(p.bounds) {
                assert!(model(best) <= model(v) + 1e-12, "{p:?} {w} {g} {u}: {best} beaten by {v}");
            }
            // At the minimum nothing pulls.
            assert!(p.violation(best, g + u * (best - w)) < 1e-12 && p.pull(best, g + u * (best - w)).abs() < 1e-12);
        }
    }

    #[test]
    fn violation_is_zero_exactly_at_a_fixed_point() {
        let p = ElasticNet::new(1.0, 0.5);
        assert_eq!(p.violation(0.0, 0.9), 0.0);
        assert_eq!(p.violation(2.0, -2.0), 0.0);
        assert!(p.violation(0.0, 1.1) > 0.09 && p.violation(2.0, -1.0) > 0.9);
        assert_eq!((p.pull(2.0, -3.0), p.pull(0.0, 3.0), p.pull(0.0, -1.0)), (-1.0, 2.0, 0.0));
    }

    #[test]
    fn a_bound_holds_what_pushes_against_it_and_nothing_else() {
        let bounds = Bounds::new(0.0, 2.0).unwrap();
        let p = ElasticNet { bounds, ..ElasticNet::new(1.0, 0.5) };
        assert_eq!((p.violation(0.0, 50.0), p.violation(0.0, -3.0)), (0.0, 2.0));
        assert_eq!((p.violation(2.0, -50.0), p.violation(2.0, 3.0)), (0.0, 5.0));
        assert!(p.is_held(2.0, -50.0) && !p.is_held(2.0, 3.0) && !p.is_held(1.0, -1.5));
        assert_eq!((p.pull_from_zero(50.0), p.pull_from_zero(-3.0)), (0.0, 3.0));
        let nothing = ElasticNet { bounds: Bounds::new(0.0, 0.0).unwrap(), ..p };
        assert_eq!((nothing.violation(0.0, 9.0), nothing.violation(0.0, -9.0)), (0.0, 0.0));
    }

    #[test]
    fn the_conjugate_is_the_largest_value() {
        let mut r = Rng::new(Seed(6), 0);
        for _ in 0..400 {
            let p = drawn(&mut r);
            let a = 3.0 * (r.uniform() - 0.5);
            let value = |v: f64| a * v - p.l1 * v.abs() - 0.5 * p.l2 * v * v;
            let most = grid(p.bounds).map(value).fold(f64::NEG_INFINITY, f64::max);
            let found = p.conjugate(a);
            if found.is_infinite() {
                assert!(p.l2 == 0.0 && !p.is_bounded_along(a) && a.abs() > p.l1);
            } else {
                // Beyond the grid only where l2 is tiny.
                let near = found - most <= 1e-4 * (1.0 + found) || found / p.l2 > 20.0;
                assert!(most <= found + 1e-12 && near, "{p:?} {a}: {found} {most}");
            }
        }
    }
}
