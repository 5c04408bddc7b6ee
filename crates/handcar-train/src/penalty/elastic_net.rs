//! `l1·|w| + (l2/2)·w²`.

/// The elastic net penalty of one weight, `l1·|w| + (l2/2)·w²`; `l1 = 0` is ridge, `l2 = 0` the lasso.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ElasticNet {
    /// Weight of `|w|`, at least 0.
    pub l1: f64,
    /// Weight of `w²/2`, at least 0.
    pub l2: f64,
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
    pub const NONE: Self = Self { l1: 0.0, l2: 0.0 };

    /// The proximal step of one weight: `argmin_v g·(v-w) + (u/2)·(v-w)² + l1·|v| + (l2/2)·v²`, for a gradient `g` and
    /// a curvature bound `u > 0` of the loss at `w`.
    ///
    /// ```
    /// use handcar_train::penalty::ElasticNet;
    /// let p = ElasticNet { l1: 1.0, l2: 0.0 };
    /// assert_eq!(p.step(0.0, 0.5, 2.0), 0.0); // |g| <= l1 keeps a zero at zero
    /// assert_eq!(p.step(0.0, -3.0, 2.0), 1.0);
    /// ```
    #[inline]
    pub fn step(&self, w: f64, g: f64, u: f64) -> f64 {
        soft(u * w - g, self.l1) / (u + self.l2)
    }

    /// How far `0` is from the subdifferential of loss plus penalty at `w`, for the loss gradient `g`.
    #[inline]
    pub fn violation(&self, w: f64, g: f64) -> f64 {
        if w == 0.0 { (g.abs() - self.l1).max(0.0) } else { (g + self.l1 * w.signum() + self.l2 * w).abs() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    #[test]
    fn step_minimises_its_model() {
        let mut r = Rng::new(Seed(5), 0);
        for _ in 0..200 {
            let p = ElasticNet { l1: r.uniform() * 2.0, l2: (r.uniform() - 0.5).max(0.0) };
            let (w, g, u) = (r.uniform() * 4.0 - 2.0, r.uniform() * 6.0 - 3.0, 0.1 + r.uniform() * 3.0);
            let model = |v: f64| g * (v - w) + 0.5 * u * (v - w).powi(2) + p.l1 * v.abs() + 0.5 * p.l2 * v * v;
            let best = p.step(w, g, u);
            for k in -4000..=4000 {
                let v = k as f64 * 0.01;
                assert!(model(best) <= model(v) + 1e-12, "{p:?} {w} {g} {u}: {best} beaten by {v}");
            }
        }
    }

    #[test]
    fn violation_is_zero_exactly_at_a_fixed_point() {
        let p = ElasticNet { l1: 1.0, l2: 0.5 };
        assert_eq!(p.violation(0.0, 0.9), 0.0);
        assert_eq!(p.violation(2.0, -2.0), 0.0);
        assert!(p.violation(0.0, 1.1) > 0.09 && p.violation(2.0, -1.0) > 0.9);
    }
}
