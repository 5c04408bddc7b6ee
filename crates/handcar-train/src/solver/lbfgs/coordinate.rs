//! What a server keeps under a key.

use crate::penalty::{ElasticNet, soft};
use handcar_ps::Entry;

/// A weight, where it is tried next, and the key's part of the history: `48 + 8·M` bytes.
///
/// The recursion works on weights divided by their scale, on which curvatures differ less from key to key; so what it sees
/// are changes of weights divided by it, and gradients and their changes times it. The history is in f32: directions are made of the very numbers that dot products are taken of, so that rounding them
/// makes other pairs, and not wrong ones. Weights and gradients are f64, since pairs are differences of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Coordinate<const M: usize> {
    pub weight: f64,
    /// Gradient of loss and l2 at the weight.
    pub gradient: f64,
    /// The weight on trial; it is what a pull gives.
    pub trial: f64,
    pub trial_gradient: f64,
    pub direction: f64,
    /// Above 0.
    pub scale: f64,
    /// Changes of the weight over its scale, by slot.
    pub s: [f32; M],
    /// Changes of the gradient times the scale.
    pub y: [f32; M],
}

impl<const M: usize> Coordinate<M> {
    pub const ZERO: Self = Self {
        weight: 0.0,
        gradient: 0.0,
        trial: 0.0,
        trial_gradient: 0.0,
        direction: 0.0,
        scale: 1.0,
        s: [0.0; M],
        y: [0.0; M],
    };

    /// The pseudo-gradient: of the subgradients of the objective the one of least magnitude.
    #[inline(always)]
    pub fn pseudo_gradient(&self, penalty: ElasticNet) -> f64 {
        pseudo_gradient(self.weight, self.gradient, penalty)
    }

    /// Whether the objective is smooth along the key, so that changes of its gradient tell of curvature.
    #[inline(always)]
    pub fn is_free(&self, penalty: ElasticNet) -> bool {
        penalty.l1 == 0.0 || self.weight != 0.0
    }

    /// `Σ_j c_j·basis_j` of a free key; of others a multiple of the pseudo-gradient. `pg`: its coefficients of the two.
    #[inline(always)]
    pub fn directed(&self, s: &[f64; M], y: &[f64; M], pg: [f64; 2], penalty: ElasticNet) -> f64 {
        let steepest = self.scale * self.pseudo_gradient(penalty);
        if !self.is_free(penalty) {
            return self.scale * (pg[1] * steepest);
        }
        let mut d = pg[0] * steepest;
        for j in 0..M {
            d += s[j] * self.s[j] as f64 + y[j] * self.y[j] as f64;
        }
        self.scale * d
    }

    /// The weight after a step of length `a`, and for OWL-QN 0 where that leaves the orthant of the weight or, from 0, of
    /// the step.
    #[inline(always)]
    pub fn moved(&self, a: f64, penalty: ElasticNet) -> f64 {
        let next = self.weight + a * self.direction;
        if penalty.l1 == 0.0 {
            return next;
        }
        let orthant = if self.weight != 0.0 { self.weight } else { -self.pseudo_gradient(penalty) };
        // By sign and not by product, which may vanish.
        if (next > 0.0) == (orthant > 0.0) && orthant != 0.0 { next } else { 0.0 }
    }
}

/// See [`Coordinate::pseudo_gradient`]. `gradient`: of loss and l2.
#[inline(always)]
pub(super) fn pseudo_gradient(weight: f64, gradient: f64, penalty: ElasticNet) -> f64 {
    if weight != 0.0 { gradient + penalty.l1 * weight.signum() } else { soft(gradient, penalty.l1) }
}

impl<const M: usize> Entry for Coordinate<M> {
    fn write(&self, out: &mut Vec<u8>) {
        [self.weight, self.gradient, self.trial, self.trial_gradient, self.direction, self.scale].write(out);
        [self.s, self.y].write(out);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let [weight, gradient, trial, trial_gradient, direction, scale] = <[f64; 6]>::read(from)?;
        let [s, y] = <[[f32; M]; 2]>::read(from)?;
        Some(Self { weight, gradient, trial, trial_gradient, direction, scale, s, y })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const L1: ElasticNet = ElasticNet::new(2.0, 0.0);

    fn at(weight: f64, gradient: f64) -> Coordinate<2> {
        Coordinate { weight, gradient, ..Coordinate::ZERO }
    }

    #[test]
    fn the_pseudo_gradient_is_the_least_subgradient() {
        for (w, g, want) in [(1.0, 3.0, 5.0), (-1.0, 3.0, 1.0), (0.0, 3.0, 1.0), (0.0, -3.0, -1.0), (0.0, 1.5, 0.0)] {
            assert_eq!(at(w, g).pseudo_gradient(L1), want);
        }
        assert_eq!(at(0.0, 1.5).pseudo_gradient(ElasticNet::NONE), 1.5);
    }

    #[test]
    fn keys_at_zero_go_down_the_pseudo_gradient_and_no_direction_is_clipped() {
        let c = Coordinate { s: [1e6, 0.0], y: [0.0, 1.0], ..at(1.0, 3.0) };
        assert_eq!(c.directed(&[-1.0, 9.0], &[9.0, -4.0], [-1.0, 9.0], L1), -1e6 - 4.0 - 5.0);
        assert_eq!(c.directed(&[1.0, 0.0], &[0.0, 0.0], [-1.0, 9.0], L1), 1e6 - 5.0);
        assert_eq!(c.directed(&[1.0, 0.0], &[0.0, 0.0], [0.0, 9.0], ElasticNet::NONE), 1e6);
        let scaled = Coordinate { scale: 2.0, ..c.clone() };
        assert_eq!(scaled.directed(&[-1.0, 9.0], &[9.0, -4.0], [-1.0, 9.0], L1), 2.0 * (-1e6 - 4.0 - 10.0));
        let zero = Coordinate { s: [1e6, 0.0], ..at(0.0, 5.0) };
        assert_eq!(zero.directed(&[1.0, 0.0], &[0.0, 0.0], [0.0, -0.5], L1), -1.5);
    }

    #[test]
    fn steps_stay_in_their_orthant() {
        let step = |w, g, direction, a| Coordinate { direction, ..at(w, g) }.moved(a, L1);
        assert_eq!(step(1.0, 3.0, -4.0, 0.125), 0.5);
        assert_eq!(step(1.0, 3.0, -4.0, 1.0), 0.0);
        assert_eq!(step(0.0, -3.0, 4.0, 1.0), 4.0);
        assert_eq!(step(0.0, -3.0, -4.0, 1.0), 0.0);
        assert_eq!(step(0.0, 1.5, 0.0, 1.0), 0.0);
        assert_eq!(Coordinate { direction: -4.0, ..at(1.0, 3.0) }.moved(1.0, ElasticNet::NONE), -3.0);
    }

    #[test]
    fn entries_come_back() {
        let c = Coordinate { s: [1.0, -2.0], y: [3.0, 4.5], trial: 7.0, direction: -1.0, ..at(0.5, 2.0) };
        let mut bytes = Vec::new();
        c.write(&mut bytes);
        assert_eq!(bytes.len(), 48 + 8 * 2);
        assert_eq!(Coordinate::read(&mut &bytes[..]), Some(c));
        assert_eq!(Coordinate::<2>::read(&mut &bytes[1..]), None);
    }
}
