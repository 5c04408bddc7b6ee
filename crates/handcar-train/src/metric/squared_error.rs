//! How far predictions are from labels, in squares.

use super::Predicted;

/// Root of the mean squared error, `√(Σ wᵢ·(μᵢ − yᵢ)² / Σ wᵢ)`, in the labels' unit; `None` without weight.
pub fn rmse(rows: &Predicted) -> Option<f64> {
    rows.mean_of(|mean, label| (mean - label).powi(2)).map(f64::sqrt)
}

/// Share of the labels' variance that is predicted, `R² = 1 − Σ wᵢ·(μᵢ − yᵢ)² / Σ wᵢ·(yᵢ − ȳ)²`: 1 is perfect, 0 as good as the
/// average label, below 0 worse. `None` where all labels are alike.
pub fn r2(rows: &Predicted) -> Option<f64> {
    let average = rows.mean_of(|_, label| label)?;
    let variance = rows.mean_of(|_, label| (label - average).powi(2)).filter(|v| *v > 0.0)?;
    Some(1.0 - rows.mean_of(|mean, label| (mean - label).powi(2))? / variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_of_their_definition() {
        let rows = Predicted::new(&[1.0, 2.0, 6.0], &[1.0, 4.0, 4.0], None).unwrap();
        assert!((rmse(&rows).unwrap() - (8f64 / 3.0).sqrt()).abs() < 1e-15);
        // Labels vary by 4 + 1 + 1 about their average of 3.
        assert!((r2(&rows).unwrap() - (1.0 - 8.0 / 6.0)).abs() < 1e-15);
        let average = Predicted::new(&[3.0; 3], &[1.0, 4.0, 4.0], None).unwrap();
        assert_eq!(r2(&average), Some(0.0));
        assert_eq!(r2(&Predicted::new(&[1.0, 2.0], &[5.0, 5.0], None).unwrap()), None);
    }
}
