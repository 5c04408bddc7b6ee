//! The deviance of counts.

use super::Predicted;

/// Mean Poisson deviance `2·Σ wᵢ·(yᵢ·ln(yᵢ/μᵢ) − yᵢ + μᵢ) / Σ wᵢ`, for means above and labels from 0 on: 0 is perfect. `None`
/// without weight, or with other rows.
pub fn poisson_deviance(rows: &Predicted) -> Option<f64> {
    if rows.iter().any(|(mean, label, _)| mean <= 0.0 || label < 0.0) {
        return None;
    }
    rows.mean_of(|mean, label| 2.0 * (if label > 0.0 { label * (label / mean).ln() } else { 0.0 } - label + mean))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviance_is_zero_where_means_are_labels() {
        let of = |means: &[f64], labels: &[f32]| poisson_deviance(&Predicted::new(means, labels, None).unwrap());
        assert_eq!(of(&[2.0, 5.0], &[2.0, 5.0]), Some(0.0));
        assert_eq!(of(&[0.5, 1.0], &[0.0, 1.0]), Some(0.5));
        let one = of(&[2.0], &[3.0]).unwrap();
        assert!((one - 2.0 * (3.0 * 1.5f64.ln() - 1.0)).abs() < 1e-15);
        assert_eq!((of(&[0.0], &[1.0]), of(&[1.0], &[-1.0])), (None, None));
    }
}
