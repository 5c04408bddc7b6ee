//! Calibration: whether as many rows are positive as predictions say.

use super::{Margins, Scored};
use crate::loss::Logistic;
use serde::{Deserialize, Serialize};

/// One tenth of the rows, from the smallest predictions to the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Decile {
    /// Rows in this tenth.
    pub rows: u64,
    /// Their weight.
    pub weight: f64,
    /// Smallest predicted probability.
    pub from: f64,
    /// Largest predicted probability.
    pub to: f64,
    /// Weighted mean of the predicted probabilities.
    pub predicted: f64,
    /// Weighted share of positive labels.
    pub observed: f64,
}

/// Predicted over observed positives, `Σ wᵢ·pᵢ / Σ wᵢ·[yᵢ = 1]`: 1 is calibrated, above 1 predicts too many. `None` without
/// a positive row of some weight.
pub fn calibration_ratio(rows: &Scored) -> Option<f64> {
    let predicted: handcar_base::ExactSum = rows.iter().map(|(m, _, weight)| weight * Logistic::mean(m)).collect();
    let (positive, _) = rows.mass();
    (positive > 0.0).then(|| predicted.value() / positive)
}

/// Cuts the rows, by margin, into ten parts of about equal count and compares mean prediction and mean label in each.
///
/// Margins that agree when rounded down to 1/256 stay in one part, so many equal predictions give parts of other sizes, or fewer
/// parts. A part without weight is left out.
pub fn calibration(rows: &Scored) -> Vec<Decile> {
    let mut margins = Margins::default();
    rows.iter().for_each(|(margin, label, weight)| margins.add(margin, label > 0.0, weight));
    margins.deciles()
}

/// Expected calibration error over the parts: the mean distance of predicted and observed, `Σ W_b·|p̄_b − ȳ_b| / Σ W_b` with `W_b`
/// the weight of part b (Naeini, Cooper and Hauskrecht, AAAI 2015). `None` without parts.
pub fn calibration_error(parts: &[Decile]) -> Option<f64> {
    let weight: f64 = parts.iter().map(|d| d.weight).sum();
    let sum: f64 = parts.iter().map(|d| d.weight * (d.predicted - d.observed).abs()).sum();
    (weight > 0.0).then(|| sum / weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::cases;

    #[test]
    fn deciles_hold_every_row_once_and_in_order() {
        let (m, y, _) = cases::random(2, 1234);
        // No two margins alike.
        let m: Vec<f64> = m.iter().enumerate().map(|(i, m)| m / 16.0 + i as f64 / 256.0).collect();
        let d = calibration(&Scored::new(&m, &y, None).unwrap());
        assert_eq!(d.iter().map(|d| d.rows).sum::<u64>(), 1234);
        assert!(d.iter().all(|d| d.rows.abs_diff(123) <= 20 && d.from <= d.predicted && d.predicted <= d.to));
        assert!(d.len() == 10 && d.windows(2).all(|w| w[0].to <= w[1].from));
    }

    #[test]
    fn observed_is_the_share_of_positives() {
        let m: Vec<f64> = (0..20).map(f64::from).collect();
        let y: Vec<f32> = (0..20).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let d = calibration(&Scored::new(&m, &y, None).unwrap());
        assert!(d.len() == 10 && d.iter().all(|d| d.observed == 0.5 && d.rows == 2));
    }

    #[test]
    fn few_rows_and_equal_predictions_give_few_parts() {
        assert_eq!(calibration(&Scored::new(&[0.0, 1.0], &[1.0, -1.0], None).unwrap()).len(), 2);
        assert_eq!(calibration(&Scored::new(&[0.5; 50], &[1.0; 50], None).unwrap()).len(), 1);
        assert!(calibration(&Scored::new(&[], &[], None).unwrap()).is_empty());
    }

    #[test]
    fn ratio_and_error_are_those_of_their_definition() {
        // Probabilities 1/2 and 1/4, of weight 3 and 1.
        let (m, w) = ([0.0, -(3f64.ln())], [3.0, 1.0]);
        let rows = Scored::new(&m, &[1.0, -1.0], Some(&w)).unwrap();
        assert!((calibration_ratio(&rows).unwrap() - (1.5 + 0.25) / 3.0).abs() < 1e-15);
        assert!((calibration_error(&calibration(&rows)).unwrap() - (3.0 * 0.5 + 0.25) / 4.0).abs() < 1e-15);
        assert_eq!(calibration_ratio(&Scored::new(&[1.0], &[-1.0], None).unwrap()), None);
        assert_eq!(calibration_error(&[]), None);
    }
}
