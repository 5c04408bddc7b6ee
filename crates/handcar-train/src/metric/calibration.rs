//! Calibration by decile of the predicted probability.

use super::Scored;
use crate::loss::Logistic;
use serde::{Deserialize, Serialize};

/// One tenth of the rows, from the smallest predictions to the largest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decile {
    /// Rows in this tenth.
    pub rows: u64,
    /// Smallest predicted probability.
    pub from: f64,
    /// Largest predicted probability.
    pub to: f64,
    /// Weighted mean of the predicted probabilities.
    pub predicted: f64,
    /// Weighted share of positive labels.
    pub observed: f64,
}

/// Cuts the rows, sorted by margin, into ten parts of equal count (sizes differ by at most one) and compares mean
/// prediction and mean label in each. Fewer than ten rows give fewer parts; a part without weight is left out.
pub fn calibration(rows: &Scored) -> Vec<Decile> {
    let order = rows.by_margin();
    let n = order.len();
    (0..10)
        .filter_map(|d| {
            let part = &order[n * d / 10..n * (d + 1) / 10];
            let (mut predicted, mut positive, mut mass) = (0.0, 0.0, 0.0);
            for &i in part {
                let (margin, label, weight) = rows.row(i);
                predicted += weight * Logistic::mean(margin);
                positive += if label > 0.0 { weight } else { 0.0 };
                mass += weight;
            }
            let edge = |i: usize| Logistic::mean(rows.row(i).0);
            (mass > 0.0).then(|| Decile {
                rows: part.len() as u64,
                from: edge(part[0]),
                to: edge(part[part.len() - 1]),
                predicted: predicted / mass,
                observed: positive / mass,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::cases;

    #[test]
    fn deciles_hold_every_row_once_and_in_order() {
        let (m, y, _) = cases::random(2, 1234);
        let d = calibration(&Scored::new(&m, &y, None).unwrap());
        assert_eq!(d.iter().map(|d| d.rows).sum::<u64>(), 1234);
        assert!(d.iter().all(|d| d.rows.abs_diff(123) <= 1 && d.from <= d.predicted && d.predicted <= d.to));
        assert!(d.windows(2).all(|w| w[0].to <= w[1].from));
    }

    #[test]
    fn observed_is_the_share_of_positives() {
        let m: Vec<f64> = (0..20).map(f64::from).collect();
        let y: Vec<f32> = (0..20).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        assert!(calibration(&Scored::new(&m, &y, None).unwrap()).iter().all(|d| d.observed == 0.5 && d.rows == 2));
    }

    #[test]
    fn few_rows_give_few_parts() {
        assert_eq!(calibration(&Scored::new(&[0.0, 1.0], &[1.0, -1.0], None).unwrap()).len(), 2);
        assert!(calibration(&Scored::new(&[], &[], None).unwrap()).is_empty());
    }
}
