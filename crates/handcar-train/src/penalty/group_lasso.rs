//! `l1·‖w‖₁ + (l2/2)·‖w‖² + strength·‖w‖` of the weights of a field.

use super::{ElasticNet, soft};
use handcar_base::ExactSum;

/// Newton's steps on the norm of a group at most; a handful reaches the last bit.
const NEWTON_MAX: usize = 50;
/// A step that changes the norm by less is the last.
const LAST_BIT: f64 = 1e-15;
/// Halvings of the interval that holds the largest share of a gradient: 1e-12 is far below any tolerance.
const HALVINGS: usize = 40;

/// The sparse group lasso of one group of weights, `l1·‖w‖₁ + (l2/2)·‖w‖² + strength·‖w‖` (Yuan and Lin, 2006; with L1 Simon,
/// Friedman, Hastie and Tibshirani, 2013). The norm itself, not its square, has a kink at zero: a group that does not earn its
/// strength is zero as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GroupLasso {
    /// Weight of `‖w‖₁`, at least 0.
    pub l1: f64,
    /// Weight of `‖w‖²/2`, at least 0.
    pub l2: f64,
    /// Weight of `‖w‖`, above 0.
    pub strength: f64,
}

impl GroupLasso {
    /// The penalty of a field with so many keys: its norm weighs `group_lasso·√keys`, so that by chance alone no field is dropped
    /// sooner than another.
    ///
    /// ```
    /// use handcar_train::penalty::{ElasticNet, GroupLasso};
    /// let p = GroupLasso::of_field(ElasticNet::new(0.5, 0.0), 3.0, 4);
    /// assert_eq!((p.l1, p.strength), (0.5, 6.0));
    /// ```
    pub fn of_field(penalty: ElasticNet, group_lasso: f64, keys: usize) -> Self {
        Self { l1: penalty.l1, l2: penalty.l2, strength: group_lasso * (keys as f64).sqrt() }
    }

    /// `strength·‖w‖`, the same for any order of the weights.
    pub fn norm(&self, w: impl Iterator<Item = f64>) -> f64 {
        self.strength * w.filter(|w| *w != 0.0).map(|w| w * w).collect::<ExactSum>().value().sqrt()
    }

    /// The proximal step of a group: `argmin_v Σ_k g_k·(v_k-w_k) + (u_k/2)·(v_k-w_k)²` plus the penalty of `v`, for gradients `g` and
    /// curvature bounds `u > 0`; all of equal length.
    ///
    /// With `s_k = soft(u_k·w_k - g_k, l1)` and `r = ‖v‖` the minimum is `v_k = s_k/(u_k + l2 + strength/r)`, or zero if
    /// `‖s‖ <= strength`. `r` solves `φ(r) = Σ (s_k/((u_k + l2)·r + strength))² = 1`. `φ^(-1/2)` is a power mean of linear functions, so
    /// it is concave and rises, and Newton's method on it goes up to the root without ever passing it, from the root for the largest
    /// `u` in place of all.
    ///
    /// ```
    /// use handcar_train::penalty::GroupLasso;
    /// let p = GroupLasso { l1: 0.0, l2: 0.0, strength: 5.0 };
    /// assert_eq!(p.step(&[0.0, 0.0], &[-3.0, 4.0], &[1.0, 1.0]), [0.0, 0.0]);
    /// let v = p.step(&[0.0, 0.0], &[-6.0, 8.0], &[1.0, 1.0]);
    /// assert!((v[0] - 3.0).abs() < 1e-12 && (v[1] + 4.0).abs() < 1e-12);
    /// ```
    pub fn step(&self, w: &[f64], g: &[f64], u: &[f64]) -> Vec<f64> {
        let mut v: Vec<f64> = w.iter().zip(g).zip(u).map(|((w, g), u)| soft(u * w - g, self.l1)).collect();
        let beyond = norm(&v) - self.strength;
        if beyond <= 0.0 {
            v.fill(0.0);
            return v;
        }
        let mut r = beyond / (u.iter().fold(0.0f64, |m, u| m.max(*u)) + self.l2);
        for _ in 0..NEWTON_MAX {
            // φ and -φ'/2.
            let (mut value, mut slope) = (0.0, 0.0);
            for (s, u) in v.iter().zip(u) {
                let a = u + self.l2;
                let d = a * r + self.strength;
                value += (s / d).powi(2);
                slope += a * (s / d).powi(2) / d;
            }
            // Newton's step of φ^(-1/2) - 1.
            let by = (value.sqrt() - 1.0) * value / slope;
            r += by;
            if by <= LAST_BIT * r || by.is_nan() {
                break;
            }
        }
        for (v, u) in v.iter_mut().zip(u) {
            *v = *v * r / ((u + self.l2) * r + self.strength);
        }
        v
    }

    /// How far zero is from the subdifferential of loss plus penalty at `w`, for the loss gradient `g`: of a group that is zero as a
    /// whole in the norm, else by the worst weight.
    pub fn violation(&self, w: &[f64], g: &[f64]) -> f64 {
        let size = norm(w);
        if size == 0.0 {
            return (self.soft_norm(g, 1.0) - self.strength).max(0.0);
        }
        let elastic = ElasticNet::new(self.l1, self.l2);
        let of_key = |(&w, g): (&f64, &f64)| elastic.violation(w, g + self.strength * w / size);
        w.iter().zip(g).map(of_key).fold(0.0, f64::max)
    }

    /// Whether a group at zero stays there by a margin of `slack`, for the loss gradient `g`.
    pub fn rests(&self, g: &[f64], slack: f64) -> bool {
        self.soft_norm(g, 1.0) <= self.strength - slack
    }

    /// The largest share `s <= most` for which the conjugate of the penalty without `l2` is zero at `s·a`, that is
    /// `‖soft(s·a, l1)‖ <= strength`; a little less, never more.
    pub fn share(&self, a: &[f64], most: f64) -> f64 {
        if self.soft_norm(a, most) <= self.strength {
            return most;
        }
        let (mut low, mut high) = (0.0, most);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if self.soft_norm(a, middle) <= self.strength { low = middle } else { high = middle }
        }
        low
    }

    /// The conjugate, `sup_v a·v - penalty(v) = max(‖soft(a, l1)‖ - strength, 0)²/(2·l2)`; infinite with `l2 = 0` where not zero.
    pub fn conjugate(&self, a: &[f64]) -> f64 {
        match self.soft_norm(a, 1.0) - self.strength {
            beyond if beyond <= 0.0 => 0.0,
            beyond => beyond * beyond / (2.0 * self.l2),
        }
    }

    /// `‖soft(s·a, l1)‖`
    fn soft_norm(&self, a: &[f64], s: f64) -> f64 {
        a.iter().map(|a| soft(s * a, self.l1).powi(2)).sum::<f64>().sqrt()
    }
}

fn norm(w: &[f64]) -> f64 {
    w.iter().map(|w| w * w).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    fn drawn(r: &mut Rng) -> GroupLasso {
        GroupLasso {
            l1: (r.uniform() - 0.3).max(0.0),
            l2: (r.uniform() - 0.5).max(0.0),
            strength: 0.01 + 2.0 * r.uniform(),
        }
    }

    fn vector(r: &mut Rng, n: usize, size: f64) -> Vec<f64> {
        (0..n).map(|_| size * (r.uniform() - 0.5)).collect()
    }

    impl GroupLasso {
        fn value(&self, w: &[f64]) -> f64 {
            let elastic = |w: &f64| self.l1 * w.abs() + 0.5 * self.l2 * w * w;
            w.iter().map(elastic).sum::<f64>() + self.norm(w.iter().copied())
        }
    }

    #[test]
    fn step_minimises_its_model() {
        let mut r = Rng::new(Seed(21), 0);
        let (mut zeros, mut others) = (0, 0);
        for _ in 0..300 {
            let p = drawn(&mut r);
            let n = 1 + r.below(4) as usize;
            let (w, g) = (vector(&mut r, n, 2.0), vector(&mut r, n, 6.0));
            // Curvatures of very different size, as of rare and popular keys.
            let u: Vec<f64> = (0..n).map(|_| 10f64.powf(3.0 * r.uniform() - 1.0)).collect();
            let model = |v: &[f64]| {
                let smooth = (0..n).map(|k| g[k] * (v[k] - w[k]) + 0.5 * u[k] * (v[k] - w[k]).powi(2));
                smooth.sum::<f64>() + p.value(v)
            };
            let best = p.step(&w, &g, &u);
            if norm(&best) == 0.0 {
                zeros += 1
            } else {
                others += 1
            }
            for size in [1.0, 0.1, 1e-3, 1e-6] {
                for _ in 0..100 {
                    let v: Vec<f64> = best.iter().zip(vector(&mut r, n, size)).map(|(b, d)| b + d).collect();
                    assert!(model(&best) <= model(&v) + 1e-12, "{p:?} {w:?} {g:?} {u:?}: {best:?} beaten by {v:?}");
                }
            }
            // Every single weight put to zero, and all of them.
            for k in 0..=n {
                let v: Vec<f64> = (0..n).map(|j| if j == k || k == n { 0.0 } else { best[j] }).collect();
                assert!(model(&best) <= model(&v) + 1e-12);
            }
            let after: Vec<f64> = (0..n).map(|k| g[k] + u[k] * (best[k] - w[k])).collect();
            assert!(p.violation(&best, &after) < 1e-9, "{p:?}: {}", p.violation(&best, &after));
        }
        assert!(zeros > 30 && others > 100, "{zeros} {others}");
    }

    #[test]
    fn extreme_numbers_neither_hang_nor_become_nan() {
        for (strength, g, u) in [(1e-300, 1.0, 1.0), (1.0, 1e12, 1e-10), (1e-10, 1e-9, 1e12), (1.0, 1.0 + 1e-15, 1.0)] {
            let p = GroupLasso { l1: 0.0, l2: 0.0, strength };
            let v = p.step(&[0.0; 2], &[-g, 0.0], &[u, 1.0]);
            assert!((v[0] - (g - strength) / u).abs() <= 1e-9 * v[0] + 1e-14 && v[1] == 0.0, "{v:?}");
        }
    }

    #[test]
    fn shares_are_the_largest_whose_conjugate_is_zero() {
        let mut r = Rng::new(Seed(22), 0);
        for _ in 0..300 {
            let p = GroupLasso { l2: 0.0, ..drawn(&mut r) };
            let n = 1 + r.below(5) as usize;
            let a = vector(&mut r, n, 8.0);
            let s = p.share(&a, 1.0);
            assert!(p.soft_norm(&a, s) <= p.strength && p.rests(&a, 0.0) == (s == 1.0));
            assert!(s == 1.0 || p.soft_norm(&a, s * (1.0 + 1e-9)) > p.strength);
            assert_eq!(p.share(&a, 0.5 * s), 0.5 * s);
        }
    }

    #[test]
    fn the_conjugate_is_the_largest_value() {
        let mut r = Rng::new(Seed(23), 0);
        for _ in 0..200 {
            let p = GroupLasso { l2: 0.2 + r.uniform(), ..drawn(&mut r) };
            let a = vector(&mut r, 2, 6.0);
            let value = |v: &[f64]| a.iter().zip(v).map(|(a, v)| a * v).sum::<f64>() - p.value(v);
            // The supremum is where a step from zero with the curvature of `l2` alone ends.
            let at = GroupLasso { l2: 0.0, ..p }.step(&[0.0; 2], &[-a[0], -a[1]], &[p.l2; 2]);
            assert!((value(&at) - p.conjugate(&a)).abs() < 1e-9, "{p:?} {a:?}");
            let most = (-40..=40).flat_map(|i| (-40..=40).map(move |j| [i as f64 * 0.25, j as f64 * 0.25]));
            assert!(most.map(|v| value(&v)).fold(0.0, f64::max) <= p.conjugate(&a) + 1e-12);
        }
    }
}
