//! Measures of a binary classifier on labelled margins; one measure a file.

mod accuracy;
mod auc;
mod calibration;
mod logloss;
mod normalised_entropy;
mod progressive;
mod scored;

pub use accuracy::accuracy;
pub use auc::auc;
pub use calibration::{Decile, calibration};
pub use logloss::{logloss, logloss_sum};
pub use normalised_entropy::normalised_entropy;
pub use progressive::Progressive;
pub use scored::{Scored, ScoredError};

use serde::{Deserialize, Serialize};

/// The measures every evaluation reports. A measure that the labels leave undefined (AUC of one class) is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean logistic loss, see [`logloss`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub logloss: Option<f64>,
    /// Area under the ROC curve, see [`auc`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auc: Option<f64>,
    /// Normalised entropy, see [`normalised_entropy`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ne: Option<f64>,
    /// Share of rows on the right side of zero, see [`accuracy`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy: Option<f64>,
}

impl Metrics {
    /// All measures of one set of scored rows.
    pub fn of(rows: &Scored) -> Self {
        Self { logloss: logloss(rows), auc: auc(rows), ne: normalised_entropy(rows), accuracy: accuracy(rows) }
    }

    /// Those that hold for margins that are no log odds.
    pub fn of_order(self) -> Self {
        Self { logloss: None, ne: None, ..self }
    }
}

#[cfg(test)]
pub(crate) mod cases {
    use handcar_base::{Rng, Seed};

    /// Random rows with many ties, both classes and (on odd seeds) weights, some of them zero.
    pub fn random(seed: u64, rows: usize) -> (Vec<f64>, Vec<f32>, Option<Vec<f32>>) {
        let mut r = Rng::new(Seed(seed), 0);
        let margins = (0..rows).map(|_| (r.uniform() * 12.0).floor() / 2.0 - 3.0).collect();
        let labels = (0..rows).map(|i| if i == 0 || (i > 1 && r.uniform() < 0.4) { 1.0 } else { -1.0 }).collect();
        let weights = (seed % 2 == 1).then(|| (0..rows).map(|_| r.below(4) as f32 * 0.75).collect());
        (margins, labels, weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_class_leaves_auc_and_entropy_undefined() {
        let m = Metrics::of(&Scored::new(&[0.5, -0.5], &[1.0, 1.0], None).unwrap());
        assert_eq!((m.auc, m.ne), (None, None));
        assert_eq!(m.accuracy, Some(0.5));
        assert!(m.logloss.unwrap() > 0.0);
    }

    #[test]
    fn no_rows_leave_everything_undefined() {
        assert_eq!(Metrics::of(&Scored::new(&[], &[], None).unwrap()), Metrics::default());
    }

    #[test]
    fn weights_act_like_repeated_rows() {
        let (m, y) = ([0.3, -1.2, 0.3, 2.0], [1.0, -1.0, -1.0, 1.0]);
        let w = [2.0, 1.0, 3.0, 1.0];
        let weighted = Metrics::of(&Scored::new(&m, &y, Some(&w)).unwrap());
        let (mut rm, mut ry) = (vec![], vec![]);
        for i in 0..4 {
            for _ in 0..w[i] as usize {
                rm.push(m[i]);
                ry.push(y[i]);
            }
        }
        let repeated = Metrics::of(&Scored::new(&rm, &ry, None).unwrap());
        for (a, b) in [(weighted.logloss, repeated.logloss), (weighted.auc, repeated.auc), (weighted.ne, repeated.ne)] {
            assert!((a.unwrap() - b.unwrap()).abs() < 1e-12);
        }
        assert_eq!(weighted.accuracy, repeated.accuracy);
    }
}
