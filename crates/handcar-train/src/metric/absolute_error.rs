//! How far predictions are from labels.

use super::Predicted;

/// Mean absolute error `Σ wᵢ·|μᵢ − yᵢ| / Σ wᵢ`, in the labels' unit; `None` without weight.
pub fn mae(rows: &Predicted) -> Option<f64> {
    rows.mean_of(|mean, label| (mean - label).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_and_near_rows_count_by_distance_and_weight() {
        let rows = Predicted::new(&[1.0, -2.0], &[4.0, -2.5], Some(&[1.0, 3.0])).unwrap();
        assert_eq!(mae(&rows), Some((3.0 + 1.5) / 4.0));
    }
}
