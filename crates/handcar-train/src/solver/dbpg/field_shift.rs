//! The step along the shared direction, of a field with a group lasso: see `shift`. Here the intercept takes up whatever the fields shift, so
//! each field's best shift is its own affair. Norms alone balance no shifts, so without an intercept there are none.

use crate::penalty::GroupLasso;

/// Halvings that find a shift to the last bit of an f32.
const HALVINGS: usize = 40;

/// The shift of all weights of a field for which its penalty is least, what the intercept takes being free. Without L1 their mean becomes
/// zero; with it the slope's change of sign is found by halving, or the weight that becomes zero there.
pub(super) fn field_shift(w: &[f32], penalty: GroupLasso) -> f32 {
    let GroupLasso { l1, l2, strength } = penalty;
    let n = w.len() as f64;
    if l1 == 0.0 {
        return (-w.iter().map(|&w| w as f64).sum::<f64>() / n) as f32;
    }
    // The ends of the subdifferential after a shift.
    let slopes = |t: f64| {
        let (mut signs, mut zeros, mut sum, mut squares) = (0.0, 0.0, 0.0, 0.0);
        for w in w.iter().map(|&w| w as f64 + t) {
            signs += if w == 0.0 { 0.0 } else { w.signum() };
            zeros += (w == 0.0) as u8 as f64;
            sum += w;
            squares += w * w;
        }
        let (norm, kink) =
            if squares > 0.0 { (strength * sum / squares.sqrt(), 0.0) } else { (0.0, strength * n.sqrt()) };
        let at = l1 * signs + l2 * sum + norm;
        (at - l1 * zeros - kink, at + l1 * zeros + kink)
    };
    let holds = |t: f64| slopes(t).0 <= 0.0 && slopes(t).1 >= 0.0;
    if holds(0.0) {
        return 0.0;
    }
    let (mut low, mut high) = w.iter().fold((0.0f64, 0.0f64), |(l, h), &w| (l.min(-w as f64), h.max(-w as f64)));
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if slopes(middle).1 < 0.0 { low = middle } else { high = middle }
    }
    // Where a weight's kink is the minimum, the weight becomes zero exactly.
    let found = 0.5 * (low + high);
    let nearest = w.iter().map(|&w| -w).min_by(|a, b| (*a as f64 - found).abs().total_cmp(&(*b as f64 - found).abs()));
    nearest.filter(|&t| holds(t as f64)).unwrap_or(found as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    #[test]
    fn no_other_shift_has_a_smaller_penalty() {
        let mut r = Rng::new(Seed(14), 0);
        let mut landed = 0;
        for case in 0..200 {
            let w: Vec<f32> = (0..1 + r.below(5)).map(|_| (r.below(9) as f32 - 4.0) * 0.25).collect();
            let p = GroupLasso {
                l1: [0.0, 1.0][case % 2],
                l2: [0.0, 0.0, 0.7][case % 3],
                strength: 0.1 + 2.0 * r.uniform(),
            };
            let value = |t: f64| {
                let moved = w.iter().map(|&w| w as f64 + t);
                let elastic: f64 = moved.clone().map(|w| p.l1 * w.abs() + 0.5 * p.l2 * w * w).sum();
                elastic + p.norm(moved)
            };
            let t = field_shift(&w, p);
            landed += (t != 0.0 && w.contains(&-t)) as u32;
            for other in (-2000..=2000).map(|k| k as f64 * 0.001).chain([t as f64 - 1e-5, t as f64 + 1e-5]) {
                assert!(value(t as f64) <= value(other) + 1e-6, "{p:?} {w:?}: {t} beaten by {other}");
            }
        }
        assert!(landed > 20, "weights become zero exactly: {landed}");
    }

    #[test]
    fn a_field_at_zero_stays() {
        for l1 in [0.0, 1.0] {
            assert_eq!(field_shift(&[0.0; 3], GroupLasso { l1, l2: 0.0, strength: 1.0 }), 0.0);
        }
    }
}
