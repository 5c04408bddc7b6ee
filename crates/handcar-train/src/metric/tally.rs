//! The measures of rows that come one by one, in bounded memory.

use super::{Decile, Margins, Metrics, calibration_error};
use crate::loss::{Loss, LossKind, with_loss};
use handcar_data::LabelKind;

/// Sums over rows from which the measures that fit their loss follow: those of [`Metrics::by`], with margins rounded to 1/256 for
/// the AUC.
#[derive(Clone, Debug)]
pub struct Tally {
    loss: LossKind,
    rows: u64,
    positives: u64,
    mass: f64,
    /// Weighted sums: labels (of classes 1 for a positive one), predicted means, losses, rows on the right side of 0.
    labels: f64,
    predicted: f64,
    losses: f64,
    right: f64,
    /// Of regression: magnitudes and squares of errors, deviance while it is defined.
    absolute: f64,
    squares: f64,
    deviance: Option<f64>,
    /// The first label, and the sums of what labels are away from it and of its squares: so the variance keeps its digits.
    first: f64,
    away: [f64; 2],
    margins: Margins,
}

impl Tally {
    /// No rows yet.
    pub fn new(loss: LossKind) -> Self {
        Self {
            loss,
            rows: 0,
            positives: 0,
            mass: 0.0,
            labels: 0.0,
            predicted: 0.0,
            losses: 0.0,
            right: 0.0,
            absolute: 0.0,
            squares: 0.0,
            deviance: (loss == LossKind::Poisson).then_some(0.0),
            first: 0.0,
            away: [0.0; 2],
            margins: Margins::default(),
        }
    }

    /// Adds a row: finite margin and label, finite weight of at least 0.
    pub fn add(&mut self, margin: f64, label: f32, weight: f64) {
        let positive = label > 0.0;
        self.rows += 1;
        self.positives += positive as u64;
        self.mass += weight;
        self.losses += weight * with_loss!(self.loss, loss => loss.value(margin, label));
        let mean = self.loss.mean(margin);
        self.predicted += weight * mean.unwrap_or(0.0);
        if self.is_of_classes() {
            self.labels += if positive { weight } else { 0.0 };
            self.right += if (margin > 0.0) == positive { weight } else { 0.0 };
            self.margins.add(margin, positive, weight);
            return;
        }
        let (mean, label) = (mean.unwrap_or(margin), label as f64);
        if self.rows == 1 {
            self.first = label;
        }
        let (error, away) = (mean - label, label - self.first);
        self.labels += weight * label;
        self.absolute += weight * error.abs();
        self.squares += weight * error * error;
        self.away = [self.away[0] + weight * away, self.away[1] + weight * away * away];
        let of_row = if label > 0.0 { label * (label / mean).ln() } else { 0.0 } - label + mean;
        self.deviance = self.deviance.filter(|_| mean > 0.0 && label >= 0.0).map(|d| d + weight * 2.0 * of_row);
    }

    /// Adds the rows of another one, of the same loss.
    pub fn join(&mut self, other: &Self) {
        if self.rows == 0 {
            self.first = other.first;
        }
        // What the other's labels are away from this one's first.
        let (shift, [sum, squares]) = (other.first - self.first, other.away);
        self.away[0] += sum + shift * other.mass;
        self.away[1] += squares + 2.0 * shift * sum + shift * shift * other.mass;
        self.deviance = self.deviance.zip(other.deviance).map(|(a, b)| a + b);
        self.rows += other.rows;
        self.positives += other.positives;
        self.mass += other.mass;
        self.labels += other.labels;
        self.predicted += other.predicted;
        self.losses += other.losses;
        self.right += other.right;
        self.absolute += other.absolute;
        self.squares += other.squares;
        self.margins.join(&other.margins);
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Those whose label is above 0, if labels are classes.
    pub fn positives(&self) -> Option<u64> {
        self.is_of_classes().then_some(self.positives)
    }

    /// The summed weighted loss.
    pub fn loss_sum(&self) -> f64 {
        self.losses
    }

    /// Weighted mean of the predicted probabilities or means; `None` without weight, or if margins are neither.
    pub fn predicted(&self) -> Option<f64> {
        (self.mass > 0.0 && self.loss.mean(0.0).is_some()).then(|| self.predicted / self.mass)
    }

    /// Weighted mean label, of classes the share of positive ones; `None` without weight.
    pub fn observed(&self) -> Option<f64> {
        (self.mass > 0.0).then(|| self.labels / self.mass)
    }

    /// Bins of margins in memory.
    pub(super) fn bins(&self) -> usize {
        self.margins.len()
    }

    /// Calibration by decile, of logistic loss.
    pub fn deciles(&self) -> Vec<Decile> {
        if self.loss == LossKind::Logistic { self.margins.deciles() } else { Vec::new() }
    }

    /// The measures; one that the rows leave undefined is absent.
    pub fn metrics(&self) -> Metrics {
        if self.mass <= 0.0 {
            return Metrics::default();
        }
        let mean = |sum: f64| Some(sum / self.mass);
        let calibration = self.predicted().and_then(|_| (self.labels > 0.0).then(|| self.predicted / self.labels));
        if self.is_of_classes() {
            let of_order = Metrics { auc: self.margins.auc(), accuracy: mean(self.right), ..Metrics::default() };
            if self.loss != LossKind::Logistic {
                return Metrics { loss: mean(self.losses), ..of_order };
            }
            let p = self.labels / self.mass;
            let entropy = -(p * p.ln() + (1.0 - p) * (-p).ln_1p());
            let ne = (p > 0.0 && p < 1.0).then(|| self.losses / self.mass / entropy);
            let ece = calibration_error(&self.margins.deciles());
            return Metrics { logloss: mean(self.losses), ne, calibration, ece, ..of_order };
        }
        let variance = self.away[1] / self.mass - (self.away[0] / self.mass).powi(2);
        Metrics {
            loss: mean(self.losses),
            rmse: mean(self.squares).map(f64::sqrt),
            mae: mean(self.absolute),
            r2: (variance > 0.0).then(|| 1.0 - self.squares / self.mass / variance),
            deviance: self.deviance.and_then(mean),
            calibration,
            ..Metrics::default()
        }
    }

    fn is_of_classes(&self) -> bool {
        self.loss.labels() == LabelKind::Binary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::cases;

    fn tally(loss: LossKind, m: &[f64], y: &[f32], w: Option<&[f32]>) -> Tally {
        let mut tally = Tally::new(loss);
        (0..m.len()).for_each(|i| tally.add(m[i], y[i], w.map_or(1.0, |w| w[i] as f64)));
        tally
    }

    fn near(a: &Metrics, b: &Metrics) {
        let all = |m: &Metrics| {
            let classes = [m.logloss, m.auc, m.ne, m.accuracy, m.calibration, m.ece];
            [&classes[..], &[m.loss, m.rmse, m.mae, m.r2, m.deviance]].concat()
        };
        for (i, (a, b)) in all(a).into_iter().zip(all(b)).enumerate() {
            let near = a.zip(b).is_none_or(|(a, b)| (a - b).abs() <= 1e-10 * (1.0 + a.abs()));
            assert!(near && a.is_some() == b.is_some(), "measure {i}: {a:?} {b:?}");
        }
    }

    #[test]
    fn measures_of_a_sweep_are_those_of_all_rows_at_once() {
        for seed in 0..12 {
            let (m, classes, w) = cases::random(seed, 300);
            for loss in LossKind::ALL {
                let label = |y: &f32| if loss.labels() == LabelKind::Binary { *y } else { 1e4 + 3.0 * y.abs() };
                let mut y: Vec<f32> = classes.iter().map(label).collect();
                if loss.labels() != LabelKind::Binary {
                    y.iter_mut().enumerate().for_each(|(i, y)| *y += i as f32 % 7.0);
                }
                let exact = Metrics::by(loss, &m, &y, w.as_deref()).unwrap();
                near(&tally(loss, &m, &y, w.as_deref()).metrics(), &exact);
                let weights = |range: std::ops::Range<usize>| w.as_ref().map(|w| &w[range]);
                let mut joined = tally(loss, &m[..100], &y[..100], weights(0..100));
                joined.join(&tally(loss, &m[100..], &y[100..], weights(100..300)));
                near(&joined.metrics(), &exact);
                assert_eq!(joined.rows(), 300);
            }
        }
    }

    #[test]
    fn no_rows_and_one_class_leave_undefined_what_they_must() {
        assert_eq!(Tally::new(LossKind::Logistic).metrics(), Metrics::default());
        let one = tally(LossKind::Logistic, &[0.5], &[-1.0], None);
        let m = one.metrics();
        assert_eq!(
            (m.auc, m.ne, m.calibration, one.positives(), one.observed()),
            (None, None, None, Some(0), Some(0.0))
        );
        assert!(m.logloss.is_some() && m.ece.is_some());
        let hinge = tally(LossKind::Hinge, &[0.5], &[1.0], None);
        assert_eq!((hinge.predicted(), hinge.metrics().calibration, hinge.deciles().len()), (None, None, 0));
    }
}
