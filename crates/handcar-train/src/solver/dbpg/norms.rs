//! Slope and curvature of the fields' norms, of which a Newton step is made beside those of the loss.
//!
//! Where a field is not zero, `G·‖w‖` has the gradient `G·w/‖w‖` and the Hessian `G/‖w‖·(I - w·wᵀ/‖w‖²)`: a multiple of the identity
//! less a product of one vector.

use super::Dbpg;
use super::selection::Selection;

/// Derivatives of the norms by some weights; all zero without a group lasso.
#[derive(Default)]
pub(super) struct Norms {
    of_key: Vec<OfKey>,
    /// Where each field's keys begin among the chosen, and where they end.
    fields: Vec<std::ops::Range<usize>>,
}

#[derive(Clone, Copy, Default)]
struct OfKey {
    field: usize,
    /// `G·w_k/‖w‖`
    slope: f64,
    /// `G/‖w‖`, infinite of a field that is zero.
    rate: f64,
    /// What the product of two slopes is to be multiplied by: `1/(G·‖w‖)`
    bend: f64,
}

impl Norms {
    /// The derivative by the weight at this position.
    pub fn slope(&self, k: usize) -> f64 {
        self.of_key.get(k).map_or(0.0, |n| n.slope)
    }

    /// An upper bound on the curvature along the weight at this position.
    pub fn rate(&self, k: usize) -> f64 {
        self.of_key.get(k).map_or(0.0, |n| n.rate)
    }

    /// Whether the weight at this position is one of a field that is zero, where there are no derivatives.
    pub fn at_kink(&self, k: usize) -> bool {
        self.rate(k).is_infinite()
    }

    /// An element of the Hessian.
    pub fn element(&self, i: usize, j: usize) -> f64 {
        let (Some(a), Some(b)) = (self.of_key.get(i), self.of_key.get(j)) else { return 0.0 };
        let shared = if a.field == b.field { a.slope * b.slope * a.bend } else { 0.0 };
        if i == j { a.rate - shared } else { -shared }
    }

    /// Adds the Hessian times `direction`, which is zero at kinks.
    pub fn add_times(&self, direction: &[f64], product: &mut [f64]) {
        for field in &self.fields {
            let of = &self.of_key[field.clone()];
            let along: f64 = of.iter().zip(&direction[field.clone()]).map(|(n, d)| n.slope * d).sum();
            let parts = of.iter().zip(&direction[field.clone()]).zip(&mut product[field.clone()]);
            for ((n, d), p) in parts.filter(|((n, _), _)| n.rate.is_finite()) {
                *p += n.rate * d - n.slope * (along * n.bend);
            }
        }
    }
}

impl Dbpg<'_> {
    /// The derivatives of the norms at these weights of the chosen keys; those that are not chosen are zero.
    pub(super) fn norms(&self, chosen: &Selection, at: &[f64]) -> Norms {
        if self.groups.is_empty() {
            return Norms::default();
        }
        let mut norms = Norms { of_key: vec![OfKey::default(); chosen.len], fields: Vec::new() };
        for (field, part) in chosen.parts.iter().enumerate() {
            let range = part.first..part.first + part.places.len();
            let strength = self.groups.get(part.block).map_or(0.0, |g| g.penalty.strength);
            let size = at[range.clone()].iter().map(|w| w * w).sum::<f64>().sqrt();
            for (n, w) in norms.of_key[range.clone()].iter_mut().zip(&at[range.clone()]) {
                *n = match strength {
                    0.0 => OfKey { field, ..OfKey::default() },
                    _ if size == 0.0 => OfKey { field, rate: f64::INFINITY, ..OfKey::default() },
                    g => OfKey { field, slope: g * w / size, rate: g / size, bend: 1.0 / (g * size) },
                };
            }
            norms.fields.push(range);
        }
        norms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_elements_and_of_differences_of_slopes() {
        let (w, g) = ([0.3, -0.4, 1.2], 2.0);
        let slopes = |w: &[f64]| {
            let size = w.iter().map(|w| w * w).sum::<f64>().sqrt();
            w.iter().map(|w| g * w / size).collect::<Vec<f64>>()
        };
        let size = w.iter().map(|w| w * w).sum::<f64>().sqrt();
        let key = |slope: &f64| OfKey { field: 0, slope: *slope, rate: g / size, bend: 1.0 / (g * size) };
        let mut of_key: Vec<OfKey> = slopes(&w).iter().map(key).collect();
        // A field at zero, which does not move, and the intercept.
        of_key.push(OfKey { field: 1, rate: f64::INFINITY, ..OfKey::default() });
        of_key.push(OfKey { field: 2, ..OfKey::default() });
        let norms = Norms { of_key, fields: vec![0..3, 3..4, 4..5] };
        assert!(norms.at_kink(3) && !norms.at_kink(0) && !norms.at_kink(4));
        let direction = [0.7, 0.1, -0.2, 0.0, 5.0];
        let mut product = vec![0.0; 5];
        norms.add_times(&direction, &mut product);
        let moved: Vec<f64> = w.iter().zip(&direction).map(|(w, d)| w + 1e-6 * d).collect();
        for (k, product) in product.iter().enumerate().take(3) {
            let difference = (slopes(&moved)[k] - slopes(&w)[k]) / 1e-6;
            let elements: f64 = (0..3).map(|j| norms.element(k, j) * direction[j]).sum();
            assert!((product - difference).abs() < 1e-5 && (product - elements).abs() < 1e-12);
        }
        assert_eq!((product[3], product[4], norms.element(0, 4)), (0.0, 0.0, 0.0));
    }
}
