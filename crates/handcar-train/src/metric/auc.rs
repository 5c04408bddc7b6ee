//! Area under the ROC curve.

use super::Scored;

/// The probability that a positive row drawn by weight has a larger margin than a negative one, a tie counting half:
/// `Σ_{i∈P, j∈N} wᵢ·wⱼ·([mᵢ > mⱼ] + ½[mᵢ = mⱼ]) / (Σ_P w · Σ_N w)`.
///
/// One sort, then one sweep over groups of equal margins (Mann and Whitney's statistic). `None` unless both classes
/// have weight.
pub fn auc(rows: &Scored) -> Option<f64> {
    let (positive_mass, negative_mass) = rows.mass();
    if positive_mass <= 0.0 || negative_mass <= 0.0 {
        return None;
    }
    let order = rows.by_margin();
    let (mut area, mut negatives_below) = (0.0, 0.0);
    let mut i = 0;
    while i < order.len() {
        let margin = rows.row(order[i]).0;
        let (mut positive, mut negative) = (0.0, 0.0);
        while i < order.len() && rows.row(order[i]).0 == margin {
            let (_, label, weight) = rows.row(order[i]);
            *(if label > 0.0 { &mut positive } else { &mut negative }) += weight;
            i += 1;
        }
        area += positive * (negatives_below + 0.5 * negative);
        negatives_below += negative;
    }
    Some(area / (positive_mass * negative_mass))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::cases;

    /// Every pair of a positive and a negative row.
    fn slow(m: &[f64], y: &[f32], w: Option<&[f32]>) -> f64 {
        let w = |i: usize| w.map_or(1.0, |w| w[i] as f64);
        let (mut area, mut mass) = (0.0, 0.0);
        for i in (0..m.len()).filter(|&i| y[i] > 0.0) {
            for j in (0..m.len()).filter(|&j| y[j] < 0.0) {
                let win = if m[i] > m[j] { 1.0 } else { 0.5 * (m[i] == m[j]) as u8 as f64 };
                area += w(i) * w(j) * win;
                mass += w(i) * w(j);
            }
        }
        area / mass
    }

    #[test]
    fn auc_equals_the_count_of_pairs() {
        for seed in 0..40 {
            let (m, y, w) = cases::random(seed, 2 + 5 * seed as usize);
            if let Some(fast) = auc(&Scored::new(&m, &y, w.as_deref()).unwrap()) {
                let slow = slow(&m, &y, w.as_deref());
                assert!((fast - slow).abs() < 1e-12, "{fast} {slow}");
            }
        }
    }

    #[test]
    fn both_zeros_are_a_tie() {
        assert_eq!(auc(&Scored::new(&[-0.0, 0.0], &[1.0, -1.0], None).unwrap()), Some(0.5));
    }

    #[test]
    fn order_of_rows_does_not_matter_without_weights() {
        let (mut m, mut y, _) = cases::random(4, 300);
        let before = auc(&Scored::new(&m, &y, None).unwrap()).unwrap();
        m.reverse();
        y.reverse();
        assert_eq!(auc(&Scored::new(&m, &y, None).unwrap()).unwrap().to_bits(), before.to_bits());
    }
}
