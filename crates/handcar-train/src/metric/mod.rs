//! Measures of a binary classifier on labelled margins, and of regression on predicted means; one measure a file.

mod absolute_error;
mod accuracy;
mod auc;
mod calibration;
mod deviance;
mod logloss;
mod margins;
mod normalised_entropy;
mod predicted;
mod progressive;
mod scored;
mod slices;
mod squared_error;
mod tally;

pub use absolute_error::mae;
pub use accuracy::accuracy;
pub use auc::auc;
pub use calibration::{Decile, calibration, calibration_error, calibration_ratio};
pub use deviance::poisson_deviance;
pub use logloss::{logloss, logloss_sum};
pub use margins::Margins;
pub use normalised_entropy::normalised_entropy;
pub use predicted::Predicted;
pub use progressive::Progressive;
pub use scored::{Scored, ScoredError};
pub use slices::{Ranked, Slices};
pub use squared_error::{r2, rmse};
pub use tally::Tally;

use crate::loss::{Loss, LossKind, with_loss};
use handcar_data::LabelKind;
use serde::{Deserialize, Serialize};

/// The measures every evaluation reports. A measure that labels or loss leave undefined (AUC of one class) is absent.
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
    /// Predicted over observed, see [`calibration_ratio`]; of regressions the sum of the means over that of the labels, if that is
    /// above 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub calibration: Option<f64>,
    /// Expected calibration error over the deciles of [`calibration`], see [`calibration_error`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ece: Option<f64>,
    /// Mean of a loss other than the logistic one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loss: Option<f64>,
    /// Root of the mean squared error, see [`rmse`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rmse: Option<f64>,
    /// Mean absolute error, see [`mae`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mae: Option<f64>,
    /// Share of the labels' variance that is predicted, see [`r2`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub r2: Option<f64>,
    /// Mean Poisson deviance, see [`poisson_deviance`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deviance: Option<f64>,
}

impl Metrics {
    /// All measures of one set of scored rows, whose margins are log odds.
    pub fn of(rows: &Scored) -> Self {
        let (logloss, ne) = (logloss(rows), normalised_entropy(rows));
        let (calibration, ece) = (calibration_ratio(rows), calibration_error(&calibration(rows)));
        Self { logloss, auc: auc(rows), ne, accuracy: accuracy(rows), calibration, ece, ..Self::default() }
    }

    /// The measures that fit a loss; labels are of its kind.
    ///
    /// # Errors
    /// [`ScoredError`] names the first column or row that is wrong.
    pub fn by(loss: LossKind, margins: &[f64], labels: &[f32], weights: Option<&[f32]>) -> Result<Self, ScoredError> {
        if loss == LossKind::Logistic {
            return Ok(Self::of(&Scored::new(margins, labels, weights)?));
        }
        let rows = Predicted::new(margins, labels, weights)?;
        let mean = with_loss!(loss, loss => rows.mean_of(|margin, label| loss.value(margin, label as f32)));
        if loss.labels() == LabelKind::Binary {
            return Ok(Self { loss: mean, ..Self::of(&Scored::new(margins, labels, weights)?).of_order() });
        }
        let means: Vec<f64> = margins.iter().map(|&m| loss.mean(m).unwrap_or(m)).collect();
        let rows = Predicted::new(&means, labels, weights)?;
        let deviance = (loss == LossKind::Poisson).then(|| poisson_deviance(&rows)).flatten();
        let sums = rows.mean_of(|mean, _| mean).zip(rows.mean_of(|_, label| label).filter(|labels| *labels > 0.0));
        let calibration = sums.map(|(means, labels)| means / labels);
        let (rmse, mae, r2) = (rmse(&rows), mae(&rows), r2(&rows));
        Ok(Self { loss: mean, rmse, mae, r2, deviance, calibration, ..Self::default() })
    }

    /// The mean of each measure over several evaluations, and its standard error `√(Σ (xᵢ − x̄)² / (n − 1) / n)`. A measure that one
    /// of them lacks is absent; the error needs two.
    pub fn mean_and_error(all: &[Self]) -> (Self, Self) {
        let n = all.len() as f64;
        let of = |get: fn(&mut Self) -> &mut Option<f64>, mean: &mut Self, error: &mut Self| {
            let Some(x) = all.iter().map(|m| *get(&mut m.clone())).collect::<Option<Vec<f64>>>() else { return };
            let average = x.iter().sum::<f64>() / n;
            let squares: f64 = x.iter().map(|x| (x - average).powi(2)).sum();
            *get(mean) = (n > 0.0).then_some(average);
            *get(error) = (n > 1.0).then(|| (squares / (n - 1.0) / n).sqrt());
        };
        let (mut mean, mut error) = (Self::default(), Self::default());
        for get in Self::EACH {
            of(get, &mut mean, &mut error);
        }
        (mean, error)
    }

    /// Each measure.
    const EACH: [fn(&mut Self) -> &mut Option<f64>; 11] = [
        |m| &mut m.logloss,
        |m| &mut m.auc,
        |m| &mut m.ne,
        |m| &mut m.accuracy,
        |m| &mut m.calibration,
        |m| &mut m.ece,
        |m| &mut m.loss,
        |m| &mut m.rmse,
        |m| &mut m.mae,
        |m| &mut m.r2,
        |m| &mut m.deviance,
    ];

    /// Those that hold for margins that are no log odds.
    pub fn of_order(self) -> Self {
        Self { logloss: None, ne: None, calibration: None, ece: None, ..self }
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
    fn means_have_the_error_of_their_spread_and_need_every_evaluation() {
        let of = |auc, rmse| Metrics { auc: Some(auc), rmse, ..Metrics::default() };
        let (mean, error) = Metrics::mean_and_error(&[of(0.7, Some(1.0)), of(0.8, None), of(0.9, Some(2.0))]);
        assert!((mean.auc.unwrap() - 0.8).abs() < 1e-15 && (error.auc.unwrap() - 0.1 / 3f64.sqrt()).abs() < 1e-15);
        assert_eq!((mean.rmse, error.rmse, mean.logloss), (None, None, None));
        assert_eq!(Metrics::mean_and_error(&[of(0.7, None)]).1, Metrics::default());
        assert_eq!(Metrics::mean_and_error(&[]).0, Metrics::default());
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

    #[test]
    fn a_loss_has_the_measures_that_fit_it() {
        let by = |loss, margins: &[f64], labels: &[f32]| Metrics::by(loss, margins, labels, None).unwrap();
        let hinge = by(LossKind::Hinge, &[0.5, -0.5], &[1.0, -1.0]);
        assert_eq!((hinge.loss, hinge.auc, hinge.logloss, hinge.rmse), (Some(0.5), Some(1.0), None, None));
        let squared = by(LossKind::Squared, &[3.0, 5.0], &[1.0, 5.0]);
        assert_eq!((squared.loss, squared.mae, squared.auc, squared.deviance), (Some(1.0), Some(1.0), None, None));
        let poisson = by(LossKind::Poisson, &[0.0, 1.0], &[0.0, 4.0]);
        assert!((poisson.deviance.unwrap() - 2.0 * poisson.loss.unwrap()).abs() < 1e-14);
        assert!((poisson.mae.unwrap() - (1.0 + 4.0 - 1f64.exp()) / 2.0).abs() < 1e-14);
        assert!(Metrics::by(LossKind::Hinge, &[0.0], &[2.0], None).is_err());
    }
}
